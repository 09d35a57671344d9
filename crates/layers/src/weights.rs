//! Weights of other frameworks: PyTorch's and Keras's order of numbers, in safetensors files.

use crate::file::{read, write};
use crate::layer::Context;
use crate::{Error, Layer, Network, NetworkSpec, Parameters, Residual, Result, Shape};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::path::Path;
use tensor_ops::ndarray::{ArrayD, ArrayViewD, IxDyn};

/// How a framework names and orders the weights of a network whose layers stand in the same places.
///
/// | | here | PyTorch | Keras |
/// |---|---|---|---|
/// | name of a layer's weight | `3.weight` | `3.weight` | `3.kernel` |
/// | convolution | (row, column, in, out) | (out, in, row, column) | (row, column, in, out) |
/// | dense | (in, out) | (out, in) | (in, out) |
/// | flattened map | row, column, channel | channel, row, column | row, column, channel |
/// | batch normalisation | `weight`, `bias`, `running_mean`, `running_var` | the same | `gamma`, `beta`, `moving_mean`, `moving_variance` |
///
/// PyTorch's names are those of the `state_dict` of a `Sequential` with a module for each layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framework {
    /// PyTorch's `state_dict`.
    PyTorch,
    /// The weights of a Keras model.
    Keras,
}

/// Reads the weights of `network` from a safetensors file; `rename` gives the file's name for the framework's usual one.
///
/// # Errors
/// A file that cannot be read or is no safetensors file; a tensor that is missing or has another shape or type than `F32`;
/// a network that the framework's order cannot express.
pub fn import(
    path: &Path,
    network: &Network,
    framework: Framework,
    rename: impl Fn(&str) -> String,
) -> Result<Parameters> {
    let parts = framework_parts(network, framework)?;
    read(path, |bytes| {
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|error| format!("expected a safetensors file; {error}"))?;
        let mut parameters = network.zero_parameters();
        for part in &parts {
            let name = rename(&part.theirs);
            let tensor =
                tensors.tensor(&name).map_err(|_| format!("expected a tensor {name:?}, found none"))?;
            if (tensor.dtype(), tensor.shape()) != (Dtype::F32, &part.shape[..]) {
                let (shape, dtype, found) = (&part.shape, tensor.dtype(), tensor.shape());
                return Err(format!(
                    "tensor {name:?}: expected F32 of shape {shape:?}, found {dtype:?} of {found:?}"
                ));
            }
            let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            let theirs =
                ArrayD::from_shape_vec(IxDyn(&part.shape), values.collect()).map_err(|e| e.to_string())?;
            let mut ours = parameters.get_mut(&part.ours).ok_or_else(|| format!("no part {}", part.ours))?;
            ours.assign(&part.to_ours(theirs.view()));
        }
        Ok(parameters)
    })
}

/// Writes the weights of `network` as [`import`] reads them, under a temporary name first.
///
/// # Errors
/// Parameters of another network; a network that the framework's order cannot express; what the system says, with the path.
pub fn export(
    path: &Path,
    network: &Network,
    parameters: &Parameters,
    framework: Framework,
    rename: impl Fn(&str) -> String,
) -> Result<()> {
    parameters.check(network.layout())?;
    let tensors = framework_parts(network, framework)?.into_iter().map(|part| {
        let bytes = part.bytes(parameters);
        (rename(&part.theirs), part.shape, bytes)
    });
    let tensors: Vec<_> = tensors.collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (
            name,
            TensorView::new(Dtype::F32, shape.clone(), bytes)
                .expect("a tensor has as many values as its shape says"),
        )
    });
    write(path, &safetensors::serialize(views, None).expect("the tensors fit their shapes"))
}

/// One tensor, here and there.
pub(crate) struct Part {
    ours: String,
    /// The name there.
    pub theirs: String,
    /// The shape there.
    pub shape: Vec<usize>,
    order: Order,
}

/// How the numbers there are ordered.
enum Order {
    /// As here.
    Same,
    /// A convolution's, output and input channels first.
    OutInFirst,
    /// A dense layer's, outputs first; behind a flattened map, its inputs are channels, rows, columns.
    OutFirst(Option<[usize; 3]>),
}

