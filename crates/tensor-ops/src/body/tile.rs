//! Tiles of sums that stay in registers, and the blocks that they cut an axis into.
//!
//! ```text
//! outer       sums[t][l] += x[j][t] · d[j][l]      over j        T × L results
//! in turns    sums[u][l] += x[j] · d[j][l]         over j ≡ u    U partial sums each of L results
//! ```
//!
//! 1. The sums are arrays of constant size, updated by loops of constant length: unrolled, they are vector registers,
//!    enough to hide the latency of the multiply-add and few enough not to spill.
//! 2. One factor is a vector loaded once a step, the other a scalar used with all of them: fewer loads than
//!    multiply-adds.
//! 3. How many rows and vectors a tile has is decided by the instruction set's registers, in one place.

use crate::dispatch::Isa;

/// Work on a block of columns, compiled for every size of tile: `P` rows × `V` vectors.
pub(super) trait Tiled {
    fn run<I: Isa, const P: usize, const V: usize>(self);
}

/// Runs `work` with the tile for a block of `width` columns: enough sums to hide the latency of the multiply-add, as far
/// as there are registers, and not more rows than there are general registers for their addresses.
#[inline(always)]
pub(super) fn with_tile<I: Isa>(width: usize, work: impl Tiled) {
    match (I::LANES, width) {
        (16, 32) => work.run::<I, 8, 2>(),
        (16, 16) => work.run::<I, 10, 1>(),
        (16, 8) => work.run::<I::Half, 10, 1>(),
        (16, _) => work.run::<<I::Half as Isa>::Half, 10, 1>(),
        (8, 16) => work.run::<I, 6, 2>(),
        (8, 8) => work.run::<I, 10, 1>(),
        (8, _) => work.run::<I::Half, 10, 1>(),
        (_, 16) => work.run::<I, 3, 4>(),
        (_, 8) => work.run::<I, 6, 2>(),
        (_, _) => work.run::<I, 10, 1>(),
    }
}

/// `V` vectors from a slice.
#[inline(always)]
pub(super) fn load<I: Isa, const V: usize>(from: &[f32]) -> [I::Vector; V] {
    let from = &from[..V * I::LANES];
    let mut vectors = [I::splat(0.0); V];
    for v in 0..V {
        vectors[v] = I::load(&from[v * I::LANES..]);
    }
    vectors
}

/// `V` vectors to a slice.
#[inline(always)]
pub(super) fn store<I: Isa, const V: usize>(vectors: [I::Vector; V], to: &mut [f32]) {
    let to = &mut to[..V * I::LANES];
    for v in 0..V {
        I::store(vectors[v], &mut to[v * I::LANES..]);
    }
}

/// Adds to `P` rows of `V` vectors: of each `x` the numbers from `from` on, `step` apart, times the rows of `panel`. With
/// `D` the first factor is not one number but `V` vectors from there on.
#[inline(always)]
pub(super) fn multiply_add<I: Isa, const P: usize, const V: usize, const D: bool>(
    sums: &mut [[I::Vector; V]; P],
    x: [&[f32]; P],
    from: usize,
    step: usize,
    panel: &[f32],
) {
    let width = V * I::LANES;
    let count = panel.len() / width;
    if count == 0 {
        return;
    }
    let reach = from + (count - 1) * step + if D { width } else { 1 };
    for p in 0..P {
        assert!(reach <= x[p].len());
    }
    let mut tile = *sums;
    let mut at = from;
    for k in 0..count {
        #[allow(unsafe_code)]
        // SAFETY: the panel has `count` rows of `width`, and each `x` has `reach` numbers.
        unsafe {
            let w = load::<I, V>(panel.get_unchecked(k * width..(k + 1) * width));
            for p in 0..P {
                let x = if D {
                    load::<I, V>(x[p].get_unchecked(at..at + width))
                } else {
                    [I::splat(*x[p].get_unchecked(at)); V]
                };
                for v in 0..V {
                    tile[p][v] = I::mul_add_lanes(x[v], w[v], tile[p][v]);
                }
            }
        }
        at += step;
    }
    *sums = tile;
}

/// The longest row of a tile.
pub(super) const LONGEST: usize = 32;

/// A block of columns, `start..start + filled`, of which an earlier block holds the first `skip`. It is `width` columns
/// wide; behind those that are filled there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub start: usize,
    pub skip: usize,
    pub filled: usize,
    pub width: usize,
}

