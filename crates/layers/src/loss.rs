//! What training makes small: losses as plain functions, each with its gradient, and the choice between them.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use tensor_ops::ndarray::{ArrayView2, ArrayViewMut2, NdFloat};
use tensor_ops::softmax::check_labels;

/// How the losses of a batch become one number. PyTorch's `none` is what the functions write to `losses`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Their mean; with class weights, the sum of the weighted losses over the sum of the labels' weights.
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

/// Settings of the softmax cross-entropy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CrossEntropy {
    /// The share `ε` of each target that is spread evenly over all classes (Szegedy et al. 2016); 0 by default.
    pub label_smoothing: f32,
    /// A weight for each class; all 1 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<Vec<f32>>,
    /// How the batch's losses are reduced.
    pub reduction: Reduction,
}

/// The loss of a network whose samples have one label each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Loss {
    /// Softmax and cross-entropy of logits: [`cross_entropy`].
    CrossEntropy(CrossEntropy),
    /// The squared difference to 1 for the label's class and 0 for the others: [`mean_squared_error`].
    MeanSquaredError,
}

impl Default for Loss {
    fn default() -> Self {
        Self::CrossEntropy(CrossEntropy::default())
    }
}

impl Loss {
    /// The loss of a batch, and its gradient in `dy`.
    ///
    /// # Errors
    /// As the functions.
    pub fn compute<T: NdFloat>(
        &self,
        y: ArrayView2<T>,
        labels: &[usize],
        mut dy: ArrayViewMut2<T>,
    ) -> Result<T> {
        match self {
            Self::CrossEntropy(settings) => cross_entropy(settings, y, labels, None, dy),
            Self::MeanSquaredError => {
                check_labels(y.dim(), labels)?;
                // The targets stand where their gradient will be.
                dy.fill(T::zero());
                labels.iter().enumerate().for_each(|(n, &label)| dy[[n, label]] = T::one());
                let size = number(y.len());
                let mut sum = T::zero();
                for (&y, dy) in y.iter().zip(&mut dy) {
                    let difference = y - *dy;
                    sum += difference * difference;
                    *dy = (difference + difference) / size;
                }
                Ok(sum / size)
            }
        }
    }

    /// Fails unless the settings fit so many classes.
    pub(crate) fn check(&self, classes: usize) -> Result<()> {
        match self {
            Self::CrossEntropy(settings) => settings.check(classes),
            Self::MeanSquaredError => Ok(()),
        }
    }
}

/// Softmax cross-entropy from logits: `l[n] = −Σₖ t[n, k] · ln p[n, k]` with `p = softmax(z)` and the targets
/// `t[n, k] = w[k] · ((1 − ε) · [k = label] + ε / classes)`, and its gradient
/// `dz[n, k] = p[n, k] · Σⱼ t[n, j] − t[n, k]`, both reduced as the settings say.
///
/// Where `losses` is given, each sample's own loss is written there. As PyTorch's `cross_entropy`.
///
/// # Errors
/// A label for each row is needed, each below the number of classes; a weight for each class; a smoothing from 0 to 1.
pub fn cross_entropy<T: NdFloat>(
    settings: &CrossEntropy,
    logits: ArrayView2<T>,
    labels: &[usize],
    mut losses: Option<&mut [T]>,
    mut dlogits: ArrayViewMut2<T>,
) -> Result<T> {
    let classes = logits.dim().1;
    check_labels(logits.dim(), labels)?;
    settings.check(classes)?;
    let smoothing: T = number_from(settings.label_smoothing);
    let weight = |class: usize| {
        settings.class_weights.as_ref().map_or(T::one(), |weights| number_from(weights[class]))
    };
    let (own, shared) = (T::one() - smoothing, smoothing / number(classes));
    let target = |label, class| weight(class) * if class == label { own + shared } else { shared };
    let divisor = match settings.reduction {
        Reduction::Mean => labels.iter().fold(T::zero(), |sum, &label| sum + weight(label)),
        Reduction::Sum => T::one(),
    };
    let mut total = T::zero();
    for (n, ((z, mut dz), &label)) in
        logits.rows().into_iter().zip(dlogits.rows_mut()).zip(labels).enumerate()
    {
        let max = z.fold(T::neg_infinity(), |max, &v| max.max(v));
        let mut sum = T::zero();
        for (&z, dz) in z.iter().zip(&mut dz) {
            *dz = (z - max).exp();
            sum += *dz;
        }
        let log_sum = sum.ln();
        let (mut loss, mut targets) = (T::zero(), T::zero());
        for (class, &z) in z.iter().enumerate() {
            let t = target(label, class);
            if t != T::zero() {
                loss += t * (log_sum - (z - max));
                targets += t;
            }
        }
        for (class, dz) in dz.iter_mut().enumerate() {
            *dz = (*dz / sum * targets - target(label, class)) / divisor;
        }
        if let Some(losses) = losses.as_deref_mut() {
            losses[n] = loss;
        }
        total += loss;
    }
    Ok(total / divisor)
}

impl CrossEntropy {
    /// Fails unless the settings fit so many classes.
    pub(crate) fn check(&self, classes: usize) -> Result<()> {
        if !(0.0..=1.0).contains(&self.label_smoothing) {
            let found = self.label_smoothing.to_string();
            return Err(Error::Setting { what: "label smoothing", expected: "a share from 0 to 1", found });
        }
        let Some(weights) = &self.class_weights else { return Ok(()) };
        if weights.len() != classes {
            return Err(Error::ClassWeights { expected: classes, found: weights.len() });
        }
        match weights.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
            Some(found) => {
                let found = found.to_string();
                Err(Error::Setting { what: "class weight", expected: "a finite number of at least 0", found })
            }
            None => Ok(()),
        }
    }
}

/// The squared error `Σ (y − t)²`, divided by the number of outputs with [`Reduction::Mean`], and its gradient
/// `dy = 2 · (y − t)`, divided alike. As PyTorch's `mse_loss`.
///
/// # Errors
/// Targets and gradients of another shape than the outputs.
pub fn mean_squared_error<T: NdFloat>(
    reduction: Reduction,
    y: ArrayView2<T>,
    targets: ArrayView2<T>,
    mut dy: ArrayViewMut2<T>,
) -> Result<T> {
    for (operand, found) in [("targets", targets.shape()), ("dy", dy.shape())] {
        if found != y.shape() {
            let (expected, found) = (y.shape().to_vec(), found.to_vec());
            return Err(tensor_ops::Error::Shape { operand, expected, found }.into());
        }
    }
    let divisor = match reduction {
        Reduction::Mean => number(y.len()),
        Reduction::Sum => T::one(),
    };
    let mut sum = T::zero();
    for ((&y, &t), dy) in y.iter().zip(&targets).zip(&mut dy) {
        sum += (y - t) * (y - t);
        *dy = (y - t + y - t) / divisor;
    }
    Ok(sum / divisor)
}

fn number<T: NdFloat>(count: usize) -> T {
    T::from(count).expect("a count is a number")
}

fn number_from<T: NdFloat>(value: f32) -> T {
    T::from(value).expect("every float is a number")
}
