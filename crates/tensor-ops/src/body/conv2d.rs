//! The convolution and its gradients.
//!
//! ```text
//! forward     for each sample, group, block of ≤ 16 filters, output row, tile of ≤ 12 pixels:
//!                 sums[pixel][filter] = bias[filter]
//!                 for each kernel row and run of (kernel column, channel):
//!                     multiply(sums, pixels of x, rows of weight)
//!                 y = sums
//! grad_input  for each sample, group, block of channels, input row, tile of pixels a stride apart:
//!                 sums[pixel][channel][lane] = 0
//!                 for each tap: dot(sums, pixels of dy, rows of weight)
//!                 dx = Σ over lanes of sums
//! grad_weight for each sample, group, block of filters, kernel row, tile of ≤ 6 (kernel column, channel):
//!                 sums[partial][tap, channel][filter] = 0
//!                 for each output row: outer(sums, row of x, row of dy)
//!                 dweight += Σ over partials of sums
//! ```
//!
//! What was done to the naive loops, and why:
//!
//! 1. The filters went innermost: they are adjacent in `y`, `dy` and `weight`, so a block of them is one or two
//!    vectors.
//! 2. A tile of results stays in registers through the whole sum: memory sees each result once.
//! 3. For a fixed kernel row the (kernel column, channel) axis is contiguous in both `x` and `weight`: with one
//!    group and no dilation it is a single run, and the input need not be rearranged.
//! 4. Clipping at the padding became a range of taps. Pixels whose windows lie inside form tiles; the few
//!    others are tiles of one pixel with fewer taps.
//! 5. The gradient of the input gathers: pixels that are a stride apart meet the same taps, at adjacent outputs,
//!    so they form tiles whatever the stride, and each result is written once.
//! 6. The gradient of the weights is summed by sample and then over samples, which also loses fewer bits than
//!    one long sum.
//!
//! Each sum has one order, given by the geometry alone: not by the tile nor by the batch.

use super::tile::{dot, lanes, lanes_mut, multiply, outer, outer_in_turns, rows, sum, through_memory};
use super::window::{outputs, taps, target, whole};
use super::{Stretch, cover};
use crate::Conv2dGeometry;
use crate::dispatch::{Body, Isa};
use std::ops::Range;

pub(crate) struct Forward<'a> {
    pub geometry: &'a Conv2dGeometry,
    pub x: &'a [f32],
    pub weight: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub y: &'a mut [f32],
}

impl Body for Forward<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { geometry, x, weight, bias, y } = self;
        let samples = x.chunks_exact(size(geometry.input_shape(1)));
        for (x, y) in samples.zip(y.chunks_exact_mut(size(geometry.output_shape(1)))) {
            let mut call = Forward { geometry, x, weight, bias, y };
            for group in 0..geometry.groups {
                for block in cover(geometry.group_filters(), [1, 4, 8, 16]) {
                    for oy in 0..geometry.rows.output {
                        match block.width {
                            16 => call.row::<I, 6, 16>(group, block.start, oy),
                            8 => call.row::<I, 8, 8>(group, block.start, oy),
                            4 => call.row::<I, 12, 4>(group, block.start, oy),
                            _ => call.row::<I, 12, 1>(group, block.start, oy),
                        }
                    }
                }
            }
        }
    }
}

impl Forward<'_> {
    /// One row of the output, `L` filters from the group's `filter` on.
    #[inline(always)]
    fn row<I: Isa, const P: usize, const L: usize>(&mut self, group: usize, filter: usize, oy: usize) {
        let columns = &self.geometry.columns;
        let whole = whole(columns);
        for ox in (0..whole.start).chain(whole.end..columns.output) {
            self.pixels::<I, 1, L>(group, filter, oy, ox, taps(columns, ox));
        }
        for pixels in cover(whole.len(), [1, 4, P]) {
            let (ox, taps) = (whole.start + pixels.start, 0..columns.kernel);
            match pixels.width {
                1 => self.pixels::<I, 1, L>(group, filter, oy, ox, taps),
                4 => self.pixels::<I, 4, L>(group, filter, oy, ox, taps),
                _ => self.pixels::<I, P, L>(group, filter, oy, ox, taps),
            }
        }
    }

    /// `P` pixels from `ox` on, summed over `taps` of each kernel row.
    #[inline(always)]
    fn pixels<I: Isa, const P: usize, const L: usize>(
        &mut self,
        group: usize,
        filter: usize,
        oy: usize,
        ox: usize,
        taps: Range<usize>,
    ) {
        let Conv2dGeometry { rows: vertical, columns, in_channels, filters, .. } = *self.geometry;
        let (inputs, at) = (self.geometry.group_inputs(), group * self.geometry.group_filters() + filter);
        let step = columns.stride * in_channels;
        let start = self.bias.map_or([0.0; L], |bias| *lanes(&bias[at..]));
        let mut sums = [start; P];
        // Neighbouring taps are one run where their channels are neighbours too.
        let joined = if columns.dilation == 1 && inputs == in_channels { taps.len() } else { 1 };
        for ky in super::window::taps(&vertical, oy) {
            let iy = oy * vertical.stride + ky * vertical.dilation - vertical.before;
            let row = &self.x[iy * columns.input * in_channels..][..columns.input * in_channels];
            let mut kx = taps.start;
            while kx < taps.end {
                let ix = ox * columns.stride + kx * columns.dilation - columns.before;
                let (x, len) = (&row[ix * in_channels + group * inputs..], joined * inputs);
                let w = &self.weight[(ky * columns.kernel + kx) * inputs * filters..][..len * filters];
                // Pixels that lie side by side are one slice.
                if step == 1 {
                    outer::<I, P, L>(&mut sums, len, x, 1, w, filters, at);
                } else {
                    multiply::<I, P, L>(&mut sums, rows(x, step, len), w, filters, at);
                }
                kx += joined;
            }
        }
        for p in 0..P {
            *lanes_mut(&mut self.y[(oy * columns.output + ox + p) * filters + at..]) = sums[p];
        }
    }
}

