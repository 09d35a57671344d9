//! Pooling and its gradient.
//!
//! ```text
//! forward     for each window, block of ≤ 16 channels:
//!                 value = the fold of the taps inside the input
//!                 y = value (maximum, minimum) or value / size (average)
//! backward    dx = 0
//!             for each window, block of ≤ 16 channels:
//!                 best = the fold of the taps inside the input
//!                 left = dy
//!                 for each tap: dx += left where x = best; with Ties::First, left = 0 there
//! ```
//!
//! What was done to the naive loops, and why:
//!
//! 1. The channels went innermost: they are adjacent, so a block of them is one or two vectors, and every
//!    channel's maximum is found at once.
//! 2. The test for a NaN became a comparison and a selection, as the search for the maximum is: no branch.
//! 3. The first of several maxima takes the gradient by leaving none for the others: no flag, no index.
//! 4. Clipping at the padding became a range of taps. The number of taps of a 2×2 window, the common one, is a
//!    constant, so that its loops are unrolled.

use super::tile::{lanes, lanes_mut};
use super::window::taps;
use super::{Stretch, cover};
use crate::dispatch::{Body, Isa};
use crate::{Pool2dGeometry, Pooling, Ties};

pub(crate) struct Forward<'a> {
    pub pooling: Pooling,
    pub geometry: &'a Pool2dGeometry,
    pub batch: usize,
    pub x: &'a [f32],
    pub y: &'a mut [f32],
}

impl Body for Forward<'_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        walk(self.pooling, self.geometry, self.batch, &mut self);
    }
}

impl Visit for Forward<'_> {
    #[inline(always)]
    fn visit<F: Fold, const L: usize>(&mut self, area: Area) {
        let value = fold::<F, L>(self.x, area);
        let y = lanes_mut::<L>(&mut self.y[area.output..]);
        for l in 0..L {
            y[l] = F::share(value[l], area.size);
        }
    }
}

pub(crate) struct Backward<'a> {
    pub pooling: Pooling,
    pub geometry: &'a Pool2dGeometry,
    pub batch: usize,
    pub x: &'a [f32],
    pub dy: &'a [f32],
    pub dx: &'a mut [f32],
}

impl Body for Backward<'_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        self.dx.fill(0.0);
        walk(self.pooling, self.geometry, self.batch, &mut self);
    }
}

impl Visit for Backward<'_> {
    #[inline(always)]
    fn visit<F: Fold, const L: usize>(&mut self, area: Area) {
        let first = matches!(self.pooling, Pooling::Max(Ties::First) | Pooling::Min(Ties::First));
        let best = fold::<F, L>(self.x, area);
        let dy = lanes::<L>(&self.dy[area.output..]);
        let mut left = [0; L];
        for l in 0..L {
            left[l] = if l < area.skip { 0 } else { F::share(dy[l], area.size).to_bits() };
        }
        // Bits of the numbers, that a mask of ones keeps and one of zeros clears.
        let used = if first { u32::MAX } else { 0 };
        for ky in 0..area.taps[0] {
            for kx in 0..area.taps[1] {
                let at = area.tap(ky, kx);
                // By value: the compiler cannot know that the slices do not overlap.
                let (x, mut dx) = (*lanes::<L>(&self.x[at..]), *lanes::<L>(&self.dx[at..]));
                for l in 0..L {
                    let takes = if F::takes(x[l], best[l]) { u32::MAX } else { 0 };
                    dx[l] += f32::from_bits(left[l] & takes);
                    left[l] &= !(takes & used);
                }
                *lanes_mut(&mut self.dx[at..]) = dx;
            }
        }
    }
}

/// A block of channels of one window.
#[derive(Clone, Copy)]
struct Area {
    /// Where in the input the block's first channel is under the first tap.
    input: usize,
    /// Where in the output it is.
    output: usize,
    /// The taps inside the input, down and across.
    taps: [usize; 2],
    /// Elements from one row of the input to the next and from one column to the next.
    steps: [usize; 2],
    /// The channels of the block that an earlier block covered too.
    skip: usize,
    /// What an average divides by.
    size: f32,
}

impl Area {
    /// Where in the input the block is under a tap.
    #[inline(always)]
    fn tap(&self, ky: usize, kx: usize) -> usize {
        self.input + ky * self.steps[0] + kx * self.steps[1]
    }
}

/// What is done to each block of `L` channels of each window.
trait Visit {
    fn visit<F: Fold, const L: usize>(&mut self, area: Area);
}

