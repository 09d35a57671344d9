//! The project's own commands: `cargo xtask help` lists them.

#![forbid(unsafe_code)]
// A command speaks to a terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod ci;
mod debian;
mod fetch_data;
mod python;
mod tidy;
mod workspace;

use clap::Parser;
use std::process::ExitCode;

/// The project's own commands.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Xtask {
    FetchData(fetch_data::FetchData),
    Bench(bench::Bench),
    Ci(ci::Ci),
    Tidy(tidy::Tidy),
}

fn main() -> ExitCode {
    let done = match Xtask::parse() {
        Xtask::FetchData(command) => command.run(),
        Xtask::Bench(command) => command.run(),
        Xtask::Ci(command) => command.run(),
        Xtask::Tidy(command) => command.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(usage) = error.downcast_ref::<clap::Error>() {
                usage.exit();
            }
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
