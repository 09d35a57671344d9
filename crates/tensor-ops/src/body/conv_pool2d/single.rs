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
//! 5. A register of sixteen holds two windows, filter by filter. Their pixels stored side by side are one load.
//! 6. The maximum ignores NaN. A sample or weights that could give one are left to the general loops.

use super::forward::Forward;
use super::grad_weight::GradWeight;
use crate::body::eight::Eights;
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
    /// The kernel, where this file's loops apply for so many windows at once.
    #[inline(always)]
    pub(super) fn of(geometry: &ConvPool2dGeometry, windows: usize) -> Option<Self> {
        let [_, _, columns, _] = geometry.output_shape(1);
        match geometry.conv.weight_shape() {
            [3, 3, 1, _] if columns >= windows => Some(Self::Three),
            [5, 5, 1, _] if columns >= windows => Some(Self::Five),
            _ => None,
        }
    }
}

/// The input that the windows see, zeros in the padding included.
#[derive(Clone, Copy)]
struct Seen {
    rows: usize,
    columns: usize,
}

impl Seen {
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

/// Numbers of scratch for the forward pass, and for the gradient.
pub(super) fn scratch(geometry: &ConvPool2dGeometry) -> usize {
    let [_, rows, columns, _] = geometry.input_shape(1);
    Kernel::of(geometry, 1).map_or(0, |_| 3 * Seen::new(geometry).len().max(rows * columns))
}

/// One sample; or nothing, and `false`, where a sum might be NaN.
#[inline(always)]
pub(super) fn forward<I: Isa>(kernel: Kernel, call: &mut Forward) -> bool {
    match kernel {
        Kernel::Three => forward_sized::<I::Eights, 3, 4>(call),
        Kernel::Five => forward_sized::<I::Eights, 5, 6>(call),
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
            Kernel::Three => grad_weight_sized::<I::Eights, 3, 4>(call),
            Kernel::Five => grad_weight_sized::<I::Eights, 5, 6>(call),
        }
    }
}

/// Pixels in rows of `width`.
#[derive(Clone, Copy)]
struct Image<'a> {
    pixels: &'a [f32],
    width: usize,
}

impl<'a> Image<'a> {
    /// What the windows see of a sample; where that is the sample itself, nothing is copied.
    #[inline(always)]
    fn new(geometry: &ConvPool2dGeometry, x: &'a [f32], scratch: &'a mut [f32]) -> Self {
        let (rows, columns) = (&geometry.conv.rows, &geometry.conv.columns);
        let seen = Seen::new(geometry);
        if rows.before == 0 && columns.before == 0 && seen.rows <= rows.input && seen.columns <= columns.input
        {
            return Self { pixels: x, width: columns.input };
        }
        let image = &mut scratch[..seen.len()];
        image.fill(0.0);
        let width = columns.input.min(seen.columns.saturating_sub(columns.before));
        let lines = image.chunks_exact_mut(seen.columns).skip(rows.before);
        for (line, x) in lines.zip(x.chunks_exact(columns.input)) {
            line[columns.before..columns.before + width].copy_from_slice(&x[..width]);
        }
        Self { pixels: image, width: seen.columns }
    }

    /// The same with each pixel beside the one that lies `distance` behind it.
    #[inline(always)]
    fn paired<E: Eights>(self, seen: Seen, distance: usize, pairs: &'a mut [f32]) -> Self {
        let count = (seen.rows - 1) * self.width + seen.columns - distance;
        let (first, second) = (&self.pixels[..count], &self.pixels[distance..][..count]);
        let (firsts, firsts_left) = first.as_chunks::<8>();
        let (seconds, seconds_left) = second.as_chunks::<8>();
        let (both, both_left) = pairs[..2 * count].as_chunks_mut::<16>();
        for ((first, second), both) in firsts.iter().zip(seconds).zip(both) {
            E::interleave(first, second, both);
        }
        for ((first, second), both) in firsts_left.iter().zip(seconds_left).zip(both_left.chunks_mut(2)) {
            both.copy_from_slice(&[*first, *second]);
        }
        Self { pixels: pairs, width: 2 * self.width }
    }

    /// The pixels of all windows of `E` side by side.
    #[inline(always)]
    fn by_windows<E: Eights>(self, seen: Seen, pairs: &'a mut [f32]) -> Self {
        match E::WINDOWS {
            1 => self,
            _ => self.paired::<E>(seen, 2, pairs),
        }
    }

