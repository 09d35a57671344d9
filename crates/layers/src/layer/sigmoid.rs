use super::activation::{self, plain};
use super::{Context, Operation, Settings};
use crate::text::Words;
use crate::{Misfit, Shape};
use serde::{Deserialize, Serialize};
use tensor_ops::Activation;

plain! {
    /// The logistic function: `y = 1 / (1 + exp(−x))`.
    ///
    /// `dx = dy · y · (1 − y)`.
    Sigmoid, "sigmoid"
}
