//! What `docs/exports.py` compares other programs with: the logits of models, computed here.
//!
//! ```text
//! cargo run -p layers --example exports -- FOLDER
//! ```
//!
//! puts models of unusual networks into FOLDER, with random parameters, and beside each model that is then there,
//! `NAME.safetensors`, a file `NAME.case` with random `images` and the model's `logits` for them.

use layers::ndarray::Array4;
use layers::{Model, Network, Normalization, Shape};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use safetensors::tensor::{Dtype, TensorView};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

const BATCH: usize = 7;

const NETWORKS: [(&str, &str); 6] = [
    (
        "strided",
        "28x28x1: conv 8 5x3 stride 2x1 same relu, conv 12 3x3 pad 0:1x2 stride 2 leakyrelu slope 0.2, dense 10",
    ),
    (
        "grouped",
        "20x17x6: conv 12 3x3 groups 3 nobias gelu, conv 12 3x3 dilation 2x1 groups 12, maxpool 3 stride 2 same, dense 7",
    ),
    (
        "residual",
        "16x16x3: conv 8 3x3 batchnorm relu, residual(conv 8 3x3 same batchnorm relu, conv 8 3x3 same batchnorm), relu, \
        residual(conv 12 3x3 stride 2 same | conv 12 1x1 stride 2), globalavgpool, dropout 0.3, dense 5",
    ),
    (
        "pooled",
        "15x14x4: avgpool 3 stride 2 pad 1, minpool 2 same tanh, avgpool 2 pad 1 countpad sigmoid, flatten, dropout 0.5, dense 9 relu, dense 4",
    ),
    ("softmax", "12x12x2: conv 4 3x3, softmax, dense 6, softmax"),
    ("blocks", "4x4x2: residual(flatten, dense 32 relu | flatten, dense 32), dense 8"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or("expected a folder")?);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(2026);
    let mut number = || random.random_range(-1.0f32..1.0);
    for (name, line) in NETWORKS {
        let network = Network::new(&line.parse()?)?;
        let mut parameters = network.initial_parameters(1);
        // What starts at zero or one would hide a part that is missing or in another's place.
        parameters.values_mut().iter_mut().for_each(|value| *value += 0.2 * number());
        parameters.statistics_mut().iter_mut().for_each(|value| *value += 0.2 * number());
        let normalization = Normalization { mean: 0.5, std: 0.25 };
        let model = Model { network, parameters, normalization, class_names: Vec::new() };
        model.save(&folder.join(name).with_extension("safetensors"))?;
    }
    let models = fs::read_dir(&folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut models: Vec<PathBuf> = models.collect::<Result<_, _>>()?;
    models.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    models.sort();
    for path in models {
        write_case(&path, &mut number).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

fn write_case(path: &Path, number: &mut impl FnMut() -> f32) -> Result<(), Box<dyn Error>> {
    let Model { network, parameters, .. } = Model::load(path)?;
    let [rows, columns, channels] = network.spec().input;
    let images = Array4::from_shape_simple_fn((BATCH, rows, columns, channels), number);
    let mut activations = network.activations(BATCH)?;
    let logits = network.forward(&parameters, images.view(), &mut activations)?;
    let Shape::Flat(classes) = network.output() else { return Err("expected a network of classes".into()) };
    let bytes = |values: Vec<f32>| values.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
    let images = bytes(images.permuted_axes([0, 3, 1, 2]).iter().copied().collect());
    let logits = bytes(logits.iter().copied().collect());
    let tensors = [
        ("images", TensorView::new(Dtype::F32, vec![BATCH, channels, rows, columns], &images)?),
        ("logits", TensorView::new(Dtype::F32, vec![BATCH, classes], &logits)?),
    ];
    fs::write(path.with_extension("case"), safetensors::serialize(tensors, None)?)?;
    Ok(())
}
