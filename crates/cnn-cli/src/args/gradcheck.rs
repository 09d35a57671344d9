//! The flags of `cnn gradcheck`.

/// Check the gradients of a network
///
/// Each layer by itself and then the whole network: the gradients of the fast backward pass against central differences
/// of plain loops in double precision, on random numbers. The worst error of each part is a share of its largest
/// gradient; one above 1e-3 fails.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn gradcheck
  cnn gradcheck '28x28x1: conv 8 3x3 same relu, maxpool 2, dense 32 gelu, dense 10'
  CNN_KERNELS=portable cnn gradcheck net.toml")]
pub struct Gradcheck {
    /// The network: a line of text, or a TOML file [default: the tutorial's, with the first of equal maxima]
    pub network: Option<String>,

    /// What the random numbers follow from
    #[arg(long, value_name = "N", default_value_t)]
    pub seed: u64,
}
