//! Fetching MNIST: mirrors in order, each file checked against its checksum before it gets its name.
//!
//! A file is streamed to a temporary file beside its final place, decompressed and compared with the SHA-256 of the
//! original, synced, and only then renamed; whatever fails before leaves the folder as it was. A file that is there
//! already and valid is left alone.
//!
//! ```no_run
//! # fn main() -> mnist_io::Result<()> {
//! use mnist_io::download::{self, Mirror};
//! use mnist_io::{Dataset, Split};
//!
//! let folder = std::path::Path::new("data/mnist");
//! download::mnist(folder, &Mirror::mnist(), &mut |_| {})?;
//! let digits = Dataset::load(folder, Split::Train)?;
//! # Ok(()) }
//! ```

mod mirror;
mod store;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};

pub use mirror::Mirror;
use mirror::Source;

use crate::{Error, Result};

/// A gzipped file to fetch, and how to know that it is the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteFile<'a> {
    /// Its name at the mirrors and in the folder, with `.gz` at the end.
    pub name: &'a str,
    /// SHA-256 of its decompressed bytes, in lower-case hexadecimal: mirrors may compress differently.
    pub sha256: &'a str,
    /// Its length when decompressed.
    pub bytes: u64,
}

impl RemoteFile<'_> {
    /// The name of the decompressed file.
    fn plain_name(&self) -> &str {
        self.name.strip_suffix(".gz").unwrap_or(self.name)
    }
}

/// The four files of MNIST.
pub const MNIST: [RemoteFile<'static>; 4] = [
    RemoteFile {
        name: "train-images-idx3-ubyte.gz",
        sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        bytes: 47_040_016,
    },
    RemoteFile {
        name: "train-labels-idx1-ubyte.gz",
        sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        bytes: 60_008,
    },
    RemoteFile {
        name: "t10k-images-idx3-ubyte.gz",
        sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        bytes: 7_840_016,
    },
    RemoteFile {
        name: "t10k-labels-idx1-ubyte.gz",
        sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        bytes: 10_008,
    },
];

/// What is going on, for a display.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A file that was there is not valid; it is replaced when a valid one has arrived.
    Invalid(&'a Error),
    /// More of a file has arrived.
    Received {
        /// Its name.
        file: &'a str,
        /// Bytes so far.
        bytes: u64,
        /// Bytes in all, where the mirror says.
        total: Option<u64>,
    },
    /// A mirror did not have the file; the next one is tried.
    Failed(&'a Error),
    /// A file is in place.
    Done(&'a Outcome),
}

/// A file that is in place and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Where it is.
    pub path: PathBuf,
    /// Its length on disk.
    pub bytes: u64,
    /// Where it came from, or `None` where it was there already.
    pub mirror: Option<Mirror>,
}

/// Fetches the four files of MNIST into a folder, which is made if need be. See [`fetch`].
///
/// # Errors
/// As for [`fetch`].
pub fn mnist(
    directory: &Path,
    mirrors: &[Mirror],
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<Outcome>> {
    fetch(directory, &MNIST, mirrors, progress)
}

/// Fetches files into a folder, which is made if need be, each from the first of the mirrors that has a valid one.
///
/// A mirror's bytes are stored as they come: a file that turns out not to be compressed is stored without `.gz`, and
/// one that is there in that form counts as being there.
///
/// # Errors
/// The first file that no mirror has, with what each of them answered; a folder that cannot be written to. Files that
/// were fetched before stay.
pub fn fetch(
    directory: &Path,
    files: &[RemoteFile<'_>],
    mirrors: &[Mirror],
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<Outcome>> {
    fs::create_dir_all(directory).map_err(|cause| Error::Io { path: directory.to_owned(), cause })?;
    let sources: Vec<Source> = mirrors.iter().map(Source::new).collect();
    let mut outcomes = Vec::new();
    for file in files {
        let outcome = match present(directory, file, progress)? {
            Some(outcome) => outcome,
            None => from_first(&sources, directory, file, progress)?,
        };
        progress(Progress::Done(&outcome));
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// The file, if it is there and valid.
fn present(
    directory: &Path,
    file: &RemoteFile<'_>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Option<Outcome>> {
    for name in [file.name, file.plain_name()] {
        let path = directory.join(name);
        if !path.is_file() {
            continue;
        }
        match verify::file(&path, &path, file) {
            Ok(_) => {
                let metadata = fs::metadata(&path);
                let bytes = metadata.map_err(|cause| Error::Io { path: path.clone(), cause })?.len();
                return Ok(Some(Outcome { path, bytes, mirror: None }));
            }
            Err(error) => progress(Progress::Invalid(&error)),
        }
    }
    Ok(None)
}

/// The file from the first source that has a valid one.
fn from_first(
    sources: &[Source<'_>],
    directory: &Path,
    file: &RemoteFile<'_>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Outcome> {
    let mut attempts = Vec::new();
    for source in sources {
        match source.open(file).and_then(|body| store::store(body, directory, file, progress)) {
            Ok((path, bytes)) => return Ok(Outcome { path, bytes, mirror: Some(source.mirror.clone()) }),
            Err(error) => {
                progress(Progress::Failed(&error));
                attempts.push(error);
            }
        }
    }
    Err(Error::AllMirrors { file: file.name.to_owned(), attempts })
}
