//! The product of matrices, of many rows: panels in the cache, a tile in registers.
//!
//! ```text
//! for each stack of ≤ 64 rows, chunk of ≤ 256 terms:
//!     pack the stack's rows of a
//!     for each block of two vectors of columns:
//!         pack the block's columns of b
//!         for each tile of rows: sums = multiply(rows of a, rows of b); c += sums
//! ```
//!
//! 1. The columns went innermost: they are adjacent in `c`, so a block of them is two vectors. With 12 rows (of 32
//!    registers; 6 of 16) a tile takes 14 loads for 24 multiply-adds.
//! 2. The sum is cut into chunks: a block's chunk of `b` stays in the L1 cache while all rows of the stack use it, and
//!    sums of sums lose fewer bits than one long sum.
//! 3. Both operands are copied into panels: rows that are near a multiple of 4 KiB apart would displace each other from
//!    the cache, and a panel's rows have addresses that are known to the compiler. Where `b` lies transposed, the copy
//!    turns it around.
//! 4. Few rows do not pay for packing: [`direct`](super::direct). Few columns would not fill a block:
//!    [`dots`](super::dots) or, where `b` is not transposed, turns.

use super::direct::{FewColumns, FewRows};
use super::dots::Dots;
use super::{Base, CHUNK, put};
use crate::Kernels;
use crate::body::cover;
use crate::body::rows::{Rows, RowsMut};
use crate::dispatch::{Body, Isa, dispatch};
use crate::view::Matrix;

/// Rows that are packed at once.
const STACK: usize = 64;

/// Products with fewer columns than this have no blocks.
const FEW: usize = 32;

/// `c = a · b + bias`.
pub(crate) struct Product<'a> {
    /// `m` rows of `k` numbers.
    pub a: Rows<'a>,
    /// `k` rows of `n` numbers, or as many columns.
    pub b: Matrix<Rows<'a>>,
    /// `n` numbers.
    pub bias: Option<&'a [f32]>,
    /// `m` rows of `n` numbers.
    pub c: RowsMut<'a>,
}

impl Product<'_> {
    /// Runs it by the way that its sizes ask for. Each is a body of its own: one with panels has a large frame, which
    /// takes longer to enter than a small product needs.
    pub fn dispatch(mut self, kernels: Kernels) {
        let (few, rows) = (self.c.len() < FEW, self.a.count());
        match self.b {
            _ if self.a.len() == 0 => {
                for m in 0..rows {
                    match self.bias {
                        Some(bias) => self.c.row(m).copy_from_slice(bias),
                        None => self.c.row(m).fill(0.0),
                    }
                }
            }
            Matrix::Rows(b) if few => {
                dispatch(kernels, FewColumns { a: self.a, b, bias: self.bias, c: self.c })
            }
            Matrix::Columns(b) if few => dispatch(kernels, Dots { a: self.a, b, bias: self.bias, c: self.c }),
            Matrix::Rows(b) if rows < 8 => {
                dispatch(kernels, FewRows { a: self.a, b, bias: self.bias, c: self.c });
            }
            _ => dispatch(kernels, self),
        }
    }
}

impl Body for Product<'_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        match I::LANES {
            16 => self.packed::<I, 12, 32>(),
            8 => self.packed::<I, 6, 16>(),
            _ => self.packed::<I, 6, 8>(),
        }
    }
}

impl Product<'_> {
    /// In tiles of `P` rows and `W` columns, two vectors.
    #[inline(always)]
    fn packed<I: Isa, const P: usize, const W: usize>(&mut self) {
        let (rows, terms, columns) = (self.a.count(), self.a.len(), self.c.len());
        let mut stack = [[0.0; CHUNK]; STACK];
        let mut panel = [[0.0; W]; CHUNK];
        for top in (0..rows).step_by(STACK) {
            let height = STACK.min(rows - top);
            for start in (0..terms).step_by(CHUNK) {
                let chunk = CHUNK.min(terms - start);
                for m in 0..height {
                    stack[m][..chunk].copy_from_slice(&self.a.row(top + m)[start..][..chunk]);
                }
                for left in (0..columns).step_by(W) {
                    let panel = &mut panel[..chunk];
                    self.pack(panel, start, left);
                    let base = Base::new(start, self.bias);
                    for tile in cover(height, [1, 4, P]) {
                        let (m, skip) = (top + tile.start, tile.skip);
                        let a = &stack[tile.start..];
                        match tile.width {
                            width if width == P => self.tile::<I, P, W>(a, panel, m, skip, left, base),
                            4 => self.tile::<I, 4, W>(a, panel, m, skip, left, base),
                            _ => self.tile::<I, 1, W>(a, panel, m, skip, left, base),
                        }
                    }
                }
            }
        }
    }

    /// Copies the columns of `b` from `left` on, terms from `start` on; a last block ends in zeros.
    #[inline(always)]
    fn pack<const W: usize>(&self, panel: &mut [[f32; W]], start: usize, left: usize) {
        let width = W.min(self.c.len() - left);
        if width < W {
            panel.fill([0.0; W]);
        }
        match self.b {
            Matrix::Rows(b) => {
                for (k, to) in panel.iter_mut().enumerate() {
                    let from = &b.row(start + k)[left..][..width];
                    match from.first_chunk() {
                        Some(from) => *to = *from,
                        None => to[..width].copy_from_slice(from),
                    }
                }
            }
            Matrix::Columns(b) => {
                for n in 0..width {
                    for (to, from) in panel.iter_mut().zip(&b.row(left + n)[start..]) {
                        to[n] = *from;
                    }
                }
            }
        }
    }

    /// Adds the product of `P` rows with a panel to the rows from `m` on, without the first `skip`.
    #[inline(always)]
    fn tile<I: Isa, const P: usize, const W: usize>(
        &mut self,
        a: &[[f32; CHUNK]],
        panel: &[[f32; W]],
        m: usize,
        skip: usize,
        left: usize,
        base: Base,
    ) {
        let a: &[[f32; CHUNK]; P] = a.first_chunk().expect("the stack holds a whole tile");
        let chunk = panel.len();
        assert!(chunk <= CHUNK, "a panel is a chunk long");
        let mut sums = [[I::splat(0.0); 2]; P];
        for k in 0..chunk {
            let b = [I::load(&panel[k]), I::load(&panel[k][I::LANES..])];
            for p in 0..P {
                let a = I::splat(a[p][k]);
                for v in 0..2 {
                    sums[p][v] = I::mul_add_lanes(a, b[v], sums[p][v]);
                }
            }
        }
        for p in 0..P {
            if p >= skip {
                put::<I, 2>(self.c.row(m + p), left, 0, base, sums[p]);
            }
        }
    }
}
