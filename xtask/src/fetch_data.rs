//! `cargo xtask fetch-data`: the sets of the MNIST family into the data folder, verified.

use std::env;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::workspace;
use anyhow::{Result, bail, ensure};
use clap::error::ErrorKind;
use indicatif::{BinaryBytes, ProgressBar, ProgressState, ProgressStyle};
use mnist_io::catalog::{Entry, Set, Source};
use mnist_io::download::{self, Attempt, Mirror, Options, Outcome, Progress};

/// The variable with a mirror.
const MIRROR: &str = "MNIST_MIRROR";

/// Fetch data sets and verify them; files that are there and valid are left alone
///
/// What was begun and not finished is resumed. The proxies in HTTP_PROXY, HTTPS_PROXY and NO_PROXY are used.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask fetch-data
  cargo xtask fetch-data fashion-mnist emnist-letters
  cargo xtask fetch-data all --mirror 'https://example.org/{set}/'
  cargo xtask fetch-data mnist --mirror ~/Downloads/archive.zip
  cargo xtask fetch-data all --verify")]
pub struct FetchData {
    /// Which sets: names that --list shows, or all; those that come in the same files, as EMNIST's do, are fetched
    /// together
    #[arg(value_name = "SET", value_parser = sources, default_value = "mnist")]
    sets: Vec<Sources>,

    /// Show the sets, and fetch nothing
    #[arg(long)]
    list: bool,

    /// Where to fetch from, instead of the public mirrors: an http, https or file URL, a folder or a zip archive; {set}
    /// in it stands for the name of each set; may be repeated, and is tried in order [default: the environment's
    /// MNIST_MIRROR, else the public mirrors]
    #[arg(long = "mirror", value_name = "URL", value_parser = mirror)]
    mirrors: Vec<String>,

    /// Where to put the files of a single set [default: data/SET]; a relative path starts at the workspace's root
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Ask no web server: use folders and archives alone
    #[arg(long)]
    offline: bool,

    /// Check what is there, and fetch nothing
    #[arg(long)]
    verify: bool,
}

