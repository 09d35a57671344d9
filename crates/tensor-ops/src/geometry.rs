//! Where windows lie: computed and checked once, apart from the loops.

use crate::body::tile::padded;
use crate::view::ALIGNMENT;
use crate::{Error, Result};

/// Pixels of `dy` in a strip of rows, unless a single row has more.
const STRIP: usize = 256;

/// Zeros (for a convolution) or nothing (for pooling) around the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Padding {
    /// None: every window lies inside the input.
    #[default]
    Valid,
    /// As much as makes the output `⌈input / stride⌉`; where that is odd, the extra zero goes behind, as in
    /// TensorFlow and Keras.
    Same,
    /// `[[top, bottom], [left, right]]`.
    Explicit([[usize; 2]; 2]),
}

/// The settings of a convolution, apart from its input and number of filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dConfig {
    /// Kernel rows and columns.
    pub kernel: [usize; 2],
    /// Step between windows, down and across.
    pub stride: [usize; 2],
    /// Zeros around the input.
    pub padding: Padding,
    /// Distance between the taps of the kernel, down and across.
    pub dilation: [usize; 2],
    /// Independent groups of channels; as many as input channels makes a depthwise convolution.
    pub groups: usize,
}

impl Conv2dConfig {
    /// Stride 1, no padding, no dilation, one group.
    pub fn new(kernel: [usize; 2]) -> Self {
        Self { kernel, stride: [1, 1], padding: Padding::Valid, dilation: [1, 1], groups: 1 }
    }
}

/// The settings of a pooling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool2dConfig {
    /// Window rows and columns.
    pub kernel: [usize; 2],
    /// Step between windows, down and across.
    pub stride: [usize; 2],
    /// Room around the input that windows may reach into and that holds no values.
    pub padding: Padding,
}

impl Pool2dConfig {
    /// Windows side by side, without padding.
    pub fn new(kernel: [usize; 2]) -> Self {
        Self { kernel, stride: kernel, padding: Padding::Valid }
    }
}

/// The windows along one axis: output `o` and tap `k` meet at input `o · stride + k · dilation − before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Extent of the input.
    pub input: usize,
    /// Number of windows.
    pub output: usize,
    /// Number of taps in a window.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Distance between taps.
    pub dilation: usize,
    /// Padding in front of the input.
    pub before: usize,
    /// Padding behind the input.
    pub after: usize,
}

impl Window {
    /// The windows of one axis; `side` picks the axis in an explicit padding.
    fn new(
        side: usize,
        input: usize,
        kernel: usize,
        stride: usize,
        dilation: usize,
        padding: Padding,
    ) -> Result<Self> {
        let axis = ["rows", "columns"][side];
        for (what, size) in [("input", input), ("kernel", kernel), ("stride", stride), ("dilation", dilation)]
        {
            if size == 0 {
                return Err(Error::Zero { what });
            }
        }
        let overflow = Error::Overflow { what: axis };
        let window =
            (kernel - 1).checked_mul(dilation).and_then(|n| n.checked_add(1)).ok_or(overflow.clone())?;
        let [before, after] = match padding {
            Padding::Valid => [0, 0],
            Padding::Same => {
                // (⌈input / stride⌉ − 1) · stride < input, so only the window can overflow.
                let last = (input.div_ceil(stride) - 1) * stride;
                let total = last.checked_add(window).ok_or(overflow.clone())?.saturating_sub(input);
                [total / 2, total - total / 2]
            }
            Padding::Explicit(sides) => sides[side],
        };
        let padded = input
            .checked_add(before)
            .and_then(|n| n.checked_add(after))
            .filter(|&n| n <= isize::MAX as usize);
        let padded = padded.ok_or(overflow)?;
        if window > padded {
            return Err(Error::Window { axis, window, input, before, after });
        }
        let output = (padded - window) / stride + 1;
        Ok(Self { input, output, kernel, stride, dilation, before, after })
    }

