//! Training: the loop over epochs and batches, one step at a time.

use crate::evaluate::judge_all;
use crate::layer::Draw;
use crate::random::{Purpose, stream};
use crate::samples::Batch;
use crate::{
    Augmentation, Checkpoint, Error, Loss, Moments, Network, Normalization, Optimizer, Parameters, Result,
    Samples, Schedule, Score, Sgd, Update, Workspace,
};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// How often each sample is seen; 1 by default.
    pub epochs: usize,
    /// Samples a step; 32 by default.
    pub batch_size: usize,
    /// What everything random in the run follows from.
    pub seed: u64,
    /// What is made small.
    pub loss: Loss,
    /// How the parameters move.
    pub optimizer: Optimizer,
    /// How the learning rate moves.
    pub schedule: Schedule,
    /// How each image is changed whenever it is trained on; not at all by default.
    #[serde(skip_serializing_if = "Augmentation::is_empty")]
    pub augmentation: Augmentation,
    /// The largest norm of the gradient; unlimited by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f32>,
    /// A running average of the parameters, which is then what is judged and kept; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average: Option<Average>,
    /// Training ends early when the validation loss has not fallen for so many epochs, and the parameters with the
    /// lowest one are kept. Never by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
}

/// A running average of the parameters (Polyak and Juditsky 1992): it steadies what single steps shake.
///
/// Every so many steps, `a ← k · a + (1 − k) · p`. At the `n`-th such update, from 0, `k` is the smaller of `keep` and
/// `(1 + n) / (10 + n)`, so that the start is soon forgotten; the first `every` steps are an update each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Average {
    /// How much of the average stays at the most.
    pub keep: f32,
    /// Steps between two updates; with many short steps, an update at each would cost more than the step.
    pub every: usize,
}

impl Average {
    /// How much of the average stays after a step, counted from 0; `None` where it is left as it is.
    fn keep_after(self, step: u64) -> Option<f32> {
        let every = self.every as u64;
        let updates = if step < every { step } else { every + step / every };
        let is_update = step < every || (step + 1).is_multiple_of(every);
        is_update.then(|| self.keep.min((1 + updates) as f32 / (10 + updates) as f32))
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 1,
            batch_size: 32,
            seed: 0,
            loss: Loss::default(),
            optimizer: Optimizer::Sgd(Sgd::default()),
            schedule: Schedule::default(),
            augmentation: Augmentation::default(),
            clip_norm: None,
            average: None,
            patience: None,
        }
    }
}

/// Everything that changes while a network is trained: with the configuration, all that a run needs to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainState {
    /// What is learned.
    pub parameters: Parameters,
    /// The optimiser's memory.
    pub moments: Moments,
    /// The running average of the parameters, if there is one.
    pub average: Option<Parameters>,
    /// The parameters of the epoch with the lowest validation loss, if training may end early.
    pub best: Option<Parameters>,
    /// Where the run is.
    pub progress: Progress,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Epochs that are complete.
    pub epochs: usize,
    /// Steps of the next epoch that are made.
    pub steps: usize,
    /// The score of these steps.
    pub score: Score,
    /// The lowest validation loss so far, and after how many epochs it was reached.
    pub best: Option<(f64, usize)>,
}

impl TrainState {
    /// The state before the first step.
    ///
    /// # Errors
    /// Buffers that do not fit into memory.
    pub fn new(config: &TrainConfig, parameters: Parameters) -> Result<Self> {
        let moments = config.optimizer.moments(parameters.values().len())?;
        let average = config.average.map(|_| parameters.clone());
        let best = config.patience.map(|_| parameters.clone());
        Ok(Self { parameters, moments, average, best, progress: Progress::default() })
    }

    /// Fails where this is not the state of such a run.
    fn check(&self, network: &Network, config: &TrainConfig) -> Result<()> {
        for parameters in
            [Some(&self.parameters), self.average.as_ref(), self.best.as_ref()].into_iter().flatten()
        {
            parameters.check(network.layout())?;
        }
        config.optimizer.check_moments(network.parameter_count(), &self.moments)?;
        for (what, expected, found) in [
            ("average", config.average.is_some(), self.average.is_some()),
            ("best parameters", config.patience.is_some(), self.best.is_some()),
        ] {
            if expected != found {
                let (expected, found) = if expected { ("some", "none") } else { ("none", "some") };
                return Err(Error::Setting { what, expected, found: found.into() });
            }
        }
        Ok(())
    }

    /// What to judge and to keep now: the running average, if there is one.
    pub fn current(&self) -> &Parameters {
        self.average.as_ref().unwrap_or(&self.parameters)
    }

    /// [`TrainState::result`], without what is beside it.
    pub fn into_result(self) -> Parameters {
        let current = self.average.unwrap_or(self.parameters);
        self.best.filter(|_| self.progress.best.is_some()).unwrap_or(current)
    }

    /// What to keep of the run: the best parameters, if they were looked for, or else the current ones.
    pub fn result(&self) -> &Parameters {
        self.best.as_ref().filter(|_| self.progress.best.is_some()).unwrap_or(self.current())
    }
}

