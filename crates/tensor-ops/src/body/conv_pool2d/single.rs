//! One input channel: a window's whole patch fits into registers.
//!
//! ```text
//! forward      for each block of 8 filters: weights into registers
//!                  for each window:
//!                      z[4] = bias
//!                      for each pixel of its patch: z[place] += pixel · weight, for the places that see it
//!                      y = max z; takes = the places that equal it
//! grad_weight  pairs[row][column] = the pixels at (row, column) and (row + 1, column)
//!              for each block of 8 filters, window:
//!                  for each tap: sums[tap] += dy · the pixel that the tap sees at the filter's maximum
//! ```
//!
//! What was done to the naive loops, and why:
//!
//! 1. Eight filters are one register, and so is a tap's weight for all of them; nine weights stay where they are.
//! 2. The four places of a window share their patch: 16 pixels are loaded for 36 multiply-adds (3×3).
//! 3. The maximum and its place are found in registers; the convolution's output is never stored.
//! 4. With `Ties::First` the gradient of a window meets one pixel a tap and filter, not four. Rows stored as vertical
//!    pairs make the four candidates neighbours: one load, one permutation, one multiply-add.
//! 5. The maximum ignores NaN. A sample or weights that could give one are left to the general loops.

use super::forward::Forward;
use super::grad_weight::GradWeight;
use crate::body::eight::Eight;
use crate::body::tile::{lanes, lanes_mut};
use crate::body::{Stretch, cover};
use crate::dispatch::Isa;
use crate::{ConvPool2dGeometry, Ties};

/// Kernels of this size have loops of their own.
#[derive(Clone, Copy)]
pub(super) enum Kernel {
    Three,
    Five,
}

impl Kernel {
    /// The kernel, where this file's loops apply.
    #[inline(always)]
    pub(super) fn of(geometry: &ConvPool2dGeometry) -> Option<Self> {
        match geometry.conv.weight_shape() {
            [3, 3, 1, _] => Some(Self::Three),
            [5, 5, 1, _] => Some(Self::Five),
            _ => None,
        }
    }
}

/// The input that the windows see, zeros in the padding included.
#[derive(Clone, Copy)]
struct Image {
    rows: usize,
    columns: usize,
}

impl Image {
    #[inline(always)]
    fn new(geometry: &ConvPool2dGeometry) -> Self {
        let [_, rows, columns, _] = geometry.output_shape(1);
        let [kernel_rows, kernel_columns, ..] = geometry.conv.weight_shape();
        Self { rows: 2 * rows + kernel_rows - 1, columns: 2 * columns + kernel_columns - 1 }
    }

    fn len(self) -> usize {
        self.rows * self.columns
    }
}

/// Numbers of scratch for the forward pass.
pub(super) fn forward_scratch(geometry: &ConvPool2dGeometry) -> usize {
    Kernel::of(geometry).map_or(0, |_| Image::new(geometry).len())
}

/// Numbers of scratch for the gradient.
pub(super) fn grad_weight_scratch(geometry: &ConvPool2dGeometry) -> usize {
    Kernel::of(geometry).map_or(0, |_| 3 * Image::new(geometry).len())
}

/// One sample; or nothing, and `false`, where a sum might be NaN.
#[inline(always)]
pub(super) fn forward<I: Isa>(kernel: Kernel, call: &mut Forward) -> bool {
    match kernel {
        Kernel::Three => forward_sized::<I, 3, 4>(call),
        Kernel::Five => forward_sized::<I, 5, 6>(call),
    }
}

