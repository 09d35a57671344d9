//! Tiles of sums that stay in registers: the inner loops of every product in the crate.
//!
//! ```text
//! multiply    sums[p][l]    += x[p][k] · w[k][l]      over k        results of P rows × L columns
//! dot         sums[p][q][l] += a[p][k] · b[q][k]      over k ≡ l    L partial sums each of P × Q results
//! outer       sums[t][l]    += x[j][t] · d[j][l]      over j        T × L results
//! in turns    sums[u][l]    += x[j] · d[j][l]         over j ≡ u    U partial sums each of L results
//! ```
//!
//! 1. The sums are arrays of constant size, updated by loops of constant length: unrolled, they are eight to
//!    twelve vector registers, enough to hide the latency of the multiply-add and few enough not to spill.
//! 2. One factor is a vector loaded once a step, the other a scalar or vector used with all of them: fewer loads
//!    than multiply-adds.
//! 3. The rows are cut to their length before the loop; a check or two a step remains, always predicted. A loop
//!    of a known count with a running offset leaves the sums in registers where `chunks_exact` did not.

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

/// `P` slices of length `len`, `step` apart.
#[inline(always)]
pub(super) fn rows<const P: usize>(slice: &[f32], step: usize, len: usize) -> [&[f32]; P] {
    let slice = &slice[..(P - 1) * step + len];
    let mut rows = [&slice[..0]; P];
    for p in 0..P {
        rows[p] = &slice[p * step..p * step + len];
    }
    rows
}

/// Columns `at..at + L` of the matrix product of `P` rows with `w`, whose rows have `columns` elements.
#[inline(always)]
pub(super) fn multiply<I: Isa, const P: usize, const L: usize>(
    sums: &mut [[f32; L]; P],
    x: [&[f32]; P],
    w: &[f32],
    columns: usize,
    at: usize,
) {
    let len = x[0].len();
    let mut rows = x;
    for p in 0..P {
        rows[p] = &x[p][..len];
    }
    let mut row = at;
    for k in 0..len {
        let w = lanes::<L>(&w[row..]);
        row += columns;
        for p in 0..P {
            let x = rows[p][k];
            for l in 0..L {
                sums[p][l] = I::mul_add(x, w[l], sums[p][l]);
            }
        }
    }
}

/// The products of `P` rows with `Q` rows, element by element, each summed in `L` lanes. What the lanes leave
/// over is a last vector moved back, with the elements that were taken already set to zero in `a`.
#[inline(always)]
pub(super) fn dot<I: Isa, const P: usize, const Q: usize, const L: usize>(
    sums: &mut [[[f32; L]; Q]; P],
    a: [&[f32]; P],
    b: [&[f32]; Q],
) {
    let len = a[0].len();
    let whole = len / L * L;
    let mut k = 0;
    while k < whole {
        step::<I, P, Q, L>(sums, a, b, k, 0);
        k += L;
    }
    if whole < len {
        step::<I, P, Q, L>(sums, a, b, len - L, L - (len - whole));
    }
}

/// One vector of [`dot`] at `k`, without its first `skip` elements.
#[inline(always)]
fn step<I: Isa, const P: usize, const Q: usize, const L: usize>(
    sums: &mut [[[f32; L]; Q]; P],
    a: [&[f32]; P],
    b: [&[f32]; Q],
    k: usize,
    skip: usize,
) {
    let (mut rows, mut columns) = ([[0.0; L]; P], [[0.0; L]; Q]);
    for p in 0..P {
        let a = lanes::<L>(&a[p][k..]);
        for l in 0..L {
            rows[p][l] = if l < skip { 0.0 } else { a[l] };
        }
    }
    for q in 0..Q {
        columns[q] = *lanes::<L>(&b[q][k..]);
    }
    for p in 0..P {
        for q in 0..Q {
            for l in 0..L {
                sums[p][q][l] = I::mul_add(rows[p][l], columns[q][l], sums[p][q][l]);
            }
        }
    }
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

/// The same sums, stored and loaded. [`sum`] adds within a vector; could the compiler see that beside the loop of
/// [`dot`], it would turn the vectors around and shuffle in every step.
#[inline(always)]
pub(super) fn through_memory<T>(sums: T) -> T {
    std::hint::black_box(sums)
}

/// The sum of the lanes, of which there are 8, 4 or 1: by halves.
#[inline(always)]
pub(super) fn sum<const L: usize>(mut lanes: [f32; L]) -> f32 {
    if L == 8 {
        for l in 0..4 {
            lanes[l] += lanes[l + 4];
        }
    }
    if L >= 4 {
        for l in 0..2 {
            lanes[l] += lanes[l + 2];
        }
        lanes[0] += lanes[1];
    }
    lanes[0]
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
