//! Reference runs: every file of `GOLDEN_DIR` (by default the copies beside this test), by what its case says.

use layers::ndarray::{ArrayView4, Axis};
use layers::{
    Conv2d, Dense, Flatten, Images, Initializer, Kernels, MaxPool2d, Network, NetworkSpec, Parameters, Score,
    Sgd, Ties, evaluate,
};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::path::PathBuf;
use std::{env, fs};

/// Operations that the tests of `tensor-ops` measure.
const ELSEWHERE: [&str; 5] = ["conv2d", "max_pool2d", "min_pool2d", "avg_pool2d", "softmax_cross_entropy"];

/// Operations that no layer has yet.
const LATER: [&str; 8] =
    ["batch_norm2d", "gelu", "leaky_relu", "optimizer", "relu", "sigmoid", "tanh", "train"];

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
        let case = Case::read(&path);
        let op = case.settings["op"].as_str().unwrap_or_default().to_owned();
        match op.as_str() {
            op if op.starts_with("seed network") => {
                for kernels in Kernels::available() {
                    println!("{} with {kernels} kernels", case.name);
                    seed_network(&case, kernels);
                }
            }
            op if ELSEWHERE.contains(&op) || LATER.contains(&op) => {}
            op => panic!("{}: unknown op {op:?}", case.name),
        }
    }
}

/// The tutorial's network, trained image by image, against the float64 run.
fn seed_network(case: &Case, kernels: Kernels) {
    let ties = match case.settings["ties"].as_str() {
        Some("all") => Ties::All,
        Some("first") => Ties::First,
        other => panic!("{}: unknown ties {other:?}", case.name),
    };
    let spec = NetworkSpec::new([28, 28, 1])
        .with(Conv2d { bias: false, initializer: Initializer::Tutorial, ..Conv2d::new(8, [3, 3]) })
        .with(MaxPool2d { ties, ..MaxPool2d::new([2, 2]) })
        .with(Flatten)
        .with(Dense { initializer: Initializer::Tutorial, ..Dense::new(10) });
    let network = Network::with_kernels(&spec, kernels).unwrap();
    let mut parameters = network.zero_parameters();
    for (name, tensor) in PARTS {
        parameters
            .get_mut(name)
            .unwrap()
            .iter_mut()
            .zip(as_parameter(name, case.get(&format!("init_{tensor}"))))
            .for_each(|(parameter, value)| *parameter = value as f32);
    }

    let (train_x, train_labels) = images(mnist_io::sample::train().unwrap());
    let (test_x, test_labels) = images(mnist_io::sample::test().unwrap());
    let test = Images::new(view(&test_x), &test_labels).unwrap();
    let judge = |parameters: &Parameters| evaluate(&network, parameters, &test, 100, |_| ()).unwrap();

    check_score(case, "test_untrained_loss_accuracy", judge(&parameters));
    let losses = case.get("losses");
    let sgd = Sgd { learning_rate: 0.005 };
    let mut workspace = network.workspace(1).unwrap();
    for (index, (expected, x)) in losses.iter().zip(view(&train_x).axis_chunks_iter(Axis(0), 1)).enumerate() {
        let labels = &train_labels[index..=index];
        let step = network.train_step(&mut parameters, &sgd, x, labels, &mut workspace).unwrap();
        let tolerance = if index < 100 { 1e-5 } else { 1e-3 };
        let difference = (f64::from(step.loss) - expected).abs();
        assert!(
            difference <= tolerance,
            "{} step {}: loss {}, expected {expected}",
            case.name,
            index + 1,
            step.loss
        );

        let steps = index + 1;
        if case.tensors.iter().any(|(name, _)| *name == format!("weights_{steps}")) {
            for (name, tensor) in PARTS {
                let expected = as_parameter(name, case.get(&format!("{tensor}_{steps}")));
                let found = parameters.get(name).unwrap();
                let worst =
                    found.iter().zip(expected).map(|(p, e)| (f64::from(*p) - e).abs()).fold(0.0, f64::max);
                assert!(worst <= 1e-3, "{}: {tensor} after {steps} steps: off by {worst:e}", case.name);
            }
        }
    }
    check_score(case, "test_trained_loss_accuracy", judge(&parameters));
}

/// Our names of the parameters and the reference's.
const PARTS: [(&str, &str); 3] = [("0.weight", "filters"), ("3.weight", "weights"), ("3.bias", "biases")];

/// The reference's values in our order: its filters are (filter, row, column), ours (row, column, 1, filter).
fn as_parameter(name: &str, values: &[f64]) -> Vec<f64> {
    match name {
        "0.weight" => (0..72).map(|i| values[i % 8 * 9 + i / 8]).collect(),
        _ => values.to_vec(),
    }
}

fn check_score(case: &Case, tensor: &str, score: Score) {
    let &[loss, accuracy] = case.get(tensor) else { panic!("{}: {tensor} holds two values", case.name) };
    assert!(
        (score.loss() - loss).abs() <= 1e-3,
        "{}: {tensor}: loss {}, expected {loss}",
        case.name,
        score.loss()
    );
    // A logit that ties in float64 may fall either way in float32: one image of a thousand.
    let difference = (score.accuracy() - accuracy).abs();
    assert!(
        difference <= 1.5e-3,
        "{}: {tensor}: accuracy {}, expected {accuracy}",
        case.name,
        score.accuracy()
    );
}

fn images(set: mnist_io::Dataset) -> (Vec<f32>, Vec<usize>) {
    let mut x = vec![0.0; set.images().len()];
    mnist_io::Normalization::CENTERED.apply(set.images(), &mut x);
    (x, set.labels().to_vec())
}

fn view(x: &[f32]) -> ArrayView4<'_, f32> {
    ArrayView4::from_shape((x.len() / 784, 28, 28, 1), x).unwrap()
}

/// One reference file.
struct Case {
    name: String,
    settings: Value,
    tensors: Vec<(String, Vec<f64>)>,
}

impl Case {
    fn read(path: &std::path::Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let settings = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["case"]).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let values = |name: &str| {
            let tensor = tensors.tensor(name).unwrap();
            let data = tensor.data();
            match tensor.dtype() {
                Dtype::F32 => {
                    data.chunks(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect()
                }
                Dtype::F64 => data.chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
                Dtype::I64 => {
                    data.chunks(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect()
                }
                dtype => panic!("{}: {name} is {dtype:?}", path.display()),
            }
        };
        let tensors = tensors.names().into_iter().map(|name| (name.to_owned(), values(name))).collect();
        Self { name: path.file_name().unwrap().to_string_lossy().into_owned(), settings, tensors }
    }

    fn get(&self, name: &str) -> &[f64] {
        let tensor = self.tensors.iter().find(|(other, _)| other == name);
        &tensor.unwrap_or_else(|| panic!("{}: no tensor {name}", self.name)).1
    }
}
