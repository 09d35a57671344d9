use super::{Epoch, Reporter, Start, Step};
use crate::command::eval;
use crate::console::Console;
use crate::judge::{Comparison, Judgement};
use layers::{Average, Score};
use std::fmt::Display;
use std::path::Path;

/// Steps that a line of the tutorial looks back on.
pub const WINDOW: usize = 100;

/// Lines to read.
pub struct Plain {
    console: Console,
    /// Steps between two lines about them, and what was seen since the last.
    windows: Option<(usize, Score)>,
}

impl Plain {
    /// With a line every so many steps, or one an epoch.
    pub fn new(report_every: Option<usize>) -> Self {
        Self { console: Console::default(), windows: report_every.map(|every| (every, Score::default())) }
    }

    /// The tutorial's line about the last steps.
    pub fn window(&mut self, step: usize, steps: usize, window: Score) {
        let (loss, accuracy) = (window.loss(), 100.0 * window.accuracy());
        self.console.line(format_args!(
            "[Step {step}] Past {steps} steps: Average Loss {loss:.3} | Accuracy: {accuracy:.0}%"
        ));
    }
}

impl Reporter for Plain {
    fn say(&mut self, sentence: &str) {
        self.console.line(sentence);
    }

    fn start(&mut self, start: &Start) {
        start.lines().iter().for_each(|line| self.console.line(line));
    }

    fn step(&mut self, Step { epoch, step, score }: Step) {
        let Some((every, window)) = &mut self.windows else { return };
        if step == 1 {
            *window = Score::default();
            self.console.line(format_args!("--- Epoch {epoch} ---"));
        }
        *window = *window + score;
        if step.is_multiple_of(*every) {
            let (steps, window) = (*every, std::mem::take(window));
            self.window(step, steps, window);
        }
    }

    fn epoch(&mut self, epoch: &Epoch) {
        self.console.line(epoch);
    }

    fn saved(&mut self, model: &Path) {
        self.console.line(format_args!("Saved the model as {}", model.display()));
    }

    fn test(&mut self, judgement: &Judgement) {
        let score = judgement.score;
        let [low, high] = judgement.interval();
        self.console.line("--- Testing the CNN ---");
        self.console.line(format_args!("Test Loss: {:.4}", score.loss()));
        self.console.line(format_args!(
            "Test Accuracy: {:.2}% ({} of {} images); 95% interval {:.2}% to {:.2}%",
            100.0 * score.accuracy(),
            score.correct,
            score.images,
            100.0 * low,
            100.0 * high
        ));
    }

    fn test_in_detail(&mut self, judgement: &Judgement) {
        self.test(judgement);
        eval::lines(judgement).iter().for_each(|line| self.console.line(line));
    }

    fn compared(&mut self, [one, other]: [&Path; 2], judgements: [&Judgement; 2], comparison: &Comparison) {
        let [one, other] = [one, other].map(Path::display);
        let [accuracy, others] = judgements.map(|judgement| 100.0 * judgement.score.accuracy());
        let p = comparison.p_value();
        let Comparison { both_right, first_alone, second_alone, both_wrong } = comparison;
        self.console.line(format_args!("\n{one}: {accuracy:.2}%, {other}: {others:.2}%"));
        self.console.line(format_args!(
            "Both right: {both_right}, only {one}: {first_alone}, only {other}: {second_alone}, both wrong: {both_wrong}"
        ));
        let verdict = match p < 0.05 {
            true if first_alone > second_alone => format!("{one} is better"),
            true => format!("{other} is better"),
            false => "the difference may be chance".into(),
        };
        self.console.line(format_args!("McNemar's test: p = {p:.2e}: {verdict}"));
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        self.console.finish()
    }
}

impl Start {
    /// The same for people.
    pub fn lines(&self) -> Vec<String> {
        let Self { preset, network, parameters, data, images, validation, validation_images, .. } = self;
        let Self { test_images, epochs, epochs_done, batch_size, learning_rate, seed, .. } = self;
        let Self { kernels, threads, average, run, .. } = self;
        let mut lines = vec![
            format!("Network: {preset}, {parameters} parameters: {network}"),
            format!("Data: {data}: {images} training images, {test_images} test images"),
            format!(
                "Training: epochs {epochs}, batch size {batch_size}, learning rate {learning_rate}, seed {seed}"
            ),
        ];
        lines.extend(match validation.as_str() {
            "none" => None,
            "test" => Some("Judged after each epoch: the test images".into()),
            _ => Some(format!("Judged after each epoch: {validation_images} other images")),
        });
        lines.extend(average.map(|Average { keep, every }| {
            format!(
                "Judged and saved: a running average of the parameters, {keep} of it kept every {every} steps"
            )
        }));
        lines.push(format!("Kernels: {kernels}, threads: {threads}. Folder: {run}"));
        lines.extend(match (*epochs_done, self.seen.images) {
            (0, 0) => None,
            (done, 0) => Some(format!("Going on after epoch {done}")),
            (done, seen) => Some(format!("Going on in epoch {}, after {seen} images", done + 1)),
        });
        lines
    }
}

impl Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { epoch, train_loss, train_accuracy, validation_loss, validation_accuracy, seconds, .. } =
            self;
        write!(f, "Epoch {epoch}: loss {train_loss:.4}, accuracy {:.2}%", 100.0 * train_accuracy)?;
        if let (Some(loss), Some(accuracy)) = (validation_loss, validation_accuracy) {
            write!(f, " | validation loss {loss:.4}, accuracy {:.2}%", 100.0 * accuracy)?;
        }
        write!(f, " | {seconds:.2} s")
    }
}
