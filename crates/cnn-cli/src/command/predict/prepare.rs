//! How a picture becomes what a model sees.

use crate::args::Prepare;
use anyhow::{Result, bail, ensure};
use layers::Model;
use mnist_io::catalog::Set;
use mnist_io::pictures::{Color, MAX_SIZE, Picture, digit};
use std::path::Path;

/// A choice that fits the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preparation {
    Digit,
    Square(u32, Color),
    None { columns: usize, rows: usize, color: Color },
}

/// What the network sees, and why it may be nothing.
pub struct Prepared {
    pub pixels: Vec<u8>,
    pub doubts: Vec<String>,
}

impl Preparation {
    /// What was asked for, or else what the model suggests.
    pub fn new(prepare: Prepare, model: &Model) -> Result<Self> {
        let [rows, columns, channels] = model.network.spec().input;
        let color = match channels {
            1 => Color::Grey,
            3 => Color::Rgb,
            _ => bail!("expected a model of images with 1 or 3 channels, found {rows}×{columns}×{channels}"),
        };
        let is_digit = [rows, columns, channels] == [digit::SIZE, digit::SIZE, 1];
        let side = u32::try_from(rows).ok().filter(|&side| rows == columns && side <= MAX_SIZE);
        match (prepare, side) {
            (Prepare::Auto, _) if is_digit && is_handwriting(&model.class_names) => Ok(Self::Digit),
            (Prepare::Digit, _) => {
                ensure!(
                    is_digit,
                    "--prepare digit: expected a model of 28×28×1, found {rows}×{columns}×{channels}"
                );
                Ok(Self::Digit)
            }
            (Prepare::Auto | Prepare::Square, Some(side)) => Ok(Self::Square(side, color)),
            (Prepare::Square, None) => bail!(
                "--prepare square: expected a model of square images up to {MAX_SIZE}×{MAX_SIZE}, found {rows}×{columns}"
            ),
            (Prepare::Auto | Prepare::None, _) => Ok(Self::None { columns, rows, color }),
        }
    }

    pub fn apply(self, picture: &Picture, path: &Path) -> Result<Prepared> {
        let pixels = match self {
            Self::Digit => {
                let digit = digit::prepare(&picture.pixels(Color::Grey), picture.width());
                let doubts = digit.doubts.iter().map(ToString::to_string).collect();
                return Ok(Prepared { pixels: digit.pixels.to_vec(), doubts });
            }
            Self::Square(side, color) => picture.square(side, color),
            Self::None { columns, rows, color } => {
                let (width, height) = (picture.width(), picture.height());
                ensure!(
                    [width, height] == [columns, rows],
                    "{}: expected {columns}×{rows} pixels, which this model takes as they are, found {width}×{height}",
                    path.display()
                );
                picture.pixels(color)
            }
        };
        Ok(Prepared { pixels, doubts: Vec::new() })
    }
}

/// Whether these are the classes of a set of handwriting; MNIST's own have no names in its files.
fn is_handwriting(class_names: &[String]) -> bool {
    let is_set = |set: &Set| *set != Set::FashionMnist && set.entry().class_names == class_names;
    class_names.is_empty() || Set::ALL.iter().any(is_set)
}
