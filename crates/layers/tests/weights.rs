//! Weights in PyTorch's and Keras's order: what they compute is computed here once more, by loops in that order.

use layers::ndarray::Array4;
use layers::weights::{Framework, export, import};
use layers::{Network, Parameters};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const NETWORK: &str =
    "6x5x2: conv 3 3x2 relu, conv 4 1 batchnorm, maxpool 2, flatten, dropout 0.5, dense 5 relu, dense 3";

/// A tensor's shape and values, by its name.
type StateDict = BTreeMap<&'static str, (Vec<usize>, Vec<f32>)>;

/// Numbers without a pattern.
fn number(seed: usize) -> f32 {
    ((seed * 7919 + 104_729) % 1009) as f32 / 1009.0 - 0.5
}

/// The tensors of a PyTorch `Sequential` with these layers.
fn state_dict() -> StateDict {
    let tensors: [(&str, &[usize]); 12] = [
        ("0.weight", &[3, 2, 3, 2]),
        ("0.bias", &[3]),
        ("2.weight", &[4, 3, 1, 1]),
        ("2.bias", &[4]),
        ("3.weight", &[4]),
        ("3.bias", &[4]),
        ("3.running_mean", &[4]),
        ("3.running_var", &[4]),
        ("7.weight", &[5, 16]),
        ("7.bias", &[5]),
        ("9.weight", &[3, 5]),
        ("9.bias", &[3]),
    ];
    let values = |(index, (name, shape)): (usize, (&'static str, &[usize]))| {
        let shift = if name == "3.running_var" { 1.0 } else { 0.0 };
        let len = shape.iter().product();
        (name, (shape.to_vec(), (0..len).map(|i| number(100 * index + i) + shift).collect()))
    };
    tensors.into_iter().enumerate().map(values).collect()
}

fn save(path: &Path, tensors: &StateDict) {
    let bytes: Vec<(&str, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| {
            (*name, shape.clone(), values.iter().flat_map(|v| v.to_le_bytes()).collect())
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// The logits of one image by PyTorch's conventions: maps are (channel, row, column), weights (out, in, …).
fn torch_forward(x: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
    let dict = state_dict();
    let w = |name: &str, i: usize| dict[name].1[i];
    let mut conv1 = [[[0.0f32; 4]; 4]; 3];
    for (o, map) in conv1.iter_mut().enumerate() {
        for (r, row) in map.iter_mut().enumerate() {
            for (c, y) in row.iter_mut().enumerate() {
                *y = w("0.bias", o);
                for i in 0..2 {
                    for kr in 0..3 {
                        for kc in 0..2 {
                            *y += w("0.weight", ((o * 2 + i) * 3 + kr) * 2 + kc) * x(i, r + kr, c + kc);
                        }
                    }
                }
                *y = y.max(0.0);
            }
        }
    }
    let mut flat = Vec::new();
    for o in 0..4 {
        let normal = |r: usize, c: usize| {
            let y = w("2.bias", o) + (0..3).map(|i| w("2.weight", o * 3 + i) * conv1[i][r][c]).sum::<f32>();
            let sigma = (w("3.running_var", o) + 1e-5).sqrt();
            (y - w("3.running_mean", o)) / sigma * w("3.weight", o) + w("3.bias", o)
        };
        for r in 0..2 {
            for c in 0..2 {
                let window = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(i, j)| normal(2 * r + i, 2 * c + j));
                flat.push(window.into_iter().fold(f32::NEG_INFINITY, f32::max));
            }
        }
    }
    let dense = |name: &str, bias: &str, x: &[f32]| -> Vec<f32> {
        let rows = dict[name].1.chunks_exact(x.len()).zip(&dict[bias].1);
        rows.map(|(row, bias)| bias + row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>()).collect()
    };
    let hidden: Vec<f32> = dense("7.weight", "7.bias", &flat).into_iter().map(|v| v.max(0.0)).collect();
    dense("9.weight", "9.bias", &hidden)
}

fn network() -> Network {
    Network::new(&NETWORK.parse().unwrap()).unwrap()
}

fn logits(network: &Network, parameters: &Parameters, x: &Array4<f32>) -> Vec<f32> {
    let mut activations = network.activations(1).unwrap();
    network.forward(parameters, x.view(), &mut activations).unwrap().iter().copied().collect()
}

#[test]
fn a_state_dict_computes_what_pytorch_computes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("torch.safetensors");
    save(&path, &state_dict());
    let network = network();
    let parameters = import(&path, &network, Framework::PyTorch, str::to_owned).unwrap();
    let x = Array4::from_shape_fn((1, 6, 5, 2), |(_, r, c, i)| number(31 * r + 7 * c + i));
    let expected = torch_forward(|channel, row, column| x[[0, row, column, channel]]);
    let found = logits(&network, &parameters, &x);
    assert!(
        found.iter().zip(&expected).all(|(f, e)| (f - e).abs() < 1e-5),
        "{found:?}, expected {expected:?}"
    );

    let again = folder.path().join("again.safetensors");
    export(&again, &network, &parameters, Framework::PyTorch, str::to_owned).unwrap();
    assert!(fs::read(&again).unwrap() == fs::read(&path).unwrap(), "exported as it was imported");
}

#[test]
fn keras_keeps_our_order_under_its_own_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keras.safetensors");
    let network = network();
    let parameters = network.initial_parameters(4);
    let rename = |name: &str| format!("model/{name}");
    export(&path, &network, &parameters, Framework::Keras, rename).unwrap();
    let bytes = fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names = file.names();
    names.sort_unstable();
    let expected = [
        "0.bias",
        "0.kernel",
        "2.bias",
        "2.kernel",
        "3.beta",
        "3.gamma",
        "3.moving_mean",
        "3.moving_variance",
        "7.bias",
        "7.kernel",
        "9.bias",
        "9.kernel",
    ];
    assert_eq!(names, expected.map(|name| format!("model/{name}")));
    assert_eq!(file.tensor("model/0.kernel").unwrap().shape(), [3, 2, 2, 3]);
    assert_eq!(file.tensor("model/7.kernel").unwrap().shape(), [16, 5]);
    assert_eq!(import(&path, &network, Framework::Keras, rename).unwrap(), parameters);
}

#[test]
fn what_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("torch.safetensors");
    let network = network();
    let check = |change: &dyn Fn(&mut StateDict), expected: &str| {
        let mut tensors = state_dict();
        change(&mut tensors);
        save(&path, &tensors);
        let error = import(&path, &network, Framework::PyTorch, str::to_owned).unwrap_err().to_string();
        assert_eq!(error, format!("{}: {expected}", path.display()));
    };
    check(&|tensors| drop(tensors.remove("7.bias")), "expected a tensor \"7.bias\", found none");
    check(
        &|tensors| tensors.get_mut("0.weight").unwrap().0 = vec![3, 2, 2, 3],
        "tensor \"0.weight\": expected F32 of shape [3, 2, 3, 2], found F32 of [3, 2, 2, 3]",
    );
    fs::write(&path, "weights").unwrap();
    let error = import(&path, &network, Framework::PyTorch, str::to_owned).unwrap_err().to_string();
    assert_eq!(error, format!("{}: expected a safetensors file; header too small", path.display()));
}

