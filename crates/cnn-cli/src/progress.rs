//! What is said on the way: for people, for programs, or nothing.

mod json;
mod live;
mod plain;

pub use plain::{Plain, WINDOW};

use crate::args::Mode;
use crate::console::is_watched;
use crate::judge::{Comparison, Judgement};
use layers::{Average, Score};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a training begins with.
#[derive(Serialize)]
pub struct Start {
    pub preset: String,
    pub network: String,
    pub data: String,
    pub images: usize,
    pub validation: String,
    pub validation_images: usize,
    pub test_images: usize,
    pub parameters: usize,
    pub seed: u64,
    pub threads: usize,
    pub kernels: &'static str,
    pub epochs: usize,
    /// Those of them that an earlier part of the run made.
    pub epochs_done: usize,
    /// What an earlier part of the run saw of the epoch that is next.
    #[serde(skip)]
    pub seen: Score,
    pub batch_size: usize,
    pub learning_rate: f32,
    pub average: Option<Average>,
    pub run: String,
}

/// A step, counted as its epoch from 1.
#[derive(Clone, Copy)]
pub struct Step {
    pub epoch: usize,
    pub step: usize,
    /// The images of its batch, before the update.
    pub score: Score,
}

/// An epoch, as it is printed for programs and kept with the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    pub epoch: usize,
    pub train_loss: f64,
    pub train_accuracy: f64,
    pub validation_loss: Option<f64>,
    pub validation_accuracy: Option<f64>,
    /// That of the last step, if this process made it.
    pub learning_rate: Option<f32>,
    /// Seconds of training in this process, without the validation.
    pub seconds: f64,
    pub images_per_second: Option<f64>,
}

/// Hears what happens. Whoever listens to less leaves a method as it is.
pub trait Reporter: Send {
    /// A sentence for people.
    fn say(&mut self, _sentence: &str) {}
    fn start(&mut self, _start: &Start) {}
    fn step(&mut self, _step: Step) {}
    fn epoch(&mut self, _epoch: &Epoch) {}
    fn saved(&mut self, _model: &Path) {}
    fn test(&mut self, _judgement: &Judgement) {}
    /// The same with all that is known of the classes.
    fn test_in_detail(&mut self, _judgement: &Judgement) {}
    fn compared(&mut self, _models: [&Path; 2], _judgements: [&Judgement; 2], _comparison: &Comparison) {}
    /// What went wrong with saying it.
    fn finish(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// The reporter of a training, with a line every so many steps, if that was asked for.
pub fn training(mode: Mode, report_every: Option<usize>) -> Box<dyn Reporter> {
    match (mode, report_every) {
        (Mode::Auto, None) if is_watched() => Box::new(live::Live::new()),
        (_, every) => quiet(mode, every),
    }
}

/// The reporter of what takes no long time.
pub fn reporter(mode: Mode) -> Box<dyn Reporter> {
    quiet(mode, None)
}

fn quiet(mode: Mode, report_every: Option<usize>) -> Box<dyn Reporter> {
    match mode {
        Mode::None => Box::new(Silent),
        Mode::Json => Box::new(json::Json::default()),
        Mode::Auto | Mode::Plain => Box::new(Plain::new(report_every)),
    }
}

struct Silent;

impl Reporter for Silent {}
