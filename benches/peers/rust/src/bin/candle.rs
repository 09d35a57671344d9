//! The workloads in candle.

#![forbid(unsafe_code)]

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{
    AdamW, BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Linear, Module, ModuleT, Optimizer as _,
    ParamsAdamW, SGD, VarBuilder, VarMap,
};
use peers::{Layer, Optimizer, Result, Shape, Workload};

enum Built {
    Conv(Conv2d),
    BatchNorm(BatchNorm),
    Relu,
    MaxPool(usize),
    GlobalAvgPool,
    Flatten,
    Dense(Linear),
    Residual { body: Vec<Built>, shortcut: Vec<Built> },
}

fn build(layers: &[Layer], mut shape: Shape, vars: VarBuilder) -> Result<Vec<Built>> {
    let mut built = Vec::new();
    let mut flat = false;
    for (index, layer) in layers.iter().enumerate() {
        let vars = vars.pp(index);
        if matches!(layer, Layer::Dense(_)) && !flat {
            built.push(Built::Flatten);
            flat = true;
        }
        built.push(match layer {
            &Layer::Conv { channels, size, pad, stride, bias } => {
                let config = Conv2dConfig { padding: pad, stride, ..Default::default() };
                let conv = if bias { candle_nn::conv2d } else { candle_nn::conv2d_no_bias };
                Built::Conv(conv(shape.channels, channels, size, config, vars)?)
            }
            Layer::BatchNorm => {
                let config = BatchNormConfig { eps: 1e-5, momentum: 0.1, ..Default::default() };
                Built::BatchNorm(candle_nn::batch_norm(shape.channels, config, vars)?)
            }
            Layer::Relu => Built::Relu,
            Layer::MaxPool(size) => Built::MaxPool(*size),
            Layer::GlobalAvgPool => Built::GlobalAvgPool,
            Layer::Dense(units) => Built::Dense(candle_nn::linear(shape.size(), *units, vars)?),
            Layer::Residual { body, shortcut } => Built::Residual {
                body: build(body, shape, vars.pp("body"))?,
                shortcut: build(shortcut, shape, vars.pp("shortcut"))?,
            },
        });
        shape = shape.after(layer);
    }
    Ok(built)
}

fn forward(layers: &[Built], x: &Tensor, train: bool) -> candle_core::Result<Tensor> {
    let mut x = x.clone();
    for layer in layers {
        x = match layer {
            Built::Conv(conv) => conv.forward(&x)?,
            Built::BatchNorm(norm) => norm.forward_t(&x, train)?,
            Built::Relu => x.relu()?,
            Built::MaxPool(size) => x.max_pool2d(*size)?,
            Built::GlobalAvgPool => x.mean((2, 3))?,
            Built::Flatten => x.flatten_from(1)?,
            Built::Dense(dense) => dense.forward(&x)?,
            Built::Residual { body, shortcut } => {
                (forward(body, &x, train)? + forward(shortcut, &x, train)?)?
            }
        };
    }
    Ok(x)
}

/// Candle's own SGD has no momentum.
struct Momentum {
    vars: Vec<(Var, Tensor)>,
    momentum: f64,
    rate: f64,
}

impl Momentum {
    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        for (var, moment) in &mut self.vars {
            if let Some(gradient) = gradients.get(var) {
                *moment = ((&*moment * self.momentum)? + gradient)?;
                var.set(&(var.as_tensor() - (&*moment * self.rate)?)?)?;
            }
        }
        Ok(())
    }
}

type Update = Box<dyn FnMut(&GradStore) -> Result<()>>;

fn update(vars: Vec<Var>, optimizer: &Optimizer, rate: f64) -> Result<Update> {
    Ok(match *optimizer {
        Optimizer::Adam => {
            let mut adam =
                AdamW::new(vars, ParamsAdamW { lr: rate, weight_decay: 0.0, ..Default::default() })?;
            Box::new(move |gradients| Ok(adam.step(gradients)?))
        }
        Optimizer::Sgd { momentum: 0.0 } => {
            let mut sgd = SGD::new(vars, rate)?;
            Box::new(move |gradients| Ok(sgd.step(gradients)?))
        }
        Optimizer::Sgd { momentum } => {
            let with_moment = |var: Var| Ok((var.clone(), var.zeros_like()?.detach()));
            let vars = vars.into_iter().map(with_moment).collect::<Result<_>>()?;
            let mut sgd = Momentum { vars, momentum, rate };
            Box::new(move |gradients| sgd.step(gradients))
        }
    })
}

fn prepare(workload: &Workload) -> Result<Box<dyn FnMut() -> Result<()>>> {
    let device = Device::Cpu;
    let vars = VarMap::new();
    let layers = build(&workload.layers, Shape::IMAGE, VarBuilder::from_varmap(&vars, DType::F32, &device))?;
    let x = Tensor::from_vec(workload.images(), (workload.batch, 1, 28, 28), &device)?;
    let labels = Tensor::from_vec(workload.labels(), workload.batch, &device)?;
    Ok(match &workload.training {
        Some((optimizer, rate)) => {
            let mut update = update(vars.all_vars(), optimizer, *rate)?;
            Box::new(move || {
                let loss = candle_nn::loss::cross_entropy(&forward(&layers, &x, true)?, &labels)?;
                update(&loss.backward()?)
            })
        }
        None => {
            // Plain tensors in the place of variables, so that no graph is kept.
            let named = vars.data().lock().map_err(|error| error.to_string())?;
            let plain = named.iter().map(|(name, var)| (name.clone(), var.as_detached_tensor())).collect();
            let vars = VarBuilder::from_tensors(plain, DType::F32, &device);
            let layers = build(&workload.layers, Shape::IMAGE, vars)?;
            Box::new(move || {
                forward(&layers, &x, false)?;
                Ok(())
            })
        }
    })
}

fn main() -> Result<()> {
    peers::run("candle", "release, native", prepare)
}
