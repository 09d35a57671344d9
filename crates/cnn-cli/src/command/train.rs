//! `cnn train`: a preset and flags become a job, and the job runs.

use super::JUDGE_BATCH;
use crate::args::{self, Mode};
use crate::data::{CENTERED, Normalized, Source};
use crate::output;
use crate::preset::{MNIST, Preset};
use crate::progress::{Start, reporter};
use anyhow::{Context, Result};
use layers::{
    Kernels, Model, Network, Optimizer, Samples, Sgd, Ties, TrainConfig, TrainState, Trainer, evaluate,
};
use mnist_io::{Dataset, Split};
use std::ops::ControlFlow;
use std::path::PathBuf;

/// What was asked for, checked: nothing of it is left to be refused but the images and a network that does not fit them.
struct Job {
    preset: Preset,
    ties: Ties,
    kernels: Kernels,
    config: TrainConfig,
    source: Source,
    out: PathBuf,
    progress: Mode,
    /// Whether the preset, not a flag, says how many images are used.
    limited_by_preset: bool,
}

pub fn run(args: args::Train, kernels: Kernels) -> Result<()> {
    Job::new(args, kernels)?.run()
}

impl Job {
    fn new(args: args::Train, kernels: Kernels) -> Result<Self> {
        let args::Train {
            preset,
            data,
            epochs,
            batch_size,
            learning_rate,
            seed,
            ties,
            no_average,
            out,
            progress,
            ..
        } = args;
        let config = preset.config();
        let optimizer = Optimizer::Sgd(Sgd { learning_rate, ..Sgd::default() });
        let average = config.average.filter(|_| !no_average);
        let out = out.unwrap_or_else(|| format!("{}.safetensors", preset.name()).into());
        output::check(&out)?;
        let ties = ties.unwrap_or(preset.ties());
        Ok(Self {
            preset,
            ties,
            kernels,
            config: TrainConfig { epochs, batch_size, seed, optimizer, average, ..config },
            limited_by_preset: data.limit.is_none() && preset.limit().is_some(),
            source: Source::new(data, preset.limit()),
            out,
            progress: progress.progress,
        })
    }

    fn run(self) -> Result<()> {
        let training = Normalized::new(self.source.load(Split::Train)?, CENTERED);
        let test = Normalized::new(self.source.load(Split::Test)?, CENTERED);
        let class_names = training.dataset().class_names();
        self.source.check_classes(class_names, test.dataset().class_names())?;
        let network = self.network(training.dataset())?;
        let mut reporter = reporter(self.progress, Some(self.preset));
        reporter.start(&self.start(&network, &training, &test));
        if self.limited_by_preset {
            reporter.say("This preset uses only the first images, as the tutorial does; --limit N sets another number.");
        }

        let Self { config, source, out, .. } = self;
        let state = TrainState::new(&config, network.initial_parameters(config.seed))?;
        let parameters = Trainer::new(&network, config, &training, Some(&test), state)
            .and_then(|mut trainer| {
                trainer.run(|_, event| {
                    reporter.event(event);
                    ControlFlow::Continue(())
                })?;
                Ok(trainer.into_state().into_result())
            })
            .map_err(|error| source.blame(error))?;
        let model = Model { network, parameters, normalization: CENTERED, class_names: class_names.to_vec() };
        model.save(&out)?;
        reporter.saved(&out);
        reporter.test(evaluate(&model.network, &model.parameters, &test, JUDGE_BATCH, |_| ())?);
        reporter.finish()
    }

    /// The preset's network: for MNIST, or for images that say what their classes are.
    fn network(&self, images: &Dataset) -> Result<Network> {
        let named = (images.shape(), images.classes());
        let (input, classes) = if images.class_names().is_empty() { MNIST } else { named };
        let network = Network::with_kernels(&self.preset.spec(self.ties, input, classes), self.kernels);
        network.with_context(|| self.source.to_string())
    }

    fn start(&self, network: &Network, training: &Normalized, test: &Normalized) -> Start {
        let TrainConfig { epochs, batch_size, seed, optimizer, average, .. } = self.config;
        Start {
            preset: self.preset,
            data: self.source.to_string(),
            images: training.len(),
            test_images: test.len(),
            parameters: network.parameter_count(),
            seed,
            threads: rayon::current_num_threads(),
            kernels: network.kernels().name(),
            epochs,
            batch_size,
            learning_rate: optimizer.learning_rate(),
            ties: self.ties,
            average,
        }
    }
}
