//! The forward pass.
//!
//! ```text
//! for each sample and row of windows:
//!     strip = two rows of the convolution
//!     for each window, block of ≤ 16 filters:
//!         y = relu(max of its four places); takes = the places that equal it
//! ```
//!
//! 1. The strip stays in the first cache: the full map is never written to memory.
//! 2. The ReLU is applied to the pooled quarter.
//! 3. The search for the maxima compares and selects for 16 filters at once, without a branch.

use super::super::correlate::{Correlation, Maps};
use super::super::cover;
use super::super::eight::Eights;
use super::super::tile::{lanes, lanes_mut};
use super::single;
use crate::dispatch::{Body, Isa};
use crate::view::ALIGNMENT;
use crate::{Conv2dGeometry, ConvPool2d, ConvPool2dGeometry, Ties, Window};

pub(crate) struct Forward<'a> {
    pub op: &'a ConvPool2d,
    pub x: &'a [f32],
    pub weight: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub y: &'a mut [f32],
    pub takes: Option<&'a mut [u8]>,
    pub scratch: &'a mut [f32],
}

impl Forward<'_> {
    pub(crate) fn scratch(geometry: &ConvPool2dGeometry) -> usize {
        let own = ALIGNMENT + geometry.conv.forward_panels() + strip(geometry);
        own.max(ALIGNMENT + single::scratch(geometry))
    }
}

impl Body for Forward<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { op, x, weight, bias, y, mut takes, scratch } = self;
        let inputs: usize = op.geometry.input_shape(1).into_iter().product();
        let outputs: usize = op.geometry.output_shape(1).into_iter().product();
        // Eight filters in less than a register would leave none for the weights.
        let kernel = single::Kernel::of(&op.geometry, I::Eights::WINDOWS).filter(|_| I::LANES >= 8);
        // Those loops take one sample; the general ones pack the weights once for all. Both are called in one place
        // alone, for they are inlined there.
        let samples = if kernel.is_some() { 1 } else { (x.len() / inputs).max(1) };
        let (xs, ys) = (x.chunks(samples * inputs), y.chunks_mut(samples * outputs));
        for (n, (x, y)) in xs.zip(ys).enumerate() {
            let takes = takes.as_mut().map(|takes| &mut takes[n * outputs..][..y.len()]);
            let mut call = Forward { op, x, weight, bias, y, takes, scratch: &mut *scratch };
            let is_done = match kernel {
                Some(kernel) => single::forward::<I>(kernel, &mut call),
                None => false,
            };
            if !is_done {
                call.general::<I>();
            }
        }
    }
}

impl Forward<'_> {
    /// Any kernel and number of channels.
    #[inline(always)]
    fn general<I: Isa>(&mut self) {
        let Self { op, x, weight, bias, y, takes, scratch } = self;
        let geometry = &op.geometry;
        let [_, rows, columns, filters] = geometry.output_shape(1);
        let inputs = geometry.input_shape(1).into_iter().product();
        let (panels, strip) = scratch.split_at_mut(geometry.conv.forward_panels());
        let strip = &mut strip[..self::strip(geometry)];
        // What the pool drops is not computed.
        let seen = Window { output: 2 * columns, ..geometry.conv.columns };
        let conv = Correlation::forward(&Conv2dGeometry { columns: seen, ..geometry.conv });
        conv.pack_forward::<I>(weight, panels);
        for (n, x) in x.chunks_exact(inputs).enumerate() {
            for wy in 0..rows {
                conv.strip::<I>(x, panels, *bias, 2 * wy..2 * wy + 2, Maps::ONE, strip);
                for window in 0..columns {
                    for block in cover(filters, [1, 4, 8, 16]) {
                        let from = 2 * window * filters + block.start;
                        let at = ((n * rows + wy) * columns + window) * filters + block.start;
                        let y = &mut y[at..];
                        let takes = takes.as_mut().map(|takes| &mut takes[at..]);
                        let next = 2 * columns * filters;
                        let strip = &strip[from..];
                        match block.width {
                            16 => pool::<16>(op, strip, filters, next, y, takes),
                            8 => pool::<8>(op, strip, filters, next, y, takes),
                            4 => pool::<4>(op, strip, filters, next, y, takes),
                            _ => pool::<1>(op, strip, filters, next, y, takes),
                        }
                    }
                }
            }
        }
    }
}

/// Numbers in two rows of the convolution.
#[inline(always)]
fn strip(geometry: &ConvPool2dGeometry) -> usize {
    4 * geometry.pool.columns.output * geometry.conv.filters
}

/// `L` filters of one window, whose places are `0`, `right`, `next` and `next + right`.
#[inline(always)]
fn pool<const L: usize>(
    op: &ConvPool2d,
    strip: &[f32],
    right: usize,
    next: usize,
    y: &mut [f32],
    takes: Option<&mut [u8]>,
) {
    let z = [0, right, next, next + right].map(|at| *lanes::<L>(&strip[at..]));
    let mut best = z[0];
    for place in 1..4 {
        for l in 0..L {
            let (value, found) = (z[place][l], best[l]);
            best[l] = if !found.is_nan() & ((value > found) | value.is_nan()) { value } else { found };
        }
    }
    let mut off = [false; L];
    for l in 0..L {
        off[l] = op.relu & (best[l] <= 0.0);
    }
    let y = lanes_mut::<L>(y);
    for l in 0..L {
        y[l] = if off[l] { 0.0 } else { best[l] };
    }
    let Some(takes) = takes else { return };
    let takes = takes.first_chunk_mut::<L>().expect("the slice holds a whole block");
    for l in 0..L {
        let mut wins = 0;
        for place in 0..4 {
            let equal = (z[place][l] == best[l]) | z[place][l].is_nan();
            wins |= u8::from(equal) << place;
        }
        let first = wins & wins.wrapping_neg();
        let wins = if op.ties == Ties::First { first } else { wins };
        takes[l] = if off[l] { 0 } else { wins };
    }
}
