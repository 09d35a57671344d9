//! What is said on the way: for people, for programs, or nothing.

use crate::args::Mode;
use crate::console::{Console, is_watched};
use crate::preset::Preset;
use layers::{Average, Event, Score, Ties};
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};

/// Steps that a line of the tutorial looks back on.
pub const WINDOW: usize = 100;

/// The time between two drawings of the line that moves.
const REDRAW: Duration = Duration::from_millis(100);

/// What a training begins with.
#[derive(Serialize)]
pub struct Start {
    pub preset: Preset,
    pub data: String,
    pub images: usize,
    pub test_images: usize,
    pub parameters: usize,
    pub seed: u64,
    pub threads: usize,
    pub kernels: &'static str,
    pub epochs: usize,
    pub batch_size: usize,
    pub learning_rate: f32,
    pub ties: Ties,
    pub average: Option<Average>,
}

/// Hears what happens. Whoever listens to less leaves a method as it is.
pub trait Reporter: Send {
    /// A sentence for people.
    fn say(&mut self, _sentence: &str) {}
    fn start(&mut self, _start: &Start) {}
    fn event(&mut self, _event: Event) {}
    fn saved(&mut self, _model: &Path) {}
    fn test(&mut self, _score: Score) {}
    /// What went wrong with saying it.
    fn finish(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// The reporter for a mode and, where training will be watched, its preset.
pub fn reporter(mode: Mode, preset: Option<Preset>) -> Box<dyn Reporter> {
    match (mode, preset) {
        (Mode::None, _) => Box::new(Silent),
        (Mode::Json, _) => Box::new(Json::default()),
        (_, Some(Preset::Tutorial)) => Box::new(Plain::windows()),
        (Mode::Auto, Some(Preset::Keras)) if is_watched() => Box::new(Plain::moving()),
        _ => Box::new(Plain::epochs()),
    }
}

struct Silent;

impl Reporter for Silent {}

/// One object a line.
#[derive(Default)]
struct Json(Console);

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Record<'a> {
    Start(&'a Start),
    Epoch {
        epoch: usize,
        train_loss: f64,
        train_accuracy: f64,
        validation_loss: Option<f64>,
        validation_accuracy: Option<f64>,
        seconds: f64,
    },
    Saved {
        model: String,
    },
    Test {
        loss: f64,
        accuracy: f64,
        images: usize,
    },
}

impl Json {
    fn record(&mut self, record: &Record<'_>) {
        self.0.line(serde_json::to_string(record).expect("a record has nothing that JSON lacks"));
    }
}

impl Reporter for Json {
    fn start(&mut self, start: &Start) {
        self.record(&Record::Start(start));
    }

    fn event(&mut self, event: Event) {
        if let Event::Epoch { epoch, train, validation, seconds } = event {
            self.record(&Record::Epoch {
                epoch,
                train_loss: train.loss(),
                train_accuracy: train.accuracy(),
                validation_loss: validation.map(|score| score.loss()),
                validation_accuracy: validation.map(|score| score.accuracy()),
                seconds,
            });
        }
    }

    fn saved(&mut self, model: &Path) {
        self.record(&Record::Saved { model: model.display().to_string() });
    }

    fn test(&mut self, score: Score) {
        let (loss, accuracy, images) = (score.loss(), score.accuracy(), score.images);
        self.record(&Record::Test { loss, accuracy, images });
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        self.0.finish()
    }
}

/// Lines to read.
pub struct Plain {
    console: Console,
    steps: Steps,
}

/// What is shown of single steps.
enum Steps {
    /// Nothing: a line an epoch.
    Hidden,
    /// The tutorial's line every [`WINDOW`] steps, about these steps alone.
    Windows(Score),
    /// One line that moves, about the epoch so far.
    Moving { images: usize, seen: Score, drawn: Instant },
}

impl Plain {
    pub fn windows() -> Self {
        Self::new(Steps::Windows(Score::default()))
    }

    fn epochs() -> Self {
        Self::new(Steps::Hidden)
    }

    fn moving() -> Self {
        Self::new(Steps::Moving { images: 0, seen: Score::default(), drawn: Instant::now() })
    }

    fn new(steps: Steps) -> Self {
        Self { console: Console::default(), steps }
    }

    /// The tutorial's line about the last [`WINDOW`] steps.
    pub fn window(&mut self, step: usize, window: Score) {
        let (loss, accuracy) = (window.loss(), 100.0 * window.accuracy());
        self.console.line(format_args!(
            "[Step {step}] Past {WINDOW} steps: Average Loss {loss:.3} | Accuracy: {accuracy:.0}%"
        ));
    }
}

impl Reporter for Plain {
    fn say(&mut self, sentence: &str) {
        self.console.line(sentence);
    }

    fn start(&mut self, start: &Start) {
        let Start { data, images, test_images, parameters, seed, threads, kernels, .. } = start;
        let Start { epochs, batch_size, learning_rate, .. } = start;
        self.console.line(format_args!(
            "Preset {}: {parameters} parameters, ties {}",
            start.preset.name(),
            match start.ties {
                Ties::First => "first",
                Ties::All => "all",
            }
        ));
        self.console.line(format_args!("Data: {data}: {images} training images, {test_images} test images"));
        self.console.line(format_args!(
            "Training: epochs {epochs}, batch size {batch_size}, learning rate {learning_rate}, seed {seed}"
        ));
        if let Some(Average { keep, every }) = start.average {
            self.console.line(format_args!(
                "Judged and saved: a running average of the parameters, {keep} of it kept every {every} steps"
            ));
        }
        self.console.line(format_args!("Kernels: {kernels}, threads: {threads}"));
        if let Steps::Moving { images: total, .. } = &mut self.steps {
            *total = *images;
        }
    }

    fn event(&mut self, event: Event) {
        match (event, &mut self.steps) {
            (Event::Step { epoch, step, score, .. }, Steps::Windows(window)) => {
                if step == 1 {
                    *window = Score::default();
                    self.console.line(format_args!("--- Epoch {epoch} ---"));
                }
                *window = sum(*window, score);
                if step % WINDOW == 0 {
                    let window = std::mem::take(window);
                    self.window(step, window);
                }
            }
            (Event::Step { epoch, step, score, .. }, Steps::Moving { images, seen, drawn }) => {
                *seen = if step == 1 { score } else { sum(*seen, score) };
                if drawn.elapsed() >= REDRAW {
                    *drawn = Instant::now();
                    self.console.redraw(format_args!(
                        "Epoch {epoch}: {}/{images} images, loss {:.4}, accuracy {:.2}%",
                        seen.images,
                        seen.loss(),
                        100.0 * seen.accuracy()
                    ));
                }
            }
            (Event::Epoch { epoch, train, validation: Some(validation), seconds }, steps) => {
                if matches!(steps, Steps::Moving { .. }) {
                    self.console.redraw("");
                }
                self.console.line(format_args!(
                    "Epoch {epoch}: loss {:.4}, accuracy {:.2}% | validation loss {:.4}, accuracy {:.2}% | {seconds:.2} s",
                    train.loss(),
                    100.0 * train.accuracy(),
                    validation.loss(),
                    100.0 * validation.accuracy()
                ));
            }
            _ => {}
        }
    }

    fn saved(&mut self, model: &Path) {
        self.console.line(format_args!("Saved the model as {}", model.display()));
    }

    fn test(&mut self, score: Score) {
        let (correct, images) = (score.correct, score.images);
        self.console.line("--- Testing the CNN ---");
        self.console.line(format_args!("Test Loss: {:.4}", score.loss()));
        self.console.line(format_args!(
            "Test Accuracy: {:.2}% ({correct} of {images} images)",
            100.0 * score.accuracy()
        ));
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        self.console.finish()
    }
}

/// A line that still moves makes room for what comes after, which may be an error.
impl Drop for Plain {
    fn drop(&mut self) {
        if matches!(self.steps, Steps::Moving { .. }) {
            self.console.redraw("");
        }
    }
}

fn sum(a: Score, b: Score) -> Score {
    Score {
        images: a.images + b.images,
        total_loss: a.total_loss + b.total_loss,
        correct: a.correct + b.correct,
    }
}
