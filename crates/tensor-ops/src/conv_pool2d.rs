//! A convolution, its bias, an optional ReLU and a 2×2 max-pool as one operation, for `f32`.
//!
//! ```text
//! z[n, oy, ox, oc] = bias[oc] + Σ x[n, iy, ix, ic] · w[ky, kx, ic, oc]
//! y[n, wy, wx, oc] = relu(max of z[n, 2·wy + ty, 2·wx + tx, oc] over ty, tx in {0, 1})
//! ```
//!
//! The full map `z` is never stored. Of the four places of a window only those that hold its maximum take a
//! gradient, and none where the ReLU is off: the forward pass notes them in `takes`, and the gradients visit them
//! alone. A chain of [`conv2d`](crate::conv2d), [`activation`](crate::activation) and [`pool2d`](crate::pool2d)
//! gives the same results, but multiplies three zeros out of four on the way back.

use crate::body::conv_pool2d::{Forward, GradInput, GradWeight};
use crate::dispatch::dispatch;
use crate::view::{aligned, scratch as lent, slice, slice_mut};
use crate::{Conv2dGeometry, Kernels, Pool2dGeometry, Result, Ties, Window, naive};
use ndarray::{ArrayView1, ArrayView4, ArrayViewMut1, ArrayViewMut4};

/// A convolution and the pool behind it that can run as one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvPool2dGeometry {
    pub(crate) conv: Conv2dGeometry,
    pub(crate) pool: Pool2dGeometry,
}

impl ConvPool2dGeometry {
    /// `None` unless the convolution has one group, stride 1 and no dilation (its kernel and padding are free), and
    /// the pool takes what it puts out, in 2×2 windows side by side and without padding. A last row or column of
    /// the convolution that the pool drops is never computed.
    pub fn new(conv: Conv2dGeometry, pool: Pool2dGeometry) -> Option<Self> {
        let plain = |window: &Window| window.stride == 1 && window.dilation == 1;
        let halves = |window: &Window| {
            let Window { kernel, stride, dilation, before, after, .. } = *window;
            [kernel, stride, dilation, before, after] == [2, 2, 1, 0, 0]
        };
        let fits = conv.groups == 1
            && plain(&conv.rows)
            && plain(&conv.columns)
            && halves(&pool.rows)
            && halves(&pool.columns)
            && pool.input_shape(1) == conv.output_shape(1);
        fits.then_some(Self { conv, pool })
    }

    /// The convolution.
    #[inline]
    pub fn conv(&self) -> &Conv2dGeometry {
        &self.conv
    }

    /// The pool.
    #[inline]
    pub fn pool(&self) -> &Pool2dGeometry {
        &self.pool
    }

    /// `[batch, rows, columns, channels]` of the convolution's input.
    #[inline]
    pub fn input_shape(&self, batch: usize) -> [usize; 4] {
        self.conv.input_shape(batch)
    }

    /// `[batch, rows, columns, filters]` of the pool's output.
    #[inline]
    pub fn output_shape(&self, batch: usize) -> [usize; 4] {
        self.pool.output_shape(batch)
    }

    /// How many numbers [`forward`] needs as scratch, whatever the batch.
    pub fn forward_scratch(&self) -> usize {
        Forward::scratch(self)
    }

    /// How many numbers [`grad_weight`] needs as scratch, whatever the batch.
    pub fn grad_weight_scratch(&self) -> usize {
        GradWeight::scratch(self)
    }

    /// How many numbers [`grad_input`] needs as scratch, whatever the batch.
    pub fn grad_input_scratch(&self) -> usize {
        GradInput::scratch(self)
    }
}

/// The operation: where its windows lie and what it does beside summing and pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvPool2d {
    /// Where the windows lie.
    pub geometry: ConvPool2dGeometry,
    /// Whether a ReLU lies between convolution and pool (or behind the pool, which is the same).
    pub relu: bool,
    /// Which of several equal maxima of a window take its gradient.
    pub ties: Ties,
}

