//! The fast functions on named shapes, one call each, for the benches to time or to count.

use ndarray::{Array, Array1, Array2, Array4, ArrayViewMut, Dim, Dimension, Ix4, ShapeBuilder};
use std::cell::RefCell;
use tensor_ops::{
    Conv2dConfig, Conv2dGeometry, ConvPool2d, ConvPool2dGeometry, Kernels, Padding, Pool2dConfig,
    Pool2dGeometry, Pooling, Result, Ties, WinogradGeometry, conv_pool2d, conv2d, dense, ndarray, pool2d,
    winograd,
};

/// Name, input, filters, kernel, padding, stride, groups.
type Convolution = (&'static str, [usize; 3], usize, usize, Padding, usize, usize);

const CONVOLUTIONS: [Convolution; 9] = [
    ("tutorial 28x28x1-8", [28, 28, 1], 8, 3, Padding::Valid, 1, 1),
    ("mnist-example 28x28x1-32", [28, 28, 1], 32, 3, Padding::Valid, 1, 1),
    ("mnist-example 26x26x32-64", [26, 26, 32], 64, 3, Padding::Valid, 1, 1),
    ("lenet 28x28x1-6", [28, 28, 1], 6, 5, Padding::Same, 1, 1),
    ("lenet 14x14x6-16", [14, 14, 6], 16, 5, Padding::Valid, 1, 1),
    ("same 28x28x16-16", [28, 28, 16], 16, 3, Padding::Same, 1, 1),
    ("same 14x14x32-32", [14, 14, 32], 32, 3, Padding::Same, 1, 1),
    ("strided 28x28x16-32", [28, 28, 16], 32, 3, Padding::Same, 2, 1),
    ("depthwise 28x28x32", [28, 28, 32], 32, 3, Padding::Same, 1, 32),
];

/// Name, input, filters, padding of a 3×3 convolution by Winograd's algorithm.
const WINOGRAD: [(&str, [usize; 3], usize, Padding); 2] = [
    ("mnist-example 26x26x32-64", [26, 26, 32], 64, Padding::Valid),
    ("same 14x14x32-32", [14, 14, 32], 32, Padding::Same),
];

/// Name, input, filters, kernel, padding of a convolution with a ReLU and a 2×2 max-pool behind it.
const POOLED: [(&str, [usize; 3], usize, usize, Padding); 4] = [
    ("tutorial 28x28x1-8", [28, 28, 1], 8, 3, Padding::Valid),
    ("mnist-example 26x26x32-64", [26, 26, 32], 64, 3, Padding::Valid),
    ("lenet 28x28x1-6", [28, 28, 1], 6, 5, Padding::Same),
    ("lenet 14x14x6-16", [14, 14, 6], 16, 5, Padding::Valid),
];

/// Name, batch, inputs, outputs.
const DENSE: [(&str, usize, usize, usize); 3] = [
    ("tutorial 1352-10", 1, 1352, 10),
    ("mnist-example 9216-128 x64", 64, 9216, 128),
    ("mnist-example 128-10 x64", 64, 128, 10),
];

/// Name, batch, input, kernel, stride.
const POOLS: [(&str, usize, [usize; 3], usize, usize); 3] = [
    ("tutorial 26x26x8", 1, [26, 26, 8], 2, 2),
    ("mnist-example 24x24x64", 1, [24, 24, 64], 2, 2),
    ("overlapping 24x24x16", 1, [24, 24, 16], 3, 2),
];

/// A function with its operands.
pub struct Call<'a> {
    /// What is computed.
    pub group: &'static str,
    /// The name of the shape.
    pub shape: &'static str,
    /// What a second's work is counted in: multiply-adds; values, for a pool.
    pub elements: u64,
    /// Numbers in the output.
    pub len: usize,
    /// Writes the output.
    pub run: &'a dyn Fn(Kernels, &mut [f32]) -> Result<()>,
}

/// Makes each call in turn and shows it to `visit`.
pub fn for_each(mut visit: impl FnMut(Call)) {
    CONVOLUTIONS.into_iter().for_each(|convolution| visit_convolution(convolution, &mut visit));
    WINOGRAD.into_iter().for_each(|winograd| visit_winograd(winograd, &mut visit));
    POOLED.into_iter().for_each(|pooled| visit_pooled(pooled, &mut visit));
    DENSE.into_iter().for_each(|dense| visit_dense(dense, &mut visit));
    POOLS.into_iter().for_each(|pool| visit_pool(pool, &mut visit));
}