    /// `R` rows from `row` on, of `len` numbers each.
    #[inline(always)]
    fn rows<const R: usize>(self, row: usize, len: usize) -> [&'a [f32]; R] {
        let mut rows = [&self.pixels[..0]; R];
        for r in 0..R {
            rows[r] = &self.pixels[(row + r) * self.width..][..len];
        }
        rows
    }
}

/// The weights of eight filters, or of all where they are fewer: then the other lanes are zeros.
#[inline(always)]
fn load<E: Eights, const K: usize>(weight: &[f32], filters: usize, start: usize) -> [[E; K]; K] {
    let mut weights = [[E::splat(0.0); K]; K];
    for ky in 0..K {
        for kx in 0..K {
            let row = &weight[(ky * K + kx) * filters + start..];
            weights[ky][kx] = E::load([eight(&row[..filters.min(8)], &mut [0.0; 8]); 2]);
        }
    }
    weights
}

/// The first eight of some values; where there are less, those in `spare`. Element by element: around a call, every
/// register of the loop would go to memory.
#[inline(always)]
fn eight<'a, T: Copy>(values: &'a [T], spare: &'a mut [T; 8]) -> &'a [T; 8] {
    if let Some(eight) = values.first_chunk() {
        return eight;
    }
    for l in 0..8 {
        if let Some(value) = values.get(l) {
            spare[l] = *value;
        }
    }
    spare
}

