//! The speed of whole steps: training and inference with the networks of [`workloads`], for
//! `cargo bench -p layers --bench steps -- --help`; `cargo xtask bench` is the short way to it.
//!
//! Each workload is first compared with the plain loops. The peak of one core is measured in the same process
//! before and after it; a share of the peak is of that, times the threads. `cargo test --benches`, which does
//! not pass `--bench`, only compares.
#![allow(clippy::print_stdout, reason = "the table is the result")]

mod machine;
mod measure;
mod report;
mod workloads;

use clap::Parser;
use layers::{Kernels, Network};
use measure::{Latency, Speed};
use report::{Report, Row};
use std::error::Error;
use std::hint::black_box;
use std::io::{Read, stdin};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::{available_parallelism, spawn};
use workloads::{Digits, Workload, workloads};

/// Counts what a step allocates while one of its profilers is there.
#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Time whole steps, as a share of the FMA peak.
#[derive(Parser)]
struct Options {
    /// Write the results to a file as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How many threads, one measurement each [default: 1 and all]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    threads: Vec<usize>,
    /// How long to measure each
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Only workloads with this in their names
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Name the workloads and end
    #[arg(long)]
    list: bool,
    /// Also train while another process keeps one core busy
    #[arg(long)]
    busy: bool,
    /// Make so many steps of each workload on this thread and end: for a profiler
    #[arg(long, value_name = "STEPS")]
    repeat: Option<usize>,
    /// Be that other process, until the standard input ends
    #[arg(long, hide = true)]
    spin: bool,
    /// What cargo passes to say that this is no test
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let kernels = Kernels::from_env()?;
    if options.spin {
        spin(kernels);
    }
    let mut workloads = workloads(options.busy);
    workloads.retain(|workload| workload.name.contains(&options.only));
    if options.list {
        workloads.iter().for_each(|workload| println!("{:<22}  {}", workload.name, workload.network));
        return Ok(());
    }

    let digits = Digits::bundled()?;
    if let Some(steps) = options.repeat {
        for workload in &workloads {
            let network = workload.plan(kernels)?;
            let mut step = workload.start(&network, &digits)?;
            step();
            counted(&mut || (0..steps).for_each(|_| step()));
            println!("{} x{steps}", workload.name);
        }
        return Ok(());
    }

    let mut report = Report::new(kernels);
    if options.bench {
        report.heading();
    }
    for workload in &workloads {
        let network = workload.plan(kernels)?;
        workload.verify(&network, &digits)?;
        if !options.bench {
            workload.start(&network, &digits)?();
            println!("{}: as with plain loops", workload.name);
            continue;
        }
        for &threads in &threads(&options) {
            report.add(row(workload, &network, &digits, threads, options.seconds)?);
        }
    }
    options.json.map_or(Ok(()), |path| report.write(&path))
}

/// A function of its own, so that a profiler can tell it by its name.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
    // A jump in place of the call would leave this function first.
    black_box(());
}

/// The numbers of threads to measure with.
fn threads(options: &Options) -> Vec<usize> {
    let mut threads = options.threads.clone();
    if threads.is_empty() {
        threads = vec![1, available_parallelism().map_or(1, usize::from)];
        threads.dedup();
    }
    threads
}

/// Measures a workload, between two measurements of the peak.
fn row(
    workload: &Workload,
    network: &Network,
    digits: &Digits,
    threads: usize,
    seconds: f64,
) -> Result<Row, Box<dyn Error>> {
    let kernels = network.kernels();
    let before = measure::peak(kernels);
    let busy = workload.busy.then(Busy::start).transpose()?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let (speed, latency) = pool.install(|| -> layers::Result<(Speed, Option<Latency>)> {
        let speed = measure::speed(seconds, workload.keeps_state(), || workload.start(network, digits))?;
        let latency = match workload.batch() {
            1 if !workload.keeps_state() => {
                Some(measure::latency(seconds / 2.0, &mut workload.start(network, digits)?))
            }
            _ => None,
        };
        Ok((speed, latency))
    })?;
    drop(busy);
    let peaks = [before, measure::peak(kernels)];
    Ok(Row::new(workload, network, threads, peaks, speed, latency))
}

/// Another process that keeps one core busy.
struct Busy(Child);

impl Busy {
    fn start() -> std::io::Result<Self> {
        let this = std::env::current_exe()?;
        Ok(Self(Command::new(this).arg("--spin").stdin(Stdio::piped()).spawn()?))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        // This closes its standard input, at which it ends.
        let _ = self.0.wait();
    }
}

/// Computes until the standard input ends, as it does when the process at its other end is gone.
fn spin(kernels: Kernels) -> ! {
    spawn(|| {
        let _ = stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    loop {
        measure::peak(kernels);
    }
}
