//! Winograd's convolution, and the transform of its weights.
//!
//! ```text
//! weights: for each vector of filters, input channel:  u = G · g · Gᵀ
//! forward: for each group of tiles:
//!     for each tile, vector of input channels:         v = Bᵀ · d · B
//!     for each block of two vectors of filters:
//!         for each of the 36 places of u and v:        m = v · u, a product (tiles × inputs) · (inputs × filters)
//!         for each tile, vector of filters:            y = Aᵀ · m · A + bias
//! ```
//!
//! 1. Channels are lanes: a transform is additions of whole vectors, and the rows of the products lie as they are needed.
//! 2. Points come in pairs ±p, whose sums have their even and odd parts in common: 12 operations for `Bᵀ`, not 24.
//! 3. The 36 places of a tile lie in as many matrices, an odd number of cache lines apart: at a power of two, they would
//!    displace each other from the first cache.
//! 4. A group of tiles and a block of filters are small: what a product gives is still in the first cache when it is
//!    transformed back. The group is large enough to pay for reading the weights once more.
//! 5. The transformed weights are written as panels, in the order in which the products read them.
//! 6. Sums are as long as there are input channels, often short: a tile of them has all its rows in one piece of memory, so
//!    that little is to be done between two.
//!
//! A tile's result does not depend on the group it is in.

use super::cover;
use super::tile::{copy_part, multiply_add, store};
use crate::WinogradGeometry;
use crate::dispatch::{Body, Isa};
use crate::winograd::{OUTPUTS, POINTS, PRODUCTS};
use std::ops::Range;

/// Writes the panels of all products.
pub(crate) struct TransformWeight<'a> {
    pub geometry: &'a WinogradGeometry,
    pub weight: &'a [f32],
    pub transformed: &'a mut [f32],
}

impl Body for TransformWeight<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { geometry, weight, transformed } = self;
        let WinogradGeometry { inputs, outputs, .. } = *geometry;
        let step = geometry.panel_step();
        for block in blocks::<I>(outputs) {
            for i in 0..inputs {
                for v in 0..block.vectors {
                    let first = block.start + v * I::LANES;
                    let columns = [
                        column_of_taps::<I>(geometry, weight, 0, i, first),
                        column_of_taps::<I>(geometry, weight, 1, i, first),
                        column_of_taps::<I>(geometry, weight, 2, i, first),
                    ];
                    let at = inputs * block.start + (i * block.vectors + v) * I::LANES;
                    for y in 0..POINTS {
                        let row = evaluate_taps::<I>(across::<I, 3, POINTS>(&columns, y));
                        for x in 0..POINTS {
                            I::store(row[x], &mut transformed[(POINTS * y + x) * step + at..]);
                        }
                    }
                }
            }
        }
    }
}

/// Column `x` of the taps from channel `i` to a vector of filters, evaluated.
#[inline(always)]
fn column_of_taps<I: Isa>(
    geometry: &WinogradGeometry,
    weight: &[f32],
    x: usize,
    i: usize,
    first: usize,
) -> [I::Vector; POINTS] {
    let WinogradGeometry { inputs, outputs, backwards, .. } = *geometry;
    let lanes = I::LANES.min(outputs - first);
    let mut column = [I::splat(0.0); 3];
    for y in 0..3 {
        column[y] = if backwards {
            let from = ((8 - 3 * y - x) * outputs + first) * inputs + i;
            let mut taps = [0.0; 16];
            for l in 0..lanes {
                taps[l] = weight[from + l * inputs];
            }
            I::load(&taps)
        } else {
            let from = ((3 * y + x) * inputs + i) * outputs + first;
            load_part::<I>(&weight[from..from + lanes])
        };
    }
    evaluate_taps::<I>(column)
}

/// Filters from `start` on, in so many vectors, of which the last may not be full.
struct Block {
    start: usize,
    vectors: usize,
}

#[inline(always)]
fn blocks<I: Isa>(filters: usize) -> impl Iterator<Item = Block> {
    (0..filters)
        .step_by(2 * I::LANES)
        .map(move |start| Block { start, vectors: if start + I::LANES < filters { 2 } else { 1 } })
}

/// The convolution of all samples.
pub(crate) struct Forward<'a> {
    pub geometry: &'a WinogradGeometry,
    pub x: &'a [f32],
    pub transformed: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub y: &'a mut [f32],
    /// Room for the values of a group's inputs, of a block's outputs, and for a tile at the border.
    pub scratch: &'a mut [f32],
}

impl Body for Forward<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        match I::LANES {
            16 => self.groups::<I, 8>(),
            _ => self.groups::<I, 6>(),
        }
    }
}

