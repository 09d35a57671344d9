//! The dense layer and its gradients: three matrix products and a sum of columns.
//!
//! ```text
//! product     c = bias
//!             for each chunk of k, block of ≤ 16 columns:
//!                 for each tile of ≤ 6 rows: sums = multiply(rows of a, rows of b); c += sums
//! transposed  for each tile of rows and columns: c = Σ over lanes of dot(rows of a, rows of b) + bias
//! outer       for each tile of ≤ 6 rows × ≤ 16 columns: c = outer(columns of a, columns of b)
//! grad_bias   for each block of outputs: dbias = outer(1, columns of dy)
//! ```
//!
//! Which product is which depends on the order of the weights in memory:
//!
//! | | row-major, (in, out) | column-major, (out, in) |
//! |---|---|---|
//! | `forward` | product `x · w` | transposed `x · wᵀ` |
//! | `grad_input` | transposed `dy · wᵀ` | product `dy · w` |
//! | `grad_weight` | outer `xᵀ · dy` | outer `dyᵀ · x` |
//!
//! What was done to the naive loops, and why:
//!
//! 1. The columns of the result went innermost: they are adjacent in it and in `b`, so a block of them is one or
//!    two vectors, and a tile of blocks stays in registers.
//! 2. The sum is cut into chunks: a block's chunk of weights stays in the L1 cache while all samples use it,
//!    and sums of sums lose fewer bits than one long sum.
//! 3. With several samples the chunk is copied into a panel first: rows of weights that are a power of two
//!    apart would displace each other from the cache.
//! 4. A product of few columns has too few sums for a tile of one sample, and each would wait for the one before.
//!    There every eighth (fourth) term goes to a partial sum of its own.
//!
//! The order of each sum in `forward` and `grad_input` is given by the weights' sizes and order alone, so a
//! sample's result does not depend on its batch.

use super::tile::{dot, lanes, lanes_mut, multiply, outer, outer_in_turns, rows, sum, through_memory};
use super::{Stretch, cover};
use crate::dispatch::{Body, Isa};

/// Terms of a sum that are summed before they are added to the result.
const CHUNK: usize = 256;

/// Products with fewer columns than this take the path for few outputs.
const FEW: usize = 32;

/// Sizes of a product: of `m × k` and `k × n` numbers, `m × n`.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub m: usize,
    pub k: usize,
    pub n: usize,
}

/// `c = a · b + bias`, with `a` of `m × k` and `b` of `k × n` numbers.
pub(crate) struct Product<'a> {
    pub sizes: Sizes,
    pub a: &'a [f32],
    pub b: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub c: &'a mut [f32],
}

impl Body for Product<'_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        let Sizes { m, k, n } = self.sizes;
        match self.bias {
            Some(bias) => (0..m).for_each(|row| self.c[row * n..][..n].copy_from_slice(bias)),
            None => self.c.fill(0.0),
        }
        let mut panel = [[0.0; 16]; CHUNK];
        for start in (0..k).step_by(CHUNK) {
            let chunk = Stretch { start, width: CHUNK.min(k - start), skip: 0 };
            if n >= FEW {
                for block in cover(n, [16]) {
                    self.many::<I>(chunk, block, &mut panel);
                }
            } else {
                for block in cover(n, [1, 4, 8, 16]) {
                    match block.width {
                        16 => self.few::<I, 4, 16>(chunk, block),
                        8 => self.few::<I, 8, 8>(chunk, block),
                        4 => self.few::<I, 8, 4>(chunk, block),
                        _ => self.few::<I, 8, 1>(chunk, block),
                    }
                }
            }
        }
    }
}

