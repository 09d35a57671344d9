//! Multiply-adds that wait for nothing: what the processor can do at the most.
//!
//! ```text
//! for each round, accumulator: sums[accumulator] = sums[accumulator] · x + y
//! ```
//!
//! Twelve accumulators of a register each hide the latency of the multiply-add; nothing is loaded or stored.

use crate::dispatch::{Body, Isa};
use std::hint::black_box;

/// Accumulators of one register each.
pub(crate) const ACCUMULATORS: usize = 12;

pub(crate) struct Peak<'a> {
    pub rounds: usize,
    /// Takes the multiply-adds that were done.
    pub count: &'a mut usize,
}

impl Body for Peak<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        match I::LANES {
            16 => self.lanes::<I, 16>(),
            8 => self.lanes::<I, 8>(),
            _ => self.lanes::<I, 4>(),
        }
    }
}

impl Peak<'_> {
    #[inline(always)]
    fn lanes<I: Isa, const L: usize>(self) {
        let (x, y) = (black_box([0.999; L]), black_box([0.001; L]));
        let mut sums = [[1.0; L]; ACCUMULATORS];
        for _ in 0..self.rounds {
            for a in 0..ACCUMULATORS {
                for l in 0..L {
                    sums[a][l] = I::mul_add(sums[a][l], x[l], y[l]);
                }
            }
        }
        black_box(sums);
        *self.count = self.rounds * ACCUMULATORS * L;
    }
}
