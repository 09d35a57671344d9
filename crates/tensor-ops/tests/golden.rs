//! Every reference tensor of a folder, against `naive` in `f64` and `f32` and against all kernels.
//!
//! The folder is `GOLDEN_DIR`, by default `tests/golden`, whose README says where the tensors come from.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use ndarray::{Array, Array1, Array2, Array4, ArrayView1, Dimension, NdFloat};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use tensor_ops::{
    Conv2dConfig, Conv2dGeometry, Kernels, Padding, Pool2dConfig, Pool2dGeometry, Pooling, Ties, conv2d,
    naive, ndarray, pool2d, softmax,
};

/// Relative to the tensor's largest element.
const F64: f64 = 1e-12;
const F32: f64 = 1e-5;

/// Operations that other crates check.
const ELSEWHERE: [&str; 8] =
    ["batch_norm2d", "relu", "leaky_relu", "gelu", "sigmoid", "tanh", "optimizer", "train"];

#[test]
fn golden_cases() {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folder = std::env::var_os("GOLDEN_DIR").map_or(default, PathBuf::from);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    paths.sort();
    assert!(!paths.is_empty(), "{}: no .safetensors file", folder.display());

    for path in paths {
        let bytes = std::fs::read(&path).unwrap();
        let case = Case::parse(path.display().to_string(), &bytes);
        match case.text("op").unwrap_or_else(|| panic!("{}: no op", case.file)) {
            "conv2d" => convolution(&case),
            op @ ("max_pool2d" | "min_pool2d" | "avg_pool2d") => pooling(&case, op),
            "softmax_cross_entropy" => loss(&case),
            op if ELSEWHERE.contains(&op) || op.starts_with("seed network") => (),
            op => panic!("{}: unknown op {op:?}", case.file),
        }
    }
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
        conv2d::forward(kernels, &g, x.view(), weight.view(), bias, y.view_mut()).unwrap();
        conv2d::grad_input(kernels, &g, dy.view(), weight.view(), dx.view_mut()).unwrap();
        conv2d::grad_weight(kernels, &g, x.view(), dy.view(), dweight.view_mut()).unwrap();
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

/// One file: its tensors and the JSON that says what they are.
struct Case<'a> {
    file: String,
    settings: Value,
    tensors: SafeTensors<'a>,
}

impl<'a> Case<'a> {
    fn parse(file: String, bytes: &'a [u8]) -> Self {
        let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap_or_else(|e| panic!("{file}: {e}"));
        let json = metadata.metadata().as_ref().and_then(|metadata| metadata.get("case"));
        let json = json.unwrap_or_else(|| panic!("{file}: no metadata key \"case\""));
        let settings = serde_json::from_str(json).unwrap_or_else(|e| panic!("{file}: {e}"));
        Self { settings, tensors: SafeTensors::deserialize(bytes).unwrap(), file }
    }

    /// A setting that is there and not null.
    fn setting(&self, key: &str) -> Option<&Value> {
        self.settings.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.setting(key).and_then(Value::as_str)
    }

    /// `[down, across]` of a setting that may be a single number.
    fn pair(&self, key: &str) -> Option<[usize; 2]> {
        let value = self.setting(key)?;
        let pair = match value.as_u64() {
            Some(n) => Some([n as usize; 2]),
            None => serde_json::from_value(value.clone()).ok(),
        };
        Some(pair.unwrap_or_else(|| panic!("{}: {key} is {value}", self.file)))
    }

    fn padding(&self) -> Padding {
        match self.setting("padding") {
            None => Padding::Valid,
            Some(Value::String(name)) if name == "valid" => Padding::Valid,
            Some(Value::String(name)) if name == "same" => Padding::Same,
            Some(value) => match serde_json::from_value(value.clone()) {
                Ok(sides) => Padding::Explicit(sides),
                Err(_) => Padding::Explicit(self.pair("padding").unwrap().map(|n| [n; 2])),
            },
        }
    }

    fn has(&self, name: &str) -> bool {
        self.tensors.names().contains(&name)
    }

    /// A tensor of one of the element types that the files hold.
    fn tensor<D: Dimension, T: Element>(&self, name: &str) -> Array<T, D> {
        let tensor = self.tensors.tensor(name).unwrap_or_else(|e| panic!("{}: {name}: {e}", self.file));
        assert_eq!(tensor.dtype(), T::DTYPE, "{}: type of {name}", self.file);
        let data = tensor.data().chunks_exact(size_of::<T>()).map(T::read).collect();
        let array = Array::from_shape_vec(tensor.shape().to_vec(), data).unwrap();
        array.into_dimensionality().unwrap_or_else(|e| panic!("{}: {name}: {e}", self.file))
    }

    /// Compares those results that the file holds: the largest difference with the largest element.
    fn check<T: NdFloat + Into<f64>, D: Dimension, const N: usize>(
        &self,
        who: impl Display,
        tolerance: f64,
        results: [(&str, &Array<T, D>); N],
    ) {
        for (name, found) in results.into_iter().filter(|(name, _)| self.has(name)) {
            let expected: Array<f64, D> = self.tensor(name);
            assert_eq!(found.shape(), expected.shape(), "{}: {who}: shape of {name}", self.file);
            let largest = expected.iter().fold(0.0f64, |max, v| max.max(v.abs()));
            let difference = |(f, e): (&T, &f64)| ((*f).into() - e).abs();
            let differences: Vec<f64> = found.iter().zip(&expected).map(difference).collect();
            let worse = |a: f64, b: f64| a.is_nan() || a > b;
            let worst = (0..differences.len())
                .reduce(|w, i| if worse(differences[i], differences[w]) { i } else { w })
                .unwrap_or_else(|| panic!("{}: {name} is empty", self.file));
            let (at, e) = expected.indexed_iter().nth(worst).unwrap();
            let f: f64 = (*found.iter().nth(worst).unwrap()).into();
            assert!(
                differences[worst] <= tolerance * largest,
                "{}: {who}: {name}: worst at {at:?}: expected {e}, found {f}; the largest element is {largest}",
                self.file
            );
        }
    }
}

/// A number type and how a file stores it.
trait Element: Sized {
    const DTYPE: Dtype;
    fn read(bytes: &[u8]) -> Self;
}

macro_rules! element {
    ($($number:ty, $dtype:ident;)*) => {$(
        impl Element for $number {
            const DTYPE: Dtype = Dtype::$dtype;
            fn read(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().unwrap())
            }
        }
    )*};
}

element! { f32, F32; f64, F64; i64, I64; }

/// An operand as either of the two types; both hold it exactly.
fn exactly<T: NdFloat>(value: f32) -> T {
    T::from(value).unwrap()
}

/// An output that shows which of its elements were not written.
fn nan<T: NdFloat, D: Dimension>(shape: D) -> Array<T, D> {
    Array::from_elem(shape, T::nan())
}
