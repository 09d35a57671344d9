//! A source of bytes, plain or gzip, told apart by its first two bytes, that counts and names what goes wrong.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::{Error, Result};

/// Most bytes that a byte of a deflate stream can stand for.
const MAX_RATIO: u64 = 1032;

/// Most bytes of values that are read from where their number cannot be told beforehand, as in gzip: a small file can
/// promise, and hold, more than a machine's memory. The largest set of the family has an eighth of it.
pub(crate) const MAX_UNSEEN: u64 = 1 << 32;

/// How bytes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    Gzip,
}

/// The decompressed bytes of a file or a slice.
pub(crate) struct Source<'a> {
    reader: Box<dyn Read + 'a>,
    origin: &'a Path,
    pub(crate) encoding: Encoding,
    /// Decompressed bytes read so far.
    pub(crate) offset: u64,
    /// Length of the stored bytes, where it is known.
    stored: Option<u64>,
    /// The most bytes of values that a header may promise.
    pub(crate) limit: u64,
}

impl<'a> Source<'a> {
    /// Opens the file at `path`, which `origin` names in errors.
    pub(crate) fn open(path: &Path, origin: &'a Path) -> Result<Self> {
        let io = |cause| Error::Io { path: origin.to_owned(), cause };
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        let stored = metadata.is_file().then_some(metadata.len());
        Self::new(BufReader::with_capacity(1 << 16, file), stored, origin)
    }

    pub(crate) fn new(mut stored: impl BufRead + 'a, length: Option<u64>, origin: &'a Path) -> Result<Self> {
        let start = stored.fill_buf().map_err(|cause| Error::Io { path: origin.to_owned(), cause })?;
        let (encoding, reader): (_, Box<dyn Read>) = if start.starts_with(&[0x1f, 0x8b]) {
            (Encoding::Gzip, Box::new(MultiGzDecoder::new(stored)))
        } else {
            (Encoding::Plain, Box::new(stored))
        };
        let limit = match (encoding, length) {
            (Encoding::Plain, Some(_)) => u64::MAX,
            _ => MAX_UNSEEN,
        };
        Ok(Self { reader, origin, encoding, offset: 0, stored: length, limit })
    }

    /// The same with a limit, if it is a lower one.
    pub(crate) fn limited(self, limit: u64) -> Self {
        Self { limit: limit.min(self.limit), ..self }
    }

    /// How many decompressed bytes remain, where that is known without decompressing.
    pub(crate) fn remaining(&self) -> Option<u64> {
        match self.encoding {
            Encoding::Plain => self.stored.map(|n| n.saturating_sub(self.offset)),
            Encoding::Gzip => None,
        }
    }

    /// The most decompressed bytes that there can be.
    pub(crate) fn bound(&self) -> u64 {
        self.stored.map_or(u64::MAX, |n| n.saturating_mul(MAX_RATIO))
    }

    /// Fills the buffer as far as there are bytes, and returns how many there were.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(self.error(filled, cause)),
            }
        }
        self.offset += filled as u64;
        Ok(filled)
    }

    /// Appends what remains, up to `limit` bytes.
    pub(crate) fn read_to_end(&mut self, limit: u64, bytes: &mut Vec<u8>) -> Result<()> {
        let before = bytes.len();
        let outcome = self.reader.by_ref().take(limit).read_to_end(bytes);
        outcome.map_err(|cause| self.error(bytes.len() - before, cause))?;
        self.offset += (bytes.len() - before) as u64;
        Ok(())
    }

    fn error(&self, read: usize, cause: io::Error) -> Error {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        let path = self.origin.to_owned();
        match cause.kind() {
            InvalidData | InvalidInput | UnexpectedEof if self.encoding == Encoding::Gzip => {
                Error::Gzip { path, offset: self.offset + read as u64, cause }
            }
            _ => Error::Io { path, cause },
        }
    }
}
