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
use anyhow::{Context, Result, ensure};
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
    /// Where an earlier part of the run ended, and the classes it learned.
    state: Option<TrainState>,
    known_classes: Vec<String>,
    out: Option<PathBuf>,
    progress: Mode,
    /// Whether the preset, not a flag, says how many images are used.
    limited_by_preset: bool,
    /// When the network becomes one for the images' shape and classes.
    fit: Fit,
}

/// When a network becomes one for the images' shape and classes.
#[derive(Clone, Copy, PartialEq)]
enum Fit {
    /// A preset's.
    Always,
    /// A recipe's: what the data do not say is left as it is.
    ToNamedClasses,
    /// One that was given for these images.
    Never,
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
        let limited_by_preset = args.config.is_none() && args.data.limit.is_none() && recipe.limit.is_some();
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
            known_classes: Vec::new(),
            out: args.out,
            progress: args.progress.progress,
            limited_by_preset,
            fit: match (&args.spec, &args.config) {
                (Some(_), _) => Fit::Never,
                (_, Some(_)) => Fit::ToNamedClasses,
                _ => Fit::Always,
            },
            recipe,
        })
    }

    fn resumed(folder: PathBuf, args: args::Train, kernels: Kernels) -> Result<Self> {
        let (run, mut recipe) = Run::open(folder)?;
        let path = run.checkpoint();
        let (mut state, mut known_classes) = (None, Vec::new());
        // Without one, it was stopped before there was anything to keep.
        if path.is_file() {
            let checkpoint = Checkpoint::load(&path)?;
            recipe.training = checkpoint.config;
            recipe.network = checkpoint.network.spec().clone();
            known_classes = checkpoint.class_names;
            state = Some(checkpoint.state);
        }
        let origin = recipe.data.clone().unwrap_or_else(Origin::found);
        Ok(Self {
            source: Source::from_origin(origin, recipe.limit),
            recipe,
            kernels,
            place: Place::Old(run),
            state,
            known_classes,
            out: args.out,
            progress: args.progress.progress,
            limited_by_preset: false,
            fit: Fit::Never,
        })
    }

    fn run(self) -> Result<()> {
        let Self {
            mut recipe,
            kernels,
            source,
            place,
            state,
            known_classes,
            out,
            progress,
            limited_by_preset,
            fit,
        } = self;
        let training_images = source.load(Split::Train)?;
        let test_images = source.load(Split::Test)?;
        let class_names = training_images.class_names().to_vec();
        source.check_classes(&class_names, test_images.class_names())?;
        source.check_classes(&known_classes, &class_names)?;
        if fit == Fit::Always || fit == Fit::ToNamedClasses && !class_names.is_empty() {
            recipe.fit_to(&training_images);
        }
        ensure!(
            recipe.training.patience.is_none() || recipe.validation != Validation::Test,
            "patience chooses an epoch by the validation, and that must not be the test images"
        );
        let normalization = *recipe.normalization.get_or_insert_with(|| {
            let (mean, std) = training_images.mean_and_std();
            Normalization { mean: mean as f32, std: std as f32 }
        });
        let all = Normalized::new(training_images, normalization);
        let test = Normalized::new(test_images, normalization);
        let network = Network::with_kernels(&recipe.network, kernels);
        let network = network.with_context(|| source.to_string())?;
        let classes = network.classes()?;
        ensure!(
            class_names.is_empty() || class_names.len() == classes,
            "{source}: expected a network with {} outputs, one a class, found {classes}",
            class_names.len()
        );
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
        let progress_made = state.progress;
        let trainer = Trainer::new(&network, config, learned, judged, state);
        let trainer = trainer.map_err(|error| source.blame(error))?;
        let config = recipe.to_toml()?;
        let run = match place {
            Place::New { folder, force } => Run::create(folder, &recipe.name, force)?,
            Place::Old(run) => run,
        };
        run.write_config(&config)?;
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
            out: out.as_deref(),
        };
        reporter.start(&session.start(test.len(), progress_made));
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
