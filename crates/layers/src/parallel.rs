//! A batch in chunks of samples, worked on by rayon's threads.
//!
//! How a batch is cut depends on its size alone, never on the number of threads, so a sum over chunks in their
//! order has the same bits on any machine. One chunk runs without rayon: the tutorial's batch of one sample is
//! such a chunk.

mod awake;

pub(crate) use awake::join;
use std::ops::AddAssign;

/// More chunks than most machines have cores, few enough that summing one gradient per chunk is cheap.
const CHUNKS: usize = 16;

/// Fewer numbers than this are worked on before another thread is there.
const FEW: usize = 1 << 15;

/// Samples in a chunk of a batch; the last chunk may have fewer.
fn chunk_samples(batch: usize) -> usize {
    batch.div_ceil(CHUNKS).max(1)
}

/// Chunks of a batch.
pub(crate) fn chunk_count(batch: usize) -> usize {
    batch.div_ceil(chunk_samples(batch))
}

/// The most chunks of any batch up to this one: 17 samples are nine chunks, 16 are sixteen.
pub(crate) fn most_chunks(batch: usize) -> usize {
    batch.min(CHUNKS)
}

/// Does a pass over a batch, while other threads stay awake to take the chunks that it shares out.
pub(crate) fn pass(batch: usize, work: impl FnOnce() + Send) {
    awake::with_helpers(chunk_count(batch) - 1, work);
}

/// Buffers that can be cut between two samples.
pub(crate) trait Cut: Send + Sized {
    /// The part of the first chunks, and the rest.
    fn cut(self, front: Front) -> (Self, Self);
}

/// The first chunks of some samples.
#[derive(Clone, Copy)]
pub(crate) struct Front {
    chunks: usize,
    /// Samples in these chunks.
    samples: usize,
    /// Samples in all.
    of: usize,
}

/// So many numbers for each chunk, such as scratch or a partial sum.
pub(crate) struct PerChunk<'a, T = f32>(pub &'a mut [T], pub usize);

impl<T: Send> Cut for PerChunk<'_, T> {
    fn cut(self, front: Front) -> (Self, Self) {
        let (mine, theirs) = self.0.split_at_mut(front.chunks * self.1);
        (Self(mine, self.1), Self(theirs, self.1))
    }
}

impl<T: Sync> Cut for &[T] {
    fn cut(self, front: Front) -> (Self, Self) {
        self.split_at(self.len() / front.of * front.samples)
    }
}

impl<T: Send> Cut for &mut [T] {
    fn cut(self, front: Front) -> (Self, Self) {
        let at = self.len() / front.of * front.samples;
        self.split_at_mut(at)
    }
}

impl<T: Sync, const N: usize> Cut for [&[T]; N] {
    fn cut(self, front: Front) -> (Self, Self) {
        let parts = self.map(|slice| slice.cut(front));
        (parts.map(|part| part.0), parts.map(|part| part.1))
    }
}

/// The number of the first sample.
impl Cut for usize {
    fn cut(self, front: Front) -> (Self, Self) {
        (self, self + front.samples)
    }
}

impl<A: Cut> Cut for Option<A> {
    fn cut(self, front: Front) -> (Self, Self) {
        self.map(|buffer| buffer.cut(front)).unzip()
    }
}

impl<A: Cut, B: Cut> Cut for (A, B) {
    fn cut(self, front: Front) -> (Self, Self) {
        let ((a, c), (b, d)) = (self.0.cut(front), self.1.cut(front));
        ((a, b), (c, d))
    }
}

/// Calls `work(samples, buffers)` with each chunk's part of the buffers.
pub(crate) fn each_chunk<B: Cut>(batch: usize, buffers: B, work: &(impl Fn(usize, B) + Sync)) {
    cut_and_work(batch, chunk_samples(batch), buffers, work);
}

fn cut_and_work<B: Cut>(samples: usize, chunk: usize, buffers: B, work: &(impl Fn(usize, B) + Sync)) {
    let chunks = samples.div_ceil(chunk);
    if chunks == 1 {
        return work(samples, buffers);
    }
    let front = Front { chunks: chunks / 2, samples: chunks / 2 * chunk, of: samples };
    let (mine, theirs) = buffers.cut(front);
    join(
        || cut_and_work(front.samples, chunk, mine, work),
        || cut_and_work(samples - front.samples, chunk, theirs, work),
    );
}

