use super::{
    Backward, Context, Forward, Mode, Operation, PLANNED, Reference, Settings, array, array_mut, expect_map,
};
use crate::parallel::{map_chunks, most_chunks, sum_chunks};
use crate::parameters::ParameterSpec;
use crate::text::{self, Words};
use crate::{Initializer, Misfit, Shape};
use serde::{Deserialize, Serialize};
use tensor_ops::batch_norm::{self, Norm, Totals};
use tensor_ops::{Kernels, naive};

/// Batch normalisation (Ioffe and Szegedy 2015) of each channel.
///
/// `y = γ · x̂ + β` with `x̂ = (x − μ) / √(v + ε)`. In training, `μ` and `v` are the mean and the biased variance of the
/// channel over the batch; they also move the running statistics, `r ← (1 − momentum) · r + momentum · (μ or v)`, the
/// variance then unbiased. Otherwise `μ` and `v` are these running statistics. All as PyTorch's `BatchNorm2d`.
///
/// In training, an input moves its channel's `μ` and `v` too. With `m` values a channel,
///
/// * `dγ = Σ dy · x̂` and `dβ = Σ dy`,
/// * `dx = γ / √(v + ε) · (dy − dβ / m − x̂ · dγ / m)`.
///
/// Parameters `weight` (γ, starts at 1) and `bias` (β, starts at 0); statistics `running_mean` and `running_var`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchNorm2d {
    /// ε, which keeps the division from zero; 1e-5 by default.
    pub epsilon: f32,
    /// How much of a batch goes into the running statistics; 0.1 by default.
    pub momentum: f32,
}

impl Default for BatchNorm2d {
    fn default() -> Self {
        Self { epsilon: 1e-5, momentum: 0.1 }
    }
}

impl Settings for BatchNorm2d {
    const WORD: &'static str = "batchnorm";
    const FOLLOWS: bool = true;

    fn parse(words: &mut Words) -> Result<Self, String> {
        let mut layer = Self::default();
        loop {
            if let Some(epsilon) = words.option("epsilon", |words| words.number("a number such as 1e-5"))? {
                layer.epsilon = epsilon;
            } else if let Some(momentum) = words.option("momentum", |words| words.number("a share such as 0.1"))? {
                layer.momentum = momentum;
            } else {
                return Ok(layer);
            }
        }
    }

    fn text(&self) -> String {
        let (default, number) = (Self::default(), |value: f32| value.to_string());
        let epsilon = text::option("epsilon", self.epsilon, default.epsilon, number);
        epsilon + &text::option("momentum", self.momentum, default.momentum, number)
    }

    fn plan(&self, input: Shape, context: &mut Context) -> Result<Box<dyn Operation>, Misfit> {
        let Self { epsilon, momentum } = *self;
        let map = expect_map(input)?;
        let setting = |what, value: f32, good, expected| match good {
            true => Ok(()),
            false => Err(Misfit::Setting { what, expected, found: value.to_string() }),
        };
        setting("epsilon", epsilon, epsilon.is_finite() && epsilon > 0.0, "a finite number above 0")?;
        setting("momentum", momentum, (0.0..=1.0).contains(&momentum), "a share from 0 to 1")?;
        Ok(Box::new(Plan { epsilon, momentum, map, kernels: context.kernels }))
    }
}

/// `saved` holds the batch's mean and variance of each channel.
#[derive(Debug)]
struct Plan {
    epsilon: f32,
    momentum: f32,
    map: [usize; 3],
    kernels: Kernels,
}

impl Plan {
    fn channels(&self) -> usize {
        self.map[2]
    }

    fn shape(&self, batch: usize) -> [usize; 4] {
        let [rows, columns, channels] = self.map;
        [batch, rows, columns, channels]
    }

    /// Values of a channel in a batch.
    fn count(&self, batch: usize) -> usize {
        batch * self.map[0] * self.map[1]
    }

    /// One number a channel.
    fn part(&self, name: &str, initializer: Initializer) -> ParameterSpec {
        ParameterSpec { name: name.into(), shape: vec![self.channels()], initializer, fans: [1, 1], column_major: false }
    }

    /// What normalises: the batch's moments in training, the running ones otherwise.
    fn norm<'a, T: Copy>(
        &self,
        epsilon: T,
        mode: Mode,
        parameters: &'a [T],
        statistics: &'a [T],
        batch_moments: &'a [T],
    ) -> Norm<'a, T> {
        let channels = self.channels();
        let (gamma, beta) = parameters.split_at(channels);
        let (mean, variance) = match mode {
            Mode::Train(_) => batch_moments,
            Mode::Evaluate => statistics,
        }
        .split_at(channels);
        let [mean, variance, gamma, beta] = [mean, variance, gamma, beta].map(|values| array(channels, values));
        Norm { mean, variance, epsilon, gamma, beta }
    }
}

