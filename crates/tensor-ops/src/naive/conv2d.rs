//! Convolution (the cross-correlation that the field calls convolution) and its three gradients.

use crate::view::check_shape;
use crate::{Conv2dGeometry, Result};
use ndarray::{ArrayView1, ArrayView4, ArrayViewMut1, ArrayViewMut4, NdFloat};

/// `y[n, oy, ox, oc] = bias[oc] + Σ x[n, iy, ix, ic] · w[ky, kx, ic, oc]` over the taps inside the input.
///
/// # Errors
/// An operand whose shape does not fit the geometry.
pub fn forward<T: NdFloat>(
    geometry: &Conv2dGeometry,
    x: ArrayView4<T>,
    weight: ArrayView4<T>,
    bias: Option<ArrayView1<T>>,
    mut y: ArrayViewMut4<T>,
) -> Result<()> {
    let batch = x.dim().0;
    check_shape("x", &x, &geometry.input_shape(batch))?;
    check_shape("weight", &weight, &geometry.weight_shape())?;
    if let Some(bias) = &bias {
        check_shape("bias", bias, &[geometry.filters])?;
    }
    check_shape("y", &y, &geometry.output_shape(batch))?;

    y.fill(T::zero());
    for_each_product(geometry, batch, |output, input, tap| y[output] += x[input] * weight[tap]);
    if let Some(bias) = bias {
        y += &bias;
    }
    Ok(())
}

/// The gradient of the input: `dx[n, iy, ix, ic] = Σ dy[n, oy, ox, oc] · w[ky, kx, ic, oc]` over every output
/// that saw this input.
///
/// # Errors
/// An operand whose shape does not fit the geometry.
pub fn grad_input<T: NdFloat>(
    geometry: &Conv2dGeometry,
    dy: ArrayView4<T>,
    weight: ArrayView4<T>,
    mut dx: ArrayViewMut4<T>,
) -> Result<()> {
    let batch = dy.dim().0;
    check_shape("dy", &dy, &geometry.output_shape(batch))?;
    check_shape("weight", &weight, &geometry.weight_shape())?;
    check_shape("dx", &dx, &geometry.input_shape(batch))?;

    dx.fill(T::zero());
    for_each_product(geometry, batch, |output, input, tap| dx[input] += dy[output] * weight[tap]);
    Ok(())
}

/// The gradient of the weights: `dw[ky, kx, ic, oc] = Σ x[n, iy, ix, ic] · dy[n, oy, ox, oc]` over samples and
/// positions.
///
/// # Errors
/// An operand whose shape does not fit the geometry.
pub fn grad_weight<T: NdFloat>(
    geometry: &Conv2dGeometry,
    x: ArrayView4<T>,
    dy: ArrayView4<T>,
    mut dweight: ArrayViewMut4<T>,
) -> Result<()> {
    let batch = x.dim().0;
    check_shape("x", &x, &geometry.input_shape(batch))?;
    check_shape("dy", &dy, &geometry.output_shape(batch))?;
    check_shape("dweight", &dweight, &geometry.weight_shape())?;

    dweight.fill(T::zero());
    for_each_product(geometry, batch, |output, input, tap| dweight[tap] += x[input] * dy[output]);
    Ok(())
}

/// The gradient of the bias: `db[oc] = Σ dy[n, oy, ox, oc]` over samples and positions.
///
/// # Errors
/// An operand whose shape does not fit the other.
pub fn grad_bias<T: NdFloat>(dy: ArrayView4<T>, mut dbias: ArrayViewMut1<T>) -> Result<()> {
    check_shape("dbias", &dbias, &[dy.dim().3])?;

    dbias.fill(T::zero());
    for ((_, _, _, oc), &g) in dy.indexed_iter() {
        dbias[oc] += g;
    }
    Ok(())
}

/// Visits every product that a convolution sums: the places of the output it adds to, of the input and of the
/// weight. The forward pass and both of its gradients are this same walk with the roles exchanged.
fn for_each_product(
    geometry: &Conv2dGeometry,
    batch: usize,
    mut visit: impl FnMut([usize; 4], [usize; 4], [usize; 4]),
) {
    let [_, out_rows, out_columns, filters] = geometry.output_shape(batch);
    let [kernel_rows, kernel_columns, group_inputs, _] = geometry.weight_shape();
    for n in 0..batch {
        for oy in 0..out_rows {
            for ox in 0..out_columns {
                for ky in 0..kernel_rows {
                    let Some(iy) = geometry.rows.source(oy, ky) else { continue };
                    for kx in 0..kernel_columns {
                        let Some(ix) = geometry.columns.source(ox, kx) else { continue };
                        for ic in 0..group_inputs {
                            for oc in 0..filters {
                                let group = oc / geometry.group_filters();
                                let channel = group * group_inputs + ic;
                                visit([n, oy, ox, oc], [n, iy, ix, channel], [ky, kx, ic, oc]);
                            }
                        }
                    }
                }
            }
        }
    }
}
