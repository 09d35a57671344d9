//! Activations and batch normalisation.

use crate::common::Numbers;
use ndarray::Array1;
use tensor_ops::batch_norm::{Norm, Totals};
use tensor_ops::{Activation, Kernels, activation, batch_norm, ndarray};

pub fn run() -> impl FnMut(Kernels) {
    let mut numbers = Numbers(7);
    let (x, dy) = (numbers.array((3, 5, 6, 83)), numbers.array((3, 5, 6, 83)));
    let (gamma, beta) = (numbers.array(83), numbers.array(83));
    let (mut y, mut dx) = (x.clone(), x.clone());
    let (mut mean, mut variance) = (Array1::zeros(83), Array1::zeros(83));
    let (mut running_mean, mut running_variance) = (Array1::zeros(83), Array1::ones(83));
    let (mut dgamma, mut dbeta) = ([0.0; 83], [0.0; 83]);

    move |k| {
        let slope = Activation::SLOPE;
        let leaky = Activation::LeakyRelu { slope };
        for f in [Activation::Relu, leaky, Activation::Gelu, Activation::Sigmoid, Activation::Tanh] {
            activation::forward(k, f, x.view(), y.view_mut()).unwrap();
            activation::backward(k, f, x.view(), y.view(), dy.view(), dx.view_mut()).unwrap();
            activation::forward(k, f, x.view().into_dyn(), y.view_mut().into_dyn()).unwrap();
        }
        batch_norm::moments(k, x.view(), mean.view_mut(), variance.view_mut()).unwrap();
        batch_norm::sums(k, x.view(), &mut dgamma, &mut dbeta).unwrap();
        batch_norm::moments_from_sums(90, &dgamma, &dbeta, mean.view_mut(), variance.view_mut()).unwrap();
        let running = [running_mean.view_mut(), running_variance.view_mut()];
        batch_norm::update_running(0.1, 90, [mean.view(), variance.view()], running).unwrap();
        let (gamma, beta) = (gamma.view(), beta.view());
        let norm = Norm { mean: mean.view(), variance: variance.view(), epsilon: 1e-5, gamma, beta };
        batch_norm::normalize(k, &norm, x.view(), y.view_mut()).unwrap();
        batch_norm::gradient_sums(k, &norm, x.view(), dy.view(), &mut dgamma, &mut dbeta).unwrap();
        let totals = Totals { count: 90, dgamma: &dgamma, dbeta: &dbeta };
        batch_norm::grad_input_train(k, &norm, &totals, x.view(), dy.view(), dx.view_mut()).unwrap();
        batch_norm::grad_input_eval(k, &norm, dy.view(), dx.view_mut()).unwrap();
    }
}
