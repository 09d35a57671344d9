//! A convolution, or the gradient of its input, by Winograd's algorithm: where a network was asked for it and it pays.

use crate::layer::{Context, PLANNED, array, array_mut};
use crate::parallel::{PerChunk, each_chunk, most_chunks};
use tensor_ops::ndarray::{ArrayView1, ArrayView4};
use tensor_ops::{Conv2dGeometry, Kernels, WinogradGeometry, winograd};

#[derive(Debug)]
pub(crate) struct Winograd {
    geometry: WinogradGeometry,
    kernels: Kernels,
}

impl Winograd {
    /// For the convolution.
    pub fn forward(conv: &Conv2dGeometry, context: &Context) -> Option<Self> {
        Self::new(WinogradGeometry::new(conv), context)
    }

    /// For the gradient of its input.
    pub fn grad_input(conv: &Conv2dGeometry, context: &Context) -> Option<Self> {
        Self::new(WinogradGeometry::grad_input(conv), context)
    }

    fn new(geometry: Option<WinogradGeometry>, context: &Context) -> Option<Self> {
        let geometry = geometry.filter(|geometry| context.winograd && geometry.pays())?;
        Some(Self { geometry, kernels: context.kernels })
    }

    /// Numbers in the transformed weights.
    pub fn weights(&self) -> usize {
        self.geometry.transformed_weight()
    }

    /// Numbers of scratch that [`Winograd::apply`] needs, a multiple of a cache line.
    pub fn apply_scratch(&self) -> usize {
        self.geometry.scratch().next_multiple_of(16)
    }

    /// Numbers of scratch that [`Winograd::run`] needs.
    pub fn scratch(&self, batch: usize) -> usize {
        self.weights() + most_chunks(batch) * self.apply_scratch()
    }

    /// Transforms the weights.
    pub fn transform(&self, weight: ArrayView4<f32>, transformed: &mut [f32]) {
        winograd::transform_weight(self.kernels, &self.geometry, weight, transformed).expect(PLANNED);
    }

    /// Some samples, with weights that are transformed.
    pub fn apply(
        &self,
        samples: usize,
        x: &[f32],
        transformed: &[f32],
        bias: Option<ArrayView1<f32>>,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        let Self { geometry, kernels } = self;
        let x = array(geometry.input_shape(samples), x);
        let y = array_mut(geometry.output_shape(samples), y);
        winograd::forward(*kernels, geometry, x, transformed, bias, y, scratch).expect(PLANNED);
    }

    /// A whole batch: the weights are transformed once for all.
    pub fn run(
        &self,
        batch: usize,
        x: &[f32],
        weight: ArrayView4<f32>,
        bias: Option<ArrayView1<f32>>,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        let (transformed, scratch) = scratch.split_at_mut(self.weights());
        self.transform(weight, transformed);
        let (transformed, scratch) = (&*transformed, PerChunk(scratch, self.apply_scratch()));
        each_chunk(batch, ((x, y), scratch), &|n, ((x, y), scratch)| {
            self.apply(n, x, transformed, bias, y, scratch.0);
        });
    }
}
