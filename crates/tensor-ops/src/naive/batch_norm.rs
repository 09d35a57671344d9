//! Batch normalisation over NHWC maps, per channel (Ioffe and Szegedy, "Batch Normalization", 2015).
//!
//! Throughout, `m = n · h · w` is the number of values of a channel, `σ = √(variance + ε)` and
//! `x̂ = (x − mean) / σ`. Sums run over thousands of values, so they are taken in `f64` whatever the float.

use super::float::{narrow, wide};
use crate::Result;
use crate::batch_norm::{Norm, Totals, check_count, check_len};
use crate::view::check_shape;
use ndarray::{ArrayView1, ArrayView4, ArrayViewMut1, ArrayViewMut4, Axis, NdFloat};

/// The forward pass in training: [`moments`] of the batch, then `y = γ · x̂ + β` with them. The arguments `mean`
/// and `variance` are outputs, for the backward pass and [`update_running`].
///
/// # Errors
/// Operands whose shapes do not fit together, and a batch with a single value per channel.
pub fn forward_train<T: NdFloat>(
    x: ArrayView4<T>,
    [gamma, beta]: [ArrayView1<T>; 2],
    epsilon: T,
    [mut mean, mut variance]: [ArrayViewMut1<T>; 2],
    y: ArrayViewMut4<T>,
) -> Result<()> {
    moments(x, mean.view_mut(), variance.view_mut())?;
    forward_eval(&Norm { mean: mean.view(), variance: variance.view(), epsilon, gamma, beta }, x, y)
}

/// The forward pass in evaluation, `y = γ · x̂ + β` with given statistics.
///
/// # Errors
/// Operands whose shapes do not fit together.
pub fn forward_eval<T: NdFloat>(norm: &Norm<T>, x: ArrayView4<T>, mut y: ArrayViewMut4<T>) -> Result<()> {
    norm.check(x.dim().3)?;
    check_shape("y", &y, x.shape())?;

    for (at, y) in y.indexed_iter_mut() {
        let c = at.3;
        *y = norm.gamma[c] * (x[at] - norm.mean[c]) / sigma(norm, c) + norm.beta[c];
    }
    Ok(())
}

/// The backward pass in training, where mean and variance follow from `x`: [`gradient_sums`], then
/// [`grad_input_train`].
///
/// # Errors
/// Operands whose shapes do not fit together, and a batch with a single value per channel.
pub fn backward_train<T: NdFloat>(
    norm: &Norm<T>,
    x: ArrayView4<T>,
    dy: ArrayView4<T>,
    [mut dgamma, mut dbeta]: [ArrayViewMut1<T>; 2],
    mut dx: ArrayViewMut4<T>,
) -> Result<()> {
    check_backward(norm, x, dy, &dgamma, &dbeta)?;
    check_shape("dx", &dx, x.shape())?;
    let count = check_count(x.len() / x.dim().3.max(1))?;

    for c in 0..x.dim().3 {
        let sums = channel_sums(norm, c, x, dy);
        (dgamma[c], dbeta[c]) = (narrow(sums[0]), narrow(sums[1]));
        channel_grad_input(norm, c, count, sums, x, dy, dx.view_mut());
    }
    Ok(())
}

/// The backward pass in evaluation, where mean and variance are constants: [`gradient_sums`] and
/// [`grad_input_eval`].
///
/// # Errors
/// Operands whose shapes do not fit together.
pub fn backward_eval<T: NdFloat>(
    norm: &Norm<T>,
    x: ArrayView4<T>,
    dy: ArrayView4<T>,
    [mut dgamma, mut dbeta]: [ArrayViewMut1<T>; 2],
    dx: ArrayViewMut4<T>,
) -> Result<()> {
    check_backward(norm, x, dy, &dgamma, &dbeta)?;

    for c in 0..x.dim().3 {
        let sums = channel_sums(norm, c, x, dy);
        (dgamma[c], dbeta[c]) = (narrow(sums[0]), narrow(sums[1]));
    }
    grad_input_eval(norm, dy, dx)
}

