//! `bench`: the benchmarks.

use crate::workspace::{command, run};
use anyhow::Result;

/// Run the benchmarks.
#[derive(clap::Args)]
pub struct Bench {
    /// What criterion is told: a filter of names, and after `--` its options, such as --save-baseline NAME
    #[arg(value_name = "FILTER")]
    arguments: Vec<String>,
}

impl Bench {
    /// Runs the benchmarks alone: a library's tests, which `--benches` would add, refuse criterion's options.
    pub fn run(self) -> Result<()> {
        run(command("cargo bench --workspace --bench * --").args(self.arguments))
    }
}
