//! The training loop over a set of samples, and the judgement of one. Progress goes to the caller's closure.

use crate::random::{Purpose, stream};
use crate::{Activations, Error, Network, Parameters, Result, Sgd, Shape};
use rand::seq::SliceRandom;
use std::time::Instant;
use tensor_ops::ndarray::{ArrayView4, Axis};

/// Labelled images, wherever they are kept.
pub trait Samples {
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
}

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainConfig {
    /// How often each sample is seen.
    pub epochs: usize,
    /// Samples a step; 1 is the tutorial's.
    pub batch_size: usize,
    /// The optimiser.
    pub sgd: Sgd,
    /// What the order of the samples follows from.
    pub seed: u64,
}

/// Loss and accuracy over a set of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// Samples that were looked at.
    pub images: usize,
    /// The sum of their losses.
    pub total_loss: f64,
    /// Those whose label had the largest logit.
    pub correct: usize,
}

impl Score {
    /// The mean loss.
    pub fn loss(&self) -> f64 {
        self.total_loss / self.images as f64
    }

    /// The share of correct answers, from 0 to 1.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.images as f64
    }

    /// Counts a batch in.
    pub fn add(&mut self, images: usize, loss: f32, correct: usize) {
        self.images += images;
        self.total_loss += f64::from(loss) * images as f64;
        self.correct += correct;
    }
}

/// What happens during training. Epochs and steps count from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// An epoch begins.
    EpochStart {
        /// Which one.
        epoch: usize,
    },
    /// A step was made.
    Step {
        /// The epoch it is in.
        epoch: usize,
        /// Which step of the epoch.
        step: usize,
        /// The samples of its batch, before the update.
        score: Score,
    },
    /// An epoch ended.
    EpochEnd {
        /// Which one.
        epoch: usize,
        /// The steps' scores together: each sample as it was seen, before its update.
        train: Score,
        /// The validation set after the epoch, if there is one.
        validation: Option<Score>,
        /// Seconds spent on training, without the validation.
        seconds: f64,
    },
}

/// Trains: `epochs` times over all samples of `train`, in a new order each time, and after each epoch a look at
/// `validation`.
///
/// # Errors
/// Samples that do not fit the network, no samples, a batch of 0, a workspace that does not fit into memory, and a
/// loss that is no longer finite.
pub fn train(
    network: &Network,
    parameters: &mut Parameters,
    config: &TrainConfig,
    train: &dyn Samples,
    validation: Option<&dyn Samples>,
    mut on_event: impl FnMut(Event),
) -> Result<()> {
    for samples in [Some(train), validation].into_iter().flatten() {
        check_samples(network, samples)?;
    }
    let batch_size = config.batch_size.min(train.len());
    let mut workspace = network.workspace(batch_size)?;
    let mut batch = Batch::new(network, batch_size);
    let mut order: Vec<usize> = Vec::with_capacity(train.len());

    for epoch in 1..=config.epochs {
        on_event(Event::EpochStart { epoch });
        let started = Instant::now();
        order.clear();
        order.extend(0..train.len());
        order.shuffle(&mut stream(config.seed, Purpose::Shuffle { epoch }));

        let mut total = Score::default();
        for (index, samples) in order.chunks(batch_size).enumerate() {
            let step = index + 1;
            let (x, labels) = batch.gather(train, samples.iter().copied());
            let result = network.train_step(parameters, &config.sgd, x, labels, &mut workspace)?;
            if !result.loss.is_finite() {
                let learning_rate = config.sgd.learning_rate;
                return Err(Error::Diverged { epoch, step, loss: result.loss, learning_rate });
            }
            let mut score = Score::default();
            score.add(samples.len(), result.loss, result.correct);
            total.add(samples.len(), result.loss, result.correct);
            on_event(Event::Step { epoch, step, score });
        }
        let seconds = started.elapsed().as_secs_f64();
        let judge =
            |samples| judge_all(network, parameters, samples, workspace.activations(), &mut batch, |_| ());
        let validation = validation.map(judge).transpose()?;
        on_event(Event::EpochEnd { epoch, train: total, validation, seconds });
    }
    Ok(())
}

/// Loss and accuracy over all samples; `on_batch` hears the score so far after each batch.
///
/// # Errors
/// Samples that do not fit the network, no samples, a batch of 0, and activations that do not fit into memory.
pub fn evaluate(
    network: &Network,
    parameters: &Parameters,
    samples: &dyn Samples,
    batch_size: usize,
    on_batch: impl FnMut(Score),
) -> Result<Score> {
    check_samples(network, samples)?;
    let batch_size = batch_size.min(samples.len());
    let mut batch = Batch::new(network, batch_size);
    judge_all(network, parameters, samples, &mut network.activations(batch_size)?, &mut batch, on_batch)
}

fn judge_all(
    network: &Network,
    parameters: &Parameters,
    samples: &dyn Samples,
    activations: &mut Activations,
    batch: &mut Batch,
    mut on_batch: impl FnMut(Score),
) -> Result<Score> {
    let mut score = Score::default();
    let mut start = 0;
    while start < samples.len() {
        let end = samples.len().min(start + activations.capacity());
        let (x, labels) = batch.gather(samples, start..end);
        let step = network.judge(parameters, x, labels, activations)?;
        score.add(end - start, step.loss, step.correct);
        on_batch(score);
        start = end;
    }
    Ok(score)
}

/// Fails where the samples do not fit the network.
fn check_samples(network: &Network, samples: &dyn Samples) -> Result<()> {
    let (expected, found) = (network.spec().input, samples.shape());
    if found != expected {
        return Err(Error::Images { expected: Shape::Map(expected), found: Shape::Map(found) });
    }
    if samples.is_empty() {
        return Err(Error::NoSamples);
    }
    let classes = network.classes();
    match (0..samples.len()).find(|&index| samples.label(index) >= classes) {
        Some(index) => Err(Error::Label { index, classes, found: samples.label(index) }),
        None => Ok(()),
    }
}

/// The images and labels of one batch, in buffers that are filled again for the next.
struct Batch {
    shape: [usize; 3],
    x: Vec<f32>,
    labels: Vec<usize>,
}

impl Batch {
    fn new(network: &Network, capacity: usize) -> Self {
        let shape = network.spec().input;
        let len: usize = shape.iter().product();
        Self { shape, x: vec![0.0; capacity * len], labels: Vec::with_capacity(capacity) }
    }

    fn gather(
        &mut self,
        samples: &dyn Samples,
        indices: impl ExactSizeIterator<Item = usize>,
    ) -> (ArrayView4<'_, f32>, &[usize]) {
        let [rows, columns, channels] = self.shape;
        let (count, len) = (indices.len(), rows * columns * channels);
        self.labels.clear();
        for (index, x) in indices.zip(self.x.chunks_exact_mut(len)) {
            samples.image(index, x);
            self.labels.push(samples.label(index));
        }
        let x = ArrayView4::from_shape((count, rows, columns, channels), &self.x[..count * len]);
        (x.expect("the buffer has this many numbers"), &self.labels)
    }
}
