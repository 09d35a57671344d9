use super::{Backward, Context, Forward, Operation, Reference, Settings};
use crate::{Misfit, Shape};
use crate::text::Words;
use serde::{Deserialize, Serialize};
use tensor_ops::Error;

/// A map as one row of numbers, in the order row, column, channel. Nothing moves in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flatten;

impl Settings for Flatten {
    const WORD: &'static str = "flatten";
    const FLAT: bool = true;

    fn parse(_words: &mut Words) -> Result<Self, String> {
        Ok(Self)
    }

    fn text(&self) -> String {
        String::new()
    }

    fn plan(&self, input: Shape, _context: &mut Context) -> Result<Box<dyn Operation>, Misfit> {
        let len = input.checked_len().ok_or(Error::Overflow { what: "input" })?;
        Ok(Box::new(Plan { len }))
    }
}

#[derive(Debug)]
struct Plan {
    len: usize,
}

impl Operation for Plan {
    fn output(&self) -> Shape {
        Shape::Flat(self.len)
    }

    fn is_view(&self) -> bool {
        true
    }

    fn forward(&self, pass: Forward<'_>) {
        pass.y.copy_from_slice(pass.x);
    }

    fn backward(&self, pass: Backward<'_>) {
        if let Some(dx) = pass.dx {
            dx.copy_from_slice(pass.dy);
        }
    }

    fn reference(&self, pass: Reference<'_>) {
        pass.y.copy_from_slice(pass.x);
    }
}
