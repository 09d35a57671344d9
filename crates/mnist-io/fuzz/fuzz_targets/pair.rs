//! Images and labels from two files: what belongs together is a data set whose every part can be used.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mnist_io::{Dataset, Normalization};
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

/// Two files in memory, where the system has such a place.
static FILES: LazyLock<[PathBuf; 2]> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
    ["images", "labels"].map(|name| folder.join(format!("mnist-io-fuzz-{}-{name}", std::process::id())))
});

fuzz_target!(|parts: (&[u8], &[u8])| {
    let [images, labels] = &*FILES;
    fs::write(images, parts.0).expect("a file can be written");
    fs::write(labels, parts.1).expect("a file can be written");
    let Ok(set) = Dataset::read(images, labels) else { return };
    let pixels: usize = set.shape().iter().product();
    assert_eq!(set.images().len(), set.len() * pixels);
    assert_eq!(set.class_counts().iter().sum::<usize>(), set.len());
    let (training, validation) = set.split(0.25, 1).expect("a quarter is a share");
    let mut out = vec![0.0; training.len() * pixels];
    set.gather(&training, Normalization::MNIST, &mut out).expect("the places are the set's own");
    assert!(out.iter().all(|number| number.is_finite()));
    assert_eq!(training.len() + validation.len(), set.iter().count());
});
