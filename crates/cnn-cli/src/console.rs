//! Standard output, a line at a time.

use anyhow::Context;
use std::env;
use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

/// Whether a person watches, at a terminal that can do more than print.
pub fn is_watched() -> bool {
    io::stdout().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether what is printed may have colours.
pub fn has_color() -> bool {
    is_watched() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Columns of the terminal, or of a usual one where there is none.
pub fn width() -> usize {
    terminal_size::terminal_size_of(io::stdout()).map_or(80, |(width, _)| width.0.into())
}

/// Columns that text is to fit into: those of the terminal, and any number where nobody watches.
pub fn room() -> usize {
    if is_watched() { width() } else { usize::MAX }
}

/// Prints until the first failure, which it keeps.
///
/// So a long training whose reader went away, or whose log filled the disk, still ends with a saved model.
#[derive(Default)]
pub struct Console {
    failure: Option<io::Error>,
}

impl Console {
    pub fn line(&mut self, line: impl Display) {
        self.write(|out| writeln!(out, "{line}"));
    }

    /// What went wrong with printing; that nobody reads any more is not wrong.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        match self.failure.take() {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("standard output"),
            _ => Ok(()),
        }
    }

    fn write(&mut self, write: impl FnOnce(&mut io::StdoutLock<'_>) -> io::Result<()>) {
        if self.failure.is_none() {
            self.failure = write(&mut io::stdout().lock()).err();
        }
    }
}
