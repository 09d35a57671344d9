//! Batch normalisation on slices: passes over the rows of a matrix of `m` positions × channels.
//!
//! ```text
//! for each block of rows                  few enough to stay in the cache
//!     for each strip of columns           up to 16, each a channel
//!         coefficients of the channels
//!         for each row of the block
//!             sums or outputs of the strip
//! ```
//!
//! What was done to the naive loops, and why:
//!
//! 1. The channels went innermost: they are adjacent, so a strip of them is a few vectors, and its sums or
//!    coefficients stay in registers while the rows go by.
//! 2. Fewer than 16 channels: several positions are taken as one row. A column `j` then belongs to channel
//!    `j mod channels`, and three channels fill the vectors as well as sixteen do.
//! 3. Everything that depends on the channel alone, the root and the divisions, is computed once a strip. The
//!    mean is subtracted before scaling, not folded into an offset: where it is large, that would cancel digits.
//! 4. A strip's results are computed in an array of their own and stored at once: written one by one, they could
//!    overlap the input for all the compiler knows, and it would not use vectors.
//! 5. Sums are `f64`; each block's are added to the totals, so their error grows with the number of blocks.
//!    Both moments come from one pass, for `f64` leaves enough digits for `Σx² / m − mean²`.

use super::cover;
use super::tile::{lanes, lanes_mut};
use crate::batch_norm::Totals;
use crate::dispatch::{Body, Isa};
use std::ops::Range;

/// Columns of a strip at most.
const LANES: usize = 16;

/// Rows of a block.
const ROWS: usize = 128;

/// What normalises each channel.
#[derive(Clone, Copy)]
pub(crate) struct Channels<'a> {
    pub mean: &'a [f32],
    pub variance: &'a [f32],
    pub epsilon: f32,
    pub gamma: &'a [f32],
    pub beta: &'a [f32],
}

impl Channels<'_> {
    /// `1 / √(variance + ε)` of a channel.
    #[inline(always)]
    fn inverse_sigma(&self, c: usize) -> f32 {
        1.0 / (self.variance[c] + self.epsilon).sqrt()
    }
}

/// The sums of the channels `first..first + sum.len()`.
pub(crate) struct Sums<'a> {
    pub x: &'a [f32],
    pub channels: usize,
    pub first: usize,
    pub sum: &'a mut [f64],
    pub squares: &'a mut [f64],
}

impl Body for Sums<'_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        self.sum.fill(0.0);
        self.squares.fill(0.0);
        let channels = self.first..self.first + self.sum.len();
        for_each_strip::<I>(self.x.len(), self.channels, channels, &mut self);
    }
}

impl Pass for Sums<'_> {
    #[inline(always)]
    fn strip<I: Isa, const L: usize>(&mut self, strip: Strip) {
        let (mut sum, mut squares) = ([0.0; L], [0.0; L]);
        for at in strip.places() {
            let x = lanes::<L>(&self.x[at..]);
            for l in 0..L {
                let x = f64::from(x[l]);
                sum[l] += x;
                squares[l] += x * x;
            }
        }
        for l in strip.skip..L {
            let c = strip.channel(l) - self.first;
            self.sum[c] += sum[l];
            self.squares[c] += squares[l];
        }
    }
}

pub(crate) struct Normalize<'a> {
    pub norm: Channels<'a>,
    pub x: &'a [f32],
    pub y: &'a mut [f32],
}

impl Body for Normalize<'_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        let channels = self.norm.mean.len();
        for_each_strip::<I>(self.x.len(), channels, 0..channels, &mut self);
    }
}

impl Pass for Normalize<'_> {
    #[inline(always)]
    fn strip<I: Isa, const L: usize>(&mut self, strip: Strip) {
        let (mut mean, mut scale, mut offset) = ([0.0; L], [0.0; L], [0.0; L]);
        for l in 0..L {
            let c = strip.channel(l);
            mean[l] = self.norm.mean[c];
            scale[l] = self.norm.gamma[c] * self.norm.inverse_sigma(c);
            offset[l] = self.norm.beta[c];
        }
        for at in strip.places() {
            let mut y = *lanes::<L>(&self.x[at..]);
            for l in 0..L {
                y[l] = I::mul_add(y[l] - mean[l], scale[l], offset[l]);
            }
            *lanes_mut(&mut self.y[at..]) = y;
        }
    }
}

pub(crate) struct GradientSums<'a> {
    pub norm: Channels<'a>,
    pub x: &'a [f32],
    pub dy: &'a [f32],
    pub dgamma: &'a mut [f64],
    pub dbeta: &'a mut [f64],
}

impl Body for GradientSums<'_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        self.dgamma.fill(0.0);
        self.dbeta.fill(0.0);
        let channels = self.norm.mean.len();
        for_each_strip::<I>(self.x.len(), channels, 0..channels, &mut self);
    }
}

impl Pass for GradientSums<'_> {
    #[inline(always)]
    fn strip<I: Isa, const L: usize>(&mut self, strip: Strip) {
        let mut mean = [0.0; L];
        for l in 0..L {
            mean[l] = self.norm.mean[strip.channel(l)];
        }
        let (mut products, mut sum) = ([0.0; L], [0.0; L]);
        for at in strip.places() {
            let (x, dy) = (lanes::<L>(&self.x[at..]), lanes::<L>(&self.dy[at..]));
            for l in 0..L {
                products[l] += f64::from(dy[l]) * f64::from(x[l] - mean[l]);
                sum[l] += f64::from(dy[l]);
            }
        }
        for l in strip.skip..L {
            let c = strip.channel(l);
            self.dgamma[c] += products[l] * f64::from(self.norm.inverse_sigma(c));
            self.dbeta[c] += sum[l];
        }
    }
}

