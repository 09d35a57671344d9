//! `cnn gradcheck`: are the gradients of a network right?

use crate::args;
use crate::console::Console;
use crate::recipe::{self, Recipe};
use anyhow::{Result, ensure};
use layers::{Kernels, Ties, gradcheck};

pub fn run(args: args::Gradcheck, kernels: Kernels) -> Result<()> {
    let spec = match args.network {
        // The tutorial's own rule for ties is no gradient.
        None => {
            let mut recipe = Recipe::preset("tutorial");
            recipe.set_ties(Ties::First);
            recipe.network
        }
        Some(network) => recipe::network(&network)?,
    };
    let result = gradcheck(&spec, kernels, args.seed)?;
    let mut console = Console::default();
    console.line(format_args!("{spec}\n{result}"));
    console.finish()?;
    ensure!(result.is_right(), "a gradient is wrong: see the table");
    Ok(())
}
