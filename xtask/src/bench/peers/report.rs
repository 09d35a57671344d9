//! The comparisons: a line each as they come, a table, a file, and a dated record of both.

use super::below;
use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;
use std::{env, fs};

/// Everything that was measured, and where.
#[derive(Serialize)]
pub struct Report {
    cpu: String,
    cores: usize,
    system: String,
    rustc: String,
    commit: String,
    date: String,
    command: String,
    versions: Map<String, Value>,
    results: Vec<Row>,
}

/// A peer on a workload, in its strongest form.
#[derive(Serialize)]
pub struct Row {
    pub name: String,
    pub threads: usize,
    pub peer: String,
    pub form: String,
    pub as_installed_us_per_sample: f64,
    /// With glibc told to keep its memory.
    pub memory_kept_us_per_sample: f64,
    /// The better of the two.
    pub us_per_sample: f64,
    pub ours_us_per_sample: Option<f64>,
    #[serde(skip)]
    pub versions: Value,
}

impl Report {
    pub fn new() -> Self {
        let words: Vec<_> = env::args().skip(1).collect();
        Self {
            cpu: cpu().unwrap_or_else(|| env::consts::ARCH.to_owned()),
            cores: available_parallelism().map_or(1, usize::from),
            system: said("uname -sr"),
            rustc: said("rustc --version"),
            commit: said("git describe --always --dirty --exclude=*"),
            date: said("date -u +%Y-%m-%d"),
            command: format!("cargo xtask {}", words.join(" ")),
            versions: Map::new(),
            results: Vec::new(),
        }
    }

    /// Shows a row and keeps it.
    pub fn add(&mut self, row: Row) {
        println!("{}", row.cells().join("  "));
        self.versions.extend(row.versions.as_object().cloned().into_iter().flatten());
        self.results.push(row);
    }

    pub fn print(&self) {
        println!("\n{}", self.table());
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Writes `docs/benchmarks/<date>-<cpu>/`.
    pub fn record(&self) -> Result<()> {
        let folder = below("docs/benchmarks").join(format!("{}-{}", self.date, slug(&self.cpu)));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        self.write(&folder.join("results.json"))?;
        let path = folder.join("README.md");
        fs::write(&path, self.page()).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", folder.display());
        Ok(())
    }

    /// The table as Markdown.
    fn table(&self) -> String {
        let head = [
            "workload",
            "threads",
            "peer",
            "its strongest form",
            "as installed",
            "memory kept",
            "ours",
            "ratio",
        ];
        let mut table = format!("| {} |\n|---|--:|---|---|--:|--:|--:|--:|\n", head.join(" | "));
        for row in &self.results {
            let _ = writeln!(table, "| {} |", row.cells().join(" | "));
        }
        table
    }

    fn page(&self) -> String {
        let Self { cpu, cores, system, rustc, commit, date, command, .. } = self;
        let version =
            |(name, version): (&String, &Value)| format!("{name} {}", version.as_str().unwrap_or_default());
        let versions: Vec<_> = self.versions.iter().map(version).collect();
        format!(
            "# Against other frameworks, {date}\n\n\
             {cpu}, {cores} cores; {system}; {rustc}; {}.\n\n\
             Commit `{commit}`; to repeat it: `{command}`.\n\n\
             Microseconds a sample, medians of turns that ours and the peer took one after the other. The ratio is to \
             the better of a peer as it is installed and with glibc told to keep its memory. A single image's \
             inference is the median latency of a call.\n\n{}",
            versions.join(", "),
            self.table(),
        )
    }
}

impl Row {
    fn cells(&self) -> [String; 8] {
        let figure = |us: f64| format!("{us:.2}");
        let ours = self.ours_us_per_sample;
        [
            self.name.clone(),
            self.threads.to_string(),
            self.peer.clone(),
            self.form.clone(),
            figure(self.as_installed_us_per_sample),
            figure(self.memory_kept_us_per_sample),
            ours.map(figure).unwrap_or_default(),
            ours.map(|ours| format!("{:.1}", self.us_per_sample / ours)).unwrap_or_default(),
        ]
    }
}

/// The processor's model, where the system is Linux.
fn cpu() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let (_, model) = text.lines().find(|line| line.starts_with("model name"))?.split_once(':')?;
    Some(model.trim().to_owned())
}

/// What a command says; nothing if it is not there or fails.
fn said(line: &str) -> String {
    let mut words = line.split(' ');
    let output = Command::new(words.next().unwrap_or_default()).args(words).output();
    let output = output.ok().filter(|output| output.status.success());
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// A name as part of a path: small letters and digits, and hyphens between.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).filter(|word| word != "r" && word != "tm").collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_names_a_folder() {
        assert_eq!(slug("Intel(R) Xeon(R) Platinum 8480+"), "intel-xeon-platinum-8480");
        assert_eq!(slug("AMD EPYC 7B13"), "amd-epyc-7b13");
    }

    #[test]
    fn the_ratio_is_to_the_stronger() {
        let row = Row {
            name: "lenet-step".into(),
            threads: 2,
            peer: "jax".into(),
            form: "im2col".into(),
            as_installed_us_per_sample: 40.0,
            memory_kept_us_per_sample: 30.0,
            us_per_sample: 30.0,
            ours_us_per_sample: Some(10.0),
            versions: Value::Null,
        };
        let mut report = Report::new();
        report.add(row);
        assert!(
            report.table().ends_with("| lenet-step | 2 | jax | im2col | 40.00 | 30.00 | 10.00 | 3.0 |\n")
        );
    }
}
