//! Shuffled orders, and a split that keeps the shares of the classes.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic, too")]

use mnist_io::Dataset;
use proptest::collection::vec;
use proptest::prelude::*;

/// A set of images of one pixel.
fn set(labels: Vec<usize>) -> Dataset {
    Dataset::new(vec![0; labels.len()], [1, 1, 1], labels).unwrap()
}

proptest! {
    #[test]
    fn a_split_is_two_parts_with_the_share_of_each_class(
        labels in vec(0usize..5, 0..60),
        share in 0.01f64..0.99,
        seed: u64,
    ) {
        let set = set(labels);
        let (training, validation) = set.split(share, seed).unwrap();
        prop_assert!(training.is_sorted() && validation.is_sorted());
        let mut all = [training.as_slice(), &validation].concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..set.len()).collect::<Vec<_>>());
        for (class, count) in set.class_counts().into_iter().enumerate() {
            let found = validation.iter().filter(|&&i| set.label(i) == class).count();
            prop_assert!((found as f64 - count as f64 * share).abs() <= 0.5, "{} of {}", found, count);
        }
    }

    #[test]
    fn a_shuffle_has_every_image_once(n in 0usize..200, seed: u64) {
        let mut order = set(vec![0; n]).shuffled(seed);
        order.sort_unstable();
        prop_assert_eq!(order, (0..n).collect::<Vec<_>>());
    }
}

/// Another order of the same seed would be another experiment under its name.
#[test]
fn the_seed_decides() {
    let set = set((0..40).map(|i| i % 4).collect());
    assert_eq!(set.shuffled(7), set.shuffled(7));
    assert_ne!(set.shuffled(7), set.shuffled(8));
    assert_eq!(set.split(0.25, 7).unwrap(), set.split(0.25, 7).unwrap());
    assert_ne!(set.split(0.25, 7).unwrap(), set.split(0.25, 8).unwrap());
    assert_eq!(set.shuffled(0)[..8], [31, 0, 5, 19, 17, 15, 14, 18]);
}

#[test]
fn a_share_that_is_none_is_named() {
    for (share, shown) in [(0.0, "0"), (1.0, "1"), (-0.5, "-0.5"), (f64::NAN, "NaN"), (1e9, "1000000000")] {
        let error = set(vec![0]).split(share, 0).unwrap_err().to_string();
        assert_eq!(error, format!("share: expected a number between 0 and 1, found {shown}"));
    }
}