/// What happened in training. Epochs and steps count from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A step was made.
    Step {
        /// The epoch it is in.
        epoch: usize,
        /// Which step of the epoch.
        step: usize,
        /// The samples of its batch, before the update.
        score: Score,
        /// The learning rate.
        learning_rate: f32,
    },
    /// An epoch ended.
    Epoch {
        /// Which one.
        epoch: usize,
        /// The steps' scores together: each sample as it was seen, before its update.
        train: Score,
        /// The validation set after the epoch, if there is one.
        validation: Option<Score>,
        /// Seconds spent on training in this process, without the validation.
        seconds: f64,
    },
}

/// A training run: it borrows the network and the data, owns its state and its buffers, and goes one step at a time.
///
/// The caller owns the loop: to stop, it does not ask for another step; to save, it takes [`Trainer::state`] between
/// two. A run from a saved state goes on to the same bits as one that was never interrupted.
pub struct Trainer<'a> {
    network: &'a Network,
    config: TrainConfig,
    train: &'a dyn Samples,
    validation: Option<&'a dyn Samples>,
    state: TrainState,
    workspace: Workspace,
    batch: Batch,
    /// The order of the current epoch's samples.
    order: Vec<usize>,
    seconds: f64,
    /// Where the state goes at each epoch's end, and what goes with it.
    keep: Option<Keep<'a>>,
    /// Whether something was written there.
    kept: bool,
}

/// What a checkpoint needs beside the run.
struct Keep<'a> {
    path: &'a Path,
    normalization: Normalization,
    class_names: &'a [String],
}

impl<'a> Trainer<'a> {
    /// A run from `state` on.
    ///
    /// # Errors
    /// Settings outside their range, samples that do not fit the network, no samples, a state that does not fit, and
    /// buffers that do not fit into memory.
    pub fn new(
        network: &'a Network,
        config: TrainConfig,
        train: &'a dyn Samples,
        validation: Option<&'a dyn Samples>,
        state: TrainState,
    ) -> Result<Self> {
        config.check(network)?;
        state.check(network, &config)?;
        for samples in [Some(train), validation].into_iter().flatten() {
            network.check_samples(samples)?;
        }
        if config.patience.is_some() && validation.is_none() {
            return Err(Error::NoValidation);
        }
        let batch_size = config.batch_size.min(train.len());
        // The last batch of an epoch may be the smallest.
        let last = (train.len() - 1) % batch_size + 1;
        network.check_training_batch(last)?;
        let workspace = network.workspace(batch_size)?;
        let scratch = config.augmentation.scratch(train.shape());
        let batch = Batch::new(network, batch_size, scratch);
        let mut trainer = Self {
            network,
            config,
            train,
            validation,
            state,
            workspace,
            batch,
            order: Vec::new(),
            seconds: 0.0,
            keep: None,
            kept: false,
        };
        trainer.shuffle();
        Ok(trainer)
    }

    /// Writes a [`Checkpoint`] to `path` at the end of each epoch, once its parameters are known to be finite. The error of
    /// a run that diverges then names it.
    pub fn keep(&mut self, path: &'a Path, normalization: Normalization, class_names: &'a [String]) {
        self.keep = Some(Keep { path, normalization, class_names });
    }

    /// What ends a run at a step, counted from 1, of the current epoch.
    fn diverged(&self, step: usize, loss: f32, learning_rate: f32) -> Error {
        let epoch = self.state.progress.epochs + 1;
        let checkpoint = self.keep.as_ref().filter(|_| self.kept).map(|keep| keep.path.to_owned());
        Error::Diverged { epoch, step, loss, learning_rate, checkpoint }
    }

    /// The state between two steps.
    pub fn state(&self) -> &TrainState {
        &self.state
    }

    /// The state, at the end.
    pub fn into_state(self) -> TrainState {
        self.state
    }

    /// How it is trained.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// Steps in an epoch; the last may have fewer samples.
    pub fn steps_per_epoch(&self) -> usize {
        self.train.len().div_ceil(self.config.batch_size)
    }

    /// Whether no step is left: all epochs are done, or the validation loss has not fallen for long enough.
    pub fn is_done(&self) -> bool {
        let Progress { epochs, best, .. } = self.state.progress;
        let patience = self.config.patience.zip(best);
        epochs >= self.config.epochs
            || patience.is_some_and(|(patience, (_, at))| epochs.saturating_sub(at) > patience)
    }

    /// Makes the next step or, behind an epoch's last step, judges the epoch; `None` when the run is done.
    ///
    /// # Errors
    /// A loss or parameters that are no longer finite; a checkpoint that cannot be written.
    pub fn advance(&mut self) -> Result<Option<Event>> {
        if self.is_done() {
            return Ok(None);
        }
        let event = match self.state.progress.steps < self.steps_per_epoch() {
            true => self.step()?,
            false => self.end_epoch()?,
        };
        Ok(Some(event))
    }

