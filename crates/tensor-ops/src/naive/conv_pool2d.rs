//! A convolution, its bias, an optional ReLU and a 2×2 max-pool as one operation.

use super::pool2d::extremum;
use crate::view::check_shape;
use crate::{ConvPool2d, ConvPool2dGeometry, Result, Ties};
use ndarray::{ArrayView1, ArrayView4, ArrayViewMut1, ArrayViewMut4, NdFloat};

/// The convolution `z = bias + Σ x · w` at the four places of each window, and
/// `y[n, wy, wx, oc] = relu(max of z[n, 2·wy + ty, 2·wx + tx, oc] over ty, tx in {0, 1})`, without `relu` where
/// the operation has none. A window that holds a NaN has a NaN for its maximum, and the ReLU keeps it.
///
/// Bit `2·ty + tx` of `takes` is set where place `(ty, tx)` takes the window's gradient: the first maximum with
/// [`Ties::First`], every one with [`Ties::All`], the first NaN or every NaN where there are some, and none where
/// the ReLU is off.
///
/// # Errors
/// An operand whose shape does not fit the geometry.
pub fn forward<T: NdFloat>(
    op: &ConvPool2d,
    x: ArrayView4<T>,
    weight: ArrayView4<T>,
    bias: Option<ArrayView1<T>>,
    mut y: ArrayViewMut4<T>,
    mut takes: Option<ArrayViewMut4<u8>>,
) -> Result<()> {
    let (batch, geometry) = (x.dim().0, &op.geometry);
    check_shape("x", &x, &geometry.input_shape(batch))?;
    check_shape("weight", &weight, &geometry.conv.weight_shape())?;
    if let Some(bias) = &bias {
        check_shape("bias", bias, &[geometry.conv.filters])?;
    }
    check_shape("y", &y, &geometry.output_shape(batch))?;
    if let Some(takes) = &takes {
        check_shape("takes", takes, &geometry.output_shape(batch))?;
    }

    for ((n, wy, wx, oc), y) in y.indexed_iter_mut() {
        let mut z = [bias.map_or(T::zero(), |bias| bias[oc]); 4];
        for (place, z) in z.iter_mut().enumerate() {
            for_each_tap(geometry, [wy, wx], place, |[ky, kx, ic], [iy, ix]| {
                *z += x[[n, iy, ix, ic]] * weight[[ky, kx, ic, oc]];
            });
        }
        let best = extremum(z.into_iter(), |value, best| value > best);
        let off = op.relu && best <= T::zero();
        *y = if off { T::zero() } else { best };
        if let Some(takes) = &mut takes {
            let wins = |&place: &usize| !off && (z[place] == best || z[place].is_nan());
            let count = match op.ties {
                Ties::First => 1,
                Ties::All => 4,
            };
            takes[[n, wy, wx, oc]] = (0..4).filter(wins).take(count).map(|place| 1 << place).sum();
        }
    }
    Ok(())
}

/// The gradients of the weights and of the bias: `dw[ky, kx, ic, oc] = Σ x[n, iy, ix, ic] · dy[n, wy, wx, oc]` and
/// `db[oc] = Σ dy[n, wy, wx, oc]`, over the samples, the windows and the places that take their gradient. A
/// window whose gradient is 0 adds nothing, whatever its input.
///
/// # Errors
/// An operand whose shape does not fit the geometry.
pub fn grad_weight<T: NdFloat>(
    op: &ConvPool2d,
    x: ArrayView4<T>,
    dy: ArrayView4<T>,
    takes: ArrayView4<u8>,
    mut dweight: ArrayViewMut4<T>,
    mut dbias: Option<ArrayViewMut1<T>>,
) -> Result<()> {
    let (batch, geometry) = (x.dim().0, &op.geometry);
    check_shape("x", &x, &geometry.input_shape(batch))?;
    check_shape("dy", &dy, &geometry.output_shape(batch))?;
    check_shape("takes", &takes, &geometry.output_shape(batch))?;
    check_shape("dweight", &dweight, &geometry.conv.weight_shape())?;
    if let Some(dbias) = &dbias {
        check_shape("dbias", dbias, &[geometry.conv.filters])?;
    }

    dweight.fill(T::zero());
    if let Some(dbias) = &mut dbias {
        dbias.fill(T::zero());
    }
    for_each_taker(dy, takes, |[n, wy, wx, oc], place, g| {
        for_each_tap(geometry, [wy, wx], place, |[ky, kx, ic], [iy, ix]| {
            dweight[[ky, kx, ic, oc]] += x[[n, iy, ix, ic]] * g;
        });
        if let Some(dbias) = &mut dbias {
            dbias[oc] += g;
        }
    });
    Ok(())
}

/// The gradient of the input: `dx[n, iy, ix, ic] = Σ dy[n, wy, wx, oc] · w[ky, kx, ic, oc]` over the places that
/// saw this input and take their window's gradient. A window whose gradient is 0 adds nothing, whatever the weights.
///
/// # Errors
/// An operand whose shape does not fit the geometry.
pub fn grad_input<T: NdFloat>(
    op: &ConvPool2d,
    dy: ArrayView4<T>,
    takes: ArrayView4<u8>,
    weight: ArrayView4<T>,
    mut dx: ArrayViewMut4<T>,
) -> Result<()> {
    let (batch, geometry) = (dy.dim().0, &op.geometry);
    check_shape("dy", &dy, &geometry.output_shape(batch))?;
    check_shape("takes", &takes, &geometry.output_shape(batch))?;
    check_shape("weight", &weight, &geometry.conv.weight_shape())?;
    check_shape("dx", &dx, &geometry.input_shape(batch))?;

    dx.fill(T::zero());
    for_each_taker(dy, takes, |[n, wy, wx, oc], place, g| {
        for_each_tap(geometry, [wy, wx], place, |[ky, kx, ic], [iy, ix]| {
            dx[[n, iy, ix, ic]] += g * weight[[ky, kx, ic, oc]];
        });
    });
    Ok(())
}

/// Visits the taps `[ky, kx, ic]` of the convolution at a place of a window, and the input `[iy, ix]` under each.
fn for_each_tap(
    geometry: &ConvPool2dGeometry,
    [wy, wx]: [usize; 2],
    place: usize,
    mut visit: impl FnMut([usize; 3], [usize; 2]),
) {
    let (oy, ox) = (2 * wy + place / 2, 2 * wx + place % 2);
    let [kernel_rows, kernel_columns, in_channels, _] = geometry.conv.weight_shape();
    for ky in 0..kernel_rows {
        let Some(iy) = geometry.conv.rows.source(oy, ky) else { continue };
        for kx in 0..kernel_columns {
            let Some(ix) = geometry.conv.columns.source(ox, kx) else { continue };
            for ic in 0..in_channels {
                visit([ky, kx, ic], [iy, ix]);
            }
        }
    }
}

/// Visits every window `[n, wy, wx, oc]`, place and gradient where the place takes the gradient and it is not 0.
fn for_each_taker<T: NdFloat>(
    dy: ArrayView4<T>,
    takes: ArrayView4<u8>,
    mut visit: impl FnMut([usize; 4], usize, T),
) {
    for ((n, wy, wx, oc), &g) in dy.indexed_iter() {
        for place in 0..4 {
            if takes[[n, wy, wx, oc]] & (1 << place) != 0 && g != T::zero() {
                visit([n, wy, wx, oc], place, g);
            }
        }
    }
}
