//! `bench --peers`: the workloads in other frameworks and in plain C, each in its strongest form, in turn with ours.

mod programs;
mod report;

use crate::workspace::{command, root};
use anyhow::{Context, Result, ensure};
use programs::{Figure, Program};
use report::{Report, Row};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::{fs, io};

/// What glibc is told so that it keeps its memory: page faults cost those up to half that allocate in each step.
const KEEP_MEMORY: [(&str, &str); 3] = [
    ("MALLOC_MMAP_THRESHOLD_", "4000000000"),
    ("MALLOC_TRIM_THRESHOLD_", "8000000000"),
    ("MALLOC_TOP_PAD_", "1000000000"),
];

/// How the workloads are run in the peers.
#[derive(clap::Args)]
pub struct Peers {
    /// Run the whole steps in PyTorch, Keras, JAX, candle, burn and plain C as well, in turn with ours
    #[arg(long)]
    pub peers: bool,
    /// Only this peer
    #[arg(long, value_name = "NAME", requires = "peers")]
    peer: Option<String>,
    /// How often ours and a peer take turns
    #[arg(long, default_value_t = 5, requires = "peers")]
    rounds: usize,
    /// Do not run ours: the peers alone
    #[arg(long, requires = "peers")]
    alone: bool,
    /// Write table and results into a folder of today under docs/benchmarks/
    #[arg(long, requires = "peers")]
    record: bool,
}

/// What is asked for of peers and ours alike.
pub struct Asked<'a> {
    /// Only workloads with this in their names.
    pub only: &'a str,
    /// The numbers of threads, one measurement each; 1 and all if there are none.
    pub threads: &'a [usize],
    /// How long a turn measures.
    pub seconds: f64,
    /// Where the results are written.
    pub json: Option<&'a Path>,
}

/// A workload on a number of threads.
#[derive(Clone, Copy)]
struct Task<'a> {
    name: &'a str,
    threads: usize,
    seconds: f64,
}

impl Peers {
    /// Makes the peers, measures, prints a line for each comparison as it is done, and a table of all at the end.
    pub fn run(&self, asked: Asked) -> Result<()> {
        ensure!(self.rounds > 0, "--rounds: expected 1 or more, found 0");
        let workloads = workloads()?;
        if !self.alone {
            same_networks(&workloads)?;
        }
        let programs = programs::make(self.peer.as_deref())?;
        let mut threads = asked.threads.to_vec();
        if threads.is_empty() {
            threads = vec![1, available_parallelism()?.get()];
            threads.dedup();
        }
        let mut report = Report::new();
        for name in workloads["workloads"].as_object().into_iter().flat_map(|table| table.keys()) {
            for &threads in threads.iter().filter(|_| name.contains(asked.only)) {
                let task = Task { name, threads, seconds: asked.seconds };
                for program in programs.iter().filter(|program| program.knows(name)) {
                    match self.compare(program, task) {
                        Ok(row) => report.add(row),
                        Err(error) => println!("{name}, {threads} threads, {}: {error:#}", program.peer),
                    }
                }
            }
        }
        report.print();
        if let Some(path) = asked.json {
            report.write(path)?;
        }
        if self.record { report.record() } else { Ok(()) }
    }

    /// Finds the strongest form of a peer, and takes turns with it.
    fn compare(&self, program: &Program, task: Task) -> Result<Row> {
        // Which form is strongest shows in a short run already.
        let trial = Task { seconds: task.seconds / 4.0, ..task };
        let best = |memory: &[_]| {
            let figures = program.run(trial, None, memory)?;
            figures
                .into_iter()
                .min_by(|a, b| a.us_per_sample.total_cmp(&b.us_per_sample))
                .context("no form ran")
        };
        let installed = best(&[])?;
        let kept = best(&KEEP_MEMORY)?;

        let (mut ours, mut as_installed, mut memory_kept) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            if !self.alone {
                ours.push(own(task)?);
            }
            as_installed.push(turn(program, task, &installed, &[])?);
            memory_kept.push(turn(program, task, &kept, &KEEP_MEMORY)?);
        }
        let (as_installed, memory_kept) = (median(&mut as_installed), median(&mut memory_kept));
        let form = if memory_kept < as_installed { kept.form } else { installed.form };
        Ok(Row {
            name: task.name.to_owned(),
            threads: task.threads,
            peer: program.peer.to_owned(),
            form,
            as_installed_us_per_sample: as_installed,
            memory_kept_us_per_sample: memory_kept,
            us_per_sample: as_installed.min(memory_kept),
            ours_us_per_sample: (!self.alone).then(|| median(&mut ours)),
            versions: installed.versions,
        })
    }
}

/// One turn of a peer in the form of `figure`.
fn turn(program: &Program, task: Task, figure: &Figure, memory: &[(&str, &str)]) -> Result<f64> {
    let figures = program.run(task, Some(&figure.form), memory)?;
    Ok(figures.first().context("it ran before, and does not now")?.us_per_sample)
}

/// Ours: microseconds a sample.
fn own(task: Task) -> Result<f64> {
    let path = programs::folder()?.join("ours.json");
    let mut bench = command("cargo bench --quiet -p layers --bench steps --");
    bench.args(["--only", task.name, "--threads", &task.threads.to_string()]);
    bench.args(["--seconds", &task.seconds.to_string(), "--json"]).arg(&path);
    let output = bench.output().context("cannot start cargo")?;
    ensure!(output.status.success(), "ours: {}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
    let is_this = |row: &&Value| row["name"] == task.name && row["threads"] == task.threads;
    let row =
        report["results"].as_array().and_then(|rows| rows.iter().find(is_this)).context("ours: no result")?;
    // A single image's inference is a latency, as it is in the peers.
    let figure = row["median_us"].as_f64().or_else(|| row["us_per_sample"].as_f64());
    figure.context("ours: no figure")
}

/// What the peers are told to run.
fn workloads() -> Result<Value> {
    let path = root().join("benches/peers/workloads.json");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
}

/// Checks that the peers build the networks that ours does.
fn same_networks(workloads: &Value) -> Result<()> {
    let list = command("cargo bench --quiet -p layers --bench steps -- --list").output()?;
    ensure!(list.status.success(), "ours: {}", String::from_utf8_lossy(&list.stderr));
    let list = String::from_utf8(list.stdout).map_err(io::Error::other)?;
    for (name, network) in list.lines().filter_map(|line| line.split_once(' ')) {
        let theirs = workloads["workloads"][name]["network"].as_str().unwrap_or_default();
        let (ours, theirs) = (network.trim(), &workloads["networks"][theirs]);
        ensure!(
            theirs == ours,
            "{name}: benches/peers/workloads.json has the network {theirs}, ours is {ours:?}"
        );
    }
    Ok(())
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// A path below the root, as the commands name it.
fn below(path: &str) -> PathBuf {
    root().join(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_has_a_network() {
        let workloads = workloads().expect("the file is there");
        for (name, workload) in workloads["workloads"].as_object().expect("a table") {
            let network = workload["network"].as_str().expect(name);
            assert!(workloads["networks"][network].is_string(), "{name}: no network {network}");
            assert_eq!(workload["optimizer"].is_string(), name.ends_with("-step"), "{name}");
        }
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [1.0]), 1.0);
    }
}
