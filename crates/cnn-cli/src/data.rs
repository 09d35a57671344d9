//! Which images, and how the network sees them.

use crate::args;
use anyhow::{Context, ensure};
use layers::{Model, Normalization, Samples};
use mnist_io::catalog::{Entry, Set};
use mnist_io::pictures::{self, Color, Pictures};
use mnist_io::{Dataset, Split, sample};
use serde::{Deserialize, Serialize};
use std::env;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Once;

/// Where `cargo xtask fetch-data` puts MNIST.
const FETCHED: &str = "data/mnist";

/// The part of each class of pictures that is for testing.
const TEST_SHARE: f64 = 0.2;

/// The beginnings of the names of MNIST's files.
const FILES: [&str; 4] = ["train-images", "train-labels", "t10k-images", "t10k-labels"];

/// Where the images come from, and how many of each split are used.
pub struct Source {
    origin: Origin,
    limit: Option<usize>,
    /// Done once it is said which pictures could not be read.
    reported: Once,
}

/// Where images come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "lowercase", deny_unknown_fields)]
pub enum Origin {
    Sample {},
    /// MNIST's files in a folder.
    Folder {
        folder: PathBuf,
    },
    /// A set's own files in a folder.
    Set {
        #[serde(with = "name")]
        set: Set,
        folder: PathBuf,
    },
    Pictures {
        folder: PathBuf,
        size: u32,
        rgb: bool,
    },
}

