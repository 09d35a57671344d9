use crate::{cnn, command, folder, names};
use layers::{Model, Network, Normalization};
use safetensors::SafeTensors;
use std::fs;
use std::path::Path;

/// A model of random weights.
fn write_model(path: &Path, network: &str) {
    let network = Network::new(&network.parse().unwrap()).unwrap();
    let parameters = network.initial_parameters(1);
    let normalization = Normalization { mean: 0.5, std: 1.0 };
    Model { network, parameters, normalization, class_names: Vec::new() }.save(path).unwrap();
}

const NETWORK: &str = "28x28x1: conv 4 3x3 relu, maxpool 2, dense 10";

#[test]
fn each_format_gets_a_name_of_its_own() {
    let folder = folder();
    write_model(&folder.path().join("m.safetensors"), NETWORK);
    let line = cnn(&folder, "export m.safetensors --format onnx").expect_success();
    assert!(line.starts_with("m.safetensors → m.onnx: ONNX") && line.lines().count() == 1, "{line}");
    cnn(&folder, "export m.safetensors --format safetensors-torch").expect_success();
    cnn(&folder, "export m.safetensors --format safetensors-keras -o weights").expect_success();
    assert_eq!(names(folder.path()), ["m.onnx", "m.safetensors", "m.torch.safetensors", "weights"]);

    let shapes = |file: &str| -> Vec<_> {
        let bytes = fs::read(folder.path().join(file)).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut shapes: Vec<_> =
            file.tensors().into_iter().map(|(name, tensor)| (name, tensor.shape().to_vec())).collect();
        shapes.sort();
        shapes
    };
    let expected =
        |tensors: [(&str, &[usize]); 4]| tensors.map(|(name, shape)| (name.to_owned(), shape.to_vec()));
    let torch: [(&str, &[usize]); 4] =
        [("0.bias", &[4]), ("0.weight", &[4, 1, 3, 3]), ("4.bias", &[10]), ("4.weight", &[10, 676])];
    assert_eq!(shapes("m.torch.safetensors"), expected(torch));
    let keras: [(&str, &[usize]); 4] =
        [("0.bias", &[4]), ("0.kernel", &[3, 3, 1, 4]), ("4.bias", &[10]), ("4.kernel", &[676, 10])];
    assert_eq!(shapes("weights"), expected(keras));
}

#[test]
fn what_is_there_stays_unless_it_is_to_be_replaced() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    write_model(&path("m"), NETWORK);
    fs::write(path("m.onnx"), "mine").unwrap();
    cnn(&folder, "export m --format onnx")
        .expect_failure(&["m.onnx: it is there already; --force replaces it"]);
    assert_eq!(fs::read(path("m.onnx")).unwrap(), b"mine");
    cnn(&folder, "export m --format onnx --force").expect_success();
    assert!(fs::read(path("m.onnx")).unwrap().len() > 4 * 6760);
    let model = fs::read(path("m")).unwrap();
    cnn(&folder, "export m --format safetensors-torch -o m --force")
        .expect_failure(&["m: it is the model itself"]);
    assert!(fs::read(path("m")).unwrap() == model);
}

#[test]
fn what_cannot_be_exported() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    cnn(&folder, "export nowhere --format onnx").expect_failure(&["nowhere: No such file"]);
    fs::write(path("text"), "not a model, but longer than eight bytes").unwrap();
    cnn(&folder, "export text --format onnx")
        .expect_failure(&["text: expected a model in safetensors format"]);
    write_model(&path("rows"), "4x4x1: conv 3 3x3, flatten");
    cnn(&folder, "export rows --format safetensors-torch")
        .expect_failure(&["layer 1 (flatten): expected a dense layer behind it"]);
    cnn(&folder, "export rows --format onnx -o nowhere/m.onnx").expect_failure(&["nowhere: no such folder"]);
    cnn(&folder, "export rows --format onnx -o .").expect_failure(&["found a folder"]);
    let run = cnn(&folder, "export rows --format pickle");
    assert!(run.code == Some(2) && run.stderr.contains("safetensors-keras"), "{}", run.stderr);
    assert_eq!(names(folder.path()), ["rows", "text"]);
}

/// The system refuses to write more than half a kilobyte: an error that names the file, and nothing half is left.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_leaves_nothing() {
    let folder = folder();
    write_model(&folder.path().join("m"), NETWORK);
    let cnn = command(&folder).get_program().to_owned();
    let script = "trap '' XFSZ; ulimit -f 1; \"$0\" export m --format onnx";
    let output =
        std::process::Command::new("sh").args(["-c", script]).arg(cnn).current_dir(&folder).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && error.starts_with("error: m.onnx: File too large"), "{error}");
    assert_eq!(names(folder.path()), ["m"]);
    cnn_onto_a_device(&folder);
}

#[cfg(target_os = "linux")]
fn cnn_onto_a_device(folder: &tempfile::TempDir) {
    cnn(folder, "export m --format onnx -o /dev/full").expect_failure(&["found a device"]);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = std::process::Command::new(command(folder).get_program())
        .args(["export", "m", "--format", "onnx"])
        .current_dir(folder)
        .stdout(full)
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && error.starts_with("error: standard output: "), "{error}");
    assert_eq!(names(folder.path()), ["m", "m.onnx"]);
}
