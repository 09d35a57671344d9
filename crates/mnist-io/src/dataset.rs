use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::idx::{self, Idx, Values};
use crate::normalization::look_up;
use crate::{Error, Normalization, Result};

/// Images of bytes and their labels, checked to belong together.
///
/// An image is `rows × columns × channels` bytes, channels adjacent, then columns, then rows; one follows another.
#[derive(Clone, PartialEq, Eq)]
pub struct Dataset {
    images: Vec<u8>,
    shape: [usize; 3],
    labels: Vec<usize>,
    /// Above every label.
    classes: usize,
    /// None, or one a class.
    class_names: Vec<String>,
}

/// The two parts that a set of the MNIST family comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// The images to learn from: files named `train-…`.
    Train,
    /// The images to be judged by: files named `t10k-…`.
    Test,
}

impl Split {
    /// The files of images and of labels in a folder that holds a set of the MNIST family under its usual names: for
    /// [`Split::Train`], the first there is of `train-images-idx3-ubyte.gz`, `train-images-idx3-ubyte`,
    /// `train-images.idx3-ubyte.gz` and `train-images.idx3-ubyte`, and the same of `train-labels-idx1-ubyte`;
    /// for [`Split::Test`], `t10k-…`.
    ///
    /// # Errors
    /// No such folder, no such file.
    pub fn files(self, directory: &Path) -> Result<[PathBuf; 2]> {
        let prefix = self.prefix();
        let images = find(directory, &format!("{prefix}-images"), "idx3-ubyte")?;
        let labels = find(directory, &format!("{prefix}-labels"), "idx1-ubyte")?;
        Ok([images, labels])
    }

    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "t10k",
        }
    }
}

impl Dataset {
    /// The largest label there may be: far above any set in this format, and low enough that a broken file cannot
    /// ask for a network with billions of outputs.
    pub const MAX_LABEL: usize = 65_535;

    /// Pairs images of `shape` (rows, columns, channels) with their labels.
    ///
    /// # Errors
    /// `images` is not `labels.len()` times `rows · columns · channels` bytes, a size is zero, or a label is above
    /// [`MAX_LABEL`](Self::MAX_LABEL).
    pub fn new(images: Vec<u8>, shape: [usize; 3], labels: Vec<usize>) -> Result<Self> {
        if shape.contains(&0) {
            return Err(Error::NoPixels { path: "images".into(), shape });
        }
        // No vector is usize::MAX long, so a product that overflows fits none.
        let expected = shape.iter().fold(labels.len(), |product, &n| product.saturating_mul(n));
        if images.len() != expected {
            return Err(Error::PixelCount { labels: labels.len(), shape, expected, found: images.len() });
        }
        for (index, &label) in labels.iter().enumerate() {
            check_label(i64::try_from(label).unwrap_or(i64::MAX), index, Path::new("labels"))?;
        }
        let classes = labels.iter().max().map_or(0, |&label| label + 1);
        Ok(Self { images, shape, labels, classes, class_names: Vec::new() })
    }

    /// Names the classes, all of them and in their order: there are then as many classes as names.
    ///
    /// ```
    /// # fn main() -> mnist_io::Result<()> {
    /// use mnist_io::Dataset;
    ///
    /// let set = Dataset::new(vec![0; 3], [1, 1, 1], vec![2, 0, 2])?.with_class_names(["cat", "cow", "dog"])?;
    /// assert_eq!((set.class_names()[set.label(0)].as_str(), set.class_counts()), ("dog", vec![1, 0, 2]));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A label that is left without a name.
    pub fn with_class_names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Result<Self> {
        let names: Vec<String> = names.into_iter().map(N::into).collect();
        let beyond = self.labels.iter().position(|&label| label >= names.len());
        if let Some(index) = beyond {
            let (path, classes, found) = ("labels".into(), names.len(), self.labels[index]);
            return Err(Error::Unnamed { path, index, classes, found });
        }
        (self.classes, self.class_names) = (names.len(), names);
        Ok(self)
    }

