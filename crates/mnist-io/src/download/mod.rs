//! Fetching the sets of the [`catalog`](crate::catalog): mirrors in order, each file checked before it gets its name.
//!
//! A file is streamed to `.NAME.part` beside its final place, compared with its checksum, synced, and only then renamed:
//! under its name there is never anything but the right file. What has arrived when a connection breaks, or when the
//! process is killed, stays in the part, and the next request asks the server for the rest alone. The part is locked
//! while it is written: of two fetches into one folder, the second waits and then finds the file there. Where the file
//! system has no locks, each has a part of its own, which is not resumed by a later one.
//!
//! Nothing here waits for ever: for a connection, for the next bytes and for a rate there are limits, and retries are
//! counted; see [`Options`]. Proxies are taken from `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`. Certificates are the
//! system's.
//!
//! ```no_run
//! # fn main() -> mnist_io::Result<()> {
//! use mnist_io::{Split, catalog::Set, download};
//!
//! let folder = std::path::Path::new("data/fashion-mnist");
//! download::set(Set::FashionMnist, folder)?;
//! let clothes = Set::FashionMnist.load(folder, Split::Train)?;
//! # Ok(()) }
//! ```

mod mirror;
mod part;
mod transfer;
mod verify;
mod web;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use mirror::Mirror;
use mirror::Origin;
use transfer::Transfer;

use crate::catalog::{Checksum, File, Set};
use crate::{Error, Result};

/// How long to wait, and how often to try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Ask no web server: only folders and archives are used.
    pub offline: bool,
    /// How long a server may take to accept a connection.
    pub connect_timeout: Duration,
    /// How long it may take to answer, and then to send each next piece.
    pub read_timeout: Duration,
    /// The bytes a second below which a server is given up, …
    pub min_rate: u64,
    /// … on average over this time.
    pub rate_window: Duration,
    /// How often a mirror is asked again after what may pass: a broken or slow connection, an overloaded server. An
    /// attempt that brought a megabyte more does not count.
    pub retries: u32,
    /// The time before the first retry. It doubles with each.
    pub backoff: Duration,
}

impl Default for Options {
    /// 15 s for a connection, 30 s for an answer, 1 kB/s over 30 s; 4 retries after 0.5, 1, 2 and 4 s.
    fn default() -> Self {
        Self {
            offline: false,
            connect_timeout: Duration::from_secs(15),
            read_timeout: Duration::from_secs(30),
            min_rate: 1000,
            rate_window: Duration::from_secs(30),
            retries: 4,
            backoff: Duration::from_millis(500),
        }
    }
}

/// What is going on, for a display.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A file that was there is not valid; it is replaced when a valid one has arrived.
    Invalid(&'a Error),
    /// Another process or thread is fetching the file; this one waits.
    Waiting {
        /// Its name.
        file: &'a str,
    },
    /// More of a file has arrived.
    Received {
        /// Its name.
        file: &'a str,
        /// Bytes so far, those of an earlier attempt included.
        bytes: u64,
        /// Bytes in all, where the mirror says.
        total: Option<u64>,
    },
    /// A mirror is asked again.
    Retry {
        /// Why.
        error: &'a Error,
        /// After which time.
        wait: Duration,
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

/// What a mirror answered that did not have a file.
#[derive(Debug)]
pub struct Attempt {
    /// Where the file should have been.
    pub address: String,
    /// The answer, which names the address.
    pub error: Error,
}

impl Attempt {
    /// The answer without the address.
    pub fn answer(&self) -> String {
        let text = self.error.to_string();
        let answer = text.strip_prefix(&self.address).and_then(|rest| rest.strip_prefix(": "));
        answer.map_or(text.clone(), str::to_owned)
    }
}

/// Fetches the files of a set from its mirrors into a folder, which is made if need be. See [`fetch`].
///
/// # Errors
/// As for [`fetch`].
pub fn set(set: Set, directory: &Path) -> Result<Vec<Outcome>> {
    let source = set.entry().source;
    fetch(directory, source.files, &Mirror::of(source), &Options::default(), &mut |_| {})
}

/// Fetches files into a folder, which is made if need be, each from the first of the mirrors that has a valid one.
///
/// A file that is there already and valid is left alone. A mirror's bytes are stored as they come: a file that turns
/// out not to be compressed is stored without `.gz`, and one that is there in that form counts as being there.
///
/// # Errors
/// The first file that no mirror has, with what each of them answered; a folder that cannot be written to. Files that
/// were fetched before stay.
pub fn fetch(
    directory: &Path,
    files: &[File<'_>],
    mirrors: &[Mirror],
    options: &Options,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<Outcome>> {
    let origins: Vec<_> = mirrors.iter().map(|mirror| Origin::new(mirror, options)).collect();
    let mut outcomes = Vec::new();
    for file in files {
        let outcome = match verify(directory, file) {
            Ok(outcome) => outcome,
            Err(error) => {
                if !matches!(error, Error::NotFound { .. } | Error::NoFolder { .. }) {
                    progress(Progress::Invalid(&error));
                }
                fs::create_dir_all(directory)
                    .map_err(|cause| Error::Io { path: directory.to_owned(), cause })?;
                Transfer { file, directory, options }.run(&origins, progress)?
            }
        };
        progress(Progress::Done(&outcome));
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// Looks for a file in a folder, compressed or, where its checksum can tell, not, and checks it.
///
/// # Errors
/// No such folder or file; a file that is not the right one.
pub fn verify(directory: &Path, file: &File<'_>) -> Result<Outcome> {
    let names: &[&str] = match file.checksum {
        Checksum::Contents(_) if file.plain_name() != file.name => &[file.name, file.plain_name()],
        _ => &[file.name],
    };
    let mut invalid = None;
    for path in names.iter().map(|name| directory.join(name)) {
        let io = |cause| Error::Io { path: path.clone(), cause };
        let checked = match fs::File::open(&path) {
            Ok(stored) => {
                verify::verify(&stored, &path, file).and_then(|_| Ok(stored.metadata().map_err(io)?.len()))
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
            Err(cause) => Err(io(cause)),
        };
        match checked {
            Ok(bytes) => return Ok(Outcome { path, bytes, mirror: None }),
            Err(error) => invalid = invalid.or(Some(error)),
        }
    }
    Err(match invalid {
        Some(error) => error,
        None if !directory.is_dir() => Error::NoFolder { path: directory.to_owned() },
        None => {
            let names = names.iter().map(|&name| name.to_owned()).collect();
            Error::NotFound { folder: directory.to_owned(), names }
        }
    })
}
