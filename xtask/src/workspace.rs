//! Where the workspace is, and how its commands are run.

use anyhow::{Context, Result, ensure};
use std::borrow::Cow;
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The workspace's root: the folder above this package.
///
/// Cargo names the package's folder when it runs a program; what it named when it built the program may have
/// been moved since.
pub fn root() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().expect("the package is a folder of the workspace").to_owned()
}

/// A command line, its words divided by spaces, to be run in the root with nothing on its standard input.
pub fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = program(words.next().unwrap_or_default());
    command.args(words);
    command
}

/// As [`command`], a program by its name or path and nothing else.
pub fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root()).stdin(Stdio::null());
    // Build scripts watch these (ring's does): what cargo set for this program would make them run again.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Shows the command, runs it, and fails with the line that repeats it unless it succeeds.
pub fn run(command: &mut Command) -> Result<()> {
    let line = shown(command);
    println!("$ {line}");
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    ensure!(status.success(), "{status}; to repeat it: {line}");
    Ok(())
}

/// As [`run`], and gives back what it writes to its standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let line = shown(command);
    println!("$ {line}");
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start `{line}`"))?;
    ensure!(output.status.success(), "{}; to repeat it: {line}", output.status);
    String::from_utf8(output.stdout).with_context(|| format!("the output of `{line}`"))
}

/// The command as a shell takes it, with the variables that it sets.
fn shown(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        value.map(|value| format!("{}={}", name.to_string_lossy(), quoted(value)))
    });
    let words = [command.get_program()].into_iter().chain(command.get_args());
    variables.chain(words.map(|word| quoted(word).into_owned())).collect::<Vec<_>>().join(" ")
}

/// A word in quotation marks, if a shell would take it apart or expand it without.
fn quoted(word: &OsStr) -> Cow<'_, str> {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word
    } else {
        format!("'{}'", word.replace('\'', r"'\''")).into()
    }
}

/// Whether a program is there and runs.
pub fn is_there(program: &str) -> bool {
    let status =
        command(&format!("{program} --version")).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("xtask/src/workspace.rs").is_file());
    }

    #[test]
    fn a_command_is_shown_as_a_shell_takes_it() {
        let mut command = command("cargo bench -p a");
        command.args(["--bench", "*", "it's"]).env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(shown(&command), r"RUSTDOCFLAGS='-D warnings' cargo bench -p a --bench '*' 'it'\''s'");
    }

    #[test]
    fn a_failure_names_the_command() {
        let message = |line| run(command(line).stderr(Stdio::null())).expect_err(line).to_string();
        let failed = message("cargo --no-such-flag");
        assert!(failed.ends_with("to repeat it: cargo --no-such-flag"), "{failed}");
        assert_eq!(message("no-such-program x"), "cannot start `no-such-program x`");
    }
}