/// Cuts `0..len` into blocks of the widths of [`with_tile`]. The last one is moved back over its neighbour; a single one
/// that is not full has room at its end, unless `room` forbids it, which needs a `len` of at least 4.
#[inline(always)]
pub(super) fn blocks<I: Isa>(len: usize, room: bool) -> impl Iterator<Item = Block> {
    let widest = if I::LANES == 16 { 32 } else { 16 };
    let mut done = 0;
    std::iter::from_fn(move || {
        let left = len - done;
        let mut width = 4;
        while width < left.min(widest) && (room || 2 * width <= len) {
            width *= 2;
        }
        let start = done.min(len.saturating_sub(width));
        let block = Block { start, skip: done - start, filled: width.min(len), width };
        done = start + block.filled;
        (left > 0).then_some(block)
    })
}

/// Numbers in a row of all the blocks that [`blocks`] makes of `len` columns, at the most.
pub(crate) fn padded(len: usize) -> usize {
    len.next_multiple_of(len.next_power_of_two().clamp(4, 32))
}

/// Copies the first `len` numbers, in pieces of a constant size.
#[inline(always)]
pub(super) fn copy_part(to: &mut [f32], from: &[f32], len: usize) {
    let (to, from) = (&mut to[..len], &from[..len]);
    if len < 4 {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        return;
    }
    let mut at = 0;
    while at < len {
        at = at.min(len - 4);
        *lanes_mut::<4>(&mut to[at..]) = *lanes(&from[at..]);
        at += 4;
    }
}

/// The first `L` elements.
#[inline(always)]
pub(super) fn lanes<const L: usize>(slice: &[f32]) -> &[f32; L] {
    slice.first_chunk().expect("the slice holds a whole tile")
}

/// The first `L` elements, to write.
#[inline(always)]
pub(super) fn lanes_mut<const L: usize>(slice: &mut [f32]) -> &mut [f32; L] {
    slice.first_chunk_mut().expect("the slice holds a whole tile")
}

/// Adds the products of `T` elements of `x` with columns `at..at + L` of a row of `d`, over `count` rows of
/// `columns` elements; `x` moves on by `step` from one to the next.
#[inline(always)]
pub(super) fn outer<I: Isa, const T: usize, const L: usize>(
    sums: &mut [[f32; L]; T],
    count: usize,
    x: &[f32],
    step: usize,
    d: &[f32],
    columns: usize,
    at: usize,
) {
    let mut tile = *sums;
    let (mut from, mut row) = (0, at);
    for _ in 0..count {
        let (x, d) = (lanes::<T>(&x[from..]), lanes::<L>(&d[row..]));
        for t in 0..T {
            for l in 0..L {
                tile[t][l] = I::mul_add(x[t], d[l], tile[t][l]);
            }
        }
        from += step;
        row += columns;
    }
    *sums = tile;
}

/// The same for a single element of `x` over all rows of `d`, with `U` partial sums that take turns.
#[inline(always)]
pub(super) fn outer_in_turns<I: Isa, const U: usize, const L: usize>(
    x: &[f32],
    step: usize,
    d: &[f32],
    columns: usize,
    at: usize,
) -> [f32; L] {
    let mut sums = [[0.0; L]; U];
    let mut from = 0;
    let mut turns = d.chunks_exact(U * columns);
    for d in &mut turns {
        for u in 0..U {
            let (x, d) = (x[from], lanes::<L>(&d[u * columns + at..]));
            for l in 0..L {
                sums[u][l] = I::mul_add(x, d[l], sums[u][l]);
            }
            from += step;
        }
    }
    let mut total = [sum_arrays(sums)];
    let rest = turns.remainder();
    if !rest.is_empty() {
        outer::<I, 1, L>(&mut total, rest.len() / columns, &x[from..], step, rest, columns, at);
    }
    total[0]
}

/// The sum of `U` arrays, pairwise.
#[inline(always)]
fn sum_arrays<const U: usize, const L: usize>(mut arrays: [[f32; L]; U]) -> [f32; L] {
    let mut width = U / 2;
    while width > 0 {
        for u in 0..width {
            for l in 0..L {
                arrays[u][l] += arrays[u + width][l];
            }
        }
        width /= 2;
    }
    arrays[0]
}
