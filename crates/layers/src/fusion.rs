//! Layers that run as one operation: found when a chain is planned, and never part of a spec.

use crate::layer::{
    Backward, Context, Forward, Layer, Mode, Operation, PLANNED, Reference, array, array_mut,
};
use crate::parallel::{PerChunk, add_partials, chunk_count, each_chunk, most_chunks};
use crate::parameters::ParameterSpec;
use crate::winograd::Winograd;
use crate::{Conv2d, MaxPool2d, Shape};
use tensor_ops::ndarray::{ArrayView1, ArrayView4};
use tensor_ops::{ConvPool2d, ConvPool2dGeometry, Kernels, Pooling, conv_pool2d, pool2d};

/// How many of the first of these layers run as one operation, and which.
///
/// A convolution and the 2×2 max-pool behind it do, with a ReLU between them or after both, which is the same: three
/// quarters of the convolution's output take no gradient, and what does not is never touched.
pub(crate) fn find(layers: &[Layer], input: Shape, context: &Context) -> Option<(usize, Fused)> {
    let (conv, pool, relu, count) = match layers {
        [Layer::Conv2d(conv), Layer::Relu(_), Layer::MaxPool2d(pool), ..] => (conv, pool, true, 3),
        [Layer::Conv2d(conv), Layer::MaxPool2d(pool), Layer::Relu(_), ..] => (conv, pool, true, 3),
        [Layer::Conv2d(conv), Layer::MaxPool2d(pool), ..] => (conv, pool, false, 2),
        _ => return None,
    };
    let fused = plan(conv, pool, relu, input, context)?;
    context.fusion.then_some((count, fused))
}

fn plan(conv: &Conv2d, pool: &MaxPool2d, relu: bool, input: Shape, context: &Context) -> Option<Fused> {
    let convolution = conv.geometry(input).ok()?;
    let [_, rows, columns, filters] = convolution.output_shape(1);
    let windows = pool.geometry(Shape::Map([rows, columns, filters])).ok()?;
    let geometry = ConvPool2dGeometry::new(convolution, windows)?;
    let operation = ConvPool2d { geometry, relu, ties: pool.ties };
    let winograd = Winograd::forward(&convolution, context);
    Some(Fused { operation, bias: conv.bias, kernels: context.kernels, winograd, stages: Vec::new() })
}

/// A convolution with its max-pool. Beside its output it saves a byte for each: which places of the window take the
/// gradient.
#[derive(Debug)]
pub(crate) struct Fused {
    operation: ConvPool2d,
    bias: bool,
    kernels: Kernels,
    /// For inference, which needs no maxima's places.
    winograd: Option<Winograd>,
    /// The layers by themselves; the first is the convolution.
    pub stages: Vec<Box<dyn Operation>>,
}

impl Fused {
    fn weights(&self) -> usize {
        self.operation.geometry.conv().weight_shape().iter().product()
    }

    fn filters(&self) -> usize {
        self.operation.geometry.conv().weight_shape()[3]
    }

    /// Numbers of weights and bias.
    fn learned(&self) -> usize {
        self.weights() + if self.bias { self.filters() } else { 0 }
    }

    /// Numbers in a sample's map before the pool, filled up to a cache line.
    fn map(&self) -> usize {
        self.operation.geometry.pool().input_shape(1).iter().product::<usize>().next_multiple_of(16)
    }

    /// Outputs of a batch.
    fn outputs(&self, batch: usize) -> usize {
        batch * self.output().len()
    }

    /// Sample by sample, the map before the pool by Winograd's algorithm.
    fn evaluate(
        &self,
        winograd: &Winograd,
        batch: usize,
        (x, weight, bias): (&[f32], ArrayView4<f32>, Option<ArrayView1<f32>>),
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        let Self { operation: ConvPool2d { geometry, relu, ties }, kernels, .. } = self;
        let (pool, pooling) = (geometry.pool(), Pooling::Max(*ties));
        let [inputs, maps, outputs] = [geometry.input_shape(1), pool.input_shape(1), pool.output_shape(1)]
            .map(|shape| shape.iter().product());
        let (transformed, scratch) = scratch.split_at_mut(winograd.weights());
        winograd.transform(weight, transformed);
        let (transformed, scratch) =
            (&*transformed, PerChunk(scratch, self.map() + winograd.apply_scratch()));
        each_chunk(batch, ((x, y), scratch), &|_, ((x, y), scratch)| {
            let (map, scratch) = scratch.0.split_at_mut(self.map());
            let map = &mut map[..maps];
            for (x, y) in x.chunks_exact(inputs).zip(y.chunks_exact_mut(outputs)) {
                winograd.apply(1, x, transformed, bias, map, scratch);
                let (map, pooled) =
                    (array(pool.input_shape(1), map), array_mut(pool.output_shape(1), &mut *y));
                pool2d::forward(*kernels, pooling, pool, map, pooled).expect(PLANNED);
                if *relu {
                    // Not as a maximum, for a NaN stays one.
                    y.iter_mut().for_each(|y| *y = if *y <= 0.0 { 0.0 } else { *y });
                }
            }
        });
    }
}

