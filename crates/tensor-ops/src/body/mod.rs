//! The fast operations: each a [`Body`](crate::dispatch::Body) on slices, written so that the compiler
//! vectorises it for any instruction set.
//!
//! They share three ideas. A *tile* of results is held in a fixed-size array, which the compiler keeps in
//! registers ([`tile`]). A [`cover`] cuts an axis into tiles of the few sizes that are compiled. And clipping at
//! the padding is done on index ranges before the loops ([`window`]), so that no loop asks whether it is inside.

#![expect(
    clippy::needless_range_loop,
    reason = "tiles are index loops of constant length: unrolled, not iterated"
)]

pub(crate) mod activation;
pub(crate) mod batch_norm;
pub(crate) mod conv2d;
pub(crate) mod conv_pool2d;
pub(crate) mod correlate;
pub(crate) mod dense;
pub(crate) mod eight;
pub(crate) mod pack;
pub(crate) mod peak;
pub(crate) mod pool2d;
pub(crate) mod rows;
pub(crate) mod tile;
pub(crate) mod window;
pub(crate) mod winograd;

/// A stretch of an axis, `start..start + width`, whose first `skip` places an earlier tile covered too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    start: usize,
    width: usize,
    skip: usize,
}

/// Cuts `0..len` into stretches whose widths are among `sizes` (ascending, from 1). The last one is moved back
/// over its neighbour rather than cut into small ones: to compute a value twice costs less.
#[inline(always)]
fn cover<const N: usize>(len: usize, sizes: [usize; N]) -> impl Iterator<Item = Stretch> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let left = len - done;
        let mut width = 0;
        for size in sizes {
            if size <= len && width < left {
                width = size;
            }
        }
        let start = done.min(len - width);
        let skip = done - start;
        done = start + width;
        (left > 0).then_some(Stretch { start, width, skip })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers() {
        let check = |len, expected: &[[usize; 3]]| {
            let stretches = cover(len, [1, 4, 12]).map(|s| [s.start, s.width, s.skip]);
            assert_eq!(stretches.collect::<Vec<_>>(), expected, "length {len}");
        };
        check(0, &[]);
        check(1, &[[0, 1, 0]]);
        check(3, &[[0, 1, 0], [1, 1, 0], [2, 1, 0]]);
        check(4, &[[0, 4, 0]]);
        check(6, &[[0, 4, 0], [2, 4, 2]]);
        check(12, &[[0, 12, 0]]);
        check(13, &[[0, 12, 0], [12, 1, 0]]);
        check(26, &[[0, 12, 0], [12, 12, 0], [22, 4, 2]]);
        check(23, &[[0, 12, 0], [11, 12, 1]]);
    }
}
