//! `cnn predict`: what pictures show.

pub mod prepare;
mod view;

use super::{class_names, likeliest};
use crate::args;
use crate::console::Console;
use anyhow::{Context, Result, bail, ensure};
use layers::ndarray::{Array4, Ix2};
use layers::tensor_ops::softmax;
use layers::{Activations, Layer, Model};
use mnist_io::Normalization;
use mnist_io::pictures::Picture;
use prepare::{Preparation, Prepared};
use rayon::prelude::*;
use serde::Serialize;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Pictures that are prepared at once, before the first of them is shown.
const AT_ONCE: usize = 64;

/// A probability below this is no answer.
const UNSURE: f32 = 0.5;

/// What the network says of a picture.
#[derive(Serialize)]
struct Prediction<'a> {
    file: String,
    label: &'a str,
    probability: f32,
    /// Of all classes, in their order.
    probabilities: &'a [f32],
}

pub fn run(args: args::Predict) -> Result<()> {
    let mut predictor = Predictor::new(Model::load(&args.model)?)?;
    let preparation = Preparation::new(args.prepare, &predictor.model)?;
    let files = files(&args.files)?;
    let mut console = Console::default();
    let mut failures = 0;
    for files in files.chunks(AT_ONCE) {
        let read = |path: &PathBuf| preparation.apply(&open(path)?, path);
        let prepared: Vec<Result<Prepared>> = files.par_iter().map(read).collect();
        for (path, prepared) in files.iter().zip(prepared) {
            match prepared {
                Ok(prepared) => predictor.show(path, prepared, args.json, &mut console)?,
                Err(error) if args.files.len() == 1 && *path == args.files[0] => return Err(error),
                Err(error) => {
                    failures += 1;
                    warn(&format!("{error:#}"));
                }
            }
        }
    }
    console.finish()?;
    ensure!(failures == 0, "{failures} of {} pictures could not be read", files.len());
    Ok(())
}

/// The files themselves, and those in folders, in the order of their names. Hidden ones are passed over.
fn files(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path).and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()
        });
        let mut entries = entries.with_context(|| path.display().to_string())?;
        let is_hidden =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        entries.retain(|path| !is_hidden(path));
        entries.sort();
        let found = self::files(&entries)?;
        if found.is_empty() {
            bail!("{}: expected pictures in the folder, found none", path.display());
        }
        files.extend(found);
    }
    Ok(files)
}

/// A picture from a file, or from standard input.
pub fn open(path: &Path) -> Result<Picture> {
    let picture = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).context("standard input")?;
        Picture::from_bytes(&bytes, "standard input")
    } else {
        Picture::open(path)
    };
    // The message alone: what helps against errors of MNIST's files is no help here.
    picture.map_err(anyhow::Error::msg)
}

pub fn warn(warning: &str) {
    // Nobody is left to be told where standard error cannot be written.
    let _ = writeln!(io::stderr().lock(), "warning: {warning}");
}

/// A model, with what it takes to run it.
struct Predictor {
    model: Model,
    activations: Activations,
    /// The number for each of the 256 pixels.
    numbers: [f32; 256],
    class_names: Vec<String>,
}

impl Predictor {
    fn new(model: Model) -> Result<Self> {
        let activations = model.network.activations(1)?;
        let layers::Normalization { mean, std } = model.normalization;
        let class_names = class_names(&model)?;
        Ok(Self { model, activations, numbers: Normalization { mean, std }.table(), class_names })
    }

    /// Says what one picture shows.
    fn show(&mut self, path: &Path, prepared: Prepared, json: bool, console: &mut Console) -> Result<()> {
        let probabilities = self.probabilities(&prepared.pixels)?;
        let order = likeliest(&probabilities);
        let best = order[0];
        let prediction = Prediction {
            file: path.display().to_string(),
            label: &self.class_names[best],
            probability: probabilities[best],
            probabilities: &probabilities,
        };
        if json {
            console.line(serde_json::to_string(&prediction).context("the prediction as JSON")?);
        } else {
            let rows = order.iter().map(|&class| (self.class_names[class].as_str(), probabilities[class]));
            let shape = self.model.network.spec().input;
            for line in
                view::lines(&prediction.file, shape, prepared.pixels, &rows.take(3).collect::<Vec<_>>())?
            {
                console.line(line);
            }
        }
        let file = &prediction.file;
        if !prepared.doubts.is_empty() {
            warn(&format!("{file}: looks like no digit: {}", prepared.doubts.join(", ")));
        } else if prediction.probability < UNSURE {
            warn(&format!(
                "{file}: not sure: {} has {:.0} %",
                prediction.label,
                100.0 * prediction.probability
            ));
        }
        Ok(())
    }

    /// The probability of each class.
    fn probabilities(&mut self, pixels: &[u8]) -> Result<Vec<f32>> {
        let Self { model: Model { network, parameters, .. }, activations, numbers, .. } = self;
        let [rows, columns, channels] = network.spec().input;
        let x = pixels.iter().map(|&pixel| numbers[usize::from(pixel)]).collect();
        let x = Array4::from_shape_vec((1, rows, columns, channels), x)?;
        let y = network.forward(parameters, x.view(), activations)?.into_dimensionality::<Ix2>()?;
        let mut probabilities = y.to_owned();
        if !matches!(network.spec().layers.last(), Some(Layer::Softmax(_))) {
            softmax::forward(y, probabilities.view_mut())?;
        }
        Ok(probabilities.into_iter().collect())
    }
}
