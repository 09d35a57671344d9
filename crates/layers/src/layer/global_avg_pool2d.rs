use super::{Context, Operation, pool2d, Settings};
use crate::{Misfit, Shape};
use crate::text::Words;
use serde::{Deserialize, Serialize};

/// Global average pooling (Lin, Chen and Yan 2014): the mean of each whole channel, as a flat row.
///
/// `y[c] = 1/m · Σ x[iy, ix, c]` over all `m` positions, so `dx[iy, ix, c] = dy[c] / m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalAvgPool2d;

impl Settings for GlobalAvgPool2d {
    const WORD: &'static str = "globalavgpool";
    const FLAT: bool = true;

    fn parse(_words: &mut Words) -> Result<Self, String> {
        Ok(Self)
    }

    fn text(&self) -> String {
        String::new()
    }

    fn plan(&self, input: Shape, context: &mut Context) -> Result<Box<dyn Operation>, Misfit> {
        pool2d::plan_global(input, context)
    }
}
