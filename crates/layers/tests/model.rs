//! Model files: a round trip, and every way in which a file can be no model.

use layers::ndarray::Array4;
use layers::{
    AvgPool2d, Conv2d, Dense, Flatten, MinPool2d, Model, Network, NetworkSpec, Normalization, Padding,
};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;
use std::fs;
use std::path::Path;

fn model() -> Model {
    let spec = NetworkSpec::new([8, 6, 2])
        .with(Conv2d { padding: Padding::Explicit([[1, 0], [2, 1]]), groups: 2, ..Conv2d::new(4, [3, 2]) })
        .with(MinPool2d { stride: Some([1, 2]), ..MinPool2d::new([2, 2]) })
        .with(AvgPool2d::new([2, 1]))
        .with(Flatten)
        .with(Dense::new(3));
    let network = Network::new(&spec).unwrap();
    let parameters = network.initial_parameters(5);
    Model {
        network,
        parameters,
        normalization: Normalization { mean: 0.1307, std: 0.3081 },
        class_names: Vec::new(),
    }
}

#[test]
fn round_trip() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let saved = model();
    saved.save(&path).unwrap();
    let loaded = Model::load(&path).unwrap();
    assert_eq!(loaded.network.spec(), saved.network.spec());
    assert_eq!(loaded.parameters, saved.parameters);
    assert_eq!(loaded.normalization, saved.normalization);

    let x = Array4::from_shape_fn((2, 8, 6, 2), |(n, i, j, c)| (n + i * j + c) as f32 / 10.0);
    let logits = |model: &Model| {
        let mut activations = model.network.activations(2).unwrap();
        model.network.forward(&model.parameters, x.view(), &mut activations).unwrap().to_owned()
    };
    assert_eq!(logits(&loaded), logits(&saved));

    loaded.save(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), saved.to_bytes(), "the same model gives the same bytes");
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["a.safetensors"], "no temporary file stays");
}

#[test]
fn a_spec_reads_as_it_is_written() {
    let spec = model().network.spec().clone();
    let toml = toml::to_string(&spec).unwrap();
    assert_eq!(toml::from_str::<NetworkSpec>(&toml).unwrap(), spec, "{toml}");
    let short =
        "input = [28, 28, 1]\n[[layers]]\ntype = \"flatten\"\n[[layers]]\ntype = \"dense\"\noutputs = 10\n";
    let expected = NetworkSpec::new([28, 28, 1]).with(Flatten).with(Dense::new(10));
    assert_eq!(toml::from_str::<NetworkSpec>(short).unwrap(), expected);
    let typo = toml::from_str::<NetworkSpec>(&short.replace("outputs", "output")).unwrap_err().to_string();
    assert!(typo.contains("unknown field `output`, expected `outputs` or `initializer`"), "{typo}");
}

/// A file with these tensors and this header.
fn file(header: Option<&str>, tensors: &[(&str, Dtype, &[usize])]) -> Vec<u8> {
    let zeros = [0; 4096];
    let views = tensors.iter().map(|(name, dtype, shape)| {
        let len = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        (*name, TensorView::new(*dtype, shape.to_vec(), &zeros[..len]).unwrap())
    });
    let metadata = header.map(|header| HashMap::from([("cnn".to_owned(), header.to_owned())]));
    safetensors::serialize(views, metadata).unwrap()
}

#[test]
fn files_that_are_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let header = |format: u32, outputs: &str, std: f32| {
        format!(
            r#"{{"format":{format},"spec":{{"input":[2,2,1],"layers":[{{"type":"flatten"}},{{"type":"dense","outputs":{outputs}}}]}},"normalization":{{"mean":0.5,"std":{std}}}}}"#
        )
    };
    let good = header(1, "3", 1.0);
    let tensors = [("1.weight", Dtype::F32, &[4, 3][..]), ("1.bias", Dtype::F32, &[3][..])];
    fs::write(&path, file(Some(&good), &tensors)).unwrap();
    Model::load(&path).unwrap();

    let check = |bytes: &[u8], expected: &str| {
        fs::write(&path, bytes).unwrap();
        let message = Model::load(&path).expect_err(expected).to_string();
        assert_eq!(message, format!("{}: {expected}", path.display()));
    };
    check(b"", "expected a model in safetensors format; header too small");
    check(b"PK\x03\x04 some other kind of file", "expected a model in safetensors format; header too large");
    let whole = file(Some(&good), &tensors);
    check(
        &whole[..whole.len() - 1],
        "expected a model in safetensors format; incomplete metadata, file not fully covered",
    );
    check(&file(None, &tensors), "expected a model of this program; the metadata has no key \"cnn\"");
    check(&file(Some("{}"), &tensors), "expected format 1, found none");
    check(&file(Some(&header(7, "3", 1.0)), &tensors), "expected format 1, found 7");
    check(
        &file(Some(&header(1, "3", 0.0)), &tensors),
        "expected a finite mean and a positive std, found 0.5 and 0",
    );
    check(
        &file(Some(&header(1, "0", 1.0)), &tensors),
        "layer 1 (dense): outputs: expected at least 1, found 0",
    );
    check(
        &file(Some(&header(1, "1000000000", 1.0)), &tensors),
        "tensor \"1.weight\": expected F32 of shape [4, 1000000000], found F32 of [4, 3]",
    );
    check(&file(Some(&good), &tensors[..1]), "expected a tensor \"1.bias\", found none");
    let wrong = [("1.weight", Dtype::F32, &[3, 4][..]), tensors[1]];
    check(
        &file(Some(&good), &wrong),
        "tensor \"1.weight\": expected F32 of shape [4, 3], found F32 of [3, 4]",
    );
    let wide = [("1.weight", Dtype::F64, &[4, 3][..]), tensors[1]];
    check(
        &file(Some(&good), &wide),
        "tensor \"1.weight\": expected F32 of shape [4, 3], found F64 of [4, 3]",
    );
    let more = [tensors[0], tensors[1], ("2.weight", Dtype::F32, &[1][..])];
    check(&file(Some(&good), &more), "tensor \"2.weight\": expected none of this name");

    let missing = folder.path().join("missing");
    let message = |path: &Path| Model::load(path).unwrap_err().to_string();
    assert_eq!(message(&missing), format!("{}: No such file or directory (os error 2)", missing.display()));
    assert_eq!(message(folder.path()), format!("{}: Is a directory (os error 21)", folder.path().display()));
}

/// Any bytes are a model or an error.
#[test]
fn damaged_files_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let whole = model().to_bytes();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for position in 0..header {
        for value in [0xff, whole[position] ^ 1] {
            let mut bytes = whole.clone();
            bytes[position] = value;
            fs::write(&path, &bytes).unwrap();
            let _ = Model::load(&path);
        }
    }
}

#[test]
fn a_failed_save_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no/such/folder/a.safetensors");
    let message = model().save(&missing).unwrap_err().to_string();
    assert!(message.starts_with(&format!("{}: No such file or directory", missing.display())), "{message}");

    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("inside"), "kept").unwrap();
    model().save(&taken).unwrap_err();
    assert_eq!(fs::read_to_string(taken.join("inside")).unwrap(), "kept");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
}
