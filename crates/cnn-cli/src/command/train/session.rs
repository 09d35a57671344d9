//! The training itself: what happens at each step and epoch, and how it is stopped.

use crate::data::Source;
use crate::interrupt::{self, Interrupted};
use crate::progress::{Epoch, Reporter, Start, Step};
use crate::recipe::Recipe;
use crate::run::Run;
use anyhow::Result;
use layers::{
    Checkpoint, Error, Event, Network, Normalization, Parameters, Progress, Samples, TrainConfig, Trainer,
};
use std::ops::ControlFlow;
use std::path::Path;

/// What training is done with.
pub struct Session<'a> {
    pub recipe: &'a Recipe,
    pub network: &'a Network,
    pub normalization: Normalization,
    pub class_names: &'a [String],
    pub source: &'a Source,
    /// The images that are trained on.
    pub learned: &'a dyn Samples,
    /// Those that are judged after each epoch.
    pub judged: Option<&'a dyn Samples>,
    pub run: &'a Run,
    /// Where the model goes, too.
    pub out: Option<&'a Path>,
}

impl Session<'_> {
    /// Trains to the end, and gives what was learned.
    pub fn train(&self, mut trainer: Trainer<'_>, reporter: &mut dyn Reporter) -> Result<Parameters> {
        let Self { network, normalization, class_names, .. } = *self;
        let mut metrics = self.run.open_metrics(trainer.state().progress.epochs)?;
        let checkpoint = self.run.checkpoint();
        let save = |trainer: &Trainer<'_>| {
            let (config, state) = (trainer.config(), trainer.state());
            Checkpoint::save(&checkpoint, network, normalization, class_names, config, state)
        };
        // Of the epoch that runs: the last learning rate, and the images that were seen in this process.
        let (mut rate, mut seen) = (None, 0);
        let mut failure = None;
        let mut hear = |trainer: &Trainer<'_>, event: Event| -> Result<()> {
            match event {
                Event::Step { epoch, step, score, learning_rate } => {
                    rate = Some(learning_rate);
                    seen += score.images;
                    reporter.step(Step { epoch, step, score });
                }
                _ => {
                    let Some(epoch) = summarize(event, rate, std::mem::take(&mut seen)) else {
                        return Ok(());
                    };
                    // The checkpoint comes last: a run that goes on from it has these lines.
                    metrics.push(&epoch)?;
                    save(trainer)?;
                    reporter.epoch(&epoch);
                }
            }
            Ok(())
        };
        let outcome = trainer.run(|trainer, event| {
            failure = hear(trainer, event).err();
            if failure.is_some() || interrupt::is_asked() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        outcome.map_err(|error| match error {
            Error::Diverged { epoch, step, loss, learning_rate, .. } => {
                let checkpoint = (epoch > 1).then(|| self.run.checkpoint());
                Error::Diverged { epoch, step, loss, learning_rate, checkpoint }.into()
            }
            error => self.source.blame(error),
        })?;
        failure.map_or(Ok(()), Err)?;
        if !trainer.is_done() {
            save(&trainer)?;
            let progress = trainer.state().progress;
            let (epoch, step) = (progress.epochs + 1, progress.steps);
            let (run, out) = (self.run.folder().to_owned(), self.out.map(Path::to_owned));
            return Err(Interrupted { run, out, epoch, step }.into());
        }
        Ok(trainer.into_state().into_result())
    }

    /// What the run begins with.
    pub fn start(&self, test_images: usize, progress: Progress) -> Start {
        let TrainConfig { epochs, batch_size, seed, optimizer, average, .. } = self.recipe.training;
        Start {
            preset: self.recipe.name.clone(),
            network: self.recipe.network.to_string(),
            data: self.source.to_string(),
            images: self.learned.len(),
            validation: self.recipe.validation.to_string(),
            validation_images: self.judged.map_or(0, Samples::len),
            test_images,
            parameters: self.network.parameter_count(),
            seed,
            threads: rayon::current_num_threads(),
            kernels: self.network.kernels().name(),
            epochs,
            epochs_done: progress.epochs,
            seen: progress.score,
            batch_size,
            learning_rate: optimizer.learning_rate(),
            average,
            run: self.run.folder().display().to_string(),
        }
    }
}

/// An epoch's figures.
fn summarize(event: Event, learning_rate: Option<f32>, seen: usize) -> Option<Epoch> {
    let Event::Epoch { epoch, train, validation, seconds } = event else { return None };
    Some(Epoch {
        epoch,
        train_loss: train.loss(),
        train_accuracy: train.accuracy(),
        validation_loss: validation.map(|score| score.loss()),
        validation_accuracy: validation.map(|score| score.accuracy()),
        learning_rate,
        seconds,
        images_per_second: (seen > 0).then(|| seen as f64 / seconds.max(1e-9)),
    })
}
