//! A step of plain gradient descent with one sample: the gradient of the input and the update of the weights, in one
//! pass over them.
//!
//! ```text
//! across  for each block of inputs, output o:  dx += dy[o] · w[o];  w[o] −= rate · dy[o] · x
//! along   for each input i:  dx[i] = Σₒ dy[o] · w[i, o];  w[i] −= rate · x[i] · dy
//! ```
//!
//! 1. Each weight is loaded once, used for the gradient, and stored once; the gradient of the weights is never
//!    stored. What is left to pay for are the loads and stores.
//! 2. Across column-major weights, a block of four vectors of `x` and of sums for `dx` stays in registers while the
//!    outputs pass by, and each output's weights are read and written in one long piece.
//! 3. The blocks go from the last input to the first: the forward pass read the last ones last, so they are still in
//!    the L1 cache.

use crate::body::rows::{Rows, RowsMut};
use crate::dispatch::{Body, Isa};
use crate::view::Matrix;

/// `dx = dy · wᵀ`, then `w −= rate · xᵀ · dy` and `b −= rate · Σ dy`.
pub(crate) struct Sgd<'a> {
    pub rate: f32,
    pub x: Rows<'a>,
    pub dy: Rows<'a>,
    pub weight: Matrix<RowsMut<'a>>,
    pub bias: &'a mut [f32],
    /// Of a single sample alone: the second would find changed weights.
    pub dx: Option<RowsMut<'a>>,
}

impl Body for Sgd<'_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        for n in 0..self.x.count() {
            let (rate, x, dy) = (self.rate, self.x.row(n), self.dy.row(n));
            let dx = self.dx.as_mut().map(|dx| dx.row(n));
            for (bias, dy) in self.bias.iter_mut().zip(dy) {
                *bias -= rate * dy;
            }
            match &mut self.weight {
                Matrix::Rows(weight) => along::<I>(rate, x, dy, weight, dx),
                Matrix::Columns(weight) => Across { rate, x, dy, weight, dx }.run::<I>(),
            }
        }
    }
}

/// Column-major weights.
struct Across<'a, 'b> {
    rate: f32,
    x: &'a [f32],
    dy: &'a [f32],
    weight: &'a mut RowsMut<'b>,
    dx: Option<&'a mut [f32]>,
}

impl Across<'_, '_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        let mut end = self.x.len();
        self.blocks::<I, 4>(&mut end);
        self.blocks::<I, 1>(&mut end);
        self.blocks::<I::Half, 1>(&mut end);
        self.blocks::<<I::Half as Isa>::Half, 1>(&mut end);
        for i in 0..end {
            let mut sum = 0.0;
            for (o, &dy) in self.dy.iter().enumerate() {
                let w = &mut self.weight.row(o)[i];
                sum = I::mul_add(dy, *w, sum);
                *w = I::mul_add(-self.rate * dy, self.x[i], *w);
            }
            if let Some(dx) = &mut self.dx {
                dx[i] = sum;
            }
        }
    }

    /// As many blocks of `V` vectors as there are before `end`.
    #[inline(always)]
    fn blocks<I: Isa, const V: usize>(&mut self, end: &mut usize) {
        let width = V * I::LANES;
        while *end >= width {
            *end -= width;
            let start = *end;
            let (mut x, mut sums) = ([I::splat(0.0); V], [I::splat(0.0); V]);
            for v in 0..V {
                x[v] = I::load(&self.x[start + v * I::LANES..]);
            }
            for (o, &dy) in self.dy.iter().enumerate() {
                let weight = &mut self.weight.row(o)[start..][..width];
                let (factor, dy) = (I::splat(-self.rate * dy), I::splat(dy));
                for v in 0..V {
                    let weight = &mut weight[v * I::LANES..];
                    let w = I::load(weight);
                    sums[v] = I::mul_add_lanes(dy, w, sums[v]);
                    I::store(I::mul_add_lanes(factor, x[v], w), weight);
                }
            }
            if let Some(dx) = &mut self.dx {
                for v in 0..V {
                    I::store(sums[v], &mut dx[start + v * I::LANES..]);
                }
            }
        }
    }
}

/// Row-major weights.
#[inline(always)]
fn along<I: Isa>(rate: f32, x: &[f32], dy: &[f32], weight: &mut RowsMut, mut dx: Option<&mut [f32]>) {
    for (i, &x) in x.iter().enumerate().rev() {
        let factor = -rate * x;
        let mut sum = 0.0;
        for (w, &dy) in weight.row(i).iter_mut().zip(dy) {
            sum = I::mul_add(dy, *w, sum);
            *w = I::mul_add(factor, dy, *w);
        }
        if let Some(dx) = &mut dx {
            dx[i] = sum;
        }
    }
}
