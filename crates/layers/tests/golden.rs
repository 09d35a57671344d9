//! Reference results: every file of `GOLDEN_DIR` (by default the copies beside this test) through the public functions
//! of this crate, by what its case says. A case of an unknown operation fails.

use layers::ndarray::{Array2, Array4, ArrayD, Axis, IxDyn};
use layers::{
    Adam, AvgPool2d, BatchNorm2d, Conv2d, CrossEntropy, Dense, Draw, Flatten, Gelu, Images, Initializer,
    Kernels, Layer, LeakyRelu, Loss, MaxPool2d, MinPool2d, Network, NetworkSpec, Optimizer, Padding,
    Parameters, Reduction, Relu, RmsProp, Score, Sgd, Sigmoid, Tanh, Ties, Workspace, evaluate, loss,
    tensor_ops,
};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The relative error of one operation, and of a whole training run.
const OPERATION: f64 = 1e-5;
const RUN: f64 = 1e-4;

#[test]
fn golden() {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folder = env::var_os("GOLDEN_DIR").map_or(own, PathBuf::from);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{}: expected .safetensors files, found none", folder.display());
    for path in files {
        for kernels in Kernels::available() {
            let case = Case::read(&path, kernels);
            println!("{}", case.name);
            case.run();
        }
    }
}

/// One reference file, and the kernels that are tried on it.
struct Case {
    name: String,
    kernels: Kernels,
    settings: Value,
    tensors: Vec<(String, ArrayD<f64>)>,
}

impl Case {
    fn read(path: &Path, kernels: Kernels) -> Self {
        let bytes = fs::read(path).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let settings = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["case"]).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensor = |name: &str| {
            let tensor = file.tensor(name).unwrap();
            let data = tensor.data();
            let values: Vec<f64> = match tensor.dtype() {
                Dtype::F32 => {
                    data.chunks(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect()
                }
                Dtype::F64 => data.chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
                Dtype::I64 => {
                    data.chunks(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect()
                }
                dtype => panic!("{}: {name} is {dtype:?}", path.display()),
            };
            ArrayD::from_shape_vec(IxDyn(tensor.shape()), values).unwrap()
        };
        let tensors = file.names().into_iter().map(|name| (name.to_owned(), tensor(name))).collect();
        let name = format!("{} with {kernels} kernels", path.file_name().unwrap().to_string_lossy());
        Self { name, kernels, settings, tensors }
    }

    fn run(&self) {
        let op = self.settings["op"].as_str().unwrap_or_default();
        match op {
            "conv2d" => self.conv2d(),
            "max_pool2d" | "min_pool2d" | "avg_pool2d" => self.layer(pool2d(op, &self.settings), &[]),
            "relu" => self.layer(Relu, &[]),
            "leaky_relu" => {
                let slope = self.settings.get("negative_slope").or(self.settings.get("slope"));
                self.layer(LeakyRelu { slope: slope.and_then(Value::as_f64).unwrap_or(0.01) as f32 }, &[]);
            }
            "gelu" => self.layer(Gelu, &[]),
            "sigmoid" => self.layer(Sigmoid, &[]),
            "tanh" => self.layer(Tanh, &[]),
            "batch_norm2d" => self.batch_norm2d(),
            "softmax_cross_entropy" => self.softmax_cross_entropy(),
            "optimizer" => self.optimizer(),
            "train" => self.train(),
            op if op.starts_with("seed network") => self.seed_network(),
            op => panic!("{}: unknown op {op:?}", self.name),
        }
    }

    /// A tensor, if the file has it.
    fn find(&self, name: &str) -> Option<&ArrayD<f64>> {
        self.tensors.iter().find(|(other, _)| other == name).map(|(_, tensor)| tensor)
    }

    fn get(&self, name: &str) -> &ArrayD<f64> {
        self.find(name).unwrap_or_else(|| panic!("{}: no tensor {name}", self.name))
    }

    /// A batch of maps; a matrix is a batch of maps of one row and one channel.
    fn maps(&self, name: &str) -> Array4<f32> {
        let tensor = self.get(name).mapv(|value| value as f32);
        match *tensor.shape() {
            [n, columns] => tensor.into_shape_with_order((n, 1, columns, 1)).unwrap(),
            _ => tensor.into_dimensionality().unwrap(),
        }
    }

    /// Fails unless all of `found` is near the tensor `name`, measured by its largest value.
    fn check<'a>(&self, name: &str, found: impl IntoIterator<Item = &'a f32>, tolerance: f64) {
        let expected = self.get(name);
        let largest = expected.iter().fold(f64::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
        let mut count = 0;
        for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
            let error = (f64::from(*found) - expected).abs() / largest;
            assert!(
                error <= tolerance,
                "{}: {name}[{index}]: {found}, expected {expected}: off by {error:e}",
                self.name
            );
            count += 1;
        }
        assert_eq!(count, expected.len(), "{}: {name}: numbers compared", self.name);
    }