    /// The input index under tap `tap` of window `output`, or `None` where it lies in the padding.
    #[inline]
    pub fn source(&self, output: usize, tap: usize) -> Option<usize> {
        (output * self.stride + tap * self.dilation).checked_sub(self.before).filter(|&i| i < self.input)
    }

    /// How far the windows reach over the padded input.
    pub(crate) fn reach(&self) -> usize {
        (self.output - 1) * self.stride + (self.kernel - 1) * self.dilation + 1
    }

    /// Whether a tap lies in the padding.
    fn pads(&self) -> bool {
        self.before > 0 || self.reach() > self.input
    }
}

/// A convolution of a given input: `y[n, oy, ox, oc] = bias[oc] + Σ x[n, iy, ix, ic] · w[ky, kx, ic, oc]`,
/// summed over the taps `ky, kx` and the input channels `ic` of `oc`'s group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dGeometry {
    /// The windows down the rows.
    pub(crate) rows: Window,
    /// The windows across the columns.
    pub(crate) columns: Window,
    pub(crate) in_channels: usize,
    pub(crate) filters: usize,
    pub(crate) groups: usize,
}

impl Conv2dGeometry {
    /// Checks that a convolution with `filters` output channels fits an input of `[rows, columns, channels]`.
    ///
    /// # Errors
    /// A size of zero, a window larger than the padded input, channels that the groups do not divide, and
    /// sizes that overflow.
    pub fn new(input: [usize; 3], filters: usize, config: &Conv2dConfig) -> Result<Self> {
        let Conv2dConfig { kernel, stride, padding, dilation, groups } = *config;
        let [height, width, in_channels] = input;
        for (what, size) in [("input channels", in_channels), ("filters", filters), ("groups", groups)] {
            if size == 0 {
                return Err(Error::Zero { what });
            }
        }
        for (what, channels) in [("input channels", in_channels), ("filters", filters)] {
            if channels % groups != 0 {
                return Err(Error::Groups { what, channels, groups });
            }
        }
        let rows = Window::new(0, height, kernel[0], stride[0], dilation[0], padding)?;
        let columns = Window::new(1, width, kernel[1], stride[1], dilation[1], padding)?;
        check_size("input", &input)?;
        check_size("output", &[rows.output, columns.output, filters])?;
        check_size("weight", &[kernel[0], kernel[1], in_channels / groups, filters])?;
        check_size("padded input", &[rows.reach(), columns.reach(), in_channels])?;
        Ok(Self { rows, columns, in_channels, filters, groups })
    }

    /// The windows down the rows.
    #[inline]
    pub fn rows(&self) -> &Window {
        &self.rows
    }

    /// The windows across the columns.
    #[inline]
    pub fn columns(&self) -> &Window {
        &self.columns
    }

    /// `[batch, rows, columns, channels]` of the input.
    #[inline]
    pub fn input_shape(&self, batch: usize) -> [usize; 4] {
        [batch, self.rows.input, self.columns.input, self.in_channels]
    }

    /// `[batch, rows, columns, filters]` of the output.
    #[inline]
    pub fn output_shape(&self, batch: usize) -> [usize; 4] {
        [batch, self.rows.output, self.columns.output, self.filters]
    }

    /// `[kernel rows, kernel columns, input channels a group, filters]`.
    #[inline]
    pub fn weight_shape(&self) -> [usize; 4] {
        [self.rows.kernel, self.columns.kernel, self.group_inputs(), self.filters]
    }

    /// Multiply-adds of the forward pass for one sample, taps in the padding included.
    pub fn multiply_adds(&self) -> u64 {
        let sizes = self.weight_shape().into_iter().chain([self.rows.output, self.columns.output]);
        sizes.fold(1, |product, n| product.saturating_mul(n as u64))
    }

    /// Numbers of scratch that [`conv2d::forward`](crate::conv2d::forward) needs, whatever the batch.
    pub fn forward_scratch(&self) -> usize {
        ALIGNMENT + self.forward_panels()
    }

    /// Numbers of scratch that [`conv2d::grad_input`](crate::conv2d::grad_input) needs, whatever the batch.
    pub fn grad_input_scratch(&self) -> usize {
        ALIGNMENT + self.panels(self.group_filters(), self.group_inputs())
    }

