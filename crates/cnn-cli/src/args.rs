//! The flags, as they are typed. What a flag can be wrong by itself is refused here, with exit code 2.
//!
//! Each command has a file; here is what several share.

mod completions;
mod convolve;
mod data;
mod doctor;
mod eval;
mod export;
mod gradcheck;
mod inspect;
mod man;
mod predict;
mod presets;
mod train;
mod tutorial;

pub use completions::Completions;
pub use convolve::Convolve;
pub use data::{DataCommand, DataInfo, DataShow};
pub use doctor::Doctor;
pub use eval::Eval;
pub use export::{Export, ExportFormat};
pub use gradcheck::Gradcheck;
pub use inspect::Inspect;
pub use man::Man;
pub use predict::{Predict, Prepare};
pub use presets::Presets;
pub use train::Train;
pub use tutorial::Tutorial;

use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use clap::{Parser, Subcommand, ValueEnum};
use mnist_io::catalog::Set;
use std::path::{Path, PathBuf};

/// Train, judge and use small convolutional networks.
///
/// Without a command: the tutorial, on bundled images, without a network connection.
#[derive(Parser)]
#[command(
    name = "cnn",
    version,
    after_help = "Example:
  cnn                     watch the tutorial's network learn
  cnn train --help        what training can be told

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.
CNN_KERNELS=naive|portable|avx2|avx512 chooses the kernels; the fastest are the default."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Subcommand)]
pub enum Command {
    Tutorial(Tutorial),
    Train(Train),
    Presets(Presets),
    Eval(Eval),
    Predict(Predict),
    Inspect(Inspect),
    Export(Export),
    #[command(subcommand)]
    Data(DataCommand),
    Convolve(Convolve),
    Gradcheck(Gradcheck),
    Doctor(Doctor),
    Completions(Completions),
    Man(Man),
}

impl Default for Command {
    fn default() -> Self {
        Self::Tutorial(Tutorial::default())
    }
}

/// Which images.
#[derive(clap::Args, Clone, Default)]
pub struct Data {
    /// A set by its name, in the folder where `cargo xtask fetch-data NAME` puts it or in --data-dir
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Set::ALL.map(Set::name)).try_map(set))]
    pub dataset: Option<Set>,

    /// The folder with MNIST's four IDX files, each plain or gzip [default: the environment's MNIST_DIR, else
    /// data/mnist where it holds them, else the bundled sample of 1,000 training and 1,000 test images]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// A folder with your own pictures (PNG, JPEG, BMP), a sub-folder a class. A fifth of each class is for testing, always
    /// the same, unless there are two such folders in it, train and test. Decoded pictures are kept in the folder, in a
    /// file .pictures-…
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data_dir", "dataset"])]
    pub images: Option<PathBuf>,

    /// Rows and columns that the middle square of each picture is resized to [default: 28; for eval, the model's]
    #[arg(long, value_name = "N", requires = "images", value_parser = RangedU64ValueParser::<u32>::new().range(1..=4096))]
    pub size: Option<u32>,

    /// Pictures in colour; otherwise they are made grey [default: grey; for eval, as the model has it]
    #[arg(long, requires = "images")]
    pub rgb: bool,

    /// Only the first N training images and the first N test images [default: all; the tutorial preset: 1000]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub limit: Option<usize>,
}

/// How much is said.
#[derive(clap::Args)]
pub struct Progress {
    /// What is printed on the way: auto is plain, with bars that move where a person watches; json is one
    /// object a line; none is nothing but errors
    #[arg(long, value_enum, default_value_t = Mode::Auto)]
    pub progress: Mode,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    Auto,
    Plain,
    Json,
    None,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("expected a whole number above 0".into()),
    }
}

fn set(name: String) -> mnist_io::Result<Set> {
    name.parse()
}

fn png(path: PathBuf) -> Result<PathBuf, String> {
    let is_png =
        |path: &Path| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
    if is_png(&path) { Ok(path) } else { Err("expected a name that ends in .png".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }

    /// The words of a line of examples as a shell reads them, up to where it redirects or what is said of it.
    fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (place, part) in line.trim().split('\'').enumerate() {
            if place % 2 == 1 {
                words.push(part.to_owned());
                continue;
            }
            let end = ["   ", " <", " >", " |"].iter().filter_map(|end| part.find(end)).min();
            words.extend(part[..end.unwrap_or(part.len())].split_whitespace().map(str::to_owned));
            if end.is_some() {
                break;
            }
        }
        words
    }

    /// Every command that does something shows how, and what it shows is right.
    #[test]
    fn every_help_has_examples_that_parse() {
        fn check(command: &clap::Command) {
            let name = command.get_name();
            for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
                check(command);
            }
            if command.is_subcommand_required_set() {
                return;
            }
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let Some((_, examples)) = help.split_once("Example") else { panic!("{name}: no example") };
            let examples = examples.lines().filter(|line| line.trim_start().starts_with("cnn"));
            let count = examples.map(|line| match Cli::try_parse_from(words(line)) {
                Err(error) if error.use_stderr() => panic!("{line}: {error}"),
                _ => 1,
            });
            assert!(count.sum::<usize>() > 0, "{name}: no example");
        }
        check(&Cli::command());
    }
}
