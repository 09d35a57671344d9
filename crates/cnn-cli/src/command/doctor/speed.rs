//! How fast multiply-adds and memory are at the most.

use layers::Kernels;
use layers::tensor_ops::peak;
use rayon::prelude::*;
use serde::Serialize;
use std::hint::black_box;
use std::time::Instant;

/// The best of so many is what the machine can do; the others were disturbed.
const TRIES: usize = 5;

/// Multiply-adds of each lane of each accumulator: some milliseconds.
const ROUNDS: usize = 1_000_000;

/// Numbers of each of two arrays: more than usual caches hold.
const NUMBERS: usize = 16 << 20;

/// Of one thread, and of all at once.
#[derive(Clone, Copy, Serialize)]
pub struct Speed {
    pub one_thread: f64,
    pub all_threads: f64,
}

impl Speed {
    /// How many times as fast all are as one.
    pub fn multiple(self) -> f64 {
        self.all_threads / self.one_thread
    }
}

/// Billions of floating-point operations a second; a multiply-add is two.
pub fn peak(kernels: Kernels) -> Speed {
    let one = || peak::multiply_adds(kernels, ROUNDS);
    let giga = |count: usize| 2.0 * count as f64 / 1e9;
    Speed {
        one_thread: best(|| giga(one())),
        all_threads: best(|| giga(rayon::broadcast(|_| one()).into_iter().sum())),
    }
}

/// Billions of bytes a second that a copy reads and writes.
pub fn bandwidth() -> Speed {
    let part = NUMBERS.div_ceil(rayon::current_num_threads());
    let (mut from, mut to) = (vec![0u32; NUMBERS], vec![0u32; NUMBERS]);
    // Memory that was never written to is not there yet.
    for values in [&mut from, &mut to] {
        values.par_chunks_mut(part).for_each(|values| values.fill(1));
    }
    let gigabytes = 2.0 * size_of_val(&*from) as f64 / 1e9;
    let one_thread = best(|| {
        to.copy_from_slice(black_box(&from));
        black_box(&to);
        gigabytes
    });
    let all_threads = best(|| {
        let parts = to.par_chunks_mut(part).zip(black_box(&from).par_chunks(part));
        parts.for_each(|(to, from)| to.copy_from_slice(from));
        black_box(&to);
        gigabytes
    });
    Speed { one_thread, all_threads }
}

/// The most done in a second.
fn best(mut work: impl FnMut() -> f64) -> f64 {
    let speed = |_| {
        let start = Instant::now();
        let done = work();
        done / start.elapsed().as_secs_f64()
    };
    (0..TRIES).map(speed).fold(0.0, f64::max)
}