    /// Numbers of scratch that [`conv2d::grad_weight`](crate::conv2d::grad_weight) needs, whatever the batch.
    pub fn grad_weight_scratch(&self) -> usize {
        ALIGNMENT + self.strip_panel() + self.padded_map()
    }

    /// Numbers in the packed weights of the forward pass.
    pub(crate) fn forward_panels(&self) -> usize {
        self.panels(self.group_inputs(), self.group_filters())
    }

    /// Numbers in the packed weights, with `outputs` lanes a group.
    fn panels(&self, inputs: usize, outputs: usize) -> usize {
        let (groups, outputs) = self.lane_groups(outputs);
        self.rows.kernel * self.columns.kernel * inputs * groups * padded(outputs)
    }

    /// Rows of the output over which the gradient of the weights is summed at a time.
    pub(crate) fn strip_rows(&self) -> usize {
        (STRIP / self.columns.output).clamp(1, self.rows.output)
    }

    /// Numbers in a strip's panel of `dy`.
    pub(crate) fn strip_panel(&self) -> usize {
        self.strip_rows() * self.columns.output * padded(self.lane_groups(self.group_filters()).1).min(32)
    }

    /// Numbers in the padded copy of the input, if there is one.
    pub(crate) fn padded_map(&self) -> usize {
        if self.pads() { self.rows.reach() * self.columns.reach() * self.in_channels } else { 0 }
    }

    /// Whether a tap lies in the padding.
    pub(crate) fn pads(&self) -> bool {
        self.rows.pads() || self.columns.pads()
    }

    /// Whether every group is a channel and a filter, and there are enough for a vector.
    pub(crate) fn depthwise(&self) -> bool {
        self.groups >= 4 && self.groups == self.in_channels && self.groups == self.filters
    }

    /// The groups one after the other, and the results' channels of each that are lanes: `channels` of them or, in a
    /// depthwise convolution, all.
    pub(crate) fn lane_groups(&self, channels: usize) -> (usize, usize) {
        if self.depthwise() { (1, self.groups) } else { (self.groups, channels) }
    }

    /// Input channels that each filter sees.
    pub(crate) fn group_inputs(&self) -> usize {
        self.in_channels / self.groups
    }

    /// Filters in a group.
    pub(crate) fn group_filters(&self) -> usize {
        self.filters / self.groups
    }
}

/// The pooling windows of a given input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool2dGeometry {
    pub(crate) rows: Window,
    pub(crate) columns: Window,
    pub(crate) channels: usize,
}

impl Pool2dGeometry {
    /// Checks that the windows fit an input of `[rows, columns, channels]`.
    ///
    /// # Errors
    /// A size of zero, a window larger than the padded input, padding as wide as the window, and sizes that
    /// overflow.
    pub fn new(input: [usize; 3], config: &Pool2dConfig) -> Result<Self> {
        let Pool2dConfig { kernel, stride, padding } = *config;
        let [height, width, channels] = input;
        if channels == 0 {
            return Err(Error::Zero { what: "input channels" });
        }
        let rows = Window::new(0, height, kernel[0], stride[0], 1, padding)?;
        let columns = Window::new(1, width, kernel[1], stride[1], 1, padding)?;
        for (axis, window) in [("rows", rows), ("columns", columns)] {
            let Window { kernel, before, after, .. } = window;
            if before.max(after) >= kernel {
                return Err(Error::PoolPadding { axis, kernel, before, after });
            }
        }
        check_size("input", &input)?;
        check_size("output", &[rows.output, columns.output, channels])?;
        Ok(Self { rows, columns, channels })
    }

    /// The windows down the rows.
    #[inline]
    pub fn rows(&self) -> &Window {
        &self.rows
    }

    /// The windows across the columns.
    #[inline]
    pub fn columns(&self) -> &Window {
        &self.columns
    }

    /// `[batch, rows, columns, channels]` of the input.
    #[inline]
    pub fn input_shape(&self, batch: usize) -> [usize; 4] {
        [batch, self.rows.input, self.columns.input, self.channels]
    }

