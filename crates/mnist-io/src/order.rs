//! Orders of a set's images: shuffled, and in two parts.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::{Dataset, Error, Result};

impl Dataset {
    /// All images in random order: each place once. The seed and the number of images decide it, on any machine.
    pub fn shuffled(&self, seed: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
        order
    }

    /// The images in two parts, each in the set's order: one to train on, and one to validate with that has `share` of
    /// each class, rounded to whole images. Which ones is drawn under `seed`.
    ///
    /// ```
    /// # fn main() -> mnist_io::Result<()> {
    /// let digits = mnist_io::sample::train()?;
    /// let (training, validation) = digits.split(0.1, 7)?;
    /// assert_eq!((training.len(), validation.len()), (899, 101));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A share that is not between 0 and 1.
    pub fn split(&self, share: f64, seed: u64) -> Result<(Vec<usize>, Vec<usize>)> {
        if !(share > 0.0 && share < 1.0) {
            return Err(Error::Share { found: share });
        }
        let mut left: Vec<usize> =
            self.class_counts().into_iter().map(|count| (count as f64 * share).round() as usize).collect();
        let (mut validation, mut training): (Vec<_>, Vec<_>) =
            self.shuffled(seed).into_iter().partition(|&i| {
                let left = &mut left[self.label(i)];
                let validates = *left > 0;
                *left -= usize::from(validates);
                validates
            });
        training.sort_unstable();
        validation.sort_unstable();
        Ok((training, validation))
    }
}
