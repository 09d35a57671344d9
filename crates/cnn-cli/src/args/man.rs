//! The flags of `cnn man`.

use std::path::PathBuf;

/// The manual page, or a page for each command
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn man | man -l -
  cnn man --out ~/.local/share/man/man1")]
pub struct Man {
    /// A folder for a page of each command, which is made where there is none. Pages of an earlier version are replaced
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