pub(crate) struct GradInputTrain<'a> {
    pub norm: Channels<'a>,
    pub totals: &'a Totals<'a>,
    pub x: &'a [f32],
    pub dy: &'a [f32],
    pub dx: &'a mut [f32],
}

impl Body for GradInputTrain<'_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        let channels = self.norm.mean.len();
        for_each_strip::<I>(self.x.len(), channels, 0..channels, &mut self);
    }
}

impl Pass for GradInputTrain<'_> {
    /// `γ/σ · (dy − dβ/m − (x − mean)/σ · dγ/m)` as `a · dy + (b · (x − mean) + k)`.
    #[inline(always)]
    fn strip<I: Isa, const L: usize>(&mut self, strip: Strip) {
        let (mut mean, mut a, mut b, mut k) = ([0.0; L], [0.0; L], [0.0; L], [0.0; L]);
        for l in 0..L {
            let c = strip.channel(l);
            let inverse = self.norm.inverse_sigma(c);
            let share = |sum: &[f64]| (sum[c] / self.totals.count as f64) as f32;
            mean[l] = self.norm.mean[c];
            a[l] = self.norm.gamma[c] * inverse;
            b[l] = -a[l] * inverse * share(self.totals.dgamma);
            k[l] = -a[l] * share(self.totals.dbeta);
        }
        for at in strip.places() {
            let (mut dx, dy) = (*lanes::<L>(&self.x[at..]), lanes::<L>(&self.dy[at..]));
            for l in 0..L {
                dx[l] = I::mul_add(a[l], dy[l], I::mul_add(b[l], dx[l] - mean[l], k[l]));
            }
            *lanes_mut(&mut self.dx[at..]) = dx;
        }
    }
}

pub(crate) struct GradInputEval<'a> {
    pub norm: Channels<'a>,
    pub dy: &'a [f32],
    pub dx: &'a mut [f32],
}

impl Body for GradInputEval<'_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        let channels = self.norm.mean.len();
        for_each_strip::<I>(self.dy.len(), channels, 0..channels, &mut self);
    }
}

impl Pass for GradInputEval<'_> {
    #[inline(always)]
    fn strip<I: Isa, const L: usize>(&mut self, strip: Strip) {
        let mut scale = [0.0; L];
        for l in 0..L {
            let c = strip.channel(l);
            scale[l] = self.norm.gamma[c] * self.norm.inverse_sigma(c);
        }
        for at in strip.places() {
            let mut dx = *lanes::<L>(&self.dy[at..]);
            for l in 0..L {
                dx[l] *= scale[l];
            }
            *lanes_mut(&mut self.dx[at..]) = dx;
        }
    }
}

/// What is done with each strip.
trait Pass {
    /// Handles a strip of `L` columns.
    fn strip<I: Isa, const L: usize>(&mut self, strip: Strip);
}

/// Some adjacent columns of a block of rows.
#[derive(Clone, Copy)]
struct Strip {
    /// Where its first element is.
    start: usize,
    /// Its rows.
    rows: usize,
    /// Elements from one row to the next.
    step: usize,
    /// Columns at its left that an earlier strip had too.
    skip: usize,
    /// Its first column.
    column: usize,
    channels: usize,
}

impl Strip {
    /// Where each row starts.
    #[inline(always)]
    fn places(&self) -> impl Iterator<Item = usize> + use<> {
        let Self { start, step, .. } = *self;
        (0..self.rows).map(move |row| start + row * step)
    }

    /// The channel of a lane.
    #[inline(always)]
    fn channel(&self, lane: usize) -> usize {
        (self.column + lane) % self.channels
    }
}

/// Cuts the wanted channels of an array of `len` elements into strips.
#[inline(always)]
fn for_each_strip<I: Isa>(len: usize, channels: usize, wanted: Range<usize>, pass: &mut impl Pass) {
    if len == 0 {
        return;
    }
    if channels >= LANES {
        return rows::<I>(0..len, channels, channels, wanted, pass);
    }
    let width = channels * LANES.div_ceil(channels);
    let whole = len / width * width;
    rows::<I>(0..whole, width, channels, 0..width, pass);
    rows::<I>(whole..len, channels, channels, 0..channels, pass);
}

/// Cuts `columns` of the rows of `width` elements that fill `elements` into strips.
#[inline(always)]
fn rows<I: Isa>(
    elements: Range<usize>,
    width: usize,
    channels: usize,
    columns: Range<usize>,
    pass: &mut impl Pass,
) {
    for start in elements.clone().step_by(ROWS * width) {
        let rows = ((elements.end - start) / width).min(ROWS);
        for part in cover(columns.len(), [1, 4, 8, LANES]) {
            let column = columns.start + part.start;
            let strip = Strip { start: start + column, rows, step: width, skip: part.skip, column, channels };
            match part.width {
                LANES => pass.strip::<I, LANES>(strip),
                8 => pass.strip::<I, 8>(strip),
                4 => pass.strip::<I, 4>(strip),
                _ => pass.strip::<I, 1>(strip),
            }
        }
    }
}
