//! The gradient of the input.
//!
//! ```text
//! for each sample:
//!     image = 0, as large as what the windows see, padding included
//!     for each row of windows:
//!         entries[window][place] = (offset of a filter's weights, gradient) of the filters whose maximum is there
//!         for each kernel row, window and place:
//!             image under the kernel row += Σ gradient · the filter's kernel row
//!     dx = image without the padding
//! ```
//!
//! What was done to the naive loops, and why:
//!
//! 1. Only the places that take a gradient are visited, as lists that are made once for all kernel rows.
//! 2. Under a kernel row the (kernel column, channel) axis of the input is one run: its sums stay in registers over
//!    the list. The weights are rearranged once a call so that theirs is one too.
//! 3. The kernel row goes outermost: the weights of one fit into the first cache, and all windows find them there.
//! 4. The image has room for the padding: no range is clipped before the copy to `dx`.

use super::{Entry, LANES, Seen, add_runs, push};
use crate::ConvPool2dGeometry;
use crate::dispatch::{Body, Isa};

pub(crate) struct GradInput<'a> {
    pub geometry: &'a ConvPool2dGeometry,
    pub dy: &'a [f32],
    pub takes: &'a [u8],
    pub weight: &'a [f32],
    pub dx: &'a mut [f32],
    pub scratch: &'a mut [f32],
}

/// The sizes of the parts of the scratch.
struct Parts {
    weights: usize,
    image: usize,
    entries: usize,
    counts: usize,
}

impl Parts {
    #[inline(always)]
    fn new(geometry: &ConvPool2dGeometry) -> Self {
        let seen = Seen::new(geometry);
        let [kernel_rows, .., filters] = geometry.conv.weight_shape();
        let [_, rows, columns, _] = geometry.output_shape(1);
        Self {
            weights: filters * kernel_rows * seen.padded_run(),
            image: (2 * rows + kernel_rows - 1) * seen.row + LANES,
            entries: 2 * 4 * columns * (filters + 1),
            counts: 4 * columns,
        }
    }
}

impl GradInput<'_> {
    pub(crate) fn scratch(geometry: &ConvPool2dGeometry) -> usize {
        let Parts { weights, image, entries, counts } = Parts::new(geometry);
        weights + image + entries + counts
    }
}

impl Body for GradInput<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { geometry, dy, takes, weight, dx, scratch } = self;
        let (seen, parts) = (Seen::new(geometry), Parts::new(geometry));
        let [kernel_rows, _, in_channels, filters] = geometry.conv.weight_shape();
        let [_, rows, columns, _] = geometry.output_shape(1);
        let (weights, scratch) = scratch.split_at_mut(parts.weights);
        let (image, scratch) = scratch.split_at_mut(parts.image);
        let (entries, counts) = scratch.split_at_mut(parts.entries);
        let (entries, _) = entries.as_chunks_mut::<2>();
        // [kernel row][filter][kernel column, channel].
        weights.fill(0.0);
        for (row, weight) in weight.chunks_exact(filters).enumerate() {
            let (ky, k) = (row / seen.run, row % seen.run);
            for filter in 0..filters {
                weights[(ky * filters + filter) * seen.padded_run() + k] = weight[filter];
            }
        }

        let line = columns * filters;
        let samples = dy.chunks_exact(rows * line).zip(takes.chunks_exact(rows * line));
        let inputs = geometry.input_shape(1).into_iter().product();
        for (dx, (dy, takes)) in dx.chunks_exact_mut(inputs).zip(samples) {
            image.fill(0.0);
            for (wy, (dy, takes)) in dy.chunks_exact(line).zip(takes.chunks_exact(line)).enumerate() {
                list(filters, seen.padded_run(), dy, takes, entries, counts);
                for ky in 0..kernel_rows {
                    let weights = &weights[ky * filters * seen.padded_run()..];
                    for window in 0..columns {
                        for place in 0..4 {
                            let list = 4 * window + place;
                            let entries = &entries[list * (filters + 1)..][..counts[list].to_bits() as usize];
                            let (y, x) = (2 * wy + place / 2 + ky, 2 * window + place % 2);
                            add_runs::<I>(
                                &mut image[y * seen.row + x * in_channels..],
                                seen.run,
                                weights,
                                entries,
                            );
                        }
                    }
                }
            }
            store(geometry, image, dx);
        }
    }
}

/// Lists the filters whose maximum lies at each place of a row of windows.
#[inline(always)]
fn list(filters: usize, step: usize, dy: &[f32], takes: &[u8], entries: &mut [Entry], counts: &mut [f32]) {
    let windows = dy.chunks_exact(filters).zip(takes.chunks_exact(filters));
    let lists = entries.chunks_exact_mut(4 * (filters + 1)).zip(counts.as_chunks_mut::<4>().0);
    for ((dy, takes), (entries, counts)) in windows.zip(lists) {
        for place in 0..4 {
            let entries = &mut entries[place * (filters + 1)..][..filters + 1];
            let mut count = 0;
            for filter in 0..filters {
                push(entries, &mut count, [filter * step; 4], takes[filter] & (1 << place), dy[filter]);
            }
            counts[place] = f32::from_bits(count as u32);
        }
    }
}

/// Copies the part of the image that is not padding; the input that no window sees gets zeros.
#[inline(always)]
fn store(geometry: &ConvPool2dGeometry, image: &[f32], dx: &mut [f32]) {
    let (rows, columns) = (&geometry.conv.rows, &geometry.conv.columns);
    let (in_channels, row) = (geometry.conv.in_channels, Seen::new(geometry).row);
    let start = (columns.before * in_channels).min(row);
    let len = (columns.input * in_channels).min(row - start);
    let mut lines = image[..image.len() / row * row].chunks_exact(row).skip(rows.before);
    for dx in dx.chunks_exact_mut(columns.input * in_channels) {
        let line = lines.next().map_or(&[][..], |line| &line[start..start + len]);
        dx[..line.len()].copy_from_slice(line);
        dx[line.len()..].fill(0.0);
    }
}
