//! The sum of products under a sliding window: what the convolution and the gradient of its input both are.
//!
//! ```text
//! for each group, block of ≤ 32 results' channels:
//!     for each region of results that see the same taps, tile of P pixels of it in all maps:
//!         sums[pixel][lane] = bias[lane]
//!         for each tap, input channel: sums[pixel][lane] += x[pixel + tap] · panel[tap, channel][lane]
//!         y = sums
//! ```
//!
//! What was done to the naive loops, and why:
//!
//! 1. The channels of the results went innermost: they are adjacent in `y` and in the panel, so a block of them is
//!    a vector or two, and every input is loaded once for all of them.
//! 2. A tile of results stays in registers through the whole sum: memory sees each result once.
//! 3. The weights are copied into panels first, one for each block, in the order in which the tile reads them. Left in
//!    place, rows that are a power of two apart displace each other from the L1 cache.
//! 4. A tile's pixels need not lie in one row, nor in one map: each has a slice of its own, all as long as the window
//!    reaches, so that one comparison a step checks all. Only a region's last tile is not full, not every row's.
//! 5. Padding costs nothing: the windows that reach into it are regions of their own, with fewer taps.
//! 6. Too few channels for a vector are filled up with zeros in the panel.
//! 7. In a depthwise convolution the lanes are groups: the same tile, with vectors of inputs.
//!
//! Each sum has one order, given by the geometry alone: not by the tile nor by the batch.
//!
//! The convolution and the gradient of its input are one [`Body`], compiled once; others pack the weights before it runs.

use super::cover;
use super::tile::{Block, LONGEST, Tiled, blocks, copy_part, load, multiply_add, store, with_tile};
use super::window::{Axis, Region, Taps};
use crate::Conv2dGeometry;
use crate::dispatch::{Body, Isa};
use std::ops::Range;

/// Results over a map of inputs; what is not a number of channels is in pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Correlation {
    pub rows: Axis,
    pub columns: Axis,
    pub groups: usize,
    /// Channels of a group's inputs, and of its results.
    pub inputs: usize,
    pub outputs: usize,
    /// Elements from a row of results to the next, and from a result to its neighbour.
    pub pitch: [usize; 2],
    /// Whether each result's channel sees the input's channel of the same number alone: then `groups` is 1.
    pub depthwise: bool,
}

impl Correlation {
    /// The convolution itself.
    #[inline(always)]
    pub(crate) fn forward(geometry: &Conv2dGeometry) -> Self {
        let Conv2dGeometry { rows, columns, filters, .. } = *geometry;
        let (groups, outputs) = geometry.lane_groups(geometry.group_filters());
        Self {
            rows: Axis::new(&rows),
            columns: Axis::new(&columns),
            groups,
            inputs: geometry.group_inputs(),
            outputs,
            pitch: [columns.output * filters, filters],
            depthwise: geometry.depthwise(),
        }
    }

    /// The gradient of the inputs that are whole strides from input `first`, over a map of the outputs' gradients,
    /// and the taps in the order in which the sum takes them.
    #[inline(always)]
    pub(crate) fn grad_input(geometry: &Conv2dGeometry, first: [usize; 2]) -> (Self, [Taps; 2]) {
        let Conv2dGeometry { rows: down, columns: across, in_channels, .. } = geometry;
        let ((rows, row_taps), (columns, column_taps)) =
            (Axis::phase(down, first[0]), Axis::phase(across, first[1]));
        let (groups, outputs) = geometry.lane_groups(geometry.group_inputs());
        let correlation = Self {
            rows,
            columns,
            groups,
            inputs: geometry.group_filters(),
            outputs,
            pitch: [down.stride * across.input * in_channels, across.stride * in_channels],
            depthwise: geometry.depthwise(),
        };
        (correlation, [row_taps, column_taps])
    }

    /// Products in each sum.
    #[inline(always)]
    fn products(&self) -> usize {
        self.rows.kernel * self.columns.kernel * self.inputs
    }

    /// Copies the weights of the convolution into panels, one behind the other.
    #[inline(always)]
    pub(super) fn pack_forward<I: Isa>(&self, weight: &[f32], panels: &mut [f32]) {
        self.pack::<I>(weight, |[ky, kx]| ky * self.columns.kernel + kx, false, panels);
    }

    /// `tap` gives the number of a tap in the kernel; `transposed` says that the weights' filters are inputs here.
    #[inline(always)]
    fn pack<I: Isa>(
        &self,
        weight: &[f32],
        tap: impl Fn([usize; 2]) -> usize + Copy,
        transposed: bool,
        mut panels: &mut [f32],
    ) {
        for group in 0..self.groups {
            for block in blocks::<I>(self.outputs, !self.depthwise) {
                let (panel, rest) = panels.split_at_mut(self.products() * block.width);
                panels = rest;
                with_tile::<I>(block.width, Pack { of: self, group, block, weight, tap, transposed, panel });
            }
        }
    }

