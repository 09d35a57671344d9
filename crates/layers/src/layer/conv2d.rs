use super::{Backward, Context, Forward, Operation, PLANNED, Reference, array, array_mut, expect_map, ones, Settings};
use crate::parallel::{PerChunk, add_partials, chunk_count, each_chunk, most_chunks};
use crate::parameters::ParameterSpec;
use crate::{Initializer, Misfit, Padding, Shape};
use crate::text::{self, Words};
use crate::winograd::Winograd;
use serde::{Deserialize, Serialize};
use tensor_ops::{Conv2dConfig, Conv2dGeometry, Kernels, conv2d, naive};

/// A convolution: each filter slides over the map and sums what it sees, weighted.
///
/// `y[oy, ox, oc] = bias[oc] + Σ x[oy·s + ky·d − p, ox·s + kx·d − p, ic] · w[ky, kx, ic, oc]`
///
/// with stride `s`, dilation `d` and padding `p` for rows and columns each; taps in the padding see zeros.
/// Input rows × columns × channels, output rows × columns × filters, weights (kernel row, kernel column, input
/// channel within the group, filter).
///
/// Every weight meets every position, so with `dy` the gradient of the output
///
/// * `dw[ky, kx, ic, oc] = Σ x[oy·s + ky·d − p, ox·s + kx·d − p, ic] · dy[oy, ox, oc]` over samples and positions,
/// * `db[oc] = Σ dy[oy, ox, oc]`,
/// * `dx[iy, ix, ic] = Σ dy[oy, ox, oc] · w[ky, kx, ic, oc]` over all `oy, ky, ox, kx` that meet at `iy, ix`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// The number of filters: channels of the output.
    pub filters: usize,
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Step between windows, down and across; 1 by default.
    #[serde(default = "ones")]
    pub stride: [usize; 2],
    /// Zeros around the map; none by default.
    #[serde(default)]
    pub padding: Padding,
    /// Distance between taps, down and across; 1 by default.
    #[serde(default = "ones")]
    pub dilation: [usize; 2],
    /// Groups of channels that do not see each other; 1 by default.
    #[serde(default = "one")]
    pub groups: usize,
    /// Whether a bias is added; it is by default.
    #[serde(default = "yes")]
    pub bias: bool,
    /// How the weights start; the biases start at zero.
    #[serde(default)]
    pub initializer: Initializer,
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

impl Conv2d {
    /// Stride 1, no padding, one group, with a bias.
    pub fn new(filters: usize, kernel: [usize; 2]) -> Self {
        let Conv2dConfig { kernel, stride, padding, dilation, groups } = Conv2dConfig::new(kernel);
        Self { filters, kernel, stride, padding, dilation, groups, bias: true, initializer: Initializer::default() }
    }

    /// Where the windows lie on an input of this shape.
    pub(crate) fn geometry(&self, input: Shape) -> Result<Conv2dGeometry, Misfit> {
        let Self { filters, kernel, stride, padding, dilation, groups, .. } = *self;
        let config = Conv2dConfig { kernel, stride, padding, dilation, groups };
        Ok(Conv2dGeometry::new(expect_map(input)?, filters, &config)?)
    }
}

impl Settings for Conv2d {
    const WORD: &'static str = "conv";

    fn parse(words: &mut Words) -> Result<Self, String> {
        let mut layer = Self::new(words.number("a number of filters")?, words.pair("a kernel")?);
        loop {
            if let Some(padding) = words.padding()? {
                layer.padding = padding;
            } else if let Some(stride) = words.option("stride", |words| words.pair("a stride"))? {
                layer.stride = stride;
            } else if let Some(dilation) = words.option("dilation", |words| words.pair("a dilation"))? {
                layer.dilation = dilation;
            } else if let Some(groups) = words.option("groups", |words| words.number("a number of groups"))? {
                layer.groups = groups;
            } else if let Some(initializer) = words.option("init", Initializer::parse)? {
                layer.initializer = initializer;
            } else if words.take("nobias") {
                layer.bias = false;
            } else {
                return Ok(layer);
            }
        }
    }

    fn text(&self) -> String {
        let Self { filters, kernel: [rows, columns], stride, padding, dilation, groups, bias, initializer } = *self;
        let mut line = format!(" {filters} {rows}x{columns}{}", text::padding(padding));
        line += &text::option("stride", stride, [1, 1], text::pair);
        line += &text::option("dilation", dilation, [1, 1], text::pair);
        line += &text::option("groups", groups, 1, |groups| groups.to_string());
        line += if bias { "" } else { " nobias" };
        line + &text::option("init", initializer, Initializer::default(), |init| init.name().into())
    }

    fn plan(&self, input: Shape, context: &mut Context) -> Result<Box<dyn Operation>, Misfit> {
        let Self { bias, initializer, .. } = *self;
        let geometry = self.geometry(input)?;
        let winograd = Winograd::forward(&geometry, context);
        let winograd_back = Winograd::grad_input(&geometry, context);
        Ok(Box::new(Plan { geometry, bias, initializer, kernels: context.kernels, winograd, winograd_back }))
    }
}

#[derive(Debug)]
struct Plan {
    geometry: Conv2dGeometry,
    bias: bool,
    initializer: Initializer,
    kernels: Kernels,
    winograd: Option<Winograd>,
    /// The same for the gradient of the input.
    winograd_back: Option<Winograd>,
}

