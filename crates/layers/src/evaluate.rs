//! Judging a network by a set of samples.

use crate::samples::Batch;
use crate::{Activations, Network, Parameters, Result, Samples, Step};
use serde::{Deserialize, Serialize};
use std::ops::{Add, Sub};

/// Loss and accuracy over a number of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    pub fn count(&mut self, images: usize, step: Step) {
        self.images += images;
        self.total_loss += f64::from(step.loss) * images as f64;
        self.correct += step.correct;
    }
}

impl Add for Score {
    type Output = Self;

    /// Both together.
    fn add(self, other: Self) -> Self {
        Self {
            images: self.images + other.images,
            total_loss: self.total_loss + other.total_loss,
            correct: self.correct + other.correct,
        }
    }
}

impl Sub for Score {
    type Output = Self;

    /// What was seen since an earlier score of the same samples.
    fn sub(self, earlier: Self) -> Self {
        Self {
            images: self.images - earlier.images,
            total_loss: self.total_loss - earlier.total_loss,
            correct: self.correct - earlier.correct,
        }
    }
}

/// Loss (cross-entropy) and accuracy over all samples; `on_batch` hears the score so far after each batch.
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
    network.check_samples(samples)?;
    let batch_size = batch_size.min(samples.len());
    let mut activations = network.activations(batch_size)?;
    judge_all(
        network,
        parameters,
        samples,
        &mut activations,
        &mut Batch::new(network, batch_size, 0),
        on_batch,
    )
}

/// As [`evaluate`], in buffers that are there.
pub(crate) fn judge_all(
    network: &Network,
    parameters: &Parameters,
    samples: &dyn Samples,
    activations: &mut Activations,
    batch: &mut Batch,
    mut on_batch: impl FnMut(Score),
) -> Result<Score> {
    let mut score = Score::default();
    let indices: Vec<usize> = (0..samples.len()).collect();
    for indices in indices.chunks(activations.capacity()) {
        let (x, labels) = batch.gather(samples, indices);
        score.count(indices.len(), network.judge(parameters, x, labels, activations)?);
        on_batch(score);
    }
    Ok(score)
}
