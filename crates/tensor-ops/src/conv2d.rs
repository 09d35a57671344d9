//! Convolution and its three gradients, for `f32`.

use crate::{Conv2dGeometry, Kernels, Result, naive};
use ndarray::{ArrayView1, ArrayView4, ArrayViewMut1, ArrayViewMut4};

/// As [`naive::conv2d::forward`].
///
/// # Errors
/// An operand whose shape does not fit the geometry or that is not contiguous.
pub fn forward(
    _kernels: Kernels,
    geometry: &Conv2dGeometry,
    x: ArrayView4<f32>,
    weight: ArrayView4<f32>,
    bias: Option<ArrayView1<f32>>,
    y: ArrayViewMut4<f32>,
) -> Result<()> {
    naive::conv2d::forward(geometry, x, weight, bias, y)
}

/// As [`naive::conv2d::grad_input`].
///
/// # Errors
/// An operand whose shape does not fit the geometry or that is not contiguous.
pub fn grad_input(
    _kernels: Kernels,
    geometry: &Conv2dGeometry,
    dy: ArrayView4<f32>,
    weight: ArrayView4<f32>,
    dx: ArrayViewMut4<f32>,
) -> Result<()> {
    naive::conv2d::grad_input(geometry, dy, weight, dx)
}

/// As [`naive::conv2d::grad_weight`].
///
/// # Errors
/// An operand whose shape does not fit the geometry or that is not contiguous.
pub fn grad_weight(
    _kernels: Kernels,
    geometry: &Conv2dGeometry,
    x: ArrayView4<f32>,
    dy: ArrayView4<f32>,
    dweight: ArrayViewMut4<f32>,
) -> Result<()> {
    naive::conv2d::grad_weight(geometry, x, dy, dweight)
}

/// As [`naive::conv2d::grad_bias`].
///
/// # Errors
/// An operand whose shape does not fit the other or that is not contiguous.
pub fn grad_bias(_kernels: Kernels, dy: ArrayView4<f32>, dbias: ArrayViewMut1<f32>) -> Result<()> {
    naive::conv2d::grad_bias(dy, dbias)
}
