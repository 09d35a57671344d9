//! Whether a file is the original, by the checksum of its decompressed bytes.

use std::fmt::Write as _;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::RemoteFile;
use crate::gunzip::{Encoding, Source};
use crate::{Error, Result};

/// Checks the file at `path`, which `name` names in errors. Stops reading soon after
/// the original's length.
pub(super) fn file(path: &Path, name: &Path, original: &RemoteFile<'_>) -> Result<Encoding> {
    let mut source = Source::open(path, name)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    while source.offset <= original.bytes {
        let filled = source.fill(&mut buffer)?;
        if filled == 0 {
            break;
        }
        hash.update(&buffer[..filled]);
    }
    let found = source.offset;
    if found != original.bytes {
        return Err(Error::Length { path: name.to_owned(), expected: original.bytes, found });
    }
    let found = hexadecimal(&hash.finalize());
    if found != original.sha256 {
        let expected = original.sha256.to_owned();
        return Err(Error::Checksum { path: name.to_owned(), expected, found });
    }
    Ok(source.encoding)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