/// The gradients of a batch.
#[inline(always)]
pub(super) fn grad_weight<I: Isa>(kernel: Kernel, call: GradWeight) {
    let GradWeight { op, x, dy, takes, dweight, mut dbias, scratch } = call;
    dweight.fill(0.0);
    if let Some(dbias) = &mut dbias {
        dbias.fill(0.0);
    }
    let inputs = op.geometry.input_shape(1).into_iter().product();
    let outputs = op.geometry.output_shape(1).into_iter().product();
    let samples = dy.chunks_exact(outputs).zip(takes.chunks_exact(outputs));
    for (x, (dy, takes)) in x.chunks_exact(inputs).zip(samples) {
        let dbias = dbias.as_deref_mut();
        let call = GradWeight { op, x, dy, takes, dweight, dbias, scratch };
        match kernel {
            Kernel::Three => grad_weight_sized::<I, 3, 4, 8>(call),
            Kernel::Five => grad_weight_sized::<I, 5, 6, 12>(call),
        }
    }
}

/// Copies what the windows see of a sample; where that is the sample itself, there is nothing to copy.
#[inline(always)]
fn image<'a>(geometry: &ConvPool2dGeometry, x: &'a [f32], scratch: &'a mut [f32]) -> (&'a [f32], usize) {
    let (rows, columns) = (&geometry.conv.rows, &geometry.conv.columns);
    let seen = Image::new(geometry);
    if rows.before == 0 && columns.before == 0 && seen.rows <= rows.input && seen.columns <= columns.input {
        return (x, columns.input);
    }
    let image = &mut scratch[..seen.len()];
    image.fill(0.0);
    let width = columns.input.min(seen.columns.saturating_sub(columns.before));
    let lines = image.chunks_exact_mut(seen.columns).skip(rows.before);
    for (line, x) in lines.zip(x.chunks_exact(columns.input)) {
        line[columns.before..columns.before + width].copy_from_slice(&x[..width]);
    }
    (image, seen.columns)
}

/// The weights of eight filters, or of all where they are fewer: then the other lanes are zeros.
#[inline(always)]
fn load<I: Isa, const K: usize>(weight: &[f32], filters: usize, start: usize) -> [[I::Eight; K]; K] {
    let mut weights = [[I::Eight::splat(0.0); K]; K];
    for ky in 0..K {
        for kx in 0..K {
            let row = &weight[(ky * K + kx) * filters + start..];
            weights[ky][kx] = I::Eight::load(eight(&row[..filters.min(8)], &mut [0.0; 8]));
        }
    }
    weights
}

/// The first eight of some values; where there are less, those in `spare`.
#[inline(always)]
fn eight<'a, T: Copy>(values: &'a [T], spare: &'a mut [T; 8]) -> &'a [T; 8] {
    match values.first_chunk() {
        Some(eight) => eight,
        None => {
            spare[..values.len()].copy_from_slice(values);
            spare
        }
    }
}

/// Writes eight values, or the first `count` where no more fit. What goes beyond `count` is written before its own
/// window is.
#[inline(always)]
fn put<I: Isa>(values: &mut [f32], eight: I::Eight, count: usize) {
    match values.first_chunk_mut() {
        Some(to) => eight.store(to),
        None => {
            let mut spare = [0.0; 8];
            eight.store(&mut spare);
            values[..count].copy_from_slice(&spare[..count]);
        }
    }
}

