//! The dense layer and its gradients: three matrix products and a sum of columns.
//!
//! ```text
//! forward     y = bias
//!             for each chunk of inputs, block of ≤ 16 outputs:
//!                 for each tile of ≤ 6 samples: sums = multiply(rows of x, rows of weight); y += sums
//! grad_input  for each tile of inputs and samples: dx = Σ over lanes of dot(rows of dy, rows of weight)
//! grad_weight for each tile of ≤ 6 inputs × ≤ 16 outputs: dweight = outer(columns of x, columns of dy)
//! grad_bias   for each block of outputs: dbias = outer(1, columns of dy)
//! ```
//!
//! What was done to the naive loops, and why:
//!
//! 1. The outputs went innermost: they are adjacent in `y`, `dy` and `weight`, so a block of them is one or two
//!    vectors, and a tile of blocks stays in registers.
//! 2. The inputs are cut into chunks: a block's chunk of weights stays in the L1 cache while all samples use it,
//!    and sums of sums lose fewer bits than one long sum.
//! 3. With several samples the chunk is copied into a panel first: rows of weights that are a power of two
//!    apart would displace each other from the cache.
//! 4. A layer of few outputs has too few sums for a tile of one sample, and each would wait for the one before.
//!    There every eighth (fourth) input goes to a partial sum of its own.
//!
//! The order of each sum in `forward` and `grad_input` is given by the layer's sizes alone, so a sample's result
//! does not depend on its batch.

use super::tile::{dot, lanes, lanes_mut, multiply, outer, outer_in_turns, rows, sum, through_memory};
use super::{Stretch, cover};
use crate::dispatch::{Body, Isa};

/// Inputs that are summed before they are added to the result.
const CHUNK: usize = 256;

/// Layers with fewer outputs than this take the path for few outputs.
const FEW: usize = 32;

/// The sizes that all four functions share.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub batch: usize,
    pub inputs: usize,
    pub outputs: usize,
}

pub(crate) struct Forward<'a> {
    pub sizes: Sizes,
    pub x: &'a [f32],
    pub weight: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub y: &'a mut [f32],
}

impl Body for Forward<'_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        let Sizes { batch, inputs, outputs } = self.sizes;
        match self.bias {
            Some(bias) => (0..batch).for_each(|n| self.y[n * outputs..][..outputs].copy_from_slice(bias)),
            None => self.y.fill(0.0),
        }
        let mut panel = [[0.0; 16]; CHUNK];
        for start in (0..inputs).step_by(CHUNK) {
            let chunk = Stretch { start, width: CHUNK.min(inputs - start), skip: 0 };
            if outputs >= FEW {
                for block in cover(outputs, [16]) {
                    self.many::<I>(chunk, block, &mut panel);
                }
            } else {
                for block in cover(outputs, [1, 4, 8, 16]) {
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

impl Forward<'_> {
    /// Adds a chunk of inputs to a block of outputs, of few.
    #[inline(always)]
    fn few<I: Isa, const U: usize, const L: usize>(&mut self, chunk: Stretch, block: Stretch) {
        let Sizes { batch, inputs, outputs } = self.sizes;
        let weight = &self.weight[chunk.start * outputs..][..chunk.width * outputs];
        for n in 0..batch {
            let x = &self.x[n * inputs + chunk.start..][..chunk.width];
            let total = outer_in_turns::<I, U, L>(x, 1, weight, outputs, block.start);
            let y = lanes_mut::<L>(&mut self.y[n * outputs + block.start..]);
            for l in 0..L {
                y[l] += if l < block.skip { 0.0 } else { total[l] };
            }
        }
    }

    /// Adds a chunk of inputs to a block of 16 outputs, of many.
    #[inline(always)]
    fn many<I: Isa>(&mut self, chunk: Stretch, block: Stretch, panel: &mut [[f32; 16]; CHUNK]) {
        let Sizes { batch, outputs, .. } = self.sizes;
        let weight = &self.weight[chunk.start * outputs..][..chunk.width * outputs];
        if batch < 6 {
            for n in 0..batch {
                self.samples::<I, 1>(
                    chunk,
                    block,
                    Stretch { start: n, width: 1, skip: 0 },
                    weight,
                    outputs,
                    block.start,
                );
            }
            return;
        }
        for (panel, row) in panel.iter_mut().zip(weight.chunks_exact(outputs)) {
            *panel = *lanes(&row[block.start..]);
        }
        for samples in cover(batch, [1, 6]) {
            let panel = panel.as_flattened();
            match samples.width {
                6 => self.samples::<I, 6>(chunk, block, samples, panel, 16, 0),
                _ => self.samples::<I, 1>(chunk, block, samples, panel, 16, 0),
            }
        }
    }

    /// Adds the product of `P` samples with columns `at..at + 16` of `weight`.
    #[inline(always)]
    fn samples<I: Isa, const P: usize>(
        &mut self,
        chunk: Stretch,
        block: Stretch,
        samples: Stretch,
        weight: &[f32],
        columns: usize,
        at: usize,
    ) {
        let Sizes { inputs, outputs, .. } = self.sizes;
        let mut sums = [[0.0; 16]; P];
        let x = rows::<P>(&self.x[samples.start * inputs + chunk.start..], inputs, chunk.width);
        multiply::<I, P, 16>(&mut sums, x, weight, columns, at);
        // Constant loops with a test: an index that is not constant would move the sums to memory.
        for p in 0..P {
            if p < samples.skip {
                continue;
            }
            let y = lanes_mut::<16>(&mut self.y[(samples.start + p) * outputs + block.start..]);
            for l in 0..16 {
                y[l] += if l < block.skip { 0.0 } else { sums[p][l] };
            }
        }
    }
}

pub(crate) struct GradInput<'a> {
    pub sizes: Sizes,
    pub dy: &'a [f32],
    pub weight: &'a [f32],
    pub dx: &'a mut [f32],
}

impl Body for GradInput<'_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        match (self.sizes.outputs, self.sizes.batch) {
            (0, _) => self.dx.fill(0.0),
            (1..4, _) => self.tiles::<I, 1, 8, 1>(),
            (4..8, _) => self.tiles::<I, 1, 8, 4>(),
            (_, 1) => self.tiles::<I, 1, 4, 8>(),
            (_, _) => self.tiles::<I, 2, 4, 8>(),
        }
    }
}