impl Forward<'_> {
    /// With tiles of `P` rows of sums.
    #[inline(always)]
    fn groups<I: Isa, const P: usize>(self) {
        let Self { geometry, x, transformed, bias, y, scratch } = self;
        let [down, across] = geometry.tiles();
        let tiles =
            x.len() / (geometry.rows.input * geometry.columns.input * geometry.inputs) * down * across;
        let (inputs, scratch) = scratch.split_at_mut(PRODUCTS * geometry.input_step());
        let (outputs, border) = scratch.split_at_mut(PRODUCTS * OUTPUT_STEP);
        let border = &mut border[..PRODUCTS * geometry.pitch()];
        for first in (0..tiles).step_by(GROUP) {
            let tiles = first..tiles.min(first + GROUP);
            transform_inputs::<I>(geometry, x, tiles.clone(), border, inputs);
            for block in blocks::<I>(geometry.outputs) {
                let panels = &transformed[geometry.inputs * block.start..];
                match block.vectors {
                    2 => products::<I, P, 2>(geometry, inputs, panels, tiles.len(), outputs),
                    _ => products::<I, P, 1>(geometry, inputs, panels, tiles.len(), outputs),
                }
                transform_outputs::<I>(geometry, outputs, &block, bias, tiles.clone(), y);
            }
        }
    }
}

/// Tiles in a group.
pub(crate) const GROUP: usize = 36;

/// The fewest rows of a product; where tiles are fewer, what is in the rows behind them is of no use.
const FEWEST: usize = 4;

/// Numbers of a block of filters in a group at the most.
pub(crate) const BLOCK: usize = GROUP * 32;

/// Writes the values of a group's tiles.
#[inline(always)]
fn transform_inputs<I: Isa>(
    geometry: &WinogradGeometry,
    x: &[f32],
    tiles: Range<usize>,
    border: &mut [f32],
    inputs: &mut [f32],
) {
    let (step, pitch) = (geometry.input_step(), geometry.pitch());
    for (t, tile) in tiles.enumerate() {
        let rows = rows(geometry, x, tile, border);
        for channel in vectors::<I>(pitch) {
            let columns = [
                column_of_inputs::<I>(&rows, channel),
                column_of_inputs::<I>(&rows, channel + pitch),
                column_of_inputs::<I>(&rows, channel + 2 * pitch),
                column_of_inputs::<I>(&rows, channel + 3 * pitch),
                column_of_inputs::<I>(&rows, channel + 4 * pitch),
                column_of_inputs::<I>(&rows, channel + 5 * pitch),
            ];
            for y in 0..POINTS {
                let row = evaluate_inputs::<I>(across::<I, POINTS, POINTS>(&columns, y));
                for x in 0..POINTS {
                    I::store(row[x], &mut inputs[(POINTS * y + x) * step + t * pitch + channel..]);
                }
            }
        }
    }
}

/// A column of a tile, evaluated.
#[inline(always)]
fn column_of_inputs<I: Isa>(rows: &[&[f32]; POINTS], at: usize) -> [I::Vector; POINTS] {
    let mut column = [I::splat(0.0); POINTS];
    for y in 0..POINTS {
        column[y] = I::load(&rows[y][at..]);
    }
    evaluate_inputs::<I>(column)
}

/// The 36 products of a group with a block of `V` vectors of filters.
#[inline(always)]
fn products<I: Isa, const P: usize, const V: usize>(
    geometry: &WinogradGeometry,
    inputs: &[f32],
    panels: &[f32],
    tiles: usize,
    outputs: &mut [f32],
) {
    let width = V * I::LANES;
    let steps = [geometry.input_step(), geometry.panel_step()];
    for product in 0..PRODUCTS {
        let x = &inputs[product * steps[0]..][..steps[0]];
        let panel = &panels[product * steps[1]..][..geometry.inputs * width];
        let y = &mut outputs[product * OUTPUT_STEP..][..OUTPUT_STEP];
        for rows in cover(tiles.max(FEWEST), [FEWEST, P]) {
            match rows.width {
                FEWEST => product_tile::<I, FEWEST, V>(geometry, x, panel, rows.start, y),
                _ => product_tile::<I, P, V>(geometry, x, panel, rows.start, y),
            }
        }
    }
}

/// `P` rows of a product.
#[inline(always)]
fn product_tile<I: Isa, const P: usize, const V: usize>(
    geometry: &WinogradGeometry,
    x: &[f32],
    panel: &[f32],
    first: usize,
    y: &mut [f32],
) {
    let (pitch, width) = (geometry.pitch(), V * I::LANES);
    let x = &x[first * pitch..][..P * pitch];
    let mut rows = [x; P];
    for p in 0..P {
        rows[p] = &x[p * pitch..][..geometry.inputs];
    }
    let mut sums = [[I::splat(0.0); V]; P];
    multiply_add::<I, P, V, false>(&mut sums, rows, 0, 1, panel);
    let y = &mut y[first * width..][..P * width];
    for p in 0..P {
        store::<I, V>(sums[p], &mut y[p * width..]);
    }
}