/// Kernels of `K` × `K`, patches of `P` × `P`.
#[inline(always)]
fn forward_sized<I: Isa, const K: usize, const P: usize>(call: &mut Forward) -> bool {
    let geometry = &call.op.geometry;
    let [_, rows, columns, filters] = geometry.output_shape(1);
    let (x, width) = image(geometry, call.x, call.scratch);
    let (first, relu) = (call.op.ties == Ties::First, call.op.relu);
    if !(is_tame(x) && is_tame(call.weight) && is_tame(call.bias.unwrap_or(&[]))) {
        return false;
    }
    for block in cover(filters, if filters < 8 { [filters] } else { [8] }) {
        let weights = load::<I, K>(call.weight, filters, block.start);
        let mut bias = I::Eight::splat(0.0);
        if let Some(values) = call.bias {
            bias = I::Eight::load(eight(&values[block.start..], &mut [0.0; 8]));
        }
        for wy in 0..rows {
            let mut patch_rows = [&x[..0]; P];
            for r in 0..P {
                patch_rows[r] = &x[(2 * wy + r) * width..][..2 * columns + K - 1];
            }
            let at = wy * columns * filters + block.start;
            let y = &mut call.y[at..];
            let mut takes = call.takes.as_mut().map(|takes| &mut takes[at..]);
            for wx in 0..columns {
                let mut z = [bias; 4];
                for r in 0..P {
                    let pixels = lanes::<P>(&patch_rows[r][2 * wx..]);
                    for c in 0..P {
                        let pixel = I::Eight::splat(pixels[c]);
                        for (place, [ty, tx]) in PLACES {
                            if r >= ty && r - ty < K && c >= tx && c - tx < K {
                                z[place] = pixel.mul_add(weights[r - ty][c - tx], z[place]);
                            }
                        }
                    }
                }
                let best = z[0].max(z[1]).max(z[2].max(z[3]));
                let top = if relu { best.max(I::Eight::splat(0.0)) } else { best };
                put::<I>(&mut y[wx * filters..], top, filters);
                if let Some(takes) = &mut takes {
                    let winners = I::Eight::winners(z, best, first, relu);
                    let takes = &mut takes[wx * filters..];
                    match takes.first_chunk_mut() {
                        Some(to) => *to = winners,
                        None => takes[..filters].copy_from_slice(&winners[..filters]),
                    }
                }
            }
        }
    }
    true
}

/// Whether no sum over a kernel can be infinite or NaN.
#[inline(always)]
fn is_tame(values: &[f32]) -> bool {
    // Without their sign, the bits of a float are in its order, and NaN is above all.
    let most = {
        let mut most = 0;
        for value in values {
            most = most.max(value.abs().to_bits());
        }
        most
    };
    most <= 1e15f32.to_bits()
}

/// The places of a window, row-major, each with its row and column.
const PLACES: [(usize, [usize; 2]); 4] = [(0, [0, 0]), (1, [0, 1]), (2, [1, 0]), (3, [1, 1])];

