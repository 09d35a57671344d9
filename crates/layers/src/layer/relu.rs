use super::activation::{self, plain};
use super::{Context, Operation, Settings};
use crate::text::Words;
use crate::{Misfit, Shape};
use serde::{Deserialize, Serialize};
use tensor_ops::Activation;

plain! {
    /// The rectifier (Nair and Hinton 2010): `y = max(x, 0)`.
    ///
    /// `dx = dy` where `x > 0`, else 0; at 0 itself the derivative is taken as 0, as PyTorch and Keras do.
    Relu, "relu"
}