/// Numbers from one product's outputs to the next's.
pub(crate) const OUTPUT_STEP: usize = BLOCK + 16;

/// Writes a block of filters of a group's tiles of `y`.
#[inline(always)]
fn transform_outputs<I: Isa>(
    geometry: &WinogradGeometry,
    outputs: &[f32],
    block: &Block,
    bias: Option<&[f32]>,
    tiles: Range<usize>,
    y: &mut [f32],
) {
    let [_, rows, columns, filters] = geometry.output_shape(1);
    for (t, tile) in tiles.enumerate() {
        let [n, top, left] = place(geometry, tile);
        let y = &mut y[((n * rows + top) * columns + left) * filters..];
        let (height, width) = (OUTPUTS.min(rows - top), OUTPUTS.min(columns - left));
        for v in 0..block.vectors {
            let filter = block.start + v * I::LANES;
            let lanes = I::LANES.min(filters - filter);
            let bias = load_part::<I>(bias.map_or(&[], |bias| &bias[filter..][..lanes]));
            let outputs = &outputs[(t * block.vectors + v) * I::LANES..];
            let sums = [
                column_of_outputs::<I>(outputs, 0),
                column_of_outputs::<I>(outputs, 1),
                column_of_outputs::<I>(outputs, 2),
                column_of_outputs::<I>(outputs, 3),
                column_of_outputs::<I>(outputs, 4),
                column_of_outputs::<I>(outputs, 5),
            ];
            for row in 0..OUTPUTS {
                if row >= height {
                    break;
                }
                let results = interpolate::<I>(across::<I, POINTS, OUTPUTS>(&sums, row));
                let y = &mut y[row * columns * filters + filter..];
                for column in 0..OUTPUTS {
                    if column < width {
                        let result = add::<I>(results[column], bias);
                        store_part::<I>(result, &mut y[column * filters..], lanes);
                    }
                }
            }
        }
    }
}

/// Column `x` of a tile's sums, interpolated.
#[inline(always)]
fn column_of_outputs<I: Isa>(outputs: &[f32], x: usize) -> [I::Vector; OUTPUTS] {
    let mut column = [I::splat(0.0); POINTS];
    for y in 0..POINTS {
        column[y] = I::load(&outputs[(POINTS * y + x) * OUTPUT_STEP..]);
    }
    interpolate::<I>(column)
}

/// The sample, and the first row and column of the results.
#[inline(always)]
fn place(geometry: &WinogradGeometry, tile: usize) -> [usize; 3] {
    let [down, across] = geometry.tiles();
    [tile / (down * across), tile / across % down * OUTPUTS, tile % across * OUTPUTS]
}

/// The rows under a tile, of six pixels each. Where some lie outside, or have too few channels for a vector, they are copied
/// among zeros.
#[inline(always)]
fn rows<'a>(
    geometry: &WinogradGeometry,
    x: &'a [f32],
    tile: usize,
    border: &'a mut [f32],
) -> [&'a [f32]; POINTS] {
    let [_, height, width, channels] = geometry.input_shape(1);
    let ([n, top, left], pitch) = (place(geometry, tile), geometry.pitch());
    let x = &x[n * height * width * channels..][..height * width * channels];
    let (first, last) = (
        [geometry.rows.place(top), geometry.columns.place(left)],
        [geometry.rows.place(top + POINTS - 1), geometry.columns.place(left + POINTS - 1)],
    );
    let mut rows = [[].as_slice(); POINTS];
    if let ([Some(iy), Some(ix)], [Some(_), Some(_)]) = (first, last)
        && channels == pitch
    {
        for row in 0..POINTS {
            rows[row] = &x[((iy + row) * width + ix) * channels..][..POINTS * channels];
        }
        return rows;
    }
    border.fill(0.0);
    // The columns inside are neighbours, and so are their numbers unless a pixel is filled up.
    let inside = |column: usize| geometry.columns.place(left + column).is_some();
    let skip = (0..POINTS).take_while(|&column| !inside(column)).count();
    let count = (skip..POINTS).take_while(|&column| inside(column)).count();
    let run = if channels == pitch { count.max(1) } else { 1 };
    for (row, border) in border.chunks_exact_mut(POINTS * pitch).enumerate() {
        if let (Some(iy), Some(ix)) = (geometry.rows.place(top + row), geometry.columns.place(left + skip)) {
            let pixels = x[(iy * width + ix) * channels..][..count * channels].chunks_exact(run * channels);
            for (pixel, to) in pixels.zip(border[skip * pitch..].chunks_exact_mut(run * pitch)) {
                to[..pixel.len()].copy_from_slice(pixel);
            }
        }
    }
    for row in 0..POINTS {
        rows[row] = &border[row * POINTS * pitch..][..POINTS * pitch];
    }
    rows
}

