use super::pool2d::{self, Windows, extremum};
use super::{Context, Operation, Settings};
use crate::text::Words;
use crate::{Misfit, Padding, Shape, Ties};
use serde::{Deserialize, Serialize};
use tensor_ops::Pooling;

extremum! {
    /// Min-pooling: each channel's minimum under each window.
    ///
    /// `y[oy, ox, c] = min x[oy·s + ky − p, ox·s + kx − p, c]` over the taps `ky, kx` inside the map.
    ///
    /// The output follows one input alone, so that input takes the window's gradient:
    /// `dx[iy, ix, c] = Σ dy[oy, ox, c]` over the windows whose minimum it is. Where several inputs are equal, [`Ties`] says
    /// which of them.
    MinPool2d, "minpool"
}

impl MinPool2d {
    fn pooling(ties: Ties) -> Pooling {
        Pooling::Min(ties)
    }
}
