//! The convolution and its gradients.
//!
//! ```text
//! forward     y = correlate(x, panels of weight)
//! grad_input  for each phase of the strides: dx of the phase = correlate(dy, panels of weight, backwards)
//! grad_weight for each sample, strip of output rows, group, block of ≤ 32 filters:
//!                 panel = the block's columns of dy, over the strip
//!                 for each tile of T (tap, channel) pairs:
//!                     sums[pair][filter] = Σ x[pixel, pair] · panel[pixel][filter] over the strip's pixels
//!                     dweight += sums
//! ```
//!
//! What was done to the naive loops, and why:
//!
//! 1. Forward and the gradient of the input are one kernel, [`super::correlate`]: an input under a stride of one sees the
//!    outputs as an output sees the inputs, with the taps backwards and the channels exchanged.
//! 2. With longer strides, inputs that are a stride apart meet the same taps. Each such phase is a correlation with
//!    those taps alone: no product with the zeros between the outputs is taken.
//! 3. The gradient of the weights is a product over pixels: a tile of pairs × filters stays in registers while they
//!    run, one load a pair and one a vector of filters.
//! 4. A strip is as many rows as the L1 cache holds, and its block of `dy` is copied to a panel: rows of `dy` that are a
//!    power of two apart displace each other from the cache.
//! 5. Each pair of a tile has a slice of its own, so a tile need not end with a kernel row: one input channel has rows of
//!    three pairs. Pairs beyond the last repeat it and are thrown away.
//! 6. For padded windows `x` gets a border of zeros, in a copy, so that every pair meets every pixel.
//! 7. Sums are taken by strip, then over strips and samples, which also loses fewer bits than one long sum.
//!
//! Each sum has one order, given by the geometry alone: not by the tile nor by the batch.

use super::tile::{Block, LONGEST, Tiled, blocks, copy_part, load, multiply_add, store, with_tile};
use crate::dispatch::{Body, Isa};
use crate::{Conv2dGeometry, Window};
use std::ops::Range;

pub(crate) struct GradWeight<'a> {
    pub geometry: &'a Conv2dGeometry,
    pub x: &'a [f32],
    pub dy: &'a [f32],
    pub dweight: &'a mut [f32],
    /// Room for a panel of `dy`, and for the padded input if there is padding.
    pub panel: &'a mut [f32],
    pub padded: &'a mut [f32],
}

impl Body for GradWeight<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { geometry, x, dy, dweight, panel, padded } = self;
        let Conv2dGeometry { rows, columns, in_channels, .. } = *geometry;
        let map_columns = if geometry.pads() { columns.reach() } else { columns.input };
        let depthwise = geometry.depthwise();
        let (groups, filters) = geometry.lane_groups(geometry.group_filters());
        let strip_rows = geometry.strip_rows();
        dweight.fill(0.0);
        padded.fill(0.0);
        let samples = x.chunks_exact(size(geometry.input_shape(1)));
        for (x, dy) in samples.zip(dy.chunks_exact(size(geometry.output_shape(1)))) {
            let x = if geometry.pads() {
                pad(rows, columns, in_channels, x, padded);
                &*padded
            } else {
                x
            };
            for first in (0..rows.output).step_by(strip_rows) {
                let strip = first..(first + strip_rows).min(rows.output);
                for group in 0..groups {
                    for block in blocks::<I>(filters, !depthwise) {
                        let (at, strip) = (group * filters + block.start, strip.clone());
                        let (x, dweight, panel) = (x, &mut *dweight, &mut *panel);
                        if depthwise {
                            let channel = at;
                            let products = Products::<true> {
                                geometry,
                                map_columns,
                                x,
                                channel,
                                dy,
                                strip,
                                at,
                                block,
                                panel,
                                dweight,
                            };
                            with_tile::<I>(block.width, products);
                        } else {
                            let channel = group * geometry.group_inputs();
                            let products = Products::<false> {
                                geometry,
                                map_columns,
                                x,
                                channel,
                                dy,
                                strip,
                                at,
                                block,
                                panel,
                                dweight,
                            };
                            with_tile::<I>(block.width, products);
                        }
                    }
                }
            }
        }
    }
}