/// Row `y` of transformed columns.
#[inline(always)]
fn across<I: Isa, const N: usize, const M: usize>(columns: &[[I::Vector; M]; N], y: usize) -> [I::Vector; N] {
    let mut row = [I::splat(0.0); N];
    for x in 0..N {
        row[x] = columns[x][y];
    }
    row
}

/// Where vectors of `len` numbers start, of which there is at least one; a last one that is not full is moved back over its neighbour.
#[inline(always)]
fn vectors<I: Isa>(len: usize) -> impl Iterator<Item = usize> {
    (0..len).step_by(I::LANES).map(move |at| at.min(len - I::LANES))
}

/// A vector of what there is, and zeros.
#[inline(always)]
fn load_part<I: Isa>(from: &[f32]) -> I::Vector {
    if from.len() >= I::LANES {
        return I::load(from);
    }
    let mut lanes = [0.0; 16];
    copy_part(&mut lanes, from, from.len());
    I::load(&lanes)
}

/// The first lanes of a vector.
#[inline(always)]
fn store_part<I: Isa>(vector: I::Vector, to: &mut [f32], lanes: usize) {
    if lanes == I::LANES {
        return I::store(vector, to);
    }
    let mut all = [0.0; 16];
    I::store(vector, &mut all);
    copy_part(to, &all, lanes);
}

/// `G`: the sums of even and of odd powers at the points.
#[inline(always)]
fn evaluate_taps<I: Isa>([a, b, c]: [I::Vector; 3]) -> [I::Vector; POINTS] {
    let even_1 = fma::<I>(-81.0 / 130.0, a, scale::<I>(-18.0 / 65.0, c));
    let even_2 = fma::<I>(8.0 / 65.0, a, scale::<I>(18.0 / 65.0, c));
    [
        a,
        fma::<I>(-27.0 / 65.0, b, even_1),
        fma::<I>(27.0 / 65.0, b, even_1),
        fma::<I>(12.0 / 65.0, b, even_2),
        fma::<I>(-12.0 / 65.0, b, even_2),
        c,
    ]
}

/// `Bᵀ`.
#[inline(always)]
fn evaluate_inputs<I: Isa>([a, b, c, d, e, f]: [I::Vector; POINTS]) -> [I::Vector; POINTS] {
    let (even_1, odd_1) = (fma::<I>(-2.25, c, e), fma::<I>(-2.25, b, d));
    let (even_2, odd_2) = (fma::<I>(-4.0 / 9.0, c, e), fma::<I>(-4.0 / 9.0, b, d));
    [
        add::<I>(a, fma::<I>(-97.0 / 36.0, c, e)),
        fma::<I>(2.0 / 3.0, odd_1, even_1),
        fma::<I>(-2.0 / 3.0, odd_1, even_1),
        fma::<I>(1.5, odd_2, even_2),
        fma::<I>(-1.5, odd_2, even_2),
        add::<I>(b, fma::<I>(-97.0 / 36.0, d, f)),
    ]
}

/// `Aᵀ`.
#[inline(always)]
fn interpolate<I: Isa>([a, b, c, d, e, f]: [I::Vector; POINTS]) -> [I::Vector; OUTPUTS] {
    let (even_1, odd_1) = (add::<I>(b, c), sub::<I>(b, c));
    let (even_2, odd_2) = (add::<I>(d, e), sub::<I>(d, e));
    [
        add::<I>(add::<I>(a, even_1), even_2),
        fma::<I>(1.5, odd_2, scale::<I>(2.0 / 3.0, odd_1)),
        fma::<I>(2.25, even_2, scale::<I>(4.0 / 9.0, even_1)),
        fma::<I>(3.375, odd_2, fma::<I>(8.0 / 27.0, odd_1, f)),
    ]
}

/// `factor · a + b`.
#[inline(always)]
fn fma<I: Isa>(factor: f32, a: I::Vector, b: I::Vector) -> I::Vector {
    I::mul_add_lanes(a, I::splat(factor), b)
}

#[inline(always)]
fn add<I: Isa>(a: I::Vector, b: I::Vector) -> I::Vector {
    fma::<I>(1.0, a, b)
}

/// `a − b`.
#[inline(always)]
fn sub<I: Isa>(a: I::Vector, b: I::Vector) -> I::Vector {
    fma::<I>(-1.0, b, a)
}

#[inline(always)]
fn scale<I: Isa>(factor: f32, a: I::Vector) -> I::Vector {
    fma::<I>(factor, a, I::splat(0.0))
}
