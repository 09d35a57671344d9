//! ONNX files, taken apart by a reader of protocol buffers that knows nothing of how they were written. That other
//! programs compute the same from them, `docs/exports.py` checks.
#![cfg(feature = "onnx")]

use layers::weights::{Framework, export};
use layers::{Model, Network, Normalization, onnx};
use safetensors::SafeTensors;
use std::fs;

/// A field's content.
#[derive(Clone, Copy)]
enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 127) << shift;
        if byte < 128 {
            break;
        }
    }
    value
}

/// The fields of a message, with their numbers.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Content<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let len = match tag & 7 {
            0 => {
                fields.push((tag >> 3, Content::Number(varint(&mut bytes))));
                continue;
            }
            2 => varint(&mut bytes) as usize,
            5 => 4,
            other => panic!("wire type {other}"),
        };
        fields.push((tag >> 3, Content::Bytes(&bytes[..len])));
        bytes = &bytes[len..];
    }
    fields
}

/// What every field of this number holds.
fn all(message: &[u8], number: u64) -> Vec<&[u8]> {
    let of_number = |(found, content)| match content {
        Content::Bytes(bytes) if found == number => Some(bytes),
        _ => None,
    };
    fields(message).into_iter().filter_map(of_number).collect()
}

fn number(message: &[u8], field: u64) -> u64 {
    let of_number = |(found, content)| match content {
        Content::Number(value) if found == field => Some(value),
        _ => None,
    };
    fields(message).into_iter().find_map(of_number).unwrap()
}

fn text(message: &[u8], number: u64) -> String {
    String::from_utf8(all(message, number)[0].to_vec()).unwrap()
}

/// Packed numbers.
fn numbers(mut bytes: &[u8]) -> Vec<usize> {
    let mut numbers = Vec::new();
    while !bytes.is_empty() {
        numbers.push(varint(&mut bytes) as usize);
    }
    numbers
}

fn model(network: &str, class_names: &[&str]) -> Model {
    let network = Network::new(&network.parse().unwrap()).unwrap();
    let parameters = network.initial_parameters(3);
    let normalization = Normalization { mean: 0.1307, std: 0.3081 };
    let class_names = class_names.iter().map(|&name| name.to_owned()).collect();
    Model { network, parameters, normalization, class_names }
}

