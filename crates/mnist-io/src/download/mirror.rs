//! Where files come from: a web server, a folder or an archive.

use std::fmt;
use std::fs;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use reqwest::Url;

use super::Options;
use super::web::{Client, Validator};
use crate::catalog::{self, File};
use crate::{Error, Result, archive};

/// A place that has the files: an `http`, `https` or `file` URL, or the path of a folder. A local path may also be that
/// of a zip archive with the files in it, or of one of the files itself.
///
/// ```
/// use mnist_io::download::Mirror;
///
/// assert!("https://example.org/mnist/".parse::<Mirror>().is_ok());
/// assert_eq!("file:///srv/mnist".parse::<Mirror>()?, "/srv/mnist".parse()?);
/// assert!("ftp://example.org/mnist/".parse::<Mirror>().is_err());
/// # Ok::<(), mnist_io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror(Place);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Web(Url),
    Local(PathBuf),
}

impl Mirror {
    /// The web's mirrors of a set, in the order in which to try them.
    pub fn of(source: &catalog::Source) -> Vec<Self> {
        source.mirrors.iter().filter_map(|address| address.parse().ok()).collect()
    }

    /// The address of a file there, for messages.
    fn address(&self, file: &File<'_>) -> String {
        match &self.0 {
            Place::Web(base) => format!("{base}{}", file.name),
            Place::Local(path) if path.is_file() => path.display().to_string(),
            Place::Local(path) => in_folder(path, file).display().to_string(),
        }
    }
}

impl FromStr for Mirror {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unusable = || Error::Mirror { found: text.to_owned() };
        if text.is_empty() {
            return Err(unusable());
        }
        if !text.contains("://") {
            return Ok(Self(Place::Local(text.into())));
        }
        let mut url = Url::parse(text).map_err(|_| unusable())?;
        match url.scheme() {
            "file" => url.to_file_path().map(|path| Self(Place::Local(path))).map_err(|()| unusable()),
            "http" | "https" => {
                // Without the slash at its end, the last part of the path would be replaced by a file's name.
                url.path_segments_mut().map_err(|()| unusable())?.pop_if_empty().push("");
                Ok(Self(Place::Web(url)))
            }
            _ => Err(unusable()),
        }
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.0 {
            Place::Web(url) => url.fmt(f),
            Place::Local(path) => path.display().fmt(f),
        }
    }
}

/// A file as a mirror offers it.
pub(super) struct Body<'a> {
    pub(super) reader: Box<dyn Read + 'a>,
    /// How many bytes of the file come before the first one that the reader gives.
    pub(super) start: u64,
    /// The length of the whole file, where the mirror says.
    pub(super) total: Option<u64>,
    /// Whether the server says that it has compressed what it sends.
    pub(super) coded: bool,
}

/// A mirror and its connections.
pub(super) struct Origin<'a> {
    pub(super) mirror: &'a Mirror,
    client: Client,
}

impl<'a> Origin<'a> {
    pub(super) fn new(mirror: &'a Mirror, options: &Options) -> Self {
        Self { mirror, client: Client::new(options) }
    }

    pub(super) fn address(&self, file: &File<'_>) -> String {
        self.mirror.address(file)
    }

    /// Whether an answer may be another one a moment later.
    pub(super) fn is_web(&self) -> bool {
        matches!(self.mirror.0, Place::Web(_))
    }

    /// Hands the file to `take`: what follows its first `from` bytes, or all of it where that cannot be had.
    pub(super) fn open<T>(
        &self,
        file: &File<'_>,
        from: u64,
        validator: &mut Option<Validator>,
        take: impl FnOnce(Body<'_>) -> Result<T>,
    ) -> Result<T> {
        match &self.mirror.0 {
            Place::Web(base) => take(self.client.get(base, file, from, validator)?),
            Place::Local(path) if path.is_file() && !is_file_itself(path, file) => {
                open_archive(path, file, take)
            }
            Place::Local(path) if path.is_file() => open_local(path, take),
            Place::Local(path) => open_local(&in_folder(path, file), take),
        }
    }
}

/// Whether a local file is the one that is wanted, not an archive that holds it. A set that comes as an archive may have
/// been saved under another name.
fn is_file_itself(path: &Path, file: &File<'_>) -> bool {
    let is_called = |name: &str| path.file_name().is_some_and(|found| found == name);
    is_called(file.name) || is_called(file.plain_name()) || file.name.ends_with(".zip")
}

/// Where the file is in a folder, compressed if it is there in both forms.
fn in_folder(folder: &Path, file: &File<'_>) -> PathBuf {
    let [zipped, plain] = [file.name, file.plain_name()].map(|name| folder.join(name));
    if !zipped.exists() && plain.exists() { plain } else { zipped }
}

fn open_local<T>(path: &Path, take: impl FnOnce(Body<'_>) -> Result<T>) -> Result<T> {
    let io = |cause| Error::Io { path: path.to_owned(), cause };
    let opened = fs::File::open(path).map_err(io)?;
    let total = Some(opened.metadata().map_err(io)?.len());
    let reader = Box::new(Local { reader: opened, path });
    take(Body { reader, start: 0, total, coded: false })
}

fn open_archive<T>(path: &Path, file: &File<'_>, take: impl FnOnce(Body<'_>) -> Result<T>) -> Result<T> {
    let opened = fs::File::open(path).map_err(|cause| Error::Io { path: path.to_owned(), cause })?;
    archive::member(BufReader::new(opened), path, &[file.name, file.plain_name()], |member| {
        let reader = Box::new(Local { reader: member.reader, path: &member.path });
        take(Body { reader, start: 0, total: Some(member.bytes), coded: false })
    })
}

/// A reader whose errors say what it reads.
struct Local<'a, R> {
    reader: R,
    path: &'a Path,
}

impl<R: Read> Read for Local<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer);
        read.map_err(|cause| io::Error::other(Error::Io { path: self.path.to_owned(), cause }))
    }
}