impl Operation for Fused {
    fn output(&self) -> Shape {
        let [_, rows, columns, filters] = self.operation.geometry.output_shape(1);
        Shape::Map([rows, columns, filters])
    }

    fn parameters(&self) -> Vec<ParameterSpec> {
        self.stages[0].parameters()
    }

    fn saved(&self, batch: usize) -> usize {
        self.outputs(batch).div_ceil(size_of::<f32>())
    }

    fn forward_scratch(&self, batch: usize) -> usize {
        let scratch = most_chunks(batch) * self.operation.geometry.forward_scratch();
        let winograd = self.winograd.as_ref().map_or(0, |winograd| {
            winograd.weights() + most_chunks(batch) * (self.map() + winograd.apply_scratch())
        });
        scratch.max(winograd)
    }

    fn backward_scratch(&self, batch: usize) -> usize {
        let geometry = &self.operation.geometry;
        let scratch = geometry.grad_weight_scratch().max(geometry.grad_input_scratch());
        most_chunks(batch) * (self.learned() + scratch)
    }

    fn uses_winograd(&self) -> bool {
        self.winograd.is_some()
    }

    fn multiply_adds(&self) -> u64 {
        self.stages[0].multiply_adds()
    }

    fn forward(&self, Forward { batch, mode, parameters, x, y, saved, scratch, .. }: Forward<'_>) {
        let Self { operation, kernels, .. } = self;
        let geometry = &operation.geometry;
        let (weight, bias) = parameters.split_at(self.weights());
        let weight = array(geometry.conv().weight_shape(), weight);
        let bias = self.bias.then(|| array(self.filters(), bias));
        if let (Some(winograd), Mode::Evaluate) = (&self.winograd, mode) {
            return self.evaluate(winograd, batch, (x, weight, bias), y, scratch);
        }
        let takes = (mode != Mode::Evaluate)
            .then(|| &mut bytemuck::cast_slice_mut::<f32, u8>(saved)[..self.outputs(batch)]);
        let scratch = PerChunk(scratch, geometry.forward_scratch());
        each_chunk(batch, ((x, y), (takes, scratch)), &|n, ((x, y), (takes, scratch))| {
            let (x, y) = (array(geometry.input_shape(n), x), array_mut(geometry.output_shape(n), y));
            let takes = takes.map(|takes| array_mut(geometry.output_shape(n), takes));
            conv_pool2d::forward(*kernels, operation, x, weight, bias, y, takes, scratch.0).expect(PLANNED);
        });
    }

    fn backward(&self, pass: Backward<'_>) {
        let Backward { batch, parameters, x, dy, dx, gradients, saved, scratch, .. } = pass;
        let Self { operation, kernels, .. } = self;
        let geometry = &operation.geometry;
        let takes = &bytemuck::cast_slice::<f32, u8>(saved)[..self.outputs(batch)];
        let (partials, scratch) = scratch.split_at_mut(chunk_count(batch) * self.learned());
        let learn = |n, x, dy, takes, gradients: &mut [f32], scratch: &mut [f32]| {
            let (dweight, dbias) = gradients.split_at_mut(self.weights());
            let (x, dy) = (array(geometry.input_shape(n), x), array(geometry.output_shape(n), dy));
            let takes = array(geometry.output_shape(n), takes);
            let dweight = array_mut(geometry.conv().weight_shape(), dweight);
            let dbias = self.bias.then(|| array_mut(self.filters(), dbias));
            conv_pool2d::grad_weight(*kernels, operation, x, dy, takes, dweight, dbias, scratch)
                .expect(PLANNED);
        };
        if chunk_count(batch) == 1 {
            learn(batch, x, dy, takes, gradients, scratch);
        } else {
            let scratch = PerChunk(&mut *scratch, geometry.grad_weight_scratch());
            let buffers = (((x, dy), takes), (PerChunk(partials, self.learned()), scratch));
            each_chunk(batch, buffers, &|n, (((x, dy), takes), (partial, scratch))| {
                learn(n, x, dy, takes, partial.0, scratch.0);
            });
            add_partials(partials, gradients);
        }
        let Some(dx) = dx else { return };
        let weight = array(geometry.conv().weight_shape(), &parameters[..self.weights()]);
        let scratch = PerChunk(scratch, geometry.grad_input_scratch());
        each_chunk(batch, ((dy, takes), (dx, scratch)), &|n, ((dy, takes), (dx, scratch))| {
            let (dy, takes) = (array(geometry.output_shape(n), dy), array(geometry.output_shape(n), takes));
            let dx = array_mut(geometry.input_shape(n), dx);
            conv_pool2d::grad_input(*kernels, operation, dy, takes, weight, dx, scratch.0).expect(PLANNED);
        });
    }

    fn reference(&self, pass: Reference<'_>) {
        let Reference { batch, mode, statistics, x, y, mut parameters } = pass;
        let mut x = x.to_vec();
        for stage in &self.stages {
            let mut y = vec![0.0; batch * stage.output().len()];
            stage.reference(Reference { batch, mode, parameters, statistics, x: &x, y: &mut y });
            // Only the convolution has any.
            parameters = &[];
            x = y;
        }
        y.copy_from_slice(&x);
    }
}
