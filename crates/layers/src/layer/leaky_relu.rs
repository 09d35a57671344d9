use super::{Context, Operation, Settings, activation};
use crate::text::Words;
use crate::{Misfit, Shape};
use serde::{Deserialize, Serialize};
use tensor_ops::Activation;

/// The leaky rectifier (Maas, Hannun and Ng 2013): `y = x` where `x > 0`, else `slope · x`.
///
/// `dx = dy` where `x > 0`, else `slope · dy`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeakyRelu {
    /// The slope for negative inputs; 0.01 by default.
    pub slope: f32,
}

impl Default for LeakyRelu {
    fn default() -> Self {
        Self { slope: Activation::SLOPE }
    }
}

impl Settings for LeakyRelu {
    const WORD: &'static str = "leakyrelu";
    const FOLLOWS: bool = true;

    fn parse(words: &mut Words) -> Result<Self, String> {
        let slope = words.option("slope", |words| words.number("a slope such as 0.01"))?;
        Ok(slope.map_or(Self::default(), |slope| Self { slope }))
    }

    fn text(&self) -> String {
        crate::text::option("slope", self.slope, Activation::SLOPE, |slope| slope.to_string())
    }

    fn plan(&self, input: Shape, context: &mut Context) -> Result<Box<dyn Operation>, Misfit> {
        let Self { slope } = *self;
        if !slope.is_finite() {
            return Err(Misfit::Setting { what: "slope", expected: "a finite number", found: slope.to_string() });
        }
        Ok(activation::plan(Activation::LeakyRelu { slope }, input, context))
    }
}