    /// Loads a split from a folder that holds a set of the MNIST family under its usual names:
    /// [`files`](Split::files) finds them. Whether a file is compressed is told by its first bytes.
    ///
    /// # Errors
    /// No such folder, no such file, and as for [`read`](Self::read).
    pub fn load(directory: &Path, split: Split) -> Result<Self> {
        let [images, labels] = split.files(directory)?;
        Self::read(&images, &labels)
    }

    /// Reads a pair of IDX files, each plain or gzip: images of bytes, of shape (n, rows, columns), and n labels
    /// of any integer type.
    ///
    /// # Errors
    /// As for [`idx::read`]; a file of another shape or type; unequal counts; images without pixels; a label
    /// that is negative or above [`MAX_LABEL`](Self::MAX_LABEL).
    pub fn read(images: &Path, labels: &Path) -> Result<Self> {
        Self::pair(idx::read(images)?, images, idx::read(labels)?, labels)
    }

    /// What [`read`](Self::read) does, with arrays that are decoded already; the paths name them in errors.
    pub(crate) fn pair(images: Idx, images_path: &Path, labels: Idx, labels_path: &Path) -> Result<Self> {
        let path = || images_path.to_owned();
        let &[count, rows, columns] = images.shape.as_slice() else {
            return Err(Error::Rank {
                path: path(),
                expected: "(images, rows, columns)",
                found: images.shape,
            });
        };
        let Values::U8(pixels) = images.values else {
            let found = images.values.type_name();
            return Err(Error::ValueType { path: path(), expected: "u8", found });
        };
        // Before the labels get the eight-fold memory of classes.
        if let &[found] = labels.shape.as_slice()
            && found != count
        {
            let labels = labels_path.to_owned();
            return Err(Error::Count { images: path(), labels, expected: count, found });
        }
        let labels = class_labels(labels, labels_path)?;
        let shape = [rows, columns, 1];
        if shape.contains(&0) {
            return Err(Error::NoPixels { path: path(), shape });
        }
        Self::new(pixels, shape, labels)
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Rows, columns and channels of each image; none is zero.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The number of classes: as many as have names, and without names the largest label + 1 of the set as it was
    /// made.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// What the classes are called: a name for each, or none at all.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// How many images there are of each class.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes];
        self.labels.iter().for_each(|&label| counts[label] += 1);
        counts
    }

    /// Mean and standard deviation of all pixels, as [`Normalization`] has them: shares of white. Both are NaN without
    /// images.
    pub fn mean_and_std(&self) -> (f64, f64) {
        let mut counts = [0_u128; 256];
        self.images.iter().for_each(|&pixel| counts[usize::from(pixel)] += 1);
        let (mut n, mut sum, mut squares) = (0, 0, 0);
        for (pixel, count) in (0..).zip(counts) {
            n += count;
            sum += count * pixel;
            squares += count * pixel * pixel;
        }
        // Whole numbers up to the division: however large the set, nothing is rounded away.
        let white = 255.0 * n as f64;
        (sum as f64 / white, ((n * squares - sum * sum) as f64).sqrt() / white)
    }

    /// The bytes of image `i`.
    ///
    /// # Panics
    /// If `i` is not below [`len`](Self::len), as a slice index does.
    pub fn image(&self, i: usize) -> &[u8] {
        assert!(i < self.len(), "image {i} of a data set of {}", self.len());
        let pixels = self.pixels();
        &self.images[i * pixels..][..pixels]
    }

    /// The class of image `i`.
    ///
    /// # Panics
    /// If `i` is not below [`len`](Self::len), as a slice index does.
    pub fn label(&self, i: usize) -> usize {
        self.labels[i]
    }

    /// The bytes of all images, one after another.
    pub fn images(&self) -> &[u8] {
        &self.images
    }