impl Plan {
    fn weights(&self) -> usize {
        self.geometry.weight_shape().iter().product()
    }

    fn filters(&self) -> usize {
        self.geometry.weight_shape()[3]
    }

    fn learned(&self) -> usize {
        self.weights() + if self.bias { self.filters() } else { 0 }
    }
}

impl Operation for Plan {
    fn output(&self) -> Shape {
        let [_, rows, columns, filters] = self.geometry.output_shape(1);
        Shape::Map([rows, columns, filters])
    }

    fn parameters(&self) -> Vec<ParameterSpec> {
        let [rows, columns, inputs, filters] = self.geometry.weight_shape();
        let fans = [rows * columns * inputs, rows * columns * filters];
        let shape = vec![rows, columns, inputs, filters];
        let weight = ParameterSpec { name: "weight".into(), shape, initializer: self.initializer, fans, column_major: false };
        let bias = ParameterSpec { name: "bias".into(), shape: vec![filters], initializer: Initializer::Zeros, fans, column_major: false };
        std::iter::once(weight).chain(self.bias.then_some(bias)).collect()
    }

    fn forward_scratch(&self, batch: usize) -> usize {
        match &self.winograd {
            Some(winograd) => winograd.scratch(batch),
            None => most_chunks(batch) * self.geometry.forward_scratch(),
        }
    }

    fn backward_scratch(&self, batch: usize) -> usize {
        let geometry = &self.geometry;
        let scratch = geometry.grad_weight_scratch().max(geometry.grad_input_scratch());
        let winograd = self.winograd_back.as_ref().map_or(0, |winograd| winograd.scratch(batch));
        most_chunks(batch) * self.learned() + winograd.max(most_chunks(batch) * scratch)
    }

    fn uses_winograd(&self) -> bool {
        self.winograd.is_some()
    }

    fn multiply_adds(&self) -> u64 {
        self.geometry.multiply_adds()
    }

    fn forward(&self, Forward { batch, parameters, x, y, scratch, .. }: Forward<'_>) {
        let Self { geometry, kernels, .. } = self;
        let (weight, bias) = parameters.split_at(self.weights());
        let weight = array(geometry.weight_shape(), weight);
        let bias = self.bias.then(|| array(self.filters(), bias));
        if let Some(winograd) = &self.winograd {
            return winograd.run(batch, x, weight, bias, y, scratch);
        }
        let scratch = PerChunk(scratch, geometry.forward_scratch());
        each_chunk(batch, ((x, y), scratch), &|n, ((x, y), scratch)| {
            let (x, y) = (array(geometry.input_shape(n), x), array_mut(geometry.output_shape(n), y));
            conv2d::forward(*kernels, geometry, x, weight, bias, y, scratch.0).expect(PLANNED);
        });
    }

    fn backward(&self, Backward { batch, parameters, x, dy, dx, gradients, scratch, .. }: Backward<'_>) {
        let Self { geometry, kernels, .. } = self;
        let (partials, scratch) = scratch.split_at_mut(chunk_count(batch) * self.learned());
        let learn = |n, x, dy, gradients: &mut [f32], scratch: &mut [f32]| {
            let (x, dy) = (array(geometry.input_shape(n), x), array(geometry.output_shape(n), dy));
            let (dweight, dbias) = gradients.split_at_mut(self.weights());
            let dweight = array_mut(geometry.weight_shape(), dweight);
            conv2d::grad_weight(*kernels, geometry, x, dy, dweight, scratch).expect(PLANNED);
            if self.bias {
                conv2d::grad_bias(*kernels, dy, array_mut(self.filters(), dbias)).expect(PLANNED);
            }
        };
        if chunk_count(batch) == 1 {
            learn(batch, x, dy, gradients, scratch);
        } else {
            let scratch = PerChunk(&mut *scratch, geometry.grad_weight_scratch());
            let buffers = ((x, dy), (PerChunk(partials, self.learned()), scratch));
            each_chunk(batch, buffers, &|n, ((x, dy), (partial, scratch))| learn(n, x, dy, partial.0, scratch.0));
            add_partials(partials, gradients);
        }
        let Some(dx) = dx else { return };
        let weight = array(geometry.weight_shape(), &parameters[..self.weights()]);
        if let Some(winograd) = &self.winograd_back {
            return winograd.run(batch, dy, weight, None, dx, scratch);
        }
        let scratch = PerChunk(scratch, geometry.grad_input_scratch());
        each_chunk(batch, ((dy, dx), scratch), &|n, ((dy, dx), scratch)| {
            let (dy, dx) = (array(geometry.output_shape(n), dy), array_mut(geometry.input_shape(n), dx));
            conv2d::grad_input(*kernels, geometry, dy, weight, dx, scratch.0).expect(PLANNED);
        });
    }

    fn reference(&self, Reference { batch, parameters, x, y, .. }: Reference<'_>) {
        let (weight, bias) = parameters.split_at(self.weights());
        let weight = array(self.geometry.weight_shape(), weight);
        let bias = self.bias.then(|| array(self.filters(), bias));
        let (x, y) = (array(self.geometry.input_shape(batch), x), array_mut(self.geometry.output_shape(batch), y));
        naive::conv2d::forward(&self.geometry, x, weight, bias, y).expect(PLANNED);
    }
}
