//! Winograd's convolution F(4×4, 3×3): four outputs from three taps by six products instead of twelve, in both
//! directions 36 instead of 144 (Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks*, 2015).
//!
//! Three taps and six inputs are polynomials; four outputs are coefficients of their product. It is computed from its
//! values at the points 0, ±2/3, ±3/2 and ∞: [`G`] evaluates the taps there, [`BT`] the inputs, and [`AT`] interpolates.
//! The paper has the points ±1 and ±2, whose powers are whole numbers; these are closer to each other's inverse, which
//! halves the rounding.

use super::float::narrow;
use crate::view::check_shape;
use crate::winograd::{OUTPUTS, POINTS};
use crate::{Result, WinogradGeometry};
use ndarray::{ArrayView1, ArrayView4, ArrayViewMut4, NdFloat};

/// From a kernel's taps to their values at the points, over the product of the point's distances from the others.
pub const G: [[f64; 3]; POINTS] = [
    [1.0, 0.0, 0.0],
    [-81.0 / 130.0, -27.0 / 65.0, -18.0 / 65.0],
    [-81.0 / 130.0, 27.0 / 65.0, -18.0 / 65.0],
    [8.0 / 65.0, 12.0 / 65.0, 18.0 / 65.0],
    [8.0 / 65.0, -12.0 / 65.0, 18.0 / 65.0],
    [0.0, 0.0, 1.0],
];

/// From inputs to theirs, transposed: each row has the coefficients of a polynomial that is 0 at all points but one.
pub const BT: [[f64; POINTS]; POINTS] = [
    [1.0, 0.0, -97.0 / 36.0, 0.0, 1.0, 0.0],
    [0.0, -1.5, -2.25, 2.0 / 3.0, 1.0, 0.0],
    [0.0, 1.5, -2.25, -2.0 / 3.0, 1.0, 0.0],
    [0.0, -2.0 / 3.0, -4.0 / 9.0, 1.5, 1.0, 0.0],
    [0.0, 2.0 / 3.0, -4.0 / 9.0, -1.5, 1.0, 0.0],
    [0.0, 1.0, 0.0, -97.0 / 36.0, 0.0, 1.0],
];

/// From the products' values at the points to the outputs: the points' powers.
pub const AT: [[f64; POINTS]; OUTPUTS] = [
    [1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
    [0.0, 2.0 / 3.0, -2.0 / 3.0, 1.5, -1.5, 0.0],
    [0.0, 4.0 / 9.0, 4.0 / 9.0, 2.25, 2.25, 0.0],
    [0.0, 8.0 / 27.0, -8.0 / 27.0, 3.375, -3.375, 1.0],
];

/// `transformed[.., .., i, o] = G · g · Gᵀ` for the kernel `g` from input channel `i` to output channel `o`.
///
/// # Errors
/// An operand whose shape does not fit the geometry.
pub fn transform_weight<T: NdFloat>(
    geometry: &WinogradGeometry,
    weight: ArrayView4<T>,
    mut transformed: ArrayViewMut4<T>,
) -> Result<()> {
    let WinogradGeometry { inputs, outputs, backwards, .. } = *geometry;
    check_shape("weight", &weight, &geometry.weight_shape())?;
    check_shape("transformed", &transformed, &[POINTS, POINTS, inputs, outputs])?;

    for i in 0..inputs {
        for o in 0..outputs {
            let mut kernel = [[T::zero(); 3]; 3];
            for (y, row) in kernel.iter_mut().enumerate() {
                for (x, tap) in row.iter_mut().enumerate() {
                    *tap = if backwards { weight[[2 - y, 2 - x, o, i]] } else { weight[[y, x, i, o]] };
                }
            }
            let values = transform(&G, kernel);
            for y in 0..POINTS {
                for x in 0..POINTS {
                    transformed[[y, x, i, o]] = values[y][x];
                }
            }
        }
    }
    Ok(())
}

/// `y = bias + Aᵀ · (Σ u · v) · A` for each tile of 4×4 outputs: summed over the input channels, `u` being the
/// transformed weights and `v = Bᵀ · d · B` the tile's 6×6 inputs `d`, zero in the padding; products are element by element.
///
/// # Errors
/// An operand whose shape does not fit the geometry.
pub fn forward<T: NdFloat>(
    geometry: &WinogradGeometry,
    x: ArrayView4<T>,
    transformed: ArrayView4<T>,
    bias: Option<ArrayView1<T>>,
    mut y: ArrayViewMut4<T>,
) -> Result<()> {
    let batch = x.dim().0;
    let WinogradGeometry { rows, columns, inputs, outputs, .. } = *geometry;
    check_shape("x", &x, &geometry.input_shape(batch))?;
    check_shape("transformed", &transformed, &[POINTS, POINTS, inputs, outputs])?;
    if let Some(bias) = &bias {
        check_shape("bias", bias, &[outputs])?;
    }
    check_shape("y", &y, &geometry.output_shape(batch))?;

    let pixel = |n, iy: Option<usize>, ix: Option<usize>, i| match (iy, ix) {
        (Some(iy), Some(ix)) => x[[n, iy, ix, i]],
        _ => T::zero(),
    };
    for n in 0..batch {
        for top in (0..rows.output).step_by(OUTPUTS) {
            for left in (0..columns.output).step_by(OUTPUTS) {
                for o in 0..outputs {
                    let mut sums = [[T::zero(); POINTS]; POINTS];
                    for i in 0..inputs {
                        let mut tile = [[T::zero(); POINTS]; POINTS];
                        for (row, tile) in tile.iter_mut().enumerate() {
                            for (column, value) in tile.iter_mut().enumerate() {
                                *value = pixel(n, rows.place(top + row), columns.place(left + column), i);
                            }
                        }
                        let values = transform(&BT, tile);
                        for row in 0..POINTS {
                            for column in 0..POINTS {
                                sums[row][column] += transformed[[row, column, i, o]] * values[row][column];
                            }
                        }
                    }
                    let tile = transform(&AT, sums);
                    for oy in top..rows.output.min(top + OUTPUTS) {
                        for ox in left..columns.output.min(left + OUTPUTS) {
                            let bias = bias.map_or(T::zero(), |bias| bias[o]);
                            y[[n, oy, ox, o]] = bias + tile[oy - top][ox - left];
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

/// `m · d · mᵀ`.
fn transform<T: NdFloat, const M: usize, const N: usize>(m: &[[f64; N]; M], d: [[T; N]; N]) -> [[T; M]; M] {
    let m = m.map(|row| row.map(narrow::<T>));
    let mut rows = [[T::zero(); N]; M];
    let mut result = [[T::zero(); M]; M];
    for i in 0..M {
        for k in 0..N {
            for l in 0..N {
                rows[i][l] += m[i][k] * d[k][l];
            }
        }
        for j in 0..M {
            for l in 0..N {
                result[i][j] += rows[i][l] * m[j][l];
            }
        }
    }
    result
}
