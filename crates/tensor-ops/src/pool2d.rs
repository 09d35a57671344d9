//! Max, min and average pooling and their gradients, for `f32`.

use crate::body::pool2d::{Backward, Forward};
use crate::dispatch::dispatch;
use crate::view::{slice, slice_mut};
use crate::{Kernels, Pool2dGeometry, Result, naive};
use ndarray::{ArrayView4, ArrayViewMut4};

/// What a pooling window is reduced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Its maximum.
    Max(Ties),
    /// Its minimum.
    Min(Ties),
    /// Its mean.
    Average {
        /// Whether positions in the padding count as zeros (PyTorch's default) or are left out (Keras's).
        count_padding: bool,
    },
}

/// Which of several equal maxima (minima) of a window takes the gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Ties {
    /// The first in row-major order, as PyTorch and Keras do.
    #[default]
    First,
    /// Every one of them, as the tutorial does.
    All,
}

/// As [`naive::pool2d::forward`].
///
/// # Errors
/// An operand whose shape does not fit the geometry or that is not contiguous.
pub fn forward(
    kernels: Kernels,
    pooling: Pooling,
    geometry: &Pool2dGeometry,
    x: ArrayView4<f32>,
    y: ArrayViewMut4<f32>,
) -> Result<()> {
    if kernels == Kernels::NAIVE {
        return naive::pool2d::forward(pooling, geometry, x, y);
    }
    let batch = x.dim().0;
    let x = slice("x", x, &geometry.input_shape(batch))?;
    let y = slice_mut("y", y, &geometry.output_shape(batch))?;
    dispatch(kernels, Forward { pooling, geometry, batch, x, y });
    Ok(())
}

/// As [`naive::pool2d::backward`].
///
/// # Errors
/// An operand whose shape does not fit the geometry or that is not contiguous.
pub fn backward(
    kernels: Kernels,
    pooling: Pooling,
    geometry: &Pool2dGeometry,
    x: ArrayView4<f32>,
    dy: ArrayView4<f32>,
    dx: ArrayViewMut4<f32>,
) -> Result<()> {
    if kernels == Kernels::NAIVE {
        return naive::pool2d::backward(pooling, geometry, x, dy, dx);
    }
    let batch = x.dim().0;
    let x = slice("x", x, &geometry.input_shape(batch))?;
    let dy = slice("dy", dy, &geometry.output_shape(batch))?;
    let dx = slice_mut("dx", dx, &geometry.input_shape(batch))?;
    dispatch(kernels, Backward { pooling, geometry, batch, x, dy, dx });
    Ok(())
}