/// A set by its name.
mod name {
    use super::Set;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(set: &Set, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(set.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Set, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Source {
    /// The pictures, the set or the folder that were named, else the folder in `MNIST_DIR`, else [`FETCHED`] where it
    /// holds MNIST, else the bundled sample.
    pub fn new(args: args::Data, default_limit: Option<usize>) -> Self {
        let limit = args.limit.or(default_limit);
        Self::from_origin(Origin::named(args).unwrap_or_else(Origin::found), limit)
    }

    /// The same for a model's images: pictures have its size and colours.
    pub fn for_model(args: args::Data, model: &Model) -> Self {
        let [rows, _, channels] = model.network.spec().input;
        let size = args.size.or(u32::try_from(rows).ok());
        Self::new(args::Data { size, rgb: args.rgb || channels == 3, ..args }, None)
    }

    pub fn from_origin(origin: Origin, limit: Option<usize>) -> Self {
        Self { origin, limit, reported: Once::new() }
    }

    /// The bundled sample.
    pub fn sample() -> Self {
        Self::from_origin(Origin::Sample {}, None)
    }

    pub fn load(&self, split: Split) -> anyhow::Result<Dataset> {
        let mut dataset = match (&self.origin, split) {
            (Origin::Sample {}, Split::Train) => sample::train()?,
            (Origin::Sample {}, Split::Test) => sample::test()?,
            (Origin::Folder { folder }, _) => Dataset::load(folder, split).with_context(|| {
                let [images, labels] = match split {
                    Split::Train => [FILES[0], FILES[1]],
                    Split::Test => [FILES[2], FILES[3]],
                };
                format!("cannot load {images}-idx3-ubyte and {labels}-idx1-ubyte (plain or .gz)")
            })?,
            (Origin::Set { set, folder }, _) => set.load(folder, split).context(NotLoaded(*set))?,
            (Origin::Pictures { folder, size, rgb }, _) => {
                let color = if *rgb { Color::Rgb } else { Color::Grey };
                self.pictures(folder, *size, color, split)?
            }
        };
        dataset.truncate(self.limit.unwrap_or(usize::MAX));
        Ok(dataset)
    }

    /// The files that a split is read from, where it is read from a few.
    pub fn files(&self, split: Split) -> anyhow::Result<Vec<PathBuf>> {
        match &self.origin {
            Origin::Folder { folder } => Ok(split.files(folder)?.into()),
            Origin::Set { set, folder } => Ok(set.files(folder, split)?),
            Origin::Sample {} | Origin::Pictures { .. } => Ok(Vec::new()),
        }
    }

    /// What is known of a set that was named.
    pub fn entry(&self) -> Option<&'static Entry> {
        match self.origin {
            Origin::Set { set, .. } => Some(set.entry()),
            _ => None,
        }
    }

    /// A split of the pictures, in random order: some of them, the first, then stand for all.
    fn pictures(&self, folder: &Path, size: u32, color: Color, split: Split) -> anyhow::Result<Dataset> {
        let parts = [folder.join("train"), folder.join("test")];
        let has_parts = parts.iter().all(|part| part.is_dir());
        let folder = match split {
            Split::Train if has_parts => &parts[0],
            Split::Test if has_parts => &parts[1],
            _ => folder,
        };
        // The message alone: what helps against errors of MNIST's files is no help here.
        let pictures = pictures::load(folder, size, color).map_err(anyhow::Error::msg)?;
        if has_parts {
            report(&pictures);
        } else {
            self.reported.call_once(|| report(&pictures));
        }
        let pictures = pictures.dataset;
        let pictures = pictures.subset(&pictures.shuffled(0))?;
        if has_parts {
            return Ok(pictures);
        }
        let (train, test) = pictures.split(TEST_SHARE, 0)?;
        Ok(pictures.subset(if split == Split::Train { &train } else { &test })?)
    }

    /// Fails where the images have other classes than those that are known.
    pub fn check_classes(&self, known: &[String], found: &[String]) -> anyhow::Result<()> {
        ensure!(
            known.is_empty() || found.is_empty() || known == found,
            "{self}: expected the classes {}, found {}",
            known.join(", "),
            found.join(", ")
        );
        Ok(())
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

impl Origin {
    /// What the flags name.
    pub fn named(args: args::Data) -> Option<Self> {
        let args::Data { dataset, data_dir, images, size, rgb, .. } = args;
        match (images, dataset, data_dir) {
            (Some(folder), ..) => Some(Self::Pictures { folder, size: size.unwrap_or(28), rgb }),
            (_, Some(set), folder) => {
                Some(Self::Set { set, folder: folder.unwrap_or_else(|| folder_of(set)) })
            }
            (_, _, folder) => folder.map(|folder| Self::Folder { folder }),
        }
    }

    /// What is there.
    pub fn found() -> Self {
        let named = || env::var_os("MNIST_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let fetched = || holds_mnist(Path::new(FETCHED)).then(|| FETCHED.into());
        named().or_else(fetched).map_or(Self::Sample {}, |folder| Self::Folder { folder })
    }

    /// The same, wherever it is asked for.
    pub fn absolute(mut self) -> io::Result<Self> {
        match &mut self {
            Self::Folder { folder } | Self::Set { folder, .. } | Self::Pictures { folder, .. } => {
                *folder = std::path::absolute(&folder)?;
            }
            Self::Sample {} => {}
        }
        Ok(self)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Sample {} => f.write_str("the bundled sample of MNIST"),
            Origin::Set { set, folder } => write!(f, "{set} in {}", folder.display()),
            Origin::Folder { folder } | Origin::Pictures { folder, .. } => write!(f, "{}", folder.display()),
        }
    }
}

/// Says on standard error which pictures are not in the set.
fn report(pictures: &Pictures) {
    let Pictures { dataset, unreadable, cache_failure, .. } = pictures;
    let mut lines = Vec::new();
    if !unreadable.is_empty() {
        let (count, all) = (unreadable.len(), unreadable.len() + dataset.len());
        lines.push(format!("warning: {count} of {all} files are left out"));
        lines.extend(unreadable.iter().map(|file| format!("  {}: {}", file.path.display(), file.reason)));
    }
    if let Some(failure) = cache_failure {
        lines.push(format!("warning: the decoded pictures could not be kept: {failure}"));
    }
    for line in lines {
        // Nobody is left to be told where standard error cannot be written.
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}

/// A set that was named could not be loaded.
#[derive(Debug)]
pub struct NotLoaded(Set);

impl NotLoaded {
    /// What helps.
    pub fn hint(&self) -> String {
        format!("`cargo xtask fetch-data {}` puts it into {}", self.0, folder_of(self.0).display())
    }
}

impl fmt::Display for NotLoaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot load {}", self.0)
    }
}

/// Where `cargo xtask fetch-data` puts a set.
pub fn folder_of(set: Set) -> PathBuf {
    Path::new("data").join(set.entry().source.folder)
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

    pub fn dataset(&self) -> &Dataset {
        &self.dataset
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
