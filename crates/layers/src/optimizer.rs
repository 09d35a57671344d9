//! How parameters follow their gradients: each optimiser is one loop over flat buffers, with PyTorch's semantics.

mod adam;
mod rms_prop;
mod sgd;

pub use adam::Adam;
pub use rms_prop::RmsProp;
pub use sgd::Sgd;

use crate::workspace::buffer;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

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

    /// The memory of a run over so many parameters, before its first step.
    ///
    /// # Errors
    /// Buffers that do not fit into memory.
    pub fn moments(&self, parameters: usize) -> Result<Moments> {
        let (first, second) = self.uses();
        let part = |used| buffer("moments", if used { parameters } else { 0 });
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
        moments.steps += 1;
        match self {
            Self::Sgd(sgd) => sgd.step(learning_rate, parameters, gradients, moments),
            Self::Adam(adam) => adam.step(false, learning_rate, parameters, gradients, moments),
            Self::AdamW(adam) => adam.step(true, learning_rate, parameters, gradients, moments),
            Self::RmsProp(rms_prop) => rms_prop.step(learning_rate, parameters, gradients, moments),
        }
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
