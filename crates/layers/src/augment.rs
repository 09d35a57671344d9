//! Augmentation: each time a training image is seen, a slightly different one of the same class.

mod elastic;
mod warp;

use crate::{Error, Result};
use elastic::Elastic;
use rand::{Rng, RngExt};
use serde::{Deserialize, Deserializer, Serialize};
use warp::{Affine, resample};

/// One kind of change, drawn anew for each image. Every range is symmetric and every draw from it is uniform.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Augment {
    /// Moves the image down and to the right, each by its own draw from ±`pixels`, fractions included.
    Shift {
        /// At least 0, in pixels.
        pixels: f32,
    },
    /// Turns the image by an angle from ±`degrees`.
    Rotate {
        /// From 0 to 180, in degrees.
        degrees: f32,
    },
    /// Enlarges the image by a factor from 1 ± `factor`, the same for rows and columns.
    Scale {
        /// From 0 to below 1; 0.1 for factors between 0.9 and 1.1.
        factor: f32,
    },
    /// Slants the image as handwriting is slanted, by an angle from ±`degrees` off the vertical.
    Shear {
        /// From 0 to below 90, in degrees.
        degrees: f32,
    },
    /// Displaces each pixel by a smooth random field (Simard, Steinkraus and Platt 2003): uniform white noise for the
    /// rows and for the columns, smoothed with a Gaussian.
    ///
    /// The field is scaled by its own standard deviation, so the strength does not depend on the smoothness. The
    /// paper's α multiplies the smoothed noise instead; α corresponds to α / (√12 · √π · `smoothness`) pixels here,
    /// and its best setting for MNIST, α = 34 with σ = 4, to 1.4 pixels.
    Elastic {
        /// The standard deviation of the displacement along each axis: at least 0, in pixels. Above about 0.4 of the
        /// smoothness, images begin to fold over themselves.
        pixels: f32,
        /// The standard deviation σ of the Gaussian: above 0, in pixels. Its kernel ends at 3σ, or at half of the
        /// image.
        smoothness: f32,
    },
    /// Sets a rectangle to 0, the mean of normalised images (DeVries and Taylor 2017). It lies anywhere in the image
    /// with equal probability, always as a whole.
    Cutout {
        /// Its rows: at most the image's.
        rows: usize,
        /// Its columns: at most the image's.
        columns: usize,
    },
    /// Mirrors left and right, with probability 1/2.
    #[serde(deserialize_with = "no_fields")]
    Flip,
}

/// Changes of an image, each in its turn.
///
/// Shift, rotation, scale, shear and flip act about the image's centre, in the order of the list, and become one
/// affine map. The elastic displacements are added to that map's source positions, wherever they are listed, and
/// then the image is resampled once, bilinearly; the border's pixels go on beyond the border. Cutouts come last.
///
/// ```
/// use layers::{Augment, Augmentation};
/// use rand::SeedableRng;
/// use rand_xoshiro::Xoshiro256PlusPlus;
///
/// let augmentation = Augmentation::new([Augment::Rotate { degrees: 10.0 }, Augment::Shift { pixels: 2.0 }]);
/// let (shape, mut image) = ([28, 28, 1], vec![0.5; 28 * 28]);
/// augmentation.check(shape)?;
/// let mut scratch = vec![0.0; augmentation.scratch(shape)];
/// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
/// augmentation.apply(shape, &mut rng, &mut image, &mut scratch);
/// # Ok::<(), layers::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Augmentation {
    steps: Vec<Augment>,
}

impl Augmentation {
    /// These changes; none for the image as it is.
    pub fn new(steps: impl IntoIterator<Item = Augment>) -> Self {
        Self { steps: steps.into_iter().collect() }
    }

    /// The changes, in their order.
    pub fn steps(&self) -> &[Augment] {
        &self.steps
    }

    /// Whether images stay as they are.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Fails where a setting is outside its range, for images of `shape`: rows, columns, channels.
    ///
    /// # Errors
    /// [`Error::Setting`], with the setting, its range and what was found.
    pub fn check(&self, shape: [usize; 3]) -> Result<()> {
        self.steps.iter().try_for_each(|step| step.check(shape))
    }

    /// How many numbers of scratch [`Augmentation::apply`] needs for images of `shape`.
    pub fn scratch(&self, shape: [usize; 3]) -> usize {
        let copy: usize = shape.iter().product();
        if self.is_elastic() { copy + Elastic::scratch(shape) } else { copy }
    }

