//! `cnn eval`: a model judged by the test images, or two models by the same.

mod table;

use super::inspect;
use crate::args;
use crate::console::{has_color, width};
use crate::data::{Normalized, Source};
use crate::judge::{Comparison, Judgement};
use crate::output;
use crate::plot::confusion;
use crate::progress::reporter;
use crate::report::Report;
use anyhow::{Context, Result, ensure};
use layers::{Model, Network, Samples};
use mnist_io::Split;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Errors that are named in the terminal.
const ERRORS: usize = 10;

pub fn run(args: args::Eval) -> Result<()> {
    let args::Eval { model: path, winograd, data, compare, out, force, progress } = args;
    if let Some(folder) = &out {
        check(folder, force)?;
    }
    let judge = |path: &Path| -> Result<(Model, Source, Normalized, Judgement)> {
        let mut model = Model::load(path)?;
        if winograd {
            model.network = Network::with_winograd(model.network.spec(), model.network.kernels())?;
        }
        let source = Source::for_model(data.clone(), &model);
        let test = Normalized::new(source.load(Split::Test)?, model.normalization);
        source.check_classes(&model.class_names, test.dataset().class_names())?;
        model.network.check_samples(&test).map_err(|error| source.blame(error))?;
        let judgement = Judgement::new(&model, &test)?;
        Ok((model, source, test, judgement))
    };

    let (model, source, test, judgement) = judge(&path)?;
    let mut reporter = reporter(progress.progress);
    let (name, count) = (path.display(), model.network.parameter_count());
    reporter.say(&format!("Model: {name}: {count} parameters, kernels {}", model.network.kernels()));
    reporter.say(&format!("Data: {source}: {} test images", test.len()));
    if !model.class_names.is_empty() {
        reporter.say(&format!("Classes: {}", model.class_names.join(", ")));
    }
    reporter.test_in_detail(&judgement);
    reporter.finish()?;
    if let Some(other_path) = compare {
        let other = judge(&other_path)?.3;
        ensure!(
            other.names == judgement.names,
            "{} and {} know other classes: expected {}, found {}",
            path.display(),
            other_path.display(),
            judgement.names.join(", "),
            other.names.join(", ")
        );
        let comparison = Comparison::new(&judgement, &other);
        reporter.compared([&path, &other_path], [&judgement, &other], &comparison);
        reporter.finish()?;
    }
    if let Some(folder) = out {
        let report = Report {
            title: format!("{} on {source}", path.display()),
            facts: vec![
                ("Model", path.display().to_string()),
                ("Test images", source.to_string()),
                ("Network", model.network.spec().to_string()),
                (
                    "Program",
                    format!("cnn {}, kernels {}", env!("CARGO_PKG_VERSION"), model.network.kernels()),
                ),
            ],
            plots: Vec::new(),
            judgement: &judgement,
            images: &test,
            summary: model.network.summary().to_string(),
            pictures: inspect::pictures(&model, test.dataset().image(0))?,
            config: None,
        };
        write(&folder, &judgement, &report)?;
        reporter.say(&format!("Wrote {} into {}", FILES.join(", "), folder.display()));
    }
    reporter.finish()
}

/// What `--out` leaves.
const FILES: [&str; 3] = ["confusion.svg", "confusion.csv", "report.html"];

/// Fails where the files could not be written.
fn check(folder: &Path, force: bool) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    FILES.iter().try_for_each(|file| output::check_new(&folder.join(file), force))
}

fn write(folder: &Path, judgement: &Judgement, report: &Report<'_>) -> Result<()> {
    let [svg, csv, html] = FILES.map(|file| folder.join(file));
    output::write(&svg, confusion(&judgement.confusion(), &judgement.names).as_bytes())?;
    output::write(&csv, to_csv(judgement).as_bytes())?;
    output::write(&html, report.to_html()?.as_bytes())
}

/// A row a class, a column for each that it was taken for.
fn to_csv(judgement: &Judgement) -> String {
    let quoted = |name: &String| match name.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", name.replace('"', "\"\"")),
        false => name.clone(),
    };
    let names: Vec<String> = judgement.names.iter().map(quoted).collect();
    let mut csv = format!("is\\taken for,{}\n", names.join(","));
    for (name, row) in names.iter().zip(judgement.confusion().rows()) {
        let counts: Vec<String> = row.iter().map(usize::to_string).collect();
        let _ = writeln!(csv, "{name},{}", counts.join(","));
    }
    csv
}

/// What people are told of the classes: which were taken for which, how well each is told, and the worst errors.
pub fn lines(judgement: &Judgement) -> Vec<String> {
    let mut lines = table::confusions(&judgement.confusion(), &judgement.names, width(), has_color());
    lines.extend(table::classes(judgement));
    let errors = judgement.errors();
    if !errors.is_empty() {
        lines.extend(["".into(), "The worst errors:".into()]);
    }
    lines.extend(errors.iter().take(ERRORS).map(|&index| {
        let name = |class: usize| &judgement.names[class];
        format!(
            "  test image {index}: {} taken for {} ({:.1} %)",
            name(judgement.labels[index]),
            name(judgement.predictions[index]),
            100.0 * judgement.certainty(index)
        )
    }));
    lines
}
