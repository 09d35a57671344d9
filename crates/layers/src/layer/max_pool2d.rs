use super::{Operation, pool2d};
use crate::{Misfit, Padding, Shape, Ties};
use serde::{Deserialize, Serialize};
use tensor_ops::{Kernels, Pooling};

/// Max-pooling: each channel's maximum under each window.
///
/// `y[oy, ox, c] = max x[oy·s + ky − p, ox·s + kx − p, c]` over the taps `ky, kx` inside the map.
///
/// The output follows one input alone, so that input takes the window's gradient: `dx[iy, ix, c] = Σ dy[oy, ox, c]`
/// over the windows whose maximum it is. Where several inputs are equal, [`Ties`] says which of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool2d {
    /// Rows and columns of the window.
    pub kernel: [usize; 2],
    /// Step between windows, down and across; the window's size by default, so that they lie side by side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<[usize; 2]>,
    /// Room around the map; none by default. It holds no values: a window's maximum is always one of the map's.
    #[serde(default)]
    pub padding: Padding,
    /// Which of equal inputs takes the gradient; the first by default.
    #[serde(default)]
    pub ties: Ties,
}

impl MaxPool2d {
    /// Windows side by side; the first maximum takes the gradient.
    pub fn new(kernel: [usize; 2]) -> Self {
        Self { kernel, stride: None, padding: Padding::Valid, ties: Ties::First }
    }

    pub(super) fn plan(&self, input: Shape, kernels: Kernels) -> Result<Box<dyn Operation>, Misfit> {
        pool2d::plan(Pooling::Max(self.ties), self.kernel, self.stride, self.padding, input, kernels)
    }
}