    /// A network of one layer, its parameters from the file's tensors, and its gradients from `dy`.
    fn backward(&self, layer: Layer, parts: &[(&str, &str)]) -> (Network, Parameters, Workspace) {
        let x = self.maps("x");
        let (batch, rows, columns, channels) = x.dim();
        let spec = NetworkSpec::new([rows, columns, channels]).with(layer);
        let network = Network::with_kernels(&spec, self.kernels).unwrap();
        let mut parameters = network.zero_parameters();
        for (part, tensor) in parts {
            set(&mut parameters, part, self.get(tensor));
        }
        let mut workspace = network.workspace(batch).unwrap();
        let dy = self.maps("dy").into_dyn();
        network.backward(&parameters, x.view(), dy.view(), Draw::default(), &mut workspace).unwrap();
        (network, parameters, workspace)
    }

    fn layer(&self, layer: impl Into<Layer>, parts: &[(&str, &str)]) {
        let (network, parameters, workspace) = self.backward(layer.into(), parts);
        self.check("y", workspace.output(), OPERATION);
        self.check("dx", workspace.input_gradient(), OPERATION);
        for (part, tensor) in parts {
            let part = network.parts().find(|p| p.name == *part).unwrap();
            self.check(&format!("d{tensor}"), part.view(workspace.gradients()), OPERATION);
        }
        let x = self.maps("x");
        let mut activations = network.activations(x.dim().0).unwrap();
        self.check("y", network.forward(&parameters, x.view(), &mut activations).unwrap(), OPERATION);
    }

    fn conv2d(&self) {
        let weight = self.get("weight").shape();
        let settings = &self.settings;
        let layer = Conv2d {
            stride: pair(&settings["stride"], 1),
            padding: padding(&settings["padding"]),
            dilation: pair(&settings["dilation"], 1),
            groups: settings["groups"].as_u64().unwrap_or(1) as usize,
            bias: self.find("bias").is_some(),
            ..Conv2d::new(weight[3], [weight[0], weight[1]])
        };
        match layer.bias {
            true => self.layer(layer, &[("0.weight", "weight"), ("0.bias", "bias")]),
            false => self.layer(layer, &[("0.weight", "weight")]),
        }
    }

    fn batch_norm2d(&self) {
        let number = |key: &str, default| self.settings[key].as_f64().unwrap_or(default) as f32;
        let layer = BatchNorm2d { epsilon: number("eps", 1e-5), momentum: number("momentum", 0.1) };
        let statistics = [("0.running_mean", "running_mean"), ("0.running_var", "running_var")];
        let parts = [[("0.weight", "gamma"), ("0.bias", "beta")], statistics].concat();
        let (network, mut parameters, workspace) = self.backward(layer.into(), &parts);
        self.check("y_train", workspace.output(), OPERATION);
        self.check("dx", workspace.input_gradient(), OPERATION);
        let (dgamma, dbeta) = workspace.gradients().split_at(self.get("gamma").len());
        self.check("dgamma", dgamma, OPERATION);
        self.check("dbeta", dbeta, OPERATION);

        let x = self.maps("x");
        let mut activations = network.activations(x.dim().0).unwrap();
        self.check("y_eval", network.forward(&parameters, x.view(), &mut activations).unwrap(), OPERATION);

        network.settle(x.dim().0, &workspace, &mut parameters).unwrap();
        for (part, tensor) in statistics {
            self.check(&format!("new_{tensor}"), parameters.get(part).unwrap(), OPERATION);
        }
    }

    fn labels(&self, tensor: &ArrayD<f64>) -> Vec<usize> {
        tensor.iter().map(|label| *label as usize).collect()
    }

