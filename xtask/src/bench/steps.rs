//! The bench of whole steps, which is in `layers`.

use crate::workspace::{self, command, root};
use anyhow::Result;
use std::path::PathBuf;

/// Runs it, and gives back where its results are: in `json`, or else in a file of the target folder.
pub fn run(json: Option<PathBuf>, only: Option<&str>, options: &[String]) -> Result<PathBuf> {
    let json = json.unwrap_or_else(|| root().join("target/steps.json"));
    let mut bench = command("cargo bench -p layers --bench steps -- --json");
    bench.arg(&json);
    if let Some(only) = only {
        bench.args(["--only", only]);
    }
    workspace::run(bench.args(options))?;
    Ok(json)
}
