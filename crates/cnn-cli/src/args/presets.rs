//! The flags of `cnn presets`.

use crate::recipe::Recipe;
use clap::builder::PossibleValuesParser;

/// The networks that `cnn train` knows, with their size, cost and accuracy
///
/// With a name: the preset's recipe, to be changed and trained with --config.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn presets
  cnn presets lenet > mine.toml && cnn train --config mine.toml")]
pub struct Presets {
    /// Print this one's recipe
    #[arg(value_parser = PossibleValuesParser::new(Recipe::preset_names()))]
    pub name: Option<String>,
}
