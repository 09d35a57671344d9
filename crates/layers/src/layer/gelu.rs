use super::activation::{self, plain};
use super::{Context, Operation, Settings};
use crate::text::Words;
use crate::{Misfit, Shape};
use serde::{Deserialize, Serialize};
use tensor_ops::Activation;

plain! {
    /// The Gaussian error linear unit (Hendrycks and Gimpel 2016): `y = x · Φ(x)`, `Φ` the distribution function of the
    /// standard normal; the exact form, PyTorch's default.
    ///
    /// `dx = dy · (Φ(x) + x · φ(x))`, `φ` its density.
    Gelu, "gelu"
}
