//! What reading a training set costs, beside what it cannot cost less than: gunzip, and one copy of the bytes.
//!
//! ```text
//! MNIST_DIR=data/mnist cargo bench -p mnist-io
//! ```
//!
//! Without `MNIST_DIR` the set is the bundled sample.

use std::env;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use criterion::{Criterion, criterion_group, criterion_main};
use flate2::bufread::GzDecoder;
use mnist_io::{Dataset, Split};

/// The folder that is read.
fn folder() -> PathBuf {
    let sample = || Path::new(env!("CARGO_MANIFEST_DIR")).join("sample");
    env::var_os("MNIST_DIR").map_or_else(sample, PathBuf::from)
}

/// The bytes of a file behind its gzip, in memory that was reserved, and then once more.
fn gunzip_and_copy(path: &Path, capacity: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(capacity);
    let file = BufReader::with_capacity(1 << 16, File::open(path).expect("the file is there"));
    GzDecoder::new(file).read_to_end(&mut bytes).expect("it is gzip");
    black_box(bytes).as_slice().to_vec()
}

fn read(criterion: &mut Criterion) {
    let folder = folder();
    let files = Split::Train.files(&folder).expect("the set is there");
    let sizes = files.each_ref().map(|path| gunzip_and_copy(path, 0).len() + 1);
    let stored: u64 = files.iter().map(|path| fs::metadata(path).expect("it is there").len()).sum();
    let mut group = criterion.benchmark_group(format!("read {stored} bytes"));
    group.sample_size(20);
    group.bench_function("gunzip and a copy", |bencher| {
        bencher.iter(|| [gunzip_and_copy(&files[0], sizes[0]), gunzip_and_copy(&files[1], sizes[1])]);
    });
    group.bench_function("Dataset::load", |bencher| {
        bencher.iter(|| Dataset::load(&folder, Split::Train).expect("the set is whole"));
    });
    group.finish();
}

criterion_group!(benches, read);
criterion_main!(benches);
