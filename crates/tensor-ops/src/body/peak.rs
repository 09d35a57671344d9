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
        let (x, y) = (I::splat(black_box(0.999)), I::splat(black_box(0.001)));
        let mut sums = [I::splat(1.0); ACCUMULATORS];
        for _ in 0..self.rounds {
            for a in 0..ACCUMULATORS {
                sums[a] = I::mul_add_lanes(sums[a], x, y);
            }
        }
        black_box(sums);
        *self.count = self.rounds * ACCUMULATORS * I::LANES;
    }
}
