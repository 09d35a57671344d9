//! The part of a file that has arrived: under a name of its own, locked, and resumed by the next fetch if this one
//! does not come to its end.

use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use same_file::Handle;

use super::verify;
use crate::gunzip::Encoding;
use crate::sync::sync_folder_of;
use crate::{Error, Result, catalog};

/// A partial file, which this process alone has. What is done to it is done through one handle: where locks are
/// mandatory, they hold against other handles of the same process, too.
pub(super) struct Part {
    file: File,
    path: PathBuf,
    length: u64,
    /// Whether the next fetch will find it.
    is_shared: bool,
}

impl Part {
    /// Opens `.NAME.part`, which may hold what an earlier fetch left. Where another process, or another thread,
    /// has it, `waiting` is called, and this function waits. A file system without locks gets a new file for each fetch.
    pub(super) fn open(directory: &Path, name: &str, waiting: impl FnMut()) -> Result<Self> {
        let path = directory.join(format!(".{name}.part"));
        open_alone(&path, File::try_lock, waiting).map_err(|cause| Error::Io { path, cause })
    }

    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// Whether the error is one of this file, not of where its bytes come from.
    pub(super) fn is_at_fault(&self, error: &Error) -> bool {
        matches!(error, Error::Io { path, .. } if *path == self.path)
    }

    pub(super) fn clear(&mut self) -> Result<()> {
        self.length = 0;
        self.file.set_len(0).map_err(|cause| self.error(cause))
    }

    pub(super) fn append(&mut self, piece: &[u8]) -> Result<()> {
        let written = self.file.seek(SeekFrom::Start(self.length)).and_then(|_| self.file.write_all(piece));
        written.map_err(|cause| self.error(cause))?;
        self.length += piece.len() as u64;
        Ok(())
    }

    /// Checks the whole; `address` says in errors where it came from.
    pub(super) fn verify(&mut self, address: &str, file: &catalog::File<'_>) -> Result<Encoding> {
        self.file.rewind().map_err(|cause| self.error(cause))?;
        verify::verify(&self.file, Path::new(address), file)
    }

    /// Gives the file its name, for good: its bytes and its name survive a power cut.
    pub(super) fn commit(self, path: &Path) -> Result<()> {
        self.file.sync_all().map_err(|cause| self.error(cause))?;
        let io = |cause| Error::Io { path: path.to_owned(), cause };
        fs::rename(&self.path, path).and_then(|()| sync_folder_of(path)).map_err(io)
    }

    /// Leaves what may be resumed, and nothing where there is nothing.
    pub(super) fn leave(self) {
        if self.length == 0 || !self.is_shared {
            self.discard();
        }
    }

    /// An empty file that stays behind does no harm.
    pub(super) fn discard(self) {
        let _ = fs::remove_file(&self.path);
    }

    fn error(&self, cause: io::Error) -> Error {
        Error::Io { path: self.path.clone(), cause }
    }
}

fn open_alone(
    path: &Path,
    try_lock: fn(&File) -> Result<(), TryLockError>,
    mut waiting: impl FnMut(),
) -> io::Result<Part> {
    loop {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        match try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waiting();
                file.lock()?;
            }
            // Network file systems know many errors that mean this.
            Err(TryLockError::Error(_)) => return open_new(path, &file),
        }
        // Who had it may have given it its final name, or removed it: then another file is to be locked.
        match Handle::from_path(path) {
            Ok(there) if Handle::from_file(file.try_clone()?)? == there => {
                let length = file.metadata()?.len();
                return Ok(Part { file, path: path.to_owned(), length, is_shared: true });
            }
            Ok(_) => {}
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(cause),
        }
    }
}

/// A part that nobody else will open. A shared one could be written to by the one fetch while the other gives it its name.
fn open_new(shared_path: &Path, shared: &File) -> io::Result<Part> {
    if shared.metadata()?.len() == 0 {
        let _ = fs::remove_file(shared_path);
    }
    let random = RandomState::new().build_hasher().finish();
    let path = shared_path.with_extension(format!("{random:016x}.part"));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    Ok(Part { file, path, length: 0, is_shared: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn without_locks_each_fetch_has_a_part_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".digits.gz.part");
        let no_lock = |_: &File| Err(TryLockError::Error(io::ErrorKind::Unsupported.into()));
        let open = || open_alone(&path, no_lock, || panic!("there is nothing to wait for")).unwrap();
        let [mut first, mut second, mut third] = [open(), open(), open()];
        for part in [&mut first, &mut second, &mut third] {
            part.append(b"whole").unwrap();
        }
        first.commit(&folder.path().join("digits.gz")).unwrap();
        second.clear().unwrap();
        assert_eq!(fs::read(folder.path().join("digits.gz")).unwrap(), b"whole");
        second.append(b"other").unwrap();
        second.commit(&folder.path().join("digits.gz")).unwrap();
        assert_eq!(fs::read(folder.path().join("digits.gz")).unwrap(), b"other");
        third.leave();
        assert_eq!(names(folder.path()), ["digits.gz"], "nobody could resume the third");

        // What an earlier fetch left elsewhere is not touched.
        fs::write(&path, "part").unwrap();
        open().discard();
        assert_eq!(names(folder.path()), [".digits.gz.part", "digits.gz"]);
    }
}