/// Copies a map into the middle of zeros.
#[inline(always)]
fn pad(rows: Window, columns: Window, channels: usize, x: &[f32], padded: &mut [f32]) {
    let (width, padded_width) = (columns.input * channels, columns.reach() * channels);
    let before = columns.before.min(columns.reach());
    let kept = columns.input.min(columns.reach() - before) * channels;
    let to = padded.chunks_exact_mut(padded_width).skip(rows.before);
    for (x, to) in x.chunks_exact(width).zip(to) {
        to[before * channels..][..kept].copy_from_slice(&x[..kept]);
    }
}

/// One block of filters over one strip. `D` says that it is depthwise.
struct Products<'a, const D: bool> {
    geometry: &'a Conv2dGeometry,
    map_columns: usize,
    x: &'a [f32],
    channel: usize,
    dy: &'a [f32],
    strip: Range<usize>,
    at: usize,
    block: Block,
    panel: &'a mut [f32],
    dweight: &'a mut [f32],
}

impl<const D: bool> Tiled for Products<'_, D> {
    #[inline(always)]
    fn run<I: Isa, const T: usize, const V: usize>(self) {
        let Self { geometry, map_columns, x, channel, dy, strip, at, block, panel, dweight } = self;
        let Conv2dGeometry { rows, columns, in_channels, filters, .. } = *geometry;
        let (inputs, width) = (geometry.group_inputs(), V * I::LANES);
        let dy = &dy[strip.start * columns.output * filters..strip.end * columns.output * filters];
        let panel = &mut panel[..strip.len() * columns.output * width];
        for (panel, dy) in panel.chunks_exact_mut(width).zip(dy.chunks_exact(filters)) {
            if block.filled == width {
                store::<I, V>(load::<I, V>(&dy[at..]), panel);
            } else {
                panel.fill(0.0);
                copy_part(panel, &dy[at..], block.filled);
            }
        }

        let row = map_columns * in_channels;
        let steps = [rows.stride * row, columns.stride * in_channels];
        let x = &x[strip.start * steps[0] + channel..];
        let span = (strip.len() - 1) * steps[0] + (columns.output - 1) * steps[1] + if D { width } else { 1 };
        let pairs = rows.kernel * columns.kernel * inputs;
        for first in (0..pairs).step_by(T) {
            let mut pair = [&x[..0]; T];
            for t in 0..T {
                let (tap, channel) = {
                    let pair = (first + t).min(pairs - 1);
                    (pair / inputs, pair % inputs)
                };
                let (ky, kx) = (tap / columns.kernel, tap % columns.kernel);
                let from = ky * rows.dilation * row + kx * columns.dilation * in_channels + channel;
                pair[t] = &x[from..][..span];
            }
            let mut sums = [[I::splat(0.0); V]; T];
            let mut from = 0;
            for dy in panel.chunks_exact(columns.output * width) {
                multiply_add::<I, T, V, D>(&mut sums, pair, from, steps[1], dy);
                from += steps[0];
            }
            // A constant loop with a test: an index that is not constant would move the sums to memory.
            for t in 0..T {
                if first + t < pairs {
                    let mut sums_of_pair = [0.0; LONGEST];
                    store::<I, V>(sums[t], &mut sums_of_pair);
                    let to = &mut dweight[(first + t) * filters + at..][..block.filled];
                    for (to, sum) in to[block.skip..].iter_mut().zip(&sums_of_pair[block.skip..]) {
                        *to += sum;
                    }
                }
            }
        }
    }
}

/// Elements of an array of this shape.
#[inline(always)]
pub(crate) fn size(shape: [usize; 4]) -> usize {
    shape[0] * shape[1] * shape[2] * shape[3]
}
