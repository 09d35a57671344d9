//! `ci`: everything that must hold before a change lands, the same on any machine.

use crate::bench::instructions;
use crate::debian;
use crate::python;
use crate::tidy::Tidy;
use crate::workspace::{self, command, is_there, program, root};
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, path};

/// Check everything that must hold before a change lands; stop at the first failure.
///
/// MNIST_DIR names a folder with the whole of MNIST (by default ../shared/mnist, where it is there) and
/// GOLDEN_DIR one with reference tensors: what needs them is then checked as well.
#[derive(clap::Args)]
pub struct Ci {}

impl Ci {
    /// Runs the steps, the quick ones first, all with the default profile and flags so that each crate is
    /// built once.
    pub fn run(self) -> Result<()> {
        let mnist = mnist()?;
        let readme = fs::read_to_string(root().join("README.md")).context("cannot read README.md")?;
        let test_command = test_command(&readme)?;

        let mut steps = Steps::default();
        for (component, tool) in [("rustfmt", "cargo fmt"), ("clippy", "cargo clippy")] {
            if !is_there(tool) {
                steps.run(tool, &mut command(&format!("rustup component add {component}")))?;
            }
        }
        steps.run("lock file", &mut command("cargo tree --locked --workspace --edges normal --depth 0"))?;
        steps.run("format", &mut command("cargo fmt --all -- --check"))?;
        steps.time("tidy", || Tidy {}.run())?;
        steps.run(
            "clippy",
            &mut command("cargo clippy --workspace --all-targets --all-features -- -D warnings"),
        )?;
        steps.run(
            "clippy, least features",
            &mut command(
                "cargo clippy -p mnist-io -p layers --all-targets --no-default-features -- -D warnings",
            ),
        )?;
        // A test opens a report in it.
        debian::provide("chromium");
        for line in test_command {
            let mnist_dir = mnist.as_ref().map(|folder| ("MNIST_DIR", folder));
            steps.run("test", command(line).envs(mnist_dir))?;
        }
        if let Some(folder) = beside("golden") {
            steps.run("golden", command("cargo test --workspace golden").env("GOLDEN_DIR", folder))?;
        }
        steps.run(
            "documentation",
            command("cargo doc --workspace --no-deps").env("RUSTDOCFLAGS", "-D warnings"),
        )?;
        steps.run("examples", &mut command("cargo build --workspace --examples"))?;
        steps.run("the tutorial's example", &mut command("cargo run -p layers --example tutorial"))?;
        steps.run("benches as tests", &mut command("cargo test --workspace --benches"))?;
        steps.time("exported models in other programs", exports)?;
        steps.time("instructions", || instructions::run(false))?;

        steps.print();
        if mnist.is_none() {
            println!("Skipped: the checks on the whole of MNIST, as MNIST_DIR does not say where it is.");
        }
        Ok(())
    }
}

/// Runs exported models in onnxruntime and PyTorch, where these can be had.
fn exports() -> Result<()> {
    let packages = ["numpy", "onnxruntime", "safetensors", "torch"];
    match python::with_packages(&root().join("target/exports"), &packages) {
        Ok(python) => workspace::run(program(python).arg("docs/exports.py")),
        Err(error) => {
            println!("Skipped: onnxruntime and PyTorch cannot be had: {error:#}.");
            Ok(())
        }
    }
}

/// The steps that have passed, each with its time.
#[derive(Default)]
struct Steps(Vec<(&'static str, Duration)>);

impl Steps {
    /// A step that is a command.
    fn run(&mut self, name: &'static str, command: &mut Command) -> Result<()> {
        self.time(name, || workspace::run(command))
    }

    /// Any step.
    fn time(&mut self, name: &'static str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n== {name}");
        let start = Instant::now();
        step().with_context(|| format!("{name} failed after {:.1} s", start.elapsed().as_secs_f64()))?;
        self.0.push((name, start.elapsed()));
        println!("== {name}: {:.1} s", start.elapsed().as_secs_f64());
        Ok(())
    }

    /// The table of all of them.
    fn print(&self) {
        println!("\nAll passed:");
        let total = ("in all", self.0.iter().map(|(_, time)| time).sum());
        for (name, time) in self.0.iter().chain([&total]) {
            println!("{:8.1} s  {name}", time.as_secs_f64());
        }
    }
}

/// The commands of the first fenced block after the line with the marker.
fn test_command(readme: &str) -> Result<Vec<&str>> {
    let mut lines = readme.lines().skip_while(|line| !line.contains("<!-- test command -->"));
    let fenced = lines.by_ref().skip_while(|line| !line.starts_with("```")).skip(1);
    let commands: Vec<_> = fenced.take_while(|line| !line.starts_with("```")).map(str::trim).collect();
    ensure!(
        commands.iter().any(|line| !line.is_empty()),
        "README.md: expected a fenced block with the test command after a line with <!-- test command -->"
    );
    Ok(commands.into_iter().filter(|line| !line.is_empty()).collect())
}

/// The folder with the whole of MNIST that the environment names or that lies beside the workspace.
fn mnist() -> Result<Option<PathBuf>> {
    let Some(folder) = env::var_os("MNIST_DIR") else { return Ok(beside("mnist")) };
    let folder = path::absolute(&folder).context("MNIST_DIR")?;
    ensure!(folder.is_dir(), "MNIST_DIR: expected a folder, found none at {}", folder.display());
    Ok(Some(folder))
}

/// A folder of the test data that may lie beside the workspace.
fn beside(name: &str) -> Option<PathBuf> {
    root().join("../shared").join(name).canonicalize().ok().filter(|folder| folder.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_command_is_read_from_the_readme() {
        let check = |readme: &str, expected: Option<&[&str]>| {
            assert_eq!(test_command(readme).ok().as_deref(), expected, "{readme}");
        };
        check(
            "<!-- test command -->\n```sh\ncargo test --workspace\n```\n",
            Some(&["cargo test --workspace"]),
        );
        check("```sh\na\n```\n<!-- test command -->\nso:\n\n```\n b\n\nc\n```\nd\n", Some(&["b", "c"]));
        check("```sh\ncargo test\n```\n", None);
        check("<!-- test command -->\ncargo test\n", None);
        check("<!-- test command -->\n```\n```\ncargo test\n", None);
    }

    #[test]
    fn a_missing_tool_is_noticed() {
        assert!(is_there("cargo"));
        assert!(!is_there("cargo no-such-command"));
    }

    #[test]
    fn a_step_that_fails_is_named_and_not_counted() {
        let mut steps = Steps::default();
        steps.time("first", || Ok(())).expect("passes");
        let error = steps.time("second", || anyhow::bail!("broken")).expect_err("fails");
        assert!(format!("{error:#}").starts_with("second failed after 0.0 s: broken"), "{error:#}");
        assert_eq!(steps.0.len(), 1);
    }
}
