//! The dense layer and its gradients: matrix products, and the sum of columns.
//!
//! Which product is which depends on the order of the weights in memory:
//!
//! | | row-major, (in, out) | column-major, (out, in) |
//! |---|---|---|
//! | `forward` | [`product`] `x · w` | transposed [`product`] `x · wᵀ` |
//! | `grad_input` | transposed [`product`] `dy · wᵀ` | [`product`] `dy · w` |
//! | `grad_weight` | [`outer`] `xᵀ · dy` | [`outer`] `dyᵀ · x` |
//! | `sgd` | [`sgd`], along the rows | [`sgd`], across them |
//!
//! In a product, `a` has `m` rows and `b` gives `n` columns; `k` terms are summed for each of the `m × n` results `c`.
//! The order of each sum is given by `k`, `n` and the order of `b` alone, so a sample's result does not depend on its
//! batch.

pub(crate) mod outer;
pub(crate) mod product;
pub(crate) mod sgd;

mod direct;
mod dots;

use super::cover;
use super::tile::{lanes_mut, outer_in_turns};
use crate::dispatch::{Body, Isa};

/// Terms of a sum that are summed before they are added to the result.
const CHUNK: usize = 256;

/// What the sums are added to.
#[derive(Clone, Copy)]
enum Base<'a> {
    /// Nothing.
    Zero,
    /// A row of biases.
    Bias(&'a [f32]),
    /// What is there.
    Result,
}

impl<'a> Base<'a> {
    /// The first chunk of a sum starts from the bias, the others go on.
    fn new(start: usize, bias: Option<&'a [f32]>) -> Self {
        match (start, bias) {
            (0, Some(bias)) => Self::Bias(bias),
            (0, None) => Self::Zero,
            _ => Self::Result,
        }
    }
}

/// Writes `base + sums` to the columns from `at` on of a row of results, as far as it goes, without the first `skip`.
#[inline(always)]
fn put<I: Isa, const V: usize>(c: &mut [f32], at: usize, skip: usize, base: Base, sums: [I::Vector; V]) {
    let one = I::splat(1.0);
    if skip == 0 && at + V * I::LANES <= c.len() {
        for v in 0..V {
            let at = at + v * I::LANES;
            let base = match base {
                Base::Zero => I::splat(0.0),
                Base::Bias(bias) => I::load(&bias[at..]),
                Base::Result => I::load(&c[at..]),
            };
            I::store(I::mul_add_lanes(sums[v], one, base), &mut c[at..]);
        }
    } else {
        for v in 0..V {
            let mut lanes = [0.0; 16];
            I::store(sums[v], &mut lanes);
            for l in 0..I::LANES {
                let (place, at) = (v * I::LANES + l, at + v * I::LANES + l);
                if place < skip || at >= c.len() {
                    continue;
                }
                c[at] = lanes[l]
                    + match base {
                        Base::Zero => 0.0,
                        Base::Bias(bias) => bias[at],
                        Base::Result => c[at],
                    };
            }
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
