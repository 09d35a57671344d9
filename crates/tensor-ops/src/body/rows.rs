//! Matrices whose rows are contiguous but may lie apart, as in a block of columns of a larger matrix.

use ndarray::{ArrayView2, ArrayViewMut2};
use std::marker::PhantomData;
use std::slice;

/// Rows of equal length, to read.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    first: *const f32,
    step: usize,
    count: usize,
    len: usize,
    view: PhantomData<&'a [f32]>,
}

impl<'a> Rows<'a> {
    /// The rows of a view, if the elements of each are adjacent.
    #[inline(always)]
    pub fn new(view: ArrayView2<'a, f32>) -> Option<Self> {
        let (count, len) = view.dim();
        let step = step(view.dim(), view.strides())?;
        Some(Self { first: view.as_ptr(), step, count, len, view: PhantomData })
    }

    /// How many rows there are.
    #[inline(always)]
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many numbers a row has.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    pub fn row(&self, n: usize) -> &'a [f32] {
        assert!(n < self.count, "there is such a row");
        // SAFETY: the view that these rows were made of holds row `n` for `'a`, and its elements are adjacent.
        unsafe { slice::from_raw_parts(self.first.add(n * self.step), self.len) }
    }
}

/// Rows of equal length, to write.
pub(crate) struct RowsMut<'a> {
    first: *mut f32,
    step: usize,
    count: usize,
    len: usize,
    view: PhantomData<&'a mut [f32]>,
}

impl<'a> RowsMut<'a> {
    /// The rows of a view, if the elements of each are adjacent.
    #[inline(always)]
    pub fn new(mut view: ArrayViewMut2<'a, f32>) -> Option<Self> {
        let (count, len) = view.dim();
        let step = step(view.dim(), view.strides())?;
        Some(Self { first: view.as_mut_ptr(), step, count, len, view: PhantomData })
    }

    /// How many rows there are.
    #[inline(always)]
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many numbers a row has.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    pub fn row(&mut self, n: usize) -> &mut [f32] {
        assert!(n < self.count, "there is such a row");
        // SAFETY: the view that these rows were made of holds row `n` alone for `'a`, and its elements are adjacent;
        // the borrow of `self` keeps it from being taken twice.
        unsafe { slice::from_raw_parts_mut(self.first.add(n * self.step), self.len) }
    }
}

/// From one row to the next, if the elements of each are adjacent. Where there is nothing to step over, nothing.
#[inline(always)]
fn step((count, len): (usize, usize), strides: &[isize]) -> Option<usize> {
    let adjacent = len <= 1 || strides[1] == 1;
    match (count, len) {
        (0, _) | (_, 0) => Some(0),
        (1, _) => adjacent.then_some(0),
        (_, _) => usize::try_from(strides[0]).ok().filter(|_| adjacent),
    }
}