    /// The results of `rows`, of each of some maps, to `y`, which starts with the first of them.
    #[inline(always)]
    pub(super) fn strip<I: Isa>(
        &self,
        x: &[f32],
        mut panels: &[f32],
        bias: Option<&[f32]>,
        rows: Range<usize>,
        maps: Maps,
        y: &mut [f32],
    ) {
        for group in 0..self.groups {
            for block in blocks::<I>(self.outputs, !self.depthwise) {
                let (panel, rest) = panels.split_at(self.products() * block.width);
                panels = rest;
                let at = group * self.outputs + block.start;
                let bias = bias.map(|bias| &bias[at..at + block.filled]);
                let rows = rows.clone();
                if self.depthwise {
                    let strip =
                        Strip::<true> { of: self, x, channel: at, panel, bias, rows, maps, y, at, block };
                    with_tile::<I>(block.width, strip);
                } else {
                    let channel = group * self.inputs;
                    let strip =
                        Strip::<false> { of: self, x, channel, panel, bias, rows, maps, y, at, block };
                    with_tile::<I>(block.width, strip);
                }
            }
        }
    }
}

/// Maps one behind the other.
#[derive(Clone, Copy)]
pub(crate) struct Maps {
    pub count: usize,
    /// Numbers from one map's inputs to the next's, and from its results.
    pub steps: [usize; 2],
}

impl Maps {
    pub const ONE: Self = Self { count: 1, steps: [0; 2] };
}

/// The results of many maps.
pub(crate) struct Correlate<'a> {
    pub correlation: &'a Correlation,
    pub x: &'a [f32],
    pub panels: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub y: &'a mut [f32],
    pub maps: Maps,
}

impl Body for Correlate<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { correlation, x, panels, bias, y, maps } = self;
        correlation.strip::<I>(x, panels, bias, 0..correlation.rows.output, maps, y);
    }
}

/// Packs the weights for [`Correlation::forward`].
pub(crate) struct PackForward<'a> {
    pub correlation: &'a Correlation,
    pub weight: &'a [f32],
    pub panels: &'a mut [f32],
}

impl Body for PackForward<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        self.correlation.pack_forward::<I>(self.weight, self.panels);
    }
}

/// Packs the weights, whose kernel has `columns` columns, for [`Correlation::grad_input`].
pub(crate) struct PackGradInput<'a> {
    pub correlation: &'a Correlation,
    pub weight: &'a [f32],
    pub columns: usize,
    pub taps: [Taps; 2],
    pub panels: &'a mut [f32],
}

impl Body for PackGradInput<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { correlation, weight, columns, taps, panels } = self;
        let tap = |[ky, kx]: [usize; 2]| taps[0].of(ky) * columns + taps[1].of(kx);
        correlation.pack::<I>(weight, tap, !correlation.depthwise, panels);
    }
}

/// One block's weights, to be copied.
struct Pack<'a, F> {
    of: &'a Correlation,
    group: usize,
    block: Block,
    weight: &'a [f32],
    tap: F,
    transposed: bool,
    panel: &'a mut [f32],
}

impl<F: Fn([usize; 2]) -> usize> Tiled for Pack<'_, F> {
    #[inline(always)]
    fn run<I: Isa, const P: usize, const V: usize>(self) {
        let Self { of, group, block, weight, tap, transposed, panel } = self;
        let Correlation { groups, inputs, outputs, .. } = *of;
        let width = V * I::LANES;
        let taps = (0..of.rows.kernel).flat_map(|ky| (0..of.columns.kernel).map(move |kx| [ky, kx]));
        if block.filled < width {
            panel.fill(0.0);
        }
        for (panel, at) in panel.chunks_exact_mut(inputs * width).zip(taps) {
            let tap = tap(at);
            if transposed {
                let filters = groups * inputs;
                for l in 0..block.filled {
                    let weight = &weight[(tap * outputs + block.start + l) * filters + group * inputs..];
                    for (row, weight) in panel.chunks_exact_mut(width).zip(weight) {
                        row[l] = *weight;
                    }
                }
            } else {
                let filters = groups * outputs;
                let weight = &weight[tap * inputs * filters + group * outputs + block.start..];
                for (i, row) in panel.chunks_exact_mut(width).enumerate() {
                    let weight = &weight[i * filters..];
                    if block.filled == width {
                        store::<I, V>(load::<I, V>(weight), row);
                    } else {
                        copy_part(row, weight, block.filled);
                    }
                }
            }
        }
    }
}

/// One block of a strip. `D` says that it is depthwise.
struct Strip<'a, const D: bool> {
    of: &'a Correlation,
    x: &'a [f32],
    channel: usize,
    panel: &'a [f32],
    bias: Option<&'a [f32]>,
    rows: Range<usize>,
    maps: Maps,
    y: &'a mut [f32],
    at: usize,
    block: Block,
}

/// A region's place and the run of its sums, in elements.
struct Area {
    /// Pixels below and beside each other.
    height: usize,
    width: usize,
    /// The first pixel's first input, and the distances to that of the pixel below and of the one beside.
    x: usize,
    steps: [usize; 2],
    /// The first pixel's first result.
    y: usize,
    /// Elements from a pixel's first input to behind its last.
    span: usize,
    /// Rows of taps, runs of neighbouring inputs in each, and the distances of both.
    rows: usize,
    runs: usize,
    tap_steps: [usize; 2],
    /// Inputs in a run.
    len: usize,
    /// The panel's first row, and the rows from a row of taps to the next.
    panel: usize,
    panel_step: usize,
}