/// Moves the statistics for evaluation towards a batch's: `running ← (1 − momentum) · running + momentum · batch`.
/// The running variance takes the unbiased one, `variance · m / (m − 1)`, as PyTorch's does; `count` is `m`.
///
/// # Errors
/// Operands whose shapes differ, and a single value per channel.
pub fn update_running<T: NdFloat>(
    momentum: T,
    count: usize,
    [mean, variance]: [ArrayView1<T>; 2],
    [mut running_mean, mut running_variance]: [ArrayViewMut1<T>; 2],
) -> Result<()> {
    check_shape("variance", &variance, mean.shape())?;
    check_shape("running_mean", &running_mean, mean.shape())?;
    check_shape("running_variance", &running_variance, mean.shape())?;
    let count = check_count(count)? as f64;

    let unbiased: T = narrow(count / (count - 1.0));
    let keep = T::one() - momentum;
    for c in 0..mean.len() {
        running_mean[c] = keep * running_mean[c] + momentum * mean[c];
        running_variance[c] = keep * running_variance[c] + momentum * variance[c] * unbiased;
    }
    Ok(())
}

/// `mean[c] = Σ x / m` and the biased `variance[c] = Σ (x − mean)² / m` of a batch.
///
/// # Errors
/// Operands whose shapes do not fit together, and a batch with a single value per channel.
pub fn moments<T: NdFloat>(
    x: ArrayView4<T>,
    mut mean: ArrayViewMut1<T>,
    mut variance: ArrayViewMut1<T>,
) -> Result<()> {
    let channels = x.dim().3;
    check_shape("mean", &mean, &[channels])?;
    check_shape("variance", &variance, &[channels])?;
    let count = check_count(x.len() / channels.max(1))? as f64;

    for c in 0..channels {
        let x = x.index_axis(Axis(3), c);
        let mut sum = 0.0;
        for &x in x {
            sum += wide(x);
        }
        let centre = sum / count;
        let mut squares = 0.0;
        for &x in x {
            squares += (wide(x) - centre).powi(2);
        }
        (mean[c], variance[c]) = (narrow(centre), narrow(squares / count));
    }
    Ok(())
}

/// `sum[c] = Σ x` and `squares[c] = Σ x²`: what a part of a batch adds to the batch's
/// [`moments_from_sums`](crate::batch_norm::moments_from_sums).
///
/// # Errors
/// Outputs that do not have one value per channel.
pub fn sums<T: NdFloat>(x: ArrayView4<T>, sum: &mut [f64], squares: &mut [f64]) -> Result<()> {
    let channels = x.dim().3;
    check_len("sum", sum, channels)?;
    check_len("squares", squares, channels)?;

    sum.fill(0.0);
    squares.fill(0.0);
    for ((_, _, _, c), &x) in x.indexed_iter() {
        sum[c] += wide(x);
        squares[c] += wide(x).powi(2);
    }
    Ok(())
}

/// The gradients of γ and β, `dγ = Σ dy · x̂` and `dβ = Σ dy`, of a batch or what a part of it adds to them.
///
/// # Errors
/// Operands whose shapes do not fit together.
pub fn gradient_sums<T: NdFloat>(
    norm: &Norm<T>,
    x: ArrayView4<T>,
    dy: ArrayView4<T>,
    dgamma: &mut [f64],
    dbeta: &mut [f64],
) -> Result<()> {
    let channels = x.dim().3;
    norm.check(channels)?;
    check_shape("dy", &dy, x.shape())?;
    check_len("dgamma", dgamma, channels)?;
    check_len("dbeta", dbeta, channels)?;

    for c in 0..channels {
        [dgamma[c], dbeta[c]] = channel_sums(norm, c, x, dy);
    }
    Ok(())
}

