//! Convolution and its three gradients, for `f32`.
//!
//! The last argument of the first three is scratch, of any content, for the kernels to rearrange weights and inputs in:
//! [`Conv2dGeometry::forward_scratch`] numbers and so on.

use crate::body::conv2d::{GradWeight, size};
use crate::body::correlate::{Correlate, Correlation, Maps, PackForward, PackGradInput};
use crate::body::dense::GradBias;
use crate::dispatch::dispatch;
use crate::view::{aligned, slice, slice_mut};
use crate::{Conv2dGeometry, Kernels, Result, naive};
use ndarray::{ArrayView1, ArrayView4, ArrayViewMut1, ArrayViewMut4};

/// As [`naive::conv2d::forward`].
///
/// # Errors
/// An operand whose shape does not fit the geometry or that is not contiguous, and too short a scratch.
pub fn forward(
    kernels: Kernels,
    geometry: &Conv2dGeometry,
    x: ArrayView4<f32>,
    weight: ArrayView4<f32>,
    bias: Option<ArrayView1<f32>>,
    y: ArrayViewMut4<f32>,
    scratch: &mut [f32],
) -> Result<()> {
    let panels = aligned(scratch, geometry.forward_scratch())?;
    if kernels == Kernels::NAIVE {
        return naive::conv2d::forward(geometry, x, weight, bias, y);
    }
    let batch = x.dim().0;
    let x = slice("x", x, &geometry.input_shape(batch))?;
    let weight = slice("weight", weight, &geometry.weight_shape())?;
    let bias = bias.map(|bias| slice("bias", bias, &[geometry.filters])).transpose()?;
    let y = slice_mut("y", y, &geometry.output_shape(batch))?;
    let correlation = &Correlation::forward(geometry);
    dispatch(kernels, PackForward { correlation, weight, panels });
    let steps = [size(geometry.input_shape(1)), size(geometry.output_shape(1))];
    let maps = Maps { count: batch, steps };
    dispatch(kernels, Correlate { correlation, x, panels, bias, y, maps });
    Ok(())
}

/// As [`naive::conv2d::grad_input`].
///
/// # Errors
/// An operand whose shape does not fit the geometry or that is not contiguous, and too short a scratch.
pub fn grad_input(
    kernels: Kernels,
    geometry: &Conv2dGeometry,
    dy: ArrayView4<f32>,
    weight: ArrayView4<f32>,
    dx: ArrayViewMut4<f32>,
    scratch: &mut [f32],
) -> Result<()> {
    let panels = aligned(scratch, geometry.grad_input_scratch())?;
    if kernels == Kernels::NAIVE {
        return naive::conv2d::grad_input(geometry, dy, weight, dx);
    }
    let batch = dy.dim().0;
    let dy = slice("dy", dy, &geometry.output_shape(batch))?;
    let weight = slice("weight", weight, &geometry.weight_shape())?;
    let dx = slice_mut("dx", dx, &geometry.input_shape(batch))?;
    let maps = Maps { count: batch, steps: [size(geometry.output_shape(1)), size(geometry.input_shape(1))] };
    let Conv2dGeometry { rows, columns, in_channels, .. } = geometry;
    let len = dx.len();
    for row in 0..rows.stride.min(rows.input) {
        for column in 0..columns.stride.min(columns.input) {
            let (correlation, taps) = &Correlation::grad_input(geometry, [row, column]);
            dispatch(
                kernels,
                PackGradInput { correlation, weight, columns: columns.kernel, taps: *taps, panels },
            );
            let y = &mut dx[((row * columns.input + column) * in_channels).min(len)..];
            dispatch(kernels, Correlate { correlation, x: dy, panels, bias: None, y, maps });
        }
    }
    Ok(())
}

/// As [`naive::conv2d::grad_weight`].
///
/// # Errors
/// An operand whose shape does not fit the geometry or that is not contiguous, and too short a scratch.
pub fn grad_weight(
    kernels: Kernels,
    geometry: &Conv2dGeometry,
    x: ArrayView4<f32>,
    dy: ArrayView4<f32>,
    dweight: ArrayViewMut4<f32>,
    scratch: &mut [f32],
) -> Result<()> {
    let scratch = aligned(scratch, geometry.grad_weight_scratch())?;
    if kernels == Kernels::NAIVE {
        return naive::conv2d::grad_weight(geometry, x, dy, dweight);
    }
    let batch = x.dim().0;
    let x = slice("x", x, &geometry.input_shape(batch))?;
    let dy = slice("dy", dy, &geometry.output_shape(batch))?;
    let dweight = slice_mut("dweight", dweight, &geometry.weight_shape())?;
    let (panel, rest) = scratch.split_at_mut(geometry.strip_panel());
    let padded = &mut rest[..geometry.padded_map()];
    dispatch(kernels, GradWeight { geometry, x, dy, dweight, panel, padded });
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
