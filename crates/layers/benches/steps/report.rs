//! The results: a line each as they come, and a file of all of them.

use crate::machine::{self, Machine};
use crate::measure::{Latency, Speed};
use crate::workloads::Workload;
use layers::{Kernels, Network};
use serde::Serialize;
use std::path::Path;

/// What is in the file.
#[derive(Serialize)]
pub struct Report {
    machine: Machine,
    commit: Option<String>,
    command: String,
    date: Option<String>,
    results: Vec<Row>,
}

/// A workload on a number of threads.
#[derive(Serialize)]
pub struct Row {
    name: String,
    threads: usize,
    us_per_sample: f64,
    /// The fastest round's.
    fastest_us_per_sample: f64,
    /// Dense-equivalent: as if nothing were skipped.
    gflops: f64,
    /// Of one core: the higher of before and after.
    fma_peak_gflops: f64,
    /// Of the threads' peaks together.
    share_of_peak: f64,
    allocations_per_step: f64,
    #[serde(flatten)]
    latency: Option<LatencyRow>,
    /// How far the two peaks are apart, as a share of the higher.
    #[serde(skip)]
    unrest: f64,
}

#[derive(Serialize)]
struct LatencyRow {
    median_us: f64,
    p99_us: f64,
}

impl Row {
    pub fn new(
        workload: &Workload,
        network: &Network,
        threads: usize,
        peaks: [f64; 2],
        speed: Speed,
        latency: Option<Latency>,
    ) -> Self {
        let samples = workload.batch() as f64;
        let gflops = 1e-9 * workload.operations(network) * samples / speed.median;
        let [low, high] = [peaks[0].min(peaks[1]), peaks[0].max(peaks[1])];
        Self {
            name: workload.name.clone(),
            threads,
            us_per_sample: 1e6 * speed.median / samples,
            fastest_us_per_sample: 1e6 * speed.fastest / samples,
            gflops,
            fma_peak_gflops: high,
            share_of_peak: gflops / (threads as f64 * high),
            allocations_per_step: speed.allocations,
            latency: latency
                .map(|latency| LatencyRow { median_us: 1e6 * latency.median, p99_us: 1e6 * latency.p99 }),
            unrest: 1.0 - low / high,
        }
    }

    /// What else there is to say.
    fn notes(&self) -> String {
        let mut notes = Vec::new();
        if let Some(LatencyRow { median_us, p99_us }) = self.latency {
            notes.push(format!("median {median_us:.2} µs, 99 % within {p99_us:.2}"));
        }
        if self.fastest_us_per_sample < 0.95 * self.us_per_sample {
            notes.push(format!("fastest round {:.2} µs", self.fastest_us_per_sample));
        }
        if self.unrest > 0.05 {
            notes.push(format!("peaks {:.0} % apart", 100.0 * self.unrest));
        }
        notes.join("; ")
    }
}

impl Report {
    pub fn new(kernels: Kernels) -> Self {
        let options: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
        let command = format!("cargo bench -p layers --bench steps -- {}", options.join(" "));
        Self {
            machine: Machine::new(kernels.name()),
            commit: machine::commit(),
            command: command.trim_end_matches([' ', '-']).to_owned(),
            date: machine::date(),
            results: Vec::new(),
        }
    }

    /// The table's head.
    pub fn heading(&self) {
        println!(
            "{:<24} {:>7} {:>10} {:>9} {:>9} {:>7} {:>12}",
            "workload", "threads", "µs/sample", "GFLOP/s", "FMA peak", "share", "allocations",
        );
    }

    /// Shows a row and keeps it.
    pub fn add(&mut self, row: Row) {
        let line = format!(
            "{:<24} {:>7} {:>10.2} {:>9.2} {:>9.1} {:>5.1} % {:>12} {}",
            row.name,
            row.threads,
            row.us_per_sample,
            row.gflops,
            row.fma_peak_gflops,
            100.0 * row.share_of_peak,
            row.allocations_per_step,
            row.notes(),
        );
        println!("{}", line.trim_end());
        self.results.push(row);
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()).into())
    }
}
