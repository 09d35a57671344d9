use super::{Learner, normal};
use serde::{Deserialize, Serialize};

/// Adam (Kingma and Ba 2015): a step scaled by running means of the gradient and of its square, each divided by what
/// it lacks for having started at zero.
///
/// `m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²`, `p ← p − lr · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)`
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adam {
    /// How far a step goes; 0.001 by default.
    pub learning_rate: f32,
    /// β₁ and β₂; 0.9 and 0.999 by default.
    pub betas: [f32; 2],
    /// ε; 1e-8 by default.
    pub epsilon: f32,
    /// The pull of every parameter towards zero: added to the gradient by Adam, applied to the parameter by AdamW.
    pub weight_decay: f32,
}

impl Default for Adam {
    fn default() -> Self {
        Self { learning_rate: 0.001, betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.0 }
    }
}

impl Adam {
    pub(super) fn step(&self, decoupled: bool, learner: Learner, gradients: &[f32]) {
        let Learner { values: parameters, learning_rate, steps, first, second, .. } = learner;
        let Self { betas: [beta1, beta2], epsilon, weight_decay, .. } = *self;
        let (keep, decay) = match decoupled {
            true => (1.0 - learning_rate * weight_decay, 0.0),
            false => (1.0, weight_decay),
        };
        // In f64: a power of a β near 1 loses most of f32's digits when it is taken from 1.
        let lack = |beta: f32| 1.0 - f64::from(beta).powf(steps as f64);
        let step = (f64::from(learning_rate) / lack(beta1)) as f32;
        let root = lack(beta2).sqrt() as f32;
        let moments = first.iter_mut().zip(second);
        for ((p, g), (m, v)) in parameters.iter_mut().zip(gradients).zip(moments) {
            let g = g + decay * *p;
            *m = normal(beta1 * *m + (1.0 - beta1) * g);
            *v = normal(beta2 * *v + (1.0 - beta2) * g * g);
            *p = *p * keep - step * *m / (v.sqrt() / root + epsilon);
        }
    }
}
