//! The product with a transposed matrix, of few columns: each result is the dot of two rows.
//!
//! ```text
//! for each tile of ≤ 2 rows of a and ≤ 10 rows of b:
//!     for each vector of terms k: sums[p][q] += a[p][k] · b[q][k], lane by lane
//!     c = bias + Σ over the lanes of sums
//! ```
//!
//! 1. The terms went innermost, for they are adjacent in both operands: nothing is packed or turned around.
//! 2. A vector of `a` is used by all rows of `b`: with ten outputs and one sample, all weights are read once, and ten
//!    sums hide the latency of the multiply-add.
//! 3. What the vectors leave over is a last vector moved back, with the terms that were taken already set to zero.

use crate::body::cover;
use crate::body::rows::{Rows, RowsMut};
use crate::dispatch::{Body, Isa};

/// `c = a · bᵀ + bias`, of at least one term.
pub(super) struct Dots<'a> {
    pub a: Rows<'a>,
    pub b: Rows<'a>,
    pub bias: Option<&'a [f32]>,
    pub c: RowsMut<'a>,
}

impl Body for Dots<'_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        for rows in cover(self.a.count(), [1, 2]) {
            for columns in cover(self.b.count(), [1, 5, 10]) {
                let (m, n) = (rows.start, columns.start);
                match (rows.width, columns.width) {
                    (2, 10) => {
                        self.tile::<I, 2, 5>(m, n);
                        self.tile::<I, 2, 5>(m, n + 5);
                    }
                    (2, 5) => self.tile::<I, 2, 5>(m, n),
                    (2, _) => self.tile::<I, 2, 1>(m, n),
                    (_, 10) => self.tile::<I, 1, 10>(m, n),
                    (_, 5) => self.tile::<I, 1, 5>(m, n),
                    (_, _) => self.tile::<I, 1, 1>(m, n),
                }
            }
        }
    }
}

impl Dots<'_> {
    /// `P` rows of `a` from `m` on with `Q` rows of `b` from `n` on.
    #[inline(always)]
    fn tile<I: Isa, const P: usize, const Q: usize>(&mut self, m: usize, n: usize) {
        let terms = self.a.len();
        let (mut rows, mut columns) = ([[].as_slice(); P], [[].as_slice(); Q]);
        for p in 0..P {
            rows[p] = &self.a.row(m + p)[..terms];
        }
        for q in 0..Q {
            columns[q] = &self.b.row(n + q)[..terms];
        }
        let mut sums = [[I::splat(0.0); Q]; P];
        let whole = terms / I::LANES * I::LANES;
        for k in (0..whole).step_by(I::LANES) {
            let mut a = [I::splat(0.0); P];
            for p in 0..P {
                a[p] = I::load(&rows[p][k..]);
            }
            for q in 0..Q {
                let b = I::load(&columns[q][k..]);
                for p in 0..P {
                    sums[p][q] = I::mul_add_lanes(a[p], b, sums[p][q]);
                }
            }
        }
        if whole < terms {
            let rest = terms - whole;
            for p in 0..P {
                let a = last::<I>(rows[p], rest);
                for q in 0..Q {
                    let b = match terms >= I::LANES {
                        true => I::load(&columns[q][terms - I::LANES..]),
                        false => last::<I>(columns[q], rest),
                    };
                    sums[p][q] = I::mul_add_lanes(a, b, sums[p][q]);
                }
            }
        }
        for p in 0..P {
            let c = &mut self.c.row(m + p)[n..][..Q];
            for q in 0..Q {
                c[q] = self.bias.map_or(0.0, |bias| bias[n + q]) + sum::<I>(sums[p][q]);
            }
        }
    }
}

/// The last `count` elements of a row at the end of a vector of zeros.
#[inline(always)]
fn last<I: Isa>(row: &[f32], count: usize) -> I::Vector {
    let mut lanes = [0.0; 16];
    lanes[I::LANES - count..I::LANES].copy_from_slice(&row[row.len() - count..]);
    I::load(&lanes)
}

/// The sum of the lanes, by halves.
#[inline(always)]
fn sum<I: Isa>(vector: I::Vector) -> f32 {
    let mut lanes = [0.0; 16];
    I::store(vector, &mut lanes);
    let mut width = I::LANES / 2;
    while width > 0 {
        for l in 0..width {
            lanes[l] += lanes[l + width];
        }
        width /= 2;
    }
    lanes[0]
}
