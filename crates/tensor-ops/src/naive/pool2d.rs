//! Max, min and average pooling and their gradients.

use crate::view::check_shape;
use crate::{Pool2dGeometry, Pooling, Result, Ties};
use ndarray::{ArrayView4, ArrayViewMut4, NdFloat};

/// `y[n, oy, ox, c]` is the maximum, minimum or mean of channel `c` under the window at `(oy, ox)`. A window
/// that holds a NaN has a NaN for its maximum and minimum.
///
/// # Errors
/// An operand whose shape does not fit the geometry.
pub fn forward<T: NdFloat>(
    pooling: Pooling,
    geometry: &Pool2dGeometry,
    x: ArrayView4<T>,
    mut y: ArrayViewMut4<T>,
) -> Result<()> {
    let batch = x.dim().0;
    check_shape("x", &x, &geometry.input_shape(batch))?;
    check_shape("y", &y, &geometry.output_shape(batch))?;

    for ((n, oy, ox, c), y) in y.indexed_iter_mut() {
        let inside = window(geometry, oy, ox).map(|(iy, ix)| x[[n, iy, ix, c]]);
        *y = match pooling {
            Pooling::Max(_) => extremum(inside, |value, best| value > best),
            Pooling::Min(_) => extremum(inside, |value, best| value < best),
            Pooling::Average { count_padding } => {
                let size = divisor(geometry, oy, ox, count_padding);
                inside.fold(T::zero(), |sum, value| sum + value) / size
            }
        };
    }
    Ok(())
}

/// The gradient of the input. A window's gradient goes to its maximum (minimum): to the first in row-major
/// order with [`Ties::First`], to each of several equal ones with [`Ties::All`]. An average spreads it evenly.
/// Where windows overlap, an input collects from each.
///
/// # Errors
/// An operand whose shape does not fit the geometry.
pub fn backward<T: NdFloat>(
    pooling: Pooling,
    geometry: &Pool2dGeometry,
    x: ArrayView4<T>,
    dy: ArrayView4<T>,
    mut dx: ArrayViewMut4<T>,
) -> Result<()> {
    let batch = x.dim().0;
    check_shape("x", &x, &geometry.input_shape(batch))?;
    check_shape("dy", &dy, &geometry.output_shape(batch))?;
    check_shape("dx", &dx, &geometry.input_shape(batch))?;

    dx.fill(T::zero());
    for ((n, oy, ox, c), &g) in dy.indexed_iter() {
        let inside = || window(geometry, oy, ox).map(|(iy, ix)| ([n, iy, ix, c], x[[n, iy, ix, c]]));
        let values = inside().map(|(_, value)| value);
        let (ties, best) = match pooling {
            Pooling::Max(ties) => (ties, extremum(values, |value, best| value > best)),
            Pooling::Min(ties) => (ties, extremum(values, |value, best| value < best)),
            Pooling::Average { count_padding } => {
                let share = g / divisor(geometry, oy, ox, count_padding);
                inside().for_each(|(at, _)| dx[at] += share);
                continue;
            }
        };
        let winners = inside().filter(|&(_, value)| value == best || value.is_nan());
        let count = match ties {
            Ties::First => 1,
            Ties::All => usize::MAX,
        };
        winners.take(count).for_each(|(at, _)| dx[at] += g);
    }
    Ok(())
}

/// The input positions under the window at `(oy, ox)`, in row-major order, without those in the padding.
fn window(geometry: &Pool2dGeometry, oy: usize, ox: usize) -> impl Iterator<Item = (usize, usize)> {
    let Pool2dGeometry { rows, columns, .. } = *geometry;
    (0..rows.kernel).filter_map(move |ky| rows.source(oy, ky)).flat_map(move |iy| {
        (0..columns.kernel).filter_map(move |kx| columns.source(ox, kx)).map(move |ix| (iy, ix))
    })
}

/// The value that beats all others; the first NaN, if there is one.
pub(super) fn extremum<T: NdFloat>(values: impl Iterator<Item = T>, beats: impl Fn(T, T) -> bool) -> T {
    values
        .reduce(
            |best, value| if !best.is_nan() && (beats(value, best) || value.is_nan()) { value } else { best },
        )
        .expect("padding is narrower than the window, so each window holds a value")
}

/// What an average divides by: the positions of the window inside the input or, with `count_padding`, inside
/// the padded input.
fn divisor<T: NdFloat>(geometry: &Pool2dGeometry, oy: usize, ox: usize, count_padding: bool) -> T {
    let count = if count_padding {
        geometry.rows.kernel * geometry.columns.kernel
    } else {
        window(geometry, oy, ox).count()
    };
    (0..count).fold(T::zero(), |sum, _| sum + T::one())
}
