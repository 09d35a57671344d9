//! Which outputs and taps of a window meet inside the input: ranges instead of a test in each loop.

use crate::Window;
use std::ops::Range;

/// The taps of window `output` that lie inside the input.
#[inline(always)]
pub(super) fn taps(window: &Window, output: usize) -> Range<usize> {
    Axis::new(window).taps(output)
}

/// One axis of a correlation: result `o` and tap `k` meet at input `o · stride + k · dilation + origin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    pub input: usize,
    pub output: usize,
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    pub origin: isize,
}

/// Results that see the same taps, and those taps.
#[derive(Clone, Debug)]
pub(super) struct Region {
    pub results: Range<usize>,
    pub taps: Range<usize>,
}

impl Axis {
    /// The windows as they are.
    #[inline(always)]
    pub(crate) fn new(window: &Window) -> Self {
        let Window { input, output, kernel, stride, dilation, before, .. } = *window;
        Self { input, output, kernel, stride, dilation, origin: -(before as isize) }
    }

    /// The inputs `first`, `first + stride`, … as results, which see the windows' outputs.
    ///
    /// Input `i` is under tap `k` of output `(i + before − k · dilation) / stride`. For all these inputs the same
    /// taps divide: from the first such tap on, every `period`-th. Backwards, their outputs ascend.
    #[inline(always)]
    pub(crate) fn phase(window: &Window, first: usize) -> (Self, Taps) {
        let Window { input, output, kernel, stride, dilation, before, .. } = *window;
        let count = input.saturating_sub(first).div_ceil(stride);
        let common = common_divisor(stride, dilation);
        let period = stride / common;
        let place = first + before;
        let taps = (0..kernel.min(period)).find(|k| place.abs_diff(k * dilation) % stride == 0);
        let (start, kernel) = taps.map_or((0, 0), |start| (start, (kernel - start).div_ceil(period)));
        let last = start + kernel.saturating_sub(1) * period;
        let origin = (place as isize - (last * dilation) as isize) / stride as isize;
        let axis =
            Self { input: output, output: count, kernel, stride: 1, dilation: dilation / common, origin };
        (axis, Taps { last, period })
    }

    /// The taps of result `output` that lie inside the input.
    #[inline(always)]
    fn taps(&self, output: usize) -> Range<usize> {
        let first = (output * self.stride) as isize + self.origin;
        let within = |limit: isize| div_ceil(limit.max(0) as usize, self.dilation).min(self.kernel);
        let end = within(self.input as isize - first);
        within(-first).min(end)..end
    }

    /// The place of tap `tap` of result `output`, which lies inside the input.
    #[inline(always)]
    pub(super) fn source(&self, output: usize, tap: usize) -> usize {
        ((output * self.stride + tap * self.dilation) as isize + self.origin) as usize
    }

    /// The input that is `step` behind the first tap of result 0, if it is not in the padding.
    #[inline(always)]
    pub(crate) fn place(&self, step: usize) -> Option<usize> {
        usize::try_from(step as isize + self.origin).ok().filter(|&place| place < self.input)
    }

    /// `results`, cut where the taps change: those that see every tap are together, the few before and behind
    /// them are alone.
    #[inline(always)]
    pub(super) fn regions(&self, results: Range<usize>) -> impl Iterator<Item = Region> {
        let reach =
            self.input as isize - self.origin - (self.kernel.max(1) - 1) as isize * self.dilation as isize;
        let whole =
            |limit: isize| div_ceil(limit.max(0) as usize, self.stride).clamp(results.start, results.end);
        let (start, end) = (whole(-self.origin), whole(reach));
        let start = start.min(end);
        let axis = *self;
        let parts = (results.start..start).map(|o| o..o + 1).chain(std::iter::once(start..end));
        let parts = parts.chain((end..results.end).map(|o| o..o + 1));
        parts
            .filter(|part| !part.is_empty())
            .map(move |part| Region { taps: axis.taps(part.start), results: part })
    }
}

/// Which taps of a kernel an axis goes through: backwards from `last`, `period` apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taps {
    pub last: usize,
    pub period: usize,
}

impl Taps {
    /// The kernel's tap that is the axis' tap `tap`.
    #[inline(always)]
    pub(super) fn of(&self, tap: usize) -> usize {
        self.last - tap * self.period
    }
}

/// The quotient rounded up. Divisions are slow, and most divisors here are 1.
#[inline(always)]
fn div_ceil(n: usize, divisor: usize) -> usize {
    if divisor == 1 { n } else { n.div_ceil(divisor) }
}

/// Euclid's.
#[inline(always)]
fn common_divisor(mut a: usize, mut b: usize) -> usize {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Conv2dConfig, Conv2dGeometry, Padding};

    /// Every range holds exactly the pairs for which [`Window::source`] finds an input.
    #[test]
    fn ranges_agree_with_source() {
        for (input, kernel, stride, dilation, before, after) in geometries(7, 4, 3, 3, 6) {
            let padding = Padding::Explicit([[before, after], [0, 0]]);
            let config = Conv2dConfig {
                kernel: [kernel, 1],
                stride: [stride, 1],
                dilation: [dilation, 1],
                padding,
                groups: 1,
            };
            let Ok(geometry) = Conv2dGeometry::new([input, 1, 1], 1, &config) else { continue };
            let w = geometry.rows();
            let at = format!("{w:?}");
            for o in 0..w.output {
                for k in 0..w.kernel {
                    let source = w.source(o, k);
                    assert_eq!(taps(w, o).contains(&k), source.is_some(), "{at}: output {o}, tap {k}");
                }
            }
            check_regions(&Axis::new(w), &at);
            // Every pair of an input and an output is in one phase, under the tap that it has in the window.
            let mut pairs = Vec::new();
            for first in 0..w.stride.min(w.input) {
                let (axis, backwards) = Axis::phase(w, first);
                check_regions(&axis, &at);
                for j in 0..axis.output {
                    for t in axis.taps(j) {
                        pairs.push((first + j * w.stride, backwards.of(t), axis.source(j, t)));
                    }
                }
            }
            let mut expected: Vec<_> = (0..w.output)
                .flat_map(|o| (0..w.kernel).map(move |k| (w.source(o, k), k, o)))
                .filter_map(|(i, k, o)| Some((i?, k, o)))
                .collect();
            pairs.sort_unstable();
            expected.sort_unstable();
            assert_eq!(pairs, expected, "{at}");
        }
    }

    /// The regions are all results in their order, each with its taps.
    fn check_regions(axis: &Axis, at: &str) {
        for (start, end) in [(0, axis.output), (1, axis.output.saturating_sub(1)), (2, 2)] {
            let mut next = start;
            for region in axis.regions(start..end.max(start)) {
                assert_eq!(region.results.start, next, "{at}");
                next = region.results.end;
                assert!(region.results.clone().all(|o| axis.taps(o) == region.taps), "{at}: {region:?}");
            }
            assert_eq!(next, end.max(start), "{at}");
        }
    }

    fn geometries(
        inputs: usize,
        kernels: usize,
        strides: usize,
        dilations: usize,
        paddings: usize,
    ) -> impl Iterator<Item = (usize, usize, usize, usize, usize, usize)> {
        (1..=inputs).flat_map(move |i| {
            (1..=kernels).flat_map(move |k| {
                (1..=strides).flat_map(move |s| {
                    (1..=dilations).flat_map(move |d| {
                        (0..paddings).flat_map(move |b| (0..paddings).map(move |a| (i, k, s, d, b, a)))
                    })
                })
            })
        })
    }
}
