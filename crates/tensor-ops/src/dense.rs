//! A dense (fully connected) layer and its gradients, for `f32`.
//!
//! The weights, `(in, out)`, are taken in both orders of memory: row-major, or column-major as the transpose
//! (`.t()`) of a row-major `(out, in)` array. Every kernel runs along the axis that is contiguous, so a layer of
//! few outputs is faster with column-major weights.

use crate::body::dense::{GradBias, OuterProduct, Product, Sizes, TransposedProduct};
use crate::dispatch::dispatch;
use crate::view::{Matrix, matrix, matrix_mut, slice, slice_mut};
use crate::{Kernels, Result, naive};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};

/// As [`naive::dense::forward`].
///
/// # Errors
/// Operands whose shapes do not fit together or that are not contiguous; `weight` may be so in either order.
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
    let x = slice("x", x, &[batch, inputs])?;
    let weight = matrix("weight", weight, [inputs, outputs])?;
    let bias = bias.map(|bias| slice("bias", bias, &[outputs])).transpose()?;
    let y = slice_mut("y", y, &[batch, outputs])?;
    let sizes = Sizes { m: batch, k: inputs, n: outputs };
    match weight {
        Matrix::Rows(b) => dispatch(kernels, Product { sizes, a: x, b, bias, c: y }),
        Matrix::Columns(b) => dispatch(kernels, TransposedProduct { sizes, a: x, b, bias, c: y }),
    }
    Ok(())
}

/// As [`naive::dense::grad_input`].
///
/// # Errors
/// Operands whose shapes do not fit together or that are not contiguous; `weight` may be so in either order.
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
    let dy = slice("dy", dy, &[batch, outputs])?;
    let weight = matrix("weight", weight, [inputs, outputs])?;
    let dx = slice_mut("dx", dx, &[batch, inputs])?;
    let sizes = Sizes { m: batch, k: outputs, n: inputs };
    match weight {
        Matrix::Rows(b) => dispatch(kernels, TransposedProduct { sizes, a: dy, b, bias: None, c: dx }),
        Matrix::Columns(b) => dispatch(kernels, Product { sizes, a: dy, b, bias: None, c: dx }),
    }
    Ok(())
}

/// As [`naive::dense::grad_weight`].
///
/// # Errors
/// Operands whose shapes do not fit together or that are not contiguous; `dweight` may be so in either order.
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
    let x = slice("x", x, &[batch, inputs])?;
    let dy = slice("dy", dy, &[batch, outputs])?;
    match matrix_mut("dweight", dweight, [inputs, outputs])? {
        Matrix::Rows(c) => {
            let sizes = Sizes { m: inputs, k: batch, n: outputs };
            dispatch(kernels, OuterProduct { sizes, a: x, b: dy, c });
        }
        Matrix::Columns(c) => {
            let sizes = Sizes { m: outputs, k: batch, n: inputs };
            dispatch(kernels, OuterProduct { sizes, a: dy, b: x, c });
        }
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
