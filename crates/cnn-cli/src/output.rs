//! Files that are written: refused early where they cannot be, and never half.

use anyhow::{Context, Result, bail, ensure};
use std::io::Write;
use std::path::Path;
use tempfile::NamedTempFile;

/// Fails where a file of this name could not be written: before work is done whose result it is to hold.
pub fn check(path: &Path) -> Result<()> {
    // A rename would replace a device or a folder as readily as a file.
    if path.exists() && !path.is_file() {
        let found = if path.is_dir() { "folder" } else { "device" };
        bail!("cannot write {}: expected a file or a new name, found a {found}", path.display());
    }
    temporary(path).map(drop)
}

/// As [`check`], and fails where there is a file already, unless it may be replaced.
pub fn check_new(path: &Path, force: bool) -> Result<()> {
    if path.is_file() && !force {
        bail!("cannot write {}: it is there already; --force replaces it", path.display());
    }
    check(path)
}

/// Fails where the file would replace the model that it is made from.
pub fn check_other(path: &Path, model: &Path) -> Result<()> {
    let is_same =
        matches!((model.canonicalize(), path.canonicalize()), (Ok(model), Ok(path)) if model == path);
    ensure!(!is_same, "cannot write {}: it is the model itself", path.display());
    Ok(())
}

/// Writes a file under a temporary name in its folder, and gives it its name when it is complete.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = temporary(path)?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .and_then(|()| file.persist(path).map_err(|error| error.error))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

fn temporary(path: &Path) -> Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        bail!("cannot write {}: {}: no such folder", path.display(), folder.display());
    }
    let mut builder = tempfile::Builder::new();
    // A temporary file is private by default; this one is to be a file like any other.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.prefix(".cnn-").tempfile_in(folder);
    file.with_context(|| format!("cannot write {}", path.display()))
}
