use super::{Epoch, Reporter, Start};
use crate::console::Console;
use crate::judge::{Comparison, Judgement};
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
    Saved {
        model: String,
    },
    Test {
        loss: f64,
        accuracy: f64,
        accuracy_low: f64,
        accuracy_high: f64,
        images: usize,
        #[serde(flatten)]
        classes: Option<Classes<'a>>,
    },
    Compared {
        models: [String; 2],
        accuracies: [f64; 2],
        both_right: usize,
        first_alone: usize,
        second_alone: usize,
        both_wrong: usize,
        p_value: f64,
    },
}

#[derive(Serialize)]
struct Classes<'a> {
    classes: &'a [String],
    /// A row a class, a column for each that it was taken for.
    confusion: Vec<Vec<usize>>,
    precision: Vec<Option<f64>>,
    recall: Vec<Option<f64>>,
    f1: Vec<Option<f64>>,
}

impl Json {
    fn record(&mut self, record: &Record<'_>) {
        self.0.line(serde_json::to_string(record).expect("a record has nothing that JSON lacks"));
    }

    fn judged(&mut self, judgement: &Judgement, classes: Option<Classes<'_>>) {
        let score = judgement.score;
        let [accuracy_low, accuracy_high] = judgement.interval();
        let (loss, accuracy, images) = (score.loss(), score.accuracy(), score.images);
        self.record(&Record::Test { loss, accuracy, accuracy_low, accuracy_high, images, classes });
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

    fn test(&mut self, judgement: &Judgement) {
        self.judged(judgement, None);
    }

    fn test_in_detail(&mut self, judgement: &Judgement) {
        let classes = judgement.per_class();
        let detail = Classes {
            classes: &judgement.names,
            confusion: judgement.confusion().rows().into_iter().map(|row| row.to_vec()).collect(),
            precision: classes.iter().map(|class| class.precision).collect(),
            recall: classes.iter().map(|class| class.recall).collect(),
            f1: classes.iter().map(|class| class.f1).collect(),
        };
        self.judged(judgement, Some(detail));
    }

    fn compared(&mut self, models: [&Path; 2], judgements: [&Judgement; 2], comparison: &Comparison) {
        let &Comparison { both_right, first_alone, second_alone, both_wrong } = comparison;
        self.record(&Record::Compared {
            models: models.map(|model| model.display().to_string()),
            accuracies: judgements.map(|judgement| judgement.score.accuracy()),
            both_right,
            first_alone,
            second_alone,
            both_wrong,
            p_value: comparison.p_value(),
        });
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        self.0.finish()
    }
}