    fn softmax_cross_entropy(&self) {
        let logits: Array2<f32> =
            self.get("logits").mapv(|value| value as f32).into_dimensionality().unwrap();
        let labels = self.labels(self.get("labels"));
        let number = |key: &str| self.settings[key].as_f64().unwrap_or(0.0) as f32;
        let reduction = match self.settings["reduction"].as_str() {
            None | Some("mean") => Reduction::Mean,
            Some("sum" | "none") => Reduction::Sum,
            other => panic!("{}: unknown reduction {other:?}", self.name),
        };
        let class_weights = ["weight", "class_weights"].into_iter().find_map(|name| self.find(name));
        let settings = CrossEntropy {
            label_smoothing: number("label_smoothing"),
            class_weights: class_weights.map(|weights| weights.iter().map(|w| *w as f32).collect()),
            reduction,
        };
        let mut dlogits = Array2::zeros(logits.dim());
        let mut losses = vec![0.0; labels.len()];
        let total =
            loss::cross_entropy(&settings, logits.view(), &labels, Some(&mut losses), dlogits.view_mut())
                .unwrap();
        match self.get("loss").len() {
            1 => self.check("loss", [&total], OPERATION),
            _ => self.check("loss", &losses, OPERATION),
        }
        self.check("dlogits", &dlogits, OPERATION);
        if self.find("probabilities").is_some() {
            let mut probabilities = Array2::zeros(logits.dim());
            tensor_ops::softmax::forward(logits.view(), probabilities.view_mut()).unwrap();
            self.check("probabilities", &probabilities, OPERATION);
        }
    }

    fn optimizer(&self) {
        let optimizer = optimizer(&self.name, &self.settings);
        let mut parameters: Vec<f32> = self.get("p0").iter().map(|p| *p as f32).collect();
        let mut moments = optimizer.moments(parameters.len()).unwrap();
        let (gradients, expected) = (self.get("grads"), self.get("params"));
        for (step, (gradient, expected)) in gradients.outer_iter().zip(expected.outer_iter()).enumerate() {
            let gradient: Vec<f32> = gradient.iter().map(|g| *g as f32).collect();
            optimizer.step(optimizer.learning_rate(), &mut parameters, &gradient, &mut moments).unwrap();
            let largest = expected.iter().fold(0.0f64, |largest, p| largest.max(p.abs()));
            for (found, expected) in parameters.iter().zip(expected) {
                let error = (f64::from(*found) - expected).abs() / largest;
                assert!(error <= OPERATION, "{} step {step}: {found}, expected {expected}", self.name);
            }
        }
    }

    /// A network trained on batches that the file holds.
    fn train(&self) {
        let x = self.get("x");
        let &[steps, batch, rows, columns, channels] = x.shape() else { panic!("{}: x", self.name) };
        let (mut spec, mut parts) = (NetworkSpec::new([rows, columns, channels]), Vec::new());
        for (index, layer) in self.settings["layers"].as_array().unwrap().iter().enumerate() {
            let (kind, settings) = (layer[0].as_str().unwrap(), &layer[1]);
            spec = spec.with(reference_layer(&self.name, kind, settings));
            for part in ["weight", "bias"] {
                if let Some(tensor) = settings[part].as_str() {
                    parts.push((format!("{index}.{part}"), tensor));
                }
            }
        }
        let network = Network::with_kernels(&spec, self.kernels).unwrap();
        let mut parameters = network.zero_parameters();
        for (part, tensor) in &parts {
            set(&mut parameters, part, self.get(&format!("init.{tensor}")));
        }
        let optimizer = optimizer(&self.name, &self.settings);
        let mut moments = optimizer.moments(network.parameter_count()).unwrap();
        let mut workspace = network.workspace(batch).unwrap();
        let mut losses = Vec::new();
        for step in 0..steps {
            let x = x.index_axis(Axis(0), step).mapv(|value| value as f32).into_dimensionality().unwrap();
            let labels = self.labels(&self.get("labels").index_axis(Axis(0), step).to_owned());
            let (loss, draw) = (Loss::default(), Draw::default());
            let result =
                network.gradients(&parameters, x.view(), &labels, &loss, draw, &mut workspace).unwrap();
            losses.push(result.loss);
            if step == 0 {
                self.check("logits0", workspace.output(), OPERATION);
                for (part, tensor) in &parts {
                    let part = network.parts().find(|p| p.name == *part).unwrap();
                    self.check(&format!("grad0.{tensor}"), part.view(workspace.gradients()), OPERATION);
                }
            }
            let rate = optimizer.learning_rate();
            optimizer.step(rate, parameters.values_mut(), workspace.gradients(), &mut moments).unwrap();
            network.settle(batch, &workspace, &mut parameters).unwrap();
        }
        self.check("losses", &losses, RUN);
        for (part, tensor) in &parts {
            self.check(&format!("final.{tensor}"), parameters.get(part).unwrap(), RUN);
        }
    }

