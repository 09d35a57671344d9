use super::{Learner, normal};
use serde::{Deserialize, Serialize};

/// Stochastic gradient descent, with `g` the gradient plus `weight_decay · p`:
///
/// * plain: `p ← p − lr · g`,
/// * with momentum `μ`: `b ← μ · b + g`, `p ← p − lr · b`,
/// * Nesterov's: `p ← p − lr · (g + μ · b)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sgd {
    /// How far a step goes; 0.01 by default.
    pub learning_rate: f32,
    /// How much of the last step's direction stays; none by default.
    pub momentum: f32,
    /// Whether to look ahead along the momentum.
    pub nesterov: bool,
    /// The pull of every parameter towards zero.
    pub weight_decay: f32,
}

impl Default for Sgd {
    fn default() -> Self {
        Self { learning_rate: 0.01, momentum: 0.0, nesterov: false, weight_decay: 0.0 }
    }
}

impl Sgd {
    pub(super) fn step(&self, learner: Learner, gradients: &[f32]) {
        let Learner { values: parameters, learning_rate, first, .. } = learner;
        let Self { momentum, nesterov, weight_decay, .. } = *self;
        if momentum == 0.0 {
            for (p, g) in parameters.iter_mut().zip(gradients) {
                *p -= learning_rate * (g + weight_decay * *p);
            }
            return;
        }
        for ((p, g), b) in parameters.iter_mut().zip(gradients).zip(first) {
            let g = g + weight_decay * *p;
            *b = normal(momentum * *b + g);
            *p -= learning_rate * if nesterov { g + momentum * *b } else { *b };
        }
    }
}
