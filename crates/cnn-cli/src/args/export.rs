//! The flags of `cnn export`.

use crate::run::model_in;
use clap::ValueEnum;
use clap::builder::{PathBufValueParser, TypedValueParser};
use std::path::PathBuf;

/// Hand a model on to other programs
///
/// onnx is a whole network, for onnxruntime and most other tools: its input is `images`, floats of (batch, channel, row,
/// column), and how pixels become them is in the file's metadata, beside the names of the classes.
///
/// safetensors-torch holds the weights alone, as the state_dict of a PyTorch Sequential with a module for each layer;
/// safetensors-keras those of a Keras model, such as `0.kernel` for the first layer's.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn export digits.safetensors --format onnx
  cnn export digits.safetensors --format safetensors-torch -o digits-torch.safetensors --force")]
pub struct Export {
    /// A model that `cnn` saved, or a run's folder
    #[arg(value_parser = PathBufValueParser::new().map(model_in))]
    pub model: PathBuf,

    /// What the file is for
    #[arg(long, value_enum)]
    pub format: ExportFormat,

    /// Where it goes [default: the model's name, ending in .onnx, .torch.safetensors or .keras.safetensors]
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Replace a file that is there already
    #[arg(long)]
    pub force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    Onnx,
    SafetensorsTorch,
    SafetensorsKeras,
}