    /// Advances to the end, or until `on_event` breaks off.
    ///
    /// # Errors
    /// As [`Trainer::advance`].
    pub fn run(&mut self, mut on_event: impl FnMut(&Self, Event) -> ControlFlow<()>) -> Result<()> {
        while let Some(event) = self.advance()? {
            if on_event(self, event).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Event> {
        let started = Instant::now();
        let steps_per_epoch = self.steps_per_epoch();
        let Self { network, config, train, state, workspace, batch, order, .. } = self;
        let Progress { epochs, steps, .. } = state.progress;
        let index = (epochs * steps_per_epoch + steps) as u64;
        let factor = config.schedule.factor(index, steps_per_epoch as u64, config.epochs as u64);
        let learning_rate = (f64::from(config.optimizer.learning_rate()) * factor) as f32;

        let samples = order.chunks(config.batch_size).nth(steps).expect("the epoch has this step");
        let augmentation = &config.augmentation;
        let (x, labels) = match augmentation.is_empty() {
            true => batch.gather(*train, samples),
            false => batch.gather_changed(*train, samples, |sample, x, scratch| {
                let mut rng = stream(config.seed, Purpose::Augment { epoch: epochs, sample });
                augmentation.apply(train.shape(), &mut rng, x, scratch);
            }),
        };
        let draw = Draw { seed: config.seed, step: index };
        let TrainConfig { loss, optimizer, clip_norm, .. } = config;
        let update = Update { loss, optimizer, learning_rate, clip_norm: *clip_norm, draw };
        let step = network.step(&mut state.parameters, &mut state.moments, x, labels, &update, workspace)?;
        if !step.loss.is_finite() {
            return Err(self.diverged(steps + 1, step.loss, learning_rate));
        }
        if let (Some(settings), Some(average)) = (config.average, &mut state.average)
            && let Some(keep) = settings.keep_after(index)
        {
            average.approach(&state.parameters, keep);
        }

        let mut score = Score::default();
        score.count(samples.len(), step);
        state.progress.score.count(samples.len(), step);
        state.progress.steps += 1;
        self.seconds += started.elapsed().as_secs_f64();
        Ok(Event::Step { epoch: epochs + 1, step: steps + 1, score, learning_rate })
    }

    fn end_epoch(&mut self) -> Result<Event> {
        if !self.state.parameters.values().iter().all(|value| value.is_finite()) {
            // The last step did it: its loss was still a number.
            let step = self.state.progress.steps;
            return Err(self.diverged(step, f32::NAN, self.config.optimizer.learning_rate()));
        }
        let Self { network, validation, state, workspace, batch, .. } = self;
        let progress = state.progress;
        let epoch = progress.epochs + 1;
        let judge =
            |samples| judge_all(network, state.current(), samples, workspace.activations(), batch, |_| ());
        let validation = validation.map(judge).transpose()?;
        let mut best = progress.best;
        if let Some(loss) = validation.map(|score| score.loss())
            && best.is_none_or(|(lowest, _)| loss < lowest)
        {
            best = Some((loss, epoch));
            if state.best.is_some() {
                state.best = Some(state.current().clone());
            }
        }
        state.progress = Progress { epochs: epoch, steps: 0, score: Score::default(), best };
        let seconds = std::mem::take(&mut self.seconds);
        self.shuffle();
        if let Some(Keep { path, normalization, class_names }) = &self.keep {
            Checkpoint::save(path, self.network, *normalization, class_names, &self.config, &self.state)?;
            self.kept = true;
        }
        Ok(Event::Epoch { epoch, train: progress.score, validation, seconds })
    }

    /// Puts the samples into the next epoch's order, which follows from the seed and the epoch alone.
    fn shuffle(&mut self) {
        self.order.clear();
        self.order.extend(0..self.train.len());
        let epoch = self.state.progress.epochs;
        self.order.shuffle(&mut stream(self.config.seed, Purpose::Shuffle { epoch }));
    }
}

impl TrainConfig {
    /// Fails where a setting is outside its range or does not fit the network.
    pub(crate) fn check(&self, network: &Network) -> Result<()> {
        let share = |what, value: Option<f32>, good: fn(f32) -> bool, expected| match value {
            Some(value) if !good(value) => Err(Error::Setting { what, expected, found: value.to_string() }),
            _ => Ok(()),
        };
        if self.batch_size == 0 {
            return Err(Error::EmptyBatch);
        }
        if self.epochs as u64 > u64::from(u32::MAX) {
            let found = self.epochs.to_string();
            return Err(Error::Setting { what: "epochs", expected: "a number of at most 32 bits", found });
        }
        share("clip norm", self.clip_norm, |value| value > 0.0, "a number above 0")?;
        let keep = self.average.map(|average| average.keep);
        share("average", keep, |value| (0.0..1.0).contains(&value), "a share from 0 to below 1")?;
        if self.average.is_some_and(|average| average.every == 0) {
            return Err(Error::Setting { what: "average", expected: "at least 1 step", found: "0".into() });
        }
        self.loss.check(network.classes()?)?;
        self.optimizer.check()?;
        self.augmentation.check(network.spec().input)?;
        self.schedule.check()
    }
}
