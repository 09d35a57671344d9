//! What the activation layers share: a function of each number by itself.

use super::{Backward, Context, Forward, Operation, PLANNED, Reference, array, array_mut};
use crate::Shape;
use crate::parallel::map_chunks;
use tensor_ops::{Activation, Kernels, activation, naive};

/// Plans a function of each number.
pub(super) fn plan(function: Activation, input: Shape, context: &Context) -> Box<dyn Operation> {
    Box::new(Plan { function, input, kernels: context.kernels })
}

#[derive(Debug)]
struct Plan {
    function: Activation,
    input: Shape,
    kernels: Kernels,
}

impl Operation for Plan {
    fn output(&self) -> Shape {
        self.input
    }

    fn forward(&self, Forward { batch, x, y, .. }: Forward<'_>) {
        let Self { function, kernels, .. } = *self;
        map_chunks(batch, [x], y, |_, [x], y| {
            activation::forward(kernels, function, array(x.len(), x), array_mut(y.len(), y)).expect(PLANNED);
        });
    }

    fn backward(&self, Backward { batch, x, y, dy, dx, .. }: Backward<'_>) {
        let Self { function, kernels, .. } = *self;
        let Some(dx) = dx else { return };
        map_chunks(batch, [x, y, dy], dx, |_, operands, dx| {
            let [x, y, dy] = operands.map(|values| array(values.len(), values));
            activation::backward(kernels, function, x, y, dy, array_mut(dx.len(), dx)).expect(PLANNED);
        });
    }

    fn reference(&self, Reference { x, y, .. }: Reference<'_>) {
        naive::activation::forward(self.function, array(x.len(), x), array_mut(y.len(), y)).expect(PLANNED);
    }
}

/// Declares the settings of an activation that has none.
macro_rules! plain {
    ($(#[$docs:meta])* $layer:ident, $word:literal) => {
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $layer;

        impl Settings for $layer {
            const WORD: &'static str = $word;
            const FOLLOWS: bool = true;

            fn parse(_words: &mut Words) -> Result<Self, String> {
                Ok(Self)
            }

            fn text(&self) -> String {
                String::new()
            }

            fn plan(&self, input: Shape, context: &mut Context) -> Result<Box<dyn Operation>, Misfit> {
                Ok(activation::plan(Activation::$layer, input, context))
            }
        }
    };
}
pub(super) use plain;
