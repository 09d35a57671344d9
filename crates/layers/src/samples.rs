//! Labelled images: where training and judging take them from.

use crate::layer::array;
use crate::parallel::for_rows;
use crate::random::{Purpose, stream};
use crate::{Error, Network, Result, Shape};
use rand::seq::SliceRandom;
use tensor_ops::ndarray::{ArrayView4, Axis};

/// Labelled images, wherever they are kept.
pub trait Samples: Sync {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows, columns and channels of an image.
    fn shape(&self) -> [usize; 3];

    /// The class of a sample.
    fn label(&self, index: usize) -> usize;

    /// Writes the image of a sample, as the network is to see it.
    fn image(&self, index: usize, x: &mut [f32]);

    /// The same numbers, where they are kept as such: a batch of one sample is then not copied.
    fn kept(&self, _index: usize) -> Option<&[f32]> {
        None
    }
}

/// Samples in memory: images (sample, row, column, channel) and a label each.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    images: ArrayView4<'a, f32>,
    labels: &'a [usize],
}

impl<'a> Images<'a> {
    /// Images with their labels.
    ///
    /// # Errors
    /// Unequal numbers of images and labels.
    pub fn new(images: ArrayView4<'a, f32>, labels: &'a [usize]) -> Result<Self> {
        let (expected, found) = (images.dim().0, labels.len());
        if expected == found {
            Ok(Self { images, labels })
        } else {
            Err(tensor_ops::Error::LabelCount { expected, found }.into())
        }
    }
}

impl Samples for Images<'_> {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn shape(&self) -> [usize; 3] {
        let (_, rows, columns, channels) = self.images.dim();
        [rows, columns, channels]
    }

    fn label(&self, index: usize) -> usize {
        self.labels[index]
    }

    fn image(&self, index: usize, x: &mut [f32]) {
        x.iter_mut().zip(self.images.index_axis(Axis(0), index)).for_each(|(x, v)| *x = *v);
    }

    fn kept(&self, index: usize) -> Option<&[f32]> {
        self.images.index_axis(Axis(0), index).to_slice()
    }
}

/// Some of a set's samples.
#[derive(Clone)]
pub struct Subset<'a> {
    samples: &'a dyn Samples,
    indices: Vec<usize>,
}

impl<'a> Subset<'a> {
    /// The samples at `indices`, in this order.
    ///
    /// # Errors
    /// An index beyond the set.
    pub fn new(samples: &'a dyn Samples, indices: Vec<usize>) -> Result<Self> {
        let len = samples.len();
        match indices.iter().find(|&&index| index >= len) {
            Some(&found) => Err(Error::Index { len, found }),
            None => Ok(Self { samples, indices }),
        }
    }

    /// Two sets: one to train on and one to validate with, which has `share` of each class, drawn under `seed`. Of a class
    /// with two samples or more, each gets at least one.
    ///
    /// # Errors
    /// A share that is not between 0 and 1.
    pub fn split(samples: &'a dyn Samples, share: f64, seed: u64) -> Result<(Self, Self)> {
        if !(share > 0.0 && share < 1.0) {
            let found = share.to_string();
            return Err(Error::Setting {
                what: "validation share",
                expected: "a share between 0 and 1",
                found,
            });
        }
        let classes = (0..samples.len()).map(|index| samples.label(index) + 1).max().unwrap_or(0);
        let mut by_class = vec![Vec::new(); classes];
        (0..samples.len()).for_each(|index| by_class[samples.label(index)].push(index));
        let (mut train, mut validation) = (Vec::new(), Vec::new());
        for (class, mut indices) in by_class.into_iter().enumerate() {
            indices.shuffle(&mut stream(seed, Purpose::Split { class }));
            let most = indices.len().saturating_sub(1);
            let count = ((indices.len() as f64 * share).round() as usize).clamp(1.min(most), most);
            validation.extend(indices.drain(..count));
            train.append(&mut indices);
        }
        train.sort_unstable();
        validation.sort_unstable();
        Ok((Self { samples, indices: train }, Self { samples, indices: validation }))
    }
}

impl Samples for Subset<'_> {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn shape(&self) -> [usize; 3] {
        self.samples.shape()
    }

    fn label(&self, index: usize) -> usize {
        self.samples.label(self.indices[index])
    }

    fn image(&self, index: usize, x: &mut [f32]) {
        self.samples.image(self.indices[index], x);
    }

    fn kept(&self, index: usize) -> Option<&[f32]> {
        self.samples.kept(self.indices[index])
    }
}

impl Network {
    /// Fails where samples do not fit the network.
    ///
    /// # Errors
    /// Images of another shape than the input, no samples, a label that is no class, an output that is no row of logits.
    pub fn check_samples(&self, samples: &dyn Samples) -> Result<()> {
        let (expected, found) = (self.spec().input, samples.shape());
        if found != expected {
            return Err(Error::Images { expected: Shape::Map(expected), found: Shape::Map(found) });
        }
        if samples.is_empty() {
            return Err(Error::NoSamples);
        }
        let classes = self.classes()?;
        match (0..samples.len()).find(|&index| samples.label(index) >= classes) {
            Some(index) => Err(Error::Label { index, classes, found: samples.label(index) }),
            None => Ok(()),
        }
    }
}

/// The images and labels of one batch, in buffers that are filled again for the next.
pub(crate) struct Batch {
    shape: [usize; 3],
    x: Vec<f32>,
    labels: Vec<usize>,
    /// Room beside each image, for whoever changes it.
    scratch: Vec<f32>,
}

impl Batch {
    /// Buffers for `capacity` samples, each with so many numbers of scratch.
    pub fn new(network: &Network, capacity: usize, scratch: usize) -> Self {
        let shape = network.spec().input;
        let x = vec![0.0; capacity * shape.iter().product::<usize>()];
        Self { shape, x, labels: Vec::with_capacity(capacity), scratch: vec![0.0; capacity * scratch] }
    }

    /// Takes the samples at `indices`.
    pub fn gather<'a>(
        &'a mut self,
        samples: &'a dyn Samples,
        indices: &[usize],
    ) -> (ArrayView4<'a, f32>, &'a [usize]) {
        if let [index] = *indices
            && let Some(image) = samples.kept(index)
        {
            let [rows, columns, channels] = self.shape;
            self.labels.clear();
            self.labels.push(samples.label(index));
            return (array((1, rows, columns, channels), image), &self.labels);
        }
        self.gather_changed(samples, indices, |_, _, _| ())
    }

    /// Takes the samples at `indices`, and calls `change` with each one's place in its set, image and scratch.
    pub fn gather_changed(
        &mut self,
        samples: &dyn Samples,
        indices: &[usize],
        change: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
    ) -> (ArrayView4<'_, f32>, &[usize]) {
        let Self { shape: [rows, columns, channels], x, labels, scratch } = self;
        let count = indices.len();
        let x = &mut x[..count * *rows * *columns * *channels];
        labels.clear();
        labels.extend(indices.iter().map(|&index| samples.label(index)));
        for_rows(count, x, scratch, |row, x, scratch| {
            samples.image(indices[row], x);
            change(indices[row], x, scratch);
        });
        (array((count, *rows, *columns, *channels), x), labels)
    }
}
