//! Ctrl-C: the first time it is noted, the second time the program ends.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a shell calls a program that was interrupted.
pub const EXIT_CODE: u8 = 130;

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on, Ctrl-C only sets a mark.
pub fn watch() -> Result<()> {
    let mark = || {
        if ASKED.swap(true, Ordering::Relaxed) {
            process::exit(EXIT_CODE.into());
        }
    };
    ctrlc::set_handler(mark).context("cannot listen for Ctrl-C")
}

pub fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// A training that was stopped; it can go on.
#[derive(Debug, thiserror::Error)]
#[error("stopped in epoch {epoch} after step {step}; `cnn train --resume {}{}` goes on", shown(run), out_flag(out.as_deref()))]
pub struct Interrupted {
    pub run: PathBuf,
    pub out: Option<PathBuf>,
    pub epoch: usize,
    pub step: usize,
}

/// A path as a shell takes it.
fn shown(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./".contains(letter);
    if path.chars().all(is_plain) { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

fn out_flag(out: Option<&Path>) -> String {
    out.map_or(String::new(), |out| format!(" --out {}", shown(out)))
}
