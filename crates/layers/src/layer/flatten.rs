use super::{Backward, Forward, Operation};
use crate::{Misfit, Shape};
use serde::{Deserialize, Serialize};
use tensor_ops::{Error, Kernels};

/// A map as one row of numbers, in the order row, column, channel. Nothing moves in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flatten;

impl Flatten {
    pub(super) fn plan(&self, input: Shape, _kernels: Kernels) -> Result<Box<dyn Operation>, Misfit> {
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
}
