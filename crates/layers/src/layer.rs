//! The layers: one file each, and the one list of them.
//!
//! A layer's file holds its settings (public, serialisable: a part of a [`NetworkSpec`](crate::NetworkSpec)) and
//! its planned operation (private). To add a layer, write such a file and name it in the list below.

use crate::optimizer::Learner;
use crate::parameters::ParameterSpec;
use crate::text::Words;
use crate::{Misfit, Shape};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Debug, Display};
use std::ops::Range;
use tensor_ops::Kernels;
use tensor_ops::ndarray::{ArrayView, ArrayViewMut, Dimension, IntoDimension};

mod activation;
mod pool2d;

/// Declares the layers' modules and the enum of all of them.
macro_rules! layers {
    ($($module:ident::$layer:ident),* $(,)?) => {
        $(mod $module; pub use $module::$layer;)*

        /// One layer of a [`NetworkSpec`](crate::NetworkSpec).
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Layer {
            $(#[doc = concat!("See [`", stringify!($layer), "`].")] $layer($layer),)*
        }

        impl Layer {
            /// The layer's name in a spec.
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$layer(_) => stringify!($module),)* }
            }

            /// Reads a layer's word, its sizes and its options.
            pub(crate) fn parse(words: &mut Words) -> Result<Self, String> {
                let known = [$($layer::WORD),*];
                let word = known[words.layer(&known)?];
                $(if word == $layer::WORD {
                    return Ok(Self::$layer($layer::parse(words)?));
                })*
                unreachable!("the word is one of these")
            }

            /// Whether a line of text writes this layer behind the one before it, without a comma.
            pub(crate) fn follows(&self) -> bool {
                match self { $(Self::$layer(_) => $layer::FOLLOWS,)* }
            }

            /// Whether it gives flat rows, whatever it is given.
            pub(crate) fn is_flat(&self) -> bool {
                match self { $(Self::$layer(_) => $layer::FLAT,)* }
            }

            /// The operation that this layer is on an input of this shape.
            pub(crate) fn plan(&self, input: Shape, context: &mut Context) -> Result<Box<dyn Operation>, Misfit> {
                match self { $(Self::$layer(layer) => layer.plan(input, context),)* }
            }
        }

        impl Display for Layer {
            /// As a line of text has it: see [`NetworkSpec`](crate::NetworkSpec)'s `FromStr`.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Self::$layer(layer) => write!(f, "{}{}", $layer::WORD, layer.text()),)* }
            }
        }

        $(impl From<$layer> for Layer {
            fn from(layer: $layer) -> Self { Self::$layer(layer) }
        })*
    };
}

layers! {
    avg_pool2d::AvgPool2d,
    batch_norm2d::BatchNorm2d,
    conv2d::Conv2d,
    dense::Dense,
    dropout::Dropout,
    flatten::Flatten,
    gelu::Gelu,
    global_avg_pool2d::GlobalAvgPool2d,
    leaky_relu::LeakyRelu,
    max_pool2d::MaxPool2d,
    min_pool2d::MinPool2d,
    relu::Relu,
    residual::Residual,
    sigmoid::Sigmoid,
    softmax::Softmax,
    tanh::Tanh,
}

/// What a layer's file gives of its settings.
pub(crate) trait Settings: Sized {
    /// The layer's word in a line of text.
    const WORD: &'static str;

    /// Whether a line of text writes the layer behind the one before it, without a comma.
    const FOLLOWS: bool = false;

    /// Whether it gives flat rows, whatever it is given.
    const FLAT: bool = false;

    /// Reads what stands behind the word.
    fn parse(words: &mut Words) -> Result<Self, String>;

    /// Writes what stands behind the word.
    fn text(&self) -> String;

    /// The operation that this layer is on an input of this shape.
    fn plan(&self, input: Shape, context: &mut Context) -> Result<Box<dyn Operation>, Misfit>;
}

/// What planning a layer needs to know beside its input.
#[derive(Debug)]
pub(crate) struct Context {
    /// The kernels that will run.
    pub kernels: Kernels,
    /// Whether layers may run as one operation.
    pub fusion: bool,
    /// Whether convolutions may use Winograd's algorithm.
    pub winograd: bool,
    /// How many layers have asked for a stream of random numbers of their own.
    pub streams: u64,
}

