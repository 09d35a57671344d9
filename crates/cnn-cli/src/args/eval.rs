//! The flags of `cnn eval`.

use super::{Data, Progress};
use crate::run::model_in;
use clap::builder::{PathBufValueParser, TypedValueParser};
use std::path::PathBuf;

/// Loss and accuracy of a model on the test images
///
/// The pixels are prepared as they were for training; the model file says how.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn eval tutorial.safetensors
  cnn eval keras.safetensors --data-dir data/mnist --progress json")]
pub struct Eval {
    /// A model that `cnn` saved, or a run's folder
    #[arg(value_parser = PathBufValueParser::new().map(model_in))]
    pub model: PathBuf,

    /// Use Winograd's algorithm for 3×3 convolutions of many channels: faster, and rounds more
    #[arg(long)]
    pub winograd: bool,

    #[command(flatten)]
    pub data: Data,

    #[command(flatten)]
    pub progress: Progress,
}
