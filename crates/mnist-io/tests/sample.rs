//! The bundled sample, and, where `MNIST_DIR` names a folder with the full set, the full set.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::path::PathBuf;

use mnist_io::{Dataset, Normalization, Split, sample};
use sha2::{Digest, Sha256};

/// What counting the full set's bytes in another language gave, for the first 1,000 of a split and for all of it.
struct Facts {
    first_labels: [usize; 10],
    label_counts: [usize; 10],
    sum_of_pixels: u64,
}

const TRAIN_SAMPLE: Facts = Facts {
    first_labels: [5, 0, 4, 1, 9, 2, 1, 3, 1, 4],
    label_counts: [97, 116, 99, 93, 105, 92, 94, 117, 87, 100],
    sum_of_pixels: 25_637_533,
};
const TEST_SAMPLE: Facts = Facts {
    first_labels: [7, 2, 1, 0, 4, 1, 4, 9, 5, 9],
    label_counts: [85, 126, 116, 107, 110, 87, 87, 99, 89, 94],
    sum_of_pixels: 24_443_134,
};
const TRAIN: Facts = Facts {
    first_labels: TRAIN_SAMPLE.first_labels,
    label_counts: [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    sum_of_pixels: 1_567_298_545,
};
const TEST: Facts = Facts {
    first_labels: TEST_SAMPLE.first_labels,
    label_counts: [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    sum_of_pixels: 264_923_200,
};

fn check(set: &Dataset, len: usize, facts: &Facts) {
    assert_eq!((set.len(), set.shape(), set.classes()), (len, [28, 28, 1], 10));
    assert_eq!(set.labels()[..10], facts.first_labels);
    assert_eq!(set.class_counts(), facts.label_counts);
    assert_eq!(set.images().iter().map(|&pixel| u64::from(pixel)).sum::<u64>(), facts.sum_of_pixels);
}

/// The folder of the full set, or `None`, with a note, where there is none.
fn full_set() -> Option<PathBuf> {
    let folder = std::env::var_os("MNIST_DIR").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: MNIST_DIR does not name a folder with the full set");
    }
    folder
}

#[test]
fn the_sample_is_what_it_should_be() {
    check(&sample::train().unwrap(), 1_000, &TRAIN_SAMPLE);
    check(&sample::test().unwrap(), 1_000, &TEST_SAMPLE);
}

#[test]
fn full_set_begins_with_the_sample() {
    let Some(folder) = full_set() else { return };
    for (split, sample) in [(Split::Train, sample::train()), (Split::Test, sample::test())] {
        let mut full = Dataset::load(&folder, split).unwrap();
        full.truncate(1_000);
        assert_eq!(full, sample.unwrap());
    }
}

#[test]
fn full_set_is_what_it_should_be() {
    let Some(folder) = full_set() else { return };
    let train = Dataset::load(&folder, Split::Train).unwrap();
    let test = Dataset::load(&folder, Split::Test).unwrap();
    check(&train, 60_000, &TRAIN);
    check(&test, 10_000, &TEST);
    // The published sums are of whole files: a header, and then these bytes.
    for (set, sha256) in [
        (&train, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        (&test, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    ] {
        let header: Vec<u8> =
            [0x0803, set.len() as u32, 28, 28].iter().flat_map(|number| number.to_be_bytes()).collect();
        let digest = Sha256::new().chain_update(header).chain_update(set.images()).finalize();
        assert_eq!(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), sha256);
    }
}

#[test]
fn full_training_set_has_the_mean_and_deviation_of_its_normalisation() {
    let Some(folder) = full_set() else { return };
    let train = Dataset::load(&folder, Split::Train).unwrap();
    let n = train.images().len() as f64;
    let shares = || train.images().iter().map(|&pixel| f64::from(pixel) / 255.0);
    let mean = shares().sum::<f64>() / n;
    let std = (shares().map(|share| (share - mean).powi(2)).sum::<f64>() / n).sqrt();
    let found = train.mean_and_std();
    assert!((found.0 - mean).abs() < 1e-9 && (found.1 - std).abs() < 1e-9, "{found:?}");
    let digits = |number: f64| (number * 1e4).round() as i64;
    assert_eq!((digits(mean), digits(std)), (1307, 3081));
    assert_eq!(Normalization::MNIST, Normalization { mean: 0.1307, std: 0.3081 });
}
