use super::{Epoch, Plain, Reporter, Start, Step};
use crate::console::{has_color, width};
use crate::judge::Judgement;
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use layers::Score;
use std::path::Path;
use std::time::{Duration, Instant};

/// The time between two drawings.
const REDRAW: Duration = Duration::from_millis(100);

/// Columns of a terminal that has room for bars.
const NARROW: usize = 60;

/// How much of the images a second is the last moment's, the rest what was before.
const FRESH: f64 = 0.1;

/// Two bars at the foot of the terminal, one of the epochs and one of the epoch's images; above them, the lines that
/// stay.
pub struct Live {
    plain: Plain,
    bars: MultiProgress,
    epochs: ProgressBar,
    images: ProgressBar,
    seen: Score,
    epochs_to_do: usize,
    images_an_epoch: usize,
    /// Images of all epochs that were seen.
    all_seen: usize,
    /// When was drawn last, and how many images were seen then.
    drawn: Option<(Instant, usize)>,
    /// Whether the bars are drawn for a narrow terminal.
    is_narrow: Option<bool>,
    /// Images a second, smoothed.
    speed: Option<f64>,
}

impl Live {
    pub fn new() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let add = || bars.add(ProgressBar::no_length());
        Self {
            plain: Plain::new(None),
            epochs: add(),
            images: add(),
            bars,
            is_narrow: None,
            seen: Score::default(),
            epochs_to_do: 0,
            images_an_epoch: 0,
            all_seen: 0,
            drawn: None,
            speed: None,
        }
    }

    /// Prints above the bars.
    fn above(&mut self, print: impl FnOnce(&mut Plain)) {
        // A terminal that went away is no reason to stop; the next step draws the bars again.
        let _ = self.bars.clear();
        print(&mut self.plain);
    }

    /// In a narrow terminal there is no room for a bar beside its figures.
    fn set_style(&mut self) {
        let is_narrow = width() < NARROW;
        if self.is_narrow == Some(is_narrow) {
            return;
        }
        self.is_narrow = Some(is_narrow);
        let color = if has_color() { ":.cyan/dim" } else { "" };
        let rest = if is_narrow { "{wide_msg}".into() } else { format!("{{wide_bar{color}}} {{msg}}") };
        for (bar, first) in [(&self.epochs, "{prefix}"), (&self.images, "{percent:>3} %")] {
            let style = ProgressStyle::with_template(&format!("{first} {rest}"));
            bar.set_style(style.expect("the template is right").progress_chars("━╸─"));
        }
    }

    fn draw(&mut self, epoch: usize) {
        self.set_style();
        if let Some((before, seen_before)) = self.drawn {
            let now = (self.all_seen - seen_before) as f64 / before.elapsed().as_secs_f64().max(1e-9);
            self.speed = Some(self.speed.map_or(now, |speed| speed + FRESH * (now - speed)));
        }
        self.drawn = Some((Instant::now(), self.all_seen));
        let speed = self.speed;
        let left = (self.epochs_to_do + 1 - epoch) * self.images_an_epoch - self.seen.images;
        let left = speed.map(|speed| Duration::from_secs_f64((left as f64 / speed.max(1.0)).min(1e9)));
        self.epochs.set_prefix(format!("epoch {epoch}/{}", self.epochs_to_do));
        self.epochs.set_position(epoch as u64 - 1);
        if let (Some(speed), Some(left)) = (speed, left) {
            self.epochs.set_message(format!("{speed:.0} images/s, {} left", HumanDuration(left)));
        }
        self.images.set_position(self.seen.images as u64);
        self.images.set_message(format!(
            "loss {:.4}, accuracy {:.2}%",
            self.seen.loss(),
            100.0 * self.seen.accuracy()
        ));
    }
}

impl Reporter for Live {
    fn say(&mut self, sentence: &str) {
        self.above(|plain| plain.say(sentence));
    }

    fn start(&mut self, start: &Start) {
        self.above(|plain| plain.start(start));
        self.epochs_to_do = start.epochs;
        self.seen = start.seen;
        self.images_an_epoch = start.images;
        self.epochs.set_length(start.epochs as u64);
        self.images.set_length(start.images as u64);
    }

    fn step(&mut self, Step { epoch, step, score }: Step) {
        if step == 1 {
            self.seen = Score::default();
        }
        self.seen = self.seen + score;
        self.all_seen += score.images;
        if self.drawn.is_none_or(|(at, _)| at.elapsed() >= REDRAW) {
            self.draw(epoch);
        }
    }

    fn epoch(&mut self, epoch: &Epoch) {
        self.above(|plain| plain.epoch(epoch));
        self.epochs.set_position(epoch.epoch as u64);
        if epoch.epoch == self.epochs_to_do {
            self.epochs.finish_and_clear();
            self.images.finish_and_clear();
        }
    }

    fn saved(&mut self, model: &Path) {
        self.above(|plain| plain.saved(model));
    }

    fn test(&mut self, judgement: &Judgement) {
        self.above(|plain| plain.test(judgement));
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        self.plain.finish()
    }
}

/// The bars make room for what comes after, which may be an error.
impl Drop for Live {
    fn drop(&mut self) {
        self.epochs.finish_and_clear();
        self.images.finish_and_clear();
    }
}
