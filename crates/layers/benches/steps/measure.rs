//! Clocks and counters.

use crate::workloads::Step;
use layers::{Kernels, Result, tensor_ops::peak};
use std::time::Instant;

/// Rounds that a measurement's time is divided into.
const ROUNDS: f64 = 20.0;

/// Steps whose allocations are counted.
const COUNTED: usize = 5;

/// How long a step takes, in seconds, and what it allocates.
pub struct Speed {
    /// In the median of the rounds.
    pub median: f64,
    /// In the fastest of them.
    pub fastest: f64,
    pub allocations: f64,
}

/// How long single steps take, in seconds.
pub struct Latency {
    pub median: f64,
    /// Which one in a hundred exceeds.
    pub p99: f64,
}

/// GFLOP/s of one core in multiply-adds that wait for nothing: the best of a few short runs.
pub fn peak(kernels: Kernels) -> f64 {
    let run = || {
        let start = Instant::now();
        2e-9 * peak::multiply_adds(kernels, 300_000) as f64 / start.elapsed().as_secs_f64()
    };
    (0..20).map(|_| run()).fold(0.0, f64::max)
}

/// The speed of a step. Rounds are equal; if a step depends on those before it, each starts afresh.
pub fn speed<'a>(seconds: f64, afresh: bool, start: impl Fn() -> Result<Step<'a>>) -> Result<Speed> {
    let mut step = start()?;
    // The first step meets new memory and cold caches; then enough of them to be timed.
    step();
    let mut steps = 1;
    let one = loop {
        let time = time(&mut step, steps);
        if time > seconds / ROUNDS / 4.0 {
            break time / steps as f64;
        }
        steps *= 2;
    };
    steps = (seconds / ROUNDS / one).ceil() as usize;
    let rounds = (seconds / (one * steps as f64)).clamp(5.0, ROUNDS) as usize;
    let mut times = Vec::new();
    for _ in 0..rounds {
        if afresh {
            step = start()?;
        }
        (0..=steps / 20).for_each(|_| step());
        times.push(time(&mut step, steps) / steps as f64);
    }
    times.sort_by(f64::total_cmp);
    Ok(Speed { median: times[rounds / 2], fastest: times[0], allocations: allocations(&mut step) })
}

/// The latency of a step.
pub fn latency(seconds: f64, step: &mut Step) -> Latency {
    step();
    let steps = (seconds / time(step, 100) * 100.0).clamp(100.0, 1e6) as usize;
    let mut times: Vec<_> = (0..steps).map(|_| time(step, 1)).collect();
    times.sort_by(f64::total_cmp);
    Latency { median: times[steps / 2], p99: times[steps * 99 / 100] }
}

/// Seconds that so many steps take.
fn time(step: &mut Step, steps: usize) -> f64 {
    let start = Instant::now();
    (0..steps).for_each(|_| step());
    start.elapsed().as_secs_f64()
}

/// Allocations a step.
fn allocations(step: &mut Step) -> f64 {
    let _profiler = dhat::Profiler::builder().testing().build();
    (0..COUNTED).for_each(|_| step());
    dhat::HeapStats::get().total_blocks as f64 / COUNTED as f64
}
