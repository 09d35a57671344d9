//! What became of the pictures of a folder, in one file.
//!
//! ```text
//! "pictures", version, size, channels                  u32 each
//! for each picture: length of its name, its name,      u32 and bytes
//!                   its length, time of modification   u64 each
//!                   its pixels
//! SHA-256 of all before
//! ```
//!
//! Numbers are little-endian. Only pictures that could be read are in it; the others are tried again each time.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Color, File};
use crate::sync::sync_folder_of;
use crate::{Error, Result};

const VERSION: u32 = 1;
/// Bytes of a SHA-256.
const SUM: usize = 32;

/// The file's bytes, and where in them each picture is.
#[derive(Default)]
pub(super) struct Cache {
    bytes: Vec<u8>,
    pixels: usize,
    /// By name: length, time of modification, place of the pixels.
    places: HashMap<Vec<u8>, (u64, u64, usize)>,
}

impl Cache {
    /// The folder's cache; an empty one where there is none, or a broken one.
    pub fn read(folder: &Path, size: u32, color: Color) -> Self {
        fs::read(path(folder, size, color))
            .ok()
            .and_then(|bytes| Self::parse(bytes, size, color))
            .unwrap_or_default()
    }

    fn parse(bytes: Vec<u8>, size: u32, color: Color) -> Option<Self> {
        let (contents, sum) = bytes.split_last_chunk::<SUM>()?;
        let mut rest = contents.strip_prefix(header(size, color).as_slice())?;
        if Sha256::digest(contents).as_slice() != sum {
            return None;
        }
        let pixels = pixels(size, color);
        let mut places = HashMap::new();
        while !rest.is_empty() {
            let length = u32::from_le_bytes(*take(&mut rest)?);
            let name = rest.split_off(..length as usize)?.to_vec();
            let [length, modified] = [*take(&mut rest)?, *take(&mut rest)?].map(u64::from_le_bytes);
            places.insert(name, (length, modified, contents.len() - rest.len()));
            rest.split_off(..pixels)?;
        }
        Some(Self { pixels, places, bytes })
    }

    /// How many pictures are in it.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// The pixels of a file that has not changed.
    pub fn find(&self, file: &File) -> Option<&[u8]> {
        let &(bytes, modified, place) = self.places.get(&file.name)?;
        ((bytes, modified) == (file.bytes, file.modified)).then(|| &self.bytes[place..][..self.pixels])
    }
}

/// Writes the cache under a temporary name, and gives it its name when it is complete.
pub(super) fn write(folder: &Path, size: u32, color: Color, files: &[File], images: &[u8]) -> Result<()> {
    let path = path(folder, size, color);
    let write = || -> io::Result<()> {
        let mut temporary = tempfile::Builder::new();
        // Readable to whom the user's umask allows, as any new file is; the default is the user alone.
        #[cfg(unix)]
        temporary.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut out = Summed {
            out: BufWriter::new(temporary.prefix(".pictures-").tempfile_in(folder)?),
            sum: Sha256::new(),
        };
        out.put(&header(size, color))?;
        for (file, pixels) in files.iter().zip(images.chunks_exact(pixels(size, color))) {
            out.put(&(file.name.len() as u32).to_le_bytes())?;
            out.put(&file.name)?;
            out.put(&file.bytes.to_le_bytes())?;
            out.put(&file.modified.to_le_bytes())?;
            out.put(pixels)?;
        }
        let Summed { mut out, sum } = out;
        out.write_all(&sum.finalize())?;
        let file = out.into_inner()?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        sync_folder_of(&path)
    };
    write().map_err(|cause| Error::Io { path: path.clone(), cause })
}

/// A writer with the checksum of what was written.
struct Summed<W> {
    out: W,
    sum: Sha256,
}

impl<W: Write> Summed<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.out.write_all(bytes)
    }
}

/// The next bytes, which are a number.
fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(number)
}

fn path(folder: &Path, size: u32, color: Color) -> PathBuf {
    folder.join(format!(".pictures-{size}-{}", color.name()))
}

fn header(size: u32, color: Color) -> Vec<u8> {
    let numbers = [VERSION, size, color.channels() as u32];
    [b"pictures".as_slice(), numbers.map(u32::to_le_bytes).as_flattened()].concat()
}

/// Bytes of a picture.
fn pixels(size: u32, color: Color) -> usize {
    (size * size) as usize * color.channels()
}
