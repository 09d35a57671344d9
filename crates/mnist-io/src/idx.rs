//! The IDX format: an array of numbers of any rank, as MNIST's files store it.
//!
//! ```text
//! byte 0    00 00
//! byte 2    type of the values: 08 u8 · 09 i8 · 0b i16 · 0c i32 · 0d f32 · 0e f64
//! byte 3    rank: the number of sizes
//! byte 4    one u32 for each axis, outermost first
//! then      the values in row-major order
//! ```
//!
//! All numbers are big-endian; rank 0 is a single value. The format comes from the authors of MNIST, who described it
//! on the set's page (`yann.lecun.com/exdb/mnist`).

use std::cmp::Ordering;
use std::io;
use std::path::Path;

use crate::gunzip::Source;
use crate::{Error, Result};

/// Bytes set aside at once for a file whose true length is not known: memory beyond it grows as data arrives.
const RESERVE: u64 = 1 << 26;

macro_rules! values {
    ($($code:literal $name:ident $type:ident,)*) => {
        /// The values of an array, by their type.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Values {
            $(#[doc = concat!("Type code ", stringify!($code), ".")] $name(Vec<$type>),)*
        }

        impl Values {
            /// The number of values.
            pub fn len(&self) -> usize {
                match self { $(Self::$name(values) => values.len(),)* }
            }

            /// The Rust name of their type, such as `u8`.
            pub fn type_name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($type),)* }
            }

            fn code(&self) -> u8 {
                match self { $(Self::$name(_) => $code,)* }
            }

            /// The bytes of a value of this type code, and what makes values of bytes.
            fn decoder(code: u8) -> Option<(usize, fn(Vec<u8>) -> Self)> {
                // Bytes are what they are: the large files of the family are moved, not copied.
                if code == 0x08 {
                    return Some((1, Self::U8));
                }
                match code {
                    $($code => Some((size_of::<$type>(), |bytes| {
                        let (values, _) = bytes.as_chunks();
                        Self::$name(values.iter().map(|&value| $type::from_be_bytes(value)).collect())
                    })),)*
                    _ => None,
                }
            }

            fn append_be_bytes(&self, bytes: &mut Vec<u8>) {
                match self {
                    $(Self::$name(values) => bytes.extend(values.iter().flat_map(|value| value.to_be_bytes())),)*
                }
            }
        }
    };
}

values! {
    0x08 U8 u8,
    0x09 I8 i8,
    0x0b I16 i16,
    0x0c I32 i32,
    0x0d F32 f32,
    0x0e F64 f64,
}

impl Values {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An array: its sizes, outermost first, and its values in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Idx {
    /// The size of each axis.
    pub shape: Vec<usize>,
    /// As many values as the product of the sizes.
    pub values: Values,
}

/// Decodes the bytes of a file, plain or gzip; `origin` names them in errors.
///
/// # Errors
/// Everything that makes a file something else than one whole array: see [`Error`]. The header is checked
/// against the length before memory is set aside, and no more is decompressed than the header promises. What is
/// decompressed, or comes from where lengths are not known, may have 4 GiB of values; memory grows as they arrive.
pub fn parse(bytes: &[u8], origin: &Path) -> Result<Idx> {
    decode(Source::new(bytes, Some(bytes.len() as u64), origin)?, origin)
}

/// Reads a file, plain or gzip; which of them is told by its first bytes, not by its name.
///
/// # Errors
/// As for [`parse`], and what the operating system refuses.
pub fn read(path: &Path) -> Result<Idx> {
    decode(Source::open(path, path)?, path)
}

/// Encodes an array as the bytes of a plain file.
///
/// # Errors
/// A shape that the format cannot hold or that does not fit the number of values.
pub fn write(array: &Idx) -> Result<Vec<u8>> {
    let Idx { shape, values } = array;
    let unwritable = || Error::Unwritable { shape: shape.clone() };
    let rank = u8::try_from(shape.len()).map_err(|_| unwritable())?;
    let expected = product(shape, 1).ok_or_else(unwritable)?;
    if values.len() != expected {
        return Err(Error::ValueCount { shape: shape.clone(), expected, found: values.len() });
    }
    let mut bytes = vec![0, 0, values.code(), rank];
    for &size in shape {
        bytes.extend(u32::try_from(size).map_err(|_| unwritable())?.to_be_bytes());
    }
    values.append_be_bytes(&mut bytes);
    Ok(bytes)
}

pub(crate) fn decode(mut source: Source, origin: &Path) -> Result<Idx> {
    let path = || origin.to_owned();
    let mut magic = [0; 4];
    let found = source.fill(&mut magic)?;
    match (found, magic) {
        (0, _) => return Err(Error::Empty { path: path() }),
        (2.., [0, 0, ..]) | (1, _) => {}
        _ => return Err(Error::Magic { path: path(), found: magic }),
    }
    if found < magic.len() {
        return Err(Error::TruncatedHeader { path: path(), expected: 4, found: found as u64 });
    }
    let [_, _, code, rank] = magic;
    let (value_size, values) =
        Values::decoder(code).ok_or_else(|| Error::TypeCode { path: path(), found: code })?;

    let mut sizes = vec![0; 4 * usize::from(rank)];
    let found = source.fill(&mut sizes)?;
    if found < sizes.len() {
        let expected = 4 + sizes.len() as u64;
        return Err(Error::TruncatedHeader { path: path(), expected, found: source.offset });
    }
    let (sizes, _) = sizes.as_chunks();
    let shape: Vec<usize> = sizes.iter().map(|&size| u32::from_be_bytes(size) as usize).collect();
    let expected =
        product(&shape, value_size).ok_or_else(|| Error::Overflow { path: path(), shape: shape.clone() })?;
    if expected as u64 > source.limit {
        return Err(Error::TooLarge { path: path(), limit: source.limit, shape });
    }
    Ok(Idx { shape, values: values(payload(&mut source, expected as u64, origin)?) })
}

/// Exactly `expected` bytes up to the end of the source.
fn payload(source: &mut Source, expected: u64, origin: &Path) -> Result<Vec<u8>> {
    let path = || origin.to_owned();
    let start = source.offset;
    let check = |found: u64| match found.cmp(&expected) {
        Ordering::Less => {
            Err(Error::TruncatedValues { path: path(), offset: start + found, expected, found })
        }
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(Error::TrailingBytes { path: path(), offset: start + expected }),
    };
    source.remaining().map_or(Ok(()), check)?;
    let mut bytes = Vec::new();
    let reserve = match source.remaining() {
        Some(_) => expected,
        None => expected.min(source.bound()).min(RESERVE),
    };
    bytes
        .try_reserve_exact(reserve as usize)
        .map_err(|cause| Error::Io { path: path(), cause: io::Error::from(cause) })?;
    source.read_to_end(expected + 1, &mut bytes)?;
    check(bytes.len() as u64)?;
    Ok(bytes)
}

/// The bytes of an array, or `None` where the product of its sizes cannot be addressed. Sizes of zero are left out of
/// that test, so that a user may multiply the others without fear.
fn product(shape: &[usize], value_size: usize) -> Option<usize> {
    let nonzero = shape.iter().filter(|&&n| n > 0);
    let bytes = nonzero.copied().try_fold(value_size, usize::checked_mul)?;
    if bytes > isize::MAX as usize {
        return None;
    }
    Some(if shape.contains(&0) { 0 } else { bytes })
}