    /// Changes one image (row, column, channel) in place. What is drawn depends on `rng`'s state alone: give each
    /// sample of each epoch a stream of its own.
    ///
    /// # Panics
    /// An image that is not of `shape`, or less scratch than [`Augmentation::scratch`] says.
    pub fn apply(&self, shape: [usize; 3], rng: &mut impl Rng, image: &mut [f32], scratch: &mut [f32]) {
        assert_eq!(image.len(), shape.iter().product::<usize>(), "the image is of this shape");
        if image.is_empty() {
            return;
        }
        let mut map = Affine::IDENTITY;
        for step in &self.steps {
            map = step.compose(rng, map);
        }
        if self.is_elastic() {
            let (source, scratch) = scratch.split_at_mut(image.len());
            source.copy_from_slice(image);
            let mut elastic = Elastic::new(shape, scratch);
            for step in &self.steps {
                if let Augment::Elastic { pixels, smoothness } = *step {
                    elastic.add(pixels, smoothness, rng);
                }
            }
            let [down, across] = elastic.displacement();
            resample(shape, &map, |pixel| [down[pixel], across[pixel]], source, image);
        } else if map != Affine::IDENTITY {
            let source = &mut scratch[..image.len()];
            source.copy_from_slice(image);
            resample(shape, &map, |_| [0.0; 2], source, image);
        }
        for step in &self.steps {
            if let Augment::Cutout { rows, columns } = *step {
                cut_out(shape, [rows, columns], rng, image);
            }
        }
    }

    fn is_elastic(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Augment::Elastic { .. }))
    }
}

impl Augment {
    fn check(self, [image_rows, image_columns, _]: [usize; 3]) -> Result<()> {
        let number = |what, value: f32, good: bool, expected| match good && value.is_finite() {
            true => Ok(()),
            false => Err(Error::Setting { what, expected, found: value.to_string() }),
        };
        let size = |value: usize, most: usize, expected| match value <= most {
            true => Ok(()),
            false => Err(Error::Setting { what: "cutout", expected, found: format!("{value} of {most}") }),
        };
        let pixels =
            |what, value| number(what, value, value >= 0.0, "a finite number of pixels of at least 0");
        match self {
            Self::Shift { pixels: value } => pixels("shift", value),
            Self::Rotate { degrees } => {
                number("rotate", degrees, (0.0..=180.0).contains(&degrees), "degrees from 0 to 180")
            }
            Self::Scale { factor } => {
                number("scale", factor, (0.0..1.0).contains(&factor), "a factor from 0 to below 1")
            }
            Self::Shear { degrees } => {
                number("shear", degrees, (0.0..90.0).contains(&degrees), "degrees from 0 to below 90")
            }
            Self::Elastic { pixels: value, smoothness } => {
                pixels("elastic", value)?;
                let expected = "a finite number of pixels above 0";
                number("elastic smoothness", smoothness, smoothness > 0.0, expected)
            }
            Self::Cutout { rows, columns } => {
                size(rows, image_rows, "at most the image's rows")?;
                size(columns, image_columns, "at most the image's columns")
            }
            Self::Flip => Ok(()),
        }
    }

    /// `map` behind one draw of this change. A map leads from a pixel to its source, so a step adds its inverse.
    fn compose(self, rng: &mut impl Rng, map: Affine) -> Affine {
        let mut within = |range: f32| range * symmetric(rng);
        match self {
            Self::Shift { pixels } => {
                let by = [within(pixels), within(pixels)];
                map.after([[1.0, 0.0], [0.0, 1.0]], by.map(|by| -by))
            }
            Self::Rotate { degrees } => {
                let (sin, cos) = within(degrees.to_radians()).sin_cos();
                map.after([[cos, -sin], [sin, cos]], [0.0; 2])
            }
            Self::Scale { factor } => {
                let shrink = 1.0 / (1.0 + within(factor));
                map.after([[shrink, 0.0], [0.0, shrink]], [0.0; 2])
            }
            Self::Shear { degrees } => {
                let slope = within(degrees.to_radians()).tan();
                map.after([[1.0, 0.0], [-slope, 1.0]], [0.0; 2])
            }
            Self::Flip if rng.random() => map.after([[1.0, 0.0], [0.0, -1.0]], [0.0; 2]),
            Self::Flip | Self::Elastic { .. } | Self::Cutout { .. } => map,
        }
    }
}

