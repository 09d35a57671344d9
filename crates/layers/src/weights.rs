//! Weights of other frameworks: PyTorch's and Keras's order of numbers, in safetensors files.

use crate::file::{read, write};
use crate::{Layer, Network, Parameters, Result, Shape};
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
/// A file that cannot be read or is no safetensors file; a tensor that is missing or has another shape or type than `F32`.
pub fn import(
    path: &Path,
    network: &Network,
    framework: Framework,
    rename: impl Fn(&str) -> String,
) -> Result<Parameters> {
    read(path, |bytes| {
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|error| format!("expected a safetensors file; {error}"))?;
        let mut parameters = network.zero_parameters();
        for part in parts(network, framework) {
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
/// Parameters of another network; what the system says, with the path.
pub fn export(
    path: &Path,
    network: &Network,
    parameters: &Parameters,
    framework: Framework,
    rename: impl Fn(&str) -> String,
) -> Result<()> {
    parameters.check(network.layout())?;
    let tensors = parts(network, framework).into_iter().map(|part| {
        let ours = parameters.get(&part.ours).expect("the parameters are this network's");
        let bytes: Vec<u8> = part.to_theirs(ours).iter().flat_map(|value| value.to_le_bytes()).collect();
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
struct Part {
    ours: String,
    theirs: String,
    /// The shape there.
    shape: Vec<usize>,
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
fn parts(network: &Network, framework: Framework) -> Vec<Part> {
    let flattened = flattened(network);
    let part = |ours: &str, shape: &[usize]| {
        let (shape, order) = match (framework, shape) {
            (Framework::PyTorch, &[rows, columns, inputs, outputs]) => {
                (vec![outputs, inputs, rows, columns], Order::OutInFirst)
            }
            (Framework::PyTorch, &[inputs, outputs]) => {
                let map =
                    flattened.iter().find(|(name, _)| ours == format!("{name}.weight")).map(|(_, map)| *map);
                (vec![outputs, inputs], Order::OutFirst(map))
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

/// The dense layers that see a flattened map, perhaps through layers that keep each number in its place, with that map.
fn flattened(network: &Network) -> Vec<(String, [usize; 3])> {
    let mut shape = Shape::Map(network.spec().input);
    let (mut from, mut found) = (None, Vec::new());
    for (index, layer) in network.spec().layers.iter().enumerate() {
        match (layer, shape) {
            (Layer::Flatten(_), Shape::Map(map)) => from = Some(map),
            (Layer::Dense(_), _) => found.extend(from.take().map(|map| (index.to_string(), map))),
            _ => {}
        }
        shape = layer.plan(shape, &mut network.context()).expect("the network was planned").output();
    }
    found
}
