//! The flags of `cnn eval`.

use super::{Data, Progress};
use crate::run::model_in;
use clap::builder::{PathBufValueParser, TypedValueParser};
use std::path::PathBuf;

/// How good a model is on the test images
///
/// Loss, accuracy with its 95 % interval, which classes are taken for which, how well each class is told from the
/// others, and the worst errors. The pixels are prepared as they were for training; the model file says how.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn eval runs/keras-1
  cnn eval keras.safetensors --data-dir data/mnist --progress json
  cnn eval runs/lenet-1 --compare runs/keras-1
  cnn eval runs/lenet-1 --out judged")]
pub struct Eval {
    /// A model that `cnn` saved, or a run's folder
    #[arg(value_parser = PathBufValueParser::new().map(model_in))]
    pub model: PathBuf,

    /// Use Winograd's algorithm for 3×3 convolutions of many channels: faster, and rounds more
    #[arg(long)]
    pub winograd: bool,

    #[command(flatten)]
    pub data: Data,

    /// Judge this model by the same images, too, and say how likely chance alone makes such a difference (McNemar's
    /// test)
    #[arg(long, value_name = "OTHER", value_parser = PathBufValueParser::new().map(model_in))]
    pub compare: Option<PathBuf>,

    /// Write confusion.svg, confusion.csv and report.html, a page with the worst errors, into this folder
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Replace files that are there already
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub progress: Progress,
}
