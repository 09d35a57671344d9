//! From the files of a set to its images, upright, and its labels, counted from 0.

use std::path::{Path, PathBuf};

use super::Set;
use crate::dataset::{class_labels, find};
use crate::gunzip::Source;
use crate::idx::{self, Idx, Values};
use crate::{Dataset, Error, Result, Split};

/// Rows and columns of every image of the family.
const SIDE: usize = 28;

/// Test digits that QMNIST has in common with MNIST; the others follow them in the same files.
const COMMON: usize = 10_000;

impl Set {
    /// Loads a split, with its class names, from the folder with the set's files, each as it was fetched or
    /// decompressed.
    ///
    /// EMNIST is read from its archive, which needs the feature `zip`, or from the files in it where they were
    /// unpacked; its images, stored column by column, are turned, and the labels of `emnist-letters`, stored as 1 to
    /// 26, become 0 to 25. Of QMNIST's labels, eight numbers each, the first is taken, which is the class.
    ///
    /// ```no_run
    /// # fn main() -> mnist_io::Result<()> {
    /// use std::path::Path;
    /// use mnist_io::{Split, catalog::Set};
    ///
    /// let letters = Set::EmnistLetters.load(Path::new("data/emnist"), Split::Test)?;
    /// println!("{} letters; the first is {}", letters.len(), letters.class_names()[letters.label(0)]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// No such folder or file; a file that is not whole; another number or size of images than the set has; a label
    /// that is none of its classes.
    pub fn load(self, folder: &Path, split: Split) -> Result<Dataset> {
        let layout = self.layout(split);
        let [images, labels] = self.places(folder, &layout)?;
        let Layout { stored, skipped, first_label, .. } = layout;
        let (images, path) = images.read(stored * SIDE * SIDE)?;
        let Values::U8(mut pixels) = images.values else {
            return Err(Error::ValueType { path, expected: "u8", found: images.values.type_name() });
        };
        let expected = [stored, SIDE, SIDE];
        if images.shape != expected {
            return Err(Error::Shape { path, expected: expected.to_vec(), found: images.shape });
        }
        let (labels, labels_path) = labels.read(stored * LABEL_BYTES)?;
        let mut labels = class_labels(first_column(labels), &labels_path)?;
        if labels.len() != stored {
            let (images, labels, found) = (path, labels_path, labels.len());
            return Err(Error::Count { images, labels, expected: stored, found });
        }
        let classes = self.entry().class_names.len();
        for (index, label) in labels.iter_mut().enumerate() {
            let found = *label;
            *label = found.checked_sub(first_label).filter(|&label| label < classes).ok_or_else(|| {
                let (path, last) = (labels_path.clone(), first_label + classes - 1);
                Error::Class { path, index, first: first_label, last, found }
            })?;
        }

        let kept = self.entry().images(split);
        pixels.drain(..skipped * SIDE * SIDE);
        pixels.truncate(kept * SIDE * SIDE);
        labels.drain(..skipped);
        labels.truncate(kept);
        if self.is_emnist() {
            pixels.chunks_exact_mut(SIDE * SIDE).for_each(transpose);
        }
        Dataset::new(pixels, [SIDE, SIDE, 1], labels)?
            .with_class_names(self.entry().class_names.iter().copied())
    }

    /// The files in the folder that [`load`](Self::load) reads: one of images and one of labels, or EMNIST's archive,
    /// which holds both.
    ///
    /// # Errors
    /// No such folder or file.
    pub fn files(self, folder: &Path, split: Split) -> Result<Vec<PathBuf>> {
        let places = self.places(folder, &self.layout(split))?;
        let mut paths = Vec::from(places.map(Place::path));
        paths.dedup();
        Ok(paths)
    }

    fn is_emnist(self) -> bool {
        use Set::*;
        matches!(
            self,
            EmnistByclass | EmnistBymerge | EmnistBalanced | EmnistLetters | EmnistDigits | EmnistMnist
        )
    }