impl Operation for Plan {
    fn output(&self) -> Shape {
        Shape::Map(self.map)
    }

    fn parameters(&self) -> Vec<ParameterSpec> {
        vec![self.part("weight", Initializer::Ones), self.part("bias", Initializer::Zeros)]
    }

    fn statistics(&self) -> Vec<ParameterSpec> {
        vec![self.part("running_mean", Initializer::Zeros), self.part("running_var", Initializer::Ones)]
    }

    fn smallest_batch(&self) -> usize {
        // A channel of a single value has no variance.
        if self.count(1) == 1 { 2 } else { 1 }
    }

    fn saved(&self, _batch: usize) -> usize {
        2 * self.channels()
    }

    fn wide_scratch(&self, batch: usize) -> usize {
        2 * self.channels() * (1 + most_chunks(batch))
    }

    fn forward(&self, pass: Forward<'_>) {
        let Forward { batch, mode, parameters, statistics, x, y, saved, wide, .. } = pass;
        let (kernels, channels) = (self.kernels, self.channels());
        if let Mode::Train(_) = mode {
            let (totals, partials) = wide.split_at_mut(2 * channels);
            sum_chunks(batch, [x], partials, totals, |n, [x], sums| {
                let (sum, squares) = sums.split_at_mut(channels);
                batch_norm::sums(kernels, array(self.shape(n), x), sum, squares).expect(PLANNED);
            });
            let (sum, squares) = totals.split_at(channels);
            let (mean, variance) = saved.split_at_mut(channels);
            let (mean, variance) = (array_mut(channels, mean), array_mut(channels, variance));
            batch_norm::moments_from_sums(self.count(batch), sum, squares, mean, variance).expect(PLANNED);
        }
        let norm = self.norm(self.epsilon, mode, parameters, statistics, saved);
        map_chunks(batch, [x], y, |n, [x], y| {
            let (x, y) = (array(self.shape(n), x), array_mut(self.shape(n), y));
            batch_norm::normalize(kernels, &norm, x, y).expect(PLANNED);
        });
    }

    fn backward(&self, pass: Backward<'_>) {
        let Backward { batch, mode, parameters, statistics, x, dy, dx, gradients, saved, wide, .. } = pass;
        let (kernels, channels) = (self.kernels, self.channels());
        let norm = self.norm(self.epsilon, mode, parameters, statistics, saved);
        let (totals, partials) = wide.split_at_mut(2 * channels);
        sum_chunks(batch, [x, dy], partials, totals, |n, [x, dy], sums| {
            let (x, dy) = (array(self.shape(n), x), array(self.shape(n), dy));
            let (dgamma, dbeta) = sums.split_at_mut(channels);
            batch_norm::gradient_sums(kernels, &norm, x, dy, dgamma, dbeta).expect(PLANNED);
        });
        gradients.iter_mut().zip(&*totals).for_each(|(gradient, total)| *gradient = *total as f32);
        let Some(dx) = dx else { return };
        let (dgamma, dbeta) = totals.split_at(channels);
        let totals = Totals { count: self.count(batch), dgamma, dbeta };
        map_chunks(batch, [x, dy], dx, |n, [x, dy], dx| {
            let (x, dy) = (array(self.shape(n), x), array(self.shape(n), dy));
            let dx = array_mut(self.shape(n), dx);
            match mode {
                Mode::Train(_) => batch_norm::grad_input_train(kernels, &norm, &totals, x, dy, dx),
                Mode::Evaluate => batch_norm::grad_input_eval(kernels, &norm, dy, dx),
            }
            .expect(PLANNED);
        });
    }

    fn settle(&self, batch: usize, saved: &[f32], statistics: &mut [f32]) {
        let channels = self.channels();
        let (mean, variance) = saved.split_at(channels);
        let moments = [mean, variance].map(|values| array(channels, values));
        let (mean, variance) = statistics.split_at_mut(channels);
        let running = [mean, variance].map(|values| array_mut(channels, values));
        batch_norm::update_running(self.momentum, self.count(batch), moments, running).expect(PLANNED);
    }

    fn reference(&self, Reference { batch, mode, parameters, statistics, x, y }: Reference<'_>) {
        let (channels, epsilon) = (self.channels(), f64::from(self.epsilon));
        let (x, y) = (array(self.shape(batch), x), array_mut(self.shape(batch), y));
        let mut moments = vec![0.0; 2 * channels];
        if let Mode::Train(_) = mode {
            let (mean, variance) = moments.split_at_mut(channels);
            naive::batch_norm::moments(x, array_mut(channels, mean), array_mut(channels, variance)).expect(PLANNED);
        }
        let norm = self.norm(epsilon, mode, parameters, statistics, &moments);
        naive::batch_norm::forward_eval(&norm, x, y).expect(PLANNED);
    }
}
