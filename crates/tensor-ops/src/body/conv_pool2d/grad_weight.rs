//! The gradients of the weights and of the bias.
//!
//! ```text
//! for each sample and strip of window rows:
//!     strip = the input rows under it, with zeros for the padding
//!     for each filter:
//!         entries = (offset in the strip, gradient) of the places that take one
//!         for each kernel row: sums[filter][kernel row] += Σ gradient · strip at offset
//! dweight = sums, transposed
//! ```
//!
//! What was done to the naive loops, and why:
//!
//! 1. Only the places that take a gradient are visited, as a list that is made once for all kernel rows.
//! 2. Under a kernel row the (kernel column, channel) axis of the input is one run: its sums stay in registers over the list.
//! 3. The sums lie as [filter][kernel row][kernel column, channel], so that a run of them is contiguous too.
//! 4. The strip fits into the first cache, where all filters find it.

use super::super::eight::Eights;
use super::single;
use super::{Entries, LANES, Runs, Takers, add_runs, aligned, seen, transpose};
use crate::dispatch::{Body, Isa};
use crate::{ConvPool2d, ConvPool2dGeometry};

pub(crate) struct GradWeight<'a> {
    pub op: &'a ConvPool2d,
    pub x: &'a [f32],
    pub dy: &'a [f32],
    pub takes: &'a [u8],
    pub dweight: &'a mut [f32],
    pub dbias: Option<&'a mut [f32]>,
    pub scratch: &'a mut [f32],
}

/// Numbers of input that a strip may hold: two thirds of a common first cache.
const STRIP: usize = 8192;

/// Sizes.
struct Plan {
    /// Window rows in a strip.
    strip_rows: usize,
    /// Numbers in a row of the strip.
    row: usize,
    /// Numbers under a kernel row, and the same padded to whole vectors.
    run: usize,
    padded: usize,
    /// Entries that a filter can have in a strip.
    most: usize,
    /// The parts of the scratch.
    sums: usize,
    strip: usize,
    entries: usize,
    counts: usize,
}

impl Plan {
    #[inline(always)]
    fn new(geometry: &ConvPool2dGeometry) -> Self {
        let [kernel_rows, kernel_columns, in_channels, filters] = geometry.conv.weight_shape();
        let [_, rows, columns, _] = geometry.output_shape(1);
        let (row, run) = (seen(geometry)[1] * in_channels, kernel_columns * in_channels);
        let strip_rows = ((STRIP / row).saturating_sub(kernel_rows - 1) / 2).clamp(1, rows);
        let padded = run.next_multiple_of(LANES);
        let most = 4 * strip_rows * columns;
        Self {
            strip_rows,
            row,
            run,
            padded,
            most,
            sums: filters * kernel_rows * padded,
            strip: ((2 * strip_rows + kernel_rows - 1) * row).next_multiple_of(LANES) + LANES,
            entries: 2 * filters * most,
            counts: filters,
        }
    }
}

impl GradWeight<'_> {
    pub(crate) fn scratch(geometry: &ConvPool2dGeometry) -> usize {
        let Plan { sums, strip, entries, counts, .. } = Plan::new(geometry);
        let own = LANES + sums + strip + entries + counts + Takers::scratch(geometry);
        own.max(single::scratch(geometry))
    }
}

