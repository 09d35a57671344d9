//! `cnn train`: a recipe and flags become a job, and the job runs.

use super::inspect;
use crate::args::{self, Mode};
use crate::data::{Normalized, Origin, Source};
use crate::interrupt::{self, Interrupted};
use crate::judge::Judgement;
use crate::output;
use crate::plot::{Series, confusion, curves};
use crate::progress::{Epoch, Reporter, Start, Step, training};
use crate::recipe::{self, Recipe, Validation};
use crate::report::Report;
use crate::run::Run;
use anyhow::{Context, Result};
use layers::{
    Checkpoint, Error, Event, Kernels, Model, Network, Normalization, Parameters, Samples, Subset,
    TrainConfig, TrainState, Trainer,
};
use mnist_io::Split;
use std::ops::ControlFlow;
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
        let setup = Setup {
            recipe: &recipe,
            network: &network,
            normalization,
            class_names: &class_names,
            source: &source,
            learned,
            judged,
            run: &run,
        };
        reporter.start(&setup.start(test.len(), epochs_done));
        if limited_by_preset {
            reporter.say("This preset uses only the first images, as the tutorial does; --limit N sets another number.");
        }
        let parameters = setup.train(trainer, reporter.as_mut())?;

        let model = Model { network, parameters, normalization, class_names };
        for path in [Some(run.model()), out].into_iter().flatten() {
            model.save(&path)?;
            reporter.saved(&path);
        }
        let judgement = Judgement::new(&model, &test)?;
        reporter.test(&judgement);
        write_report(&run, &recipe, &source, &model, &judgement, &test)?;
        reporter.say(&format!("Report: {}", run.report().display()));
        reporter.finish()
    }
}

/// Draws the run's plots and writes its report.
fn write_report(
    run: &Run,
    recipe: &Recipe,
    source: &Source,
    model: &Model,
    judgement: &Judgement,
    images: &Normalized,
) -> Result<()> {
    let epochs = run.epochs(recipe.training.epochs)?;
    let series = |name, of: fn(&Epoch) -> Option<f64>| {
        let points = epochs.iter().filter_map(|epoch| Some((epoch.epoch as f64, of(epoch)?))).collect();
        Series { name, points }
    };
    let loss = [
        series("training", |epoch| Some(epoch.train_loss)),
        series("validation", |epoch| epoch.validation_loss),
    ];
    let accuracy = [
        series("training", |epoch| Some(100.0 * epoch.train_accuracy)),
        series("validation", |epoch| epoch.validation_accuracy.map(|share| 100.0 * share)),
    ];
    let plots = vec![
        ("The mean loss of each epoch", run.write_plot("loss", curves("loss", &loss)?)?),
        ("The accuracy of each epoch", run.write_plot("accuracy", curves("accuracy in %", &accuracy)?)?),
    ];
    run.write_plot("confusion", confusion(&judgement.confusion(), &judgement.names))?;
    let seconds: f64 = epochs.iter().map(|epoch| epoch.seconds).sum();
    let speed = epochs.iter().map(|epoch| epoch.images_per_second).sum::<f64>() / epochs.len().max(1) as f64;
    let report = Report {
        title: format!("{} on {source}", recipe.name),
        facts: vec![
            ("Recipe", format!("{}: {}", recipe.name, recipe.about)),
            ("Data", source.to_string()),
            ("Network", recipe.network.to_string()),
            ("Seed", recipe.training.seed.to_string()),
            ("Training", format!("{seconds:.2} s in {} epochs, {speed:.0} images a second", epochs.len())),
            (
                "Program",
                format!(
                    "cnn {}, kernels {}, threads {}",
                    env!("CARGO_PKG_VERSION"),
                    model.network.kernels(),
                    rayon::current_num_threads()
                ),
            ),
        ],
        plots,
        judgement,
        images,
        summary: model.network.summary().to_string(),
        pictures: inspect::pictures(model, images.dataset().image(0))?,
        config: Some(recipe.to_toml()),
    };
    output::write(&run.report(), report.to_html()?.as_bytes())
}

/// What training is done with.
struct Setup<'a> {
    recipe: &'a Recipe,
    network: &'a Network,
    normalization: Normalization,
    class_names: &'a [String],
    source: &'a Source,
    /// The images that are trained on.
    learned: &'a dyn Samples,
    /// Those that are judged after each epoch.
    judged: Option<&'a dyn Samples>,
    run: &'a Run,
}

impl Setup<'_> {
    /// Trains to the end, and gives what was learned.
    fn train(&self, mut trainer: Trainer<'_>, reporter: &mut dyn Reporter) -> Result<Parameters> {
        let Self { network, normalization, class_names, .. } = *self;
        let mut metrics = self.run.open_metrics(trainer.state().progress.epochs)?;
        let checkpoint = self.run.checkpoint();
        let save = |trainer: &Trainer<'_>| {
            let (config, state) = (trainer.config(), trainer.state());
            Checkpoint::save(&checkpoint, network, normalization, class_names, config, state)
        };
        let mut rate = 0.0;
        let mut failure = None;
        let mut hear = |trainer: &Trainer<'_>, event: Event| -> Result<()> {
            match event {
                Event::Step { epoch, step, score, learning_rate } => {
                    rate = learning_rate;
                    reporter.step(Step { epoch, step, score });
                }
                _ => {
                    let Some(epoch) = summarize(event, rate) else { return Ok(()) };
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
            return Err(Interrupted { run: self.run.folder().to_owned(), epoch, step }.into());
        }
        Ok(trainer.into_state().into_result())
    }

    fn start(&self, test_images: usize, epochs_done: usize) -> Start {
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
            epochs_done,
            batch_size,
            learning_rate: optimizer.learning_rate(),
            average,
            run: self.run.folder().display().to_string(),
        }
    }
}

/// An epoch's figures.
fn summarize(event: Event, learning_rate: f32) -> Option<Epoch> {
    let Event::Epoch { epoch, train, validation, seconds } = event else { return None };
    Some(Epoch {
        epoch,
        train_loss: train.loss(),
        train_accuracy: train.accuracy(),
        validation_loss: validation.map(|score| score.loss()),
        validation_accuracy: validation.map(|score| score.accuracy()),
        learning_rate,
        seconds,
        images_per_second: train.images as f64 / seconds.max(1e-9),
    })
}
