//! `cnn`: train, judge and use small convolutional networks at a terminal.
//!
//! Raw flags (`args`) become validated choices in each command, and the command runs. All errors end up here.
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used)]

mod args;
mod command;
mod console;
mod data;
mod drawing;
mod interrupt;
mod judge;
mod output;
mod plot;
mod progress;
mod recipe;
mod report;
mod run;

use anyhow::Context;
use args::{Cli, Command, DataCommand};
use clap::Parser;
use data::NotLoaded;
use interrupt::Interrupted;
use layers::Kernels;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::thread::available_parallelism;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let (message, code) = match error.is::<Interrupted>() {
                true => (format!("{error}\n"), ExitCode::from(interrupt::EXIT_CODE)),
                false => {
                    let hint = hint(&error).map_or(String::new(), |hint| format!("hint: {hint}\n"));
                    (format!("error: {}\n{hint}", one_line(&error)), ExitCode::FAILURE)
                }
            };
            // Nobody is left to be told where standard error cannot be written.
            let _ = io::stderr().lock().write_all(message.as_bytes());
            code
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let kernels = Kernels::from_env().context(Kernels::VARIABLE)?;
    let command = cli.command.unwrap_or_default();
    let threads = match &command {
        Command::Train(args) => args.threads,
        _ => None,
    };
    let threads = threads.unwrap_or_else(|| available_parallelism().map_or(1, usize::from));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.with_context(|| format!("cannot start {threads} threads"))?.install(|| match command {
        Command::Tutorial(args) => command::tutorial::run(args, kernels),
        Command::Train(args) => command::train::run(args, kernels),
        Command::Presets(args) => command::presets::run(args),
        Command::Eval(args) => command::eval::run(args),
        Command::Predict(args) => command::predict::run(args),
        Command::Inspect(args) => command::inspect::run(args),
        Command::Export(args) => command::export::run(args),
        Command::Data(DataCommand::Info(args)) => command::data::info::run(args),
        Command::Data(DataCommand::Show(args)) => command::data::show::run(args),
        Command::Gradcheck(args) => command::gradcheck::run(args, kernels),
        Command::Convolve(args) => command::convolve::run(args, kernels),
        Command::Doctor(args) => command::doctor::run(args, kernels),
        Command::Completions(args) => command::completions::run(args),
        Command::Man(args) => command::man::run(args),
    })
}

/// An error and its causes, joined by colons. A cause that the error before it already ends with is not repeated.
fn one_line(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain().map(|cause| cause.to_string()) {
        if message.is_empty() {
            message = cause;
        } else if !message.ends_with(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message.split(['\r', '\n']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// What helps against the error, where that is known.
fn hint(error: &anyhow::Error) -> Option<String> {
    const WRITES_A_MODEL: &str =
        "`cnn train` writes a model, and `cnn train --resume RUN` goes on where it was stopped";
    if let Some(not_loaded) = error.downcast_ref::<NotLoaded>() {
        return Some(not_loaded.hint());
    }
    let hint = error.chain().find_map(|cause| match cause.downcast_ref() {
        Some(layers::Error::Model { .. }) => Some(WRITES_A_MODEL),
        Some(layers::Error::File { source, .. }) if source.kind() == ErrorKind::NotFound => {
            Some(WRITES_A_MODEL)
        }
        _ if cause.is::<mnist_io::Error>() => Some("`cargo xtask fetch-data` puts MNIST into data/mnist"),
        _ => None,
    });
    hint.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn an_error_is_one_line() {
        let check = |error: anyhow::Error, expected: &str| assert_eq!(one_line(&error), expected);
        check(anyhow!("a"), "a");
        check(anyhow!("b").context("a"), "a: b");
        check(anyhow!("c").context("a: c").context("x"), "x: a: c");
        check(anyhow!("two\r\n  lines\n").context("a"), "a: two lines");
    }
}