impl<const D: bool> Tiled for Strip<'_, D> {
    #[inline(always)]
    fn run<I: Isa, const P: usize, const V: usize>(mut self) {
        let mut start = [0.0; LONGEST];
        if let Some(bias) = self.bias {
            start[..bias.len()].copy_from_slice(bias);
        }
        let start = load::<I, V>(&start);
        for down in self.of.rows.regions(self.rows.clone()) {
            for across in self.of.columns.regions(0..self.of.columns.output) {
                let pixels = self.maps.count * down.results.len() * across.results.len();
                let area = self.area(&down, &across, V * I::LANES);
                for pixels in cover(pixels, [1, if P < 4 { P } else { 4 }, P]) {
                    match pixels.width {
                        1 => self.tile::<I, 1, V>(&area, pixels.start, start),
                        4 if P > 4 => self.tile::<I, 4, V>(&area, pixels.start, start),
                        _ => self.tile::<I, P, V>(&area, pixels.start, start),
                    }
                }
            }
        }
    }
}

impl<const D: bool> Strip<'_, D> {
    #[inline(always)]
    fn area(&self, down: &Region, across: &Region, width: usize) -> Area {
        let Correlation { rows, columns, inputs, pitch, .. } = *self.of;
        let channels = if D { self.of.outputs } else { self.of.groups * inputs };
        let row = columns.input * channels;
        let tap_steps = [rows.dilation * row, columns.dilation * channels];
        let (taps_down, taps_across) = (down.taps.len(), across.taps.len());
        let y = (down.results.start - self.rows.start) * pitch[0] + across.results.start * pitch[1] + self.at;
        let (columns_of_panel, height, width) = (width, down.results.len(), across.results.len());
        if taps_down == 0 || taps_across == 0 {
            let (steps, tap_steps) = ([0; 2], [0; 2]);
            return Area {
                height,
                width,
                x: 0,
                steps,
                y,
                span: 0,
                rows: 0,
                runs: 0,
                tap_steps,
                len: 0,
                panel: 0,
                panel_step: 0,
            };
        }
        // Neighbouring taps are one run where their channels are neighbours too.
        let (runs, len) =
            if tap_steps[1] == inputs { (1, taps_across * inputs) } else { (taps_across, inputs) };
        let iy = rows.source(down.results.start, down.taps.start);
        let ix = columns.source(across.results.start, across.taps.start);
        Area {
            height,
            width,
            x: iy * row + ix * channels + self.channel,
            steps: [rows.stride * row, columns.stride * channels],
            y,
            span: (taps_down - 1) * tap_steps[0]
                + (runs - 1) * tap_steps[1]
                + if D { columns_of_panel } else { len },
            rows: taps_down,
            runs,
            tap_steps,
            len,
            panel: (down.taps.start * columns.kernel + across.taps.start) * inputs * columns_of_panel,
            panel_step: columns.kernel * inputs * columns_of_panel,
        }
    }

    /// `P` pixels of a region of all maps, from pixel `first` on.
    #[inline(always)]
    fn tile<I: Isa, const P: usize, const V: usize>(
        &mut self,
        area: &Area,
        first: usize,
        start: [I::Vector; V],
    ) {
        let width = V * I::LANES;
        let Maps { steps, .. } = self.maps;
        let (row, mut column) = (first / area.width, first % area.width);
        let (map, mut row) = (row / area.height, row % area.height);
        // Where the pixel's row begins.
        let mut from = map * steps[0] + area.x + row * area.steps[0];
        let mut to = map * steps[1] + area.y + row * self.of.pitch[0];
        let (mut x, mut y) = ([&self.x[..0]; P], [0; P]);
        for p in 0..P {
            x[p] = &self.x[from + column * area.steps[1]..][..area.span];
            y[p] = to + column * self.of.pitch[1];
            column += 1;
            if column == area.width {
                (row, column) = (row + 1, 0);
                (from, to) = (from + area.steps[0], to + self.of.pitch[0]);
                if row == area.height {
                    row = 0;
                    from = from + steps[0] - area.height * area.steps[0];
                    to = to + steps[1] - area.height * self.of.pitch[0];
                }
            }
        }
        let mut sums = [start; P];
        for ky in 0..area.rows {
            for run in 0..area.runs {
                let from = ky * area.tap_steps[0] + run * area.tap_steps[1];
                let panel = &self.panel[area.panel + ky * area.panel_step + run * area.len * width..];
                multiply_add::<I, P, V, D>(&mut sums, x, from, 1, &panel[..area.len * width]);
            }
        }
        if self.block.filled == width {
            for p in 0..P {
                store::<I, V>(sums[p], &mut self.y[y[p]..]);
            }
        } else {
            let mut row = [0.0; LONGEST];
            for p in 0..P {
                store::<I, V>(sums[p], &mut row);
                copy_part(&mut self.y[y[p]..], &row, self.block.filled);
            }
        }
    }
}