/// `Conv(images, 0.weight) → 0.conv2d` for each node.
fn nodes(network: &str) -> Vec<String> {
    let bytes = onnx::to_bytes(&model(network, &[])).unwrap();
    let graph = all(&bytes, 7)[0];
    let list = |message: &[u8], number| {
        all(message, number)
            .into_iter()
            .map(|bytes| str::from_utf8(bytes).unwrap())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let node = |node: &[u8]| format!("{}({}) → {}", text(node, 4), list(node, 1), list(node, 2));
    all(graph, 1).into_iter().map(node).collect()
}

#[test]
fn a_graph_of_every_layer() {
    let nodes = nodes(
        "8x8x2: conv 4 3x3 same nobias batchnorm relu, dropout 0.1, \
         residual(conv 4 3x3 same leakyrelu | conv 4 1x1), avgpool 2, minpool 2 tanh, dense 6 gelu, dense 3, softmax",
    );
    let expected = [
        "Conv(images, 0.weight) → 0.conv2d",
        "BatchNormalization(0.conv2d, 1.weight, 1.bias, 1.running_mean, 1.running_var) → 1.batch_norm2d",
        "Relu(1.batch_norm2d) → 2.relu",
        "Conv(2.relu, 4.body.0.weight, 4.body.0.bias) → 4.body.0.conv2d",
        "LeakyRelu(4.body.0.conv2d) → 4.body.1.leaky_relu",
        "Conv(2.relu, 4.shortcut.0.weight, 4.shortcut.0.bias) → 4.shortcut.0.conv2d",
        "Add(4.body.1.leaky_relu, 4.shortcut.0.conv2d) → 4.residual",
        "AveragePool(4.residual) → 5.avg_pool2d",
        "Neg(5.avg_pool2d) → 6.min_pool2d.in",
        "MaxPool(6.min_pool2d.in) → 6.min_pool2d.max",
        "Neg(6.min_pool2d.max) → 6.min_pool2d",
        "Tanh(6.min_pool2d) → 7.tanh",
        "Flatten(7.tanh) → 8.flatten",
        "Gemm(8.flatten, 9.weight, 9.bias) → 9.dense",
        "Mul(9.dense, 10.gelu.sqrt_half) → 10.gelu.scaled",
        "Erf(10.gelu.scaled) → 10.gelu.erf",
        "Add(10.gelu.erf, 10.gelu.one) → 10.gelu.raised",
        "Mul(10.gelu.raised, 10.gelu.half) → 10.gelu.share",
        "Mul(9.dense, 10.gelu.share) → 10.gelu",
        "Gemm(10.gelu, 11.weight, 11.bias) → 11.dense",
        "Softmax(11.dense) → probabilities",
    ];
    assert_eq!(nodes, expected);
}

/// Only a row that no dense layer sees first is put in our order within the graph.
#[test]
fn a_flattened_map_is_transposed_where_no_weights_can_make_up_for_it() {
    let transposes =
        |network: &str| nodes(network).iter().filter(|node| node.starts_with("Transpose")).count();
    for (network, expected) in [
        ("4x4x2: flatten relu, dropout 0.5, dense 3", 0),
        ("4x4x2: flatten, residual(dense 32), dense 3", 1),
        ("4x4x2: residual(flatten, dense 3 | flatten relu, dense 3), dense 2", 0),
        ("4x4x2: relu, flatten", 1),
        ("4x4x1: relu, flatten", 0),
        ("1x1x5: relu, flatten", 0),
        ("4x4x2: globalavgpool, dense 3", 0),
    ] {
        assert_eq!(transposes(network), expected, "{network}");
    }
    assert_eq!(nodes("4x4x2: dropout 0.5"), ["Identity(images) → logits"]);
}

#[test]
fn weights_are_those_of_a_state_dict() {
    let model = model("6x5x2: conv 4 3x2 groups 2 relu, dense 5 relu, dense 3", &[]);
    let bytes = onnx::to_bytes(&model).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("torch");
    export(&path, &model.network, &model.parameters, Framework::PyTorch, str::to_owned).unwrap();
    let torch = fs::read(&path).unwrap();
    let torch = SafeTensors::deserialize(&torch).unwrap();
    let tensors = all(all(&bytes, 7)[0], 5);
    assert_eq!(tensors.len(), torch.len());
    for tensor in tensors {
        let expected = torch.tensor(&text(tensor, 8)).unwrap();
        assert_eq!((number(tensor, 2), numbers(all(tensor, 1)[0])), (1, expected.shape().to_vec()));
        assert!(all(tensor, 9)[0] == expected.data(), "{}", text(tensor, 8));
    }
}

#[test]
fn what_a_reader_is_told() {
    let named = model("28x20x3: conv 4 3x3 stride 2 same, dense 2", &["cat", "\"dog\""]);
    let bytes = onnx::to_bytes(&named).unwrap();
    assert_eq!(bytes, onnx::to_bytes(&named).unwrap());
    assert_eq!((number(&bytes, 1), number(all(&bytes, 8)[0], 2)), (8, 17));
    let metadata: Vec<_> =
        all(&bytes, 14).into_iter().map(|entry| (text(entry, 1), text(entry, 2))).collect();
    let expected = [
        (
            "preprocessing",
            "images is float32 (batch, channel, row, column), channels red, green, blue: \
             (pixel / 255 - 0.1307) / 0.3081 for pixels from 0 to 255",
        ),
        ("mean", "0.1307"),
        ("std", "0.3081"),
        ("network", "28x20x3: conv 4 3x3 same stride 2, dense 2"),
        ("class_names", r#"["cat","\"dog\""]"#),
    ];
    assert_eq!(metadata, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));

    let graph = all(&bytes, 7)[0];
    let shape = |field| {
        let info = all(graph, field)[0];
        let kind = all(all(info, 2)[0], 1)[0];
        assert_eq!(number(kind, 1), 1);
        let size = |dimension: &&[u8]| match all(dimension, 2)[..] {
            [name] => String::from_utf8(name.to_vec()).unwrap(),
            _ => number(dimension, 1).to_string(),
        };
        (text(info, 1), all(all(kind, 2)[0], 1).iter().map(size).collect::<Vec<_>>().join("×"))
    };
    assert_eq!(shape(11), ("images".to_owned(), "batch×3×28×20".to_owned()));
    assert_eq!(shape(12), ("logits".to_owned(), "batch×2".to_owned()));
    // Rows and columns of the same padding: one more behind than in front.
    let attributes = all(all(graph, 1)[0], 5);
    let ints = |name: &str| numbers(all(attributes.iter().find(|a| text(a, 1) == name).unwrap(), 8)[0]);
    assert_eq!((ints("pads"), ints("strides")), (vec![0, 0, 1, 1], vec![2, 2]));

    let unnamed = onnx::to_bytes(&model("4x4: dense 2", &[])).unwrap();
    assert!(all(&unnamed, 14).into_iter().all(|entry| text(entry, 1) != "class_names"));
}

#[test]
fn parameters_of_another_network_are_refused() {
    let mut model = model("4x4: dense 2", &[]);
    model.parameters = Network::new(&"4x4: dense 3".parse().unwrap()).unwrap().initial_parameters(0);
    let error = onnx::to_bytes(&model).unwrap_err().to_string();
    assert_eq!(error, "parameters: made for another network: expected 34 numbers, found 51");
}
