//! The real binary, in a folder of its own: what it prints, writes and refuses.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic, too")]

mod convolve;
mod data;
mod doctor;
mod eval;
mod export;
mod failures;
mod gradcheck;
mod inspect;
mod manual;
mod pictures;
mod predict;
mod report;
mod runs;
mod show;
#[cfg(unix)]
mod terminal;
mod train;
mod tutorial;
mod usage;

use assert_cmd::Command;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// What a run left.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    /// The run's standard output, where all went well.
    #[track_caller]
    fn expect_success(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{}", self.stdout);
        self.stdout
    }

    /// The error of a failed run: one line, perhaps with a hint, and each of `parts` in it.
    #[track_caller]
    fn expect_failure(&self, parts: &[&str]) {
        assert_eq!(self.code, Some(1), "{}{}", self.stdout, self.stderr);
        let mut lines = self.stderr.lines();
        let error = lines.next().unwrap_or_default();
        assert!(error.starts_with("error: "), "{}", self.stderr);
        for part in parts {
            assert!(error.contains(part), "no {part:?} in {error:?}");
        }
        assert!(lines.all(|line| line.starts_with("hint: ")), "{}", self.stderr);
    }
}

/// The binary in this folder, with nothing set that would change what it does.
fn command(folder: &TempDir) -> Command {
    let mut command = Command::cargo_bin("cnn").unwrap();
    command.current_dir(folder).env_remove("MNIST_DIR").env_remove("CNN_KERNELS");
    command
}

/// A run with arguments divided by blanks.
fn cnn(folder: &TempDir, arguments: &str) -> Run {
    run(command(folder).args(arguments.split_whitespace()))
}

fn run(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
