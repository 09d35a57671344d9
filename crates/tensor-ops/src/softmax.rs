//! Softmax and the cross-entropy of its probabilities, for `f32`.
//!
//! A row holds as many values as there are classes, so these are plain loops whatever the [`Kernels`].

use crate::{Error, Result};
use ndarray::{ArrayView2, ArrayViewMut2};

/// As [`crate::naive::softmax::forward`].
///
/// # Errors
/// Operands whose shapes do not fit together or that are not contiguous.
pub fn forward(logits: ArrayView2<f32>, probabilities: ArrayViewMut2<f32>) -> Result<()> {
    crate::naive::softmax::forward(logits, probabilities)
}

/// As [`crate::naive::softmax::cross_entropy`].
///
/// # Errors
/// As many labels as rows are needed, each below the number of classes.
pub fn cross_entropy(logits: ArrayView2<f32>, labels: &[usize]) -> Result<f32> {
    crate::naive::softmax::cross_entropy(logits, labels)
}

/// Fails unless there is one label a row of `(rows, classes)`, each below `classes`.
pub(crate) fn check_labels((rows, classes): (usize, usize), labels: &[usize]) -> Result<()> {
    if labels.len() != rows {
        return Err(Error::LabelCount { expected: rows, found: labels.len() });
    }
    match labels.iter().enumerate().find(|&(_, &label)| label >= classes) {
        Some((index, &found)) => Err(Error::Label { index, classes, found }),
        None => Ok(()),
    }
}

/// As [`crate::naive::softmax::cross_entropy_backward`].
///
/// # Errors
/// Operands whose shapes do not fit together, and labels as in [`cross_entropy`].
pub fn cross_entropy_backward(
    probabilities: ArrayView2<f32>,
    labels: &[usize],
    dlogits: ArrayViewMut2<f32>,
) -> Result<()> {
    crate::naive::softmax::cross_entropy_backward(probabilities, labels, dlogits)
}
