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

use super::cover;
use super::tile::{lanes, lanes_mut};
use super::window::taps;
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
        match self.pooling {
            Pooling::Max(_) => self.windows::<Max>(false),
            Pooling::Min(_) => self.windows::<Min>(false),
            Pooling::Average { count_padding } => self.windows::<Sum>(count_padding),
        }
    }
}

impl Forward<'_> {
    #[inline(always)]
    fn windows<F: Fold>(&mut self, count_padding: bool) {
        let Pool2dGeometry { rows, columns, .. } = *self.geometry;
        let padded = count_padding.then_some(rows.kernel * columns.kernel);
        for (at, area) in areas(self.geometry, self.batch).enumerate() {
            let size = padded.unwrap_or(area.taps[0] * area.taps[1]) as f32;
            if area.taps == [2, 2] {
                self.window::<F>(at, Area { taps: [2, 2], ..area }, size);
            } else {
                self.window::<F>(at, area, size);
            }
        }
    }

    #[inline(always)]
    fn window<F: Fold>(&mut self, at: usize, area: Area, size: f32) {
        for block in cover(self.geometry.channels, [1, 4, 8, 16]) {
            match block.width {
                16 => self.block::<F, 16>(at, area, block.start, size),
                8 => self.block::<F, 8>(at, area, block.start, size),
                4 => self.block::<F, 4>(at, area, block.start, size),
                _ => self.block::<F, 1>(at, area, block.start, size),
            }
        }
    }

    #[inline(always)]
    fn block<F: Fold, const L: usize>(&mut self, at: usize, area: Area, channel: usize, size: f32) {
        let value = fold::<F, L>(self.x, area, channel);
        let y = lanes_mut::<L>(&mut self.y[at * self.geometry.channels + channel..]);
        for l in 0..L {
            y[l] = F::share(value[l], size);
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
        match self.pooling {
            Pooling::Max(Ties::First) => self.windows::<Max, true>(false),
            Pooling::Max(Ties::All) => self.windows::<Max, false>(false),
            Pooling::Min(Ties::First) => self.windows::<Min, true>(false),
            Pooling::Min(Ties::All) => self.windows::<Min, false>(false),
            Pooling::Average { count_padding } => self.windows::<Sum, false>(count_padding),
        }
    }
}

impl Backward<'_> {
    #[inline(always)]
    fn windows<F: Fold, const FIRST: bool>(&mut self, count_padding: bool) {
        let Pool2dGeometry { rows, columns, .. } = *self.geometry;
        let padded = count_padding.then_some(rows.kernel * columns.kernel);
        for (at, area) in areas(self.geometry, self.batch).enumerate() {
            let size = padded.unwrap_or(area.taps[0] * area.taps[1]) as f32;
            if area.taps == [2, 2] {
                self.window::<F, FIRST>(at, Area { taps: [2, 2], ..area }, size);
            } else {
                self.window::<F, FIRST>(at, area, size);
            }
        }
    }

    #[inline(always)]
    fn window<F: Fold, const FIRST: bool>(&mut self, at: usize, area: Area, size: f32) {
        for block in cover(self.geometry.channels, [1, 4, 8, 16]) {
            let (channel, skip) = (block.start, block.skip);
            match block.width {
                16 => self.block::<F, FIRST, 16>(at, area, channel, skip, size),
                8 => self.block::<F, FIRST, 8>(at, area, channel, skip, size),
                4 => self.block::<F, FIRST, 4>(at, area, channel, skip, size),
                _ => self.block::<F, FIRST, 1>(at, area, channel, skip, size),
            }
        }
    }

    /// `L` channels from `channel` on, of which the first `skip` have had their gradient.
    #[inline(always)]
    fn block<F: Fold, const FIRST: bool, const L: usize>(
        &mut self,
        at: usize,
        area: Area,
        channel: usize,
        skip: usize,
        size: f32,
    ) {
        let best = fold::<F, L>(self.x, area, channel);
        let dy = lanes::<L>(&self.dy[at * self.geometry.channels + channel..]);
        let mut left = [0.0; L];
        for l in 0..L {
            left[l] = if l < skip { 0.0 } else { F::share(dy[l], size) };
        }
        for ky in 0..area.taps[0] {
            for kx in 0..area.taps[1] {
                let from = area.tap(ky, kx) + channel;
                let (x, dx) = (lanes::<L>(&self.x[from..]), lanes_mut::<L>(&mut self.dx[from..]));
                for l in 0..L {
                    let takes = F::takes(x[l], best[l]);
                    dx[l] += if takes { left[l] } else { 0.0 };
                    left[l] = if FIRST && takes { 0.0 } else { left[l] };
                }
            }
        }
    }
}

/// The part of the input that a window sees.
#[derive(Clone, Copy)]
struct Area {
    /// Where in the input its first tap is.
    first: usize,
    /// Its taps inside the input, down and across.
    taps: [usize; 2],
    /// Elements from one row to the next and from one column to the next.
    steps: [usize; 2],
}

impl Area {
    /// Where in the input a tap is.
    #[inline(always)]
    fn tap(&self, ky: usize, kx: usize) -> usize {
        self.first + ky * self.steps[0] + kx * self.steps[1]
    }
}

/// The areas of all windows of `batch` samples, in the order of the output.
#[inline(always)]
fn areas(geometry: &Pool2dGeometry, batch: usize) -> impl Iterator<Item = Area> {
    let Pool2dGeometry { rows, columns, channels } = *geometry;
    let steps = [columns.input * channels, channels];
    (0..batch).flat_map(move |n| {
        (0..rows.output).flat_map(move |oy| {
            let down = taps(&rows, oy);
            let row = n * rows.input + oy * rows.stride + down.start - rows.before;
            (0..columns.output).map(move |ox| {
                let across = taps(&columns, ox);
                let column = ox * columns.stride + across.start - columns.before;
                let first = row * steps[0] + column * steps[1];
                Area { first, taps: [down.len(), across.len()], steps }
            })
        })
    })
}

/// The fold of `L` channels from `channel` on over the taps of a window.
#[inline(always)]
fn fold<F: Fold, const L: usize>(x: &[f32], area: Area, channel: usize) -> [f32; L] {
    let mut folded = [F::START; L];
    for ky in 0..area.taps[0] {
        for kx in 0..area.taps[1] {
            let x = lanes::<L>(&x[area.tap(ky, kx) + channel..]);
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
