//! One file from the first mirror that has it: in pieces, resumed, checked, and only then named.

use std::io::{self, Cursor, Read};
use std::path::Path;
use std::thread;
use std::time::Instant;

use flate2::read::GzDecoder;

use super::mirror::{Body, Origin};
use super::part::Part;
use super::web::{Validator, reasons};
use super::{Attempt, Options, Outcome, Progress, verify};
use crate::catalog::{Checksum, File};
use crate::gunzip::Encoding;
use crate::{Error, Result};

/// What gzip may add to a file that it cannot compress, with room to spare.
const OVERHEAD: u64 = 1 << 20;
/// Bytes at the beginning by which a web page is told from data.
const BEGINNING: usize = 1 << 10;
/// An attempt that came this much further than all before it was worth its while: retries are counted anew.
const HEADWAY: u64 = 1 << 20;

/// A file to fetch, and how.
pub(super) struct Transfer<'a> {
    pub(super) file: &'a File<'a>,
    pub(super) directory: &'a Path,
    pub(super) options: &'a Options,
}

impl Transfer<'_> {
    /// Fetches the file from the first mirror that has a valid one.
    pub(super) fn run(
        &self,
        origins: &[Origin<'_>],
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Outcome> {
        let name = self.file.name;
        let mut part = Part::open(self.directory, name, || progress(Progress::Waiting { file: name }))?;
        // Who had the part before may have come to the end.
        if let Ok(outcome) = verify(self.directory, self.file) {
            part.discard();
            return Ok(outcome);
        }
        let mut attempts = Vec::new();
        for origin in origins {
            match self.try_often(origin, &mut part, progress) {
                Ok(encoding) => {
                    let path = self.directory.join(match encoding {
                        Encoding::Gzip => name,
                        Encoding::Plain => self.file.plain_name(),
                    });
                    let bytes = part.len();
                    part.commit(&path)?;
                    return Ok(Outcome { path, bytes, mirror: Some(origin.mirror.clone()) });
                }
                Err(error) if part.is_at_fault(&error) => {
                    part.leave();
                    return Err(error);
                }
                Err(error) => {
                    progress(Progress::Failed(&error));
                    attempts.push(Attempt { address: origin.address(self.file), error });
                }
            }
        }
        part.leave();
        Err(Error::AllMirrors { file: name.to_owned(), attempts })
    }

    /// Asks one mirror, again after what may pass.
    fn try_often(
        &self,
        origin: &Origin<'_>,
        part: &mut Part,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Encoding> {
        let mut validator = None;
        let mut retries = 0;
        let mut furthest = part.len();
        loop {
            let before = part.len();
            let error = match self.try_once(origin, part, &mut validator, progress) {
                Ok(encoding) => return Ok(encoding),
                Err(error) => error,
            };
            if before > 0 && part.len() == 0 {
                // What was there came from elsewhere or from before. Now nothing is there, and the next request is for
                // the whole.
                continue;
            }
            if part.len() >= furthest.saturating_add(HEADWAY) {
                retries = 0;
            }
            furthest = furthest.max(part.len());
            if !(origin.is_web() && may_pass(&error)) || retries == self.options.retries {
                return Err(error);
            }
            let wait = self.options.backoff.saturating_mul(1 << retries.min(16));
            retries += 1;
            progress(Progress::Retry { error: &error, wait });
            thread::sleep(wait);
        }
    }

    /// One request. A part that cannot become the file is emptied; one that can stays as it is.
    fn try_once(
        &self,
        origin: &Origin<'_>,
        part: &mut Part,
        validator: &mut Option<Validator>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Encoding> {
        let address = origin.address(self.file);
        origin.open(self.file, part.len(), validator, |body| {
            let received = self.receive(body, &address, part, progress);
            let is_whole = received.is_ok();
            let verified = received.and_then(|()| part.verify(&address, self.file));
            // Only a server can send the rest of what it began with.
            if verified.is_err() && (is_whole || !origin.is_web()) {
                part.clear()?;
            }
            verified
        })
    }

    fn receive(
        &self,
        body: Body<'_>,
        address: &str,
        part: &mut Part,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<()> {
        let Body { reader, start, mut total, coded } = body;
        let broken = |received, total, cause: io::Error| match cause.downcast::<Error>() {
            Ok(error) => error,
            Err(cause) => Error::Broken { url: address.to_owned(), received, total, cause: reasons(&cause) },
        };
        let mut reader = Paced::new(reader, address, self.options);
        let mut beginning = Vec::new();
        if start == 0 {
            let read = reader.by_ref().take(BEGINNING as u64).read_to_end(&mut beginning);
            if is_web_page(&beginning) {
                return Err(Error::WebPage { url: address.to_owned(), beginning: first_words(&beginning) });
            }
            // What has arrived of a file that is fetched anew is given up only where there is more of it to come.
            if let Err(cause) = read {
                if beginning.len() as u64 > part.len() {
                    part.clear()?;
                    part.append(&beginning)?;
                }
                return Err(broken(part.len(), total, cause));
            }
            part.clear()?;
        }
        let twice = coded && self.is_wrapped(&beginning);
        let stored = Cursor::new(beginning).chain(reader);
        let mut reader: Box<dyn Read> =
            if twice { Box::new(GzDecoder::new(stored)) } else { Box::new(stored) };
        total = total.filter(|_| !twice);

        let limit = self.limit();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => {
                    let error = broken(part.len(), total, cause);
                    // Of what was decompressed here, the server has no rest to send.
                    if twice {
                        part.clear()?;
                    }
                    return Err(error);
                }
            };
            if part.len() + read as u64 > limit {
                part.clear()?;
                return Err(Error::TooLong { url: address.to_owned(), limit });
            }
            part.append(&buffer[..read])?;
            progress(Progress::Received { file: self.file.name, bytes: part.len(), total });
        }
    }

    /// The most bytes that the file can have, as it is served.
    fn limit(&self) -> u64 {
        match self.file.checksum {
            Checksum::Sha256(_) if self.file.name.ends_with(".zip") => self.file.bytes,
            _ => self.file.bytes.saturating_add(OVERHEAD),
        }
    }

    /// Whether gzip on the way was put around the compressed file. Servers also call their own what is the file's.
    fn is_wrapped(&self, beginning: &[u8]) -> bool {
        let magic: &[u8] = if self.file.name.ends_with(".zip") { b"PK" } else { &[0x1f, 0x8b] };
        let mut inner = [0; 2];
        GzDecoder::new(beginning).read_exact(&mut inner).is_ok_and(|()| inner == magic)
    }
}

/// A reader that gives up on a source that is too slow to ever come to an end.
struct Paced<'a, R> {
    reader: R,
    address: &'a str,
    options: &'a Options,
    since: Instant,
    read: u64,
}

impl<'a, R: Read> Paced<'a, R> {
    fn new(reader: R, address: &'a str, options: &'a Options) -> Self {
        Self { reader, address, options, since: Instant::now(), read: 0 }
    }
}

impl<R: Read> Read for Paced<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.read += read as u64;
        let elapsed = self.since.elapsed();
        if read > 0 && elapsed >= self.options.rate_window {
            let expected = self.options.min_rate as f64 * elapsed.as_secs_f64();
            if (self.read as f64) < expected {
                let (url, received) = (self.address.to_owned(), self.read);
                return Err(io::Error::other(Error::Slow { url, received, elapsed }));
            }
            (self.since, self.read) = (Instant::now(), 0);
        }
        Ok(read)
    }
}

/// Whether the same request may have another answer a moment later.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Request { may_pass, .. } => *may_pass,
        Error::Status { code, .. } => matches!(code, 408 | 425 | 429 | 500..),
        Error::Broken { .. } | Error::Slow { .. } => true,
        _ => false,
    }
}

/// Neither gzip nor IDX nor zip begins with white space or `<`.
fn is_web_page(start: &[u8]) -> bool {
    start.trim_ascii_start().starts_with(b"<")
}

/// The first words of a page, on one line.
fn first_words(page: &[u8]) -> String {
    let text = String::from_utf8_lossy(page);
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
