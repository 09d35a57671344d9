//! `cnn tutorial`: the network before training and after, on the bundled sample.

use crate::args;
use crate::data::{CENTERED, Normalized, Source};
use crate::judge::Judgement;
use crate::output;
use crate::progress::{Plain, Reporter, Step, WINDOW};
use crate::recipe::Recipe;
use anyhow::Result;
use layers::{Event, Kernels, Model, Network, Samples, Score, TrainConfig, TrainState, Trainer, evaluate};
use mnist_io::Split;
use std::ops::ControlFlow;
use std::path::PathBuf;

pub fn run(args: args::Tutorial, kernels: Kernels) -> Result<()> {
    let out = args.out.unwrap_or_else(|| PathBuf::from("tutorial.safetensors"));
    output::check(&out)?;
    let Recipe { network, training, .. } = Recipe::preset("tutorial");
    let network = Network::with_kernels(&network, kernels)?;
    let config = TrainConfig { seed: args.seed, ..training };
    let source = Source::sample();
    let training = Normalized::new(source.load(Split::Train)?, CENTERED);
    let test = Normalized::new(source.load(Split::Test)?, CENTERED);

    let mut plain = Plain::new(Some(WINDOW));
    plain.say(&format!(
        "A network with random weights (seed {}) guesses at {} handwritten digits; then it learns from {} others,",
        config.seed,
        test.len(),
        training.len()
    ));
    plain.say(&format!(
        "{} epochs, one image a step, guesses again, and is saved as {}. Data: {source}.",
        config.epochs,
        out.display()
    ));

    plain.say("\n--- The untrained CNN ---");
    let state = TrainState::new(&config, network.initial_parameters(config.seed))?;
    let mut before = Score::default();
    let score = evaluate(&network, state.current(), &test, WINDOW, |seen| {
        plain.window(seen.images, WINDOW, seen - before);
        before = seen;
    })?;
    plain.say(&format!(
        "All {} images: Average Loss {:.3} | Accuracy: {:.1}%",
        score.images,
        score.loss(),
        100.0 * score.accuracy()
    ));

    plain.say("\n--- Training the CNN ---");
    let mut trainer = Trainer::new(&network, config, &training, None, state)?;
    trainer.run(|_, event| {
        if let Event::Step { epoch, step, score, .. } = event {
            plain.step(Step { epoch, step, score });
        }
        ControlFlow::Continue(())
    })?;
    let parameters = trainer.into_state().into_result();
    plain.say("");
    let model = Model { network, parameters, normalization: CENTERED, class_names: Vec::new() };
    plain.test(&Judgement::new(&model, &test)?);
    model.save(&out)?;
    plain.say("");
    plain.saved(&out);
    plain.say(&format!(
        "
What to try next, from the project's folder:
  cargo run -p cnn-cli -- eval {}
  cargo run -p cnn-cli -- convolve crates/cnn-cli/images/shapes.png --kernel sobel-x --padding same -o edges.png
  cargo xtask fetch-data && cargo run -p cnn-cli -- train --preset keras",
        out.display()
    ));
    plain.finish()
}
