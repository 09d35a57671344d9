use super::{Backward, Context, Forward, Operation, PLANNED, Reference, array, array_mut, Settings};
use crate::optimizer::Learner;
use crate::parallel::{join, map_chunks};
use crate::parameters::ParameterSpec;
use crate::{Initializer, Misfit, Shape};
use crate::text::{self, Words};
use serde::{Deserialize, Serialize};
use tensor_ops::ndarray::{
    self, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis, Ix2, ShapeBuilder,
};
use tensor_ops::{Error, Kernels, dense, naive};

/// A dense (fully connected) layer: every output sums every input, weighted.
///
/// `y[o] = bias[o] + Σᵢ x[i] · w[i, o]`
///
/// with weights (input, output). With `dy` the gradient of the output,
///
/// * `dw[i, o] = Σ x[i] · dy[o]` over the samples,
/// * `db[o] = Σ dy[o]`,
/// * `dx[i] = Σₒ dy[o] · w[i, o]`, with the weights of the forward pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    /// How many outputs there are.
    pub outputs: usize,
    /// How the weights start; the biases start at zero.
    #[serde(default)]
    pub initializer: Initializer,
}

impl Dense {
    /// So many outputs, with weights that start as Keras's do.
    pub fn new(outputs: usize) -> Self {
        Self { outputs, initializer: Initializer::default() }
    }
}

impl Settings for Dense {
    const WORD: &'static str = "dense";
    const FLAT: bool = true;

    fn parse(words: &mut Words) -> Result<Self, String> {
        let mut layer = Self::new(words.number("a number of outputs")?);
        if let Some(initializer) = words.option("init", Initializer::parse)? {
            layer.initializer = initializer;
        }
        Ok(layer)
    }

    fn text(&self) -> String {
        let init = text::option("init", self.initializer, Initializer::default(), |init| init.name().into());
        format!(" {}{init}", self.outputs)
    }

    fn plan(&self, input: Shape, context: &mut Context) -> Result<Box<dyn Operation>, Misfit> {
        let Self { outputs, initializer } = *self;
        let Shape::Flat(inputs) = input else {
            return Err(Misfit::NotFlat { found: input });
        };
        if outputs == 0 {
            return Err(Error::Zero { what: "outputs" }.into());
        }
        inputs.checked_mul(outputs).ok_or(Error::Overflow { what: "weight" })?;
        Ok(Box::new(Plan { inputs, outputs, initializer, kernels: context.kernels }))
    }
}

#[derive(Debug)]
struct Plan {
    inputs: usize,
    outputs: usize,
    initializer: Initializer,
    kernels: Kernels,
}

/// Multiply-adds that a thread takes at the least: sharing out fewer takes as long as doing them.
const FEW_PRODUCTS: usize = 1 << 20;

/// Inputs and outputs are shared out by so many: a block of the kernels.
const BLOCK: usize = 32;

/// With fewer outputs than this the weights of an output lie together: every kernel then runs along the inputs.
const FEW: usize = 32;

impl Plan {
    fn is_column_major(&self) -> bool {
        self.outputs < FEW
    }

    /// Whether the weights, rather than the batch, are shared out to threads: what is packed of them is then used by
    /// all samples.
    fn shares_weights(&self, batch: usize) -> bool {
        batch >= 8 && !self.is_column_major()
    }

    /// The weights' shape, in their order.
    fn shape(&self) -> Shape2 {
        (self.inputs, self.outputs).set_f(self.is_column_major())
    }

    /// Weights and bias.
    fn parts<'a, T>(&self, values: &'a [T]) -> (ArrayView2<'a, T>, ArrayView1<'a, T>) {
        let (weight, bias) = values.split_at(self.inputs * self.outputs);
        (ArrayView2::from_shape(self.shape(), weight).expect(PLANNED), array(self.outputs, bias))
    }

    /// The same, to be changed.
    fn parts_mut<'a>(&self, values: &'a mut [f32]) -> (ArrayViewMut2<'a, f32>, ArrayViewMut1<'a, f32>) {
        let (weight, bias) = values.split_at_mut(self.inputs * self.outputs);
        (ArrayViewMut2::from_shape(self.shape(), weight).expect(PLANNED), array_mut(self.outputs, bias))
    }
}

/// Calls `work(start, shared, out)` with matching ranges of both along the axes named. Each is a whole number of blocks,
/// but for the last, and worth a thread, if one number takes so many `products`.
fn each_range(
    (shared, shared_axis): (ArrayView2<f32>, Axis),
    (out, out_axis): (ArrayViewMut2<f32>, Axis),
    products: usize,
    start: usize,
    work: &(impl Fn(usize, ArrayView2<f32>, ArrayViewMut2<f32>) + Sync),
) {
    let len = out.len_of(out_axis);
    let at = (len / 2).next_multiple_of(BLOCK);
    if at >= len || (len - at) * products < FEW_PRODUCTS {
        return work(start, shared, out);
    }
    let ((front, back), (mine, theirs)) = (shared.split_at(shared_axis, at), out.split_at(out_axis, at));
    join(
        || each_range((front, shared_axis), (mine, out_axis), products, start, work),
        || each_range((back, shared_axis), (theirs, out_axis), products, start + at, work),
    );
}

