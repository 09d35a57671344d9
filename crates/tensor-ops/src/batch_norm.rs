//! Batch normalisation over NHWC maps, per channel, and its gradients, for `f32`.
//!
//! `y = γ · (x − mean) / √(variance + ε) + β`, where mean and variance are those of the batch in training and
//! running averages of them in evaluation (Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network
//! Training by Reducing Internal Covariate Shift", 2015; the conventions are PyTorch's `BatchNorm2d`).
//!
//! In training each output depends on the whole batch, so a pass over parts of a batch, on several threads, has a
//! step where the parts' sums are added up: in a fixed order, if the result is to have the same bits each time.
//!
//! | step | on each part | on the batch |
//! |---|---|---|
//! | forward | [`sums`] | add them, then [`moments_from_sums`] |
//! | | [`normalize`] | [`update_running`] |
//! | backward | [`gradient_sums`] | add them: dγ and dβ |
//! | | [`grad_input_train`] | |
//!
//! [`moments`] is the first row at once. In evaluation only [`normalize`] remains, and going back
//! [`gradient_sums`] and [`grad_input_eval`]. The whole passes, in a few lines, are in [`naive::batch_norm`].
//!
//! Sums are taken in `f64` and in an order that depends on the shape of `x` alone.

use crate::body::batch_norm::{Channels, GradInputEval, GradInputTrain, GradientSums, Normalize, Sums};
use crate::dispatch::dispatch;
pub use crate::naive::batch_norm::update_running;
use crate::view::{check_shape, slice, slice_mut};
use crate::{Error, Kernels, Result, naive};
use ndarray::{ArrayView1, ArrayView4, ArrayViewMut1, ArrayViewMut4};

/// What normalises each channel: `y = γ · (x − mean) / √(variance + ε) + β`.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a, T = f32> {
    /// The mean of each channel.
    pub mean: ArrayView1<'a, T>,
    /// The biased variance of each channel.
    pub variance: ArrayView1<'a, T>,
    /// Keeps the divisor from 0; usually 1e-5.
    pub epsilon: T,
    /// The scale of each channel, a parameter.
    pub gamma: ArrayView1<'a, T>,
    /// The offset of each channel, a parameter.
    pub beta: ArrayView1<'a, T>,
}

impl<T> Norm<'_, T> {
    /// Fails unless there is one value of each kind per channel.
    pub(crate) fn check(&self, channels: usize) -> Result<()> {
        check_shape("mean", &self.mean, &[channels])?;
        check_shape("variance", &self.variance, &[channels])?;
        check_shape("gamma", &self.gamma, &[channels])?;
        check_shape("beta", &self.beta, &[channels])
    }
}

impl<'a> Norm<'a> {
    /// The same as slices.
    fn slices(&self, channels: usize) -> Result<Channels<'a>> {
        Ok(Channels {
            mean: slice("mean", self.mean, &[channels])?,
            variance: slice("variance", self.variance, &[channels])?,
            epsilon: self.epsilon,
            gamma: slice("gamma", self.gamma, &[channels])?,
            beta: slice("beta", self.beta, &[channels])?,
        })
    }
}

/// What the gradient of the input in training needs to know of the whole batch.
#[derive(Clone, Copy, Debug)]
pub struct Totals<'a> {
    /// Values of a channel: samples × rows × columns.
    pub count: usize,
    /// `Σ dy · x̂` of each channel.
    pub dgamma: &'a [f64],
    /// `Σ dy` of each channel.
    pub dbeta: &'a [f64],
}

impl Totals<'_> {
    /// Fails unless there are values to speak of and one sum per channel.
    pub(crate) fn check(&self, channels: usize) -> Result<()> {
        check_count(self.count)?;
        check_len("dgamma", self.dgamma, channels)?;
        check_len("dbeta", self.dbeta, channels)
    }
}

/// The count, if a variance of so many values means something.
pub(crate) fn check_count(count: usize) -> Result<usize> {
    if count > 1 { Ok(count) } else { Err(Error::TooFewValues { found: count }) }
}

/// Fails where there is not one sum per channel.
pub(crate) fn check_len(operand: &'static str, sums: &[f64], channels: usize) -> Result<()> {
    if sums.len() == channels {
        Ok(())
    } else {
        Err(Error::Shape { operand, expected: vec![channels], found: vec![sums.len()] })
    }
}

/// As [`naive::batch_norm::moments`], in one pass over `x`.
///
/// # Errors
/// Operands whose shapes do not fit together or that are not contiguous, and a batch with a single value per
/// channel.
pub fn moments(
    kernels: Kernels,
    x: ArrayView4<f32>,
    mean: ArrayViewMut1<f32>,
    variance: ArrayViewMut1<f32>,
) -> Result<()> {
    /// Channels whose sums are held at a time: a multiple of the bodies' lanes.
    const GROUP: usize = 64;

    if kernels == Kernels::NAIVE {
        return naive::batch_norm::moments(x, mean, variance);
    }
    let channels = x.dim().3;
    let x = slice("x", x.view(), x.shape())?;
    let mean = slice_mut("mean", mean, &[channels])?;
    let variance = slice_mut("variance", variance, &[channels])?;
    let count = check_count(x.len() / channels.max(1))?;

    let groups = mean.chunks_mut(GROUP).zip(variance.chunks_mut(GROUP));
    for (first, (mean, variance)) in (0..channels).step_by(GROUP).zip(groups) {
        let (mut sum, mut squares) = ([0.0; GROUP], [0.0; GROUP]);
        let (sum, squares) = (&mut sum[..mean.len()], &mut squares[..mean.len()]);
        dispatch(kernels, Sums { x, channels, first, sum, squares });
        write_moments(count, sum, squares, mean, variance);
    }
    Ok(())
}