/// Calls `work(samples, operands, y)` with each chunk's part of the operands and of `y`.
pub(crate) fn map_chunks<const N: usize>(
    batch: usize,
    operands: [&[f32]; N],
    y: &mut [f32],
    work: impl Fn(usize, [&[f32]; N], &mut [f32]) + Sync,
) {
    match y.len() + operands.iter().map(|operand| operand.len()).sum::<usize>() < FEW {
        true => work(batch, operands, y),
        false => each_chunk(batch, (operands, y), &|samples, (operands, y)| work(samples, operands, y)),
    }
}

/// Calls `work(samples, operands, partial)` with each chunk's part of the operands, and sums the partial results
/// into `total` in the chunks' order. `partials` has room for one `total` a chunk.
pub(crate) fn sum_chunks<const N: usize, T: Copy + AddAssign + Send + Sync>(
    batch: usize,
    operands: [&[f32]; N],
    partials: &mut [T],
    total: &mut [T],
    work: impl Fn(usize, [&[f32]; N], &mut [T]) + Sync,
) {
    let chunks = chunk_count(batch);
    if chunks == 1 {
        return work(batch, operands, total);
    }
    let partials = &mut partials[..chunks * total.len()];
    let buffers = (operands, PerChunk(&mut *partials, total.len()));
    each_chunk(batch, buffers, &|samples, (operands, partial)| work(samples, operands, partial.0));
    add_partials(partials, total);
}

/// Adds up the partial sums of a batch's chunks, in their order; ranges of a long sum are shared out to threads.
pub(crate) fn add_partials<T: Copy + AddAssign + Send + Sync>(partials: &[T], total: &mut [T]) {
    add_range(partials, total.len(), 0, total);
}

/// The same for the numbers from `start` on of sums of this length.
fn add_range<T: Copy + AddAssign + Send + Sync>(partials: &[T], len: usize, start: usize, total: &mut [T]) {
    const RANGE: usize = 1 << 12;
    if total.len() > RANGE {
        let half = total.len() / 2;
        let (mine, theirs) = total.split_at_mut(half);
        return join(
            || add_range(partials, len, start, mine),
            || add_range(partials, len, start + half, theirs),
        );
    }
    for (chunk, partial) in partials.chunks_exact(len).enumerate() {
        let partial = &partial[start..][..total.len()];
        match chunk {
            0 => total.copy_from_slice(partial),
            _ => total.iter_mut().zip(partial).for_each(|(total, partial)| *total += *partial),
        }
    }
}

/// Calls `fill(index, row, scratch)` for each of the `count` equal rows, each with a part of the scratch of its own.
pub(crate) fn for_rows(
    count: usize,
    rows: &mut [f32],
    scratch: &mut [f32],
    fill: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) {
    each_chunk(count, (0, (rows, scratch)), &|rows_here, (first, (rows, scratch))| {
        let (len, part) = (rows.len() / rows_here, scratch.len() / rows_here);
        for (row, values) in rows.chunks_exact_mut(len).enumerate() {
            fill(first + row, values, &mut scratch[row * part..][..part]);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_in_exactly_one_chunk() {
        for batch in 1..200 {
            assert!(chunk_count(batch) <= most_chunks(batch));
            assert!(most_chunks(batch - 1) <= most_chunks(batch));
            let x: Vec<f32> = (0..2 * batch).map(|i| i as f32).collect();
            let mut y = vec![f32::NAN; batch];
            map_chunks(batch, [&x], &mut y, |samples, [x], y| {
                assert_eq!((x.len(), y.len()), (2 * samples, samples));
                y.iter_mut().zip(x.chunks(2)).for_each(|(y, x)| *y = x[0] + x[1]);
            });
            assert!(y.iter().enumerate().all(|(i, &y)| y == (4 * i + 1) as f32), "batch {batch}");

            let mut partials = vec![f32::NAN; chunk_count(batch)];
            let mut total = [f32::NAN];
            sum_chunks(batch, [&x, &y], &mut partials, &mut total, |samples, [x, y], total| {
                assert_eq!((x.len(), y.len()), (2 * samples, samples));
                total[0] = y.iter().sum();
            });
            let expected: f32 = (0..batch).map(|i| (4 * i + 1) as f32).sum();
            assert_eq!(total[0], expected, "batch {batch}");
        }
    }
}
