use super::{Learner, normal};
use serde::{Deserialize, Serialize};

/// RMSprop (Hinton 2012): a step divided by the root of a running mean of the gradient's square.
///
/// `v ← α v + (1 − α) g²`, `p ← p − lr · g / (√v + ε)`; with momentum `μ`, `b ← μ b + g / (√v + ε)`,
/// `p ← p − lr · b`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RmsProp {
    /// How far a step goes; 0.01 by default.
    pub learning_rate: f32,
    /// α; 0.99 by default.
    pub alpha: f32,
    /// ε; 1e-8 by default.
    pub epsilon: f32,
    /// How much of the last step's direction stays; none by default.
    pub momentum: f32,
    /// The pull of every parameter towards zero, added to the gradient.
    pub weight_decay: f32,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self { learning_rate: 0.01, alpha: 0.99, epsilon: 1e-8, momentum: 0.0, weight_decay: 0.0 }
    }
}

impl RmsProp {
    pub(super) fn step(&self, learner: Learner, gradients: &[f32]) {
        let Learner { values: parameters, learning_rate, first, second, .. } = learner;
        let Self { alpha, epsilon, momentum, weight_decay, .. } = *self;
        let scaled = |p: f32, g: f32, v: &mut f32| {
            let g = g + weight_decay * p;
            *v = normal(alpha * *v + (1.0 - alpha) * g * g);
            g / (v.sqrt() + epsilon)
        };
        let parameters = parameters.iter_mut().zip(gradients).zip(second);
        if momentum == 0.0 {
            parameters.for_each(|((p, g), v)| *p -= learning_rate * scaled(*p, *g, v));
            return;
        }
        for (((p, g), v), b) in parameters.zip(first) {
            *b = normal(momentum * *b + scaled(*p, *g, v));
            *p -= learning_rate * *b;
        }
    }
}
