//! `cnn completions`: a script for a shell.

use crate::args::{self, Cli};
use crate::console::Console;
use anyhow::Result;
use clap::CommandFactory;
use clap_complete::generate;

pub fn run(args: args::Completions) -> Result<()> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "cnn", &mut script);
    let mut console = Console::default();
    console.line(String::from_utf8(script)?.trim_end());
    console.finish()
}
