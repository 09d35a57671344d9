//! A run's folder: what is in it, how it goes on, and what is refused.

use crate::{Run, cnn, command, folder, names, run};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const QUIET: &str = "train --preset lenet --limit 300 --epochs 3 --batch-size 10 --progress none";

#[test]
fn a_run_leaves_all_there_is_to_know() {
    let folder = folder();
    cnn(&folder, QUIET).expect_success();
    cnn(&folder, QUIET).expect_success();
    assert_eq!(names(&folder.path().join("runs")), ["lenet-1", "lenet-2"]);
    let run = folder.path().join("runs/lenet-1");
    let files = [
        "accuracy.svg",
        "confusion.svg",
        "config.toml",
        "last.ckpt",
        "loss.svg",
        "metrics.jsonl",
        "model.safetensors",
        "report.html",
    ];
    let mut files = files.to_vec();
    files.sort_unstable();
    assert_eq!(names(&run), files);
    let config: toml::Table = fs::read_to_string(run.join("config.toml")).unwrap().parse().unwrap();
    assert_eq!(config["limit"].as_integer(), Some(300));
    assert_eq!(config["training"]["epochs"].as_integer(), Some(3));
    assert_eq!(config["data"]["source"].as_str(), Some("sample"));
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let epochs = metrics.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    assert_eq!(epochs.map(|epoch| epoch["epoch"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);

    // The recipe alone gives the same model.
    cnn(&folder, "train --config runs/lenet-1/config.toml --run again --progress none").expect_success();
    assert_eq!(model(&folder, "again"), model(&folder, "runs/lenet-1"));
}

/// One of which nothing is left but its recipe, and one that is complete; the next test has those between.
#[test]
fn a_run_that_goes_on_comes_to_the_same_bits() {
    let folder = folder();
    cnn(&folder, &format!("{QUIET} --run whole")).expect_success();
    let path = |file: &str| folder.path().join("part").join(file);
    fs::create_dir(folder.path().join("part")).unwrap();
    for file in ["config.toml", "metrics.jsonl"] {
        fs::copy(folder.path().join("whole").join(file), path(file)).unwrap();
    }

    // Before the first checkpoint: from the start.
    cnn(&folder, "train --resume part --progress none").expect_success();
    assert_eq!(model(&folder, "part"), model(&folder, "whole"));
    assert_eq!(lines(&path("metrics.jsonl")), 3);

    // A run that is complete ends as it ended.
    fs::remove_file(path("model.safetensors")).unwrap();
    cnn(&folder, "train --resume part --progress none --threads 1").expect_success();
    assert_eq!(model(&folder, "part"), model(&folder, "whole"));
    assert_eq!(lines(&path("metrics.jsonl")), 3);
}

#[test]
#[cfg(unix)]
fn ctrl_c_and_kill_lose_nothing() {
    let folder = folder();
    let long = "train --preset lenet --epochs 40 --batch-size 8 --progress none";
    cnn(&folder, &format!("{long} --run whole")).expect_success();
    for (signal, code) in [("-INT", Some(130)), ("-TERM", None), ("-KILL", None)] {
        let name = format!("part{signal}");
        let mut child = std::process::Command::new(command(&folder).get_program())
            .args(format!("{long} --run {name}").split_whitespace())
            .current_dir(&folder)
            .env_remove("MNIST_DIR")
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let metrics = folder.path().join(&name).join("metrics.jsonl");
        while !metrics.is_file() || lines(&metrics) == 0 {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::yield_now();
        }
        let kill = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), code, "{signal}: {error}");
        if code.is_some() {
            let hint = format!("`cnn train --resume {name}` goes on\n");
            assert!(error.starts_with("stopped in epoch ") && error.ends_with(&hint), "{error}");
            assert!(folder.path().join(&name).join("last.ckpt").is_file());
        }
        assert!(!folder.path().join(&name).join("model.safetensors").exists());
        cnn(&folder, &format!("train --resume {name} --progress none")).expect_success();
        assert_eq!(model(&folder, &name), model(&folder, "whole"), "{signal}");
        assert_eq!(lines(&folder.path().join(&name).join("metrics.jsonl")), 40);
    }
}

#[test]
fn an_older_run_is_replaced_only_when_that_is_asked_for() {
    let folder = folder();
    let train = "train --limit 10 --epochs 1 --progress none --run";
    cnn(&folder, &format!("{train} r")).expect_success();
    let older = model(&folder, "r");
    cnn(&folder, &format!("{train} r --seed 1"))
        .expect_failure(&["r: it holds something already", "--force"]);
    assert_eq!(model(&folder, "r"), older);
    cnn(&folder, &format!("{train} r --seed 1 --force")).expect_success();
    assert_ne!(model(&folder, "r"), older);

    fs::create_dir(folder.path().join("mine")).unwrap();
    fs::write(folder.path().join("mine/config.toml"), "of = 'another program'").unwrap();
    cnn(&folder, &format!("{train} mine --force"))
        .expect_failure(&["mine: expected an older run, found other files"]);
    assert_eq!(names(&folder.path().join("mine")), ["config.toml"]);
}