/// The files that a name on the command line stands for.
#[derive(Clone, Debug)]
struct Sources(Vec<&'static Source>);

fn sources(name: &str) -> Result<Sources, String> {
    let all = || Set::ALL.map(|set| set.entry().source);
    if name == "all" {
        return Ok(Sources(all().to_vec()));
    }
    // EMNIST as a whole is no set, but its files are.
    if let Some(source) = all().into_iter().find(|source| source.folder == name) {
        return Ok(Sources(vec![source]));
    }
    let set: Set = name.parse().map_err(|error| format!("{error}; `all` stands for all of them"))?;
    Ok(Sources(vec![set.entry().source]))
}

fn mirror(text: &str) -> Result<String, mnist_io::Error> {
    for_set(text, "mnist").map(|_| text.to_owned())
}

/// The mirror in the environment; an empty one is none.
fn named_mirror() -> Result<Option<String>> {
    let named = env::var(MIRROR).ok().filter(|text| !text.is_empty());
    let checked = named.as_deref().map(mirror).transpose();
    checked.map_err(|error| usage(ErrorKind::InvalidValue, &format!("{MIRROR}: {error}")))
}

/// An error that ends in the exit code for wrong usage.
fn usage(kind: ErrorKind, message: &str) -> anyhow::Error {
    clap::Error::raw(kind, format!("{message}\n")).into()
}

fn for_set(mirror: &str, set: &str) -> Result<Mirror, mnist_io::Error> {
    mirror.replace("{set}", set).parse()
}

impl FetchData {
    /// Fetches what is missing and prints a line a file.
    ///
    /// # Errors
    /// No mirror had a valid file, or the folder cannot be written to.
    pub fn run(mut self) -> Result<()> {
        if self.list {
            say(&list());
            return Ok(());
        }
        let mut sources: Vec<&Source> = Vec::new();
        for source in self.sets.iter().flat_map(|sources| &sources.0) {
            if !sources.iter().any(|earlier| earlier.folder == source.folder) {
                sources.push(source);
            }
        }
        if self.data_dir.is_some() && sources.len() > 1 {
            return Err(usage(ErrorKind::ArgumentConflict, "--data-dir is for a single set"));
        }
        if self.mirrors.is_empty() {
            self.mirrors.extend(named_mirror()?);
        }
        each(&sources, |source| {
            let folder = self.data_dir.clone().unwrap_or_else(|| Path::new("data").join(source.folder));
            let folder = workspace::root().join(folder);
            if self.verify { verify(source, &folder) } else { self.fetch(source, &folder) }
        })
    }

    fn fetch(&self, source: &Source, folder: &Path) -> Result<()> {
        let mirrors = match &self.mirrors[..] {
            [] => Mirror::of(source),
            mirrors => {
                mirrors.iter().map(|mirror| for_set(mirror, source.folder)).collect::<Result<_, _>>()?
            }
        };
        let options = Options { offline: self.offline, ..Options::default() };
        let mut display = Display::new();
        let fetched = download::fetch(folder, source.files, &mirrors, &options, &mut |progress| {
            display.show(&progress);
        });
        display.bar.finish_and_clear();
        let shown = folder.display();
        match fetched {
            Ok(outcomes) if outcomes.iter().all(|outcome| outcome.mirror.is_none()) => {
                say(&format!("{shown}: complete and verified already; nothing to do"));
            }
            Ok(_) => say(&format!("{shown}: complete and verified")),
            Err(mnist_io::Error::AllMirrors { file, attempts }) => bail!(
                "cannot fetch {} into {shown}\n{file}: no mirror had it\n{}\
                 hint: --mirror takes another URL, a folder or a zip archive",
                source.folder,
                table(&attempts)
            ),
            Err(error) => bail!("cannot fetch {} into {shown}: {error}", source.folder),
        }
        Ok(())
    }
}

/// One server that is down does not keep the others' sets away: all are tried, and then it fails.
fn each(sources: &[&Source], act: impl Fn(&Source) -> Result<()>) -> Result<()> {
    let mut failures = Vec::new();
    for source in sources {
        match act(source) {
            Err(error) if sources.len() > 1 => {
                warn(&format!("error: {error}"));
                failures.push(source.folder);
            }
            done => done?,
        }
    }
    ensure!(failures.is_empty(), "{} of {} failed: {}", failures.len(), sources.len(), failures.join(", "));
    Ok(())
}

fn verify(source: &Source, folder: &Path) -> Result<()> {
    let hint = format!("`cargo xtask fetch-data {}` fetches them", source.folder);
    ensure!(folder.is_dir(), "{}: no such folder; {hint}", folder.display());
    let mut failures = 0;
    for file in source.files {
        match download::verify(folder, file) {
            Ok(outcome) => say(&line(&outcome)),
            Err(error) => {
                failures += 1;
                warn(&error.to_string());
            }
        }
    }
    let (shown, files) = (folder.display(), source.files.len());
    ensure!(failures == 0, "{shown}: {failures} of {files} files missing or invalid; {hint}");
    Ok(())
}

/// The catalog, a line a set.
fn list() -> String {
    let mut lines = vec![format!("{:16} {:>8} {:>8} {:>8}  LICENCE", "SET", "TRAINING", "TEST", "CLASSES")];
    for set in Set::ALL {
        let Entry { name, train, test, class_names, source, .. } = set.entry();
        let (classes, licence) = (class_names.len(), source.licence);
        lines.push(format!("{name:16} {train:8} {test:8} {classes:8}  {licence}"));
    }
    lines.join("\n")
}

/// What each mirror answered, a line each.
fn table(attempts: &[Attempt]) -> String {
    let width = attempts.iter().map(|attempt| attempt.address.chars().count()).max().unwrap_or(0);
    attempts.iter().map(|attempt| format!("  {:width$}  {}\n", attempt.address, attempt.answer())).collect()
}

/// A line a file on stdout, what went wrong before it on stderr, and, where that is a terminal, how far a file is.
struct Display {
    bar: ProgressBar,
    /// What the mirrors answered that did not have the file: where none has it, the final error tells.
    failures: Vec<String>,
}

impl Display {
    fn new() -> Self {
        Self { bar: ProgressBar::new(0), failures: Vec::new() }
    }

    fn show(&mut self, progress: &Progress) {
        match progress {
            Progress::Received { file, bytes, total } => self.count(file, *bytes, *total),
            Progress::Invalid(error) => self.warn(&format!("{error}; it will be replaced")),
            Progress::Waiting { file } => self.warn(&format!("{file}: another process fetches it; waiting")),
            Progress::Retry { error, wait } => {
                self.warn(&format!("{error}; asking again in {:.1} s", wait.as_secs_f64()));
            }
            Progress::Failed(error) => self.failures.push(error.to_string()),
            Progress::Done(outcome) => {
                for failure in std::mem::take(&mut self.failures) {
                    self.warn(&failure);
                }
                self.bar.suspend(|| say(&line(outcome)));
            }
            _ => {}
        }
    }

    fn count(&mut self, file: &str, bytes: u64, total: Option<u64>) {
        if self.bar.message() != file || bytes < self.bar.position() {
            self.bar.finish_and_clear();
            self.bar = ProgressBar::new(total.unwrap_or(0))
                .with_position(bytes)
                .with_message(file.to_owned())
                .with_style(style(bytes, total.is_some()));
        }
        self.bar.set_position(bytes);
    }

    fn warn(&self, text: &str) {
        self.bar.suspend(|| warn(text));
    }
}

/// What is shown of a file that goes on after its first bytes: how much, how fast, how long still.
fn style(first: u64, has_total: bool) -> ProgressStyle {
    // What came in an earlier fetch says nothing of the rate of this one.
    let rate =
        move |state: &ProgressState| state.pos().saturating_sub(first) as f64 / state.elapsed().as_secs_f64();
    let template = if has_total {
        "{msg}: {bytes} of {total_bytes}, {rate}/s, {left} left"
    } else {
        "{msg}: {bytes}, {rate}/s"
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", move |state: &ProgressState, text: &mut dyn fmt::Write| {
            let _ = write!(text, "{}", BinaryBytes(rate(state) as u64));
        })
        .with_key("left", move |state: &ProgressState, text: &mut dyn fmt::Write| {
            let (bytes, rate) = (state.len().unwrap_or(0).saturating_sub(state.pos()), rate(state));
            let _ = if rate < 1.0 { write!(text, "?") } else { write!(text, "{:.0} s", bytes as f64 / rate) };
        })
}