fn visit_convolution(
    (shape, input, filters, kernel, padding, stride, groups): Convolution,
    visit: &mut impl FnMut(Call),
) {
    let config = Conv2dConfig { padding, stride: [stride; 2], groups, ..Conv2dConfig::new([kernel; 2]) };
    let g = Conv2dGeometry::new(input, filters, &config).unwrap();
    let (x, dy): (Array4<f32>, Array4<f32>) = (numbers(g.input_shape(1)), numbers(g.output_shape(1)));
    let (weight, bias): (Array4<f32>, Array1<f32>) = (numbers(g.weight_shape()), numbers(filters));
    let products = g.multiply_adds();
    let sizes = [g.forward_scratch(), g.grad_input_scratch(), g.grad_weight_scratch()];
    let scratch = RefCell::new(vec![0.0; sizes.into_iter().max().unwrap()]);

    call(visit, "conv-forward", shape, products, dy.raw_dim(), |kernels, y| {
        let scratch = &mut scratch.borrow_mut();
        conv2d::forward(kernels, &g, x.view(), weight.view(), Some(bias.view()), y, scratch)
    });
    call(visit, "conv-grad-input", shape, products, x.raw_dim(), |kernels, dx| {
        conv2d::grad_input(kernels, &g, dy.view(), weight.view(), dx, &mut scratch.borrow_mut())
    });
    call(visit, "conv-grad-weight", shape, products, weight.raw_dim(), |kernels, dweight| {
        conv2d::grad_weight(kernels, &g, x.view(), dy.view(), dweight, &mut scratch.borrow_mut())
    });
    call(visit, "conv-grad-bias", shape, dy.len() as u64, bias.raw_dim(), |kernels, dbias| {
        conv2d::grad_bias(kernels, dy.view(), dbias)
    });
}

