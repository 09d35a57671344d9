//! The peers as programs: how each is made, and how it is run.

use super::{Task, below};
use crate::python;
use crate::workspace::{command, run};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

/// Every peer, with what makes its program.
const PEERS: [(&str, Make); 6] = [
    ("pytorch", Make::Python("torch")),
    ("keras", Make::Python("keras")),
    ("jax", Make::Python("jax")),
    ("candle", Make::Rust),
    ("burn", Make::Rust),
    ("c", Make::C),
];

#[derive(Clone, Copy)]
enum Make {
    /// A module in a virtual environment, which imports this package.
    Python(&'static str),
    /// A binary of the package benches/peers/rust.
    Rust,
    /// The C program.
    C,
}

/// A peer that can be run.
pub struct Program {
    pub peer: &'static str,
    make: Make,
}

/// What a peer prints for a form.
#[derive(Deserialize)]
pub struct Figure {
    pub form: String,
    pub us_per_sample: f64,
    pub versions: Value,
}

/// Where everything of the peers is made.
pub fn folder() -> Result<PathBuf> {
    let folder = below("target/peers");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Makes every peer, or the one that is named; says of those that cannot be made what is missing.
pub fn make(only: Option<&str>) -> Result<Vec<Program>> {
    let known = PEERS.map(|(peer, _)| peer);
    ensure!(
        only.is_none_or(|only| known.contains(&only)),
        "--peer: expected one of {}, found {}",
        known.join(", "),
        only.unwrap_or_default(),
    );
    let mut programs = Vec::new();
    for (peer, make) in PEERS.into_iter().filter(|&(peer, _)| only.is_none_or(|only| only == peer)) {
        match make.carry_out(peer) {
            Ok(()) => programs.push(Program { peer, make }),
            Err(error) => println!("{peer} is left out: {error:#}"),
        }
    }
    Ok(programs)
}

impl Make {
    fn carry_out(self, peer: &str) -> Result<()> {
        let folder = folder()?;
        match self {
            Self::Python(package) => python::with_packages(&folder, &[package]).map(drop),
            Self::Rust => {
                let mut build =
                    command("cargo build --release --manifest-path benches/peers/rust/Cargo.toml");
                build.args(["--bin", peer, "--target-dir"]).arg(folder.join("rust"));
                // Both choose their instructions when they are compiled.
                run(build.env("RUSTFLAGS", "-C target-cpu=native")).context("its packages do not build")
            }
            Self::C => {
                let mut compile = command("cc -O3 -march=native -ffast-math benches/peers/tutorial.c -lm -o");
                run(compile.arg(folder.join("tutorial"))).context("a C compiler is missing")
            }
        }
    }
}

impl Program {
    pub fn knows(&self, workload: &str) -> bool {
        !matches!(self.make, Make::C) || workload.contains("tutorial")
    }

    /// Runs a workload in one form or in all, and gives what was printed. What it says besides goes to a log.
    pub fn run(&self, task: Task, form: Option<&str>, variables: &[(&str, &str)]) -> Result<Vec<Figure>> {
        let folder = folder()?;
        let mut program = match self.make {
            Make::Python(_) => {
                let mut program = Command::new(python::interpreter(&folder));
                program.args(["-m", &format!("peers.{}", self.peer)]).current_dir(below("benches"));
                program.env("PYTHONPYCACHEPREFIX", folder.join("pycache"));
                program.env("TORCHINDUCTOR_CACHE_DIR", folder.join("inductor"));
                program
            }
            Make::Rust => Command::new(folder.join("rust/release").join(self.peer)),
            Make::C => Command::new(folder.join("tutorial")),
        };
        let (threads, seconds) = (task.threads.to_string(), task.seconds.to_string());
        program.args(["--workload", task.name, "--threads", &threads, "--seconds", &seconds]);
        if let Some(form) = form {
            program.args(["--form", form]);
        }
        let log = folder.join(format!("{}.log", self.peer));
        let errors = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let output = program.envs(variables.iter().copied()).stderr(errors).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let figures: Vec<_> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        ensure!(!figures.is_empty(), "{}, no figure; see {}", output.status, log.display());
        Ok(figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_peer_is_refused() {
        let error = make(Some("numpy")).err().expect("no peer").to_string();
        assert_eq!(error, "--peer: expected one of pytorch, keras, jax, candle, burn, c, found numpy");
    }

    #[test]
    fn a_figure_is_read() {
        let line =
            r#"{"peer": "c", "form": "f", "name": "n", "threads": 1, "us_per_sample": 2.5, "versions": {}}"#;
        let figure: Figure = serde_json::from_str(line).expect("a figure");
        assert_eq!((figure.form.as_str(), figure.us_per_sample), ("f", 2.5));
    }

    #[test]
    fn every_program_is_there() {
        for (peer, make) in PEERS {
            let source = match make {
                Make::Python(_) => format!("benches/peers/{peer}.py"),
                Make::Rust => format!("benches/peers/rust/src/bin/{peer}.rs"),
                Make::C => "benches/peers/tutorial.c".to_owned(),
            };
            assert!(below(&source).is_file(), "{source}");
        }
    }
}
