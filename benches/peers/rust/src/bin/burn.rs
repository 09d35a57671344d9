//! The workloads in burn, on its CPU backend `flex`.

#![forbid(unsafe_code)]

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, GradientsParams, SgdConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use peers::{Layer, Optimizer, Result, Shape, Workload};

/// A layer on maps.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)]
enum OnMaps {
    Conv(Conv2d),
    BatchNorm(BatchNorm),
    Relu(Relu),
    MaxPool(MaxPool2d),
    Residual(Residual),
}

/// A layer without parameters.
#[derive(Module, Debug)]
struct Relu {}

#[derive(Module, Debug)]
struct Residual {
    body: Vec<OnMaps>,
    shortcut: Vec<OnMaps>,
}

#[derive(Module, Debug)]
struct Network {
    maps: Vec<OnMaps>,
    /// Whether the maps are averaged before the first dense layer.
    averaged: bool,
    dense: Vec<Linear>,
}

fn on_maps(layers: &[Layer], mut shape: Shape, device: &Device) -> Vec<OnMaps> {
    let mut built = Vec::new();
    for layer in layers {
        built.push(match layer {
            &Layer::Conv { channels, size, pad, stride, bias } => {
                let config = Conv2dConfig::new([shape.channels, channels], [size, size])
                    .with_stride([stride, stride])
                    .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
                    .with_bias(bias);
                OnMaps::Conv(config.init(device))
            }
            Layer::BatchNorm => OnMaps::BatchNorm(BatchNormConfig::new(shape.channels).init(device)),
            Layer::Relu => OnMaps::Relu(Relu {}),
            Layer::MaxPool(size) => {
                OnMaps::MaxPool(MaxPool2dConfig::new([*size, *size]).with_strides([*size, *size]).init())
            }
            Layer::Residual { body, shortcut } => OnMaps::Residual(Residual {
                body: on_maps(body, shape, device),
                shortcut: on_maps(shortcut, shape, device),
            }),
            Layer::GlobalAvgPool | Layer::Dense(_) => return built,
        });
        shape = shape.after(layer);
    }
    built
}

fn build(layers: &[Layer], device: &Device) -> Network {
    let mut shape = Shape::IMAGE;
    let mut dense = Vec::new();
    for layer in layers {
        if let Layer::Dense(units) = layer {
            dense.push(LinearConfig::new(shape.size(), *units).init(device));
        }
        shape = shape.after(layer);
    }
    Network {
        maps: on_maps(layers, Shape::IMAGE, device),
        averaged: layers.iter().any(|layer| matches!(layer, Layer::GlobalAvgPool)),
        dense,
    }
}

fn through(layers: &[OnMaps], x: Tensor<4>) -> Tensor<4> {
    layers.iter().fold(x, |x, layer| match layer {
        OnMaps::Conv(conv) => conv.forward(x),
        OnMaps::BatchNorm(norm) => norm.forward(x),
        OnMaps::Relu(_) => relu(x),
        OnMaps::MaxPool(pool) => pool.forward(x),
        OnMaps::Residual(Residual { body, shortcut }) => through(body, x.clone()) + through(shortcut, x),
    })
}

impl Network {
    /// The logits; between dense layers stands a ReLU.
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = through(&self.maps, x);
        let x = if self.averaged { x.mean_dim(3).mean_dim(2) } else { x };
        let (last, hidden) = self.dense.split_last().expect("a network ends in a dense layer");
        let x = hidden.iter().fold(x.flatten(1, 3), |x, dense| relu(dense.forward(x)));
        last.forward(x)
    }
}

fn prepare(workload: &Workload) -> Result<Box<dyn FnMut() -> Result<()>>> {
    let device = Device::flex();
    let images = TensorData::new(workload.images(), [workload.batch, 1, 28, 28]);
    let labels: Vec<i32> = workload.labels().into_iter().map(|label| label as i32).collect();
    let Some((optimizer, rate)) = &workload.training else {
        let network = build(&workload.layers, &device).valid();
        let x = Tensor::<4>::from_data(images, &device);
        return Ok(Box::new(move || {
            network.forward(x.clone());
            Ok(device.sync()?)
        }));
    };
    let device = device.autodiff();
    let x = Tensor::<4>::from_data(images, &device);
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [workload.batch]), &device);
    let loss = CrossEntropyLossConfig::new().init(&device);
    let mut network = Some(build(&workload.layers, &device));
    let rate = *rate;
    let mut update = match *optimizer {
        Optimizer::Adam => AdamConfig::new().with_epsilon(1e-8).init(),
        Optimizer::Sgd { momentum: 0.0 } => SgdConfig::new().init(),
        Optimizer::Sgd { momentum } => {
            let config = MomentumConfig::new().with_momentum(momentum).with_dampening(0.0);
            SgdConfig::new().with_momentum(Some(config)).init()
        }
    };
    Ok(Box::new(move || {
        let before = network.take().expect("a step puts the network back");
        let gradients = loss.forward(before.forward(x.clone()), labels.clone()).backward();
        let gradients = GradientsParams::from_grads(gradients, &before);
        network = Some(update.step(rate, before, gradients));
        Ok(device.sync()?)
    }))
}

fn main() -> Result<()> {
    peers::run("burn", "flex, release, native", prepare)
}
