//! A dense (fully connected) layer and its gradients, for `f32`.

use crate::{Kernels, Result, naive};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};

/// As [`naive::dense::forward`].
///
/// # Errors
/// Operands whose shapes do not fit together or that are not contiguous.
pub fn forward(
    _kernels: Kernels,
    x: ArrayView2<f32>,
    weight: ArrayView2<f32>,
    bias: Option<ArrayView1<f32>>,
    y: ArrayViewMut2<f32>,
) -> Result<()> {
    naive::dense::forward(x, weight, bias, y)
}

/// As [`naive::dense::grad_input`].
///
/// # Errors
/// Operands whose shapes do not fit together or that are not contiguous.
pub fn grad_input(
    _kernels: Kernels,
    dy: ArrayView2<f32>,
    weight: ArrayView2<f32>,
    dx: ArrayViewMut2<f32>,
) -> Result<()> {
    naive::dense::grad_input(dy, weight, dx)
}

/// As [`naive::dense::grad_weight`].
///
/// # Errors
/// Operands whose shapes do not fit together or that are not contiguous.
pub fn grad_weight(
    _kernels: Kernels,
    x: ArrayView2<f32>,
    dy: ArrayView2<f32>,
    dweight: ArrayViewMut2<f32>,
) -> Result<()> {
    naive::dense::grad_weight(x, dy, dweight)
}

/// As [`naive::dense::grad_bias`].
///
/// # Errors
/// Operands whose shapes do not fit together or that are not contiguous.
pub fn grad_bias(_kernels: Kernels, dy: ArrayView2<f32>, dbias: ArrayViewMut1<f32>) -> Result<()> {
    naive::dense::grad_bias(dy, dbias)
}
