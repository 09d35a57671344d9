//! Which outputs and taps of a window meet inside the input: ranges instead of a test in each loop.

use crate::Window;
use std::ops::Range;

/// The taps of window `output` that lie inside the input.
#[inline(always)]
pub(super) fn taps(window: &Window, output: usize) -> Range<usize> {
    let Window { input, kernel, dilation, before, .. } = *window;
    let origin = output * window.stride;
    let end = div_ceil((input + before).saturating_sub(origin), dilation).min(kernel);
    div_ceil(before.saturating_sub(origin), dilation).min(end)..end
}

/// The windows that see the input under tap `tap`.
#[inline(always)]
pub(super) fn outputs(window: &Window, tap: usize) -> Range<usize> {
    let Window { input, stride, before, output, .. } = *window;
    let origin = tap * window.dilation;
    let end = div_ceil((input + before).saturating_sub(origin), stride).min(output);
    div_ceil(before.saturating_sub(origin), stride).min(end)..end
}

/// The windows all of whose taps lie inside the input.
#[inline(always)]
pub(super) fn whole(window: &Window) -> Range<usize> {
    let (first, last) = (outputs(window, 0), outputs(window, window.kernel - 1));
    first.start.min(last.end)..last.end
}

/// The quotient rounded up. Divisions are slow, and most divisors here are 1.
#[inline(always)]
fn div_ceil(n: usize, divisor: usize) -> usize {
    if divisor == 1 { n } else { n.div_ceil(divisor) }
}

/// The window that sees input `input` under tap `tap`, if there is one.
#[inline(always)]
pub(super) fn target(window: &Window, input: usize, tap: usize) -> Option<usize> {
    let distance = (input + window.before).checked_sub(tap * window.dilation)?;
    let output = if window.stride == 1 {
        distance
    } else if distance % window.stride == 0 {
        distance / window.stride
    } else {
        return None;
    };
    (output < window.output).then_some(output)
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
                    assert_eq!(outputs(w, k).contains(&o), source.is_some(), "{at}: output {o}, tap {k}");
                    assert!(source.is_none_or(|i| target(w, i, k) == Some(o)), "{at}: output {o}, tap {k}");
                }
                let all = (0..w.kernel).all(|k| w.source(o, k).is_some());
                assert_eq!(whole(w).contains(&o), all, "{at}: output {o}");
            }
            for (i, k) in (0..input).flat_map(|i| (0..kernel).map(move |k| (i, k))) {
                assert!(
                    target(w, i, k).is_none_or(|o| w.source(o, k) == Some(i)),
                    "{at}: input {i}, tap {k}"
                );
            }
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
