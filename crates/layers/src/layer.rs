//! The layers: one file each, and the one list of them.
//!
//! A layer's file holds its settings (public, serialisable: a part of a [`NetworkSpec`](crate::NetworkSpec)) and
//! its planned operation (private). To add a layer, write such a file and name it in the list below.

use crate::parameters::ParameterSpec;
use crate::{Misfit, Shape};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use tensor_ops::Kernels;
use tensor_ops::ndarray::{ArrayView, ArrayViewMut, Dimension, IntoDimension};

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

            /// The operation that this layer is on an input of this shape.
            pub(crate) fn plan(&self, input: Shape, kernels: Kernels) -> Result<Box<dyn Operation>, Misfit> {
                match self { $(Self::$layer(layer) => layer.plan(input, kernels),)* }
            }
        }

        $(impl From<$layer> for Layer {
            fn from(layer: $layer) -> Self { Self::$layer(layer) }
        })*
    };
}

layers! {
    avg_pool2d::AvgPool2d,
    conv2d::Conv2d,
    dense::Dense,
    flatten::Flatten,
    max_pool2d::MaxPool2d,
    min_pool2d::MinPool2d,
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

    /// Whether the output is the input's numbers under another shape. `forward` and `backward` are not called then.
    fn is_view(&self) -> bool {
        false
    }

    /// Numbers of scratch that a backward pass over a batch needs.
    fn scratch(&self, _batch: usize) -> usize {
        0
    }

    /// Writes `y`.
    fn forward(&self, pass: Forward<'_>);

    /// Writes `dx`, where it is wanted, and `gradients`.
    fn backward(&self, pass: Backward<'_>);
}

/// The arguments of a forward pass.
pub(crate) struct Forward<'a> {
    pub batch: usize,
    pub parameters: &'a [f32],
    pub x: &'a [f32],
    pub y: &'a mut [f32],
}

/// The arguments of a backward pass.
pub(crate) struct Backward<'a> {
    pub batch: usize,
    pub parameters: &'a [f32],
    pub x: &'a [f32],
    pub dy: &'a [f32],
    /// The input's gradient; `None` for the first layer, whose input is data.
    pub dx: Option<&'a mut [f32]>,
    /// The parameters' gradients.
    pub gradients: &'a mut [f32],
    pub scratch: &'a mut [f32],
}

/// Why planned operands always fit the kernels.
const PLANNED: &str = "operands have the planned shapes";

/// A slice as an array of a planned shape.
pub(crate) fn array<I: IntoDimension>(shape: I, values: &[f32]) -> ArrayView<'_, f32, I::Dim>
where
    I::Dim: Dimension,
{
    ArrayView::from_shape(shape.into_dimension(), values).expect(PLANNED)
}

/// The same for an output.
pub(crate) fn array_mut<I: IntoDimension>(shape: I, values: &mut [f32]) -> ArrayViewMut<'_, f32, I::Dim>
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
