//! Every reference tensor of a folder, against `naive` in `f64` and `f32` and against all kernels.
//!
//! The elementwise operations and the normalisation are in `golden_elementwise.rs`.

mod common;

use common::golden::{Case, F32, F64, exactly, for_each_case, nan};
use common::scratch;
use ndarray::{Array, Array1, Array2, Array4, ArrayView1, NdFloat};
use serde_json::Value;
use tensor_ops::{
    Conv2dConfig, Conv2dGeometry, Kernels, Pool2dConfig, Pool2dGeometry, Pooling, Ties, conv2d, naive,
    ndarray, pool2d, softmax,
};

/// Operations that `golden_elementwise.rs` or other crates check.
const ELSEWHERE: [&str; 8] =
    ["batch_norm2d", "relu", "leaky_relu", "gelu", "sigmoid", "tanh", "optimizer", "train"];

#[test]
fn golden_cases() {
    for_each_case(|case, op| match op {
        "conv2d" => convolution(case),
        "max_pool2d" | "min_pool2d" | "avg_pool2d" => pooling(case, op),
        "softmax_cross_entropy" => loss(case),
        op if ELSEWHERE.contains(&op) || op.starts_with("seed network") => (),
        op => panic!("{}: unknown op {op:?}", case.file),
    });
}

fn convolution(case: &Case) {
    let x: Array4<f32> = case.tensor("x");
    let weight: Array4<f32> = case.tensor("weight");
    let bias: Option<Array1<f32>> = case.has("bias").then(|| case.tensor("bias"));
    let dy: Array4<f32> = case.tensor("dy");
    let (batch, height, width, channels) = x.dim();
    let config = Conv2dConfig {
        kernel: [weight.dim().0, weight.dim().1],
        stride: case.pair("stride").unwrap_or([1, 1]),
        padding: case.padding(),
        dilation: case.pair("dilation").unwrap_or([1, 1]),
        groups: case.setting("groups").and_then(Value::as_u64).unwrap_or(1) as usize,
    };
    let g = Conv2dGeometry::new([height, width, channels], weight.dim().3, &config).unwrap();
    assert_eq!(dy.shape(), g.output_shape(batch), "{}: shape of dy", case.file);

    fn run_naive<T: NdFloat>(
        g: &Conv2dGeometry,
        [x, weight, dy]: [&Array4<f32>; 3],
        bias: &Option<Array1<f32>>,
    ) -> (Array4<T>, Array4<T>, Array4<T>, Array1<T>) {
        let (x, weight, dy) = (x.mapv(exactly), weight.mapv(exactly), dy.mapv(exactly));
        let bias = bias.as_ref().map(|bias| bias.mapv(exactly));
        let (mut y, mut dx, mut dweight) = (nan(dy.raw_dim()), nan(x.raw_dim()), nan(weight.raw_dim()));
        let mut dbias = nan(ndarray::Ix1(weight.dim().3));
        let bias = bias.as_ref().map(|bias| bias.view());
        naive::conv2d::forward(g, x.view(), weight.view(), bias, y.view_mut()).unwrap();
        naive::conv2d::grad_input(g, dy.view(), weight.view(), dx.view_mut()).unwrap();
        naive::conv2d::grad_weight(g, x.view(), dy.view(), dweight.view_mut()).unwrap();
        naive::conv2d::grad_bias(dy.view(), dbias.view_mut()).unwrap();
        (y, dx, dweight, dbias)
    }
    let operands = [&x, &weight, &dy];
    let (y, dx, dweight, dbias) = run_naive::<f64>(&g, operands, &bias);
    case.check("naive f64", F64, [("y", &y), ("dx", &dx), ("dweight", &dweight)]);
    case.check("naive f64", F64, [("dbias", &dbias)]);
    let (y, dx, dweight, dbias) = run_naive::<f32>(&g, operands, &bias);
    case.check("naive f32", F32, [("y", &y), ("dx", &dx), ("dweight", &dweight)]);
    case.check("naive f32", F32, [("dbias", &dbias)]);

    for kernels in Kernels::available() {
        let (mut y, mut dx, mut dweight) = (nan(dy.raw_dim()), nan(x.raw_dim()), nan(weight.raw_dim()));
        let mut dbias = nan(ndarray::Ix1(weight.dim().3));
        let bias: Option<ArrayView1<f32>> = bias.as_ref().map(|bias| bias.view());
        conv2d::forward(
            kernels,
            &g,
            x.view(),
            weight.view(),
            bias,
            y.view_mut(),
            &mut scratch(g.forward_scratch()),
        )
        .unwrap();
        conv2d::grad_input(
            kernels,
            &g,
            dy.view(),
            weight.view(),
            dx.view_mut(),
            &mut scratch(g.grad_input_scratch()),
        )
        .unwrap();
        conv2d::grad_weight(
            kernels,
            &g,
            x.view(),
            dy.view(),
            dweight.view_mut(),
            &mut scratch(g.grad_weight_scratch()),
        )
        .unwrap();
        conv2d::grad_bias(kernels, dy.view(), dbias.view_mut()).unwrap();
        case.check(kernels, F32, [("y", &y), ("dx", &dx), ("dweight", &dweight)]);
        case.check(kernels, F32, [("dbias", &dbias)]);
    }
}

