//! A convolution, bias, ReLU and 2×2 max-pool as one operation, and its gradients at the maxima alone.
//!
//! Both gradients are sums of a few runs of memory, each times one number: the gradient of a window's maximum
//! times the input under a kernel row goes to a filter's weights, the same gradient times a filter's kernel row
//! goes to the input. Which runs, and times what, is a list of [`Entries`]; [`add_runs`] is the loop that both
//! spend their time in.

mod forward;
mod grad_input;
mod grad_weight;
mod single;

pub(crate) use forward::Forward;
pub(crate) use grad_input::GradInput;
pub(crate) use grad_weight::GradWeight;

use super::tile::{lanes, lanes_mut};
use crate::ConvPool2dGeometry;
use crate::dispatch::Isa;

/// A list of runs.
#[derive(Clone, Copy)]
struct Entries<'a> {
    /// Where each starts in the source: the bits of an integer.
    at: &'a [f32],
    /// What it is multiplied by.
    g: &'a [f32],
}

/// For a row of windows, the filters that take a gradient at each place of each window, and the gradients.
struct Takers<'a> {
    filters: usize,
    /// Where each list begins, and the last ends: bits of integers, [window][place].
    starts: &'a mut [f32],
    /// The lists one behind the other: the filters, as bits of integers, and the gradients.
    entries: [&'a mut [f32]; 2],
}

impl<'a> Takers<'a> {
    /// Lists, and entries in all of them; what `Isa::pack` writes last reaches over the end.
    #[inline(always)]
    fn sizes(geometry: &ConvPool2dGeometry) -> [usize; 2] {
        let [_, _, columns, filters] = geometry.output_shape(1);
        [4 * columns + 1, 4 * columns * filters + LANES]
    }

    /// Numbers of scratch.
    #[inline(always)]
    fn scratch(geometry: &ConvPool2dGeometry) -> usize {
        let [starts, entries] = Self::sizes(geometry);
        starts + 2 * entries
    }

    #[inline(always)]
    fn new(geometry: &ConvPool2dGeometry, scratch: &'a mut [f32]) -> Self {
        let [starts, entries] = Self::sizes(geometry);
        let (starts, scratch) = scratch.split_at_mut(starts);
        let (at, g) = scratch.split_at_mut(entries);
        Self { filters: geometry.conv.filters, starts, entries: [at, g] }
    }

    /// Lists those of a row of windows.
    #[inline(always)]
    fn find<I: Isa>(&mut self, dy: &[f32], takes: &[u8]) {
        let [filters, gradients] = &mut self.entries;
        let windows = dy.chunks_exact(self.filters).zip(takes.chunks_exact(self.filters));
        let mut found = 0;
        for ((dy, takes), starts) in windows.zip(self.starts.chunks_exact_mut(4)) {
            for place in 0..4 {
                starts[place] = f32::from_bits(found as u32);
                for first in (0..self.filters).step_by(LANES) {
                    let (mut values, mut flags) = ([0.0; LANES], [0; LANES]);
                    if let (Some(dy), Some(takes)) = (dy[first..].first_chunk(), takes[first..].first_chunk())
                    {
                        (values, flags) = (*dy, *takes);
                    } else {
                        values.iter_mut().zip(&dy[first..]).for_each(|(value, &g)| *value = g);
                        flags.iter_mut().zip(&takes[first..]).for_each(|(flag, &takes)| *flag = takes);
                    }
                    let packed = [lanes_mut(&mut filters[found..]), lanes_mut(&mut gradients[found..])];
                    found += I::pack(&values, &flags, 1 << place, first as u32, packed);
                }
            }
        }
        let end = self.starts.len() - 1;
        self.starts[end] = f32::from_bits(found as u32);
    }

    /// Those of a place.
    #[inline(always)]
    fn at(&self, window: usize, place: usize) -> Entries<'_> {
        let list = 4 * window + place;
        let range = self.starts[list].to_bits() as usize..self.starts[list + 1].to_bits() as usize;
        Entries { at: &self.entries[0][range.clone()], g: &self.entries[1][range] }
    }
}

/// Runs are padded to a multiple of this, the longest vector.
const LANES: usize = 16;

/// The scratch from the first number on that begins a cache line, for which there are [`LANES`] spare ones:
/// vectors that straddle two lines load at half the speed.
#[inline(always)]
fn aligned(scratch: &mut [f32]) -> &mut [f32] {
    let skip = scratch.as_ptr().align_offset(64).min(LANES);
    &mut scratch[skip..]
}

/// Runs that are summed together: the rows of a kernel.
#[derive(Clone, Copy)]
struct Runs {
    /// How many.
    rows: usize,
    /// Numbers in each.
    len: usize,
    /// From one to the next, among the sums and in the source.
    steps: [usize; 2],
    /// What the places of the entries count.
    unit: usize,
}

