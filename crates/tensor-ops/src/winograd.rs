//! Winograd's convolution F(4×4, 3×3) for `f32`: a quarter of the multiplications, some more rounding.
//!
//! A 3×3 convolution of stride 1 in tiles of 4×4 outputs. Weights and tiles are transformed, multiplied in 36 small
//! matrix products, and transformed back: [`naive::winograd`] has the equations. Where channels are many the products are
//! all of the work; where they are few, the transforms cost more than they save.
//!
//! ```
//! use tensor_ops::ndarray::Array4;
//! use tensor_ops::{Conv2dConfig, Conv2dGeometry, Kernels, WinogradGeometry, winograd};
//!
//! let conv = Conv2dGeometry::new([8, 8, 2], 3, &Conv2dConfig::new([3, 3]))?;
//! let geometry = WinogradGeometry::new(&conv).expect("3×3 taps, stride 1, no dilation, one group");
//! let (x, weight) = (Array4::ones((1, 8, 8, 2)), Array4::ones(conv.weight_shape()));
//! let mut y = Array4::zeros(conv.output_shape(1));
//!
//! let kernels = Kernels::detect();
//! let mut transformed = vec![0.0; geometry.transformed_weight()];
//! winograd::transform_weight(kernels, &geometry, weight.view(), &mut transformed)?;
//! let mut scratch = vec![0.0; geometry.scratch()];
//! winograd::forward(kernels, &geometry, x.view(), &transformed, None, y.view_mut(), &mut scratch)?;
//! assert!(y.iter().all(|y| (y - 18.0).abs() < 1e-3));
//! # Ok::<(), tensor_ops::Error>(())
//! ```

use crate::body::window::Axis;
use crate::body::winograd::{Forward, GROUP, OUTPUT_STEP, TransformWeight};
use crate::dispatch::dispatch;
use crate::view::{ALIGNMENT, aligned, check_shape, scratch as lent, slice, slice_mut};
use crate::{Conv2dGeometry, Kernels, Result, naive};
use ndarray::{ArrayView, ArrayView1, ArrayView4, ArrayViewMut, ArrayViewMut4};

/// Outputs of a tile, down and across.
pub(crate) const OUTPUTS: usize = 4;

/// Its inputs, and as many points at which polynomials are multiplied.
pub(crate) const POINTS: usize = 6;

/// Matrix products: one for each pair of points.
pub(crate) const PRODUCTS: usize = POINTS * POINTS;

/// Numbers in the longest vector.
const LANES: usize = 16;

/// Fewer channels than this have too small products for their transforms.
const FEW: usize = 16;

/// More channels than this are no image, and their products' sizes could overflow.
const MOST: usize = 1 << 20;

/// A convolution, or the gradient of its input, by Winograd's algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WinogradGeometry {
    pub(crate) rows: Axis,
    pub(crate) columns: Axis,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Whether the taps are read backwards, and the weights' filters are inputs here.
    pub(crate) backwards: bool,
}

impl WinogradGeometry {
    /// The convolution itself; `None` unless it has 3×3 taps, stride 1, no dilation, one group, and channels and filters
    /// below 2²⁰. Its padding is free.
    pub fn new(conv: &Conv2dGeometry) -> Option<Self> {
        let Conv2dGeometry { rows, columns, in_channels, filters, groups } = *conv;
        let fits = [rows, columns].iter().all(|w| [w.kernel, w.stride, w.dilation] == [3, 1, 1]);
        let sizes = in_channels.max(filters) < MOST;
        (fits && groups == 1 && sizes).then_some(Self {
            rows: Axis::new(&rows),
            columns: Axis::new(&columns),
            inputs: in_channels,
            outputs: filters,
            backwards: false,
        })
    }

    /// The gradient of its input, which is a convolution too: of the output's gradient, with the kernel turned around.
    pub fn grad_input(conv: &Conv2dGeometry) -> Option<Self> {
        let forward = Self::new(conv)?;
        Some(Self {
            rows: Axis::phase(&conv.rows, 0).0,
            columns: Axis::phase(&conv.columns, 0).0,
            inputs: forward.outputs,
            outputs: forward.inputs,
            backwards: true,
        })
    }

    /// Whether it is faster than the direct convolution, as measured with AVX2 and AVX-512: with 16 channels or more on both
    /// sides. Then a batch takes 0.4 to 0.85 of the time; a single sample of few tiles about as long as before, most of it for
    /// the transform of the weights. With 8 channels the transforms take what the products save.
    pub fn pays(&self) -> bool {
        self.inputs >= FEW && self.outputs >= FEW
    }

    /// `[batch, rows, columns, channels]` of what it is applied to.
    pub fn input_shape(&self, batch: usize) -> [usize; 4] {
        [batch, self.rows.input, self.columns.input, self.inputs]
    }

