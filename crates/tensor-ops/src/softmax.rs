//! Softmax and the cross-entropy of its probabilities, for `f32`.
//!
//! A row holds as many values as there are classes, so these are plain loops whatever the
//! [`Kernels`](crate::Kernels). Exponentials and sums are taken in `f64`, which costs next to nothing: the loss
//! of a label that is almost certain keeps its digits.

use crate::view::{slice, slice_mut};
use crate::{Error, Result};
use ndarray::{ArrayView2, ArrayViewMut2};

/// As [`crate::naive::softmax::forward`].
///
/// # Errors
/// Operands whose shapes do not fit together or that are not contiguous.
pub fn forward(logits: ArrayView2<f32>, probabilities: ArrayViewMut2<f32>) -> Result<()> {
    let (rows, classes) = logits.dim();
    let logits = slice("logits", logits, &[rows, classes])?;
    let probabilities = slice_mut("probabilities", probabilities, &[rows, classes])?;

    let width = classes.max(1);
    for (z, p) in logits.chunks_exact(width).zip(probabilities.chunks_exact_mut(width)) {
        let (max, sum) = max_and_sum(z);
        for (p, &z) in p.iter_mut().zip(z) {
            *p = ((f64::from(z) - max).exp() / sum) as f32;
        }
    }
    Ok(())
}

/// As [`crate::naive::softmax::cross_entropy`].
///
/// # Errors
/// As many labels as rows are needed, each below the number of classes; logits must be contiguous.
pub fn cross_entropy(logits: ArrayView2<f32>, labels: &[usize]) -> Result<f32> {
    let (rows, classes) = logits.dim();
    check_labels((rows, classes), labels)?;
    let logits = slice("logits", logits, &[rows, classes])?;

    let mut total = 0.0;
    for (z, &label) in logits.chunks_exact(classes.max(1)).zip(labels) {
        let (max, sum) = max_and_sum(z);
        total += sum.ln() - (f64::from(z[label]) - max);
    }
    Ok((total / rows as f64) as f32)
}

/// As [`crate::naive::softmax::cross_entropy_backward`].
///
/// # Errors
/// Operands whose shapes do not fit together or that are not contiguous, and labels as in [`cross_entropy`].
pub fn cross_entropy_backward(
    probabilities: ArrayView2<f32>,
    labels: &[usize],
    dlogits: ArrayViewMut2<f32>,
) -> Result<()> {
    let (rows, classes) = probabilities.dim();
    check_labels((rows, classes), labels)?;
    let probabilities = slice("probabilities", probabilities, &[rows, classes])?;
    let dlogits = slice_mut("dlogits", dlogits, &[rows, classes])?;

    let width = classes.max(1);
    let pairs = probabilities.chunks_exact(width).zip(dlogits.chunks_exact_mut(width));
    for ((p, dz), &label) in pairs.zip(labels) {
        for (c, (dz, &p)) in dz.iter_mut().zip(p).enumerate() {
            let target = if c == label { 1.0 } else { 0.0 };
            *dz = (p - target) / rows as f32;
        }
    }
    Ok(())
}

/// The largest logit of a row, and the sum of the exponentials of the logits less the largest.
fn max_and_sum(logits: &[f32]) -> (f64, f64) {
    let max = f64::from(logits.iter().fold(f32::NEG_INFINITY, |max, &z| max.max(z)));
    (max, logits.iter().map(|&z| (f64::from(z) - max).exp()).sum())
}

/// Fails unless there is one label a row of `(rows, classes)`, each below `classes`.
///
/// # Errors
/// Another number of labels than rows; the first label that names no class.
pub fn check_labels((rows, classes): (usize, usize), labels: &[usize]) -> Result<()> {
    if labels.len() != rows {
        return Err(Error::LabelCount { expected: rows, found: labels.len() });
    }
    match labels.iter().enumerate().find(|&(_, &label)| label >= classes) {
        Some((index, &found)) => Err(Error::Label { index, classes, found }),
        None => Ok(()),
    }
}
