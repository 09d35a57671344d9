//! What a run leaves to look at.

use crate::command::inspect;
use crate::data::{Normalized, Source};
use crate::judge::Judgement;
use crate::output;
use crate::plot::{Series, confusion, curves};
use crate::progress::Epoch;
use crate::recipe::Recipe;
use crate::report::Report;
use crate::run::Run;
use anyhow::Result;
use layers::Model;

/// Draws the run's plots and writes its report.
pub fn write(
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
    let speeds: Vec<f64> = epochs.iter().filter_map(|epoch| epoch.images_per_second).collect();
    let speed = speeds.iter().sum::<f64>() / speeds.len().max(1) as f64;
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
        config: Some(recipe.to_toml()?),
    };
    output::write(&run.report(), report.to_html()?.as_bytes())
}
