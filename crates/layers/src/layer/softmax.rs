use super::{Backward, Context, Forward, Operation, PLANNED, Reference, array, array_mut, Settings};
use crate::parallel::map_chunks;
use crate::{Misfit, Shape};
use crate::text::Words;
use serde::{Deserialize, Serialize};
use tensor_ops::{naive, softmax};

/// Softmax: a row of numbers, or the channels at each position of a map, as probabilities.
///
/// `y[k] = exp(x[k] − max x) / Σⱼ exp(x[j] − max x)`, so with `s = Σⱼ dy[j] · y[j]`, `dx[k] = y[k] · (dy[k] − s)`.
///
/// A network that is trained with cross-entropy ends in logits and needs no such layer: the loss takes the softmax
/// itself, more exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Softmax;

impl Settings for Softmax {
    const WORD: &'static str = "softmax";

    fn parse(_words: &mut Words) -> Result<Self, String> {
        Ok(Self)
    }

    fn text(&self) -> String {
        String::new()
    }

    fn plan(&self, input: Shape, _context: &mut Context) -> Result<Box<dyn Operation>, Misfit> {
        let (Shape::Flat(row) | Shape::Map([_, _, row])) = input;
        match row {
            0 => Err(tensor_ops::Error::Zero { what: "input" }.into()),
            _ => Ok(Box::new(Plan { input, row })),
        }
    }
}

#[derive(Debug)]
struct Plan {
    input: Shape,
    /// Numbers that sum to 1.
    row: usize,
}

impl Operation for Plan {
    fn output(&self) -> Shape {
        self.input
    }

    fn forward(&self, Forward { batch, x, y, .. }: Forward<'_>) {
        map_chunks(batch, [x], y, |_, [x], y| {
            let shape = (x.len() / self.row, self.row);
            softmax::forward(array(shape, x), array_mut(shape, y)).expect(PLANNED);
        });
    }

    fn backward(&self, Backward { batch, y, dy, dx, .. }: Backward<'_>) {
        let Some(dx) = dx else { return };
        map_chunks(batch, [y, dy], dx, |_, [y, dy], dx| {
            let rows = y.chunks_exact(self.row).zip(dy.chunks_exact(self.row)).zip(dx.chunks_exact_mut(self.row));
            for ((y, dy), dx) in rows {
                let sum: f32 = y.iter().zip(dy).map(|(y, dy)| y * dy).sum();
                y.iter().zip(dy).zip(dx).for_each(|((y, dy), dx)| *dx = y * (dy - sum));
            }
        });
    }

    fn reference(&self, Reference { x, y, .. }: Reference<'_>) {
        let shape = (x.len() / self.row, self.row);
        naive::softmax::forward(array(shape, x), array_mut(shape, y)).expect(PLANNED);
    }
}
