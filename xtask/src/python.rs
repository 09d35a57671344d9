//! Packages of Python, in a virtual environment below the target folder.

use crate::workspace::{command, root, run};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What PyTorch needs of its requirements where there is no GPU.
const OF_PYTORCH: &str = "filelock fsspec jinja2 networkx numpy setuptools sympy typing-extensions";

/// The interpreter of the environment in `folder`, which is made where it is missing, with these packages.
pub fn with_packages(folder: &Path, packages: &[&str]) -> Result<PathBuf> {
    let python = interpreter(folder);
    if !python.exists() {
        run(command("python3 -m venv").arg(folder.join("venv")))
            .context("Python 3 with its module venv is missing")?;
    }
    for package in packages {
        if !imports(&python, package) {
            install(&python, package)?;
        }
        ensure!(imports(&python, package), "{package} is installed and cannot be imported");
    }
    Ok(python)
}

/// The interpreter of the environment in `folder`, whether it is there or not.
pub fn interpreter(folder: &Path) -> PathBuf {
    folder.join(if cfg!(windows) { "venv/Scripts/python.exe" } else { "venv/bin/python" })
}

fn imports(python: &Path, package: &str) -> bool {
    // Keras loads the framework below it as well: without this it is one that is not asked for here.
    let mut import = Command::new(python);
    let output = import.args(["-c", &format!("import {package}")]).env("KERAS_BACKEND", "jax").output();
    output.is_ok_and(|output| output.status.success())
}

/// Installs a package from the index that pip is set up for.
fn install(python: &Path, package: &str) -> Result<()> {
    let pip = |arguments: &str| {
        let words = arguments.split_whitespace();
        run(Command::new(python).args(["-m", "pip", "install", "--disable-pip-version-check"]).args(words))
    };
    match package {
        // On Linux PyTorch asks for gigabytes of CUDA, which it loads without as well.
        "torch" if cfg!(target_os = "linux") => {
            pip(&format!("--no-deps {package}"))?;
            pip(OF_PYTORCH)?;
            let without_cuda = root().join("benches/peers/without_cuda.py");
            let stand_ins = run(Command::new(python).arg(without_cuda));
            if stand_ins.is_err() || !imports(python, package) { pip(package) } else { Ok(()) }
        }
        "keras" => pip("keras jax"),
        _ => pip(package),
    }
    .with_context(|| format!("{package} cannot be installed"))
}