    /// The tutorial's network, trained image by image on MNIST in file order.
    fn seed_network(&self) {
        let ties = match self.settings["ties"].as_str() {
            Some("all") => Ties::All,
            Some("first") => Ties::First,
            other => panic!("{}: unknown ties {other:?}", self.name),
        };
        let spec = NetworkSpec::new([28, 28, 1])
            .with(Conv2d { bias: false, initializer: Initializer::Tutorial, ..Conv2d::new(8, [3, 3]) })
            .with(MaxPool2d { ties, ..MaxPool2d::new([2, 2]) })
            .with(Flatten)
            .with(Dense { initializer: Initializer::Tutorial, ..Dense::new(10) });
        let network = Network::with_kernels(&spec, self.kernels).unwrap();
        // The reference's filters are (filter, row, column), ours (row, column, 1, filter).
        let ours = |tensor: &str, values: &ArrayD<f64>| match tensor {
            "filters" => values.clone().permuted_axes(IxDyn(&[1, 2, 0])),
            _ => values.clone(),
        };
        let parts = [("0.weight", "filters"), ("3.weight", "weights"), ("3.bias", "biases")];
        let mut parameters = network.zero_parameters();
        for (part, tensor) in parts {
            set(&mut parameters, part, &ours(tensor, self.get(&format!("init_{tensor}"))));
        }

        let (train_x, train_labels) = images(&mnist_io::sample::train().unwrap());
        let (test_x, test_labels) = images(&mnist_io::sample::test().unwrap());
        let test = Images::new(test_x.view(), &test_labels).unwrap();
        let judge = |parameters: &Parameters| evaluate(&network, parameters, &test, 100, |_| ()).unwrap();

        self.check_score("test_untrained_loss_accuracy", judge(&parameters));
        let (loss, optimizer) =
            (Loss::default(), Optimizer::Sgd(Sgd { learning_rate: 0.005, ..Sgd::default() }));
        let mut moments = optimizer.moments(network.parameter_count()).unwrap();
        let mut workspace = network.workspace(1).unwrap();
        for (index, (expected, x)) in
            self.get("losses").iter().zip(train_x.axis_chunks_iter(Axis(0), 1)).enumerate()
        {
            let (labels, draw) = (&train_labels[index..=index], Draw::default());
            let step = network.gradients(&parameters, x, labels, &loss, draw, &mut workspace).unwrap();
            let tolerance = if index < 100 { 1e-5 } else { 1e-3 };
            let steps = index + 1;
            let error = (f64::from(step.loss) - expected).abs();
            assert!(
                error <= tolerance,
                "{} step {steps}: loss {}, expected {expected}",
                self.name,
                step.loss
            );

            let rate = optimizer.learning_rate();
            optimizer.step(rate, parameters.values_mut(), workspace.gradients(), &mut moments).unwrap();
            for (part, tensor) in parts {
                let Some(expected) = self.find(&format!("{tensor}_{steps}")) else { continue };
                let (found, expected) = (parameters.get(part).unwrap(), ours(tensor, expected));
                let errors = found.iter().zip(&expected).map(|(found, e)| (f64::from(*found) - e).abs());
                let worst = errors.fold(0.0, f64::max);
                assert!(worst <= 1e-3, "{}: {tensor} after {steps} steps: off by {worst:e}", self.name);
            }
        }
        self.check_score("test_trained_loss_accuracy", judge(&parameters));
    }

    fn check_score(&self, tensor: &str, score: Score) {
        let expected = self.get(tensor);
        let (loss, accuracy) = (expected[0], expected[1]);
        assert!(
            (score.loss() - loss).abs() <= 1e-3,
            "{}: {tensor}: loss {}, expected {loss}",
            self.name,
            score.loss()
        );
        // A logit that ties in float64 may fall either way in float32: one image of a thousand.
        let error = (score.accuracy() - accuracy).abs();
        assert!(
            error <= 1.5e-3,
            "{}: {tensor}: accuracy {}, expected {accuracy}",
            self.name,
            score.accuracy()
        );
    }
}

/// Puts a reference's values into a part of the parameters.
fn set(parameters: &mut Parameters, part: &str, values: &ArrayD<f64>) {
    let mut to = parameters.get_mut(part).unwrap_or_else(|| panic!("no part {part}"));
    assert_eq!(to.len(), values.len(), "{part}");
    to.iter_mut().zip(values).for_each(|(to, value)| *to = *value as f32);
}

