//! A dense (fully connected) layer and its gradients, for `f32`.
//!
//! The weights, `(in, out)`, are taken in both orders of memory: row-major, or column-major as the transpose
//! (`.t()`) of a row-major `(out, in)` array. Every kernel runs along the axis that is contiguous, so a layer of
//! few outputs is faster with column-major weights.
//!
//! Rows need not lie next to each other: a function takes a block of columns of a larger matrix, so a layer can be cut
//! into ranges of samples, of inputs or of outputs.

use crate::body::dense::GradBias;
use crate::body::dense::outer::OuterProduct;
use crate::body::dense::product::Product;
use crate::body::dense::sgd::Sgd;
use crate::dispatch::dispatch;
use crate::view::{Matrix, matrix, matrix_mut, rows, rows_mut, slice, slice_mut};
use crate::{Kernels, Result, naive};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};

/// As [`naive::dense::forward`].
///
/// # Errors
/// Operands whose shapes do not fit together or whose rows are not contiguous; of `weight` it may be the columns.
pub fn forward(
    kernels: Kernels,
    x: ArrayView2<f32>,
    weight: ArrayView2<f32>,
    bias: Option<ArrayView1<f32>>,
    y: ArrayViewMut2<f32>,
) -> Result<()> {
    if kernels == Kernels::NAIVE {
        return naive::dense::forward(x, weight, bias, y);
    }
    let (batch, (inputs, outputs)) = (x.dim().0, weight.dim());
    let a = rows("x", x, [batch, inputs])?;
    let b = matrix("weight", weight, [inputs, outputs])?;
    let bias = bias.map(|bias| slice("bias", bias, &[outputs])).transpose()?;
    let c = rows_mut("y", y, [batch, outputs])?;
    Product { a, b, bias, c }.dispatch(kernels);
    Ok(())
}

/// As [`naive::dense::grad_input`].
///
/// # Errors
/// Operands whose shapes do not fit together or whose rows are not contiguous; of `weight` it may be the columns.
pub fn grad_input(
    kernels: Kernels,
    dy: ArrayView2<f32>,
    weight: ArrayView2<f32>,
    dx: ArrayViewMut2<f32>,
) -> Result<()> {
    if kernels == Kernels::NAIVE {
        return naive::dense::grad_input(dy, weight, dx);
    }
    let (batch, (inputs, outputs)) = (dy.dim().0, weight.dim());
    let a = rows("dy", dy, [batch, outputs])?;
    let b = match matrix("weight", weight, [inputs, outputs])? {
        Matrix::Rows(weight) => Matrix::Columns(weight),
        Matrix::Columns(weight) => Matrix::Rows(weight),
    };
    let c = rows_mut("dx", dx, [batch, inputs])?;
    Product { a, b, bias: None, c }.dispatch(kernels);
    Ok(())
}

/// As [`naive::dense::grad_weight`].
///
/// # Errors
/// Operands whose shapes do not fit together or whose rows are not contiguous; of `dweight` it may be the columns.
pub fn grad_weight(
    kernels: Kernels,
    x: ArrayView2<f32>,
    dy: ArrayView2<f32>,
    dweight: ArrayViewMut2<f32>,
) -> Result<()> {
    if kernels == Kernels::NAIVE {
        return naive::dense::grad_weight(x, dy, dweight);
    }
    let ((batch, inputs), outputs) = (x.dim(), dy.dim().1);
    let x = rows("x", x, [batch, inputs])?;
    let dy = rows("dy", dy, [batch, outputs])?;
    match matrix_mut("dweight", dweight, [inputs, outputs])? {
        Matrix::Rows(c) => OuterProduct { a: x, b: dy, c }.dispatch(kernels),
        Matrix::Columns(c) => OuterProduct { a: dy, b: x, c }.dispatch(kernels),
    }
    Ok(())
}

/// As [`naive::dense::grad_bias`].
///
/// # Errors
/// Operands whose shapes do not fit together or that are not contiguous.
pub fn grad_bias(kernels: Kernels, dy: ArrayView2<f32>, dbias: ArrayViewMut1<f32>) -> Result<()> {
    if kernels == Kernels::NAIVE {
        return naive::dense::grad_bias(dy, dbias);
    }
    let (batch, outputs) = dy.dim();
    let dy = slice("dy", dy, &[batch, outputs])?;
    let dbias = slice_mut("dbias", dbias, &[outputs])?;
    dispatch(kernels, GradBias { dy, dbias });
    Ok(())
}

/// As [`naive::dense::sgd`]. A single sample takes one pass over the weights, a batch one pass a sample.
///
/// # Errors
/// Operands whose shapes do not fit together or whose rows are not contiguous; of `weight` it may be the columns.
pub fn sgd(
    kernels: Kernels,
    rate: f32,
    x: ArrayView2<f32>,
    dy: ArrayView2<f32>,
    weight: ArrayViewMut2<f32>,
    bias: ArrayViewMut1<f32>,
    mut dx: Option<ArrayViewMut2<f32>>,
) -> Result<()> {
    if kernels == Kernels::NAIVE {
        return naive::dense::sgd(rate, x, dy, weight, bias, dx);
    }
    let (batch, (inputs, outputs)) = (x.dim().0, weight.dim());
    let (samples, gradients) = (rows("x", x, [batch, inputs])?, rows("dy", dy, [batch, outputs])?);
    if batch != 1
        && let Some(dx) = dx.take()
    {
        grad_input(kernels, dy, weight.view(), dx)?;
    }
    let dx = dx.map(|dx| rows_mut("dx", dx, [batch, inputs])).transpose()?;
    let weight = matrix_mut("weight", weight, [inputs, outputs])?;
    let bias = slice_mut("bias", bias, &[outputs])?;
    dispatch(kernels, Sgd { rate, x: samples, dy: gradients, weight, bias, dx });
    Ok(())
}
