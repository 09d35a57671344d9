//! Ctrl-C, and what else asks a program to end: the first time it is noted, the second time it ends.

use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a shell calls a program that was interrupted.
pub const EXIT_CODE: u8 = 130;

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on, being asked to end only sets a mark.
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
#[error("stopped in epoch {epoch} after step {step}; `cnn train --resume {}` goes on", run.display())]
pub struct Interrupted {
    pub run: PathBuf,
    pub epoch: usize,
    pub step: usize,
}
