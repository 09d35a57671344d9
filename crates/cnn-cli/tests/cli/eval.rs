use crate::{cnn, folder};
use layers::ndarray::Axis;
use layers::{Dense, Flatten, Model, Network, NetworkSpec, Normalization};
use std::fs;
use std::path::Path;

/// A model with a dense layer and all zeros.
fn write_model(path: &Path, input: [usize; 3], classes: usize, normalization: Normalization) {
    let spec = NetworkSpec::new(input).with(Flatten).with(Dense::new(classes));
    let network = Network::new(&spec).unwrap();
    let parameters = network.zero_parameters();
    Model { network, parameters, normalization, class_names: Vec::new() }.save(path).unwrap();
}

const CENTERED: Normalization = Normalization { mean: 0.5, std: 1.0 };

#[test]
fn files_that_are_no_models() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    write_model(&path("good"), [28, 28, 1], 10, CENTERED);
    let good = fs::read(path("good")).unwrap();
    let text = String::from_utf8_lossy(&good).into_owned();
    assert!(text.contains(r#"\"outputs\":10"#), "{text}");
    // Bytes of the same length, so that the rest of the file stays where it is.
    let replace = |from: &[u8], to: &[u8]| {
        let place = good.windows(from.len()).position(|window| window == from).unwrap();
        [&good[..place], to, &good[place + from.len()..]].concat()
    };
    let cases: [(&str, Vec<u8>, &[&str]); 7] = [
        ("empty", vec![], &["expected a model in safetensors format"]),
        ("text", b"not a model, but longer than eight bytes".to_vec(), &["expected a model in safetensors"]),
        ("header-cut-off", good[..40].to_vec(), &["expected a model in safetensors format"]),
        ("values-cut-off", good[..good.len() - 4].to_vec(), &["expected a model in safetensors format"]),
        (
            "other-outputs",
            replace(br#"\"outputs\":10"#, br#"\"outputs\":11"#),
            &["expected F32 of shape [784, 11]"],
        ),
        ("other-name", replace(b"1.weight", b"1.height"), &["expected a tensor \"1.weight\", found none"]),
        ("other-format", replace(br#"\"format\":1"#, br#"\"format\":7"#), &["expected format 1, found 7"]),
    ];
    for (name, bytes, parts) in cases {
        fs::write(path(name), bytes).unwrap();
        let run = cnn(&folder, &format!("eval {name}"));
        run.expect_failure(&[&[name], parts].concat());
        assert!(run.stderr.contains("\nhint: ") && run.stdout.is_empty(), "{}", run.stderr);
    }
    cnn(&folder, "eval nowhere").expect_failure(&["nowhere: No such file"]);
    fs::create_dir(path("directory")).unwrap();
    cnn(&folder, "eval directory").expect_failure(&["directory/model.safetensors: "]);
    cnn(&folder, "eval good").expect_success();
}

#[test]
fn models_for_other_images() {
    let folder = folder();
    write_model(&folder.path().join("small"), [8, 8, 3], 10, CENTERED);
    cnn(&folder, "eval small").expect_failure(&[
        "sample of MNIST",
        "expected a 8×8×3 map",
        "found a 28×28×1 map",
    ]);
    write_model(&folder.path().join("few"), [28, 28, 1], 7, CENTERED);
    // The first test image is a 7.
    cnn(&folder, "eval few").expect_failure(&["sample 0: expected a label below 7, found 7"]);
    cnn(&folder, "eval few --progress json").expect_failure(&["found 7"]);
}

/// A network of zeros finds every class equally likely, so that its loss is ln 10.
#[test]
fn figures() {
    let folder = folder();
    write_model(&folder.path().join("m"), [28, 28, 1], 10, CENTERED);
    let output = cnn(&folder, "eval m --limit 50").expect_success();
    assert!(output.contains("Data: the bundled sample of MNIST: 50 test images"), "{output}");
    assert!(output.contains("Test Loss: 2.3026\n"), "{output}");
    assert_eq!(cnn(&folder, "eval m --progress none").expect_success(), "");
}

/// The sum of all pixels as one logit tells whether the model's own normalisation was used.
#[test]
fn the_models_normalization_is_used() {
    let folder = folder();
    let loss = |normalization| {
        let path = folder.path().join("m");
        write_model(&path, [28, 28, 1], 10, normalization);
        let mut model = Model::load(&path).unwrap();
        let name = model.network.parts().next().unwrap().name.clone();
        let mut weight = model.parameters.get_mut(&name).unwrap();
        weight.index_axis_mut(Axis(1), 0).fill(0.001);
        model.save(&path).unwrap();
        let output = cnn(&folder, "eval m --limit 1 --progress json").expect_success();
        serde_json::from_str::<serde_json::Value>(&output).unwrap()["loss"].as_f64().unwrap()
    };
    let image = mnist_io::sample::test().unwrap().image(0).to_vec();
    for normalization in [CENTERED, Normalization { mean: 0.1307, std: 0.3081 }] {
        // Logits (s, 0, …, 0) and label 7: the loss is ln(eˢ + 9).
        let (mean, std) = (f64::from(normalization.mean), f64::from(normalization.std));
        let sum: f64 = image.iter().map(|&pixel| 0.001 * (f64::from(pixel) / 255.0 - mean) / std).sum();
        let expected = (sum.exp() + 9.0).ln();
        assert!((loss(normalization) - expected).abs() < 1e-5, "{normalization:?}");
    }
}
