use crate::Layer;
use serde::{Deserialize, Serialize};

/// What a network is: the shape of its input and its layers in order.
///
/// The same value can be built in code, written in TOML or JSON, and is kept in a model file:
///
/// ```toml
/// input = [28, 28, 1]
///
/// [[layers]]
/// type = "conv2d"
/// filters = 8
/// kernel = [3, 3]
///
/// [[layers]]
/// type = "flatten"
///
/// [[layers]]
/// type = "dense"
/// outputs = 10
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// Rows, columns and channels of an image.
    pub input: [usize; 3],
    /// The layers; the last one gives the logits, one a class.
    pub layers: Vec<Layer>,
}

impl NetworkSpec {
    /// A network without layers yet, for images of `[rows, columns, channels]`.
    pub fn new(input: [usize; 3]) -> Self {
        Self { input, layers: Vec::new() }
    }

    /// This network with one more layer at its end.
    pub fn with(mut self, layer: impl Into<Layer>) -> Self {
        self.layers.push(layer.into());
        self
    }
}
