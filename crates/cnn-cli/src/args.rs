//! The flags, as they are typed. What a flag can be wrong by itself is refused here, with exit code 2.

use crate::preset::{self, Preset};
use clap::builder::{PathBufValueParser, PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use clap::{Parser, Subcommand, ValueEnum};
use layers::{Padding, Ties};
use mnist_io::Split;
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

Exit codes: 0 done, 1 failed, 2 wrong usage.
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
    Eval(Eval),
    Predict(Predict),
    Export(Export),
    #[command(subcommand)]
    Data(DataCommand),
    Convolve(Convolve),
    Gradcheck(Gradcheck),
}

impl Default for Command {
    fn default() -> Self {
        Self::Tutorial(Tutorial::default())
    }
}

/// The tutorial on the bundled sample: a network before training, and after
///
/// The network guesses at the first 1,000 test images of MNIST untrained, learns from the first 1,000 training
/// images for 3 epochs, one image a step, and guesses again. Then it is saved. This is what `cnn` without a
/// command does.
#[derive(clap::Args, Default)]
#[command(after_help = "Example:
  cnn tutorial --seed 7 --out seven.safetensors")]
pub struct Tutorial {
    /// What the initial weights and the order of the images follow from
    #[arg(long, value_name = "N", default_value_t)]
    pub seed: u64,

    /// Where the model goes [default: tutorial.safetensors]
    #[arg(long, value_name = "MODEL")]
    pub out: Option<PathBuf>,
}

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

/// Loss and accuracy of a model on the test images
///
/// The pixels are prepared as they were for training; the model file says how.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn eval tutorial.safetensors
  cnn eval keras.safetensors --data-dir data/mnist --progress json")]
pub struct Eval {
    /// A model that `cnn` saved
    pub model: PathBuf,

    /// Use Winograd's algorithm for 3×3 convolutions of many channels: faster, and rounds more
    #[arg(long)]
    pub winograd: bool,

    #[command(flatten)]
    pub data: Data,

    #[command(flatten)]
    pub progress: Progress,
}

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
    /// A model that `cnn` saved
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
    /// A model that `cnn` saved
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

/// Convolve an image with one kernel
///
/// The image (PNG, JPEG or BMP, of any size) is made grey, transparent parts white. Each pixel of the result is
/// the sum of the pixels under the kernel, each times the kernel's number over it: the cross-correlation that
/// convolutional networks compute; the kernel is not flipped.
///
/// Results are rounded, and limited to 0..255. Of a kernel whose numbers sum to 0 (one that finds edges) the
/// absolute value is shown: how strong an edge is, not which side is brighter.
#[derive(clap::Args)]
#[command(after_help = "Kernels:
  sobel-x   -1 0 1 / -2 0 2 / -1 0 1            vertical edges
  sobel-y   1 2 1 / 0 0 0 / -1 -2 -1            horizontal edges
  blur      1 2 1 / 2 4 2 / 1 2 1, divided by 16
  sharpen   0 -1 0 / -1 5 -1 / 0 -1 0
  FILE      a text file: a row of numbers a line, as many in each row, divided by blanks; # begins a comment.
            A file with one of the names above is ./blur, not blur.

Examples:
  cnn convolve photo.jpg --kernel sobel-x -o edges.png
  cnn convolve photo.jpg --kernel emboss.txt --padding same -o embossed.png")]
pub struct Convolve {
    /// The image
    pub image: PathBuf,

    /// sobel-x, sobel-y, blur, sharpen, or a file with a kernel
    #[arg(long, value_name = "KERNEL")]
    pub kernel: PathBuf,

    /// valid: only where the whole kernel lies on the image, so the result is smaller; same: zeros (black) around
    /// the image, so that the size stays
    #[arg(long, default_value = "valid", value_parser = PossibleValuesParser::new(["valid", "same"]).map(padding))]
    pub padding: Padding,

    /// Where the result goes: a PNG file
    #[arg(short, long, value_name = "OUT.png", value_parser = PathBufValueParser::new().try_map(png))]
    pub out: PathBuf,
}

/// Check the gradients of a network
///
/// Each layer by itself and then the whole network: the gradients of the fast backward pass against central differences
/// of plain loops in double precision, on random numbers. The worst error of each part is a share of its largest
/// gradient; one above 1e-3 fails.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn gradcheck
  cnn gradcheck '28x28x1: conv 8 3x3 same relu, maxpool 2, dense 32 gelu, dense 10'
  CNN_KERNELS=portable cnn gradcheck net.toml")]
pub struct Gradcheck {
    /// The network: a line of text, or a TOML file [default: the tutorial's, with the first of equal maxima]
    pub network: Option<String>,

    /// What the random numbers follow from
    #[arg(long, value_name = "N", default_value_t)]
    pub seed: u64,
}

/// Which images.
#[derive(clap::Args)]
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
    /// What is printed on the way: auto is plain, with a line that moves where a person watches; json is one
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

fn learning_rate(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(rate) if f32::is_finite(rate) && rate > 0.0 => Ok(rate),
        _ => Err("expected a finite number above 0".into()),
    }
}

fn set(name: String) -> mnist_io::Result<Set> {
    name.parse()
}

fn ties(name: String) -> Ties {
    if name == "all" { Ties::All } else { Ties::First }
}

fn split(name: String) -> Split {
    if name == "test" { Split::Test } else { Split::Train }
}

fn padding(name: String) -> Padding {
    if name == "same" { Padding::Same } else { Padding::Valid }
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
