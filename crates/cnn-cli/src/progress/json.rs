use super::{Epoch, Reporter, Start};
use crate::console::Console;
use layers::Score;
use serde::Serialize;
use std::path::Path;

/// One object a line.
#[derive(Default)]
pub struct Json(Console);

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Record<'a> {
    Start(&'a Start),
    Epoch(&'a Epoch),
    Saved { model: String },
    Test { loss: f64, accuracy: f64, images: usize },
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

    fn epoch(&mut self, epoch: &Epoch) {
        self.record(&Record::Epoch(epoch));
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
