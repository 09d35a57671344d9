//! The IDX format: round trips of every type and rank, and the message for every way a file can be broken.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic, too")]

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use mnist_io::idx::{self, Idx, Values};
use proptest::collection::vec;
use proptest::prelude::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The bytes of an array, written down here by the format's description and without the crate's encoder.
fn described(code: u8, sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, code, sizes.len() as u8];
    sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    bytes.extend(values);
    bytes
}

/// Six types of `n` values each; floats by their bits, so that every pattern but NaN (unequal to itself) occurs.
fn values(n: usize) -> impl Strategy<Value = Values> {
    let f32s = any::<u32>().prop_map(f32::from_bits).prop_filter("NaN", |value| !value.is_nan());
    let f64s = any::<u64>().prop_map(f64::from_bits).prop_filter("NaN", |value| !value.is_nan());
    prop_oneof![
        vec(any::<u8>(), n).prop_map(Values::U8),
        vec(any::<i8>(), n).prop_map(Values::I8),
        vec(any::<i16>(), n).prop_map(Values::I16),
        vec(any::<i32>(), n).prop_map(Values::I32),
        vec(f32s, n).prop_map(Values::F32),
        vec(f64s, n).prop_map(Values::F64),
    ]
}

/// Bytes that the values take by the format's description.
fn array_bytes(values: &Values) -> usize {
    let size = match values {
        Values::U8(_) | Values::I8(_) => 1,
        Values::I16(_) => 2,
        Values::I32(_) | Values::F32(_) => 4,
        Values::F64(_) => 8,
    };
    values.len() * size
}

fn array() -> impl Strategy<Value = Idx> {
    vec(0usize..5, 0..=4).prop_flat_map(|shape| {
        values(shape.iter().product()).prop_map(move |values| Idx { shape: shape.clone(), values })
    })
}

proptest! {
    #[test]
    fn round_trip(array in array()) {
        let bytes = idx::write(&array).unwrap();
        prop_assert_eq!(&idx::parse(&bytes, Path::new("plain")).unwrap(), &array);
        prop_assert_eq!(&idx::parse(&gzip(&bytes), Path::new("gz")).unwrap(), &array);
    }

    /// The header has a byte for the rank: each that it can say, with one axis that is longer than 1.
    #[test]
    fn round_trip_at_every_rank(values in values(3), long in any::<prop::sample::Index>()) {
        for rank in 1..=255 {
            let mut shape = vec![1; rank];
            shape[long.index(rank)] = 3;
            let array = Idx { shape, values: values.clone() };
            let bytes = idx::write(&array).unwrap();
            prop_assert_eq!(bytes.len() - 4 - 4 * rank, array_bytes(&values));
            prop_assert_eq!(&idx::parse(&bytes, Path::new("plain")).unwrap(), &array);
        }
    }

    #[test]
    fn every_cut_and_every_extra_byte_is_an_error(array in array(), cut in any::<prop::sample::Index>()) {
        let mut bytes = idx::write(&array).unwrap();
        let zipped = gzip(&bytes);
        prop_assert!(idx::parse(&bytes[..cut.index(bytes.len())], Path::new("plain")).is_err());
        prop_assert!(idx::parse(&zipped[..cut.index(zipped.len())], Path::new("gz")).is_err());
        bytes.push(0);
        prop_assert!(idx::parse(&bytes, Path::new("plain")).is_err());
        prop_assert!(idx::parse(&gzip(&bytes), Path::new("gz")).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..64), code in 7u8..16, rank in 0u8..6) {
        let _ = idx::parse(&bytes, Path::new("noise"));
        let headed = [&[0, 0, code, rank], bytes.as_slice()].concat();
        let _ = idx::parse(&headed, Path::new("noise"));
        let _ = idx::parse(&gzip(&headed), Path::new("noise"));
    }
}

