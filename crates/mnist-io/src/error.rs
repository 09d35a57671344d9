use std::io;
use std::path::PathBuf;

use crate::catalog::Set;

/// What can be wrong with a file, a data set or a download. Each message is complete: it names the source,
/// what was expected and what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation on a file or folder.
    #[error("{path}: {cause}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        cause: io::Error,
    },
    /// The folder that should hold the data set does not exist.
    #[error("{path}: no such folder")]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A folder holds none of the spellings of a file's name.
    #[error("{folder}: expected one of {}, found none", .names.join(", "))]
    NotFound {
        /// The folder that was searched.
        folder: PathBuf,
        /// The names that were looked for, in order.
        names: Vec<String>,
    },
    /// A file of no bytes.
    #[error("{path}: expected an IDX file, found an empty one")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file ends within its header.
    #[error("{path}: byte {found}: the file ends in its header: expected {expected} bytes, found {found}")]
    TruncatedHeader {
        /// The file.
        path: PathBuf,
        /// Bytes that the header needs, as far as it could be read.
        expected: u64,
        /// Bytes that there are.
        found: u64,
    },
    /// The file does not begin with two zero bytes.
    #[error(
        "{path}: byte 0: expected an IDX file, which begins with 00 00, found {:02x} {:02x}{}",
        .found[0], .found[1], looks_like(.found)
    )]
    Magic {
        /// The file.
        path: PathBuf,
        /// Its first four bytes.
        found: [u8; 4],
    },
    /// The third byte names no type of value.
    #[error("{path}: byte 2: expected a type code of 08, 09, 0b, 0c, 0d or 0e, found {found:02x}")]
    TypeCode {
        /// The file.
        path: PathBuf,
        /// The code.
        found: u8,
    },
    /// The sizes in the header multiply to more than memory can address.
    #[error("{path}: byte 4: expected sizes whose product fits into memory, found {shape:?}")]
    Overflow {
        /// The file.
        path: PathBuf,
        /// The sizes.
        shape: Vec<usize>,
    },
    /// The header promises more than will be decompressed, or than a known set has.
    #[error("{path}: byte 4: expected at most {limit} bytes of values, found shape {shape:?}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most bytes that may follow the header.
        limit: u64,
        /// The sizes.
        shape: Vec<usize>,
    },
    /// There are fewer bytes than the header promises.
    #[error("{path}: byte {offset}: the file ends early: expected {expected} bytes of values, found {found}")]
    TruncatedValues {
        /// The file.
        path: PathBuf,
        /// Where the (decompressed) file ends.
        offset: u64,
        /// Bytes of values that the header promises.
        expected: u64,
        /// Bytes of values that there are.
        found: u64,
    },
    /// There are more bytes than the header promises.
    #[error("{path}: byte {offset}: expected the end of the file, found more bytes")]
    TrailingBytes {
        /// The file.
        path: PathBuf,
        /// Where the (decompressed) file should end.
        offset: u64,
    },
    /// The gzip stream is broken, cut off, or does not match its own checksum.
    #[error("{path}: broken gzip after {offset} decompressed bytes: {cause}")]
    Gzip {
        /// The file.
        path: PathBuf,
        /// Bytes that could be decompressed.
        offset: u64,
        /// The decoder's answer.
        cause: io::Error,
    },
    /// An array to be written does not hold as many values as its shape says.
    #[error("shape {shape:?}: expected {expected} values, found {found}")]
    ValueCount {
        /// The shape.
        shape: Vec<usize>,
        /// The product of its sizes.
        expected: usize,
        /// The number of values.
        found: usize,
    },
    /// An array's shape cannot be written as IDX.
    #[error(
        "shape {shape:?}: expected at most 255 sizes, each below 2^32, and a product that fits into memory"
    )]
    Unwritable {
        /// The shape.
        shape: Vec<usize>,
    },
    /// A file of images or labels has another number of axes than such a file has.
    #[error("{path}: byte 3: expected a shape of {expected}, found {found:?}")]
    Rank {
        /// The file.
        path: PathBuf,
        /// The axes such a file has.
        expected: &'static str,
        /// The shape it has.
        found: Vec<usize>,
    },
    /// A file of images or labels has another type of value than such a file may have.
    #[error("{path}: byte 2: expected values of {expected}, found {found}")]
    ValueType {
        /// The file.
        path: PathBuf,
        /// The type or types it may have.
        expected: &'static str,
        /// The type it has.
        found: &'static str,
    },
    /// The images of a known set are not as many or not as large as they are.
    #[error("{path}: byte 4: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// The sizes that the set has.
        expected: Vec<usize>,
        /// The sizes in the file.
        found: Vec<usize>,
    },
    /// There is not one label for each image.
    #[error("{labels}: byte 4: expected {expected} labels, one for each image in {images}, found {found}")]
    Count {
        /// The file of images.
        images: PathBuf,
        /// The file of labels.
        labels: PathBuf,
        /// The number of images.
        expected: usize,
        /// The number of labels.
        found: usize,
    },
    /// Pixels in memory do not make one image for each label.
    #[error("images: expected {expected} pixels, {labels} images of shape {shape:?}, found {found}")]
    PixelCount {
        /// The number of labels.
        labels: usize,
        /// Rows, columns, channels.
        shape: [usize; 3],
        /// The pixels that these need.
        expected: usize,
        /// The pixels that there are.
        found: usize,
    },
    /// Images with no rows, columns or channels.
    #[error("{path}: expected images of at least one pixel, found shape {shape:?}")]
    NoPixels {
        /// The file, or `images` where they come from memory.
        path: PathBuf,
        /// Rows, columns, channels.
        shape: [usize; 3],
    },
    /// A label is negative or above [`Dataset::MAX_LABEL`](crate::Dataset::MAX_LABEL).
    #[error("{path}: label {index}: expected 0 to {}, found {found}", crate::Dataset::MAX_LABEL)]
    Label {
        /// The file, or `labels` where they come from memory.
        path: PathBuf,
        /// The label's place.
        index: usize,
        /// The label.
        found: i64,
    },
    /// There are fewer names than classes.
    #[error("{path}: label {index}: expected one below {classes}, the number of class names, found {found}")]
    Unnamed {
        /// The file, or `labels` where they come from memory.
        path: PathBuf,
        /// The label's place.
        index: usize,
        /// The number of names.
        classes: usize,
        /// The label.
        found: usize,
    },
    /// A part of a set is no share of it.
    #[error("share: expected a number between 0 and 1, found {found}")]
    Share {
        /// The number.
        found: f64,
    },
    /// Pictures cannot be made so large, or so small.
    #[cfg(feature = "images")]
    #[error("expected a size of 1 to {} pixels, found {found}", crate::pictures::MAX_SIZE)]
    PictureSize {
        /// The size.
        found: u32,
    },
    /// A file is no picture that can be read.
    #[cfg(feature = "images")]
    #[error("{path}: {reason}")]
    Picture {
        /// The file, or what stands for it where the bytes come from memory.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder has no picture that can be read.
    #[cfg(feature = "images")]
    #[error("{path}: expected a folder of pictures for each class, found {}", no_pictures(*.classes, .unreadable))]
    NoPictures {
        /// The folder.
        path: PathBuf,
        /// The number of its sub-folders.
        classes: usize,
        /// What lies in it instead.
        unreadable: Vec<crate::pictures::Unreadable>,
    },
    /// A label is none of the classes of a known set.
    #[error("{path}: label {index}: expected {first} to {last}, found {found}")]
    Class {
        /// The file.
        path: PathBuf,
        /// The label's place.
        index: usize,
        /// The first class, as the file numbers it.
        first: usize,
        /// The last class.
        last: usize,
        /// The label.
        found: usize,
    },
    /// A name is not that of a [`Set`](crate::catalog::Set).
    #[error("expected {}, found {found:?}", names_of_sets())]
    UnknownSet {
        /// The name.
        found: String,
    },
    /// A zip archive that cannot be read.
    #[cfg(feature = "zip")]
    #[error("{path}: expected a zip archive: {cause}")]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// An image was asked for that the data set does not have.
    #[error("indices: place {place}: expected an image below {len}, found {found}")]
    Index {
        /// The place in the list of indices.
        place: usize,
        /// The number of images.
        len: usize,
        /// The index.
        found: usize,
    },
    /// A buffer does not have room for exactly the images that are to be gathered into it.
    #[error("out: expected room for {expected} values, found {found}")]
    Output {
        /// Values that will be written.
        expected: usize,
        /// The buffer's length.
        found: usize,
    },
    /// A mirror is given by something that names no place.
    #[cfg(feature = "download")]
    #[error("expected an http, https or file URL, a folder or an archive, found {found:?}")]
    Mirror {
        /// What was given.
        found: String,
    },
    /// A request failed before the server answered.
    #[cfg(feature = "download")]
    #[error("{url}: {cause}")]
    Request {
        /// The address.
        url: String,
        /// The reason, innermost last.
        cause: String,
        /// Whether the same request may succeed a moment later.
        may_pass: bool,
    },
    /// A web server would have been asked, if that were allowed.
    #[cfg(feature = "download")]
    #[error("{url}: not asked for it: offline")]
    Offline {
        /// The address.
        url: String,
    },
    /// The server answered, but not with the file.
    #[cfg(feature = "download")]
    #[error("{url}: the server answered {status}")]
    Status {
        /// The address.
        url: String,
        /// The status code.
        code: u16,
        /// The status code and its name.
        status: String,
    },
    /// The connection broke before the file was complete.
    #[cfg(feature = "download")]
    #[error("{url}: the connection broke after {received} bytes{}: {cause}", of_total(.total))]
    Broken {
        /// The address.
        url: String,
        /// Bytes that had arrived.
        received: u64,
        /// Bytes that the server announced.
        total: Option<u64>,
        /// The reason, innermost last.
        cause: String,
    },
    /// The server sends so little that the file would never be complete.
    #[cfg(feature = "download")]
    #[error("{url}: too slow: {received} bytes in {:.1} s", .elapsed.as_secs_f64())]
    Slow {
        /// The address.
        url: String,
        /// Bytes that came.
        received: u64,
        /// The time in which they came.
        elapsed: std::time::Duration,
    },
    /// A web page came instead of the file: a login, an error or a parked domain.
    #[cfg(feature = "download")]
    #[error("{url}: the server sent a web page, not data: {beginning}")]
    WebPage {
        /// The address.
        url: String,
        /// How the page begins.
        beginning: String,
    },
    /// More bytes arrived than the file can have, compressed or not.
    #[cfg(feature = "download")]
    #[error("{url}: expected at most {limit} bytes, found more")]
    TooLong {
        /// The address.
        url: String,
        /// The most that were expected.
        limit: u64,
    },
    /// The decompressed file has another length than the original.
    #[cfg(feature = "download")]
    #[error("{path}: expected {expected} decompressed bytes, found {}", found_bytes(*.expected, *.found))]
    Length {
        /// The file, or its address.
        path: PathBuf,
        /// The original's length.
        expected: u64,
        /// Bytes found; counting stops at one too many.
        found: u64,
    },
    /// The file is not the original.
    #[cfg(feature = "download")]
    #[error("{path}: expected {what} {expected}, found {found}")]
    Checksum {
        /// The file, or its address.
        path: PathBuf,
        /// Which sum, and of what.
        what: &'static str,
        /// The original's checksum.
        expected: String,
        /// The file's.
        found: String,
    },
    /// No mirror had a valid file.
    #[cfg(feature = "download")]
    #[error("{file}: no mirror had it: {}", list(.attempts))]
    AllMirrors {
        /// The file's name.
        file: String,
        /// What each mirror answered, in order.
        attempts: Vec<crate::download::Attempt>,
    },
}

