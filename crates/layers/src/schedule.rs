use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// How the learning rate moves during a run: a factor on the optimiser's own rate, for each step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// Epochs, or a part of one, over which the rate rises in a straight line from near zero; none by default. The curve
    /// begins behind them.
    pub warmup: f64,
    /// The curve.
    pub curve: Curve,
}

/// The curve of a [`Schedule`], over the epochs behind its warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Curve {
    /// Always 1.
    #[default]
    Constant,
    /// Multiplied by `factor` after each `every` epochs.
    Step {
        /// Epochs between two changes.
        every: usize,
        /// What the rate is multiplied by.
        factor: f64,
    },
    /// Multiplied by `factor` after each epoch.
    Exponential {
        /// What the rate is multiplied by.
        factor: f64,
    },
    /// From 1 along half a cosine down to `last` at the end (Loshchilov and Hutter 2017).
    Cosine {
        /// The factor at the end.
        last: f64,
    },
    /// From `first` up to 1 over the share `rise` of the run and down to `last`, both along half a cosine (Smith 2018).
    /// PyTorch's default is a rise of 0.3 from 1/25 and an end at 4e-6.
    OneCycle {
        /// The share of the steps that rise.
        rise: f64,
        /// The factor at the start.
        first: f64,
        /// The factor at the end.
        last: f64,
    },
}

impl Schedule {
    /// The factor for `step`, counted from 0, of a run of `epochs` with `steps_per_epoch` each.
    pub fn factor(&self, step: u64, steps_per_epoch: u64, epochs: u64) -> f64 {
        let warmup = (self.warmup * steps_per_epoch as f64).round();
        let (step, total) = (step as f64, (epochs * steps_per_epoch) as f64);
        if step < warmup {
            return (step + 1.0) / warmup;
        }
        let (step, last_step) = (step - warmup, total - warmup - 1.0);
        let epoch = (step / steps_per_epoch as f64).floor();
        let half_cosine =
            |from: f64, to: f64, share: f64| to + (from - to) * (1.0 + (PI * share).cos()) / 2.0;
        match self.curve {
            Curve::Constant => 1.0,
            Curve::Step { every, factor } => factor.powf((epoch / every as f64).floor()),
            Curve::Exponential { factor } => factor.powf(epoch),
            Curve::Cosine { last } => half_cosine(1.0, last, (step / last_step.max(1.0)).min(1.0)),
            Curve::OneCycle { rise, first, last } => {
                let top = rise * (last_step + 1.0) - 1.0;
                if step <= top {
                    half_cosine(first, 1.0, step / top.max(1.0))
                } else {
                    half_cosine(1.0, last, ((step - top) / (last_step - top).max(1.0)).min(1.0))
                }
            }
        }
    }

    /// Fails where a setting is outside its range.
    pub(crate) fn check(&self) -> Result<()> {
        let check = |what, value: f64, good: bool, expected| match good && value.is_finite() {
            true => Ok(()),
            false => Err(Error::Setting { what, expected, found: value.to_string() }),
        };
        check("warmup", self.warmup, self.warmup >= 0.0, "a number of epochs of at least 0")?;
        let factor = |what, value: f64| check(what, value, value >= 0.0, "a finite number of at least 0");
        match self.curve {
            Curve::Constant => Ok(()),
            Curve::Step { every, factor: value } => {
                check("every", every as f64, every > 0, "at least 1 epoch")?;
                factor("factor", value)
            }
            Curve::Exponential { factor: value } => factor("factor", value),
            Curve::Cosine { last } => factor("last", last),
            Curve::OneCycle { rise, first, last } => {
                check("rise", rise, (0.0..=1.0).contains(&rise), "a share from 0 to 1")?;
                factor("first", first)?;
                factor("last", last)
            }
        }
    }
}