impl Product<'_> {
    /// Adds a chunk of the sum to a block of columns, of few.
    #[inline(always)]
    fn few<I: Isa, const U: usize, const L: usize>(&mut self, chunk: Stretch, block: Stretch) {
        let Sizes { m, k, n } = self.sizes;
        let b = &self.b[chunk.start * n..][..chunk.width * n];
        for row in 0..m {
            let a = &self.a[row * k + chunk.start..][..chunk.width];
            let total = outer_in_turns::<I, U, L>(a, 1, b, n, block.start);
            let c = lanes_mut::<L>(&mut self.c[row * n + block.start..]);
            for l in 0..L {
                c[l] += if l < block.skip { 0.0 } else { total[l] };
            }
        }
    }

    /// Adds a chunk of the sum to a block of 16 columns, of many.
    #[inline(always)]
    fn many<I: Isa>(&mut self, chunk: Stretch, block: Stretch, panel: &mut [[f32; 16]; CHUNK]) {
        let Sizes { m, n, .. } = self.sizes;
        let b = &self.b[chunk.start * n..][..chunk.width * n];
        if m < 6 {
            for start in 0..m {
                let row = Stretch { start, width: 1, skip: 0 };
                self.tile::<I, 1>(chunk, block, row, b, n, block.start);
            }
            return;
        }
        for (panel, row) in panel.iter_mut().zip(b.chunks_exact(n)) {
            *panel = *lanes(&row[block.start..]);
        }
        for rows in cover(m, [1, 6]) {
            let panel = panel.as_flattened();
            match rows.width {
                6 => self.tile::<I, 6>(chunk, block, rows, panel, 16, 0),
                _ => self.tile::<I, 1>(chunk, block, rows, panel, 16, 0),
            }
        }
    }

    /// Adds the product of `P` rows of `a` with columns `at..at + 16` of `b`, whose rows have `columns` elements.
    #[inline(always)]
    fn tile<I: Isa, const P: usize>(
        &mut self,
        chunk: Stretch,
        block: Stretch,
        samples: Stretch,
        b: &[f32],
        columns: usize,
        at: usize,
    ) {
        let Sizes { k, n, .. } = self.sizes;
        let mut sums = [[0.0; 16]; P];
        let a = rows::<P>(&self.a[samples.start * k + chunk.start..], k, chunk.width);
        multiply::<I, P, 16>(&mut sums, a, b, columns, at);
        // Constant loops with a test: an index that is not constant would move the sums to memory.
        for p in 0..P {
            if p < samples.skip {
                continue;
            }
            let c = lanes_mut::<16>(&mut self.c[(samples.start + p) * n + block.start..]);
            for l in 0..16 {
                c[l] += if l < block.skip { 0.0 } else { sums[p][l] };
            }
        }
    }
}

/// `c = a · bᵀ + bias`, with `a` of `m × k` and `b` of `n × k` numbers.
pub(crate) struct TransposedProduct<'a> {
    pub sizes: Sizes,
    pub a: &'a [f32],
    pub b: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub c: &'a mut [f32],
}

impl Body for TransposedProduct<'_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        let Sizes { m, k, n } = self.sizes;
        match (k, m) {
            (0, _) => self.c.fill(0.0),
            (1..4, _) => self.tiles::<I, 1, 8, 1>(),
            (4..8, _) => self.tiles::<I, 1, 8, 4>(),
            (_, 1) => self.tiles::<I, 1, 4, 8>(),
            (_, _) => self.tiles::<I, 2, 4, 8>(),
        }
        if let Some(bias) = self.bias {
            for row in 0..m {
                for (c, bias) in self.c[row * n..][..n].iter_mut().zip(bias) {
                    *c += bias;
                }
            }
        }
    }
}

impl TransposedProduct<'_> {
    /// Everything, in tiles of `P` rows of `a` and `Q` rows of `b`, with `L` partial sums each.
    #[inline(always)]
    fn tiles<I: Isa, const P: usize, const Q: usize, const L: usize>(&mut self) {
        let Sizes { m, n, .. } = self.sizes;
        for columns in cover(n, [1, Q]) {
            for rows in cover(m, [1, P]) {
                match (rows.width == P, columns.width == Q) {
                    (true, true) => self.tile::<I, P, Q, L>(rows.start, columns.start),
                    (true, false) => self.tile::<I, P, 1, L>(rows.start, columns.start),
                    (false, true) => self.tile::<I, 1, Q, L>(rows.start, columns.start),
                    (false, false) => self.tile::<I, 1, 1, L>(rows.start, columns.start),
                }
            }
        }
    }

    /// `P` rows from `row` on, `Q` columns from `column` on.
    #[inline(always)]
    fn tile<I: Isa, const P: usize, const Q: usize, const L: usize>(&mut self, row: usize, column: usize) {
        let Sizes { k, n, .. } = self.sizes;
        let mut sums = [[[0.0; L]; Q]; P];
        let a = rows::<P>(&self.a[row * k..], k, k);
        let b = rows::<Q>(&self.b[column * k..], k, k);
        dot::<I, P, Q, L>(&mut sums, a, b);
        let sums = through_memory(sums);
        for p in 0..P {
            let c = lanes_mut::<Q>(&mut self.c[(row + p) * n + column..]);
            for q in 0..Q {
                c[q] = sum(sums[p][q]);
            }
        }
    }
}