/// `sums[r][i] += Σ g · source[r][at · unit + i]` over the entries, for the rows `r` and the `i` below the length. Reads
/// whole vectors of the source.
#[inline(always)]
fn add_runs<I: Isa>(runs: Runs, sums: &mut [f32], source: &[f32], entries: Entries) {
    let mut done = 0;
    while done < runs.len {
        let rest = Runs { len: runs.len - done, ..runs };
        let (sums, source) = (&mut sums[done..], &source[done..]);
        // As many rows at once as there are registers for sums: 10 to 12 of 16, 15 to 20 of 32.
        done += match (I::LANES, rest.len.div_ceil(I::LANES)) {
            (16, 1) => blocks::<I, 5, 1>(rest, sums, source, entries),
            (16, 2) => blocks::<I, 5, 2>(rest, sums, source, entries),
            (16, 3) => blocks::<I, 5, 3>(rest, sums, source, entries),
            (16, 4) => blocks::<I, 5, 4>(rest, sums, source, entries),
            (16, 5) => blocks::<I, 3, 5>(rest, sums, source, entries),
            (16, 6..=11) => blocks::<I, 3, 6>(rest, sums, source, entries),
            (16, _) => blocks::<I, 1, 12>(rest, sums, source, entries),
            (8, 1) => blocks::<I, 5, 1>(rest, sums, source, entries),
            (8, 2) => blocks::<I, 5, 2>(rest, sums, source, entries),
            (8, 3) => blocks::<I, 3, 3>(rest, sums, source, entries),
            (8, 4) => blocks::<I, 3, 4>(rest, sums, source, entries),
            (8, 5) => blocks::<I, 1, 5>(rest, sums, source, entries),
            (8, 6..=11) => blocks::<I, 1, 6>(rest, sums, source, entries),
            (8, _) => blocks::<I, 1, 12>(rest, sums, source, entries),
            (_, 1) => blocks::<I, 5, 1>(rest, sums, source, entries),
            (_, 2) => blocks::<I, 5, 2>(rest, sums, source, entries),
            (_, 3..=5) => blocks::<I, 3, 3>(rest, sums, source, entries),
            (_, 6..=11) => blocks::<I, 1, 6>(rest, sums, source, entries),
            (_, _) => blocks::<I, 1, 12>(rest, sums, source, entries),
        };
    }
}

/// The first `V` vectors of all runs, by `K` rows or single ones: how many numbers of a row they are.
#[inline(always)]
fn blocks<I: Isa, const K: usize, const V: usize>(
    runs: Runs,
    sums: &mut [f32],
    source: &[f32],
    entries: Entries,
) -> usize {
    let mut row = 0;
    while row < runs.rows {
        let (sums, source) = (&mut sums[row * runs.steps[0]..], &source[row * runs.steps[1]..]);
        if row + K <= runs.rows {
            block::<I, K, V>(runs, sums, source, entries);
            row += K;
        } else {
            block::<I, 1, V>(runs, sums, source, entries);
            row += 1;
        }
    }
    runs.len.min(V * I::LANES)
}

/// `K` rows of `V` vectors of sums in registers.
#[inline(always)]
fn block<I: Isa, const K: usize, const V: usize>(
    runs: Runs,
    sums: &mut [f32],
    source: &[f32],
    entries: Entries,
) {
    let [sums_step, source_step] = runs.steps;
    let width = V * I::LANES;
    // From 0 on, for neighbouring places have sums in common: each would wait for the one before it.
    let mut tile = [[I::splat(0.0); V]; K];
    for (at, &g) in entries.at.iter().zip(entries.g) {
        let source = &source[at.to_bits() as usize * runs.unit..][..(K - 1) * source_step + width];
        let g = I::splat(g);
        for k in 0..K {
            let run = &source[k * source_step..][..width];
            for v in 0..V {
                tile[k][v] = I::mul_add_lanes(g, I::load(&run[v * I::LANES..]), tile[k][v]);
            }
        }
    }
    // The last vector may reach over the end of the run: what lies there belongs to others.
    let left = runs.len.min(width) - (V - 1) * I::LANES;
    let inside = I::load(&FIRST[LANES - left..]);
    for k in 0..K {
        let sums = &mut sums[k * sums_step..][..width];
        tile[k][V - 1] = I::and(tile[k][V - 1], inside);
        for v in 0..V {
            let sums = &mut sums[v * I::LANES..];
            I::store(I::mul_add_lanes(tile[k][v], I::splat(1.0), I::load(sums)), sums);
        }
    }
}

/// All bits of some numbers and none of those behind them.
const FIRST: [f32; 2 * LANES] = {
    let mut first = [0.0; 2 * LANES];
    let mut l = 0;
    while l < LANES {
        first[l] = f32::from_bits(u32::MAX);
        l += 1;
    }
    first
};

/// `to[j][i] = from[i][j]` for `size[0]` rows of `size[1]` numbers, each row a step from the last.
#[inline(always)]
fn transpose(size: [usize; 2], from: &[f32], from_step: usize, to: &mut [f32], to_step: usize) {
    const N: usize = 8;
    let whole = size.map(|n| n / N * N);
    for i in (0..whole[0]).step_by(N) {
        for j in (0..whole[1]).step_by(N) {
            let mut tile = [[0.0; N]; N];
            for a in 0..N {
                tile[a] = *lanes(&from[(i + a) * from_step + j..]);
            }
            for b in 0..N {
                let mut column = [0.0; N];
                for a in 0..N {
                    column[a] = tile[a][b];
                }
                *lanes_mut(&mut to[(j + b) * to_step + i..]) = column;
            }
        }
    }
    for i in 0..size[0] {
        let start = if i < whole[0] { whole[1] } else { 0 };
        for j in start..size[1] {
            to[j * to_step + i] = from[i * from_step + j];
        }
    }
}

/// Rows and columns of the padded input that the windows see, of all windows.
#[inline(always)]
fn seen(geometry: &ConvPool2dGeometry) -> [usize; 2] {
    let ([kernel_rows, kernel_columns, ..], [_, rows, columns, _]) =
        (geometry.conv.weight_shape(), geometry.output_shape(1));
    [2 * rows + kernel_rows - 1, 2 * columns + kernel_columns - 1]
}
