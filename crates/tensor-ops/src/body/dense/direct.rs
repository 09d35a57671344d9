//! The product of matrices, of few rows or few columns: `b` is read where it lies, once.
//!
//! ```text
//! for each chunk of ≤ 256 terms, tile of rows, block of 8, 4, 2 or 1 vectors of columns:
//!     for each term k: sums += a[k] · b[k];  c += sums
//! few columns: for each row: sums[k mod 8] += a[k] · b[k];  c = Σ sums
//! ```
//!
//! 1. A row of `b` is read in long pieces, of as many vectors as hide the latency of the multiply-add.
//! 2. The last block is moved back over its neighbour; what it computes again is not written.
//! 3. The terms are summed in the order of the packed product, so that a row's result has the same bits in both.
//! 4. Few columns have too few sums, and each would wait for the one before: there every eighth term goes to a partial
//!    sum of its own.

use super::{Base, CHUNK, put};
use crate::body::cover;
use crate::body::rows::{Rows, RowsMut};
use crate::body::tile::{lanes, lanes_mut};
use crate::dispatch::{Body, Isa};

/// `c = a · b + bias` for few rows, of at least a vector.
pub(super) struct FewRows<'a> {
    pub a: Rows<'a>,
    pub b: Rows<'a>,
    pub bias: Option<&'a [f32]>,
    pub c: RowsMut<'a>,
}

impl Body for FewRows<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { a, b, bias, mut c } = self;
        for start in (0..a.len()).step_by(CHUNK) {
            let base = Base::new(start, bias);
            for tile in cover(a.count(), [1, 4]) {
                let place = [start, tile.start, tile.skip];
                match (tile.width, I::LANES) {
                    (4, 16) => blocks::<I, 4, 4>(a, b, &mut c, place, base),
                    (4, _) => blocks::<I, 4, 2>(a, b, &mut c, place, base),
                    (_, _) => blocks::<I, 1, 8>(a, b, &mut c, place, base),
                }
            }
        }
    }
}

/// `P` rows from `m` on, in blocks of up to `V` vectors.
#[inline(always)]
fn blocks<I: Isa, const P: usize, const V: usize>(
    a: Rows,
    b: Rows,
    c: &mut RowsMut,
    [start, m, above]: [usize; 3],
    base: Base,
) {
    let chunk = CHUNK.min(a.len() - start);
    let mut rows = [[].as_slice(); P];
    for p in 0..P {
        rows[p] = &a.row(m + p)[start..][..chunk];
    }
    let columns = c.len();
    let mut at = 0;
    while at < columns {
        let vectors = (columns - at) / I::LANES;
        let left = at.min(columns - I::LANES);
        let place = Place { start, m, above, left, before: at - left };
        at = left
            + match vectors {
                8.. if V == 8 => block::<I, P, 8>(rows, b, c, place, base),
                4.. if V >= 4 => block::<I, P, 4>(rows, b, c, place, base),
                2.. => block::<I, P, 2>(rows, b, c, place, base),
                _ => block::<I, P, 1>(rows, b, c, place, base),
            };
    }
}

/// Where a block lies: the first term, row and column, and how many rows and columns an earlier one wrote.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    m: usize,
    above: usize,
    left: usize,
    before: usize,
}

/// One block; gives back its columns.
#[inline(always)]
fn block<I: Isa, const P: usize, const V: usize>(
    a: [&[f32]; P],
    b: Rows,
    c: &mut RowsMut,
    place: Place,
    base: Base,
) -> usize {
    let width = V * I::LANES;
    let mut sums = [[I::splat(0.0); V]; P];
    for k in 0..a[0].len() {
        let b = &b.row(place.start + k)[place.left..][..width];
        let mut columns = [I::splat(0.0); V];
        for v in 0..V {
            columns[v] = I::load(&b[v * I::LANES..]);
        }
        for p in 0..P {
            let a = I::splat(a[p][k]);
            for v in 0..V {
                sums[p][v] = I::mul_add_lanes(a, columns[v], sums[p][v]);
            }
        }
    }
    for p in 0..P {
        if p >= place.above {
            put::<I, V>(c.row(place.m + p), place.left, place.before, base, sums[p]);
        }
    }
    width
}

/// `c = a · b + bias` for few columns.
pub(super) struct FewColumns<'a> {
    pub a: Rows<'a>,
    pub b: Rows<'a>,
    pub bias: Option<&'a [f32]>,
    pub c: RowsMut<'a>,
}

impl Body for FewColumns<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { a, b, bias, mut c } = self;
        for m in 0..a.count() {
            let (a, c) = (a.row(m), c.row(m));
            for block in cover(c.len(), [1, 4, 8, 16]) {
                match block.width {
                    16 => turns::<I, 4, 16>(a, b, bias, c, block.start),
                    8 => turns::<I, 8, 8>(a, b, bias, c, block.start),
                    4 => turns::<I, 8, 4>(a, b, bias, c, block.start),
                    _ => turns::<I, 8, 1>(a, b, bias, c, block.start),
                }
            }
        }
    }
}

/// `L` columns from `at` on of a row, in `U` partial sums.
#[inline(always)]
fn turns<I: Isa, const U: usize, const L: usize>(
    a: &[f32],
    b: Rows,
    bias: Option<&[f32]>,
    c: &mut [f32],
    at: usize,
) {
    let mut sums = [[0.0; L]; U];
    let whole = a.len() / U * U;
    for start in (0..whole).step_by(U) {
        for u in 0..U {
            let (a, b) = (a[start + u], lanes::<L>(&b.row(start + u)[at..]));
            for l in 0..L {
                sums[u][l] = I::mul_add(a, b[l], sums[u][l]);
            }
        }
    }
    let mut total = bias.map_or([0.0; L], |bias| *lanes(&bias[at..]));
    for u in 0..U {
        for l in 0..L {
            total[l] += sums[u][l];
        }
    }
    for k in whole..a.len() {
        let b = lanes::<L>(&b.row(k)[at..]);
        for l in 0..L {
            total[l] = I::mul_add(a[k], b[l], total[l]);
        }
    }
    *lanes_mut(&mut c[at..]) = total;
}
