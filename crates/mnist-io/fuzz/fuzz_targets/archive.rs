//! IDX in a zip archive, as EMNIST comes: whatever the archive says of lengths, no more is read than the limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mnist_io::archive;
use std::io::Cursor;
use std::path::Path;

/// Bytes of values, far fewer than the fuzzer's archives can promise.
const LIMIT: u64 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let read = archive::read(Cursor::new(bytes), Path::new("fuzz"), &["images.gz", "images"], LIMIT);
    let Ok(array) = read else { return };
    assert_eq!(array.values.len(), array.shape.iter().product::<usize>());
    assert!(array.values.len() as u64 <= LIMIT);
});