pub(crate) struct GradInput<'a> {
    pub geometry: &'a Conv2dGeometry,
    pub dy: &'a [f32],
    pub weight: &'a [f32],
    pub dx: &'a mut [f32],
}

impl Body for GradInput<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { geometry, dy, weight, dx } = self;
        let samples = dy.chunks_exact(size(geometry.output_shape(1)));
        for (dy, dx) in samples.zip(dx.chunks_exact_mut(size(geometry.input_shape(1)))) {
            let mut call = GradInput { geometry, dy, weight, dx };
            match geometry.group_filters() {
                1..4 => call.sample::<I, 1>(),
                4..8 => call.sample::<I, 4>(),
                _ => call.sample::<I, 8>(),
            }
        }
    }
}

impl GradInput<'_> {
    /// One sample, with `L` partial sums over the filters.
    #[inline(always)]
    fn sample<I: Isa, const L: usize>(&mut self) {
        let Conv2dGeometry { rows, columns, groups, .. } = *self.geometry;
        for group in 0..groups {
            for first in 0..columns.stride.min(columns.input) {
                let whole = self.whole(first);
                let count = (columns.input - first).div_ceil(columns.stride);
                for block in cover(self.geometry.group_inputs(), [1, 4]) {
                    for iy in 0..rows.input {
                        let at = |pixel: usize| first + pixel * columns.stride;
                        for pixel in (0..whole.start).chain(whole.end..count) {
                            match block.width {
                                4 => self.pixels::<I, 1, 4, L>(group, block.start, iy, at(pixel)),
                                _ => self.pixels::<I, 1, 1, L>(group, block.start, iy, at(pixel)),
                            }
                        }
                        for pixels in cover(whole.len(), [1, 2]) {
                            let ix = at(whole.start + pixels.start);
                            match (block.width, pixels.width) {
                                (4, 2) => self.pixels::<I, 2, 4, L>(group, block.start, iy, ix),
                                (4, _) => self.pixels::<I, 1, 4, L>(group, block.start, iy, ix),
                                (_, 2) => self.pixels::<I, 2, 1, L>(group, block.start, iy, ix),
                                (_, _) => self.pixels::<I, 1, 1, L>(group, block.start, iy, ix),
                            }
                        }
                    }
                }
            }
        }
    }

    /// Of the pixels `first`, `first + stride`, …: those for which every tap that meets them at all does so
    /// inside the output.
    #[inline(always)]
    fn whole(&self, first: usize) -> Range<usize> {
        let columns = &self.geometry.columns;
        let count = (columns.input - first).div_ceil(columns.stride);
        let (mut start, mut end) = (0, count);
        for kx in 0..columns.kernel {
            // Tap `kx` meets pixel `p` at output `p + (first + before − kx · dilation) / stride`.
            let (plus, minus) = (first + columns.before, kx * columns.dilation);
            if plus.abs_diff(minus).is_multiple_of(columns.stride) {
                start = start.max(minus.saturating_sub(plus) / columns.stride);
                let reach = columns.output * columns.stride + minus;
                end = end.min(reach.saturating_sub(plus) / columns.stride);
            }
        }
        start.min(end)..end
    }

    /// `Q` channels from the group's `channel` on at `P` pixels, a stride apart, from `ix` on.
    #[inline(always)]
    fn pixels<I: Isa, const P: usize, const Q: usize, const L: usize>(
        &mut self,
        group: usize,
        channel: usize,
        iy: usize,
        ix: usize,
    ) {
        let Conv2dGeometry { rows: vertical, columns, in_channels, filters, .. } = *self.geometry;
        let (inputs, len) = (self.geometry.group_inputs(), self.geometry.group_filters());
        let mut sums = [[[0.0; L]; Q]; P];
        for ky in 0..vertical.kernel {
            let Some(oy) = target(&vertical, iy, ky) else { continue };
            for kx in 0..columns.kernel {
                let Some(ox) = target(&columns, ix, kx) else { continue };
                let dy = &self.dy[(oy * columns.output + ox) * filters + group * len..];
                let row = (ky * columns.kernel + kx) * inputs + channel;
                let weight = &self.weight[row * filters + group * len..];
                dot::<I, P, Q, L>(&mut sums, rows(dy, filters, len), rows(weight, filters, len));
            }
        }
        let sums = through_memory(sums);
        for p in 0..P {
            let pixel = iy * columns.input + ix + p * columns.stride;
            let dx = lanes_mut::<Q>(&mut self.dx[pixel * in_channels + group * inputs + channel..]);
            for q in 0..Q {
                dx[q] = sum(sums[p][q]);
            }
        }
    }
}

