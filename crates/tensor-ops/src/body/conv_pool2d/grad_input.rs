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

use super::{LANES, Runs, Takers, add_runs, aligned, seen, transpose};
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

/// Numbers of weights that the first cache holds beside the rest.
const CACHED: usize = 10_000;

/// The parts of the scratch.
struct Parts {
    weights: usize,
    image: usize,
}

impl Parts {
    #[inline(always)]
    fn new(geometry: &ConvPool2dGeometry) -> Self {
        let [kernel_rows, kernel_columns, in_channels, filters] = geometry.conv.weight_shape();
        let [rows_seen, columns_seen] = seen(geometry);
        let padding = in_channels.div_ceil(8) * LANES;
        Self {
            weights: (filters * kernel_rows * (kernel_columns * in_channels + padding))
                .next_multiple_of(LANES),
            image: (rows_seen * columns_seen * in_channels).next_multiple_of(LANES) + LANES,
        }
    }
}

/// A block of input channels, with an image and weights of its own.
#[derive(Clone, Copy)]
struct Channels {
    start: usize,
    width: usize,
    /// Numbers under a kernel row, padded to whole vectors.
    padded: usize,
}

impl GradInput<'_> {
    pub(crate) fn scratch(geometry: &ConvPool2dGeometry) -> usize {
        let Parts { weights, image } = Parts::new(geometry);
        LANES + weights + image + Takers::scratch(geometry)
    }
}

impl Body for GradInput<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { geometry, dy, takes, weight, dx, scratch } = self;
        let parts = Parts::new(geometry);
        let [kernel_rows, kernel_columns, in_channels, filters] = geometry.conv.weight_shape();
        let [_, rows, columns, _] = geometry.output_shape(1);
        let [rows_seen, columns_seen] = seen(geometry);
        let (weights, scratch) = aligned(scratch).split_at_mut(parts.weights);
        let (image, scratch) = scratch.split_at_mut(parts.image);
        let mut takers = Takers::new(geometry, scratch);

        let width = if I::LANES == 16 { 16 } else { 8 };
        let blocks = (0..in_channels).step_by(width).map(|start| {
            let width = width.min(in_channels - start);
            Channels { start, width, padded: (kernel_columns * width).next_multiple_of(I::LANES) }
        });
        let slab = |block: Channels| filters * kernel_rows * block.padded;
        let mut from = 0;
        for block in blocks.clone() {
            turn(geometry, block, weight, &mut weights[from..]);
            from += slab(block);
        }

        let line = columns * filters;
        let samples = dy.chunks_exact(rows * line).zip(takes.chunks_exact(rows * line));
        let inputs = geometry.input_shape(1).into_iter().product();
        for (dx, (dy, takes)) in dx.chunks_exact_mut(inputs).zip(samples) {
            image.fill(0.0);
            for (wy, (dy, takes)) in dy.chunks_exact(line).zip(takes.chunks_exact(line)).enumerate() {
                takers.find::<I>(dy, takes);
                let mut from = 0;
                for block in blocks.clone() {
                    let Channels { start, width, padded } = block;
                    let weights = &weights[from..];
                    from += slab(block);
                    let image = &mut image[start * rows_seen * columns_seen..];
                    // All kernel rows at once, or one after the other if their weights would not stay in the cache.
                    let together = if slab(block) <= CACHED { kernel_rows } else { 1 };
                    for ky in (0..kernel_rows).step_by(together) {
                        let weights = &weights[ky * padded..];
                        let runs = Runs {
                            rows: together,
                            len: kernel_columns * width,
                            steps: [columns_seen * width, padded],
                            unit: kernel_rows * padded,
                        };
                        for window in 0..columns {
                            for place in 0..4 {
                                let (y, x) = (2 * wy + place / 2 + ky, 2 * window + place % 2);
                                let image = &mut image[(y * columns_seen + x) * width..];
                                add_runs::<I>(runs, image, weights, takers.at(window, place));
                            }
                        }
                    }
                }
            }
            store(geometry, image, dx, blocks.clone());
        }
    }
}

/// Lays a block's weights out as [filter][kernel row][kernel column, channel], with zeros up to whole vectors.
#[inline(always)]
fn turn(geometry: &ConvPool2dGeometry, block: Channels, weight: &[f32], weights: &mut [f32]) {
    let [kernel_rows, kernel_columns, in_channels, filters] = geometry.conv.weight_shape();
    let Channels { start, width, padded } = block;
    for ky in 0..kernel_rows {
        for kx in 0..kernel_columns {
            let weight = &weight[((ky * kernel_columns + kx) * in_channels + start) * filters..];
            let weights = &mut weights[ky * padded + kx * width..];
            transpose([width, filters], weight, filters, weights, kernel_rows * padded);
        }
        let end = kernel_columns * width;
        for filter in 0..filters {
            weights[(filter * kernel_rows + ky) * padded..][end..padded].fill(0.0);
        }
    }
}

/// Copies the part of the image that is not padding; the input that no window sees gets zeros.
#[inline(always)]
fn store(
    geometry: &ConvPool2dGeometry,
    image: &[f32],
    dx: &mut [f32],
    blocks: impl Iterator<Item = Channels> + Clone,
) {
    let (rows, columns) = (&geometry.conv.rows, &geometry.conv.columns);
    let in_channels = geometry.conv.in_channels;
    let [rows_seen, columns_seen] = seen(geometry);
    for (iy, dx) in dx.chunks_exact_mut(columns.input * in_channels).enumerate() {
        let y = iy + rows.before;
        let seen =
            if y < rows_seen { columns_seen.saturating_sub(columns.before).min(columns.input) } else { 0 };
        dx[seen * in_channels..].fill(0.0);
        if seen == 0 {
            continue;
        }
        for Channels { start, width, .. } in blocks.clone() {
            let image = &image[(start * rows_seen + y * width) * columns_seen + columns.before * width..];
            let pixels = dx.chunks_exact_mut(in_channels).zip(image.chunks_exact(width)).take(seen);
            for (dx, image) in pixels {
                dx[start..start + width].copy_from_slice(image);
            }
        }
    }
}