/// A flatten within a residual block is followed as one outside; a row that no dense layer sees has no order there.
#[test]
fn flattened_maps_in_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("torch.safetensors");
    let export_of = |network: &str| {
        let network = Network::new(&network.parse().unwrap()).unwrap();
        let parameters = network.initial_parameters(5);
        export(&path, &network, &parameters, Framework::PyTorch, str::to_owned)
            .map(|()| parameters.get("0.body.1.weight").map(|weight| weight.to_owned()))
    };
    let ours = export_of("2x3x2: residual(flatten, dense 4 | flatten, dense 4)").unwrap().unwrap();
    let bytes = fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor("0.body.1.weight").unwrap();
    let theirs: Vec<f32> =
        tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    for (out, channel, row, column) in [(0, 0, 0, 1), (1, 1, 0, 2), (3, 1, 1, 0)] {
        let there = theirs[((out * 2 + channel) * 2 + row) * 3 + column];
        assert_eq!(there, ours[[(row * 3 + column) * 2 + channel, out]]);
    }
    for (network, layer) in [
        ("2x3x2: flatten, residual(dense 12), dense 4", "0"),
        ("2x3x2: residual(relu, flatten | flatten), dense 2", "0.body.1"),
        ("2x3x2: relu, flatten", "1"),
    ] {
        let error = export_of(network).unwrap_err().to_string();
        assert!(error.starts_with(&format!("layer {layer} (flatten): expected a dense layer")), "{error}");
    }
}