/// `c = aᵀ · b`, with `a` of `k × m` and `b` of `k × n` numbers.
pub(crate) struct OuterProduct<'a> {
    pub sizes: Sizes,
    pub a: &'a [f32],
    pub b: &'a [f32],
    pub c: &'a mut [f32],
}

impl Body for OuterProduct<'_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        let Sizes { m, k, n } = self.sizes;
        if k == 1 {
            for block in cover(n, [1, 4, 8, 16]) {
                match block.width {
                    16 => self.single::<16>(block.start),
                    8 => self.single::<8>(block.start),
                    4 => self.single::<4>(block.start),
                    _ => self.single::<1>(block.start),
                }
            }
            return;
        }
        for rows in cover(m, [1, 6]) {
            for block in cover(n, [1, 4, 8, 16]) {
                let (row, column) = (rows.start, block.start);
                match (rows.width, block.width) {
                    (6, 16) => self.tile::<I, 6, 16>(row, column),
                    (6, 8) => self.tile::<I, 6, 8>(row, column),
                    (6, 4) => self.tile::<I, 6, 4>(row, column),
                    (6, _) => self.tile::<I, 6, 1>(row, column),
                    (_, 16) => self.tile::<I, 1, 16>(row, column),
                    (_, 8) => self.tile::<I, 1, 8>(row, column),
                    (_, 4) => self.tile::<I, 1, 4>(row, column),
                    (_, _) => self.tile::<I, 1, 1>(row, column),
                }
            }
        }
    }
}

impl OuterProduct<'_> {
    /// `L` columns from `column` on for a single sample: nothing is summed, so there is no tile to fill.
    #[inline(always)]
    fn single<const L: usize>(&mut self, column: usize) {
        let b = *lanes::<L>(&self.b[column..]);
        for (row, &a) in self.c.chunks_exact_mut(self.sizes.n).zip(self.a) {
            let row = lanes_mut::<L>(&mut row[column..]);
            for l in 0..L {
                row[l] = a * b[l];
            }
        }
    }

    /// `T` rows from `row` on, `L` columns from `column` on, over all samples.
    #[inline(always)]
    fn tile<I: Isa, const T: usize, const L: usize>(&mut self, row: usize, column: usize) {
        let Sizes { m, k, n } = self.sizes;
        let a = &self.a[row.min(self.a.len())..];
        let mut sums = [[0.0; L]; T];
        outer::<I, T, L>(&mut sums, k, a, m, self.b, n, column);
        for t in 0..T {
            *lanes_mut(&mut self.c[(row + t) * n + column..]) = sums[t];
        }
    }
}

/// The sum of each of `columns` columns of `dy`: the gradient of a bias, of a dense layer or a convolution.
pub(crate) struct GradBias<'a> {
    pub dy: &'a [f32],
    pub dbias: &'a mut [f32],
}

impl Body for GradBias<'_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        for block in cover(self.dbias.len(), [1, 4, 8, 16]) {
            match block.width {
                16 => self.block::<I, 4, 16>(block.start),
                8 => self.block::<I, 4, 8>(block.start),
                4 => self.block::<I, 4, 4>(block.start),
                _ => self.block::<I, 4, 1>(block.start),
            }
        }
    }
}

impl GradBias<'_> {
    /// `L` columns from `at` on, in `U` partial sums.
    #[inline(always)]
    fn block<I: Isa, const U: usize, const L: usize>(&mut self, at: usize) {
        let total = outer_in_turns::<I, U, L>(&[1.0], 0, self.dy, self.dbias.len(), at);
        *lanes_mut(&mut self.dbias[at..]) = total;
    }
}
