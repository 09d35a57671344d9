//! Random numbers: a named, portable generator, and one independent stream for each use of it.
//!
//! A stream is a function of the seed and of what it is for, never of what was drawn before. So a run that
//! resumes at epoch 7 shuffles as one that never stopped.

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// What a stream is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// Initial values of the parameter with this index.
    Initialize { parameter: usize },
    /// The order of the samples in this epoch.
    Shuffle { epoch: usize },
    /// The choice of validation samples among this class.
    Split { class: usize },
    /// The numbers that gradients are checked with.
    Gradcheck,
    /// What one layer drops from one sample of a step's batch.
    Dropout { layer: u64, step: u64, sample: usize },
    /// How one sample's image is changed in this epoch.
    Augment { epoch: usize, sample: usize },
}

/// The generator for one use under one seed.
pub(crate) fn stream(seed: u64, purpose: Purpose) -> Xoshiro256PlusPlus {
    let words = match purpose {
        Purpose::Initialize { parameter } => [1, parameter as u64, 0, 0],
        Purpose::Shuffle { epoch } => [2, epoch as u64, 0, 0],
        Purpose::Split { class } => [3, class as u64, 0, 0],
        Purpose::Gradcheck => [6, 0, 0, 0],
        Purpose::Dropout { layer, step, sample } => [4, layer, step, sample as u64],
        Purpose::Augment { epoch, sample } => [5, epoch as u64, sample as u64, 0],
    };
    Xoshiro256PlusPlus::seed_from_u64(words.into_iter().fold(mix(seed), |state, word| mix(state ^ word)))
}

/// SplitMix64's output function (Steele, Lea and Flood 2014): every bit of the input moves every bit of the result.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;
    use std::collections::HashSet;

    #[test]
    fn streams_differ_and_repeat() {
        let first = |seed, purpose| stream(seed, purpose).random::<u64>();
        let mut seen = HashSet::new();
        for seed in 0..20 {
            for index in 0..20 {
                for purpose in [Purpose::Initialize { parameter: index }, Purpose::Shuffle { epoch: index }] {
                    assert!(seen.insert(first(seed, purpose)));
                    assert_eq!(first(seed, purpose), first(seed, purpose));
                }
            }
        }
    }

    /// A change of generator or of seeding would change every run. The values were computed apart from this
    /// code, from the definitions of SplitMix64 and xoshiro256++.
    #[test]
    fn values_are_pinned() {
        let draws: Vec<u64> = (0..3).map(|epoch| stream(42, Purpose::Shuffle { epoch }).random()).collect();
        assert_eq!(
            draws,
            [14_820_841_512_305_892_103, 13_183_683_916_212_811_657, 12_805_798_646_227_810_218]
        );
    }
}