impl GradInput<'_> {
    /// Everything, in tiles of `P` samples and `Q` inputs, with `L` partial sums over the outputs.
    #[inline(always)]
    fn tiles<I: Isa, const P: usize, const Q: usize, const L: usize>(&mut self) {
        let Sizes { batch, inputs, .. } = self.sizes;
        for block in cover(inputs, [1, Q]) {
            for samples in cover(batch, [1, P]) {
                let (n, i) = (samples.start, block.start);
                match (samples.width == P, block.width == Q) {
                    (true, true) => self.tile::<I, P, Q, L>(n, i),
                    (true, false) => self.tile::<I, P, 1, L>(n, i),
                    (false, true) => self.tile::<I, 1, Q, L>(n, i),
                    (false, false) => self.tile::<I, 1, 1, L>(n, i),
                }
            }
        }
    }

    /// `P` samples from `n` on, `Q` inputs from `i` on.
    #[inline(always)]
    fn tile<I: Isa, const P: usize, const Q: usize, const L: usize>(&mut self, n: usize, i: usize) {
        let Sizes { inputs, outputs, .. } = self.sizes;
        let mut sums = [[[0.0; L]; Q]; P];
        let dy = rows::<P>(&self.dy[n * outputs..], outputs, outputs);
        let weight = rows::<Q>(&self.weight[i * outputs..], outputs, outputs);
        dot::<I, P, Q, L>(&mut sums, dy, weight);
        let sums = through_memory(sums);
        for p in 0..P {
            let dx = lanes_mut::<Q>(&mut self.dx[(n + p) * inputs + i..]);
            for q in 0..Q {
                dx[q] = sum(sums[p][q]);
            }
        }
    }
}

pub(crate) struct GradWeight<'a> {
    pub sizes: Sizes,
    pub x: &'a [f32],
    pub dy: &'a [f32],
    pub dweight: &'a mut [f32],
}

impl Body for GradWeight<'_> {
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        let Sizes { batch, inputs, outputs } = self.sizes;
        if batch == 1 {
            for block in cover(outputs, [1, 4, 8, 16]) {
                match block.width {
                    16 => self.single::<16>(block.start),
                    8 => self.single::<8>(block.start),
                    4 => self.single::<4>(block.start),
                    _ => self.single::<1>(block.start),
                }
            }
            return;
        }
        for entries in cover(inputs, [1, 6]) {
            for block in cover(outputs, [1, 4, 8, 16]) {
                let (i, o) = (entries.start, block.start);
                match (entries.width, block.width) {
                    (6, 16) => self.tile::<I, 6, 16>(i, o),
                    (6, 8) => self.tile::<I, 6, 8>(i, o),
                    (6, 4) => self.tile::<I, 6, 4>(i, o),
                    (6, _) => self.tile::<I, 6, 1>(i, o),
                    (_, 16) => self.tile::<I, 1, 16>(i, o),
                    (_, 8) => self.tile::<I, 1, 8>(i, o),
                    (_, 4) => self.tile::<I, 1, 4>(i, o),
                    (_, _) => self.tile::<I, 1, 1>(i, o),
                }
            }
        }
    }
}

impl GradWeight<'_> {
    /// `L` outputs from `o` on for a single sample: nothing is summed, so there is no tile to fill.
    #[inline(always)]
    fn single<const L: usize>(&mut self, o: usize) {
        let dy = *lanes::<L>(&self.dy[o..]);
        for (row, &x) in self.dweight.chunks_exact_mut(self.sizes.outputs).zip(self.x) {
            let row = lanes_mut::<L>(&mut row[o..]);
            for l in 0..L {
                row[l] = x * dy[l];
            }
        }
    }

    /// `T` inputs from `i` on, `L` outputs from `o` on, over all samples.
    #[inline(always)]
    fn tile<I: Isa, const T: usize, const L: usize>(&mut self, i: usize, o: usize) {
        let Sizes { batch, inputs, outputs } = self.sizes;
        let x = &self.x[i.min(self.x.len())..];
        let mut sums = [[0.0; L]; T];
        outer::<I, T, L>(&mut sums, batch, x, inputs, self.dy, outputs, o);
        for t in 0..T {
            *lanes_mut(&mut self.dweight[(i + t) * outputs + o..]) = sums[t];
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