/// What a file that is not IDX seems to be, for a message.
fn looks_like(start: &[u8; 4]) -> &'static str {
    match start {
        [b'<', ..] => " (a web page?)",
        [b'P', b'K', 3, 4] => " (a zip archive)",
        [0x1f, 0x8b, ..] => " (gzip within gzip)",
        [0x93, b'N', b'U', b'M'] => " (a NumPy file)",
        _ => "",
    }
}

#[cfg(feature = "images")]
fn no_pictures(classes: usize, unreadable: &[crate::pictures::Unreadable]) -> String {
    let found = match classes {
        0 => "no folder in it".to_owned(),
        _ => format!("none that can be read in {classes} folders"),
    };
    match unreadable.first() {
        Some(file) => format!("{found}; {}: {}", file.path.display(), file.reason),
        None => found,
    }
}

/// `a, b or c`.
fn names_of_sets() -> String {
    let names = Set::ALL.map(Set::name);
    let (last, others) = names.split_last().unwrap_or((&"", &[]));
    format!("{} or {last}", others.join(", "))
}

#[cfg(feature = "download")]
fn of_total(total: &Option<u64>) -> String {
    total.map_or(String::new(), |n| format!(" of {n}"))
}

#[cfg(feature = "download")]
fn found_bytes(expected: u64, found: u64) -> String {
    if found > expected { "more".to_owned() } else { found.to_string() }
}

#[cfg(feature = "download")]
fn list(attempts: &[crate::download::Attempt]) -> String {
    if attempts.is_empty() {
        return "none was given".to_owned();
    }
    attempts.iter().map(|attempt| attempt.error.to_string()).collect::<Vec<_>>().join("; ")
}
