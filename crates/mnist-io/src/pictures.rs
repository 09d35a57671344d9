//! Your own pictures: a folder with one sub-folder a class, its name the name of the class.
//!
//! ```text
//! pets/cat/one.png
//! pets/cat/two.jpg
//! pets/dog/three.bmp
//! ```
//!
//! A picture is a PNG, JPEG or BMP file of any size, grey or coloured. It is turned as its camera says, its middle square
//! is cut out, transparent parts become white, and the square is resized, each new pixel the weighted mean of all that it
//! covers, so that fine patterns turn into grey and not into false ones. Files whose names begin with a dot are passed over.
//!
//! Decoding takes time, so what became of the pictures is kept in a file in the folder, `.pictures-28-grey` for 28 × 28 grey
//! pixels. A picture is decoded again when its name, length or time of modification is another; a cache that is broken
//! is made again.
//!
//! A single file is a [`Picture`]; what a digit drawn or photographed becomes, so that a network which learned from MNIST
//! knows it, is in [`digit`].

mod cache;
pub mod digit;
mod picture;

pub use picture::Picture;

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rayon::prelude::*;

use crate::{Dataset, Error, Result};
use cache::Cache;

/// What pixels become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// One channel.
    Grey,
    /// Three channels: red, green, blue.
    Rgb,
}

impl Color {
    /// The number of channels.
    pub fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Grey => "grey",
            Self::Rgb => "rgb",
        }
    }
}

/// What a folder of pictures gave.
#[derive(Debug)]
pub struct Pictures {
    /// The pictures that could be read, ordered by class and name. The classes are the sub-folders, ordered by name; one
    /// without pictures is a class, too.
    pub dataset: Dataset,
    /// Those that could not.
    pub unreadable: Vec<Unreadable>,
    /// How many were decoded; the others came from the cache.
    pub decoded: usize,
    /// Why the cache could not be written, if it could not: the folder may be for reading only.
    pub cache_failure: Option<Error>,
}

/// A file that is not in the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// The largest `size` there may be.
pub const MAX_SIZE: u32 = 4096;

/// Loads the pictures below `folder`, each made `size` × `size` pixels of this colour.
///
/// ```no_run
/// # fn main() -> mnist_io::Result<()> {
/// use std::path::Path;
/// use mnist_io::pictures::{self, Color};
///
/// let pets = pictures::load(Path::new("pets"), 32, Color::Rgb)?;
/// for file in &pets.unreadable {
///     println!("{}: {}", file.path.display(), file.reason);
/// }
/// println!("{} pictures of {}", pets.dataset.len(), pets.dataset.class_names().join(", "));
/// # Ok(()) }
/// ```
///
/// # Errors
/// A size that is not from 1 to [`MAX_SIZE`]; no such folder, or one without sub-folders or without a single picture that
/// can be read; what the operating system refuses on the folders. What is wrong with single files is in the result.
pub fn load(folder: &Path, size: u32, color: Color) -> Result<Pictures> {
    if !(1..=MAX_SIZE).contains(&size) {
        return Err(Error::PictureSize { found: size });
    }
    let Listing { class_names, files, mut unreadable } = list(folder)?;
    let cache = Cache::read(folder, size, color);
    let decode = |file: &File| match cache.find(file) {
        Some(pixels) => Ok((Cow::Borrowed(pixels), false)),
        None => {
            let pixels = Picture::read(&file.path).map(|picture| picture.square(size, color));
            pixels.map(|pixels| (Cow::Owned(pixels), true))
        }
    };
    // All are decoded before the first is kept: the threads end in no fixed order, and the set has one.
    let outcomes: Vec<Result<_, String>> = files.par_iter().map(decode).collect();

    let pixels = (size * size) as usize * color.channels();
    let (mut images, mut labels, mut read) =
        (Vec::with_capacity(files.len() * pixels), Vec::new(), Vec::new());
    let mut decoded = 0;
    for (file, outcome) in files.into_iter().zip(outcomes) {
        match outcome {
            Ok((pixels, is_new)) => {
                images.extend_from_slice(&pixels);
                labels.push(file.class);
                decoded += usize::from(is_new);
                read.push(file);
            }
            Err(reason) => unreadable.push(Unreadable { path: file.path, reason }),
        }
    }
    if read.is_empty() {
        return Err(Error::NoPictures { path: folder.to_owned(), classes: class_names.len(), unreadable });
    }
    let is_stale = decoded > 0 || cache.len() != read.len();
    let cache_failure =
        is_stale.then(|| cache::write(folder, size, color, &read, &images)).and_then(Result::err);
    let shape = [size as usize, size as usize, color.channels()];
    let dataset = Dataset::new(images, shape, labels)?.with_class_names(class_names)?;
    Ok(Pictures { dataset, unreadable, decoded, cache_failure })
}

/// What lies in a folder of classes, in order.
struct Listing {
    class_names: Vec<String>,
    files: Vec<File>,
    /// Files beside the classes' folders.
    unreadable: Vec<Unreadable>,
}

/// A file, and what tells whether it has changed.
struct File {
    path: PathBuf,
    class: usize,
    /// Class and file name, as the system has them.
    name: Vec<u8>,
    bytes: u64,
    /// Nanoseconds since 1970.
    modified: u64,
}

fn list(folder: &Path) -> Result<Listing> {
    if !folder.is_dir() {
        return Err(Error::NoFolder { path: folder.to_owned() });
    }
    let (classes, strays): (Vec<_>, Vec<_>) = entries(folder)?.into_iter().partition(|path| path.is_dir());
    let stray = |path| Unreadable { path, reason: "expected a folder of a class, found a file".to_owned() };
    let mut listing = Listing {
        class_names: Vec::new(),
        files: Vec::new(),
        unreadable: strays.into_iter().map(stray).collect(),
    };
    for (class, folder) in classes.iter().enumerate() {
        listing.class_names.push(last(folder).to_string_lossy().into_owned());
        for path in entries(folder)? {
            let name = [last(folder).as_encoded_bytes(), b"/", last(&path).as_encoded_bytes()].concat();
            // A file that cannot even be asked this is refused when it is decoded, with the reason.
            let metadata = fs::metadata(&path).ok();
            let bytes = metadata.as_ref().map_or(0, fs::Metadata::len);
            let modified =
                metadata.and_then(|metadata| metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok());
            let modified = modified.map_or(0, |time| time.as_nanos() as u64);
            listing.files.push(File { path, class, name, bytes, modified });
        }
    }
    Ok(listing)
}

/// What lies in a folder and is not hidden, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let io = |cause| Error::Io { path: folder.to_owned(), cause };
    let paths = fs::read_dir(folder).map_err(io)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<io::Result<Vec<_>>>().map_err(io)?;
    paths.retain(|path| !last(path).as_encoded_bytes().starts_with(b"."));
    paths.sort();
    Ok(paths)
}

/// The last part of a path that was listed.
fn last(path: &Path) -> &std::ffi::OsStr {
    path.file_name().unwrap_or_default()
}