/// As [`naive::batch_norm::sums`].
///
/// # Errors
/// Outputs that do not have one value per channel, and an input that is not contiguous.
pub fn sums(kernels: Kernels, x: ArrayView4<f32>, sum: &mut [f64], squares: &mut [f64]) -> Result<()> {
    if kernels == Kernels::NAIVE {
        return naive::batch_norm::sums(x, sum, squares);
    }
    let channels = x.dim().3;
    let x = slice("x", x.view(), x.shape())?;
    check_len("sum", sum, channels)?;
    check_len("squares", squares, channels)?;
    dispatch(kernels, Sums { x, channels, first: 0, sum, squares });
    Ok(())
}

/// The moments of a batch of `count` values per channel from their [`sums`]: `mean = Σx / m` and
/// `variance = Σx² / m − mean²`. That difference cancels digits, but these are `f64`: where the mean is `k`
/// standard deviations, the variance keeps a relative error near `k² · 1e-16`.
///
/// # Errors
/// Operands whose lengths differ or that are not contiguous, and a single value per channel.
pub fn moments_from_sums(
    count: usize,
    sum: &[f64],
    squares: &[f64],
    mean: ArrayViewMut1<f32>,
    variance: ArrayViewMut1<f32>,
) -> Result<()> {
    check_len("squares", squares, sum.len())?;
    let mean = slice_mut("mean", mean, &[sum.len()])?;
    let variance = slice_mut("variance", variance, &[sum.len()])?;
    write_moments(check_count(count)?, sum, squares, mean, variance);
    Ok(())
}

fn write_moments(count: usize, sum: &[f64], squares: &[f64], mean: &mut [f32], variance: &mut [f32]) {
    let count = count as f64;
    for (c, (sum, squares)) in sum.iter().zip(squares).enumerate() {
        let centre = sum / count;
        let spread = squares / count - centre * centre;
        mean[c] = centre as f32;
        // Rounding can leave a constant channel just below 0; a NaN stays one.
        variance[c] = if spread < 0.0 { 0.0 } else { spread as f32 };
    }
}

/// As [`naive::batch_norm::forward_eval`]: in training with the moments of the batch, in evaluation with the
/// running ones.
///
/// # Errors
/// Operands whose shapes do not fit together or that are not contiguous.
pub fn normalize(kernels: Kernels, norm: &Norm, x: ArrayView4<f32>, y: ArrayViewMut4<f32>) -> Result<()> {
    if kernels == Kernels::NAIVE {
        return naive::batch_norm::forward_eval(norm, x, y);
    }
    let norm = norm.slices(x.dim().3)?;
    let y = slice_mut("y", y, x.shape())?;
    let x = slice("x", x.view(), x.shape())?;
    dispatch(kernels, Normalize { norm, x, y });
    Ok(())
}

/// As [`naive::batch_norm::gradient_sums`].
///
/// # Errors
/// Operands whose shapes do not fit together or that are not contiguous.
pub fn gradient_sums(
    kernels: Kernels,
    norm: &Norm,
    x: ArrayView4<f32>,
    dy: ArrayView4<f32>,
    dgamma: &mut [f64],
    dbeta: &mut [f64],
) -> Result<()> {
    if kernels == Kernels::NAIVE {
        return naive::batch_norm::gradient_sums(norm, x, dy, dgamma, dbeta);
    }
    let channels = x.dim().3;
    let norm = norm.slices(channels)?;
    let dy = slice("dy", dy, x.shape())?;
    let x = slice("x", x.view(), x.shape())?;
    check_len("dgamma", dgamma, channels)?;
    check_len("dbeta", dbeta, channels)?;
    dispatch(kernels, GradientSums { norm, x, dy, dgamma, dbeta });
    Ok(())
}

/// As [`naive::batch_norm::grad_input_train`].
///
/// # Errors
/// Operands whose shapes do not fit together or that are not contiguous, and a single value per channel.
pub fn grad_input_train(
    kernels: Kernels,
    norm: &Norm,
    totals: &Totals,
    x: ArrayView4<f32>,
    dy: ArrayView4<f32>,
    dx: ArrayViewMut4<f32>,
) -> Result<()> {
    if kernels == Kernels::NAIVE {
        return naive::batch_norm::grad_input_train(norm, totals, x, dy, dx);
    }
    let norm = norm.slices(x.dim().3)?;
    totals.check(x.dim().3)?;
    let dy = slice("dy", dy, x.shape())?;
    let dx = slice_mut("dx", dx, x.shape())?;
    let x = slice("x", x.view(), x.shape())?;
    dispatch(kernels, GradInputTrain { norm, totals, x, dy, dx });
    Ok(())
}

/// As [`naive::batch_norm::grad_input_eval`].
///
/// # Errors
/// Operands whose shapes do not fit together or that are not contiguous.
pub fn grad_input_eval(
    kernels: Kernels,
    norm: &Norm,
    dy: ArrayView4<f32>,
    dx: ArrayViewMut4<f32>,
) -> Result<()> {
    if kernels == Kernels::NAIVE {
        return naive::batch_norm::grad_input_eval(norm, dy, dx);
    }
    let norm = norm.slices(dy.dim().3)?;
    let dx = slice_mut("dx", dx, dy.shape())?;
    let dy = slice("dy", dy.view(), dy.shape())?;
    dispatch(kernels, GradInputEval { norm, dy, dx });
    Ok(())
}
