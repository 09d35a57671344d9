use crate::text::Words;
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
    /// Normal with variance 2 / (fan_in + fan_out), cut off at two standard deviations, as Keras's.
    GlorotNormal,
    /// Uniform within ±√(6 / fan_in) (He et al. 2015).
    HeUniform,
    /// Normal with variance 2 / fan_in, cut off at two standard deviations, as Keras's.
    HeNormal,
    /// The tutorial's: a standard normal divided by fan_in.
    Tutorial,
    /// All zero: the default for biases.
    Zeros,
    /// All one: the start of a normalisation's scale.
    Ones,
}

impl Initializer {
    const ALL: [Self; 7] = [
        Self::GlorotUniform,
        Self::GlorotNormal,
        Self::HeUniform,
        Self::HeNormal,
        Self::Tutorial,
        Self::Zeros,
        Self::Ones,
    ];

    /// The name in a line of text.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::GlorotUniform => "glorot-uniform",
            Self::GlorotNormal => "glorot-normal",
            Self::HeUniform => "he-uniform",
            Self::HeNormal => "he-normal",
            Self::Tutorial => "tutorial",
            Self::Zeros => "zeros",
            Self::Ones => "ones",
        }
    }

    /// Reads a name.
    pub(crate) fn parse(words: &mut Words) -> Result<Self, String> {
        let expected = format!("an initializer ({})", Self::ALL.map(Self::name).join(", "));
        words.read(&expected, |word| Self::ALL.into_iter().find(|initializer| initializer.name() == word))
    }

    /// Fills `values` from `rng`.
    pub(crate) fn fill(self, [fan_in, fan_out]: [usize; 2], rng: &mut impl Rng, values: &mut [f32]) {
        let (fan_in, fan_out) = (fan_in as f32, fan_out as f32);
        match self {
            Self::GlorotUniform => uniform((6.0 / (fan_in + fan_out)).sqrt(), rng, values),
            Self::GlorotNormal => truncated_normal((2.0 / (fan_in + fan_out)).sqrt(), rng, values),
            Self::HeUniform => uniform((6.0 / fan_in).sqrt(), rng, values),
            Self::HeNormal => truncated_normal((2.0 / fan_in).sqrt(), rng, values),
            Self::Tutorial => values.fill_with(|| standard_normal(rng) / fan_in),
            Self::Zeros => values.fill(0.0),
            Self::Ones => values.fill(1.0),
        }
    }
}

/// Uniform within ±`limit`.
fn uniform(limit: f32, rng: &mut impl Rng, values: &mut [f32]) {
    values.fill_with(|| limit * (2.0 * rng.random::<f32>() - 1.0));
}

/// Normal without what lies beyond two standard deviations, stretched so that `deviation` is what remains.
fn truncated_normal(deviation: f32, rng: &mut impl Rng, values: &mut [f32]) {
    // The standard deviation of a standard normal that is cut off at ±2.
    const REMAINS: f32 = 0.879_625_7;
    values.fill_with(|| {
        let inside = std::iter::repeat_with(|| standard_normal(rng)).find(|value| value.abs() <= 2.0);
        deviation / REMAINS * inside.unwrap_or(0.0)
    });
}

fn standard_normal(rng: &mut impl Rng) -> f32 {
    StandardNormal.sample(rng)
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
        let limit = (6.0f32 / 30.0).sqrt();
        let he = draw(Initializer::HeUniform);
        assert!(he.iter().all(|v| v.abs() <= limit));
        assert!((deviation(&he) / (limit / 3.0f32.sqrt()) - 1.0).abs() < 0.02);
        for (initializer, expected) in [
            (Initializer::GlorotNormal, (2.0f32 / 100.0).sqrt()),
            (Initializer::HeNormal, (2.0f32 / 30.0).sqrt()),
        ] {
            let normal = draw(initializer);
            assert!((deviation(&normal) / expected - 1.0).abs() < 0.02);
            assert!(normal.iter().all(|v| v.abs() <= 2.0 * expected / 0.879));
        }
        assert!(draw(Initializer::Ones).iter().all(|v| *v == 1.0));
        assert!(draw(Initializer::Zeros).iter().all(|v| *v == 0.0));
    }
}
