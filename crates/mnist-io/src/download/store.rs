//! From a stream to a verified file: temporary file, check, sync, rename.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::mirror::{Body, reasons};
use super::verify;
use super::{Progress, RemoteFile};
use crate::gunzip::Encoding;
use crate::{Error, Result};

/// What gzip may add to a file that it cannot compress, with room to spare.
const OVERHEAD: u64 = 1 << 20;

/// Stores what a mirror sends, if it is the file; returns its path and length.
pub(super) fn store(
    mut body: Body,
    directory: &Path,
    file: &RemoteFile<'_>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(PathBuf, u64)> {
    let io = |path: &Path, cause| Error::Io { path: path.to_owned(), cause };
    let mut temporary = temporary(directory, file.name).map_err(|cause| io(directory, cause))?;
    let bytes = receive(&mut body, &mut temporary, file, progress)?;
    let encoding = verify::file(temporary.path(), Path::new(&body.address), file)?;
    let name = match encoding {
        Encoding::Gzip => file.name,
        Encoding::Plain => file.plain_name(),
    };
    let path = directory.join(name);
    temporary.as_file().sync_all().map_err(|cause| io(&path, cause))?;
    temporary.persist(&path).map_err(|error| io(&path, error.error))?;
    sync_folder(directory).map_err(|cause| io(directory, cause))?;
    Ok((path, bytes))
}

/// Copies the stream into the temporary file.
fn receive(
    body: &mut Body,
    temporary: &mut NamedTempFile,
    file: &RemoteFile<'_>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<u64> {
    let limit = file.bytes.saturating_add(OVERHEAD);
    let url = || body.address.clone();
    let mut buffer = vec![0; 1 << 16];
    let mut received = 0;
    loop {
        let read = match body.reader.read(&mut buffer) {
            Ok(0) => return Ok(received),
            Ok(read) => read,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            Err(cause) => {
                let (url, total, cause) = (url(), body.total, reasons(&cause));
                return Err(Error::Broken { url, received, total, cause });
            }
        };
        let piece = &buffer[..read];
        if received == 0 && is_web_page(piece) {
            return Err(Error::WebPage { url: url(), beginning: beginning(piece) });
        }
        received += read as u64;
        if received > limit {
            return Err(Error::TooLong { url: url(), limit });
        }
        temporary.write_all(piece).map_err(|cause| Error::Io { path: temporary.path().to_owned(), cause })?;
        progress(Progress::Received { file: file.name, bytes: received, total: body.total });
    }
}

fn temporary(directory: &Path, name: &str) -> io::Result<NamedTempFile> {
    let prefix = format!(".{name}.");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".part");
    // Readable to whom the user's umask allows, as any new file is; the default is the user alone.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(directory)
}

/// Makes a rename last through a power cut.
#[cfg(unix)]
fn sync_folder(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// A folder cannot be synced here.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Neither gzip nor IDX begins with white space or `<`.
fn is_web_page(start: &[u8]) -> bool {
    start.trim_ascii_start().starts_with(b"<")
}

/// The first words of a page, on one line.
fn beginning(page: &[u8]) -> String {
    let text = String::from_utf8_lossy(page);
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