    /// `[batch, rows, columns, channels]` of the output.
    #[inline]
    pub fn output_shape(&self, batch: usize) -> [usize; 4] {
        [batch, self.rows.output, self.columns.output, self.channels]
    }
}

/// Fails where the bytes of an `f32` array of this shape cannot be addressed.
fn check_size(what: &'static str, shape: &[usize]) -> Result<()> {
    let elements = shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
    match elements {
        Some(n) if n <= isize::MAX as usize / size_of::<f64>() => Ok(()),
        _ => Err(Error::Overflow { what }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conv(
        input: [usize; 3],
        filters: usize,
        change: impl FnOnce(&mut Conv2dConfig),
    ) -> Result<Conv2dGeometry> {
        let mut config = Conv2dConfig::new([3, 3]);
        change(&mut config);
        Conv2dGeometry::new(input, filters, &config)
    }

    #[test]
    fn output_shapes() {
        let shape = |g: Result<Conv2dGeometry>| g.unwrap().output_shape(1);
        assert_eq!(shape(conv([28, 28, 1], 8, |_| {})), [1, 26, 26, 8]);
        assert_eq!(shape(conv([28, 28, 1], 8, |c| c.padding = Padding::Same)), [1, 28, 28, 8]);
        assert_eq!(shape(conv([7, 6, 2], 4, |c| c.stride = [2, 2])), [1, 3, 2, 4]);
        let same_strided = conv([7, 6, 2], 4, |c| (c.stride, c.padding) = ([2, 2], Padding::Same)).unwrap();
        assert_eq!(same_strided.output_shape(1), [1, 4, 3, 4]);
        // An odd total of padding: the extra zero goes behind.
        assert_eq!((same_strided.columns.before, same_strided.columns.after), (0, 1));
        assert_eq!(shape(conv([9, 9, 1], 1, |c| c.dilation = [4, 2])), [1, 1, 5, 1]);
        // A stride longer than the window leaves "same" without padding.
        let sparse = conv([10, 10, 1], 1, |c| (c.stride, c.padding) = ([5, 5], Padding::Same)).unwrap();
        assert_eq!((sparse.rows.output, sparse.rows.before, sparse.rows.after), (2, 0, 0));
    }

    #[test]
    fn misfits_name_what_was_expected_and_found() {
        let message = |g: Result<Conv2dGeometry>| g.unwrap_err().to_string();
        assert_eq!(
            message(conv([2, 28, 1], 8, |_| {})),
            "rows: a window of 3 does not fit into an input of 2 with padding 0 + 0"
        );
        assert_eq!(message(conv([28, 28, 1], 0, |_| {})), "filters: expected at least 1, found 0");
        assert_eq!(message(conv([28, 0, 1], 8, |_| {})), "input: expected at least 1, found 0");
        assert_eq!(
            message(conv([28, 28, 1], 8, |c| c.stride = [1, 0])),
            "stride: expected at least 1, found 0"
        );
        assert_eq!(
            message(conv([28, 28, 6], 8, |c| c.groups = 4)),
            "groups: input channels 6 cannot be divided into 4 groups"
        );
        assert_eq!(message(conv([28, 28, 1], usize::MAX, |_| {})), "output: the size overflows");
        assert_eq!(
            message(conv([28, 28, 1], 1, |c| c.dilation = [usize::MAX, 1])),
            "rows: the size overflows"
        );
        let huge = Padding::Explicit([[usize::MAX, 1], [0, 0]]);
        assert_eq!(message(conv([28, 28, 1], 1, |c| c.padding = huge)), "rows: the size overflows");
        let edge = Padding::Explicit([[0, 0], [2, 2]]);
        let pool =
            Pool2dGeometry::new([4, 4, 1], &Pool2dConfig { padding: edge, ..Pool2dConfig::new([2, 2]) });
        assert_eq!(
            pool.unwrap_err().to_string(),
            "columns: a pooling window of 2 needs padding below 2 on each side, found 2 and 2"
        );
    }
}
