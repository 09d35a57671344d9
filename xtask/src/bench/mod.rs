//! `bench`: the benchmarks, and the guard that counts instructions.

pub mod instructions;
mod steps;

use crate::workspace::{command, run};
use anyhow::{Context, Result};
use std::path::{self, PathBuf};

/// Run the benchmarks: training steps and inference, as a share of the FMA peak.
#[derive(clap::Args)]
pub struct Bench {
    /// Where to write the results as well [default: target/steps.json]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only workloads with this in their names
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Time single kernels instead, those with FILTER in their names
    #[arg(long, value_name = "FILTER", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["json", "only"])]
    kernels: Option<String>,
    /// Count the kernels' instructions instead, and fail if they are more than in the baseline
    #[arg(long, conflicts_with_all = ["json", "only", "kernels"])]
    instructions: bool,
    /// Make what is counted the baseline
    #[arg(long, requires = "instructions")]
    save: bool,
    /// What the bench is told as well: see cargo bench -p layers --bench steps -- --help
    #[arg(last = true, value_name = "OPTION", conflicts_with = "instructions")]
    options: Vec<String>,
}

impl Bench {
    /// Runs what the options name.
    pub fn run(self) -> Result<()> {
        if self.instructions {
            return instructions::run(self.save);
        }
        if let Some(filter) = self.kernels {
            let filter = Some(filter).filter(|filter| !filter.is_empty());
            let mut bench = command("cargo bench -p tensor-ops --bench kernels --");
            return run(bench.args(filter).args(self.options));
        }
        let json = self.json.map(path::absolute).transpose().context("--json")?;
        steps::run(json, self.only.as_deref(), &self.options).map(drop)
    }
}
