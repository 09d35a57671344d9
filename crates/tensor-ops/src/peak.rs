//! How fast multiply-adds can be on this processor: the measure of every kernel's speed.

use crate::Kernels;
use crate::body::peak::Peak;
use crate::dispatch::dispatch;

/// Runs independent multiply-adds in registers, `rounds` of them in each lane of each of twelve accumulators, and gives
/// back how many there were in all. Twice that, over the time it took, is the peak in FLOP/s of one core with the
/// instructions of `kernels`.
///
/// ```
/// use std::time::Instant;
/// use tensor_ops::{Kernels, peak};
///
/// let start = Instant::now();
/// let count = peak::multiply_adds(Kernels::detect(), 10_000);
/// let flops = 2.0 * count as f64 / start.elapsed().as_secs_f64();
/// assert!(flops > 0.0);
/// ```
pub fn multiply_adds(kernels: Kernels, rounds: usize) -> usize {
    let mut count = 0;
    dispatch(kernels, Peak { rounds, count: &mut count });
    count
}