/// What cannot be printed is not worth failing for.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
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
    use super::*;

    #[test]
    fn a_line_says_what_happened() {
        let fetched = Outcome { path: "d/f.gz".into(), bytes: 12, mirror: "/m".parse().ok() };
        assert_eq!(line(&fetched), "d/f.gz: 12 bytes, fetched from /m, verified");
        assert_eq!(line(&Outcome { mirror: None, ..fetched }), "d/f.gz: 12 bytes, already there, verified");
    }

    #[test]
    fn names_stand_for_files() {
        let check = |name, expected: &[&str]| {
            let folders: Vec<_> = sources(name).unwrap().0.iter().map(|source| source.folder).collect();
            assert_eq!(folders, expected, "{name}");
        };
        check("mnist", &["mnist"]);
        check("qmnist-extra", &["qmnist"]);
        check("emnist-letters", &["emnist"]);
        check("emnist", &["emnist"]);
        assert_eq!(sources("all").unwrap().0.len(), Set::ALL.len());
        let error = sources("cifar").unwrap_err();
        assert!(error.starts_with("expected mnist, fashion-mnist, ") && error.contains("`all`"), "{error}");
    }

    #[test]
    fn what_fails_does_not_keep_the_rest_away() {
        let sources: Vec<_> = [Set::Mnist, Set::Kmnist, Set::Qmnist].map(|set| set.entry().source).into();
        let tried = std::cell::RefCell::new(Vec::new());
        let act = |source: &Source| {
            tried.borrow_mut().push(source.folder);
            ensure!(source.folder == "qmnist", "no server");
            Ok(())
        };
        assert_eq!(each(&sources, act).unwrap_err().to_string(), "2 of 3 failed: mnist, kmnist");
        assert_eq!(*tried.borrow(), ["mnist", "kmnist", "qmnist"]);
        assert_eq!(each(&sources[..1], act).unwrap_err().to_string(), "no server");
        assert!(each(&sources[2..], act).is_ok());
    }

    #[test]
    fn a_mirror_may_have_a_place_for_the_set() {
        let mirror = for_set("https://example.org/{set}/idx", "kmnist").unwrap();
        assert_eq!(mirror.to_string(), "https://example.org/kmnist/idx/");
        assert!(super::mirror("ftp://example.org/{set}").is_err());
    }

    #[test]
    fn the_list_has_a_line_a_set() {
        let list = list();
        let lines: Vec<_> = list.lines().collect();
        assert_eq!(lines.len(), 1 + Set::ALL.len());
        assert_eq!(lines[2], "fashion-mnist       60000    10000       10  MIT, © 2017 Zalando SE");
    }
}
