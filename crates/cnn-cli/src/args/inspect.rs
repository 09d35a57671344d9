//! The flags of `cnn inspect`.

use super::{Data, Prepare};
use crate::run::model_in;
use clap::builder::{PathBufValueParser, TypedValueParser};
use std::path::PathBuf;

/// Look inside a model: what it is, what it learned to see, and what it sees in an image
///
/// A table says what each layer gives, learns and costs. With -o, a sheet shows the filters and, with an image, what each
/// layer makes of it, what the windows of each pooling chose, where the network looked for its answer (Grad-CAM), and
/// which pixels would change it (the gradient of the class's logit).
#[derive(clap::Args)]
#[command(mut_group("Data", |data| data.requires("sample").conflicts_with("image")))]
#[command(after_help = "Examples:
  cnn inspect digits.safetensors
  cnn inspect digits.safetensors -o filters.svg
  cnn inspect digits.safetensors seven.jpg -o seven-inside.png
  cnn inspect digits.safetensors --sample 8 --class 6 -o why-not-6.png")]
pub struct Inspect {
    /// A model that `cnn` saved, or a run's folder
    #[arg(value_parser = PathBufValueParser::new().map(model_in))]
    pub model: PathBuf,

    /// A picture, prepared as `cnn predict` does
    #[arg(group = "subject")]
    pub image: Option<PathBuf>,

    /// Instead of a picture, this one of the test images, counted from 0
    #[arg(long, value_name = "N", group = "subject")]
    pub sample: Option<usize>,

    /// The class whose reasons are shown: its name, or its number from 0 [default: the most likely one]
    #[arg(long, value_name = "CLASS", requires = "subject")]
    pub class: Option<String>,

    /// How the picture becomes what the network sees, as for `cnn predict`
    #[arg(long, value_enum, default_value_t = Prepare::Auto)]
    pub prepare: Prepare,

    /// Where the sheet goes: a PNG or SVG file
    #[arg(short, long, value_name = "SHEET", value_parser = PathBufValueParser::new().try_map(sheet))]
    pub out: Option<PathBuf>,

    /// Replace a file that is there already
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub data: Data,
}

fn sheet(path: PathBuf) -> Result<PathBuf, String> {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    match extension.as_deref() {
        Some("png" | "svg") => Ok(path),
        _ => Err("expected a name that ends in .png or .svg".into()),
    }
}