fn pooling(case: &Case, op: &str) {
    let x: Array4<f32> = case.tensor("x");
    let dy: Array4<f32> = case.tensor("dy");
    let ties = match case.text("ties") {
        Some(ties) if ties.starts_with("all") => Ties::All,
        Some(ties) if !ties.starts_with("first") => panic!("{}: unknown ties {ties:?}", case.file),
        _ => Ties::First,
    };
    let count_padding = case.setting("count_include_pad").and_then(Value::as_bool).unwrap_or(true);
    let pooling = match op {
        "max_pool2d" => Pooling::Max(ties),
        "min_pool2d" => Pooling::Min(ties),
        _ => Pooling::Average { count_padding },
    };
    let kernel = case.pair("kernel").unwrap_or_else(|| panic!("{}: no kernel", case.file));
    let stride = case.pair("stride").unwrap_or(kernel);
    let (batch, height, width, channels) = x.dim();
    let config = Pool2dConfig { kernel, stride, padding: case.padding() };
    let g = Pool2dGeometry::new([height, width, channels], &config).unwrap();
    assert_eq!(dy.shape(), g.output_shape(batch), "{}: shape of dy", case.file);

    fn run_naive<T: NdFloat>(
        pooling: Pooling,
        g: &Pool2dGeometry,
        x: &Array4<f32>,
        dy: &Array4<f32>,
    ) -> (Array4<T>, Array4<T>) {
        let (x, dy) = (x.mapv(exactly), dy.mapv(exactly));
        let (mut y, mut dx) = (nan(dy.raw_dim()), nan(x.raw_dim()));
        naive::pool2d::forward(pooling, g, x.view(), y.view_mut()).unwrap();
        naive::pool2d::backward(pooling, g, x.view(), dy.view(), dx.view_mut()).unwrap();
        (y, dx)
    }
    let (y, dx) = run_naive::<f64>(pooling, &g, &x, &dy);
    case.check("naive f64", F64, [("y", &y), ("dx", &dx)]);
    let (y, dx) = run_naive::<f32>(pooling, &g, &x, &dy);
    case.check("naive f32", F32, [("y", &y), ("dx", &dx)]);
    for kernels in Kernels::available() {
        let (mut y, mut dx) = (nan(dy.raw_dim()), nan(x.raw_dim()));
        pool2d::forward(kernels, pooling, &g, x.view(), y.view_mut()).unwrap();
        pool2d::backward(kernels, pooling, &g, x.view(), dy.view(), dx.view_mut()).unwrap();
        case.check(kernels, F32, [("y", &y), ("dx", &dx)]);
    }
}

fn loss(case: &Case) {
    let logits: Array2<f32> = case.tensor("logits");
    let labels: Array1<i64> = case.tensor("labels");
    let labels: Vec<usize> = labels.iter().map(|&label| label as usize).collect();
    let batch = labels.len();

    /// Probabilities, gradient and each row's loss.
    fn run_naive<T: NdFloat>(logits: &Array2<f32>, labels: &[usize]) -> (Array2<T>, Array2<T>, Vec<T>) {
        let logits = logits.mapv(exactly);
        let (mut probabilities, mut dlogits) = (nan(logits.raw_dim()), nan(logits.raw_dim()));
        naive::softmax::forward(logits.view(), probabilities.view_mut()).unwrap();
        naive::softmax::cross_entropy_backward(probabilities.view(), labels, dlogits.view_mut()).unwrap();
        let row =
            |n| naive::softmax::cross_entropy(logits.slice(ndarray::s![n..=n, ..]), &labels[n..=n]).unwrap();
        (probabilities, dlogits, (0..labels.len()).map(row).collect())
    }
    // The crate's loss is the mean; the other reductions follow from it.
    let reduction = case.text("reduction").unwrap_or("mean");
    let scale = if reduction == "mean" { 1.0 } else { batch as f64 };
    let reduce = |losses: Vec<f64>, mean: f64| match reduction {
        "mean" => Array::from_elem(1, mean),
        "sum" => Array::from_elem(1, mean * scale),
        "none" => Array1::from(losses),
        other => panic!("{}: unknown reduction {other:?}", case.file),
    };

    let (probabilities, dlogits, losses) = run_naive::<f64>(&logits, &labels);
    let mean = naive::softmax::cross_entropy(logits.mapv(f64::from).view(), &labels).unwrap();
    case.check("naive f64", F64, [("probabilities", &probabilities), ("dlogits", &(dlogits * scale))]);
    case.check("naive f64", F64, [("loss", &reduce(losses, mean))]);

    let (probabilities, dlogits, losses) = run_naive::<f32>(&logits, &labels);
    let mean = naive::softmax::cross_entropy(logits.view(), &labels).unwrap();
    case.check("naive f32", F32, [("probabilities", &probabilities), ("dlogits", &(dlogits * scale as f32))]);
    case.check(
        "naive f32",
        F32,
        [("loss", &reduce(losses.into_iter().map(f64::from).collect(), mean.into()))],
    );

    let (mut probabilities, mut dlogits) = (nan(logits.raw_dim()), nan(logits.raw_dim()));
    softmax::forward(logits.view(), probabilities.view_mut()).unwrap();
    softmax::cross_entropy_backward(probabilities.view(), &labels, dlogits.view_mut()).unwrap();
    let row = |n| softmax::cross_entropy(logits.slice(ndarray::s![n..=n, ..]), &labels[n..=n]).unwrap();
    let losses = (0..batch).map(|n| f64::from(row(n))).collect();
    let mean = softmax::cross_entropy(logits.view(), &labels).unwrap();
    case.check("fast", F32, [("probabilities", &probabilities), ("dlogits", &(dlogits * scale as f32))]);
    case.check("fast", F32, [("loss", &reduce(losses, mean.into()))]);
}
