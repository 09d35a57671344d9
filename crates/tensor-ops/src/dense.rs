//! A dense (fully connected) layer and its gradients, for `f32`.

use crate::body::dense::{Forward, GradBias, GradInput, GradWeight, Sizes};
use crate::dispatch::dispatch;
use crate::view::{slice, slice_mut};
use crate::{Kernels, Result, naive};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};

/// As [`naive::dense::forward`].
///
/// # Errors
/// Operands whose shapes do not fit together or that are not contiguous.
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
    let weight = slice("weight", weight, &[inputs, outputs])?;
    let bias = bias.map(|bias| slice("bias", bias, &[outputs])).transpose()?;
    let y = slice_mut("y", y, &[batch, outputs])?;
    dispatch(kernels, Forward { sizes: Sizes { batch, inputs, outputs }, x, weight, bias, y });
    Ok(())
}

/// As [`naive::dense::grad_input`].
///
/// # Errors
/// Operands whose shapes do not fit together or that are not contiguous.
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
    let weight = slice("weight", weight, &[inputs, outputs])?;
    let dx = slice_mut("dx", dx, &[batch, inputs])?;
    dispatch(kernels, GradInput { sizes: Sizes { batch, inputs, outputs }, dy, weight, dx });
    Ok(())
}

/// As [`naive::dense::grad_weight`].
///
/// # Errors
/// Operands whose shapes do not fit together or that are not contiguous.
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
    let dweight = slice_mut("dweight", dweight, &[inputs, outputs])?;
    dispatch(kernels, GradWeight { sizes: Sizes { batch, inputs, outputs }, x, dy, dweight });
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