/// How a network is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// To judge or to predict: statistics as they were learned, nothing random.
    Evaluate,
    /// To learn: statistics of the batch itself, random numbers that follow from here.
    Train(Draw),
}

/// Where in a training run a step is: what its random numbers follow from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draw {
    /// The run's seed.
    pub seed: u64,
    /// The step, counted over all epochs.
    pub step: u64,
}

/// A layer planned for one input shape: a pure function on buffers that others own.
///
/// Whoever calls it passes slices of exactly the planned sizes, so it cannot fail.
pub(crate) trait Operation: Debug + Send + Sync {
    /// The shape of a sample behind this layer.
    fn output(&self) -> Shape;

    /// What is learned, in the order in which the flat slices hold it.
    fn parameters(&self) -> Vec<ParameterSpec> {
        Vec::new()
    }

    /// What is kept from training for evaluation without being learned: running means and the like.
    fn statistics(&self) -> Vec<ParameterSpec> {
        Vec::new()
    }

    /// Whether the output is the input's numbers under another shape; then nothing else is called.
    fn is_view(&self) -> bool {
        false
    }

    /// Numbers that the forward pass keeps for the backward pass, apart from its input and output.
    fn saved(&self, _batch: usize) -> usize {
        0
    }

    /// Numbers of scratch that a forward pass over a batch needs.
    fn forward_scratch(&self, _batch: usize) -> usize {
        0
    }

    /// Numbers of scratch that a backward pass over a batch needs.
    fn backward_scratch(&self, _batch: usize) -> usize {
        0
    }

    /// Numbers of scratch in double precision, for sums over the batch, that a pass needs.
    fn wide_scratch(&self, _batch: usize) -> usize {
        0
    }

    /// Which of the layers within run as one operation: the places of each group.
    fn fusions(&self) -> Vec<Vec<String>> {
        Vec::new()
    }

    /// Whether a convolution, here or within, uses Winograd's algorithm.
    fn uses_winograd(&self) -> bool {
        false
    }

    /// The smallest batch that can be trained on.
    fn smallest_batch(&self) -> usize {
        1
    }

    /// Multiply-adds of the forward pass for one sample.
    fn multiply_adds(&self) -> u64 {
        0
    }

    /// Writes `y` and `saved`.
    fn forward(&self, pass: Forward<'_>);

    /// Writes `dx`, where it is wanted, and `gradients`.
    fn backward(&self, pass: Backward<'_>);

    /// Writes `dx`, where it is wanted, from the parameters as they were, and has the parameters follow their gradients;
    /// afterwards `gradients` holds nothing of use. An operation that can do both at once does so here.
    fn learn(&self, pass: Backward<'_, Learner<'_>>) {
        pass.learn_in_two_steps(self);
    }

    /// Takes what a forward pass in training saved into the statistics.
    fn settle(&self, _batch: usize, _saved: &[f32], _statistics: &mut [f32]) {}

    /// The forward pass once more, in float64 and by plain loops: what gradients are checked against.
    fn reference(&self, pass: Reference<'_>);
}

/// The arguments of a forward pass.
pub(crate) struct Forward<'a> {
    pub batch: usize,
    pub mode: Mode,
    pub parameters: &'a [f32],
    pub statistics: &'a [f32],
    pub x: &'a [f32],
    pub y: &'a mut [f32],
    pub saved: &'a mut [f32],
    pub scratch: &'a mut [f32],
    pub wide: &'a mut [f64],
}

/// The arguments of a backward pass; `x`, `y` and `saved` are the forward pass's.
pub(crate) struct Backward<'a, P = &'a [f32]> {
    pub batch: usize,
    pub mode: Mode,
    pub parameters: P,
    pub statistics: &'a [f32],
    pub x: &'a [f32],
    pub y: &'a [f32],
    pub dy: &'a [f32],
    /// The input's gradient; `None` where nobody needs it.
    pub dx: Option<&'a mut [f32]>,
    /// The parameters' gradients.
    pub gradients: &'a mut [f32],
    pub saved: &'a [f32],
    pub scratch: &'a mut [f32],
    pub wide: &'a mut [f64],
}

impl<'a> Backward<'a, ()> {
    /// Has `operation` go back, and learn if the parameters are to.
    pub fn run(self, operation: &dyn Operation, weights: Weights<'a>) {
        match weights {
            Weights::Fixed(parameters) => operation.backward(self.with(parameters)),
            Weights::Learning(learner) => operation.learn(self.with(learner)),
        }
    }

    fn with<P>(self, parameters: P) -> Backward<'a, P> {
        let Self { batch, mode, statistics, x, y, dy, dx, gradients, saved, scratch, wide, .. } = self;
        Backward { batch, mode, parameters, statistics, x, y, dy, dx, gradients, saved, scratch, wide }
    }
}

impl<'a> Backward<'a> {
    /// These arguments, for operations that are made of others.
    pub fn into_weights(self) -> Backward<'a, Weights<'a>> {
        let weights = Weights::Fixed(self.parameters);
        self.take().1.with(weights)
    }
}

impl<'a> Backward<'a, Learner<'a>> {
    /// These arguments, for operations that are made of others.
    pub fn into_weights(self) -> Backward<'a, Weights<'a>> {
        let (learner, pass) = self.take();
        pass.with(Weights::Learning(learner))
    }
}

