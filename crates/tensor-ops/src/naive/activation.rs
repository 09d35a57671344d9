//! The activation functions and their derivatives, element by element.

use super::float::{narrow, wide};
use crate::view::check_shape;
use crate::{Activation, Result};
use ndarray::{ArrayView, ArrayViewMut, Dimension, NdFloat, Zip};
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// `y = f(x)` for each element; the functions are in [`Activation`]. A NaN stays one.
///
/// # Errors
/// Operands whose shapes differ.
pub fn forward<T: NdFloat, D: Dimension>(
    activation: Activation,
    x: ArrayView<T, D>,
    mut y: ArrayViewMut<T, D>,
) -> Result<()> {
    check_shape("y", &y, x.shape())?;

    let (zero, one) = (T::zero(), T::one());
    Zip::from(&mut y).and(&x).for_each(|y, &x| {
        *y = match activation {
            // Written so that a NaN, which compares with nothing, takes the last arm.
            Activation::Relu => {
                if x <= zero {
                    zero
                } else {
                    x
                }
            }
            Activation::LeakyRelu { slope } => {
                if x > zero {
                    x
                } else {
                    narrow::<T>(slope.into()) * x
                }
            }
            Activation::Gelu => x * normal_cdf(x),
            // The exponent is never positive, so that nothing overflows.
            Activation::Sigmoid if x > zero => one / (one + (-x).exp()),
            Activation::Sigmoid => x.exp() / (one + x.exp()),
            Activation::Tanh => x.tanh(),
        };
    });
    Ok(())
}

/// The gradient of the input, `dx = dy · f′(x)`, with `y` as [`forward`] wrote it:
///
/// | function | `f′(x)` |
/// |---|---|
/// | ReLU | 1 above 0, else 0 |
/// | leaky ReLU | 1 above 0, else the slope |
/// | GELU | `Φ(x) + x · exp(−x²/2) / √2π` |
/// | sigmoid | `y · (1 − y)` |
/// | tanh | `1 − y²` |
///
/// A NaN in `dy` stays one, except where ReLU's derivative is 0. A NaN in `x` makes the gradient of the three
/// smooth functions NaN; ReLU passes `dy` on there and leaky ReLU `slope · dy`, as in PyTorch.
///
/// # Errors
/// Operands whose shapes differ.
pub fn backward<T: NdFloat, D: Dimension>(
    activation: Activation,
    x: ArrayView<T, D>,
    y: ArrayView<T, D>,
    dy: ArrayView<T, D>,
    mut dx: ArrayViewMut<T, D>,
) -> Result<()> {
    check_shape("y", &y, x.shape())?;
    check_shape("dy", &dy, x.shape())?;
    check_shape("dx", &dx, x.shape())?;

    let (zero, one) = (T::zero(), T::one());
    Zip::from(&mut dx).and(&x).and(&y).and(&dy).for_each(|dx, &x, &y, &dy| {
        *dx = match activation {
            Activation::Relu => {
                if x <= zero {
                    zero
                } else {
                    dy
                }
            }
            Activation::LeakyRelu { slope } => {
                if x > zero {
                    dy
                } else {
                    narrow::<T>(slope.into()) * dy
                }
            }
            Activation::Gelu => dy * (normal_cdf(x) + x * normal_density(x)),
            Activation::Sigmoid => dy * y * (one - y),
            Activation::Tanh => dy * (one - y * y),
        };
    });
    Ok(())
}

/// The distribution function of the standard normal, `Φ(x) = ½ · erfc(−x/√2)`, which is `½ · (1 + erf(x/√2))`
/// without the cancellation below 0.
fn normal_cdf<T: NdFloat>(x: T) -> T {
    narrow(0.5 * libm::erfc(-wide(x) * FRAC_1_SQRT_2))
}

/// Its density, `exp(−x²/2) / √2π`.
fn normal_density<T: NdFloat>(x: T) -> T {
    let x = wide(x);
    narrow((-0.5 * x * x).exp() / (2.0 * PI).sqrt())
}
