//! The last step of a file that got its name by a rename.

use std::io;
use std::path::Path;

/// Makes the name last through a power cut. Where a folder cannot be synced, as in some network file systems, the file is
/// there all the same.
#[cfg(unix)]
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    // A name without a folder lies in the current one.
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    match std::fs::File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(cause) if matches!(cause.kind(), InvalidInput | PermissionDenied | Unsupported) => Ok(()),
        synced => synced,
    }
}

/// A folder cannot be synced here.
#[cfg(not(unix))]
pub(crate) fn sync_folder_of(_: &Path) -> io::Result<()> {
    Ok(())
}
