//! Gzip in front of IDX, twice: the fuzzer's bytes as a gzip stream, whose checksum it hardly ever gets right, and as
//! the contents of a stream that is made of them, cut off where its first two bytes say.
#![no_main]

use flate2::Compression;
use flate2::read::GzEncoder;
use libfuzzer_sys::fuzz_target;
use mnist_io::idx;
use std::io::Read;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new("fuzz");
    let _ = idx::parse(&[&[0x1f, 0x8b, 8], bytes].concat(), path);

    let Some((&[high, low], contents)) = bytes.split_first_chunk() else { return };
    let mut stream = Vec::new();
    GzEncoder::new(contents, Compression::fast()).read_to_end(&mut stream).expect("memory does not fail");
    let whole = idx::parse(&stream, path).ok();
    assert_eq!(whole.is_some(), idx::parse(contents, path).is_ok() && !contents.starts_with(&[0x1f, 0x8b]));
    let cut = usize::from(u16::from_be_bytes([high, low]));
    if cut < stream.len() {
        assert!(idx::parse(&stream[..cut], path).is_err(), "a stream cut off at byte {cut} was accepted");
    }
});
