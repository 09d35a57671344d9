//! A dense (fully connected) layer and its gradients.

use crate::Result;
use crate::view::check_shape;
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, NdFloat};

/// `y[n, o] = bias[o] + Σᵢ x[n, i] · w[i, o]`.
///
/// # Errors
/// Operands whose shapes do not fit together.
pub fn forward<T: NdFloat>(
    x: ArrayView2<T>,
    weight: ArrayView2<T>,
    bias: Option<ArrayView1<T>>,
    mut y: ArrayViewMut2<T>,
) -> Result<()> {
    let (batch, (inputs, outputs)) = (x.dim().0, weight.dim());
    check_shape("x", &x, &[batch, inputs])?;
    if let Some(bias) = &bias {
        check_shape("bias", bias, &[outputs])?;
    }
    check_shape("y", &y, &[batch, outputs])?;

    for n in 0..batch {
        for o in 0..outputs {
            let mut sum = bias.map_or(T::zero(), |bias| bias[o]);
            for i in 0..inputs {
                sum += x[[n, i]] * weight[[i, o]];
            }
            y[[n, o]] = sum;
        }
    }
    Ok(())
}

/// The gradient of the input: `dx[n, i] = Σₒ dy[n, o] · w[i, o]`.
///
/// # Errors
/// Operands whose shapes do not fit together.
pub fn grad_input<T: NdFloat>(
    dy: ArrayView2<T>,
    weight: ArrayView2<T>,
    mut dx: ArrayViewMut2<T>,
) -> Result<()> {
    let (batch, (inputs, outputs)) = (dy.dim().0, weight.dim());
    check_shape("dy", &dy, &[batch, outputs])?;
    check_shape("dx", &dx, &[batch, inputs])?;

    for n in 0..batch {
        for i in 0..inputs {
            let mut sum = T::zero();
            for o in 0..outputs {
                sum += dy[[n, o]] * weight[[i, o]];
            }
            dx[[n, i]] = sum;
        }
    }
    Ok(())
}

/// The gradient of the weights: `dw[i, o] = Σₙ x[n, i] · dy[n, o]`.
///
/// # Errors
/// Operands whose shapes do not fit together.
pub fn grad_weight<T: NdFloat>(
    x: ArrayView2<T>,
    dy: ArrayView2<T>,
    mut dweight: ArrayViewMut2<T>,
) -> Result<()> {
    let ((batch, inputs), outputs) = (x.dim(), dy.dim().1);
    check_shape("dy", &dy, &[batch, outputs])?;
    check_shape("dweight", &dweight, &[inputs, outputs])?;

    for i in 0..inputs {
        for o in 0..outputs {
            let mut sum = T::zero();
            for n in 0..batch {
                sum += x[[n, i]] * dy[[n, o]];
            }
            dweight[[i, o]] = sum;
        }
    }
    Ok(())
}

/// The gradient of the bias: `db[o] = Σₙ dy[n, o]`.
///
/// # Errors
/// Operands whose shapes do not fit together.
pub fn grad_bias<T: NdFloat>(dy: ArrayView2<T>, mut dbias: ArrayViewMut1<T>) -> Result<()> {
    check_shape("dbias", &dbias, &[dy.dim().1])?;

    dbias.fill(T::zero());
    for ((_, o), &g) in dy.indexed_iter() {
        dbias[o] += g;
    }
    Ok(())
}

/// A step of plain gradient descent: [`grad_input`] with the weights as they are, then
///
/// * `w[i, o] −= rate · Σₙ x[n, i] · dy[n, o]`,
/// * `b[o] −= rate · Σₙ dy[n, o]`.
///
/// # Errors
/// Operands whose shapes do not fit together.
pub fn sgd<T: NdFloat>(
    rate: T,
    x: ArrayView2<T>,
    dy: ArrayView2<T>,
    mut weight: ArrayViewMut2<T>,
    mut bias: ArrayViewMut1<T>,
    dx: Option<ArrayViewMut2<T>>,
) -> Result<()> {
    let (batch, (inputs, outputs)) = (x.dim().0, weight.dim());
    check_shape("x", &x, &[batch, inputs])?;
    check_shape("dy", &dy, &[batch, outputs])?;
    check_shape("bias", &bias, &[outputs])?;
    if let Some(dx) = dx {
        grad_input(dy, weight.view(), dx)?;
    }

    for o in 0..outputs {
        let mut sum = T::zero();
        for n in 0..batch {
            sum += dy[[n, o]];
        }
        bias[o] -= rate * sum;
        for i in 0..inputs {
            let mut sum = T::zero();
            for n in 0..batch {
                sum += x[[n, i]] * dy[[n, o]];
            }
            weight[[i, o]] -= rate * sum;
        }
    }
    Ok(())
}
