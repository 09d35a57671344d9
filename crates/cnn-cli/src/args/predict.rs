//! The flags of `cnn predict`.

use crate::run::model_in;
use clap::ValueEnum;
use clap::builder::{PathBufValueParser, TypedValueParser};
use std::path::PathBuf;

/// What pictures show, as a model sees them
///
/// A picture is a PNG, JPEG or BMP file of any size, drawn or photographed. For a model of handwriting it is prepared as MNIST
/// was: grey, light strokes on a dark ground whichever way round it was, uneven light taken out, the digit fitted into
/// 20×20 pixels, its centre of mass in the middle of 28×28. For a model that learned from --images it is resized as they
/// were. What the network sees is drawn beside the three most likely classes.
///
/// A picture that looks like no digit, or that the network is not sure of, gets a warning on standard error.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn predict digits.safetensors seven.jpg
  cnn predict digits.safetensors scans/ --json
  cnn predict digits.safetensors - < seven.png")]
pub struct Predict {
    /// A model that `cnn` saved, or a run's folder
    #[arg(value_parser = PathBufValueParser::new().map(model_in))]
    pub model: PathBuf,

    /// Pictures, folders of pictures with all that is in them, or - for one picture from standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// How a picture becomes what the network sees. digit: as MNIST was made; square: the middle square, resized, as for
    /// --images; none: the pixels as they are, which must be as many as the model's; auto: as the model's classes and
    /// size suggest
    #[arg(long, value_enum, default_value_t = Prepare::Auto)]
    pub prepare: Prepare,

    /// One object a line, and nothing else: file, label, probability, and probabilities of all classes
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Prepare {
    Auto,
    Digit,
    Square,
    None,
}