pub(crate) struct GradWeight<'a> {
    pub geometry: &'a Conv2dGeometry,
    pub x: &'a [f32],
    pub dy: &'a [f32],
    pub dweight: &'a mut [f32],
}

impl Body for GradWeight<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { geometry, x, dy, dweight } = self;
        dweight.fill(0.0);
        let samples = x.chunks_exact(size(geometry.input_shape(1)));
        for (x, dy) in samples.zip(dy.chunks_exact(size(geometry.output_shape(1)))) {
            let mut call = GradWeight { geometry, x, dy, dweight };
            for group in 0..geometry.groups {
                for block in cover(geometry.group_filters(), [1, 4, 8, 16]) {
                    match block.width {
                        16 => call.block::<I, 4, 16>(group, block),
                        8 => call.block::<I, 4, 8>(group, block),
                        4 => call.block::<I, 8, 4>(group, block),
                        _ => call.block::<I, 8, 1>(group, block),
                    }
                }
            }
        }
    }
}

impl GradWeight<'_> {
    /// All taps for `L` filters, with `U` partial sums where only one tap is summed at a time.
    #[inline(always)]
    fn block<I: Isa, const U: usize, const L: usize>(&mut self, group: usize, filters: Stretch) {
        let Conv2dGeometry { rows, columns, in_channels, .. } = *self.geometry;
        let inputs = self.geometry.group_inputs();
        // Neighbouring taps are one run where their channels are neighbours too and all see the same outputs.
        let all = 0..columns.output;
        let alike = (0..columns.kernel).all(|kx| outputs(&columns, kx) == all);
        let joined = if alike && columns.dilation == 1 && inputs == in_channels { columns.kernel } else { 1 };
        for ky in 0..rows.kernel {
            for kx in (0..columns.kernel).step_by(joined) {
                for entries in cover(joined * inputs, [1, 6]) {
                    match entries.width {
                        6 => self.tile::<I, 1, 6, L>(group, filters, ky, kx, entries),
                        _ => self.tile::<I, U, 1, L>(group, filters, ky, kx, entries),
                    }
                }
            }
        }
    }

    /// `T` of the (tap, channel) pairs that follow tap `ky, kx`, over every pixel that the tap meets.
    #[inline(always)]
    fn tile<I: Isa, const U: usize, const T: usize, const L: usize>(
        &mut self,
        group: usize,
        block: Stretch,
        ky: usize,
        kx: usize,
        entries: Stretch,
    ) {
        let Conv2dGeometry { rows, columns, in_channels, filters, .. } = *self.geometry;
        let (inputs, at) =
            (self.geometry.group_inputs(), group * self.geometry.group_filters() + block.start);
        let across = outputs(&columns, kx);
        if across.is_empty() {
            return;
        }
        let ix = across.start * columns.stride + kx * columns.dilation - columns.before;
        let mut sums = [[0.0; L]; T];
        for oy in outputs(&rows, ky) {
            let iy = oy * rows.stride + ky * rows.dilation - rows.before;
            let x = &self.x[(iy * columns.input + ix) * in_channels + group * inputs + entries.start..];
            let dy = &self.dy[(oy * columns.output + across.start) * filters..][..across.len() * filters];
            // A row has sums of its own, in registers; those of the sample are in memory.
            let step = columns.stride * in_channels;
            let mut row = [[0.0; L]; T];
            if T == 1 {
                row[0] = outer_in_turns::<I, U, L>(x, step, dy, filters, at);
            } else {
                outer::<I, T, L>(&mut row, across.len(), x, step, dy, filters, at);
            }
            for t in 0..T {
                for l in 0..L {
                    sums[t][l] += row[t][l];
                }
            }
        }
        // Constant loops with a test: an index that is not constant would move the sums to memory.
        for t in 0..T {
            if t < entries.skip {
                continue;
            }
            let row = (ky * columns.kernel + kx) * inputs + entries.start + t;
            let dweight = lanes_mut::<L>(&mut self.dweight[row * filters + at..]);
            for l in 0..L {
                dweight[l] += if l < block.skip { 0.0 } else { sums[t][l] };
            }
        }
    }
}

/// Elements of an array of this shape.
#[inline(always)]
fn size(shape: [usize; 4]) -> usize {
    shape[0] * shape[1] * shape[2] * shape[3]
}
