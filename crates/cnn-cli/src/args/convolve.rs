//! The flags of `cnn convolve`.

use super::png;
use clap::builder::{PathBufValueParser, PossibleValuesParser, TypedValueParser};
use layers::Padding;
use std::path::PathBuf;

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

fn padding(name: String) -> Padding {
    if name == "same" { Padding::Same } else { Padding::Valid }
}