    fn layout(self, split: Split) -> Layout {
        let part = match split {
            Split::Train => "train",
            Split::Test => "test",
        };
        let usual = Layout {
            stem: split.prefix().to_owned(),
            labels_kind: "idx1-ubyte",
            stored: self.entry().images(split),
            skipped: 0,
            first_label: 0,
        };
        match self {
            Self::Mnist | Self::FashionMnist | Self::Kmnist => usual,
            Self::Qmnist | Self::QmnistExtra => Layout {
                stem: format!("qmnist-{part}"),
                labels_kind: "idx2-int",
                // Training and test files are as long.
                stored: self.entry().train,
                skipped: if (self, split) == (Self::QmnistExtra, Split::Test) { COMMON } else { 0 },
                ..usual
            },
            _ => Layout {
                stem: format!("{}-{part}", self.name()),
                first_label: usize::from(self == Self::EmnistLetters),
                ..usual
            },
        }
    }

    /// Where the images and the labels are.
    fn places(self, folder: &Path, layout: &Layout) -> Result<[Place; 2]> {
        let Layout { stem, labels_kind, .. } = layout;
        let images = self.place(folder, &format!("{stem}-images"), "idx3-ubyte")?;
        Ok([images, self.place(folder, &format!("{stem}-labels"), labels_kind)?])
    }

    fn place(self, folder: &Path, stem: &str, kind: &str) -> Result<Place> {
        match find(folder, stem, kind) {
            #[cfg(feature = "zip")]
            Err(Error::NotFound { folder, mut names }) if self.is_emnist() => {
                let archive = self.entry().source.files[0].name;
                let path = folder.join(archive);
                if path.exists() {
                    return Ok(Place::Archive(path, names));
                }
                names.push(archive.to_owned());
                Err(Error::NotFound { folder, names })
            }
            found => found.map(Place::File),
        }
    }
}

/// Where an array is.
enum Place {
    File(PathBuf),
    /// In an archive, under one of these names.
    #[cfg(feature = "zip")]
    Archive(PathBuf, Vec<String>),
}

impl Place {
    /// The file in the folder.
    fn path(self) -> PathBuf {
        match self {
            Self::File(path) => path,
            #[cfg(feature = "zip")]
            Self::Archive(path, _) => path,
        }
    }

    /// The array, of at most so many bytes, and its path.
    fn read(self, limit: usize) -> Result<(Idx, PathBuf)> {
        match self {
            Self::File(path) => {
                let array = idx::decode(Source::open(&path, &path)?.limited(limit as u64), &path)?;
                Ok((array, path))
            }
            #[cfg(feature = "zip")]
            Self::Archive(path, names) => {
                let file = std::fs::File::open(&path);
                let file = file.map_err(|cause| Error::Io { path: path.clone(), cause })?;
                let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
                let array =
                    crate::archive::read(std::io::BufReader::new(file), &path, &wanted, limit as u64)?;
                Ok((array, path.join(&names[0])))
            }
        }
    }
}

/// The most bytes that a label takes: QMNIST's eight numbers of four.
const LABEL_BYTES: usize = 32;

/// How a split is stored.
struct Layout {
    /// The beginning of the files' names.
    stem: String,
    /// How the name of the labels' file ends.
    labels_kind: &'static str,
    /// Images in the file.
    stored: usize,
    /// Images before the first one of the split.
    skipped: usize,
    /// The number of the first class.
    first_label: usize,
}

/// The first number of each row of i32, if these are rows.
fn first_column(array: Idx) -> Idx {
    match (array.shape.as_slice(), &array.values) {
        (&[rows, columns], Values::I32(values)) if columns > 0 => {
            let first = values.chunks_exact(columns).map(|row| row[0]).collect();
            Idx { shape: vec![rows], values: Values::I32(first) }
        }
        _ => array,
    }
}

/// Swaps rows and columns of an image.
fn transpose(image: &mut [u8]) {
    for row in 0..SIDE {
        for column in 0..row {
            image.swap(row * SIDE + column, column * SIDE + row);
        }
    }
}
