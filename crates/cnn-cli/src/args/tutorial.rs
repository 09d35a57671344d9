//! The flags of `cnn tutorial`.

use std::path::PathBuf;

/// The tutorial on the bundled sample: a network before training, and after
///
/// The network guesses at the first 1,000 test images of MNIST untrained, learns from the first 1,000 training
/// images for 3 epochs, one image a step, and guesses again. Then it is saved. This is what `cnn` without a
/// command does.
#[derive(clap::Args, Default)]
#[command(after_help = "Example:
  cnn tutorial --seed 7 --out seven.safetensors")]
pub struct Tutorial {
    /// What the initial weights and the order of the images follow from
    #[arg(long, value_name = "N", default_value_t)]
    pub seed: u64,

    /// Where the model goes [default: tutorial.safetensors]
    #[arg(long, value_name = "MODEL")]
    pub out: Option<PathBuf>,
}