#[test]
fn the_bytes_are_those_of_the_format() {
    let check = |bytes: Vec<u8>, shape: &[usize], values: Values| {
        let array = Idx { shape: shape.to_vec(), values };
        assert_eq!(idx::write(&array).unwrap(), bytes);
        assert_eq!(idx::parse(&bytes, Path::new("described")).unwrap(), array);
    };
    check(
        described(0x08, &[2, 3], &[0, 1, 2, 253, 254, 255]),
        &[2, 3],
        Values::U8(vec![0, 1, 2, 253, 254, 255]),
    );
    check(described(0x09, &[2], &[0x80, 0x7f]), &[2], Values::I8(vec![-128, 127]));
    check(described(0x0b, &[2], &[0x01, 0x02, 0xff, 0xfe]), &[2], Values::I16(vec![258, -2]));
    check(described(0x0c, &[1, 1], &[0x01, 0x02, 0x03, 0x04]), &[1, 1], Values::I32(vec![16_909_060]));
    check(described(0x0d, &[1], &[0xbf, 0x80, 0, 0]), &[1], Values::F32(vec![-1.0]));
    check(described(0x0e, &[], &[0x40, 0x04, 0, 0, 0, 0, 0, 0]), &[], Values::F64(vec![2.5]));
    check(described(0x08, &[0, 28, 28], &[]), &[0, 28, 28], Values::U8(vec![]));
}

