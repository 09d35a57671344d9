/// Plain stochastic gradient descent: `p ← p − learning_rate · g`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// How far a step goes along the negative gradient.
    pub learning_rate: f32,
}

impl Sgd {
    /// Moves every parameter by its gradient.
    pub fn step(&self, parameters: &mut [f32], gradients: &[f32]) {
        for (p, g) in parameters.iter_mut().zip(gradients) {
            *p -= self.learning_rate * g;
        }
    }
}