/// Visits all windows of all samples.
#[inline(always)]
fn walk(pooling: Pooling, geometry: &Pool2dGeometry, batch: usize, visitor: &mut impl Visit) {
    let size = match pooling {
        Pooling::Average { count_padding: true } => Some(geometry.rows.kernel * geometry.columns.kernel),
        _ => None,
    };
    for row in 0..batch * geometry.rows.output {
        for block in cover(geometry.channels, [1, 4, 8, 16]) {
            match pooling {
                Pooling::Max(_) => walk_block::<Max>(geometry, size, row, block, visitor),
                Pooling::Min(_) => walk_block::<Min>(geometry, size, row, block, visitor),
                Pooling::Average { .. } => walk_block::<Sum>(geometry, size, row, block, visitor),
            }
        }
    }
}

#[inline(always)]
fn walk_block<F: Fold>(
    geometry: &Pool2dGeometry,
    size: Option<usize>,
    row: usize,
    block: Stretch,
    visitor: &mut impl Visit,
) {
    match block.width {
        16 => walk_row::<F, 16>(geometry, size, row, block, visitor),
        8 => walk_row::<F, 8>(geometry, size, row, block, visitor),
        4 => walk_row::<F, 4>(geometry, size, row, block, visitor),
        _ => walk_row::<F, 1>(geometry, size, row, block, visitor),
    }
}

/// Visits one block of channels in the windows of one row of the output, counted over all samples.
#[inline(always)]
fn walk_row<F: Fold, const L: usize>(
    geometry: &Pool2dGeometry,
    size: Option<usize>,
    row: usize,
    block: Stretch,
    visitor: &mut impl Visit,
) {
    let Pool2dGeometry { rows, columns, channels } = *geometry;
    let (n, oy) = (row / rows.output, row % rows.output);
    let down = taps(&rows, oy);
    let iy = n * rows.input + oy * rows.stride + down.start - rows.before;
    let steps = [columns.input * channels, channels];
    for ox in 0..columns.output {
        let across = taps(&columns, ox);
        let ix = ox * columns.stride + across.start - columns.before;
        let area = Area {
            input: iy * steps[0] + ix * steps[1] + block.start,
            output: (row * columns.output + ox) * channels + block.start,
            taps: [down.len(), across.len()],
            steps,
            skip: block.skip,
            size: size.unwrap_or(down.len() * across.len()) as f32,
        };
        if area.taps == [2, 2] {
            visitor.visit::<F, L>(Area { taps: [2, 2], ..area });
        } else {
            visitor.visit::<F, L>(area);
        }
    }
}

/// The fold of a block of channels over the taps of a window.
#[inline(always)]
fn fold<F: Fold, const L: usize>(x: &[f32], area: Area) -> [f32; L] {
    let mut folded = [F::START; L];
    for ky in 0..area.taps[0] {
        for kx in 0..area.taps[1] {
            let x = lanes::<L>(&x[area.tap(ky, kx)..]);
            for l in 0..L {
                folded[l] = F::add(folded[l], x[l]);
            }
        }
    }
    folded
}

/// How a window's values become one.
trait Fold {
    /// The fold of no value.
    const START: f32;

    /// The fold with one more value.
    fn add(folded: f32, value: f32) -> f32;

    /// A window's result from its fold, and a taker's gradient from the window's.
    fn share(value: f32, size: f32) -> f32;

    /// Whether `value` takes the gradient of a window that folded to `folded`.
    fn takes(value: f32, folded: f32) -> bool;
}

/// The largest value, or the first NaN.
struct Max;

impl Fold for Max {
    const START: f32 = f32::NEG_INFINITY;

    #[inline(always)]
    fn add(best: f32, value: f32) -> f32 {
        if !best.is_nan() & ((value > best) | value.is_nan()) { value } else { best }
    }

    #[inline(always)]
    fn share(value: f32, _size: f32) -> f32 {
        value
    }

    #[inline(always)]
    fn takes(value: f32, best: f32) -> bool {
        (value == best) | value.is_nan()
    }
}

/// The smallest value, or the first NaN.
struct Min;

impl Fold for Min {
    const START: f32 = f32::INFINITY;

    #[inline(always)]
    fn add(best: f32, value: f32) -> f32 {
        if !best.is_nan() & ((value < best) | value.is_nan()) { value } else { best }
    }

    #[inline(always)]
    fn share(value: f32, _size: f32) -> f32 {
        value
    }

    #[inline(always)]
    fn takes(value: f32, best: f32) -> bool {
        (value == best) | value.is_nan()
    }
}

/// The sum; a mean once it is shared.
struct Sum;

impl Fold for Sum {
    const START: f32 = 0.0;

    #[inline(always)]
    fn add(sum: f32, value: f32) -> f32 {
        sum + value
    }

    #[inline(always)]
    fn share(value: f32, size: f32) -> f32 {
        value / size
    }

    #[inline(always)]
    fn takes(_value: f32, _sum: f32) -> bool {
        true
    }
}
