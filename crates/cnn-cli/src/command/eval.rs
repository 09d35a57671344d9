//! `cnn eval`: a model judged by the test images.

use super::JUDGE_BATCH;
use crate::args;
use crate::data::{Normalized, Source};
use crate::progress::reporter;
use anyhow::Result;
use layers::{Model, Network, Samples, evaluate};
use mnist_io::Split;

pub fn run(args: args::Eval) -> Result<()> {
    let Model { mut network, parameters, normalization, class_names } = Model::load(&args.model)?;
    if args.winograd {
        network = Network::with_winograd(network.spec(), network.kernels())?;
    }
    let [rows, _, channels] = network.spec().input;
    let size = args.data.size.or(u32::try_from(rows).ok());
    let source = Source::new(args::Data { size, rgb: args.data.rgb || channels == 3, ..args.data }, None);
    let test = Normalized::new(source.load(Split::Test)?, normalization);
    source.check_classes(&class_names, test.dataset().class_names())?;

    let mut reporter = reporter(args.progress.progress);
    let (model, count) = (args.model.display(), network.parameter_count());
    reporter.say(&format!("Model: {model}: {count} parameters, kernels {}", network.kernels()));
    reporter.say(&format!("Data: {source}: {} test images", test.len()));
    if !class_names.is_empty() {
        reporter.say(&format!("Classes: {}", class_names.join(", ")));
    }
    let score = evaluate(&network, &parameters, &test, JUDGE_BATCH, |_| ());
    reporter.test(score.map_err(|error| source.blame(error))?);
    reporter.finish()
}
