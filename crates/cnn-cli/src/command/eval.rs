//! `cnn eval`: a model judged by the test images.

use super::JUDGE_BATCH;
use crate::args;
use crate::data::{Normalized, Source};
use crate::progress::reporter;
use anyhow::Result;
use layers::{Model, Samples, evaluate};
use mnist_io::Split;

pub fn run(args: args::Eval) -> Result<()> {
    let Model { network, parameters, normalization, .. } = Model::load(&args.model)?;
    let source = Source::new(args.data, None);
    let test = Normalized::new(source.load(Split::Test)?, normalization);

    let mut reporter = reporter(args.progress.progress, None);
    let (model, count) = (args.model.display(), network.parameter_count());
    reporter.say(&format!("Model: {model}: {count} parameters, kernels {}", network.kernels()));
    reporter.say(&format!("Data: {source}: {} test images", test.len()));
    let score = evaluate(&network, &parameters, &test, JUDGE_BATCH, |_| ());
    reporter.test(score.map_err(|error| source.blame(error))?);
    reporter.finish()
}
