//! How parameters follow their gradients: each optimiser is one loop over flat buffers, with PyTorch's semantics.

mod adam;
mod rms_prop;
mod sgd;

pub use adam::Adam;
pub use rms_prop::RmsProp;
pub use sgd::Sgd;

use crate::parallel::join;
use crate::workspace::buffer;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The choice between the optimisers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd(Sgd),
    /// Adam; weight decay is added to the gradient.
    Adam(Adam),
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    #[serde(rename = "adamw")]
    AdamW(Adam),
    /// RMSprop.
    #[serde(rename = "rmsprop")]
    RmsProp(RmsProp),
}

/// What an optimiser remembers between steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    /// Steps made.
    pub steps: u64,
    /// A running mean of the gradients, or empty.
    pub first: Vec<f32>,
    /// A running mean of their squares, or empty.
    pub second: Vec<f32>,
}

impl Optimizer {
    /// The learning rate, before a schedule changes it.
    pub fn learning_rate(&self) -> f32 {
        match self {
            Self::Sgd(Sgd { learning_rate, .. })
            | Self::Adam(Adam { learning_rate, .. })
            | Self::AdamW(Adam { learning_rate, .. })
            | Self::RmsProp(RmsProp { learning_rate, .. }) => *learning_rate,
        }
    }

    /// The same with another learning rate.
    pub fn with_learning_rate(mut self, rate: f32) -> Self {
        match &mut self {
            Self::Sgd(Sgd { learning_rate, .. })
            | Self::Adam(Adam { learning_rate, .. })
            | Self::AdamW(Adam { learning_rate, .. })
            | Self::RmsProp(RmsProp { learning_rate, .. }) => *learning_rate = rate,
        }
        self
    }

    /// The memory of a run over so many parameters, before its first step.
    ///
    /// # Errors
    /// Buffers that do not fit into memory.
    pub fn moments(&self, parameters: usize) -> Result<Moments> {
        let (first, second) = self.uses();
        let part = |used| buffer("moments", if used { parameters } else { 0 }).map(|buffer| buffer.to_vec());
        Ok(Moments { steps: 0, first: part(first)?, second: part(second)? })
    }

    /// One step at `learning_rate`, which a schedule may have moved from this optimiser's own.
    ///
    /// # Errors
    /// Gradients or moments of another length than the parameters.
    pub fn step(
        &self,
        learning_rate: f32,
        parameters: &mut [f32],
        gradients: &[f32],
        moments: &mut Moments,
    ) -> Result<()> {
        let (expected, found) = (parameters.len(), gradients.len());
        if found != expected {
            return Err(Error::Foreign { what: "gradients", expected, found });
        }
        self.check_moments(expected, moments)?;
        Learner::new(self, learning_rate, parameters, moments).update(gradients);
        Ok(())
    }

    /// Fails where `moments` are not this optimiser's over so many parameters.
    pub(crate) fn check_moments(&self, parameters: usize, moments: &Moments) -> Result<()> {
        let (first, second) = self.uses();
        for (what, used, found) in
            [("first moments", first, moments.first.len()), ("second moments", second, moments.second.len())]
        {
            let expected = if used { parameters } else { 0 };
            if found != expected {
                return Err(Error::Foreign { what, expected, found });
            }
        }
        Ok(())
    }

    /// Whether the first and the second moments are in use.
    pub(crate) fn uses(&self) -> (bool, bool) {
        match self {
            Self::Sgd(sgd) => (sgd.momentum != 0.0, false),
            Self::Adam(_) | Self::AdamW(_) => (true, true),
            Self::RmsProp(rms_prop) => (rms_prop.momentum != 0.0, true),
        }
    }

    /// Fails where a setting is outside its range.
    pub(crate) fn check(&self) -> Result<()> {
        let positive = |what, value: f32| match value.is_finite() && value > 0.0 {
            true => Ok(()),
            false => {
                Err(Error::Setting { what, expected: "a finite number above 0", found: value.to_string() })
            }
        };
        let share = |what, value: f32| match (0.0..1.0).contains(&value) {
            true => Ok(()),
            false => {
                Err(Error::Setting { what, expected: "a share from 0 to below 1", found: value.to_string() })
            }
        };
        let decay = |value: f32| match value.is_finite() && value >= 0.0 {
            true => Ok(()),
            false => {
                let found = value.to_string();
                Err(Error::Setting { what: "weight decay", expected: "a finite number of at least 0", found })
            }
        };
        positive("learning rate", self.learning_rate())?;
        match *self {
            Self::Sgd(Sgd { momentum, weight_decay, nesterov, .. }) => {
                share("momentum", momentum)?;
                if nesterov && momentum == 0.0 {
                    return Err(Error::Setting {
                        what: "momentum",
                        expected: "more than 0 with nesterov",
                        found: "0".into(),
                    });
                }
                decay(weight_decay)
            }
            Self::Adam(Adam { betas, epsilon, weight_decay, .. })
            | Self::AdamW(Adam { betas, epsilon, weight_decay, .. }) => {
                share("beta 1", betas[0])?;
                share("beta 2", betas[1])?;
                positive("epsilon", epsilon)?;
                decay(weight_decay)
            }
            Self::RmsProp(RmsProp { alpha, epsilon, momentum, weight_decay, .. }) => {
                share("alpha", alpha)?;
                share("momentum", momentum)?;
                positive("epsilon", epsilon)?;
                decay(weight_decay)
            }
        }
    }
}

