//! `cargo xtask fetch-data`: MNIST into the data folder, verified.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::workspace;
use anyhow::{Context, Result};
use mnist_io::download::{self, Mirror, Outcome, Progress};

/// Fetch MNIST (four files, 12 MB) and verify it; files that are there and valid are left alone
#[derive(Debug, clap::Args)]
pub struct FetchData {
    /// Where to fetch from, instead of the public mirrors: an http, https or file URL, or a folder; may be repeated,
    /// and is tried in order
    #[arg(long = "mirror", env = "MNIST_MIRROR", value_name = "URL")]
    mirrors: Vec<Mirror>,

    /// Where to put the files; a relative path starts at the workspace's root
    #[arg(long, value_name = "DIR", default_value = "data/mnist")]
    data_dir: PathBuf,
}

impl FetchData {
    /// Fetches what is missing and prints a line a file.
    ///
    /// # Errors
    /// No mirror had a valid file, or the folder cannot be written to.
    pub fn run(self) -> Result<()> {
        let folder = workspace::root().join(self.data_dir);
        let mirrors = if self.mirrors.is_empty() { Mirror::mnist() } else { self.mirrors };
        let mut display = Display::new();
        download::mnist(&folder, &mirrors, &mut |progress| display.show(&progress)).with_context(|| {
            format!("cannot fetch MNIST into {} (--mirror takes another URL or a folder)", folder.display())
        })?;
        Ok(())
    }
}

/// A line a file on stdout, with what went wrong before it on stderr, and, where that is a terminal, a count of
/// bytes. What cannot be printed is not worth failing for.
struct Display {
    counts: bool,
    counted: Instant,
    /// What the mirrors answered that did not have the file: where none has it, the final error tells.
    failures: Vec<String>,
}

impl Display {
    /// Time between two counts.
    const PACE: Duration = Duration::from_millis(100);

    fn new() -> Self {
        Self { counts: io::stderr().is_terminal(), counted: Instant::now(), failures: Vec::new() }
    }

    fn show(&mut self, progress: &Progress) {
        match progress {
            Progress::Received { file, bytes, total }
                if self.counts && self.counted.elapsed() >= Self::PACE =>
            {
                self.counted = Instant::now();
                let total = total.map_or(String::new(), |total| format!(" of {total}"));
                let _ = write!(io::stderr(), "\r\x1b[K{file}: {bytes}{total} bytes");
            }
            Progress::Invalid(error) => {
                let _ = writeln!(io::stderr(), "{error}; it will be replaced");
            }
            Progress::Failed(error) => self.failures.push(error.to_string()),
            Progress::Done(outcome) => {
                if self.counts {
                    let _ = write!(io::stderr(), "\r\x1b[K");
                }
                for failure in self.failures.drain(..) {
                    let _ = writeln!(io::stderr(), "{failure}");
                }
                let _ = writeln!(io::stdout(), "{}", line(outcome));
            }
            _ => {}
        }
    }
}

fn line(outcome: &Outcome) -> String {
    let Outcome { path, bytes, mirror } = outcome;
    let happened = match mirror {
        Some(mirror) => format!("fetched from {mirror}, verified"),
        None => "already there, verified".to_owned(),
    };
    format!("{}: {bytes} bytes, {happened}", path.display())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_full_set_is_fetched_once() {
        let Some(full) = std::env::var_os("MNIST_DIR") else {
            eprintln!("skipped: MNIST_DIR does not name a folder with the full set");
            return;
        };
        let target = tempfile::tempdir().unwrap();
        let mirror: Mirror = full.to_str().unwrap().parse().unwrap();
        let fetch = |mirrors| FetchData { mirrors, data_dir: target.path().to_owned() }.run();
        fetch(vec![mirror]).unwrap();
        assert_eq!(fs::read_dir(target.path()).unwrap().count(), 4);
        // With a mirror that has nothing, only what is there can help.
        let empty: Mirror = target.path().join("empty").to_str().unwrap().parse().unwrap();
        fetch(vec![empty.clone()]).unwrap();

        fs::remove_file(target.path().join("t10k-labels-idx1-ubyte.gz")).unwrap();
        let error = format!("{:#}", fetch(vec![empty]).unwrap_err());
        let expected = format!(
            "cannot fetch MNIST into {0} (--mirror takes another URL or a folder): \
             t10k-labels-idx1-ubyte.gz: no mirror had it: {0}/empty/t10k-labels-idx1-ubyte.gz: ",
            target.path().display()
        );
        assert!(error.starts_with(&expected), "{error}");
    }

    #[test]
    fn a_line_says_what_happened() {
        let fetched = Outcome { path: "d/f.gz".into(), bytes: 12, mirror: "/m".parse().ok() };
        assert_eq!(line(&fetched), "d/f.gz: 12 bytes, fetched from /m, verified");
        assert_eq!(line(&Outcome { mirror: None, ..fetched }), "d/f.gz: 12 bytes, already there, verified");
    }
}
