//! From ndarray views to slices, with the one check of shape and layout that each public function makes.

use crate::{Error, Result};
use ndarray::{ArrayBase, ArrayView, ArrayView2, ArrayViewMut, ArrayViewMut2, Dimension, RawData};

/// Fails where `array` has another shape than `expected`.
pub(crate) fn check_shape<S: RawData, D: Dimension>(
    operand: &'static str,
    array: &ArrayBase<S, D>,
    expected: &[usize],
) -> Result<()> {
    if array.shape() == expected {
        Ok(())
    } else {
        Err(Error::Shape { operand, expected: expected.to_vec(), found: array.shape().to_vec() })
    }
}

/// The elements of a view that must have the shape `expected` and be contiguous in row-major order.
pub(crate) fn slice<'a, T, D: Dimension>(
    operand: &'static str,
    view: ArrayView<'a, T, D>,
    expected: &[usize],
) -> Result<&'a [T]> {
    check_shape(operand, &view, expected)?;
    view.to_slice().ok_or_else(|| Error::Layout { operand, strides: view.strides().to_vec() })
}

/// The same for an output.
pub(crate) fn slice_mut<'a, T, D: Dimension>(
    operand: &'static str,
    view: ArrayViewMut<'a, T, D>,
    expected: &[usize],
) -> Result<&'a mut [T]> {
    check_shape(operand, &view, expected)?;
    if !view.is_standard_layout() {
        return Err(Error::Layout { operand, strides: view.strides().to_vec() });
    }
    Ok(view.into_slice().expect("a view in standard layout is a slice"))
}

/// The first `expected` numbers of the scratch memory that a caller lends.
pub(crate) fn scratch(scratch: &mut [f32], expected: usize) -> Result<&mut [f32]> {
    let found = scratch.len();
    scratch.get_mut(..expected).ok_or(Error::Scratch { expected, found })
}

/// The elements of a matrix that is contiguous in either order.
pub(crate) enum Matrix<S> {
    /// One row after the other.
    Rows(S),
    /// One column after the other.
    Columns(S),
}

/// The elements of a view that must have the shape `expected` and be contiguous, row-major or column-major.
pub(crate) fn matrix<'a>(
    operand: &'static str,
    view: ArrayView2<'a, f32>,
    expected: [usize; 2],
) -> Result<Matrix<&'a [f32]>> {
    check_shape(operand, &view, &expected)?;
    match view.t().is_standard_layout() {
        true => slice(operand, view.reversed_axes(), &[expected[1], expected[0]]).map(Matrix::Columns),
        false => slice(operand, view, &expected).map(Matrix::Rows),
    }
}

/// The same for an output.
pub(crate) fn matrix_mut<'a>(
    operand: &'static str,
    view: ArrayViewMut2<'a, f32>,
    expected: [usize; 2],
) -> Result<Matrix<&'a mut [f32]>> {
    check_shape(operand, &view, &expected)?;
    match view.t().is_standard_layout() {
        true => slice_mut(operand, view.reversed_axes(), &[expected[1], expected[0]]).map(Matrix::Columns),
        false => slice_mut(operand, view, &expected).map(Matrix::Rows),
    }
}

/// Numbers in 64 bytes: a cache line, and the longest vector.
pub(crate) const ALIGNMENT: usize = 16;

/// The same from the first whole cache line on; `expected` counts [`ALIGNMENT`] numbers for that.
pub(crate) fn aligned(scratch: &mut [f32], expected: usize) -> Result<&mut [f32]> {
    let scratch = self::scratch(scratch, expected)?;
    let skip = scratch.as_ptr().align_offset(64);
    // The offset may be unknown; alignment is for speed alone.
    Ok(&mut scratch[if skip < ALIGNMENT { skip } else { 0 }..])
}
