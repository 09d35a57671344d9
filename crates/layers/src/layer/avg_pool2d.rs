use super::pool2d::{self, Windows};
use super::{Context, Operation, Settings};
use crate::{Misfit, Padding, Shape};
use crate::text::Words;
use serde::{Deserialize, Serialize};
use tensor_ops::Pooling;

/// Average pooling: each channel's mean under each window.
///
/// `y[oy, ox, c] = 1/m · Σ x[oy·s + ky − p, ox·s + kx − p, c]` over the `m` taps inside the map.
///
/// Each of the `m` inputs takes an equal share of the gradient: `dx[iy, ix, c] = Σ dy[oy, ox, c] / m` over the
/// windows that it lies in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPool2d {
    /// Rows and columns of the window.
    pub kernel: [usize; 2],
    /// Step between windows, down and across; the window's size by default, so that they lie side by side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<[usize; 2]>,
    /// Room around the map; none by default.
    #[serde(default)]
    pub padding: Padding,
    /// Whether the padding counts as zeros (PyTorch's default) or is left out of the mean (Keras's, and ours).
    #[serde(default)]
    pub count_padding: bool,
}

impl AvgPool2d {
    /// Windows side by side, without padding.
    pub fn new(kernel: [usize; 2]) -> Self {
        Self { kernel, stride: None, padding: Padding::Valid, count_padding: false }
    }

    fn windows(&self) -> Windows {
        let Self { kernel, stride, padding, .. } = *self;
        Windows { kernel, stride, padding }
    }
}

impl Settings for AvgPool2d {
    const WORD: &'static str = "avgpool";

    fn parse(words: &mut Words) -> Result<Self, String> {
        let (Windows { kernel, stride, padding }, count_padding) = pool2d::parse(words, "countpad")?;
        Ok(Self { kernel, stride, padding, count_padding })
    }

    fn text(&self) -> String {
        pool2d::text(self.windows(), self.count_padding.then_some("countpad"))
    }

    fn plan(&self, input: Shape, context: &mut Context) -> Result<Box<dyn Operation>, Misfit> {
        let pooling = Pooling::Average { count_padding: self.count_padding };
        pool2d::plan(pooling, self.windows(), input, context)
    }
}
