use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// How a weight's initial values are drawn. `fan_in` and `fan_out` are the numbers of inputs that an output
/// sums and of outputs that an input reaches, kernel taps included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Initializer {
    /// Uniform within ±√(6 / (fan_in + fan_out)) (Glorot and Bengio 2010): Keras's default for weights.
    #[default]
    GlorotUniform,
    /// The tutorial's: a standard normal divided by fan_in.
    Tutorial,
    /// All zero: the default for biases.
    Zeros,
}

impl Initializer {
    /// Fills `values` from `rng`.
    pub(crate) fn fill(self, [fan_in, fan_out]: [usize; 2], rng: &mut impl Rng, values: &mut [f32]) {
        let (fan_in, fan_out) = (fan_in as f32, fan_out as f32);
        match self {
            Self::GlorotUniform => {
                let limit = (6.0 / (fan_in + fan_out)).sqrt();
                values.fill_with(|| limit * (2.0 * rng.random::<f32>() - 1.0));
            }
            Self::Tutorial => values.fill_with(|| {
                let normal: f32 = StandardNormal.sample(rng);
                normal / fan_in
            }),
            Self::Zeros => values.fill(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    fn draw(initializer: Initializer) -> Vec<f32> {
        let mut values = vec![f32::NAN; 20_000];
        initializer.fill([30, 70], &mut stream(3, Purpose::Initialize { parameter: 0 }), &mut values);
        values
    }

    fn deviation(values: &[f32]) -> f32 {
        (values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32).sqrt()
    }

    #[test]
    fn moments_and_bounds() {
        let uniform = draw(Initializer::GlorotUniform);
        let limit = (6.0f32 / 100.0).sqrt();
        assert!(uniform.iter().all(|v| v.abs() <= limit));
        assert!((deviation(&uniform) / (limit / 3.0f32.sqrt()) - 1.0).abs() < 0.02);
        let tutorial = draw(Initializer::Tutorial);
        assert!((deviation(&tutorial) * 30.0 - 1.0).abs() < 0.02);
        assert!(tutorial.iter().any(|v| *v > 2.0 / 30.0));
        assert!(draw(Initializer::Zeros).iter().all(|v| *v == 0.0));
    }
}