/// Parameters that are about to learn, or a part of them: their values, what the optimiser remembers of them, and how
/// they follow a gradient.
#[derive(Debug)]
pub(crate) struct Learner<'a> {
    pub values: &'a mut [f32],
    optimizer: &'a Optimizer,
    learning_rate: f32,
    /// Steps made, with this one.
    steps: u64,
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl<'a> Learner<'a> {
    /// The next step; the moments are this optimiser's over these parameters.
    pub fn new(
        optimizer: &'a Optimizer,
        learning_rate: f32,
        values: &'a mut [f32],
        moments: &'a mut Moments,
    ) -> Self {
        let Moments { steps, first, second } = moments;
        *steps += 1;
        Self { values, optimizer, learning_rate, steps: *steps, first, second }
    }

    /// The parameters in this range.
    pub fn part(&mut self, range: Range<usize>) -> Learner<'_> {
        let Self { values, optimizer, learning_rate, steps, first, second } = self;
        let (first, second) = (used(first, range.clone()), used(second, range.clone()));
        let (learning_rate, steps) = (*learning_rate, *steps);
        Learner { values: &mut values[range], optimizer, learning_rate, steps, first, second }
    }

    /// The learning rate, where all that a step does is `p ← p − lr · g`.
    pub fn plain_rate(&self) -> Option<f32> {
        match self.optimizer {
            Optimizer::Sgd(Sgd { momentum: 0.0, weight_decay: 0.0, .. }) => Some(self.learning_rate),
            _ => None,
        }
    }

    /// Follows the gradients. Every parameter does so by itself, so large parts are shared out to threads.
    pub fn update(mut self, gradients: &[f32]) {
        const PART: usize = 1 << 15;
        if gradients.len() > PART {
            let (front, back) = gradients.split_at(gradients.len() / 2);
            let (mine, theirs) = self.split(front.len());
            join(|| mine.update(front), || theirs.update(back));
            return;
        }
        match self.optimizer {
            Optimizer::Sgd(sgd) => sgd.step(self, gradients),
            Optimizer::Adam(adam) => adam.step(false, self, gradients),
            Optimizer::AdamW(adam) => adam.step(true, self, gradients),
            Optimizer::RmsProp(rms_prop) => rms_prop.step(self, gradients),
        }
    }

    /// The parameters before `at`, and those from there on.
    pub fn split(&mut self, at: usize) -> (Learner<'_>, Learner<'_>) {
        let Self { values, optimizer, learning_rate, steps, first, second } = self;
        let (optimizer, learning_rate, steps) = (*optimizer, *learning_rate, *steps);
        let ((mine, theirs), first, second) =
            (values.split_at_mut(at), split_used(first, at), split_used(second, at));
        let learner =
            |values, first, second| Learner { values, optimizer, learning_rate, steps, first, second };
        (learner(mine, first.0, second.0), learner(theirs, first.1, second.1))
    }
}

/// A number that is remembered, or zero in place of a subnormal one. What decays once its gradient is zero, such as that
/// of a weight which sees background alone, would stay subnormal for ever; with such numbers processors take a hundred
/// times as long, and a parameter's step does not depend on them.
fn normal(moment: f32) -> f32 {
    if moment.abs() < f32::MIN_POSITIVE { 0.0 } else { moment }
}

/// This range of moments that are in use.
fn used(moments: &mut [f32], range: Range<usize>) -> &mut [f32] {
    if moments.is_empty() { moments } else { &mut moments[range] }
}

/// Moments that are in use before `at`, and those from there on.
fn split_used(moments: &mut [f32], at: usize) -> (&mut [f32], &mut [f32]) {
    moments.split_at_mut(at.min(moments.len()))
}

/// Scales gradients so that their Euclidean norm is at most `limit`; gives back the norm that they had. As PyTorch's
/// `clip_grad_norm_`.
pub fn clip_norm(gradients: &mut [f32], limit: f32) -> f32 {
    let norm = gradients.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>().sqrt() as f32;
    let scale = limit / (norm + 1e-6);
    if scale < 1.0 {
        gradients.iter_mut().for_each(|g| *g *= scale);
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_of_a_gradient_ends_at_zero() {
        let optimizers = [
            Optimizer::Sgd(Sgd { momentum: 0.9, ..Sgd::default() }),
            Optimizer::Adam(Adam { betas: [0.9, 0.99], ..Adam::default() }),
            Optimizer::RmsProp(RmsProp { momentum: 0.9, ..RmsProp::default() }),
        ];
        for optimizer in optimizers {
            let mut moments = optimizer.moments(1).unwrap();
            let mut parameters = [0.5];
            let rate = optimizer.learning_rate();
            optimizer.step(rate, &mut parameters, &[1.0], &mut moments).unwrap();
            for _ in 0..10_000 {
                optimizer.step(rate, &mut parameters, &[0.0], &mut moments).unwrap();
            }
            let moments = moments.first.iter().chain(&moments.second);
            assert!(moments.clone().all(|&moment| moment == 0.0), "{optimizer:?}: {moments:?}");
        }
    }
}
