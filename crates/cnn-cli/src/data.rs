//! Which images, and how the network sees them.

use crate::args;
use anyhow::Context;
use layers::{Normalization, Samples};
use mnist_io::{Dataset, Split, sample};
use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Where `cargo xtask fetch-data` puts MNIST.
const FETCHED: &str = "data/mnist";

/// The beginnings of the names of MNIST's files.
const FILES: [&str; 4] = ["train-images", "train-labels", "t10k-images", "t10k-labels"];

/// Where the images come from, and how many of each split are used.
pub struct Source {
    folder: Option<PathBuf>,
    limit: Option<usize>,
}

impl Source {
    /// The folder that was named, else the one in `MNIST_DIR`, else [`FETCHED`] where it holds MNIST, else the
    /// bundled sample.
    pub fn new(args: args::Data, default_limit: Option<usize>) -> Self {
        let named = || env::var_os("MNIST_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let fetched = || holds_mnist(Path::new(FETCHED)).then(|| FETCHED.into());
        Self { folder: args.data_dir.or_else(named).or_else(fetched), limit: args.limit.or(default_limit) }
    }

    /// The bundled sample.
    pub fn sample() -> Self {
        Self { folder: None, limit: None }
    }

    pub fn load(&self, split: Split) -> anyhow::Result<Dataset> {
        let mut dataset = match (&self.folder, split) {
            (Some(folder), _) => Dataset::load(folder, split),
            (None, Split::Train) => sample::train(),
            (None, Split::Test) => sample::test(),
        }
        .with_context(|| {
            let [images, labels] = match split {
                Split::Train => [FILES[0], FILES[1]],
                Split::Test => [FILES[2], FILES[3]],
            };
            format!("cannot load {images}-idx3-ubyte and {labels}-idx1-ubyte (plain or .gz)")
        })?;
        dataset.truncate(self.limit.unwrap_or(usize::MAX));
        Ok(dataset)
    }

    /// An error of a network that was shown these images. It names them where they are what is wrong.
    pub fn blame(&self, error: layers::Error) -> anyhow::Error {
        match error {
            layers::Error::Images { .. } | layers::Error::Label { .. } | layers::Error::NoSamples => {
                anyhow::Error::new(error).context(self.to_string())
            }
            _ => error.into(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.folder {
            Some(folder) => write!(f, "{}", folder.display()),
            None => f.write_str("the bundled sample of MNIST"),
        }
    }
}

fn holds_mnist(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    let holds = |file: &str| names.iter().any(|name| name.to_string_lossy().starts_with(file));
    FILES.into_iter().all(holds)
}

/// A data set as the network sees it.
pub struct Normalized {
    dataset: Dataset,
    /// The number for each of the 256 pixels.
    numbers: [f32; 256],
}

impl Normalized {
    pub fn new(dataset: Dataset, Normalization { mean, std }: Normalization) -> Self {
        let pixels: [u8; 256] = std::array::from_fn(|pixel| pixel as u8);
        let mut numbers = [0.0; 256];
        mnist_io::Normalization { mean, std }.apply(&pixels, &mut numbers);
        Self { dataset, numbers }
    }
}

impl Samples for Normalized {
    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn shape(&self) -> [usize; 3] {
        self.dataset.shape()
    }

    fn label(&self, index: usize) -> usize {
        self.dataset.label(index)
    }

    fn image(&self, index: usize, x: &mut [f32]) {
        for (x, &pixel) in x.iter_mut().zip(self.dataset.image(index)) {
            *x = self.numbers[usize::from(pixel)];
        }
    }
}

/// The tutorial's preparation of the pixels: from −0.5 for black to 0.5 for white.
pub const CENTERED: Normalization = Normalization {
    mean: mnist_io::Normalization::CENTERED.mean,
    std: mnist_io::Normalization::CENTERED.std,
};
