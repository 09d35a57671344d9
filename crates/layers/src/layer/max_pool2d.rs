use super::pool2d::{self, Windows, extremum};
use super::{Context, Operation, Settings};
use crate::text::Words;
use crate::{Misfit, Padding, Shape, Ties};
use serde::{Deserialize, Serialize};
use tensor_ops::{Pool2dGeometry, Pooling};

extremum! {
    /// Max-pooling: each channel's maximum under each window.
    ///
    /// `y[oy, ox, c] = max x[oy·s + ky − p, ox·s + kx − p, c]` over the taps `ky, kx` inside the map.
    ///
    /// The output follows one input alone, so that input takes the window's gradient:
    /// `dx[iy, ix, c] = Σ dy[oy, ox, c]` over the windows whose maximum it is. Where several inputs are equal, [`Ties`] says
    /// which of them.
    MaxPool2d, "maxpool"
}

impl MaxPool2d {
    /// Where the windows lie on an input of this shape.
    pub(crate) fn geometry(&self, input: Shape) -> Result<Pool2dGeometry, Misfit> {
        pool2d::geometry(self.windows(), input)
    }

    fn pooling(ties: Ties) -> Pooling {
        Pooling::Max(ties)
    }
}