impl Part {
    /// The tensor's numbers in the order there, as a file holds them. The parameters are those of the part's network.
    pub fn bytes(&self, parameters: &Parameters) -> Vec<u8> {
        let ours = parameters.get(&self.ours).expect("the parameters are this network's");
        self.to_theirs(ours).iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn to_ours(&self, theirs: ArrayViewD<f32>) -> ArrayD<f32> {
        match self.order {
            Order::Same => theirs.to_owned(),
            Order::OutInFirst => theirs.permuted_axes(IxDyn(&[2, 3, 1, 0])).to_owned(),
            Order::OutFirst(None) => theirs.reversed_axes().to_owned(),
            Order::OutFirst(Some([rows, columns, channels])) => {
                let out = self.shape[0];
                let maps = theirs.into_shape_with_order(IxDyn(&[out, channels, rows, columns]));
                let ours = maps
                    .expect(PLANNED)
                    .permuted_axes(IxDyn(&[2, 3, 1, 0]))
                    .as_standard_layout()
                    .into_owned();
                ours.into_shape_with_order(IxDyn(&[rows * columns * channels, out])).expect(PLANNED)
            }
        }
    }

    fn to_theirs(&self, ours: ArrayViewD<f32>) -> ArrayD<f32> {
        match self.order {
            Order::Same => ours.to_owned(),
            Order::OutInFirst => ours.permuted_axes(IxDyn(&[3, 2, 0, 1])).to_owned(),
            Order::OutFirst(None) => ours.reversed_axes().to_owned(),
            Order::OutFirst(Some([rows, columns, channels])) => {
                let rows_first = ours.as_standard_layout().into_owned();
                let maps = rows_first.into_shape_with_order(IxDyn(&[rows, columns, channels, self.shape[0]]));
                maps.expect(PLANNED).permuted_axes(IxDyn(&[3, 2, 0, 1]))
            }
        }
    }
}

/// Why the shapes fit.
const PLANNED: &str = "a dense layer behind a flatten has the map's numbers for inputs";

/// Every tensor of a network, in both forms.
fn framework_parts(network: &Network, framework: Framework) -> Result<Vec<Part>> {
    let flattened = flattened(network);
    match flattened.iter().find(|flattened| flattened.dense.is_none()) {
        Some(flattened) if framework == Framework::PyTorch => {
            Err(Error::Flattened { layer: flattened.layer.clone() })
        }
        _ => Ok(parts(network, framework, &flattened)),
    }
}

/// Every tensor of a network whose flattened maps are known.
pub(crate) fn parts(network: &Network, framework: Framework, flattened: &[Flattened]) -> Vec<Part> {
    let map = |ours: &str| {
        let layer = ours.strip_suffix(".weight");
        flattened.iter().find(|flattened| layer.is_some() && flattened.dense.as_deref() == layer)
    };
    let part = |ours: &str, shape: &[usize]| {
        let (shape, order) = match (framework, shape) {
            (Framework::PyTorch, &[rows, columns, inputs, outputs]) => {
                (vec![outputs, inputs, rows, columns], Order::OutInFirst)
            }
            (Framework::PyTorch, &[inputs, outputs]) => {
                (vec![outputs, inputs], Order::OutFirst(map(ours).map(|flattened| flattened.map)))
            }
            _ => (shape.to_vec(), Order::Same),
        };
        Part { ours: ours.to_owned(), theirs: theirs(network, framework, ours), shape, order }
    };
    network.parts().map(|found| part(&found.name, &found.shape)).collect()
}

/// The framework's name of a part.
fn theirs(network: &Network, framework: Framework, ours: &str) -> String {
    let Some((layer, name)) = ours.rsplit_once('.').filter(|_| framework == Framework::Keras) else {
        return ours.to_owned();
    };
    let normalizes = network.parts().any(|part| part.name == format!("{layer}.running_mean"));
    let name = match (name, normalizes) {
        ("weight", false) => "kernel",
        ("weight", true) => "gamma",
        ("bias", true) => "beta",
        ("running_mean", _) => "moving_mean",
        ("running_var", _) => "moving_variance",
        (name, _) => name,
    };
    format!("{layer}.{name}")
}

/// A flatten whose row has another order where channels come first.
pub(crate) struct Flattened {
    /// The flatten's name, as parameters are named.
    pub layer: String,
    map: [usize; 3],
    /// The dense layer that sees the row, perhaps through layers that keep each number in its place, so that its weights
    /// can be in the other order instead. None where the row goes elsewhere.
    pub dense: Option<String>,
}

/// Every such flatten of a network.
pub(crate) fn flattened(network: &Network) -> Vec<Flattened> {
    let mut found = Vec::new();
    let NetworkSpec { input, layers } = network.spec();
    collect_flattened("", layers, Shape::Map(*input), &mut network.context(), &mut found);
    found
}

fn collect_flattened(
    prefix: &str,
    layers: &[Layer],
    mut shape: Shape,
    context: &mut Context,
    found: &mut Vec<Flattened>,
) {
    for (index, layer) in layers.iter().enumerate() {
        let name = format!("{prefix}{index}");
        match (layer, shape) {
            (Layer::Flatten(_), Shape::Map(map @ [rows, columns, channels]))
                if rows * columns > 1 && channels > 1 =>
            {
                let is_next = |layer: &Layer| matches!(layer, Layer::Dense(_) | Layer::Residual(_));
                let next = (index + 1..layers.len()).find(|&index| is_next(&layers[index]));
                let dense = next.filter(|&index| matches!(layers[index], Layer::Dense(_)));
                let dense = dense.map(|index| format!("{prefix}{index}"));
                found.push(Flattened { layer: name, map, dense });
            }
            (Layer::Residual(Residual { body, shortcut }), _) => {
                for (branch, layers) in [("body", body), ("shortcut", shortcut)] {
                    collect_flattened(&format!("{name}.{branch}."), layers, shape, context, found);
                }
            }
            _ => {}
        }
        shape = layer.plan(shape, context).expect("the network was planned").output();
    }
}