/// Refuses the fields that serde would let pass beside the tag of a variant without any.
fn no_fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct NoFields {}
    NoFields::deserialize(deserializer).map(|_| ())
}

/// Uniform in [-1, 1).
fn symmetric(rng: &mut impl Rng) -> f32 {
    2.0 * rng.random::<f32>() - 1.0
}

/// Zeroes a rectangle of this size.
fn cut_out(shape: [usize; 3], size: [usize; 2], rng: &mut impl Rng, image: &mut [f32]) {
    let [rows, columns, channels] = shape;
    let size = [size[0].min(rows), size[1].min(columns)];
    let [top, left] = [rng.random_range(0..=rows - size[0]), rng.random_range(0..=columns - size[1])];
    for line in image.chunks_exact_mut(columns * channels).skip(top).take(size[0]) {
        line[left * channels..(left + size[1]) * channels].fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    /// `measure`, given where the centre and the pixels below and to the right of it come from, fills ±`range` over
    /// many draws of `step`: it stays within, comes near both ends, and is about 0 on average.
    fn check(step: Augment, range: f32, measure: impl Fn([[f32; 2]; 3]) -> f32) {
        let (seed, draws) = (3, 10_000);
        let mut rng = stream(seed, Purpose::Augment { epoch: 0, sample: 0 });
        let (mut low, mut high, mut sum) = (f32::INFINITY, f32::NEG_INFINITY, 0.0);
        for _ in 0..draws {
            let Affine { matrix: [[a, b], [c, d]], offset: [e, f] } =
                step.compose(&mut rng, Affine::IDENTITY);
            let value = measure([[e, f], [a + e, c + f], [b + e, d + f]]) / range;
            (low, high, sum) = (low.min(value), high.max(value), sum + value);
        }
        let mean = sum / draws as f32;
        let within = (-1.001..-0.99).contains(&low) && (0.99..1.001).contains(&high);
        assert!(within, "seed {seed}, {step:?}: from {low} to {high} of the range");
        assert!(mean.abs() < 0.03, "seed {seed}, {step:?}: mean {mean} of the range");
    }

    #[test]
    fn draws_fill_their_ranges() {
        let shift = Augment::Shift { pixels: 2.5 };
        check(shift, 2.5, |[centre, _, _]| -centre[0]);
        check(shift, 2.5, |[centre, _, _]| -centre[1]);
        let rotate = Augment::Rotate { degrees: 30.0 };
        check(rotate, 30.0, |[_, down, _]| down[1].atan2(down[0]).to_degrees());
        check(rotate, 30.0, |[_, _, right]| -right[0].atan2(right[1]).to_degrees());
        let scale = Augment::Scale { factor: 0.25 };
        check(scale, 0.25, |[_, down, _]| 1.0 / down[0] - 1.0);
        check(scale, 0.25, |[_, _, right]| 1.0 / right[1] - 1.0);
        check(Augment::Shear { degrees: 40.0 }, 40.0, |[_, down, _]| down[1].atan().to_degrees());
    }

    #[test]
    fn each_sample_of_each_epoch_has_its_own_change() {
        let augmentation = Augmentation::new([Augment::Shift { pixels: 2.0 }]);
        let shape = [6, 7, 1];
        let mut scratch = vec![f32::NAN; augmentation.scratch(shape)];
        let mut image = |seed, epoch, sample| {
            let mut image: Vec<f32> = (0..42).map(|i| (i * i % 17) as f32).collect();
            let mut rng = stream(seed, Purpose::Augment { epoch, sample });
            augmentation.apply(shape, &mut rng, &mut image, &mut scratch);
            image
        };
        let mut seen = Vec::new();
        for (seed, epoch, sample) in
            [(1, 0, 0), (2, 0, 0), (1, 1, 0), (1, 0, 1), (1, 1, 1), (1, 2, 3), (1, 3, 2)]
        {
            let found = image(seed, epoch, sample);
            assert_eq!(found, image(seed, epoch, sample));
            assert!(!seen.contains(&found), "seed {seed}, epoch {epoch}, sample {sample}");
            seen.push(found);
        }
    }
}