#[test]
fn broken_bytes_are_named() {
    let check = |bytes: &[u8], expected: &str| {
        let error = idx::parse(bytes, Path::new("f")).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let whole = described(0x08, &[2, 3], &[1, 2, 3, 4, 5, 6]);
    let zipped = gzip(&whole);

    check(b"", "f: expected an IDX file, found an empty one");
    check(&gzip(b""), "f: expected an IDX file, found an empty one");
    check(&[0], "f: byte 1: the file ends in its header: expected 4 bytes, found 1");
    check(&whole[..3], "f: byte 3: the file ends in its header: expected 4 bytes, found 3");
    check(&whole[..4], "f: byte 4: the file ends in its header: expected 12 bytes, found 4");
    check(&gzip(&whole[..11]), "f: byte 11: the file ends in its header: expected 12 bytes, found 11");
    check(&[0, 1, 8, 1], "f: byte 0: expected an IDX file, which begins with 00 00, found 00 01");
    check(
        b"<!DOCTYPE html><html>",
        "f: byte 0: expected an IDX file, which begins with 00 00, found 3c 21 (a web page?)",
    );
    check(
        b"PK\x03\x04 and so on",
        "f: byte 0: expected an IDX file, which begins with 00 00, found 50 4b (a zip archive)",
    );
    check(
        &gzip(&zipped),
        "f: byte 0: expected an IDX file, which begins with 00 00, found 1f 8b (gzip within gzip)",
    );
    check(
        b"\x93NUMPY\x01\x00",
        "f: byte 0: expected an IDX file, which begins with 00 00, found 93 4e (a NumPy file)",
    );
    check(&[0, 0, 0x0a, 1], "f: byte 2: expected a type code of 08, 09, 0b, 0c, 0d or 0e, found 0a");
    check(&whole[..17], "f: byte 17: the file ends early: expected 6 bytes of values, found 5");
    check(&gzip(&whole[..17]), "f: byte 17: the file ends early: expected 6 bytes of values, found 5");
    check(&[whole.as_slice(), &[0]].concat(), "f: byte 18: expected the end of the file, found more bytes");
    check(
        &gzip(&[whole.as_slice(), &[0]].concat()),
        "f: byte 18: expected the end of the file, found more bytes",
    );
    check(
        &described(0x0e, &[u32::MAX, u32::MAX], &[]),
        "f: byte 4: expected sizes whose product fits into memory, found [4294967295, 4294967295]",
    );
    // A size of zero does not hide the product of the others.
    check(
        &described(0x08, &[0, u32::MAX, u32::MAX], &[]),
        "f: byte 4: expected sizes whose product fits into memory, found [0, 4294967295, 4294967295]",
    );
    check(
        &zipped[..zipped.len() - 9],
        "f: broken gzip after 18 decompressed bytes: incomplete deflate stream",
    );
    check(&zipped[..zipped.len() - 8], "f: broken gzip after 18 decompressed bytes: unexpected end of file");
    check(&zipped[..zipped.len() - 1], "f: broken gzip after 18 decompressed bytes: unexpected end of file");
    check(&zipped[..5], "f: broken gzip after 0 decompressed bytes: unexpected end of file");
    let mut wrong_checksum = zipped.clone();
    wrong_checksum[zipped.len() - 8] ^= 1;
    check(
        &wrong_checksum,
        "f: broken gzip after 18 decompressed bytes: corrupt gzip stream does not have a matching checksum",
    );
    let mut wrong_block = zipped.clone();
    wrong_block[10] |= 0b110;
    check(&wrong_block, "f: broken gzip after 0 decompressed bytes: corrupt deflate stream");
    check(
        &[&zipped, b"more than ten bytes".as_slice()].concat(),
        "f: broken gzip after 18 decompressed bytes: invalid gzip header",
    );
}

#[test]
fn a_header_alone_gets_no_memory() {
    // Each promises far more than any machine has, or than the test may have; a reservation of that size would end it.
    for sizes in [[1 << 31, 2], [1 << 31, 1 << 20], [1 << 31, 1 << 31]] {
        let bytes = described(0x08, &sizes, &[7; 10]);
        let promised = u64::from(sizes[0]) * u64::from(sizes[1]);
        let cut = format!("f: byte 22: the file ends early: expected {promised} bytes of values, found 10");
        let message = |bytes: &[u8]| idx::parse(bytes, Path::new("f")).unwrap_err().to_string();
        assert_eq!(message(&bytes), cut);
        let bomb = format!("f: byte 4: expected at most 4294967296 bytes of values, found shape {sizes:?}");
        assert_eq!(message(&gzip(&bytes)), if promised > 1 << 32 { bomb } else { cut });
    }
}

#[test]
fn a_bomb_is_read_no_further_than_its_header_promises() {
    // 64 MiB of zeros behind a promise of ten bytes. Beyond the eleventh the stream is cut off, so whoever went on
    // would meet a broken gzip.
    let mut bomb = gzip(&described(0x08, &[10], &vec![0; 1 << 26]));
    bomb.truncate(bomb.len() / 2);
    let error = idx::parse(&bomb, Path::new("f")).unwrap_err();
    assert_eq!(error.to_string(), "f: byte 18: expected the end of the file, found more bytes");
}

#[test]
fn gzip_in_several_members_is_one_file() {
    let whole = described(0x08, &[4], &[1, 2, 3, 4]);
    let members = [gzip(&whole[..7]), gzip(b""), gzip(&whole[7..])].concat();
    assert_eq!(idx::parse(&members, Path::new("f")).unwrap().values, Values::U8(vec![1, 2, 3, 4]));
}

#[test]
fn files_are_told_by_their_bytes_not_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let array = Idx { shape: vec![3], values: Values::I16(vec![-1, 0, 1]) };
    let bytes = idx::write(&array).unwrap();
    for (name, contents) in [("plain.gz", bytes.clone()), ("zipped", gzip(&bytes))] {
        let path = folder.path().join(name);
        fs::write(&path, contents).unwrap();
        assert_eq!(idx::read(&path).unwrap(), array);
    }
}

#[test]
fn unreadable_paths_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let error = idx::read(&missing).unwrap_err().to_string();
    assert!(error.starts_with(&missing.display().to_string()), "{error}");
    let error = idx::read(folder.path()).unwrap_err().to_string();
    assert!(error.starts_with(&folder.path().display().to_string()), "{error}");
}

#[test]
fn unwritable_arrays_are_named() {
    let check = |shape: &[usize], values: Vec<u8>, expected: &str| {
        let array = Idx { shape: shape.to_vec(), values: Values::U8(values) };
        assert_eq!(idx::write(&array).unwrap_err().to_string(), expected);
    };
    let limits = "expected at most 255 sizes, each below 2^32, and a product that fits into memory";
    check(&[2, 3], vec![0; 5], "shape [2, 3]: expected 6 values, found 5");
    check(&[0, 1 << 32], vec![], &format!("shape [0, 4294967296]: {limits}"));
    check(&[usize::MAX, 2], vec![], &format!("shape [{}, 2]: {limits}", usize::MAX));
    check(&[1; 256], vec![0], &format!("shape {:?}: {limits}", [1; 256]));
}
