//! The speed of every kernel on named shapes, in multiply-adds ("elem") a second; of pooling, in values.
//!
//! `cargo bench -p tensor-ops`, with a filter such as `conv-forward` behind `--`. Each result is compared with
//! the naive loops before it is timed; `cargo test --benches` stops there.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main, measurement,
};
use ndarray::{Array, Array1, Array2, Array4, Dimension, ShapeBuilder};
use std::cell::RefCell;
use std::hint::black_box;
use tensor_ops::{
    Conv2dConfig, Conv2dGeometry, Kernels, Padding, Pool2dConfig, Pool2dGeometry, Pooling, Result, Ties,
    conv2d, dense, ndarray, pool2d,
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

/// Checks `run` against the naive loops and times it, for each of the kernels.
fn measure<D: Dimension>(
    group: &mut BenchmarkGroup<measurement::WallTime>,
    name: &str,
    mut output: Array<f32, D>,
    run: impl Fn(Kernels, &mut Array<f32, D>) -> Result<()>,
) {
    run(Kernels::NAIVE, &mut output).unwrap();
    let expected = output.clone();
    let largest = expected.iter().fold(0.0f32, |max, v| max.max(v.abs()));
    for kernels in Kernels::available().filter(|&kernels| kernels != Kernels::NAIVE) {
        output.fill(f32::NAN);
        run(kernels, &mut output).unwrap();
        let near = output.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-4 * largest);
        assert!(near, "{name}: {kernels} differs from naive");
        group.bench_function(BenchmarkId::new(name, kernels), |bencher| {
            bencher.iter(|| run(kernels, black_box(&mut output)).unwrap());
        });
    }
}

/// Numbers in −1 … 1 that do not repeat soon.
fn numbers<Sh: ShapeBuilder>(shape: Sh) -> Array<f32, Sh::Dim> {
    let mut state = 1u32;
    Array::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
}

fn convolutions(criterion: &mut Criterion) {
    for (name, input, filters, kernel, padding, stride, groups) in CONVOLUTIONS {
        let config = Conv2dConfig { padding, stride: [stride; 2], groups, ..Conv2dConfig::new([kernel; 2]) };
        let g = Conv2dGeometry::new(input, filters, &config).unwrap();
        let (x, dy) = (numbers(g.input_shape(1)), numbers(g.output_shape(1)));
        let (weight, bias) = (numbers(g.weight_shape()), numbers(filters));

        let sizes = [g.forward_scratch(), g.grad_input_scratch(), g.grad_weight_scratch()];
        let scratch = RefCell::new(vec![0.0; sizes.into_iter().max().unwrap()]);

        let mut group = criterion.benchmark_group("conv-forward");
        group.throughput(Throughput::Elements(g.multiply_adds()));
        measure(&mut group, name, Array4::zeros(dy.dim()), |kernels, y| {
            conv2d::forward(
                kernels,
                &g,
                x.view(),
                weight.view(),
                Some(bias.view()),
                y.view_mut(),
                &mut scratch.borrow_mut(),
            )
        });
        group.finish();
        let mut group = criterion.benchmark_group("conv-grad-input");
        group.throughput(Throughput::Elements(g.multiply_adds()));
        measure(&mut group, name, Array4::zeros(x.dim()), |kernels, dx| {
            conv2d::grad_input(
                kernels,
                &g,
                dy.view(),
                weight.view(),
                dx.view_mut(),
                &mut scratch.borrow_mut(),
            )
        });
        group.finish();
        let mut group = criterion.benchmark_group("conv-grad-weight");
        group.throughput(Throughput::Elements(g.multiply_adds()));
        measure(&mut group, name, Array4::zeros(weight.dim()), |kernels, dweight| {
            conv2d::grad_weight(
                kernels,
                &g,
                x.view(),
                dy.view(),
                dweight.view_mut(),
                &mut scratch.borrow_mut(),
            )
        });
        group.finish();
        let mut group = criterion.benchmark_group("conv-grad-bias");
        group.throughput(Throughput::Elements(dy.len() as u64));
        measure(&mut group, name, Array1::zeros(filters), |kernels, dbias| {
            conv2d::grad_bias(kernels, dy.view(), dbias.view_mut())
        });
        group.finish();
    }
}

fn dense_layers(criterion: &mut Criterion) {
    for (name, batch, inputs, outputs) in DENSE {
        let (x, dy) = (numbers((batch, inputs)), numbers((batch, outputs)));
        let (weight, bias) = (numbers((inputs, outputs)), numbers(outputs));
        let products = Throughput::Elements((batch * inputs * outputs) as u64);

        let mut group = criterion.benchmark_group("dense-forward");
        group.throughput(products.clone());
        measure(&mut group, name, Array2::zeros(dy.dim()), |kernels, y| {
            dense::forward(kernels, x.view(), weight.view(), Some(bias.view()), y.view_mut())
        });
        group.finish();
        let mut group = criterion.benchmark_group("dense-grad-input");
        group.throughput(products.clone());
        measure(&mut group, name, Array2::zeros(x.dim()), |kernels, dx| {
            dense::grad_input(kernels, dy.view(), weight.view(), dx.view_mut())
        });
        group.finish();
        let mut group = criterion.benchmark_group("dense-grad-weight");
        group.throughput(products);
        measure(&mut group, name, Array2::zeros(weight.dim()), |kernels, dweight| {
            dense::grad_weight(kernels, x.view(), dy.view(), dweight.view_mut())
        });
        group.finish();
    }
}

fn pools(criterion: &mut Criterion) {
    for (name, batch, input, kernel, stride) in POOLS {
        let config = Pool2dConfig { stride: [stride; 2], ..Pool2dConfig::new([kernel; 2]) };
        let g = Pool2dGeometry::new(input, &config).unwrap();
        let (x, dy) = (numbers(g.input_shape(batch)), numbers(g.output_shape(batch)));
        let pooling = Pooling::Max(Ties::First);

        let mut group = criterion.benchmark_group("maxpool-forward");
        group.throughput(Throughput::Elements(x.len() as u64));
        measure(&mut group, name, Array4::zeros(dy.dim()), |kernels, y| {
            pool2d::forward(kernels, pooling, &g, x.view(), y.view_mut())
        });
        group.finish();
        let mut group = criterion.benchmark_group("maxpool-backward");
        group.throughput(Throughput::Elements(x.len() as u64));
        measure(&mut group, name, Array4::zeros(x.dim()), |kernels, dx| {
            pool2d::backward(kernels, pooling, &g, x.view(), dy.view(), dx.view_mut())
        });
        group.finish();
    }
}

criterion_group!(benches, convolutions, dense_layers, pools);
criterion_main!(benches);