    /// `[batch, rows, columns, channels]` of what it gives.
    pub fn output_shape(&self, batch: usize) -> [usize; 4] {
        [batch, self.rows.output, self.columns.output, self.outputs]
    }

    /// The shape of the convolution's weights.
    pub fn weight_shape(&self) -> [usize; 4] {
        let Self { inputs, outputs, .. } = *self;
        if self.backwards { [3, 3, outputs, inputs] } else { [3, 3, inputs, outputs] }
    }

    /// Multiply-adds of the products for one sample.
    pub fn multiply_adds(&self) -> u64 {
        let sizes = self.tiles().into_iter().chain([self.inputs, self.outputs]);
        sizes.fold(PRODUCTS as u64, |product, n| product.saturating_mul(n as u64))
    }

    /// Numbers in the transformed weights.
    pub fn transformed_weight(&self) -> usize {
        PRODUCTS * self.panel_step()
    }

    /// Numbers of scratch that [`forward`] needs, whatever the batch.
    pub fn scratch(&self) -> usize {
        ALIGNMENT + PRODUCTS * (self.input_step() + OUTPUT_STEP + self.pitch())
    }

    /// Tiles down and across.
    pub(crate) fn tiles(&self) -> [usize; 2] {
        [self.rows.output.div_ceil(OUTPUTS), self.columns.output.div_ceil(OUTPUTS)]
    }

    /// Numbers from one product's panels to the next's.
    pub(crate) fn panel_step(&self) -> usize {
        apart(self.inputs * self.outputs.next_multiple_of(LANES))
    }

    /// Numbers from one product's inputs to the next's.
    pub(crate) fn input_step(&self) -> usize {
        apart(GROUP * self.pitch())
    }

    /// Numbers from one tile's inputs to the next's in a product: a vector at least.
    pub(crate) fn pitch(&self) -> usize {
        self.inputs.max(LANES)
    }
}

/// At least `len` numbers that are an odd number of cache lines, so that of many such steps none meets the same set of
/// the first cache before all have been met.
fn apart(len: usize) -> usize {
    ALIGNMENT * (len.div_ceil(ALIGNMENT) | 1)
}

/// As [`naive::winograd::transform_weight`], into [`WinogradGeometry::transformed_weight`] numbers whose order is the
/// kernels' own. Best on a cache line.
///
/// # Errors
/// Weights whose shape does not fit the geometry or that are not contiguous; too few numbers for the transformed ones.
pub fn transform_weight(
    kernels: Kernels,
    geometry: &WinogradGeometry,
    weight: ArrayView4<f32>,
    transformed: &mut [f32],
) -> Result<()> {
    let transformed = lent(transformed, geometry.transformed_weight())?;
    if kernels == Kernels::NAIVE {
        let shape = plain_shape(geometry);
        let plain = &mut transformed[..shape.iter().product()];
        let plain = ArrayViewMut::from_shape(shape, plain).expect("the numbers are as many");
        return naive::winograd::transform_weight(geometry, weight, plain);
    }
    let weight = slice("weight", weight, &geometry.weight_shape())?;
    dispatch(kernels, TransformWeight { geometry, weight, transformed });
    Ok(())
}

/// As [`naive::winograd::forward`], with weights that [`transform_weight`] transformed for the same kernels and geometry.
///
/// # Errors
/// An operand whose shape does not fit the geometry or that is not contiguous, and too short a scratch.
pub fn forward(
    kernels: Kernels,
    geometry: &WinogradGeometry,
    x: ArrayView4<f32>,
    transformed: &[f32],
    bias: Option<ArrayView1<f32>>,
    y: ArrayViewMut4<f32>,
    scratch: &mut [f32],
) -> Result<()> {
    let scratch = aligned(scratch, geometry.scratch())?;
    check_shape("transformed", &ArrayView1::from(transformed), &[geometry.transformed_weight()])?;
    if kernels == Kernels::NAIVE {
        let shape = plain_shape(geometry);
        let plain = &transformed[..shape.iter().product()];
        let plain = ArrayView::from_shape(shape, plain).expect("the numbers are as many");
        return naive::winograd::forward(geometry, x, plain, bias, y);
    }
    let batch = x.dim().0;
    let x = slice("x", x, &geometry.input_shape(batch))?;
    let bias = bias.map(|bias| slice("bias", bias, &[geometry.outputs])).transpose()?;
    let y = slice_mut("y", y, &geometry.output_shape(batch))?;
    dispatch(kernels, Forward { geometry, x, transformed, bias, y, scratch });
    Ok(())
}

/// The transformed weights as the plain loops keep them.
fn plain_shape(geometry: &WinogradGeometry) -> [usize; 4] {
    [POINTS, POINTS, geometry.inputs, geometry.outputs]
}
