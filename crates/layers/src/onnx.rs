//! Models as ONNX files (feature `onnx`), for other programs to run.
//!
//! The graph has one input `images`, floats of shape (batch, channel, row, column), and one output: `logits`, or
//! `probabilities` where the network ends in a softmax, of shape (batch, class); an output that is a map is (batch,
//! channel, row, column) as well. The batch is of any size. Weights are in the order and under the names of PyTorch's
//! `state_dict`, see [`Framework::PyTorch`].
//!
//! Inside the graph channels come before rows and columns, here behind them. Where a flattened map reaches a dense layer,
//! that layer's weights make up for it; otherwise the map is transposed first.
//!
//! What the graph does not say is in the file's metadata, each value a text:
//!
//! | key | value |
//! |---|---|
//! | `preprocessing` | how pixels from 0 to 255 become the input, as a sentence |
//! | `mean`, `std` | its two numbers: `(pixel / 255 − mean) / std` |
//! | `class_names` | a JSON list with a name for each class; missing where the classes have no names |
//! | `network` | the network as a line of text, as [`NetworkSpec`] reads it |
//!
//! The files have IR version 8 and operator set 17, of 2022: onnxruntime reads them since 1.13.

mod message;

use crate::file::write;
use crate::layer::Context;
use crate::weights::{self, Flattened, Framework};
use crate::{
    AvgPool2d, BatchNorm2d, Conv2d, Error, Layer, LeakyRelu, MaxPool2d, MinPool2d, Model, NetworkSpec,
    Normalization, Padding, Residual, Result, Shape,
};
use message::{Attribute, Graph, Node, OperatorSet, Property, Tensor, ValueInfo};
use prost::Message;
use std::f32::consts::FRAC_1_SQRT_2;
use std::path::Path;
use tensor_ops::{Pool2dConfig, Pool2dGeometry, Window};

const IR_VERSION: i64 = 8;
const OPERATOR_SET: i64 = 17;
const INPUT: &str = "images";

/// A message of protocol buffers has less than 2 GiB; some of it is for what is no weight.
const LIMIT: u64 = 2_000_000_000;

/// Writes the model as an ONNX file under a temporary name beside `path`, and gives it its name when it is complete.
///
/// # Errors
/// As [`to_bytes`]; what the system says, with the path.
pub fn export(path: &Path, model: &Model) -> Result<()> {
    write(path, &to_bytes(model)?)
}

/// The bytes of an ONNX file: the same for the same model.
///
/// ```
/// # use layers::{Model, Network, Normalization, onnx};
/// let network = Network::new(&"28x28x1: conv 8 3x3 relu, maxpool 2, dense 10".parse()?)?;
/// let parameters = network.initial_parameters(0);
/// let normalization = Normalization { mean: 0.5, std: 1.0 };
/// let model = Model { network, parameters, normalization, class_names: Vec::new() };
/// std::fs::write(std::env::temp_dir().join("digits.onnx"), onnx::to_bytes(&model)?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Parameters of another network, or more of them than an ONNX file can hold.
pub fn to_bytes(model: &Model) -> Result<Vec<u8>> {
    let Model { network, parameters, normalization, class_names } = model;
    parameters.check(network.layout())?;
    let found = 4 * (parameters.values().len() + parameters.statistics().len()) as u64;
    if found > LIMIT {
        return Err(Error::TooLarge { format: "ONNX", limit: LIMIT, found });
    }
    let spec @ NetworkSpec { input, layers } = network.spec();
    let flattened = weights::flattened(network);
    let parts = weights::parts(network, Framework::PyTorch, &flattened);
    let initializer = parts.into_iter().map(|part| {
        let bytes = part.bytes(parameters);
        Tensor::floats(part.theirs, &part.shape, bytes)
    });
    let mut builder = Builder {
        graph: Graph { name: "network".to_owned(), initializer: initializer.collect(), ..Graph::default() },
        flattened,
        context: network.context(),
    };
    let input = Shape::Map(*input);
    let result = builder.chain("", layers, input, INPUT.to_owned());
    let output = match layers.last() {
        Some(Layer::Softmax(_)) => "probabilities",
        _ => "logits",
    };
    let mut graph = builder.graph;
    // The output has a name of its own.
    match graph.node.last_mut() {
        Some(node) => node.output = vec![output.to_owned()],
        None => graph.node.push(node("Identity", output, vec![result], vec![])),
    }
    graph.input = vec![ValueInfo::batch(INPUT, &channels_first(input))];
    graph.output = vec![ValueInfo::batch(output, &channels_first(network.output()))];
    let file = message::Model {
        ir_version: IR_VERSION,
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSet { version: OPERATOR_SET }],
        metadata_props: metadata(spec, *normalization, class_names),
    };
    Ok(file.encode_to_vec())
}

