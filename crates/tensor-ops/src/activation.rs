//! Activation functions and their gradients, element by element, for `f32`.

use crate::body::activation::{Backward, Forward};
use crate::dispatch::dispatch;
use crate::view::{slice, slice_mut};
use crate::{Kernels, Result, naive};
use ndarray::{ArrayView, ArrayViewMut, Dimension};

/// A function of one number, applied to each element of an array.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Activation {
    /// `max(x, 0)`; its derivative at 0 is taken as 0.
    Relu,
    /// `x` above 0, else `slope · x`; its derivative at 0 is taken as the slope.
    LeakyRelu {
        /// The derivative below 0; [`Activation::SLOPE`] is the usual one.
        slope: f32,
    },
    /// `x · Φ(x)` with `Φ(x) = ½ · (1 + erf(x/√2))`, the distribution function of the standard normal: the exact
    /// form, not its approximation by tanh (Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016).
    Gelu,
    /// `1 / (1 + exp(−x))`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// The slope that PyTorch gives a leaky ReLU by default.
    pub const SLOPE: f32 = 0.01;
}

/// As [`naive::activation::forward`], within a few units in the last place; GELU within 1e-6, as a share of `x`
/// where that is larger than 1.
///
/// # Errors
/// Operands whose shapes differ or that are not contiguous.
pub fn forward<D: Dimension>(
    kernels: Kernels,
    activation: Activation,
    x: ArrayView<f32, D>,
    y: ArrayViewMut<f32, D>,
) -> Result<()> {
    if kernels == Kernels::NAIVE {
        return naive::activation::forward(activation, x, y);
    }
    let y = slice_mut("y", y, x.shape())?;
    let x = slice("x", x.view(), x.shape())?;
    dispatch(kernels, Forward { activation, x, y });
    Ok(())
}

/// As [`naive::activation::backward`].
///
/// # Errors
/// Operands whose shapes differ or that are not contiguous.
pub fn backward<D: Dimension>(
    kernels: Kernels,
    activation: Activation,
    x: ArrayView<f32, D>,
    y: ArrayView<f32, D>,
    dy: ArrayView<f32, D>,
    dx: ArrayViewMut<f32, D>,
) -> Result<()> {
    if kernels == Kernels::NAIVE {
        return naive::activation::backward(activation, x, y, dy, dx);
    }
    let y = slice("y", y, x.shape())?;
    let dy = slice("dy", dy, x.shape())?;
    let dx = slice_mut("dx", dx, x.shape())?;
    let x = slice("x", x.view(), x.shape())?;
    dispatch(kernels, Backward { activation, x, y, dy, dx });
    Ok(())
}
