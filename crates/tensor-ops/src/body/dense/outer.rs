//! The sum of outer products: the gradient of the weights.
//!
//! ```text
//! for each chunk of ≤ 64 samples, group of rows of c:
//!     pack the group's columns of a
//!     for each block of two vectors of columns:
//!         pack the block's columns of b
//!         for each tile of rows: sums = outer(columns of a, columns of b); c += sums
//! ```
//!
//! 1. A tile of results stays in registers while the samples pass by: 12 (6) elements of one operand with two vectors
//!    of the other.
//! 2. Both operands are copied into panels that stay in the L1 cache: from sample to sample is often a multiple of
//!    4 KiB, and such rows displace each other.
//! 3. For a single sample nothing is summed, so there is no tile to fill: each row of `c` is written once.

use super::{Base, put};
use crate::Kernels;
use crate::body::cover;
use crate::body::rows::{Rows, RowsMut};
use crate::body::tile::{lanes, lanes_mut};
use crate::dispatch::{Body, Isa, dispatch};

/// Samples that are packed at once.
const SAMPLES: usize = 64;

/// `c = aᵀ · b`.
pub(crate) struct OuterProduct<'a> {
    /// `k` rows of `m` numbers.
    pub a: Rows<'a>,
    /// `k` rows of `n` numbers.
    pub b: Rows<'a>,
    /// `m` rows of `n` numbers.
    pub c: RowsMut<'a>,
}

impl OuterProduct<'_> {
    /// Runs it by the way that its sizes ask for, as [`Product`](super::product::Product).
    pub fn dispatch(mut self, kernels: Kernels) {
        match self.a.count() {
            0 => (0..self.c.count()).for_each(|m| self.c.row(m).fill(0.0)),
            1 => dispatch(kernels, Single { a: self.a.row(0), b: self.b.row(0), c: self.c }),
            _ => dispatch(kernels, self),
        }
    }
}

impl Body for OuterProduct<'_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        match I::LANES {
            16 => self.packed::<I, 12, 96, 32>(),
            8 => self.packed::<I, 6, 48, 16>(),
            _ => self.packed::<I, 6, 48, 8>(),
        }
    }
}

/// The product of two vectors.
struct Single<'a> {
    a: &'a [f32],
    b: &'a [f32],
    c: RowsMut<'a>,
}

impl Body for Single<'_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        for block in cover(self.b.len(), [1, 4, 8, 16]) {
            match block.width {
                16 => self.columns::<16>(block.start),
                8 => self.columns::<8>(block.start),
                4 => self.columns::<4>(block.start),
                _ => self.columns::<1>(block.start),
            }
        }
    }
}

impl Single<'_> {
    /// `L` columns from `at` on.
    #[inline(always)]
    fn columns<const L: usize>(&mut self, at: usize) {
        let b = *lanes::<L>(&self.b[at..]);
        for (m, &a) in self.a.iter().enumerate() {
            let c = lanes_mut::<L>(&mut self.c.row(m)[at..]);
            for l in 0..L {
                c[l] = a * b[l];
            }
        }
    }
}

impl OuterProduct<'_> {
    /// In groups of `G` rows, tiles of `P` rows and `W` columns, two vectors.
    #[inline(always)]
    fn packed<I: Isa, const P: usize, const G: usize, const W: usize>(&mut self) {
        let (samples, rows, columns) = (self.a.count(), self.c.count(), self.c.len());
        let mut group = [[0.0; G]; SAMPLES];
        let mut panel = [[0.0; W]; SAMPLES];
        for start in (0..samples).step_by(SAMPLES) {
            let count = SAMPLES.min(samples - start);
            let base = Base::new(start, None);
            for top in (0..rows).step_by(G) {
                let height = G.min(rows - top);
                pack(&mut group[..count], self.a, start, top);
                for left in (0..columns).step_by(W) {
                    pack(&mut panel[..count], self.b, start, left);
                    let (a, b) = (&group[..count], &panel[..count]);
                    for tile in cover(height, [1, 4, P]) {
                        let (m, skip) = (tile.start, tile.skip);
                        let c = &mut self.c;
                        match tile.width {
                            width if width == P => outer::<I, P, G, W>(a, b, c, [top, m, skip, left], base),
                            4 => outer::<I, 4, G, W>(a, b, c, [top, m, skip, left], base),
                            _ => outer::<I, 1, G, W>(a, b, c, [top, m, skip, left], base),
                        }
                    }
                }
            }
        }
    }
}

/// Copies the columns from `left` on, as far as they go, of the rows from `start` on.
#[inline(always)]
fn pack<const W: usize>(panel: &mut [[f32; W]], from: Rows, start: usize, left: usize) {
    let width = W.min(from.len() - left);
    for (n, to) in panel.iter_mut().enumerate() {
        let from = &from.row(start + n)[left..][..width];
        match from.first_chunk() {
            Some(from) => *to = *from,
            None => to[..width].copy_from_slice(from),
        }
    }
}

/// A tile of `P` rows, from the group's row `m` on, without the first `skip`.
#[inline(always)]
fn outer<I: Isa, const P: usize, const G: usize, const W: usize>(
    a: &[[f32; G]],
    b: &[[f32; W]],
    c: &mut RowsMut,
    [top, m, skip, left]: [usize; 4],
    base: Base,
) {
    let mut sums = [[I::splat(0.0); 2]; P];
    assert!(m + P <= G, "the group holds a whole tile");
    for (a, b) in a.iter().zip(b) {
        let a = lanes::<P>(&a[m..]);
        let b = [I::load(b), I::load(&b[I::LANES..])];
        for p in 0..P {
            let a = I::splat(a[p]);
            for v in 0..2 {
                sums[p][v] = I::mul_add_lanes(a, b[v], sums[p][v]);
            }
        }
    }
    for p in 0..P {
        if p >= skip {
            put::<I, 2>(c.row(top + m + p), left, 0, base, sums[p]);
        }
    }
}
