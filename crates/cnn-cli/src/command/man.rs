//! `cnn man`: the manual.

use crate::args::{self, Cli};
use crate::console::Console;
use crate::output;
use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use std::fs;
use std::path::Path;

pub fn run(args: args::Man) -> Result<()> {
    let mut command = Cli::command().disable_help_subcommand(true);
    // Only then do the commands within know their full names.
    command.build();
    let mut console = Console::default();
    match args.out {
        None => console.line(page(&manual(command))?.trim_end()),
        Some(folder) => {
            fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            let count = write(command, &folder)?;
            console.line(format_args!("{count} pages → {}", folder.display()));
        }
    }
    console.finish()
}

/// Writes the page of a command and of those within; how many there are.
fn write(command: Command, folder: &Path) -> Result<usize> {
    let mut count = 1;
    for within in command.get_subcommands().filter(|within| !within.is_hide_set()) {
        count += write(within.clone(), folder)?;
    }
    let man = manual(command);
    output::write(&folder.join(man.get_filename()), page(&man)?.as_bytes())?;
    Ok(count)
}

fn manual(command: Command) -> Man {
    Man::new(command).source(concat!("cnn ", env!("CARGO_PKG_VERSION")))
}

fn page(man: &Man) -> Result<String> {
    let mut page = Vec::new();
    man.render(&mut page)?;
    Ok(String::from_utf8(page)?)
}
