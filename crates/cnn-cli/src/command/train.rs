//! `cnn train`: a recipe and flags become a job, and the job runs.

mod report;
mod session;

use crate::args::{self, Mode};
use crate::data::{Normalized, Origin, Source};
use crate::interrupt;
use crate::judge::Judgement;
use crate::output;
use crate::progress::training;
use crate::recipe::{self, Recipe, Validation};
use crate::run::Run;
use anyhow::{Context, Result};
use layers::{
    Checkpoint, Kernels, Model, Network, Normalization, Samples, Subset, TrainConfig, TrainState, Trainer,
};
use mnist_io::Split;
use session::Session;
use std::path::PathBuf;

/// What was asked for, checked: nothing of it is left to be refused but the images and a network that does not fit them.
struct Job {
    recipe: Recipe,
    kernels: Kernels,
    source: Source,
    place: Place,
    /// Where an earlier part of the run ended.
    state: Option<TrainState>,
    out: Option<PathBuf>,
    progress: Mode,
    /// Whether the preset, not a flag, says how many images are used.
    limited_by_preset: bool,
    /// Whether the network becomes one for the images' shape and classes.
    fits: bool,
}

/// Where the run's files go.
enum Place {
    /// A folder that will be made.
    New { folder: Option<PathBuf>, force: bool },
    /// An earlier part of the run made it.
    Old(Run),
}

pub fn run(args: args::Train, kernels: Kernels) -> Result<()> {
    if let Some(out) = &args.out {
        output::check(out)?;
    }
    let job = match args.resume.clone() {
        Some(run) => Job::resumed(run, args, kernels),
        None => Job::new(args, kernels),
    }?;
    interrupt::watch()?;
    job.run()
}

impl Job {
    fn new(args: args::Train, kernels: Kernels) -> Result<Self> {
        if let Some(folder) = &args.run {
            Run::check(folder, args.force)?;
        }
        let mut recipe = match (&args.config, &args.preset, &args.spec) {
            (Some(path), ..) => Recipe::read(path)?,
            (_, Some(name), _) => Recipe::preset(name),
            (.., Some(_)) => Recipe::preset("lenet"),
            _ => Recipe::preset("tutorial"),
        };
        let limited_by_preset = args.data.limit.is_none() && recipe.limit.is_some();
        recipe.limit = args.data.limit.or(recipe.limit);
        recipe.validation = args.validation.unwrap_or(recipe.validation);
        if let Some(spec) = &args.spec {
            recipe.network = recipe::network(spec)?;
            recipe.name = "custom".into();
            recipe.about.clear();
        }
        recipe.measured.clear();
        if let Some(ties) = args.ties {
            recipe.set_ties(ties);
        }
        let TrainConfig { epochs, batch_size, seed, optimizer, average, .. } = &mut recipe.training;
        *epochs = args.epochs.unwrap_or(*epochs);
        *batch_size = args.batch_size.unwrap_or(*batch_size);
        *seed = args.seed.unwrap_or(*seed);
        if let Some(rate) = args.learning_rate {
            *optimizer = optimizer.with_learning_rate(rate);
        }
        *average = average.filter(|_| !args.no_average);

        let named = Origin::named(args.data).or(recipe.data.take());
        let origin = named.unwrap_or_else(Origin::found);
        recipe.data = Some(origin.clone().absolute()?);
        Ok(Self {
            source: Source::from_origin(origin, recipe.limit),
            kernels,
            place: Place::New { folder: args.run, force: args.force },
            state: None,
            out: args.out,
            progress: args.progress.progress,
            limited_by_preset,
            fits: args.spec.is_none(),
            recipe,
        })
    }

    fn resumed(folder: PathBuf, args: args::Train, kernels: Kernels) -> Result<Self> {
        let (run, mut recipe) = Run::open(folder)?;
        let state = match run.checkpoint() {
            path if path.is_file() => {
                let checkpoint = Checkpoint::load(&path)?;
                recipe.training = checkpoint.config;
                recipe.network = checkpoint.network.spec().clone();
                Some(checkpoint.state)
            }
            // It was stopped before there was anything to keep.
            _ => None,
        };
        let origin = recipe.data.clone().unwrap_or_else(Origin::found);
        Ok(Self {
            source: Source::from_origin(origin, recipe.limit),
            recipe,
            kernels,
            place: Place::Old(run),
            state,
            out: args.out,
            progress: args.progress.progress,
            limited_by_preset: false,
            fits: false,
        })
    }

    fn run(self) -> Result<()> {
        let Self { mut recipe, kernels, source, place, state, out, progress, limited_by_preset, fits } = self;
        let training_images = source.load(Split::Train)?;
        let test_images = source.load(Split::Test)?;
        let class_names = training_images.class_names().to_vec();
        source.check_classes(&class_names, test_images.class_names())?;
        if fits {
            recipe.fit_to(&training_images);
        }
        let normalization = *recipe.normalization.get_or_insert_with(|| {
            let (mean, std) = training_images.mean_and_std();
            Normalization { mean: mean as f32, std: std as f32 }
        });
        let all = Normalized::new(training_images, normalization);
        let test = Normalized::new(test_images, normalization);
        let network = Network::with_kernels(&recipe.network, kernels);
        let network = network.with_context(|| source.to_string())?;
        let split = match recipe.validation {
            Validation::Share(share) => Some(Subset::split(&all, share, 0)?),
            Validation::None | Validation::Test => None,
        };
        let (learned, judged): (&dyn Samples, Option<&dyn Samples>) = match &split {
            Some((learned, judged)) => (learned, Some(judged)),
            None => (&all, (recipe.validation == Validation::Test).then_some(&test as _)),
        };

        let config = recipe.training.clone();
        let state = match state {
            Some(state) => state,
            None => TrainState::new(&config, network.initial_parameters(config.seed))?,
        };
        let epochs_done = state.progress.epochs;
        let trainer = Trainer::new(&network, config, learned, judged, state);
        let trainer = trainer.map_err(|error| source.blame(error))?;
        let run = match place {
            Place::New { folder, force } => Run::create(folder, &recipe.name, force)?,
            Place::Old(run) => run,
        };
        run.write_config(&recipe)?;
        let mut reporter = training(progress, recipe.report_every);
        let session = Session {
            recipe: &recipe,
            network: &network,
            normalization,
            class_names: &class_names,
            source: &source,
            learned,
            judged,
            run: &run,
        };
        reporter.start(&session.start(test.len(), epochs_done));
        if limited_by_preset {
            reporter.say("This preset uses only the first images, as the tutorial does; --limit N sets another number.");
        }
        let parameters = session.train(trainer, reporter.as_mut())?;

        let model = Model { network, parameters, normalization, class_names };
        for path in [Some(run.model()), out].into_iter().flatten() {
            model.save(&path)?;
            reporter.saved(&path);
        }
        let judgement = Judgement::new(&model, &test)?;
        reporter.test(&judgement);
        report::write(&run, &recipe, &source, &model, &judgement, &test)?;
        reporter.say(&format!("Report: {}", run.report().display()));
        reporter.finish()
    }
}
