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

use super::single;
use super::{Entry, LANES, Seen, add_runs, push};
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

/// The sizes of the parts of the scratch.
struct Parts {
    /// Window rows in a strip.
    strip_rows: usize,
    sums: usize,
    strip: usize,
    entries: usize,
}

impl Parts {
    #[inline(always)]
    fn new(geometry: &ConvPool2dGeometry) -> Self {
        let seen = Seen::new(geometry);
        let [kernel_rows, .., filters] = geometry.conv.weight_shape();
        let [_, rows, columns, _] = geometry.output_shape(1);
        let strip_rows = ((STRIP / seen.row).saturating_sub(kernel_rows - 1) / 2).clamp(1, rows);
        Self {
            strip_rows,
            sums: filters * kernel_rows * seen.padded_run(),
            strip: (2 * strip_rows + kernel_rows - 1) * seen.row + LANES,
            // One more than there can be: a dead place is written before it is found dead.
            entries: 2 * (4 * strip_rows * columns + 1),
        }
    }
}

impl GradWeight<'_> {
    pub(crate) fn scratch(geometry: &ConvPool2dGeometry) -> usize {
        let Parts { sums, strip, entries, .. } = Parts::new(geometry);
        (sums + strip + entries).max(single::grad_weight_scratch(geometry))
    }
}

impl Body for GradWeight<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { op, x, dy, takes, dweight, mut dbias, scratch } = self;
        let geometry = &op.geometry;
        if let Some(kernel) = single::Kernel::of(geometry) {
            return single::grad_weight::<I>(
                kernel,
                GradWeight { op, x, dy, takes, dweight, dbias, scratch },
            );
        }
        let (seen, parts) = (Seen::new(geometry), Parts::new(geometry));
        let [kernel_rows, _, in_channels, filters] = geometry.conv.weight_shape();
        let [_, rows, columns, _] = geometry.output_shape(1);
        let (sums, scratch) = scratch.split_at_mut(parts.sums);
        let (strip, scratch) = scratch.split_at_mut(parts.strip);
        let (entries, _) = scratch[..parts.entries].as_chunks_mut::<2>();
        sums.fill(0.0);
        if let Some(dbias) = &mut dbias {
            dbias.fill(0.0);
        }

        let sample = rows * columns * filters;
        let samples = dy.chunks_exact(sample).zip(takes.chunks_exact(sample));
        let inputs = geometry.input_shape(1).into_iter().product();
        for (x, (dy, takes)) in x.chunks_exact(inputs).zip(samples) {
            for first in (0..rows).step_by(parts.strip_rows) {
                let strip_rows = parts.strip_rows.min(rows - first);
                load(geometry, x, 2 * first, &mut strip[..(2 * strip_rows + kernel_rows - 1) * seen.row]);
                let windows = first * columns * filters..(first + strip_rows) * columns * filters;
                let (dy, takes) = (&dy[windows.clone()], &takes[windows]);
                for filter in 0..filters {
                    let count =
                        list(&seen, columns, in_channels, filters, &dy[filter..], &takes[filter..], entries);
                    let entries = &entries[..count];
                    for ky in 0..kernel_rows {
                        let sums = &mut sums[(filter * kernel_rows + ky) * seen.padded_run()..];
                        add_runs::<I>(sums, seen.run, &strip[ky * seen.row..], entries);
                    }
                    if let Some(dbias) = &mut dbias {
                        dbias[filter] += entries.iter().map(|&[_, g]| g).sum::<f32>();
                    }
                }
            }
        }
        for (row, dweight) in dweight.chunks_exact_mut(filters).enumerate() {
            let (ky, k) = (row / seen.run, row % seen.run);
            for filter in 0..filters {
                dweight[filter] = sums[(filter * kernel_rows + ky) * seen.padded_run() + k];
            }
        }
    }
}

/// Copies the rows of the input from row `first` of the padded input on, with zeros for the padding.
#[inline(always)]
fn load(geometry: &ConvPool2dGeometry, x: &[f32], first: usize, strip: &mut [f32]) {
    let (rows, columns) = (&geometry.conv.rows, &geometry.conv.columns);
    let (in_channels, row) = (geometry.conv.in_channels, Seen::new(geometry).row);
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

/// Lists what one filter's windows in a strip give: how many entries.
#[inline(always)]
fn list(
    seen: &Seen,
    columns: usize,
    in_channels: usize,
    filters: usize,
    dy: &[f32],
    takes: &[u8],
    entries: &mut [Entry],
) -> usize {
    let mut count = 0;
    let windows = dy.iter().step_by(filters).zip(takes.iter().step_by(filters));
    let (mut at, mut wx) = (0, 0);
    for (&g, &takes) in windows {
        let places = [at, at + in_channels, at + seen.row, at + seen.row + in_channels];
        push(entries, &mut count, places, takes, g);
        wx += 1;
        at += 2 * in_channels;
        if wx == columns {
            wx = 0;
            at += 2 * seen.row - 2 * in_channels * columns;
        }
    }
    count
}