/// A number for both axes or one each.
fn pair(value: &Value, default: usize) -> [usize; 2] {
    let number = |value: &Value| value.as_u64().map_or(default, |n| n as usize);
    match value.as_array() {
        Some(pair) => [number(&pair[0]), number(&pair[1])],
        None => [number(value); 2],
    }
}

/// A number, one for each axis, or `[[top, bottom], [left, right]]`.
fn padding(value: &Value) -> Padding {
    match value.as_array() {
        Some(axes) => Padding::Explicit([pair(&axes[0], 0), pair(&axes[1], 0)]),
        None => Padding::Explicit([pair(value, 0); 2]),
    }
}

fn pool2d(op: &str, settings: &Value) -> Layer {
    let kernel = pair(&settings["kernel"], 1);
    let stride = Some(settings.get("stride").map_or(kernel, |stride| pair(stride, 1)));
    let padding = padding(&settings["padding"]);
    let ties = if settings["ties"].as_str().is_some_and(|ties| ties.starts_with("all")) {
        Ties::All
    } else {
        Ties::First
    };
    match op {
        "max_pool2d" => MaxPool2d { kernel, stride, padding, ties }.into(),
        "min_pool2d" => MinPool2d { kernel, stride, padding, ties }.into(),
        _ => {
            let count_padding = settings["count_include_pad"].as_bool().unwrap_or(true);
            AvgPool2d { kernel, stride, padding, count_padding }.into()
        }
    }
}

/// A layer as a training case names it.
fn reference_layer(name: &str, kind: &str, settings: &Value) -> Layer {
    let out = || settings["out"].as_u64().unwrap() as usize;
    match kind {
        "conv2d" => Conv2d {
            stride: pair(&settings["stride"], 1),
            padding: padding(&settings["padding"]),
            dilation: pair(&settings["dilation"], 1),
            groups: settings["groups"].as_u64().unwrap_or(1) as usize,
            bias: settings["bias"].is_string(),
            ..Conv2d::new(out(), pair(&settings["kernel"], 1))
        }
        .into(),
        "dense" => Dense::new(out()).into(),
        "flatten" => Flatten.into(),
        "relu" => Relu.into(),
        "gelu" => Gelu.into(),
        "sigmoid" => Sigmoid.into(),
        "tanh" => Tanh.into(),
        "leaky_relu" => {
            LeakyRelu { slope: settings["negative_slope"].as_f64().unwrap_or(0.01) as f32 }.into()
        }
        "max_pool2d" | "min_pool2d" | "avg_pool2d" => pool2d(kind, settings),
        kind => panic!("{name}: unknown layer {kind:?}"),
    }
}

/// An optimiser with PyTorch's names and defaults.
fn optimizer(name: &str, settings: &Value) -> Optimizer {
    let number = |key: &str, default: f64| settings[key].as_f64().unwrap_or(default) as f32;
    let adam = |weight_decay| {
        let betas = settings["betas"].as_array();
        let beta = |index: usize, default| betas.and_then(|b| b[index].as_f64()).unwrap_or(default) as f32;
        Adam {
            learning_rate: number("lr", 1e-3),
            betas: [beta(0, 0.9), beta(1, 0.999)],
            epsilon: number("eps", 1e-8),
            weight_decay: number("weight_decay", weight_decay),
        }
    };
    match settings["optimizer"].as_str() {
        Some("SGD") => Optimizer::Sgd(Sgd {
            learning_rate: number("lr", 1e-3),
            momentum: number("momentum", 0.0),
            nesterov: settings["nesterov"].as_bool().unwrap_or(false),
            weight_decay: number("weight_decay", 0.0),
        }),
        Some("Adam") => Optimizer::Adam(adam(0.0)),
        Some("AdamW") => Optimizer::AdamW(adam(0.01)),
        Some("RMSprop") => Optimizer::RmsProp(RmsProp {
            learning_rate: number("lr", 0.01),
            alpha: number("alpha", 0.99),
            epsilon: number("eps", 1e-8),
            momentum: number("momentum", 0.0),
            weight_decay: number("weight_decay", 0.0),
        }),
        other => panic!("{name}: unknown optimizer {other:?}"),
    }
}

fn images(set: &mnist_io::Dataset) -> (Array4<f32>, Vec<usize>) {
    let mut x = vec![0.0; set.images().len()];
    mnist_io::Normalization::CENTERED.apply(set.images(), &mut x);
    (Array4::from_shape_vec((set.len(), 28, 28, 1), x).unwrap(), set.labels().to_vec())
}