    /// The class of each image.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Each image with its label, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], usize)> + DoubleEndedIterator {
        self.images.chunks_exact(self.pixels()).zip(self.labels.iter().copied())
    }

    /// Keeps the first `n` images, all of them where there are no more than `n`, and all classes.
    pub fn truncate(&mut self, n: usize) {
        self.labels.truncate(n);
        self.images.truncate(self.labels.len() * self.pixels());
    }

    /// The images at `indices`, in this order, with the same classes.
    ///
    /// # Errors
    /// An index that is not below [`len`](Self::len).
    pub fn subset(&self, indices: &[usize]) -> Result<Self> {
        self.check(indices)?;
        let images = indices.iter().map(|&i| self.image(i)).collect::<Vec<_>>().concat();
        let labels = indices.iter().map(|&i| self.label(i)).collect();
        Ok(Self {
            images,
            shape: self.shape,
            labels,
            classes: self.classes,
            class_names: self.class_names.clone(),
        })
    }

    /// Writes the images at `indices`, normalised, one after another into `out`. Allocates nothing.
    ///
    /// ```
    /// # fn main() -> mnist_io::Result<()> {
    /// use mnist_io::{Normalization, sample};
    ///
    /// let digits = sample::train()?;
    /// let mut batch = vec![0.0; 32 * 28 * 28];
    /// for start in (0..96).step_by(32) {
    ///     let indices: [usize; 32] = std::array::from_fn(|i| start + i);
    ///     digits.gather(&indices, Normalization::CENTERED, &mut batch)?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// An index that is not below [`len`](Self::len), or an `out` that is not exactly `indices.len()` images long;
    /// `out` is then as it was.
    pub fn gather(&self, indices: &[usize], normalization: Normalization, out: &mut [f32]) -> Result<()> {
        self.check(indices)?;
        let expected = indices.len().saturating_mul(self.pixels());
        if out.len() != expected {
            return Err(Error::Output { expected, found: out.len() });
        }
        let table = normalization.table();
        for (&i, out) in indices.iter().zip(out.chunks_exact_mut(self.pixels())) {
            look_up(&table, self.image(i), out);
        }
        Ok(())
    }

    fn check(&self, indices: &[usize]) -> Result<()> {
        match indices.iter().position(|&i| i >= self.len()) {
            Some(place) => Err(Error::Index { place, len: self.len(), found: indices[place] }),
            None => Ok(()),
        }
    }

    /// Bytes of an image: at least 1.
    fn pixels(&self) -> usize {
        self.shape.iter().product()
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Dataset")
            .field("len", &self.len())
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

/// The first file that exists of the spellings of a name.
pub(crate) fn find(folder: &Path, stem: &str, kind: &str) -> Result<PathBuf> {
    let names = [
        format!("{stem}-{kind}.gz"),
        format!("{stem}-{kind}"),
        format!("{stem}.{kind}.gz"),
        format!("{stem}.{kind}"),
    ];
    for name in &names {
        let path = folder.join(name);
        match fs::metadata(&path) {
            // Some archives unpack to a folder of the file's own name.
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Ok(path),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(Error::Io { path, cause }),
        }
    }
    let folder = folder.to_owned();
    if !folder.is_dir() {
        return Err(Error::NoFolder { path: folder });
    }
    Err(Error::NotFound { folder, names: names.to_vec() })
}

/// The labels in an array of one axis and any integer type.
pub(crate) fn class_labels(labels: Idx, path: &Path) -> Result<Vec<usize>> {
    if labels.shape.len() != 1 {
        return Err(Error::Rank { path: path.to_owned(), expected: "(labels)", found: labels.shape });
    }
    match &labels.values {
        Values::U8(values) => check_labels(values, path),
        Values::I8(values) => check_labels(values, path),
        Values::I16(values) => check_labels(values, path),
        Values::I32(values) => check_labels(values, path),
        other @ (Values::F32(_) | Values::F64(_)) => {
            let (path, found) = (path.to_owned(), other.type_name());
            Err(Error::ValueType { path, expected: "u8, i8, i16 or i32", found })
        }
    }
}

fn check_labels<T: Copy + Into<i64>>(labels: &[T], path: &Path) -> Result<Vec<usize>> {
    labels.iter().enumerate().map(|(index, &label)| check_label(label.into(), index, path)).collect()
}

fn check_label(found: i64, index: usize, path: &Path) -> Result<usize> {
    usize::try_from(found).ok().filter(|&label| label <= Dataset::MAX_LABEL).ok_or_else(|| Error::Label {
        path: path.to_owned(),
        index,
        found,
    })
}
