//! The flags of `cnn data`.

use super::{Data, png};
use clap::Subcommand;
use clap::builder::{PathBufValueParser, PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use mnist_io::Split;
use std::path::PathBuf;

/// Look at images before a network does
#[derive(Subcommand)]
pub enum DataCommand {
    Info(DataInfo),
    Show(DataShow),
}

/// How many images there are, of what size and of which classes
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn data info
  cnn data info --images pets --size 64")]
pub struct DataInfo {
    #[command(flatten)]
    pub data: Data,
}

/// Images with their classes, in the terminal or as a PNG file
///
/// In a terminal, greys are colours; with NO_COLOR set and where nobody watches, they are letters.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn data show
  cnn data show --class 7 --seed 1
  cnn data show --images pets --size 64 --count 30 -o pets.png")]
pub struct DataShow {
    #[command(flatten)]
    pub data: Data,

    /// Of which split
    #[arg(long, default_value = "train", value_parser = PossibleValuesParser::new(["train", "test"]).map(split))]
    pub split: Split,

    /// Only images of this class: its name, or its number from 0
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,

    /// At most so many images
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1000), default_value_t = 10)]
    pub count: usize,

    /// Random images, which follow from N [default: the first]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Where they go: a PNG file
    #[arg(short, long, value_name = "OUT.png", value_parser = PathBufValueParser::new().try_map(png))]
    pub out: Option<PathBuf>,
}

fn split(name: String) -> Split {
    if name == "test" { Split::Test } else { Split::Train }
}
