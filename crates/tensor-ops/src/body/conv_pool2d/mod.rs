//! A convolution, bias, ReLU and 2×2 max-pool as one operation, and its gradients at the maxima alone.
//!
//! Both gradients are sums of a few runs of memory, each times one number: the gradient of a window's maximum
//! times the input under a kernel row goes to a filter's weights, the same gradient times a filter's kernel row
//! goes to the input. Which runs, and times what, is a list of [`Entry`]; [`add_runs`] is the loop that both
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

/// Where a run starts (the bits of an integer) and what it is multiplied by: two numbers of scratch.
type Entry = [f32; 2];

/// Runs are padded to a multiple of this, the longest vector.
const LANES: usize = 16;

/// Appends the places of a window that take its gradient `g`, the place `p` as a run at `at[p]`; nothing where
/// there is no gradient. Without a branch but for a second place, which is rare: whether a window is alive is
/// as good as random.
#[inline(always)]
fn push(entries: &mut [Entry], count: &mut usize, at: [usize; 4], takes: u8, g: f32) {
    let mut left = if g == 0.0 { 0 } else { takes & 15 };
    loop {
        entries[*count] = [f32::from_bits(at[(left | 8).trailing_zeros() as usize] as u32), g];
        *count += usize::from(left != 0);
        left &= left.wrapping_sub(1);
        if left == 0 {
            return;
        }
    }
}

/// `sums[i] += Σ g · source[at + i]` over the entries, for `i` below `len`. Reads whole vectors of `source`.
#[inline(always)]
fn add_runs<I: Isa>(sums: &mut [f32], len: usize, source: &[f32], entries: &[Entry]) {
    let mut done = 0;
    while done < len {
        let (sums, source, left) = (&mut sums[done..], &source[done..], len - done);
        done += match (I::LANES, left.div_ceil(I::LANES)) {
            (16, 1) => block::<I, 1, 16>(sums, left, source, entries),
            (16, 2) => block::<I, 2, 16>(sums, left, source, entries),
            (16, 3) => block::<I, 3, 16>(sums, left, source, entries),
            (16, 4..=5) => block::<I, 4, 16>(sums, left, source, entries),
            (16, 6..=11) => block::<I, 6, 16>(sums, left, source, entries),
            (16, _) => block::<I, 12, 16>(sums, left, source, entries),
            (8, 1) => block::<I, 1, 8>(sums, left, source, entries),
            (8, 2) => block::<I, 2, 8>(sums, left, source, entries),
            (8, 3) => block::<I, 3, 8>(sums, left, source, entries),
            (8, 4..=5) => block::<I, 4, 8>(sums, left, source, entries),
            (8, 6..=11) => block::<I, 6, 8>(sums, left, source, entries),
            (8, _) => block::<I, 12, 8>(sums, left, source, entries),
            (_, 1) => block::<I, 1, 4>(sums, left, source, entries),
            (_, 2) => block::<I, 2, 4>(sums, left, source, entries),
            (_, 3..=5) => block::<I, 3, 4>(sums, left, source, entries),
            (_, 6..=11) => block::<I, 6, 4>(sums, left, source, entries),
            (_, _) => block::<I, 12, 4>(sums, left, source, entries),
        };
    }
}

/// The first `V` vectors of [`add_runs`], or `left` numbers if that is less: how many they are.
#[inline(always)]
fn block<I: Isa, const V: usize, const L: usize>(
    sums: &mut [f32],
    left: usize,
    source: &[f32],
    entries: &[Entry],
) -> usize {
    let mut tile = [[0.0; L]; V];
    for v in 0..V {
        tile[v] = *lanes(&sums[v * L..]);
    }
    for &[at, g] in entries {
        let run = &source[at.to_bits() as usize..][..V * L];
        for v in 0..V {
            let x = lanes::<L>(&run[v * L..]);
            for l in 0..L {
                tile[v][l] = I::mul_add(g, x[l], tile[v][l]);
            }
        }
    }
    // What lies behind the run belongs to others.
    for v in 0..V {
        let sums = lanes_mut::<L>(&mut sums[v * L..]);
        for l in 0..L {
            sums[l] = if v * L + l < left { tile[v][l] } else { sums[l] };
        }
    }
    left.min(V * L)
}

/// Sizes of the part of the input that the pooled windows see, zeros in the padding included.
#[derive(Clone, Copy)]
struct Seen {
    /// Numbers in a row.
    row: usize,
    /// Numbers under a kernel row.
    run: usize,
}

impl Seen {
    #[inline(always)]
    fn new(geometry: &ConvPool2dGeometry) -> Self {
        let [_, kernel_columns, in_channels, _] = geometry.conv.weight_shape();
        Self {
            row: (2 * geometry.pool.columns.output + kernel_columns - 1) * in_channels,
            run: kernel_columns * in_channels,
        }
    }

    /// The same run, padded to whole vectors.
    #[inline(always)]
    fn padded_run(&self) -> usize {
        self.run.next_multiple_of(LANES)
    }
}
