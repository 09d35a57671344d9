use super::{Backward, Context, Forward, Mode, Operation, Reference, Settings};
use crate::parallel::{for_rows, map_chunks};
use crate::random::{Purpose, stream};
use crate::{Draw, Misfit, Shape};
use rand::Rng;
use crate::text::Words;
use serde::{Deserialize, Serialize};

/// Dropout (Srivastava et al. 2014): in training, each number is set to zero with probability `rate`, and those that
/// stay are divided by `1 − rate`, so that their mean stays; otherwise the input itself.
///
/// `y = m · x` with `m = 0` or `1 / (1 − rate)`, so `dx = m · dy`.
///
/// With `spatial`, a channel of a map stays or goes as a whole (Tompson et al. 2015): neighbours in a map are so alike
/// that dropping one of them drops nothing.
///
/// What is dropped follows from the run's seed, the step, the sample's place in the batch and the layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// The share that is dropped, from 0 to below 1.
    pub rate: f32,
    /// Whether whole channels are dropped; not by default.
    #[serde(default)]
    pub spatial: bool,
}

impl Dropout {
    /// Drops single numbers.
    pub fn new(rate: f32) -> Self {
        Self { rate, spatial: false }
    }
}

impl Settings for Dropout {
    const WORD: &'static str = "dropout";

    fn parse(words: &mut Words) -> Result<Self, String> {
        Ok(Self { rate: words.number("a rate such as 0.5")?, spatial: words.take("spatial") })
    }

    fn text(&self) -> String {
        format!(" {}{}", self.rate, if self.spatial { " spatial" } else { "" })
    }

    fn plan(&self, input: Shape, context: &mut Context) -> Result<Box<dyn Operation>, Misfit> {
        let Self { rate, spatial } = *self;
        if !(0.0..1.0).contains(&rate) {
            let found = rate.to_string();
            return Err(Misfit::Setting { what: "rate", expected: "a share from 0 to below 1", found });
        }
        let factors = match input {
            Shape::Map([_, _, channels]) if spatial => channels,
            Shape::Flat(_) if spatial => return Err(Misfit::NotAMap { found: input }),
            _ => input.len(),
        };
        context.streams += 1;
        Ok(Box::new(Plan { rate, factors, input, layer: context.streams }))
    }
}

#[derive(Debug)]
struct Plan {
    rate: f32,
    /// How many factors are drawn for a sample; they repeat along it.
    factors: usize,
    input: Shape,
    /// Tells this layer's stream from the others'.
    layer: u64,
}

impl Plan {
    /// One sample's factors: zero for what is dropped.
    fn draw(&self, Draw { seed, step }: Draw, sample: usize, factors: &mut [f32]) {
        let Self { rate, layer, .. } = *self;
        let threshold = (f64::from(rate) * 2f64.powi(32)) as u32;
        let mut rng = stream(seed, Purpose::Dropout { layer, step, sample });
        factors.fill_with(|| if rng.next_u32() < threshold { 0.0 } else { 1.0 / (1.0 - rate) });
    }

    /// Each number times its factor; a channel's factor meets every position.
    fn multiply(&self, from: &[f32], factors: &[f32], to: &mut [f32]) {
        let len = self.input.len();
        let samples = from.chunks_exact(len).zip(to.chunks_exact_mut(len)).zip(factors.chunks_exact(self.factors));
        for ((from, to), factors) in samples {
            for (from, to) in from.chunks_exact(self.factors).zip(to.chunks_exact_mut(self.factors)) {
                from.iter().zip(to).zip(factors).for_each(|((from, to), factor)| *to = from * factor);
            }
        }
    }
}

impl Operation for Plan {
    fn output(&self) -> Shape {
        self.input
    }

    fn saved(&self, batch: usize) -> usize {
        batch * self.factors
    }

    fn forward(&self, Forward { batch, mode, x, y, saved, .. }: Forward<'_>) {
        let Mode::Train(draw) = mode else { return y.copy_from_slice(x) };
        for_rows(batch, saved, &mut [], |sample, factors, _| self.draw(draw, sample, factors));
        map_chunks(batch, [x, saved], y, |_, [x, factors], y| self.multiply(x, factors, y));
    }

    fn backward(&self, Backward { batch, mode, dy, dx, saved, .. }: Backward<'_>) {
        let Some(dx) = dx else { return };
        let Mode::Train(_) = mode else { return dx.copy_from_slice(dy) };
        map_chunks(batch, [dy, saved], dx, |_, [dy, factors], dx| self.multiply(dy, factors, dx));
    }

    fn reference(&self, Reference { batch, mode, x, y, .. }: Reference<'_>) {
        let Mode::Train(draw) = mode else { return y.copy_from_slice(x) };
        let mut factors = vec![0.0; self.factors];
        let len = x.len() / batch;
        for (sample, (x, y)) in x.chunks_exact(len).zip(y.chunks_exact_mut(len)).enumerate() {
            self.draw(draw, sample, &mut factors);
            for (i, (x, y)) in x.iter().zip(y).enumerate() {
                *y = x * f64::from(factors[i % self.factors]);
            }
        }
    }
}