impl Body for GradWeight<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { op, x, dy, takes, dweight, mut dbias, scratch } = self;
        let geometry = &op.geometry;
        if let Some(kernel) = single::Kernel::of(geometry, I::Eights::WINDOWS) {
            let call = GradWeight { op, x, dy, takes, dweight, dbias, scratch };
            return single::grad_weight::<I>(kernel, call);
        }
        let plan = Plan::new(geometry);
        let [kernel_rows, _, _, filters] = geometry.conv.weight_shape();
        let [_, rows, columns, _] = geometry.output_shape(1);
        let (sums, scratch) = aligned(scratch).split_at_mut(plan.sums);
        let (strip, scratch) = scratch.split_at_mut(plan.strip);
        let (entries, scratch) = scratch.split_at_mut(plan.entries);
        let (counts, scratch) = scratch.split_at_mut(plan.counts);
        let mut takers = Takers::new(geometry, scratch);
        sums.fill(0.0);
        if let Some(dbias) = &mut dbias {
            dbias.fill(0.0);
        }

        let runs = Runs { rows: kernel_rows, len: plan.run, steps: [plan.padded, plan.row], unit: 1 };
        let line = columns * filters;
        let samples = dy.chunks_exact(rows * line).zip(takes.chunks_exact(rows * line));
        let inputs = geometry.input_shape(1).into_iter().product();
        for (x, (dy, takes)) in x.chunks_exact(inputs).zip(samples) {
            let strips = dy.chunks(plan.strip_rows * line).zip(takes.chunks(plan.strip_rows * line));
            for (index, (dy, takes)) in strips.enumerate() {
                let strip_rows = 2 * (dy.len() / line) + kernel_rows - 1;
                load(geometry, x, 2 * index * plan.strip_rows, &mut strip[..strip_rows * plan.row]);
                counts.fill(f32::from_bits(0));
                for (wy, (dy, takes)) in dy.chunks_exact(line).zip(takes.chunks_exact(line)).enumerate() {
                    takers.find::<I>(dy, takes);
                    sort(geometry, &plan, wy, &takers, entries, counts);
                }
                for (filter, sums) in sums.chunks_exact_mut(kernel_rows * plan.padded).enumerate() {
                    let (at, g) = entries[2 * filter * plan.most..][..2 * plan.most].split_at(plan.most);
                    let count = counts[filter].to_bits() as usize;
                    add_runs::<I>(runs, sums, strip, Entries { at: &at[..count], g: &g[..count] });
                }
                if let Some(dbias) = &mut dbias {
                    add_gradients(dbias, dy, takes);
                }
            }
        }
        for (ky, dweight) in dweight.chunks_exact_mut(plan.run * filters).enumerate() {
            let sums = &sums[ky * plan.padded..];
            transpose([filters, plan.run], sums, kernel_rows * plan.padded, dweight, filters);
        }
    }
}

/// Copies the rows of the input from row `first` of the padded input on, with zeros for the padding.
#[inline(always)]
fn load(geometry: &ConvPool2dGeometry, x: &[f32], first: usize, strip: &mut [f32]) {
    let (rows, columns) = (&geometry.conv.rows, &geometry.conv.columns);
    let in_channels = geometry.conv.in_channels;
    let row = seen(geometry)[1] * in_channels;
    let start = (columns.before * in_channels).min(row);
    let len = (columns.input * in_channels).min(row - start);
    for (y, strip) in strip.chunks_exact_mut(row).enumerate() {
        match (first + y).checked_sub(rows.before).filter(|&iy| iy < rows.input) {
            None => strip.fill(0.0),
            Some(iy) => {
                strip[..start].fill(0.0);
                strip[start..start + len].copy_from_slice(&x[iy * columns.input * in_channels..][..len]);
                strip[start + len..].fill(0.0);
            }
        }
    }
}

/// Appends the takers of a row of windows to their filters' lists, [filter][offset or gradient].
#[inline(always)]
fn sort(
    geometry: &ConvPool2dGeometry,
    plan: &Plan,
    wy: usize,
    takers: &Takers,
    entries: &mut [f32],
    counts: &mut [f32],
) {
    for window in 0..geometry.pool.columns.output {
        for place in 0..4 {
            let (y, x) = (2 * wy + place / 2, 2 * window + place % 2);
            let offset = f32::from_bits((y * plan.row + x * geometry.conv.in_channels) as u32);
            let found = takers.at(window, place);
            for (filter, &g) in found.at.iter().zip(found.g) {
                let filter = filter.to_bits() as usize;
                let count = counts[filter].to_bits();
                let at = 2 * filter * plan.most + count as usize;
                entries[at] = offset;
                entries[at + plan.most] = g;
                counts[filter] = f32::from_bits(count + 1);
            }
        }
    }
}

/// Adds the gradients that places take to their filter's.
#[inline(always)]
fn add_gradients(dbias: &mut [f32], dy: &[f32], takes: &[u8]) {
    let filters = dbias.len();
    for (dy, takes) in dy.chunks_exact(filters).zip(takes.chunks_exact(filters)) {
        for ((dbias, &g), &takes) in dbias.iter_mut().zip(dy).zip(takes) {
            let count = (takes & 1) + (takes >> 1 & 1) + (takes >> 2 & 1) + (takes >> 3 & 1);
            *dbias += if count == 0 { 0.0 } else { g * f32::from(count) };
        }
    }
}