/// A matrix's shape, with the order of its numbers.
type Shape2 = ndarray::Shape<Ix2>;

impl Operation for Plan {
    fn output(&self) -> Shape {
        Shape::Flat(self.outputs)
    }

    fn parameters(&self) -> Vec<ParameterSpec> {
        let Self { inputs, outputs, initializer, .. } = *self;
        let fans = [inputs, outputs];
        vec![
            ParameterSpec {
                name: "weight".into(),
                shape: vec![inputs, outputs],
                initializer,
                fans,
                column_major: self.is_column_major(),
            },
            ParameterSpec { name: "bias".into(), shape: vec![outputs], initializer: Initializer::Zeros, fans, column_major: false },
        ]
    }

    fn multiply_adds(&self) -> u64 {
        (self.inputs as u64).saturating_mul(self.outputs as u64)
    }

    fn forward(&self, Forward { batch, parameters, x, y, .. }: Forward<'_>) {
        let Self { inputs, outputs, kernels, .. } = *self;
        let (weight, bias) = self.parts(parameters);
        if self.shares_weights(batch) {
            // Every sample needs all weights, an output only its own.
            let (x, y) = (array((batch, inputs), x), array_mut((batch, outputs), y));
            return each_range((weight, Axis(1)), (y, Axis(1)), batch * inputs, 0, &|start, weight, y| {
                let (bias, _) = bias.split_at(Axis(0), start).1.split_at(Axis(0), y.ncols());
                dense::forward(kernels, x, weight, Some(bias), y).expect(PLANNED);
            });
        }
        map_chunks(batch, [x], y, |n, [x], y| {
            let (x, y) = (array((n, inputs), x), array_mut((n, outputs), y));
            dense::forward(kernels, x, weight, Some(bias), y).expect(PLANNED);
        });
    }

    fn backward(&self, Backward { batch, parameters, x, dy, dx, gradients, .. }: Backward<'_>) {
        let Self { inputs, outputs, kernels, .. } = *self;
        let (dweight, dbias) = self.parts_mut(gradients);
        let rows = array((batch, outputs), dy);
        let x = array((batch, inputs), x);
        dense::grad_bias(kernels, rows, dbias).expect(PLANNED);
        if self.shares_weights(batch) {
            each_range((x, Axis(1)), (dweight, Axis(0)), batch * outputs, 0, &|_, x, dweight| {
                dense::grad_weight(kernels, x, rows, dweight).expect(PLANNED);
            });
        } else {
            dense::grad_weight(kernels, x, rows, dweight).expect(PLANNED);
        }
        let Some(dx) = dx else { return };
        let (weight, _) = self.parts(parameters);
        if self.shares_weights(batch) {
            let dx = array_mut((batch, inputs), dx);
            each_range((weight, Axis(0)), (dx, Axis(1)), batch * outputs, 0, &|_, weight, dx| {
                dense::grad_input(kernels, rows, weight, dx).expect(PLANNED);
            });
        } else {
            map_chunks(batch, [dy], dx, |n, [dy], dx| {
                let (dy, dx) = (array((n, outputs), dy), array_mut((n, inputs), dx));
                dense::grad_input(kernels, dy, weight, dx).expect(PLANNED);
            });
        }
    }

    /// For a single sample and plain descent, the input's gradient and the update in one pass over the weights.
    fn learn(&self, pass: Backward<'_, Learner<'_>>) {
        let Self { inputs, outputs, kernels, .. } = *self;
        match pass.parameters.plain_rate() {
            Some(rate) if pass.batch == 1 => {
                let (weight, bias) = self.parts_mut(pass.parameters.values);
                let (x, dy) = (array((1, inputs), pass.x), array((1, outputs), pass.dy));
                let dx = pass.dx.map(|dx| array_mut((1, inputs), dx));
                dense::sgd(kernels, rate, x, dy, weight, bias, dx).expect(PLANNED);
            }
            _ => pass.learn_in_two_steps(self),
        }
    }

    fn reference(&self, Reference { batch, parameters, x, y, .. }: Reference<'_>) {
        let Self { inputs, outputs, .. } = *self;
        let (weight, bias) = self.parts(parameters);
        let (x, y) = (array((batch, inputs), x), array_mut((batch, outputs), y));
        naive::dense::forward(x, weight, Some(bias), y).expect(PLANNED);
    }
}
