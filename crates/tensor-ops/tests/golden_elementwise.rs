//! The reference tensors of the elementwise operations and of batch normalisation, against `naive` in `f64` and
//! `f32` and against all kernels. The other operations are in `golden.rs`.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::golden::{Case, F32, F64, exactly, for_each_case, nan};
use ndarray::{Array1, Array4, ArrayD, NdFloat};
use serde_json::Value;
use tensor_ops::batch_norm::{Norm, Totals};
use tensor_ops::{Activation, Kernels, activation, batch_norm, naive, ndarray};

#[test]
fn golden_elementwise_cases() {
    for_each_case(|case, op| match op {
        "relu" => elementwise(case, Activation::Relu),
        "leaky_relu" => {
            let slope = case.setting("slope").or_else(|| case.setting("negative_slope"));
            elementwise(case, Activation::LeakyRelu { slope: number(slope).unwrap_or(0.01) as f32 });
        }
        "gelu" => match case.text("approximate") {
            None | Some("none") => elementwise(case, Activation::Gelu),
            Some(other) => panic!("{}: unknown approximation {other:?}", case.file),
        },
        "sigmoid" => elementwise(case, Activation::Sigmoid),
        "tanh" => elementwise(case, Activation::Tanh),
        "batch_norm2d" => normalization(case),
        _ => (),
    });
}

fn number(setting: Option<&Value>) -> Option<f64> {
    setting.map(|value| value.as_f64().unwrap_or_else(|| panic!("expected a number, found {value}")))
}

fn elementwise(case: &Case, f: Activation) {
    let x: ArrayD<f32> = case.tensor("x");
    let dy: ArrayD<f32> = case.tensor("dy");

    fn run_naive<T: NdFloat>(f: Activation, x: &ArrayD<f32>, dy: &ArrayD<f32>) -> [ArrayD<T>; 2] {
        let (x, dy) = (x.mapv(exactly), dy.mapv(exactly));
        let (mut y, mut dx) = (nan(x.raw_dim()), nan(x.raw_dim()));
        naive::activation::forward(f, x.view(), y.view_mut()).unwrap();
        naive::activation::backward(f, x.view(), y.view(), dy.view(), dx.view_mut()).unwrap();
        [y, dx]
    }
    // The slope is an f32, and so is its error.
    let tolerance = if let Activation::LeakyRelu { .. } = f { f32::EPSILON.into() } else { F64 };
    let [y, dx] = run_naive::<f64>(f, &x, &dy);
    case.check("naive f64", tolerance, [("y", &y), ("dx", &dx)]);
    let [y, dx] = run_naive::<f32>(f, &x, &dy);
    case.check("naive f32", F32, [("y", &y), ("dx", &dx)]);
    for kernels in Kernels::available() {
        let (mut y, mut dx) = (nan(x.raw_dim()), nan(x.raw_dim()));
        activation::forward(kernels, f, x.view(), y.view_mut()).unwrap();
        activation::backward(kernels, f, x.view(), y.view(), dy.view(), dx.view_mut()).unwrap();
        case.check(kernels, F32, [("y", &y), ("dx", &dx)]);
    }
}