/// As [`naive::conv_pool2d::forward`], with [`ConvPool2dGeometry::forward_scratch`] numbers of scratch.
///
/// # Errors
/// An operand whose shape does not fit the geometry or that is not contiguous; too little scratch.
#[expect(clippy::too_many_arguments, reason = "one for each tensor")]
pub fn forward(
    kernels: Kernels,
    op: &ConvPool2d,
    x: ArrayView4<f32>,
    weight: ArrayView4<f32>,
    bias: Option<ArrayView1<f32>>,
    y: ArrayViewMut4<f32>,
    takes: Option<ArrayViewMut4<u8>>,
    scratch: &mut [f32],
) -> Result<()> {
    let geometry = &op.geometry;
    let scratch = aligned(scratch, geometry.forward_scratch())?;
    if kernels == Kernels::NAIVE {
        return naive::conv_pool2d::forward(op, x, weight, bias, y, takes);
    }
    let batch = x.dim().0;
    let x = slice("x", x, &geometry.input_shape(batch))?;
    let weight = slice("weight", weight, &geometry.conv.weight_shape())?;
    let bias = bias.map(|bias| slice("bias", bias, &[geometry.conv.filters])).transpose()?;
    let y = slice_mut("y", y, &geometry.output_shape(batch))?;
    let takes = takes.map(|takes| slice_mut("takes", takes, &geometry.output_shape(batch))).transpose()?;
    dispatch(kernels, Forward { op, x, weight, bias, y, takes, scratch });
    Ok(())
}

/// As [`naive::conv_pool2d::grad_weight`], with [`ConvPool2dGeometry::grad_weight_scratch`] numbers of scratch.
/// The padding is zeros, which an infinite gradient makes NaN.
///
/// # Errors
/// An operand whose shape does not fit the geometry or that is not contiguous; too little scratch.
#[expect(clippy::too_many_arguments, reason = "one for each tensor")]
pub fn grad_weight(
    kernels: Kernels,
    op: &ConvPool2d,
    x: ArrayView4<f32>,
    dy: ArrayView4<f32>,
    takes: ArrayView4<u8>,
    dweight: ArrayViewMut4<f32>,
    dbias: Option<ArrayViewMut1<f32>>,
    scratch: &mut [f32],
) -> Result<()> {
    let geometry = &op.geometry;
    let scratch = lent(scratch, geometry.grad_weight_scratch())?;
    if kernels == Kernels::NAIVE {
        return naive::conv_pool2d::grad_weight(op, x, dy, takes, dweight, dbias);
    }
    let batch = x.dim().0;
    let x = slice("x", x, &geometry.input_shape(batch))?;
    let dy = slice("dy", dy, &geometry.output_shape(batch))?;
    let takes = slice("takes", takes, &geometry.output_shape(batch))?;
    let dweight = slice_mut("dweight", dweight, &geometry.conv.weight_shape())?;
    let dbias = dbias.map(|dbias| slice_mut("dbias", dbias, &[geometry.conv.filters])).transpose()?;
    dispatch(kernels, GradWeight { op, x, dy, takes, dweight, dbias, scratch });
    Ok(())
}

/// As [`naive::conv_pool2d::grad_input`], with [`ConvPool2dGeometry::grad_input_scratch`] numbers of scratch.
///
/// # Errors
/// An operand whose shape does not fit the geometry or that is not contiguous; too little scratch.
pub fn grad_input(
    kernels: Kernels,
    op: &ConvPool2d,
    dy: ArrayView4<f32>,
    takes: ArrayView4<u8>,
    weight: ArrayView4<f32>,
    dx: ArrayViewMut4<f32>,
    scratch: &mut [f32],
) -> Result<()> {
    let geometry = &op.geometry;
    let scratch = lent(scratch, geometry.grad_input_scratch())?;
    if kernels == Kernels::NAIVE {
        return naive::conv_pool2d::grad_input(op, dy, takes, weight, dx);
    }
    let batch = dy.dim().0;
    let dy = slice("dy", dy, &geometry.output_shape(batch))?;
    let takes = slice("takes", takes, &geometry.output_shape(batch))?;
    let weight = slice("weight", weight, &geometry.conv.weight_shape())?;
    let dx = slice_mut("dx", dx, &geometry.input_shape(batch))?;
    dispatch(kernels, GradInput { geometry, dy, takes, weight, dx, scratch });
    Ok(())
}
