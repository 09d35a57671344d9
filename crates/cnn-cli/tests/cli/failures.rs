//! What goes wrong around any command: nobody reads, the disk is full, there is no model.
#![cfg(unix)]

use crate::{Run, cnn, command, folder, names};
use image::GrayImage;
use mnist_io::sample;
use std::fs;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A folder with a run `r`, a model `m` and a picture `p.png`.
fn prepared() -> TempDir {
    let folder = folder();
    cnn(&folder, "train --progress none --run r --out m").expect_success();
    let digit = GrayImage::from_raw(28, 28, sample::test().unwrap().image(0).to_vec());
    digit.unwrap().save(folder.path().join("p.png")).unwrap();
    folder
}

/// Every command, as it says something.
const COMMANDS: [&str; 18] = [
    "tutorial --out t",
    "train --limit 20 --epochs 1",
    "train --limit 20 --epochs 1 --progress json",
    "train --resume r",
    "presets",
    "presets lenet",
    "eval m",
    "eval m --compare r --out judged --force",
    "predict m p.png",
    "predict m p.png --json",
    "inspect m",
    "inspect m p.png -o sheet.png --force",
    "export m --format onnx --force",
    "data info",
    "data show",
    "gradcheck",
    "doctor",
    "completions bash",
];

#[test]
fn nobody_reads() {
    let folder = prepared();
    for arguments in COMMANDS {
        let mut child = quiet(&folder, arguments).stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), error.as_str()), (Some(0), ""), "{arguments}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_log_is_on_a_full_disk() {
    let folder = prepared();
    for arguments in COMMANDS {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = quiet(&folder, arguments).stdout(full).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments}: {error}");
        assert!(
            error.starts_with("error: standard output: ") && error.lines().count() == 1,
            "{arguments}: {error}"
        );
    }
}

/// No file may grow beyond a kilobyte, or none at all: an error that names the file, and nothing half written.
#[test]
fn the_disk_is_full() {
    for (arguments, blocks) in [
        ("tutorial --out new", 1),
        ("train --limit 20 --epochs 1 --progress none --run new", 0),
        ("train --limit 20 --epochs 1 --progress none --run new", 2),
        ("train --resume r --progress none", 1),
        ("eval m --out new", 1),
        ("inspect m p.png -o new.png", 1),
        ("export m --format onnx -o new", 1),
        ("data show -o new.png", 1),
        ("convolve p.png --kernel blur -o new.png", 0),
        ("man --out new", 0),
    ] {
        let folder = prepared();
        let model = fs::read(folder.path().join("r/model.safetensors")).unwrap();
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" {arguments} >/dev/null");
        let output = Command::new("sh")
            .args(["-c", &script])
            .arg(command(&folder).get_program())
            .current_dir(&folder)
            .env_remove("MNIST_DIR")
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments}: {error}");
        assert!(error.starts_with("error: ") && error.contains("File too large"), "{arguments}: {error}");
        for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let within = if entry.is_dir() { names(&entry) } else { Vec::new() };
            assert!(
                !within.iter().any(|name| name.starts_with(".cnn") || name.contains(".tmp")),
                "{within:?}"
            );
        }
        assert!(
            !folder.path().join("new").is_file() && !folder.path().join("new.png").exists(),
            "{arguments}"
        );
        assert!(!folder.path().join("new/model.safetensors").exists(), "{arguments}");
        assert!(fs::read(folder.path().join("r/model.safetensors")).unwrap() == model, "{arguments}");
    }
}

#[test]
fn there_is_no_model_or_a_wrong_one() {
    let folder = prepared();
    fs::write(folder.path().join("text"), "this is not a model").unwrap();
    let long = "conv 4 3x3, dense 10";
    for arguments in [
        "eval MODEL",
        "predict MODEL p.png",
        "inspect MODEL",
        "export MODEL --format onnx",
        "eval m --compare MODEL",
    ] {
        let with = |model: &str| -> Run { cnn(&folder, &arguments.replace("MODEL", model)) };
        with("missing").expect_failure(&["missing: No such file"]);
        with("text").expect_failure(&["text", "expected a model in safetensors format"]);
        with(".").expect_failure(&["./model.safetensors: No such file"]);
    }
    // A model of other images than those that it is shown.
    let spec =
        ["train", "--spec", long, "--limit", "10", "--epochs", "1", "--progress", "none", "--run", "s"];
    crate::run(command(&folder).args(spec)).expect_success();
    for class in ["a", "b"] {
        fs::create_dir_all(folder.path().join("set").join(class)).unwrap();
        for number in 0..5 {
            let copy = folder.path().join("set").join(class).join(format!("{number}.png"));
            fs::copy(folder.path().join("p.png"), copy).unwrap();
        }
    }
    cnn(&folder, "eval s --images set --size 20").expect_failure(&["set", "28×28×1", "20×20×1"]);
    cnn(&folder, "inspect s --sample 0 --images set --size 20").expect_failure(&[
        "set",
        "28×28×1",
        "20×20×1",
    ]);
}

fn quiet(folder: &TempDir, arguments: &str) -> Command {
    let mut quiet = Command::new(command(folder).get_program());
    quiet
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .env_remove("MNIST_DIR")
        .env_remove("CNN_KERNELS");
    quiet.stderr(Stdio::piped());
    quiet
}
