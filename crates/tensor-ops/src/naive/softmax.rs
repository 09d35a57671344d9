//! Softmax and the cross-entropy of its probabilities.

use crate::Result;
use crate::softmax::check_labels;
use crate::view::check_shape;
use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

/// `p[n, c] = exp(z[n, c] − max z[n]) / Σₖ exp(z[n, k] − max z[n])`: the row's maximum is subtracted so that
/// no exponential overflows.
///
/// # Errors
/// Operands whose shapes do not fit together.
pub fn forward<T: NdFloat>(logits: ArrayView2<T>, mut probabilities: ArrayViewMut2<T>) -> Result<()> {
    check_shape("probabilities", &probabilities, logits.shape())?;

    for n in 0..logits.dim().0 {
        let (z, mut p) = (logits.row(n), probabilities.row_mut(n));
        let max = z.fold(T::neg_infinity(), |max, &v| max.max(v));
        let mut sum = T::zero();
        for c in 0..z.len() {
            p[c] = (z[c] - max).exp();
            sum += p[c];
        }
        for c in 0..z.len() {
            p[c] /= sum;
        }
    }
    Ok(())
}

/// The mean over the batch of `−ln p[n, label]`, computed from the logits as
/// `ln Σₖ exp(z[n, k] − max) − (z[n, label] − max)` so that a probability of zero has a finite loss.
///
/// # Errors
/// As many labels as rows are needed, each below the number of classes.
pub fn cross_entropy<T: NdFloat>(logits: ArrayView2<T>, labels: &[usize]) -> Result<T> {
    check_labels(logits.dim(), labels)?;

    let (mut total, mut count) = (T::zero(), T::zero());
    for (z, &label) in logits.rows().into_iter().zip(labels) {
        let max = z.fold(T::neg_infinity(), |max, &v| max.max(v));
        let mut sum = T::zero();
        for &v in z {
            sum += (v - max).exp();
        }
        total += sum.ln() - (z[label] - max);
        count += T::one();
    }
    Ok(total / count)
}

/// The gradient of the mean loss: `dz[n, c] = (p[n, c] − [c = label]) / batch`.
///
/// # Errors
/// Operands whose shapes do not fit together, and labels as in [`cross_entropy`].
pub fn cross_entropy_backward<T: NdFloat>(
    probabilities: ArrayView2<T>,
    labels: &[usize],
    mut dlogits: ArrayViewMut2<T>,
) -> Result<()> {
    check_labels(probabilities.dim(), labels)?;
    check_shape("dlogits", &dlogits, probabilities.shape())?;

    let batch = labels.iter().fold(T::zero(), |count, _| count + T::one());
    for (n, &label) in labels.iter().enumerate() {
        for c in 0..probabilities.dim().1 {
            let target = if c == label { T::one() } else { T::zero() };
            dlogits[[n, c]] = (probabilities[[n, c]] - target) / batch;
        }
    }
    Ok(())
}
