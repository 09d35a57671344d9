//! Whether a file is the right one, by its checksum.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::catalog::{Checksum, File};
use crate::gunzip::{Encoding, Source};
use crate::{Error, Result};

/// Bytes that are read at once.
const PIECE: usize = 1 << 16;

/// Checks a file from where it stands on; `path` names it in errors. Stops reading soon after the length of the
/// right one. Tells how the file is stored, which its name must say.
pub(super) fn verify(stored: &fs::File, path: &Path, file: &File<'_>) -> Result<Encoding> {
    let io = |cause| Error::Io { path: path.to_owned(), cause };
    let length = stored.metadata().map_err(io)?.len();
    let mut reader = BufReader::with_capacity(PIECE, stored);
    let served = if file.name.ends_with(".gz") { Encoding::Gzip } else { Encoding::Plain };
    let (what, encoding, expected, found) = match file.checksum {
        Checksum::Contents(expected) => {
            let mut source = Source::new(reader, Some(length), path)?;
            ("decompressed SHA-256", source.encoding, expected, contents(&mut source, path, file.bytes)?)
        }
        Checksum::Sha256(expected) => ("SHA-256", served, expected, sum::<Sha256>(&mut reader).map_err(io)?),
        Checksum::Md5(expected) => ("MD5", served, expected, sum::<Md5>(&mut reader).map_err(io)?),
    };
    if found != expected {
        let expected = expected.to_owned();
        return Err(Error::Checksum { path: path.to_owned(), what, expected, found });
    }
    Ok(encoding)
}

/// SHA-256 of decompressed bytes, if they are as many as expected.
fn contents(source: &mut Source<'_>, path: &Path, expected: u64) -> Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; PIECE];
    while source.offset <= expected {
        let filled = source.fill(&mut buffer)?;
        if filled == 0 {
            break;
        }
        hash.update(&buffer[..filled]);
    }
    if source.offset != expected {
        return Err(Error::Length { path: path.to_owned(), expected, found: source.offset });
    }
    Ok(hexadecimal(&hash.finalize()))
}

fn sum<H: Digest>(reader: &mut BufReader<impl Read>) -> io::Result<String> {
    let mut hash = H::new();
    loop {
        let piece = reader.fill_buf()?;
        let length = piece.len();
        if length == 0 {
            return Ok(hexadecimal(&hash.finalize()));
        }
        hash.update(piece);
        reader.consume(length);
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
