//! `bench`: the benchmarks, the guard that counts instructions, and the comparison with other frameworks.

pub mod instructions;
mod peers;
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
    #[command(flatten)]
    peers: peers::Peers,
    /// How many threads, one measurement each, beside the peers [default: 1 and all]
    #[arg(long, value_name = "N,…", value_delimiter = ',', requires = "peers")]
    threads: Vec<usize>,
    /// How long to measure each, beside the peers
    #[arg(long, default_value_t = 1.0, requires = "peers")]
    seconds: f64,
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
        if self.peers.peers {
            let Self { peers, only, threads, seconds, json, .. } = &self;
            let only = only.as_deref().unwrap_or_default();
            return peers.run(peers::Asked { only, threads, seconds: *seconds, json: json.as_deref() });
        }
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
