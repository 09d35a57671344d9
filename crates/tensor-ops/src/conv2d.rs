//! Convolution and its three gradients, for `f32`.

use crate::body::conv2d::{Forward, GradInput, GradWeight};
use crate::body::dense::GradBias;
use crate::dispatch::dispatch;
use crate::view::{slice, slice_mut};
use crate::{Conv2dGeometry, Kernels, Result, naive};
use ndarray::{ArrayView1, ArrayView4, ArrayViewMut1, ArrayViewMut4};

/// As [`naive::conv2d::forward`].
///
/// # Errors
/// An operand whose shape does not fit the geometry or that is not contiguous.
pub fn forward(
    kernels: Kernels,
    geometry: &Conv2dGeometry,
    x: ArrayView4<f32>,
    weight: ArrayView4<f32>,
    bias: Option<ArrayView1<f32>>,
    y: ArrayViewMut4<f32>,
) -> Result<()> {
    if kernels == Kernels::NAIVE {
        return naive::conv2d::forward(geometry, x, weight, bias, y);
    }
    let batch = x.dim().0;
    let x = slice("x", x, &geometry.input_shape(batch))?;
    let weight = slice("weight", weight, &geometry.weight_shape())?;
    let bias = bias.map(|bias| slice("bias", bias, &[geometry.filters])).transpose()?;
    let y = slice_mut("y", y, &geometry.output_shape(batch))?;
    dispatch(kernels, Forward { geometry, x, weight, bias, y });
    Ok(())
}

/// As [`naive::conv2d::grad_input`].
///
/// # Errors
/// An operand whose shape does not fit the geometry or that is not contiguous.
pub fn grad_input(
    kernels: Kernels,
    geometry: &Conv2dGeometry,
    dy: ArrayView4<f32>,
    weight: ArrayView4<f32>,
    dx: ArrayViewMut4<f32>,
) -> Result<()> {
    if kernels == Kernels::NAIVE {
        return naive::conv2d::grad_input(geometry, dy, weight, dx);
    }
    let batch = dy.dim().0;
    let dy = slice("dy", dy, &geometry.output_shape(batch))?;
    let weight = slice("weight", weight, &geometry.weight_shape())?;
    let dx = slice_mut("dx", dx, &geometry.input_shape(batch))?;
    dispatch(kernels, GradInput { geometry, dy, weight, dx });
    Ok(())
}

/// As [`naive::conv2d::grad_weight`].
///
/// # Errors
/// An operand whose shape does not fit the geometry or that is not contiguous.
pub fn grad_weight(
    kernels: Kernels,
    geometry: &Conv2dGeometry,
    x: ArrayView4<f32>,
    dy: ArrayView4<f32>,
    dweight: ArrayViewMut4<f32>,
) -> Result<()> {
    if kernels == Kernels::NAIVE {
        return naive::conv2d::grad_weight(geometry, x, dy, dweight);
    }
    let batch = x.dim().0;
    let x = slice("x", x, &geometry.input_shape(batch))?;
    let dy = slice("dy", dy, &geometry.output_shape(batch))?;
    let dweight = slice_mut("dweight", dweight, &geometry.weight_shape())?;
    dispatch(kernels, GradWeight { geometry, x, dy, dweight });
    Ok(())
}

/// As [`naive::conv2d::grad_bias`].
///
/// # Errors
/// An operand whose shape does not fit the other or that is not contiguous.
pub fn grad_bias(kernels: Kernels, dy: ArrayView4<f32>, dbias: ArrayViewMut1<f32>) -> Result<()> {
    if kernels == Kernels::NAIVE {
        return naive::conv2d::grad_bias(dy, dbias);
    }
    let (a, b, c, filters) = dy.dim();
    let dy = slice("dy", dy, &[a, b, c, filters])?;
    let dbias = slice_mut("dbias", dbias, &[filters])?;
    dispatch(kernels, GradBias { dy, dbias });
    Ok(())
}
