use super::activation::{self, plain};
use super::{Context, Operation, Settings};
use crate::text::Words;
use crate::{Misfit, Shape};
use serde::{Deserialize, Serialize};
use tensor_ops::Activation;

plain! {
    /// The hyperbolic tangent: `y = tanh x`.
    ///
    /// `dx = dy · (1 − y²)`.
    Tanh, "tanh"
}
