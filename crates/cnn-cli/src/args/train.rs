//! The flags of `cnn train`.

use super::{Data, Progress, at_least_one};
use crate::recipe::{Recipe, Validation};
use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use layers::Ties;
use std::path::PathBuf;

/// Train a network and save it
///
/// A run has a folder, with its recipe (config.toml), what happened (metrics.jsonl), the state after each epoch
/// (last.ckpt), the model (model.safetensors), plots, and a page to open in a browser (report.html).
///
/// Part of the training images is held out and judged after each epoch. The test images are judged once, at the end; the presets
/// that do as the article does, tutorial and keras, train on all and judge the test images after each epoch,
/// too; nothing is chosen by that.
///
/// Ctrl-C ends the step, saves the state and says how to go on; the result is then the same to the last bit.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn train
  cnn train --preset fast99 --data-dir data/mnist --out digits.safetensors
  cnn train --preset fashion --dataset fashion-mnist --run clothes
  cnn train --spec 'conv 16 3x3 relu, maxpool 2, dense 10' --epochs 2 --learning-rate 0.001
  cnn train --images pets --size 32 --rgb --preset lenet
  cnn train --resume clothes")]
pub struct Train {
    /// Which network, and how it is trained unless a flag says otherwise; `cnn presets` tells more [default: tutorial]
    #[arg(long, value_name = "NAME", conflicts_with = "config", value_parser = PossibleValuesParser::new(Recipe::preset_names()))]
    pub preset: Option<String>,

    /// A recipe of your own: a file as `cnn presets NAME` prints it, or a run's config.toml
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,

    /// Another network: a line of text, or a TOML file; trained as the preset lenet, unless another is named
    #[arg(long, value_name = "NETWORK")]
    pub spec: Option<String>,

    #[command(flatten)]
    pub data: Data,

    /// What is judged after each epoch: a share of the training images, which are then not trained on, or test,
    /// or none [default: the preset's]
    #[arg(long, value_name = "SHARE")]
    pub validation: Option<Validation>,

    /// How often each training image is seen [default: the preset's]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub epochs: Option<usize>,

    /// Images a step [default: the preset's]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub batch_size: Option<usize>,

    /// How far a step goes along the negative gradient [default: the preset's]
    #[arg(long, value_name = "RATE", value_parser = learning_rate)]
    pub learning_rate: Option<f32>,

    /// What the initial weights, the order of the images and all else that is random follow from
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<u64>::new().range(..=i64::MAX as u64))]
    pub seed: Option<u64>,

    /// Which of equal maxima of a pooling window takes the gradient [default: the preset's]
    #[arg(long, value_parser = PossibleValuesParser::new(["first", "all"]).map(ties))]
    pub ties: Option<Ties>,

    /// Judge and save the parameters of the last step, as the article does, where the preset averages
    #[arg(long)]
    pub no_average: bool,

    /// Threads to compute with; the result does not depend on it [default: one a core]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub threads: Option<usize>,

    /// The run's folder [default: runs/NAME-N, with the preset's name and the first N that is free]
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,

    /// Put the model here, too
    #[arg(long, value_name = "MODEL")]
    pub out: Option<PathBuf>,

    /// Use the folder of an older run, whose files are replaced
    #[arg(long, requires = "run")]
    pub force: bool,

    /// Go on with the run in this folder
    #[arg(long, value_name = "RUN", conflicts_with_all = [
        "preset", "config", "spec", "Data", "validation", "epochs", "batch_size", "learning_rate", "seed", "ties",
        "no_average", "run", "force",
    ])]
    pub resume: Option<PathBuf>,

    #[command(flatten)]
    pub progress: Progress,
}

fn learning_rate(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(rate) if f32::is_finite(rate) && rate > 0.0 => Ok(rate),
        _ => Err("expected a finite number above 0".into()),
    }
}

fn ties(name: String) -> Ties {
    if name == "all" { Ties::All } else { Ties::First }
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