/// What the graph does not say.
fn metadata(spec: &NetworkSpec, normalization: Normalization, class_names: &[String]) -> Vec<Property> {
    let Normalization { mean, std } = normalization;
    let channels = match spec.input[2] {
        1 => ", grey",
        3 => ", channels red, green, blue",
        _ => "",
    };
    let preprocessing = format!(
        "images is float32 (batch, channel, row, column){channels}: (pixel / 255 - {mean}) / {std} for pixels from 0 to 255"
    );
    let names = serde_json::to_string(class_names).expect("names have nothing that JSON lacks");
    let rows = [
        ("preprocessing", preprocessing),
        ("mean", mean.to_string()),
        ("std", std.to_string()),
        ("network", spec.to_string()),
        ("class_names", names),
    ];
    let is_there = |(key, _): &(&str, String)| *key != "class_names" || !class_names.is_empty();
    let rows = rows.into_iter().filter(is_there);
    rows.map(|(key, value)| Property { key: key.to_owned(), value }).collect()
}

/// The shape of a sample in the graph.
fn channels_first(shape: Shape) -> Vec<usize> {
    match shape {
        Shape::Map([rows, columns, channels]) => vec![channels, rows, columns],
        Shape::Flat(len) => vec![len],
    }
}

fn node(op_type: &str, name: &str, input: Vec<String>, attribute: Vec<Attribute>) -> Node {
    Node {
        input,
        output: vec![name.to_owned()],
        name: name.to_owned(),
        op_type: op_type.to_owned(),
        attribute,
    }
}

/// The graph as far as it goes.
struct Builder {
    graph: Graph,
    flattened: Vec<Flattened>,
    context: Context,
}

impl Builder {
    /// Adds layers one behind the other, and gives back the name of what they give.
    fn chain(&mut self, prefix: &str, layers: &[Layer], mut shape: Shape, mut x: String) -> String {
        for (index, layer) in layers.iter().enumerate() {
            x = self.layer(&format!("{prefix}{index}"), layer, shape, x);
            shape = layer.plan(shape, &mut self.context).expect(PLANNED).output();
        }
        x
    }

    /// Adds a layer whose parameters have this name; nodes and values are called by it and by the layer's kind.
    fn layer(&mut self, name: &str, layer: &Layer, shape: Shape, x: String) -> String {
        let kind = layer.kind();
        let weights = |names: &[&str]| names.iter().map(|part| format!("{name}.{part}")).collect();
        match layer {
            Layer::Conv2d(conv) => {
                let names: &[&str] = if conv.bias { &["weight", "bias"] } else { &["weight"] };
                self.push("Conv", name, kind, [vec![x], weights(names)].concat(), convolution(conv, shape))
            }
            Layer::Dense(_) => {
                let inputs = [vec![x], weights(&["weight", "bias"])].concat();
                self.push("Gemm", name, kind, inputs, vec![Attribute::int("transB", 1)])
            }
            Layer::BatchNorm2d(BatchNorm2d { epsilon, .. }) => {
                let parts = weights(&["weight", "bias", "running_mean", "running_var"]);
                let inputs = [vec![x], parts].concat();
                self.push(
                    "BatchNormalization",
                    name,
                    kind,
                    inputs,
                    vec![Attribute::float("epsilon", *epsilon)],
                )
            }
            Layer::MaxPool2d(MaxPool2d { kernel, stride, padding, .. }) => {
                let windows = windows(*kernel, *stride, *padding, shape);
                self.push("MaxPool", name, kind, vec![x], windows)
            }
            Layer::MinPool2d(MinPool2d { kernel, stride, padding, .. }) => {
                let windows = windows(*kernel, *stride, *padding, shape);
                let x = self.push("Neg", name, "min_pool2d.in", vec![x], vec![]);
                let x = self.push("MaxPool", name, "min_pool2d.max", vec![x], windows);
                self.push("Neg", name, kind, vec![x], vec![])
            }
            Layer::AvgPool2d(AvgPool2d { kernel, stride, padding, count_padding }) => {
                let mut attributes = windows(*kernel, *stride, *padding, shape);
                attributes.push(Attribute::int("count_include_pad", usize::from(*count_padding)));
                self.push("AveragePool", name, kind, vec![x], attributes)
            }
            Layer::GlobalAvgPool2d(_) => {
                let x = self.push("GlobalAveragePool", name, "global_avg_pool2d.mean", vec![x], vec![]);
                self.push("Flatten", name, kind, vec![x], vec![Attribute::int("axis", 1)])
            }
            Layer::Flatten(_) => self.flatten(name, shape, x),
            Layer::Dropout(_) => x,
            Layer::Relu(_) => self.push("Relu", name, kind, vec![x], vec![]),
            Layer::LeakyRelu(LeakyRelu { slope }) => {
                self.push("LeakyRelu", name, kind, vec![x], vec![Attribute::float("alpha", *slope)])
            }
            Layer::Sigmoid(_) => self.push("Sigmoid", name, kind, vec![x], vec![]),
            Layer::Tanh(_) => self.push("Tanh", name, kind, vec![x], vec![]),
            Layer::Gelu(_) => self.gelu(name, x),
            // Over the channels of a map as over the numbers of a row.
            Layer::Softmax(_) => self.push("Softmax", name, kind, vec![x], vec![Attribute::int("axis", 1)]),
            Layer::Residual(Residual { body, shortcut }) => {
                let body = self.chain(&format!("{name}.body."), body, shape, x.clone());
                let shortcut = self.chain(&format!("{name}.shortcut."), shortcut, shape, x);
                self.push("Add", name, kind, vec![body, shortcut], vec![])
            }
        }
    }

