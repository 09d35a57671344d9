//! The reader of IDX: what it accepts, it writes again byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mnist_io::idx;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let Ok(array) = idx::parse(bytes, Path::new("fuzz")) else { return };
    assert_eq!(array.values.len(), array.shape.iter().product::<usize>());
    let written = idx::write(&array).expect("what was read can be written");
    // A gzip stream is another spelling of the same array.
    assert!(written == bytes || bytes.starts_with(&[0x1f, 0x8b]));
});
