//! Where and when a measurement was made.

use serde::Serialize;
use std::process::Command;
use std::thread::available_parallelism;

/// The machine, as far as it says what it is.
#[derive(Serialize)]
pub struct Machine {
    /// The processor's model.
    cpu: Option<String>,
    cores: usize,
    /// The kernels that ran.
    kernels: &'static str,
    rustc: Option<String>,
}

impl Machine {
    pub fn new(kernels: &'static str) -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self { cpu: cpu(), cores, kernels, rustc: said("rustc --version") }
    }
}

/// The processor's model, where the system is Linux.
fn cpu() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let (_, model) = text.lines().find(|line| line.starts_with("model name"))?.split_once(':')?;
    Some(model.trim().to_owned())
}

/// The commit that is checked out, marked if files were changed since.
pub fn commit() -> Option<String> {
    said("git describe --always --dirty --exclude=*")
}

/// The time now, as in 2026-01-31T12:00:00Z.
pub fn date() -> Option<String> {
    said("date -u +%Y-%m-%dT%H:%M:%SZ")
}

/// What a command says, if it is there and succeeds.
fn said(line: &str) -> Option<String> {
    let mut words = line.split(' ');
    let output = Command::new(words.next()?).args(words).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
