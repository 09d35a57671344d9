//! IDX files in a zip archive, as EMNIST comes.

use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::gunzip::Source;
use crate::idx::{self, Idx};
use crate::{Error, Result};

/// Reads the IDX file, plain or gzip, that has one of the names in whichever folder of the archive; `origin` names the
/// archive in errors.
///
/// # Errors
/// No zip archive, no such file in it, and as for [`idx::parse`]; a header that promises more than `limit` bytes of
/// values, before any of them is read.
pub fn read(archive: impl Read + Seek, origin: &Path, names: &[&str], limit: u64) -> Result<Idx> {
    member(archive, origin, names, |member| {
        let source = Source::new(BufReader::new(member.reader), Some(member.bytes), &member.path)?;
        idx::decode(source.limited(limit), &member.path)
    })
}

/// A file in an archive.
pub(crate) struct Member<'a> {
    pub(crate) reader: Box<dyn Read + 'a>,
    /// The path of the archive, and below it the path in the archive.
    pub(crate) path: PathBuf,
    /// Its length, as the archive has it.
    pub(crate) bytes: u64,
}

/// Hands the file that has the first of the names to be there to `read`.
pub(crate) fn member<T>(
    archive: impl Read + Seek,
    origin: &Path,
    names: &[&str],
    read: impl FnOnce(Member<'_>) -> Result<T>,
) -> Result<T> {
    let broken = |path: &Path, cause: ZipError| match cause {
        ZipError::Io(cause) if cause.kind() != std::io::ErrorKind::UnexpectedEof => {
            Error::Io { path: path.to_owned(), cause }
        }
        cause => Error::Archive { path: path.to_owned(), cause: cause.to_string() },
    };
    let mut archive = ZipArchive::new(archive).map_err(|cause| broken(origin, cause))?;
    let is_called = |index, name: &str| {
        let path = archive.name_for_index(index).and_then(|path| path.ok());
        path.is_some_and(|path| path.rsplit('/').next() == Some(name))
    };
    let place = names.iter().find_map(|name| (0..archive.len()).find(|&index| is_called(index, name)));
    let Some(place) = place else {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        return Err(Error::NotFound { folder: origin.to_owned(), names });
    };
    let file = archive.by_index(place).map_err(|cause| broken(origin, cause))?;
    let path = origin.join(file.name().map_err(|cause| broken(origin, cause))?.as_ref());
    let bytes = file.size();
    // A sum is checked at the end that follows the last byte, and a length not at all.
    let reader = Box::new(file.take(bytes.saturating_add(1)));
    read(Member { reader, path, bytes })
}
