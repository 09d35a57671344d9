//! Tiles of sums that stay in registers: the inner loops of every product in the crate.
//!
//! ```text
//! multiply    sums[p][l]    += x[p][k] · w[k][l]      over k        results of P rows × L columns
//! dot         sums[p][q][l] += a[p][k] · b[q][k]      over k ≡ l    L partial sums each of P × Q results
//! outer       sums[t][l]    += x[j][t] · d[j][l]      over j        T × L results
//! in turns    sums[u][l]    += x[j] · d[j][l]         over j ≡ u    U partial sums each of L results
//! ```
//!
//! 1. The sums are arrays of constant size, updated by loops of constant length: unrolled, they are about a
//!    dozen vector registers, enough to hide the latency of the multiply-add.
//! 2. One factor is a vector loaded once a step, the other a scalar or vector used with all of them: fewer loads
//!    than multiply-adds.
//! 3. Every slice is cut to its length before the loop, so the loop checks no bounds.

use crate::dispatch::Isa;

/// The first `L` elements.
#[inline(always)]
pub(super) fn lanes<const L: usize>(slice: &[f32]) -> &[f32; L] {
    slice.first_chunk().expect("the slice holds a whole tile")
}

/// The first `L` elements, to write.
#[inline(always)]
pub(super) fn lanes_mut<const L: usize>(slice: &mut [f32]) -> &mut [f32; L] {
    slice.first_chunk_mut().expect("the slice holds a whole tile")
}

/// `P` slices of length `len`, `step` apart.
#[inline(always)]
pub(super) fn rows<const P: usize>(slice: &[f32], step: usize, len: usize) -> [&[f32]; P] {
    let slice = &slice[..(P - 1) * step + len];
    let mut rows = [&slice[..0]; P];
    for p in 0..P {
        rows[p] = &slice[p * step..p * step + len];
    }
    rows
}

/// Columns `at..at + L` of the matrix product of `P` rows with `w`, whose rows have `columns` elements.
#[inline(always)]
pub(super) fn multiply<I: Isa, const P: usize, const L: usize>(
    sums: &mut [[f32; L]; P],
    x: [&[f32]; P],
    w: &[f32],
    columns: usize,
    at: usize,
) {
    let len = x[0].len();
    let mut rows = x;
    for p in 0..P {
        rows[p] = &x[p][..len];
    }
    for (k, w) in (0..len).zip(w.chunks_exact(columns)) {
        let w = lanes::<L>(&w[at..]);
        for p in 0..P {
            let x = rows[p][k];
            for l in 0..L {
                sums[p][l] = I::mul_add(x, w[l], sums[p][l]);
            }
        }
    }
}

/// The products of `P` rows with `Q` rows, element by element, each summed in `L` lanes. What the lanes leave
/// over is a last vector moved back, with the elements that were taken already set to zero in `a`.
#[inline(always)]
pub(super) fn dot<I: Isa, const P: usize, const Q: usize, const L: usize>(
    sums: &mut [[[f32; L]; Q]; P],
    a: [&[f32]; P],
    b: [&[f32]; Q],
) {
    let len = a[0].len();
    let whole = len / L * L;
    let mut k = 0;
    while k < whole {
        step::<I, P, Q, L>(sums, a, b, k, 0);
        k += L;
    }
    if whole < len {
        step::<I, P, Q, L>(sums, a, b, len - L, L - (len - whole));
    }
}

/// One vector of [`dot`] at `k`, without its first `skip` elements.
#[inline(always)]
fn step<I: Isa, const P: usize, const Q: usize, const L: usize>(
    sums: &mut [[[f32; L]; Q]; P],
    a: [&[f32]; P],
    b: [&[f32]; Q],
    k: usize,
    skip: usize,
) {
    let (mut rows, mut columns) = ([[0.0; L]; P], [[0.0; L]; Q]);
    for p in 0..P {
        let a = lanes::<L>(&a[p][k..]);
        for l in 0..L {
            rows[p][l] = if l < skip { 0.0 } else { a[l] };
        }
    }
    for q in 0..Q {
        columns[q] = *lanes::<L>(&b[q][k..]);
    }
    for p in 0..P {
        for q in 0..Q {
            for l in 0..L {
                sums[p][q][l] = I::mul_add(rows[p][l], columns[q][l], sums[p][q][l]);
            }
        }
    }
}

/// Adds the products of `T` elements of `x` with columns `at..at + L` of a row of `d`, over all rows of
/// `columns` elements that `d` has; `x` moves on by `step` from one to the next.
#[inline(always)]
pub(super) fn outer<I: Isa, const T: usize, const L: usize>(
    sums: &mut [[f32; L]; T],
    x: &[f32],
    step: usize,
    d: &[f32],
    columns: usize,
    at: usize,
) {
    let mut from = 0;
    for d in d.chunks_exact(columns) {
        let (x, d) = (lanes::<T>(&x[from..]), lanes::<L>(&d[at..]));
        for t in 0..T {
            for l in 0..L {
                sums[t][l] = I::mul_add(x[t], d[l], sums[t][l]);
            }
        }
        from += step;
    }
}

/// The same for a single element of `x`, with `U` partial sums that take turns.
#[inline(always)]
pub(super) fn outer_in_turns<I: Isa, const U: usize, const L: usize>(
    x: &[f32],
    step: usize,
    d: &[f32],
    columns: usize,
    at: usize,
) -> [f32; L] {
    let mut sums = [[0.0; L]; U];
    let mut from = 0;
    let mut turns = d.chunks_exact(U * columns);
    for d in &mut turns {
        for u in 0..U {
            let (x, d) = (x[from], lanes::<L>(&d[u * columns + at..]));
            for l in 0..L {
                sums[u][l] = I::mul_add(x, d[l], sums[u][l]);
            }
            from += step;
        }
    }
    let mut total = [sum_arrays(sums)];
    outer::<I, 1, L>(&mut total, &x[from.min(x.len())..], step, turns.remainder(), columns, at);
    total[0]
}

/// The sum of the lanes, pairwise.
#[inline(always)]
pub(super) fn sum<const L: usize>(mut lanes: [f32; L]) -> f32 {
    let mut width = L / 2;
    while width > 0 {
        for l in 0..width {
            lanes[l] += lanes[l + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// The sum of `U` arrays, pairwise.
#[inline(always)]
fn sum_arrays<const U: usize, const L: usize>(mut arrays: [[f32; L]; U]) -> [f32; L] {
    let mut width = U / 2;
    while width > 0 {
        for u in 0..width {
            for l in 0..L {
                arrays[u][l] += arrays[u + width][l];
            }
        }
        width /= 2;
    }
    arrays[0]
}