/// Kernels of `K` × `K`, patches of `P` × `P`.
#[inline(always)]
fn forward_sized<E: Eights, const K: usize, const P: usize>(call: &mut Forward) -> bool {
    let geometry = &call.op.geometry;
    let [_, rows, columns, filters] = geometry.output_shape(1);
    let seen = Seen::new(geometry);
    let (scratch, pairs) = call.scratch.split_at_mut(seen.len());
    let image = Image::new(geometry, call.x, scratch);
    let (first, relu) = (call.op.ties == Ties::First, call.op.relu);
    if !(is_tame(call.x) && is_tame(call.weight) && is_tame(call.bias.unwrap_or(&[]))) {
        return false;
    }
    let image = image.by_windows::<E>(seen, pairs);
    for block in cover(filters, if filters < 8 { [filters] } else { [8] }) {
        let weights = load::<E, K>(call.weight, filters, block.start);
        let mut bias = E::splat(0.0);
        if let Some(values) = call.bias {
            bias = E::load([eight(&values[block.start..], &mut [0.0; 8]); 2]);
        }
        for wy in 0..rows {
            let patch_rows = image.rows::<P>(2 * wy, E::WINDOWS * (2 * (columns - E::WINDOWS) + P));
            let at = wy * columns * filters + block.start;
            let y = &mut call.y[at..];
            let mut takes = call.takes.as_mut().map(|takes| &mut takes[at..]);
            for at in (0..columns).step_by(E::WINDOWS) {
                let window = at.min(columns - E::WINDOWS);
                let mut z = [bias; 4];
                for r in 0..P {
                    let pixels = &patch_rows[r][2 * E::WINDOWS * window..][..P * E::WINDOWS];
                    for c in 0..P {
                        let pixel = E::pixels(&pixels[c * E::WINDOWS..]);
                        for (place, [ty, tx]) in PLACES {
                            if r >= ty && r - ty < K && c >= tx && c - tx < K {
                                z[place] = pixel.mul_add(weights[r - ty][c - tx], z[place]);
                            }
                        }
                    }
                }
                let best = z[0].max(z[1]).max(z[2].max(z[3]));
                let at = window * filters;
                let top = if relu { best.max(E::splat(0.0)) } else { best };
                top.store(filters, &mut y[at..]);
                if let Some(takes) = &mut takes {
                    // The least number above 0 that takes a gradient.
                    let best = if relu { best.max(E::splat(f32::from_bits(1))) } else { best };
                    E::store_winners(z, best, first, filters, &mut takes[at..]);
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

/// One sample's gradients, added to the others': kernels of `K` × `K`, patches of `P` × `P`.
#[inline(always)]
fn grad_weight_sized<E: Eights, const K: usize, const P: usize>(call: GradWeight) {
    let GradWeight { op, x, dy, takes, dweight, mut dbias, scratch } = call;
    let geometry = &op.geometry;
    let [_, rows, columns, filters] = geometry.output_shape(1);
    let seen = Seen::new(geometry);
    let (scratch, pairs) = scratch.split_at_mut(seen.len());
    let image = Image::new(geometry, x, scratch);
    let first = op.ties == Ties::First;
    let image = match first {
        // Each pixel beside the one below it.
        true => image.paired::<E>(seen, image.width, pairs),
        false => image.by_windows::<E>(seen, pairs),
    };
    let mut spare = Spare::default();
    for block in cover(filters, if filters < 8 { [filters] } else { [8] }) {
        let mut sums = [[E::splat(0.0); K]; K];
        for wy in 0..rows {
            let outputs = Outputs::new(dy, takes, wy * columns, filters, block);
            if first {
                let pair_rows = image.rows::<K>(2 * wy, 4 * columns + 2 * (K - 1));
                for at in (0..columns).step_by(E::WINDOWS) {
                    let window = at.min(columns - E::WINDOWS);
                    let (dy, takes) = outputs.at::<E>(window, at, &mut spare);
                    let (gradient, place) = E::taken(dy, takes);
                    for ky in 0..K {
                        let pixels = &pair_rows[ky][4 * window..][..2 * (K - 1) + 4 * E::WINDOWS];
                        for kx in 0..K {
                            let pixel = E::pick(&pixels[2 * kx..], place);
                            sums[ky][kx] = pixel.mul_add(gradient, sums[ky][kx]);
                        }
                    }
                }
            } else {
                let patch_rows = image.rows::<P>(2 * wy, E::WINDOWS * (2 * (columns - E::WINDOWS) + P));
                for at in (0..columns).step_by(E::WINDOWS) {
                    let window = at.min(columns - E::WINDOWS);
                    let (dy, takes) = outputs.at::<E>(window, at, &mut spare);
                    let gradients = E::taken_by_all(dy, takes);
                    for r in 0..P {
                        let pixels = &patch_rows[r][2 * E::WINDOWS * window..][..P * E::WINDOWS];
                        for c in 0..P {
                            let pixel = E::pixels(&pixels[c * E::WINDOWS..]);
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
        if let Some(dbias) = &mut dbias {
            // By itself: beside the others, this sum would have no register.
            let mut bias = E::splat(0.0);
            for wy in 0..rows {
                let outputs = Outputs::new(dy, takes, wy * columns, filters, block);
                for at in (0..columns).step_by(E::WINDOWS) {
                    let window = at.min(columns - E::WINDOWS);
                    let (dy, takes) = outputs.at::<E>(window, at, &mut spare);
                    let [a, b, c, d] = E::taken_by_all(dy, takes);
                    bias = bias.add(a.add(b)).add(c.add(d));
                }
            }
            add_to(dbias, bias.sum(), block, filters, 0);
        }
        for ky in 0..K {
            for kx in 0..K {
                add_to(dweight, sums[ky][kx].sum(), block, filters, ky * K + kx);
            }
        }
    }
}

/// What reaches the windows from one on, of a block of filters.
#[derive(Clone, Copy)]
struct Outputs<'a> {
    dy: &'a [f32],
    takes: &'a [u8],
    filters: usize,
}

impl<'a> Outputs<'a> {
    #[inline(always)]
    fn new(dy: &'a [f32], takes: &'a [u8], window: usize, filters: usize, block: Stretch) -> Self {
        let at = window * filters + block.start;
        Self { dy: &dy[at..], takes: &takes[at..], filters }
    }

    /// The gradients of the windows from one on, and which places take them: none of one before `fresh`.
    #[inline(always)]
    fn at<'b, E: Eights>(
        &'b self,
        window: usize,
        fresh: usize,
        spare: &'b mut Spare,
    ) -> ([&'b [f32; 8]; 2], [&'b [u8; 8]; 2]) {
        let Spare { dy: [dy_a, dy_b], takes: [takes_a, takes_b] } = spare;
        let at = window * self.filters;
        let next = at + (E::WINDOWS - 1) * self.filters;
        let dy = [eight(&self.dy[at..], dy_a), eight(&self.dy[next..], dy_b)];
        let takes_a = if window < fresh { &[0; 8] } else { eight(&self.takes[at..], takes_a) };
        (dy, [takes_a, eight(&self.takes[next..], takes_b)])
    }
}

/// Room for the last outputs, where they are less than eight.
#[derive(Default)]
struct Spare {
    dy: [[f32; 8]; 2],
    takes: [[u8; 8]; 2],
}

/// Adds a block's sums to a row of as many numbers as there are filters, but for those that an earlier block has added.
#[inline(always)]
fn add_to(to: &mut [f32], sums: [f32; 8], block: Stretch, filters: usize, row: usize) {
    let to = &mut to[row * filters + block.start..][..block.width];
    to.iter_mut().zip(sums).skip(block.skip).for_each(|(to, sum)| *to += sum);
}