/// The gradient of the input in training, `dx = γ/σ · (dy − dβ/m − x̂ · dγ/m)`, of a batch or a part of it;
/// `m`, `dγ` and `dβ` are those of the batch.
///
/// # Errors
/// Operands whose shapes do not fit together, and a single value per channel.
pub fn grad_input_train<T: NdFloat>(
    norm: &Norm<T>,
    totals: &Totals,
    x: ArrayView4<T>,
    dy: ArrayView4<T>,
    mut dx: ArrayViewMut4<T>,
) -> Result<()> {
    let channels = x.dim().3;
    norm.check(channels)?;
    totals.check(channels)?;
    check_shape("dy", &dy, x.shape())?;
    check_shape("dx", &dx, x.shape())?;

    for c in 0..channels {
        let sums = [totals.dgamma[c], totals.dbeta[c]];
        channel_grad_input(norm, c, totals.count, sums, x, dy, dx.view_mut());
    }
    Ok(())
}

/// The gradient of the input in evaluation, `dx = dy · γ/σ`.
///
/// # Errors
/// Operands whose shapes do not fit together.
pub fn grad_input_eval<T: NdFloat>(
    norm: &Norm<T>,
    dy: ArrayView4<T>,
    mut dx: ArrayViewMut4<T>,
) -> Result<()> {
    norm.check(dy.dim().3)?;
    check_shape("dx", &dx, dy.shape())?;

    for (at, dx) in dx.indexed_iter_mut() {
        *dx = dy[at] * norm.gamma[at.3] / sigma(norm, at.3);
    }
    Ok(())
}

/// `σ` of a channel.
fn sigma<T: NdFloat>(norm: &Norm<T>, c: usize) -> T {
    (norm.variance[c] + norm.epsilon).sqrt()
}

/// `[Σ dy · x̂, Σ dy]` of a channel.
fn channel_sums<T: NdFloat>(norm: &Norm<T>, c: usize, x: ArrayView4<T>, dy: ArrayView4<T>) -> [f64; 2] {
    let (x, dy) = (x.index_axis(Axis(3), c), dy.index_axis(Axis(3), c));
    let [mut dgamma, mut dbeta] = [0.0; 2];
    for (&x, &dy) in x.iter().zip(dy) {
        let normalized = (x - norm.mean[c]) / sigma(norm, c);
        dgamma += wide(dy) * wide(normalized);
        dbeta += wide(dy);
    }
    [dgamma, dbeta]
}

/// [`grad_input_train`] of a channel.
fn channel_grad_input<T: NdFloat>(
    norm: &Norm<T>,
    c: usize,
    count: usize,
    sums: [f64; 2],
    x: ArrayView4<T>,
    dy: ArrayView4<T>,
    mut dx: ArrayViewMut4<T>,
) {
    let [dgamma, dbeta] = sums.map(|sum| narrow::<T>(sum / count as f64));
    let (x, dy) = (x.index_axis(Axis(3), c), dy.index_axis(Axis(3), c));
    let mut dx = dx.index_axis_mut(Axis(3), c);
    for (dx, (&x, &dy)) in dx.iter_mut().zip(x.iter().zip(dy)) {
        let normalized = (x - norm.mean[c]) / sigma(norm, c);
        *dx = norm.gamma[c] / sigma(norm, c) * (dy - dbeta - normalized * dgamma);
    }
}

/// The shapes that both backward passes ask for.
fn check_backward<T: NdFloat>(
    norm: &Norm<T>,
    x: ArrayView4<T>,
    dy: ArrayView4<T>,
    dgamma: &ArrayViewMut1<T>,
    dbeta: &ArrayViewMut1<T>,
) -> Result<()> {
    norm.check(x.dim().3)?;
    check_shape("dy", &dy, x.shape())?;
    check_shape("dgamma", dgamma, &[x.dim().3])?;
    check_shape("dbeta", dbeta, &[x.dim().3])
}
