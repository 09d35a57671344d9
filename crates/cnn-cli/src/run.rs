//! The folder of a training run, and the files in it.

use crate::output;
use crate::progress::Epoch;
use crate::recipe::Recipe;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Where runs go that are not told where to.
const RUNS: &str = "runs";

/// A run's plots.
const PLOTS: [&str; 3] = ["loss", "accuracy", "confusion"];

pub struct Run {
    folder: PathBuf,
}

impl Run {
    /// Fails where this folder cannot be a new run's: one that holds something, unless that is a run that may be replaced.
    pub fn check(folder: &Path, force: bool) -> Result<()> {
        if !folder.exists() {
            return Ok(());
        }
        let mut entries = fs::read_dir(folder).with_context(|| cannot_make(folder))?;
        let run = Self { folder: folder.to_owned() };
        match entries.next().is_none() {
            true => Ok(()),
            false if !force => {
                bail!("{}: it holds something already; --force replaces a run", folder.display())
            }
            false if run.metrics().is_file() && Recipe::read(&run.config()).is_ok() => Ok(()),
            false => bail!("{}: expected an older run, found other files", folder.display()),
        }
    }

    /// A folder for a new run: the one that was named or `runs/NAME-N`, with the first N that is free.
    ///
    /// # Errors
    /// As [`Run::check`].
    pub fn create(folder: Option<PathBuf>, name: &str, force: bool) -> Result<Self> {
        let Some(folder) = folder else { return Self::number(name) };
        Self::check(&folder, force)?;
        fs::create_dir_all(&folder).with_context(|| cannot_make(&folder))?;
        let run = Self { folder };
        run.clear()?;
        Ok(run)
    }

    fn number(name: &str) -> Result<Self> {
        fs::create_dir_all(RUNS).with_context(|| cannot_make(Path::new(RUNS)))?;
        for number in 1.. {
            let folder = Path::new(RUNS).join(format!("{name}-{number}"));
            match fs::create_dir(&folder) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => return made.with_context(|| cannot_make(&folder)).map(|()| Self { folder }),
            }
        }
        unreachable!("some number is free")
    }

    /// A run that is there, and its recipe.
    pub fn open(folder: PathBuf) -> Result<(Self, Recipe)> {
        let run = Self { folder };
        let recipe = Recipe::read(&run.config())
            .with_context(|| format!("{} is no run that could go on", run.folder.display()))?;
        Ok((run, recipe))
    }

    /// Removes what an older run left, so that nothing of it is taken for this one's.
    fn clear(&self) -> Result<()> {
        let plots = PLOTS.map(|name| self.plot(name));
        let others = [self.config(), self.checkpoint(), self.metrics(), self.model(), self.report()];
        for file in plots.into_iter().chain(others) {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot replace {}", file.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn config(&self) -> PathBuf {
        self.folder.join("config.toml")
    }

    pub fn checkpoint(&self) -> PathBuf {
        self.folder.join("last.ckpt")
    }

    pub fn model(&self) -> PathBuf {
        self.folder.join(MODEL)
    }

    pub fn report(&self) -> PathBuf {
        self.folder.join("report.html")
    }

    fn metrics(&self) -> PathBuf {
        self.folder.join("metrics.jsonl")
    }

    pub fn write_config(&self, config: &str) -> Result<()> {
        output::write(&self.config(), config.as_bytes())
    }

    /// Writes one of the run's plots, and gives it back.
    pub fn write_plot(&self, name: &str, svg: String) -> Result<String> {
        output::write(&self.plot(name), svg.as_bytes())?;
        Ok(svg)
    }

    fn plot(&self, name: &str) -> PathBuf {
        self.folder.join(name).with_extension("svg")
    }

    /// What happened in the first `epochs` epochs.
    pub fn epochs(&self, epochs: usize) -> Result<Vec<Epoch>> {
        self.parse(&self.lines(epochs)?)
    }

    fn parse(&self, lines: &str) -> Result<Vec<Epoch>> {
        let epochs = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        epochs.with_context(|| format!("{} holds no epochs", self.metrics().display()))
    }

    fn lines(&self, epochs: usize) -> Result<String> {
        let path = self.metrics();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.split_inclusive('\n').take(epochs).collect()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// The file of what happened in each epoch, to write on behind the first `epochs`. What stands behind them is removed:
    /// it is about to happen again.
    pub fn open_metrics(&self, epochs: usize) -> Result<Metrics> {
        let path = self.metrics();
        let lines = self.lines(epochs)?;
        self.parse(&lines)?;
        output::write(&path, lines.as_bytes())?;
        let file = File::options().append(true).open(&path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Metrics { path, file })
    }
}

fn cannot_make(folder: &Path) -> String {
    format!("cannot make the folder {}", folder.display())
}

/// The model's name in a run's folder.
const MODEL: &str = "model.safetensors";

/// The file of a model that was named by itself or by its run.
pub fn model_in(path: PathBuf) -> PathBuf {
    if path.is_dir() { path.join(MODEL) } else { path }
}

/// An epoch a line.
pub struct Metrics {
    path: PathBuf,
    file: File,
}

impl Metrics {
    pub fn push(&mut self, epoch: &Epoch) -> Result<()> {
        let line = serde_json::to_string(epoch).expect("an epoch has nothing that JSON lacks") + "\n";
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}