fn normalization(case: &Case) {
    let [x, dy]: [Array4<f32>; 2] = ["x", "dy"].map(|name| case.tensor(name));
    let names = ["gamma", "beta", "running_mean", "running_var"];
    let [gamma, beta, running_mean, running_var]: [Array1<f32>; 4] = names.map(|name| case.tensor(name));
    let channels = gamma.raw_dim();
    let epsilon = number(case.setting("eps")).unwrap_or(1e-5);
    let momentum = number(case.setting("momentum")).unwrap_or(0.1);

    let check_naive = |who, tolerance, results: ([Array4<f64>; 3], [Array1<f64>; 4])| {
        let ([y, y_eval, dx], [dgamma, dbeta, running_mean, running_var]) = results;
        case.check(who, tolerance, [("y_train", &y), ("y_eval", &y_eval), ("dx", &dx)]);
        case.check(who, tolerance, [("dgamma", &dgamma), ("dbeta", &dbeta)]);
        let running = [("new_running_mean", &running_mean), ("new_running_var", &running_var)];
        case.check(who, tolerance, running);
    };
    let parameters = [&gamma, &beta, &running_mean, &running_var];
    check_naive("naive f64", F64, run_naive::<f64>([&x, &dy], parameters, [epsilon, momentum]));
    check_naive("naive f32", F32, run_naive::<f32>([&x, &dy], parameters, [epsilon, momentum]));

    for kernels in Kernels::available() {
        let (mut mean, mut variance) = (nan(channels), nan(channels));
        let (mut y, mut y_eval, mut dx) = (nan(x.raw_dim()), nan(x.raw_dim()), nan(x.raw_dim()));
        let epsilon = epsilon as f32;
        batch_norm::moments(kernels, x.view(), mean.view_mut(), variance.view_mut()).unwrap();
        let (gamma, beta) = (gamma.view(), beta.view());
        let norm = Norm { mean: mean.view(), variance: variance.view(), epsilon, gamma, beta };
        batch_norm::normalize(kernels, &norm, x.view(), y.view_mut()).unwrap();
        let running = Norm { mean: running_mean.view(), variance: running_var.view(), ..norm };
        batch_norm::normalize(kernels, &running, x.view(), y_eval.view_mut()).unwrap();

        let (mut dgamma, mut dbeta) = (nan::<f64, _>(channels), nan::<f64, _>(channels));
        let sums = [&mut dgamma, &mut dbeta].map(|sum| sum.as_slice_mut().unwrap());
        let [sum_gamma, sum_beta] = sums;
        batch_norm::gradient_sums(kernels, &norm, x.view(), dy.view(), sum_gamma, sum_beta).unwrap();
        let totals = Totals { count: x.len() / channels[0], dgamma: sum_gamma, dbeta: sum_beta };
        batch_norm::grad_input_train(kernels, &norm, &totals, x.view(), dy.view(), dx.view_mut()).unwrap();

        case.check(kernels, F32, [("y_train", &y), ("y_eval", &y_eval), ("dx", &dx)]);
        case.check(kernels, F32, [("dgamma", &dgamma), ("dbeta", &dbeta)]);
    }
}

/// The outputs in training and evaluation and the input's gradient; the parameters' gradients and the new
/// running statistics.
fn run_naive<T: NdFloat + Into<f64>>(
    [x, dy]: [&Array4<f32>; 2],
    parameters: [&Array1<f32>; 4],
    [epsilon, momentum]: [f64; 2],
) -> ([Array4<f64>; 3], [Array1<f64>; 4]) {
    let (x, dy): (Array4<T>, Array4<T>) = (x.mapv(exactly), dy.mapv(exactly));
    let parameters: [Array1<T>; 4] = parameters.map(|values| values.mapv(exactly));
    let [gamma, beta, mut running_mean, mut running_var] = parameters;
    let (gamma, beta) = (gamma.view(), beta.view());
    let [epsilon, momentum]: [T; 2] = [epsilon, momentum].map(|value| T::from(value).unwrap());

    let [mut y, mut y_eval, mut dx] = [(); 3].map(|()| nan(x.raw_dim()));
    let [mut mean, mut variance, mut dgamma, mut dbeta] = [(); 4].map(|()| nan(gamma.raw_dim()));
    let statistics = [mean.view_mut(), variance.view_mut()];
    naive::batch_norm::forward_train(x.view(), [gamma, beta], epsilon, statistics, y.view_mut()).unwrap();
    let running = Norm { mean: running_mean.view(), variance: running_var.view(), epsilon, gamma, beta };
    naive::batch_norm::forward_eval(&running, x.view(), y_eval.view_mut()).unwrap();

    let norm = Norm { mean: mean.view(), variance: variance.view(), epsilon, gamma, beta };
    let gradients = [dgamma.view_mut(), dbeta.view_mut()];
    naive::batch_norm::backward_train(&norm, x.view(), dy.view(), gradients, dx.view_mut()).unwrap();

    let (count, batch) = (x.len() / gamma.len(), [mean.view(), variance.view()]);
    let running = [running_mean.view_mut(), running_var.view_mut()];
    naive::batch_norm::update_running(momentum, count, batch, running).unwrap();
    (
        [y, y_eval, dx].map(|array| array.mapv(Into::into)),
        [dgamma, dbeta, running_mean, running_var].map(|array| array.mapv(Into::into)),
    )
}