impl Backward<'_, Learner<'_>> {
    /// First all gradients, then the update.
    pub fn learn_in_two_steps(self, operation: &(impl Operation + ?Sized)) {
        let (
            learner,
            Backward { batch, mode, statistics, x, y, dy, dx, gradients, saved, scratch, wide, .. },
        ) = self.take();
        operation.backward(Backward {
            batch,
            mode,
            parameters: &*learner.values,
            statistics,
            x,
            y,
            dy,
            dx,
            gradients: &mut *gradients,
            saved,
            scratch,
            wide,
        });
        learner.update(gradients);
    }
}

impl<'a, P> Backward<'a, P> {
    fn take(self) -> (P, Backward<'a, ()>) {
        let Self { batch, mode, parameters, statistics, x, y, dy, dx, gradients, saved, scratch, wide } =
            self;
        (
            parameters,
            Backward {
                batch,
                mode,
                parameters: (),
                statistics,
                x,
                y,
                dy,
                dx,
                gradients,
                saved,
                scratch,
                wide,
            },
        )
    }
}

/// The parameters on the way back: as they are, or about to learn.
pub(crate) enum Weights<'a> {
    Fixed(&'a [f32]),
    Learning(Learner<'a>),
}

impl Weights<'_> {
    /// Those in this range.
    pub fn part(&mut self, range: Range<usize>) -> Weights<'_> {
        match self {
            Self::Fixed(values) => Weights::Fixed(&values[range]),
            Self::Learning(learner) => Weights::Learning(learner.part(range)),
        }
    }
}

/// The arguments of a forward pass in float64.
pub(crate) struct Reference<'a> {
    pub batch: usize,
    pub mode: Mode,
    pub parameters: &'a [f64],
    pub statistics: &'a [f64],
    pub x: &'a [f64],
    pub y: &'a mut [f64],
}

/// Why planned operands always fit the kernels.
pub(crate) const PLANNED: &str = "operands have the planned shapes";

/// A slice as an array of a planned shape.
pub(crate) fn array<T, I: IntoDimension>(shape: I, values: &[T]) -> ArrayView<'_, T, I::Dim>
where
    I::Dim: Dimension,
{
    ArrayView::from_shape(shape.into_dimension(), values).expect(PLANNED)
}

/// The same for an output.
pub(crate) fn array_mut<T, I: IntoDimension>(shape: I, values: &mut [T]) -> ArrayViewMut<'_, T, I::Dim>
where
    I::Dim: Dimension,
{
    ArrayViewMut::from_shape(shape.into_dimension(), values).expect(PLANNED)
}

/// The default of a stride or dilation.
fn ones() -> [usize; 2] {
    [1, 1]
}

/// The map that a layer on maps works on.
fn expect_map(input: Shape) -> Result<[usize; 3], Misfit> {
    match input {
        Shape::Map(map) => Ok(map),
        Shape::Flat(_) => Err(Misfit::NotAMap { found: input }),
    }
}
