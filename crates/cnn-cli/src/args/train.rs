//! The flags of `cnn train`.

use super::{Data, Progress, at_least_one};
use crate::preset::{self, Preset};
use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use layers::Ties;
use std::path::PathBuf;

/// Train a network and save it
///
/// The test images are looked at after each epoch (nothing is chosen by that) and once more at the end.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn train
  cnn train --preset keras --data-dir data/mnist --out digits.safetensors
  cnn train --preset keras --dataset fashion-mnist
  cnn train --preset keras --batch-size 64 --learning-rate 0.1 --progress json")]
pub struct Train {
    /// Which network, and how it is trained unless a flag says otherwise
    #[arg(long, value_enum, default_value_t = Preset::Tutorial)]
    pub preset: Preset,

    #[command(flatten)]
    pub data: Data,

    /// How often each training image is seen
    #[arg(long, value_name = "N", value_parser = at_least_one, default_value_t = preset::EPOCHS)]
    pub epochs: usize,

    /// Images a step
    #[arg(long, value_name = "N", value_parser = at_least_one, default_value_t = preset::BATCH_SIZE)]
    pub batch_size: usize,

    /// How far a step goes along the negative gradient
    #[arg(long, value_name = "RATE", value_parser = learning_rate, default_value_t = preset::LEARNING_RATE)]
    pub learning_rate: f32,

    /// What the initial weights and the order of the images follow from
    #[arg(long, value_name = "N", default_value_t)]
    pub seed: u64,

    /// Which of equal maxima of a pooling window takes the gradient [default: the preset's]
    #[arg(long, value_parser = PossibleValuesParser::new(["first", "all"]).map(ties))]
    pub ties: Option<Ties>,

    /// Judge and save the parameters of the last step, as the article does, where the preset averages
    #[arg(long)]
    pub no_average: bool,

    /// Threads to compute with; the result does not depend on it [default: one a core]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub threads: Option<usize>,

    /// Where the model goes [default: the name of the preset, with .safetensors]
    #[arg(long, value_name = "MODEL")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub progress: Progress,
}

fn ties(name: String) -> Ties {
    if name == "all" { Ties::All } else { Ties::First }
}

fn learning_rate(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(rate) if f32::is_finite(rate) && rate > 0.0 => Ok(rate),
        _ => Err("expected a finite number above 0".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learning_rates() {
        let check =
            |text: &str, expected: Option<f32>| assert_eq!(learning_rate(text).ok(), expected, "{text}");
        check("0.005", Some(0.005));
        check("1e-3", Some(0.001));
        for text in ["0", "-0", "-1", "inf", "nan", "1e-60", "1e60", "", "fast"] {
            check(text, None);
        }
    }
}
