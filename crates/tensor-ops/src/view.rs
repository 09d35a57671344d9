//! From ndarray views to slices, with the one check of shape and layout that each public function makes.
//!
//! All of it is inlined but the errors: views and results that pass through memory cost more than a small kernel.

use crate::body::rows::{Rows, RowsMut};
use crate::{Error, Result};
use ndarray::{ArrayBase, ArrayView, ArrayView2, ArrayViewMut, ArrayViewMut2, Dimension, RawData};

/// Fails where `array` has another shape than `expected`.
#[inline(always)]
pub(crate) fn check_shape<S: RawData, D: Dimension>(
    operand: &'static str,
    array: &ArrayBase<S, D>,
    expected: &[usize],
) -> Result<()> {
    if array.shape() == expected { Ok(()) } else { Err(misfit(operand, array.shape(), expected)) }
}

/// The error, out of the way of a check that passes.
#[cold]
fn misfit(operand: &'static str, found: &[usize], expected: &[usize]) -> Error {
    Error::Shape { operand, expected: expected.to_vec(), found: found.to_vec() }
}

#[cold]
fn layout(operand: &'static str, strides: &[isize]) -> Error {
    Error::Layout { operand, strides: strides.to_vec() }
}

/// The elements of a view that must have the shape `expected` and be contiguous in row-major order.
#[inline(always)]
pub(crate) fn slice<'a, T, D: Dimension>(
    operand: &'static str,
    view: ArrayView<'a, T, D>,
    expected: &[usize],
) -> Result<&'a [T]> {
    check_shape(operand, &view, expected)?;
    view.to_slice().ok_or_else(|| layout(operand, view.strides()))
}

/// The same for an output.
#[inline(always)]
pub(crate) fn slice_mut<'a, T, D: Dimension>(
    operand: &'static str,
    view: ArrayViewMut<'a, T, D>,
    expected: &[usize],
) -> Result<&'a mut [T]> {
    check_shape(operand, &view, expected)?;
    if !view.is_standard_layout() {
        return Err(layout(operand, view.strides()));
    }
    Ok(view.into_slice().expect("a view in standard layout is a slice"))
}

/// The first `expected` numbers of the scratch memory that a caller lends.
pub(crate) fn scratch(scratch: &mut [f32], expected: usize) -> Result<&mut [f32]> {
    let found = scratch.len();
    scratch.get_mut(..expected).ok_or(Error::Scratch { expected, found })
}

/// The rows of a view that must have the shape `expected`, each contiguous.
#[inline(always)]
pub(crate) fn rows<'a>(
    operand: &'static str,
    view: ArrayView2<'a, f32>,
    expected: [usize; 2],
) -> Result<Rows<'a>> {
    check_shape(operand, &view, &expected)?;
    Rows::new(view).ok_or_else(|| layout(operand, view.strides()))
}

/// The same for an output.
#[inline(always)]
pub(crate) fn rows_mut<'a>(
    operand: &'static str,
    view: ArrayViewMut2<'a, f32>,
    expected: [usize; 2],
) -> Result<RowsMut<'a>> {
    check_shape(operand, &view, &expected)?;
    let strides = [view.strides()[0], view.strides()[1]];
    RowsMut::new(view).ok_or_else(|| layout(operand, &strides))
}

/// A matrix of which either the rows or the columns are contiguous.
pub(crate) enum Matrix<R> {
    /// Its rows.
    Rows(R),
    /// Its columns.
    Columns(R),
}

/// The rows or columns of a view that must have the shape `expected`.
#[inline(always)]
pub(crate) fn matrix<'a>(
    operand: &'static str,
    view: ArrayView2<'a, f32>,
    expected: [usize; 2],
) -> Result<Matrix<Rows<'a>>> {
    check_shape(operand, &view, &expected)?;
    match by_columns(view.strides(), expected) {
        true => rows(operand, view.reversed_axes(), [expected[1], expected[0]]).map(Matrix::Columns),
        false => rows(operand, view, expected).map(Matrix::Rows),
    }
}

/// The same for an output.
#[inline(always)]
pub(crate) fn matrix_mut<'a>(
    operand: &'static str,
    view: ArrayViewMut2<'a, f32>,
    expected: [usize; 2],
) -> Result<Matrix<RowsMut<'a>>> {
    check_shape(operand, &view, &expected)?;
    match by_columns(view.strides(), expected) {
        true => rows_mut(operand, view.reversed_axes(), [expected[1], expected[0]]).map(Matrix::Columns),
        false => rows_mut(operand, view, expected).map(Matrix::Rows),
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

/// Whether a matrix is to be read by columns: those are contiguous, and the rows are not, or are shorter.
#[inline(always)]
fn by_columns(strides: &[isize], [height, width]: [usize; 2]) -> bool {
    strides[0] == 1 && (strides[1] != 1 || height > width)
}