/// The weights are transformed anew in each call, and the work is counted as that of the direct convolution, which is also what
/// the plain loops do.
fn visit_winograd(
    (shape, input, filters, padding): (&'static str, [usize; 3], usize, Padding),
    visit: &mut impl FnMut(Call),
) {
    let config = Conv2dConfig { padding, ..Conv2dConfig::new([3, 3]) };
    let conv = Conv2dGeometry::new(input, filters, &config).unwrap();
    let g = WinogradGeometry::new(&conv).unwrap();
    let (x, weight): (Array4<f32>, Array4<f32>) = (numbers(g.input_shape(1)), numbers(g.weight_shape()));
    let bias: Array1<f32> = numbers(filters);
    let bias = Some(bias.view());
    let sizes = [conv.forward_scratch(), g.scratch(), g.transformed_weight()];
    let [direct, scratch, transformed] = sizes.map(|len| RefCell::new(vec![0.0; len]));

    let output = Dim(g.output_shape(1));
    call(visit, "winograd-forward", shape, conv.multiply_adds(), output, |kernels, y| {
        if kernels == Kernels::NAIVE {
            let direct = &mut direct.borrow_mut();
            return conv2d::forward(kernels, &conv, x.view(), weight.view(), bias, y, direct);
        }
        let (scratch, transformed) = (&mut scratch.borrow_mut(), &mut transformed.borrow_mut());
        winograd::transform_weight(kernels, &g, weight.view(), transformed)?;
        winograd::forward(kernels, &g, x.view(), transformed, bias, y, scratch)
    });
}

/// The work is counted as that of the convolution alone, all places of all windows included.
fn visit_pooled(
    (shape, input, filters, kernel, padding): (&'static str, [usize; 3], usize, usize, Padding),
    visit: &mut impl FnMut(Call),
) {
    let config = Conv2dConfig { padding, ..Conv2dConfig::new([kernel; 2]) };
    let conv = Conv2dGeometry::new(input, filters, &config).unwrap();
    let [_, rows, columns, _] = conv.output_shape(1);
    let pool = Pool2dGeometry::new([rows, columns, filters], &Pool2dConfig::new([2, 2])).unwrap();
    let geometry = ConvPool2dGeometry::new(conv, pool).unwrap();
    let op = ConvPool2d { geometry, relu: true, ties: Ties::First };
    let (x, dy): (Array4<f32>, Array4<f32>) =
        (numbers(geometry.input_shape(1)), numbers(geometry.output_shape(1)));
    let (weight, bias): (Array4<f32>, Array1<f32>) = (numbers(conv.weight_shape()), numbers(filters));
    let sizes = [geometry.forward_scratch(), geometry.grad_input_scratch(), geometry.grad_weight_scratch()];
    let scratch = RefCell::new(vec![0.0; sizes.into_iter().max().unwrap()]);
    let mut y = Array4::zeros(dy.raw_dim());
    let takes = RefCell::new(Array4::zeros(dy.raw_dim()));
    let bias = Some(bias.view());
    let forward = |kernels, y: ArrayViewMut<f32, Ix4>| {
        let (takes, scratch) = (&mut takes.borrow_mut(), &mut scratch.borrow_mut());
        conv_pool2d::forward(kernels, &op, x.view(), weight.view(), bias, y, Some(takes.view_mut()), scratch)
    };
    forward(Kernels::NAIVE, y.view_mut()).unwrap();
    let fixed = takes.borrow().clone();
    let products = conv.multiply_adds();

    call(visit, "conv-pool-forward", shape, products, dy.raw_dim(), forward);
    call(visit, "conv-pool-grad-input", shape, products, x.raw_dim(), |kernels, dx| {
        let scratch = &mut scratch.borrow_mut();
        conv_pool2d::grad_input(kernels, &op, dy.view(), fixed.view(), weight.view(), dx, scratch)
    });
    call(visit, "conv-pool-grad-weight", shape, products, weight.raw_dim(), |kernels, dweight| {
        let scratch = &mut scratch.borrow_mut();
        conv_pool2d::grad_weight(kernels, &op, x.view(), dy.view(), fixed.view(), dweight, None, scratch)
    });
}

fn visit_dense(
    (shape, batch, inputs, outputs): (&'static str, usize, usize, usize),
    visit: &mut impl FnMut(Call),
) {
    let (x, dy): (Array2<f32>, Array2<f32>) = (numbers((batch, inputs)), numbers((batch, outputs)));
    let (weight, bias): (Array2<f32>, Array1<f32>) = (numbers((inputs, outputs)), numbers(outputs));
    let products = (batch * inputs * outputs) as u64;

    call(visit, "dense-forward", shape, products, dy.raw_dim(), |kernels, y| {
        dense::forward(kernels, x.view(), weight.view(), Some(bias.view()), y)
    });
    call(visit, "dense-grad-input", shape, products, x.raw_dim(), |kernels, dx| {
        dense::grad_input(kernels, dy.view(), weight.view(), dx)
    });
    call(visit, "dense-grad-weight", shape, products, weight.raw_dim(), |kernels, dweight| {
        dense::grad_weight(kernels, x.view(), dy.view(), dweight)
    });
}

fn visit_pool(
    (shape, batch, input, kernel, stride): (&'static str, usize, [usize; 3], usize, usize),
    visit: &mut impl FnMut(Call),
) {
    let config = Pool2dConfig { stride: [stride; 2], ..Pool2dConfig::new([kernel; 2]) };
    let g = Pool2dGeometry::new(input, &config).unwrap();
    let (x, dy): (Array4<f32>, Array4<f32>) = (numbers(g.input_shape(batch)), numbers(g.output_shape(batch)));
    let pooling = Pooling::Max(Ties::First);

    call(visit, "maxpool-forward", shape, x.len() as u64, dy.raw_dim(), |kernels, y| {
        pool2d::forward(kernels, pooling, &g, x.view(), y)
    });
    call(visit, "maxpool-backward", shape, x.len() as u64, x.raw_dim(), |kernels, dx| {
        pool2d::backward(kernels, pooling, &g, x.view(), dy.view(), dx)
    });
}

/// Shows a call whose output has the dimensions `output`.
fn call<D: Dimension>(
    visit: &mut impl FnMut(Call),
    group: &'static str,
    shape: &'static str,
    elements: u64,
    output: D,
    run: impl Fn(Kernels, ArrayViewMut<f32, D>) -> Result<()>,
) {
    let len = output.size();
    let run = |kernels, y: &mut [f32]| {
        run(kernels, ArrayViewMut::from_shape(output.clone(), y).expect("the output has this many numbers"))
    };
    visit(Call { group, shape, elements, len, run: &run });
}

/// Numbers in −1 … 1 that do not repeat soon.
fn numbers<Sh: ShapeBuilder>(shape: Sh) -> Array<f32, Sh::Dim> {
    let mut state = 1u32;
    Array::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
}
