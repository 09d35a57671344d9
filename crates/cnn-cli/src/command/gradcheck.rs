//! `cnn gradcheck`: are the gradients of a network right?

use crate::args;
use crate::console::Console;
use crate::preset::{MNIST, Preset};
use anyhow::{Context, Result, ensure};
use layers::{Kernels, NetworkSpec, Ties, gradcheck};
use std::fs;
use std::path::Path;

pub fn run(args: args::Gradcheck, kernels: Kernels) -> Result<()> {
    let spec = match args.network {
        // The tutorial's own rule for ties is no gradient.
        None => Preset::Tutorial.spec(Ties::First, MNIST.0, MNIST.1),
        Some(network) => read(&network)?,
    };
    let result = gradcheck(&spec, kernels, args.seed)?;
    let mut console = Console::default();
    console.line(format_args!("{spec}\n{result}"));
    console.finish()?;
    ensure!(result.is_right(), "a gradient is wrong: see the table");
    Ok(())
}

/// A network from a TOML file, or from the line of text itself.
fn read(network: &str) -> Result<NetworkSpec> {
    if Path::new(network).extension().is_some_and(|extension| extension == "toml") {
        let text = fs::read_to_string(network).with_context(|| network.to_owned())?;
        return toml::from_str(&text).with_context(|| network.to_owned());
    }
    network.parse().map_err(|error| anyhow::anyhow!("{network:?} is no network: {error}"))
}