    fn flatten(&mut self, name: &str, shape: Shape, mut x: String) -> String {
        let Shape::Map(_) = shape else { return x };
        let flattened = self.flattened.iter().find(|flattened| flattened.layer == name);
        if flattened.is_some_and(|flattened| flattened.dense.is_none()) {
            let to_last = Attribute::ints("perm", &[0, 2, 3, 1]);
            x = self.push("Transpose", name, "flatten.channels_last", vec![x], vec![to_last]);
        }
        self.push("Flatten", name, "flatten", vec![x], vec![Attribute::int("axis", 1)])
    }

    /// `½ · x · (1 + erf(x / √2))`; the operator of that name came with set 20.
    fn gelu(&mut self, name: &str, x: String) -> String {
        let mut constant = |part: &str, value: f32| {
            let constant = format!("{name}.gelu.{part}");
            let bytes = value.to_le_bytes().to_vec();
            self.graph.initializer.push(Tensor::floats(constant.clone(), &[], bytes));
            constant
        };
        let [scale, one, half] = [("sqrt_half", FRAC_1_SQRT_2), ("one", 1.0), ("half", 0.5)]
            .map(|(part, value)| constant(part, value));
        let scaled = self.push("Mul", name, "gelu.scaled", vec![x.clone(), scale], vec![]);
        let erf = self.push("Erf", name, "gelu.erf", vec![scaled], vec![]);
        let raised = self.push("Add", name, "gelu.raised", vec![erf, one], vec![]);
        let share = self.push("Mul", name, "gelu.share", vec![raised, half], vec![]);
        self.push("Mul", name, "gelu", vec![x, share], vec![])
    }

    fn push(
        &mut self,
        op_type: &str,
        name: &str,
        kind: &str,
        input: Vec<String>,
        attributes: Vec<Attribute>,
    ) -> String {
        let name = format!("{name}.{kind}");
        self.graph.node.push(node(op_type, &name, input, attributes));
        name
    }
}

fn convolution(conv: &Conv2d, input: Shape) -> Vec<Attribute> {
    let geometry = conv.geometry(input).expect(PLANNED);
    let mut attributes = axes([*geometry.rows(), *geometry.columns()]);
    attributes.push(Attribute::ints("dilations", &conv.dilation));
    attributes.push(Attribute::int("group", conv.groups));
    attributes
}

/// The windows of a pooling layer.
fn windows(kernel: [usize; 2], stride: Option<[usize; 2]>, padding: Padding, input: Shape) -> Vec<Attribute> {
    let Shape::Map(map) = input else { unreachable!("{PLANNED}") };
    let config = Pool2dConfig { kernel, stride: stride.unwrap_or(kernel), padding };
    let geometry = Pool2dGeometry::new(map, &config).expect(PLANNED);
    axes([*geometry.rows(), *geometry.columns()])
}

fn axes([rows, columns]: [Window; 2]) -> Vec<Attribute> {
    vec![
        Attribute::ints("kernel_shape", &[rows.kernel, columns.kernel]),
        Attribute::ints("strides", &[rows.stride, columns.stride]),
        Attribute::ints("pads", &[rows.before, columns.before, rows.after, columns.after]),
    ]
}

/// Why every layer fits its input.
const PLANNED: &str = "the network was planned";