#[test]
fn what_cannot_go_on() {
    let folder = folder();
    cnn(&folder, "train --resume r").expect_failure(&["r is no run that could go on", "config.toml"]);
    cnn(&folder, "train --limit 10 --epochs 1 --progress none --run r").expect_success();
    fs::write(folder.path().join("r/last.ckpt"), "no checkpoint").unwrap();
    cnn(&folder, "train --resume r").expect_failure(&["r/last.ckpt"]);
    cnn(&folder, "train --limit 10 --epochs 1 --progress none --run r --force").expect_success();
    fs::write(folder.path().join("r/metrics.jsonl"), "no epoch\n").unwrap();
    cnn(&folder, "train --resume r").expect_failure(&["metrics.jsonl holds no epochs"]);
    let both = run(command(&folder).args(["train", "--resume", "r", "--epochs", "5"]));
    assert_eq!(both.code, Some(2), "{}", both.stderr);
}

#[test]
fn networks_and_recipes_of_ones_own() {
    let folder = folder();
    let train = "--limit 50 --epochs 1 --progress none --run r --force";
    let spec = |text: &str| -> Run {
        let mut arguments = vec!["train", "--spec", text];
        arguments.extend(train.split_whitespace());
        run(command(&folder).args(arguments))
    };
    spec("conv 4 3x3 relu, maxpool 2, dense 10").expect_success();
    spec("conv 4 3x3 relu, maxpool 2, dense").expect_failure(&["is no network"]);
    spec("10x10: conv 4 3x3, dense 10").expect_failure(&["28×28×1", "10×10×1"]);
    spec("conv 4 3x3, dense 5").expect_failure(&["the bundled sample", "expected a label below 5"]);
    spec("missing.toml").expect_failure(&["missing.toml"]);

    // A class each, where the data name them.
    fs::create_dir_all(folder.path().join("set")).unwrap();
    for class in ["a", "b", "c"] {
        let class = folder.path().join("set").join(class);
        fs::create_dir(&class).unwrap();
        for shade in 0..8 {
            let image = image::GrayImage::from_pixel(9, 9, [20 * shade].into());
            image.save(class.join(format!("{shade}.png"))).unwrap();
        }
    }
    let mut arguments = vec!["train", "--spec", "8x8: dense 10", "--images", "set", "--size", "8"];
    arguments.extend(["--epochs", "1", "--progress", "none", "--run", "named"]);
    run(command(&folder).args(&arguments))
        .expect_failure(&["set: expected a network with 3 outputs", "found 10"]);
    arguments[2] = "8x8: dense 3";
    run(command(&folder).args(&arguments)).expect_success();
    fs::rename(folder.path().join("set/c"), folder.path().join("set/d")).unwrap();
    cnn(&folder, "train --resume named").expect_failure(&["expected the classes a, b, c, found a, b, d"]);

    // A recipe is trained as it is, where the data do not name their classes.
    spec("dense 12").expect_success();
    fs::copy(folder.path().join("r/config.toml"), folder.path().join("twelve.toml")).unwrap();
    cnn(&folder, &format!("train --config twelve.toml {train}")).expect_success();
    let config = fs::read_to_string(folder.path().join("r/config.toml")).unwrap();
    assert!(config.contains("dense 12"), "{config}");

    let recipe = cnn(&folder, "presets keras").expect_success();
    fs::write(folder.path().join("patient.toml"), format!("{recipe}patience = 2\n")).unwrap();
    cnn(&folder, &format!("train --config patient.toml {train}"))
        .expect_failure(&["must not be the test images"]);
    fs::write(folder.path().join("mine.toml"), recipe.replace("conv 8 3x3", "conv 4 3x3")).unwrap();
    cnn(&folder, &format!("train --config mine.toml {train}")).expect_success();
    fs::write(folder.path().join("mine.toml"), recipe.replace("epochs", "epoch")).unwrap();
    cnn(&folder, &format!("train --config mine.toml {train}")).expect_failure(&["mine.toml", "epoch"]);
    cnn(&folder, &format!("train --config none.toml {train}")).expect_failure(&["cannot read none.toml"]);
}

#[test]
fn every_preset_is_listed_and_trains() {
    let folder = folder();
    let list = cnn(&folder, "presets").expect_success();
    for name in ["tutorial", "keras", "lenet", "fast99", "best", "fashion"] {
        assert!(list.contains(&format!("{name}: ")), "{list}");
        let train = format!(
            "train --preset {name} --limit 40 --epochs 1 --batch-size 20 --progress none --run {name}"
        );
        cnn(&folder, &train).expect_success();
    }
}

#[test]
fn validation_images_are_held_out() {
    let folder = folder();
    let counts = |validation: &str| {
        let arguments = format!("train --limit 200 --epochs 1 --progress json --validation {validation}");
        let output = cnn(&folder, &arguments).expect_success();
        let start: serde_json::Value = serde_json::from_str(output.lines().next().unwrap()).unwrap();
        let count = |key: &str| start[key].as_u64().unwrap();
        (count("images"), count("validation_images"), count("test_images"))
    };
    assert_eq!(counts("none"), (200, 0, 200));
    assert_eq!(counts("test"), (200, 200, 200));
    let (learned, judged, test) = counts("0.25");
    assert_eq!((learned + judged, test), (200, 200));
    // A quarter of each of ten classes, rounded.
    assert!((45..=55).contains(&judged), "{judged}");
    let wrong = run(command(&folder).args(["train", "--validation", "1.5"]));
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
}

fn model(folder: &TempDir, run: &str) -> Vec<u8> {
    fs::read(folder.path().join(run).join("model.safetensors")).unwrap()
}

fn lines(file: &Path) -> usize {
    fs::read_to_string(file).unwrap().lines().count()
}