/// One sample's gradients, added to the others': kernels of `K` × `K`, patches of `P` × `P`, their rows `Q` = 2 · `P`
/// numbers in pairs.
#[inline(always)]
fn grad_weight_sized<I: Isa, const K: usize, const P: usize, const Q: usize>(mut call: GradWeight) {
    let geometry = &call.op.geometry;
    let [_, rows, columns, filters] = geometry.output_shape(1);
    let seen = Image::new(geometry);
    let (scratch, pairs) = call.scratch.split_at_mut(seen.len());
    let (x, width) = image(geometry, call.x, scratch);
    let first = call.op.ties == Ties::First;
    if first {
        pair_rows(seen, x, width, pairs);
    }
    for block in cover(filters, if filters < 8 { [filters] } else { [8] }) {
        let mut sums = [[I::Eight::splat(0.0); K]; K];
        for wy in 0..rows {
            let at = wy * columns * filters + block.start;
            let (dy, takes) = (&call.dy[at..], &call.takes[at..]);
            if first {
                let mut pair_rows = [&pairs[..0]; K];
                for r in 0..K {
                    pair_rows[r] = &pairs[(2 * wy + r) * 2 * seen.columns..][..2 * seen.columns];
                }
                for wx in 0..columns {
                    let (mut spare, mut spare_takes) = ([0.0; 8], [0; 8]);
                    let dy = eight(&dy[wx * filters..], &mut spare);
                    let takes = eight(&takes[wx * filters..], &mut spare_takes);
                    let (gradient, place) = I::Eight::taken(dy, takes);
                    for ky in 0..K {
                        let pixels = lanes::<Q>(&pair_rows[ky][4 * wx..]);
                        for kx in 0..K {
                            let pixel = I::Eight::pick(lanes(&pixels[2 * kx..]), place);
                            sums[ky][kx] = pixel.mul_add(gradient, sums[ky][kx]);
                        }
                    }
                }
            } else {
                let mut patch_rows = [&x[..0]; P];
                for r in 0..P {
                    patch_rows[r] = &x[(2 * wy + r) * width..][..2 * columns + K - 1];
                }
                for wx in 0..columns {
                    let (mut spare, mut spare_takes) = ([0.0; 8], [0; 8]);
                    let dy = eight(&dy[wx * filters..], &mut spare);
                    let takes = eight(&takes[wx * filters..], &mut spare_takes);
                    let gradients = I::Eight::taken_by_all(dy, takes);
                    for r in 0..P {
                        let pixels = lanes::<P>(&patch_rows[r][2 * wx..]);
                        for c in 0..P {
                            let pixel = I::Eight::splat(pixels[c]);
                            for (place, [ty, tx]) in PLACES {
                                if r >= ty && r - ty < K && c >= tx && c - tx < K {
                                    let sum = &mut sums[r - ty][c - tx];
                                    *sum = pixel.mul_add(gradients[place], *sum);
                                }
                            }
                        }
                    }
                }
            }
        }
        if let Some(dbias) = call.dbias.as_deref_mut() {
            // By itself: beside the others, this sum would have no register.
            let mut bias = I::Eight::splat(0.0);
            for window in 0..rows * columns {
                let at = window * filters + block.start;
                let (mut spare, mut spare_takes) = ([0.0; 8], [0; 8]);
                let (dy, takes) =
                    (eight(&call.dy[at..], &mut spare), eight(&call.takes[at..], &mut spare_takes));
                let [a, b, c, d] = I::Eight::taken_by_all(dy, takes);
                bias = bias.add(a.add(b)).add(c.add(d));
            }
            add_to::<I>(dbias, bias, block, filters, 0);
        }
        for ky in 0..K {
            for kx in 0..K {
                add_to::<I>(call.dweight, sums[ky][kx], block, filters, ky * K + kx);
            }
        }
    }
}

/// Writes each pixel beside the one below it.
#[inline(always)]
fn pair_rows(seen: Image, x: &[f32], width: usize, pairs: &mut [f32]) {
    for row in 0..seen.rows - 1 {
        let (upper, lower) = (&x[row * width..][..seen.columns], &x[(row + 1) * width..][..seen.columns]);
        let pairs = &mut pairs[2 * row * seen.columns..][..2 * seen.columns];
        for stretch in cover(seen.columns, [1, 4, 8]) {
            let (upper, lower) = (&upper[stretch.start..], &lower[stretch.start..]);
            let pairs = &mut pairs[2 * stretch.start..];
            match stretch.width {
                8 => interleave::<8, 16>(upper, lower, pairs),
                4 => interleave::<4, 8>(upper, lower, pairs),
                _ => interleave::<1, 2>(upper, lower, pairs),
            }
        }
    }
}

/// Writes `L` numbers of each side by side: `M` = 2 · `L`.
#[inline(always)]
fn interleave<const L: usize, const M: usize>(upper: &[f32], lower: &[f32], to: &mut [f32]) {
    let (upper, lower) = (*lanes::<L>(upper), *lanes::<L>(lower));
    let mut pairs = [0.0; M];
    for l in 0..L {
        pairs[2 * l] = upper[l];
        pairs[2 * l + 1] = lower[l];
    }
    *lanes_mut(to) = pairs;
}

/// Adds a block's sums to a row of as many numbers as there are filters, but for those that an earlier block has added.
#[inline(always)]
fn add_to<I: Isa>(to: &mut [f32], sums: I::Eight, block: Stretch, filters: usize, row: usize) {
    let mut values = [0.0; 8];
    sums.store(&mut values);
    let to = &mut to[row * filters + block.start..][..block.width];
    to.iter_mut().zip(values).skip(block.skip).for_each(|(to, value)| *to += value);
}
