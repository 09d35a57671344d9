use crate::{cnn, command, folder, names};
use serde_json::Value;
use std::fs;
use std::process::Stdio;
use tempfile::TempDir;

/// The model that a training leaves.
fn model(folder: &TempDir, arguments: &str) -> Vec<u8> {
    let output =
        cnn(folder, &format!("train --progress none --out m.safetensors {arguments}")).expect_success();
    assert_eq!(output, "");
    fs::read(folder.path().join("m.safetensors")).unwrap()
}

#[test]
fn the_model_follows_from_the_choices_alone() {
    let folder = folder();
    let reference = model(&folder, "--limit 30 --epochs 1");
    let same = |arguments: &str| assert!(model(&folder, arguments) == reference, "{arguments}");
    let other = |arguments: &str| assert!(model(&folder, arguments) != reference, "{arguments}");
    same("--limit 30 --epochs 1");
    same("--limit 30 --epochs 1 --seed 0 --preset tutorial --ties all --batch-size 1 --learning-rate 0.005");
    other("--limit 30 --epochs 1 --seed 1");
    other("--limit 30 --epochs 1 --preset keras");
    other("--limit 30 --epochs 1 --ties first");
    other("--limit 30 --epochs 1 --batch-size 2");
    other("--limit 30 --epochs 1 --learning-rate 0.01");
    other("--limit 30 --epochs 2");
    other("--limit 31 --epochs 1");
}

#[test]
fn threads_do_not_change_the_model() {
    let folder = folder();
    let train =
        |threads| model(&folder, &format!("--limit 100 --epochs 1 --batch-size 64 --threads {threads}"));
    let one = train(1);
    assert!(train(2) == one);
    assert!(train(5) == one);
}

/// A line's keys, in the order in which they stand.
#[track_caller]
fn check_keys(line: &str, keys: &[&str]) {
    let places: Vec<_> = keys.iter().map(|key| line.find(&format!("\"{key}\":"))).collect();
    assert!(places.is_sorted() && places[0] == Some(1), "{line}");
    assert_eq!(serde_json::from_str::<Value>(line).unwrap().as_object().unwrap().len(), keys.len(), "{line}");
}

#[test]
fn json_has_an_object_a_line_and_the_same_figures_as_text() {
    let folder = folder();
    let arguments = "--preset keras --limit 70 --epochs 2 --batch-size 8 --learning-rate 0.05 --seed 3";
    let json = cnn(&folder, &format!("train {arguments} --threads 2 --progress json")).expect_success();
    let lines: Vec<&str> = json.lines().collect();
    let [start, first, second, saved, test] = lines[..] else { panic!("{json}") };
    check_keys(
        start,
        &[
            "event",
            "preset",
            "network",
            "data",
            "images",
            "validation",
            "validation_images",
            "test_images",
            "parameters",
            "seed",
            "threads",
            "kernels",
            "epochs",
            "epochs_done",
            "batch_size",
            "learning_rate",
            "average",
            "run",
        ],
    );
    for epoch in [first, second] {
        check_keys(
            epoch,
            &[
                "event",
                "epoch",
                "train_loss",
                "train_accuracy",
                "validation_loss",
                "validation_accuracy",
                "learning_rate",
                "seconds",
                "images_per_second",
            ],
        );
    }
    check_keys(saved, &["event", "model"]);
    check_keys(test, &["event", "loss", "accuracy", "accuracy_low", "accuracy_high", "images"]);

    let value = |line| serde_json::from_str::<Value>(line).unwrap();
    let names: Vec<_> = lines.iter().map(|line| value(line)["event"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["start", "epoch", "epoch", "saved", "test"]);
    let start = value(start);
    assert_eq!((&start["preset"], &start["run"]), (&"keras".into(), &"runs/keras-1".into()));
    assert_eq!(
        (&start["seed"], &start["threads"], &start["learning_rate"]),
        (&3.into(), &2.into(), &0.05.into())
    );
    assert_eq!((&start["images"], &start["test_images"]), (&70.into(), &70.into()));
    // 8 filters of 3×3, and 13·13·8 inputs and a bias for each of 10 digits.
    assert_eq!(start["parameters"], 8 * 9 + (13 * 13 * 8 + 1) * 10);
    assert_eq!(value(saved)["model"], "runs/keras-1/model.safetensors");

    let text = cnn(&folder, &format!("train {arguments} --progress plain")).expect_success();
    for (number, line) in [(1, first), (2, second)] {
        let epoch = value(line);
        let number_of = |key: &str| epoch[key].as_f64().unwrap();
        assert_eq!(epoch["epoch"], number);
        let expected = format!(
            "Epoch {number}: loss {:.4}, accuracy {:.2}% | validation loss {:.4}, accuracy {:.2}% | ",
            number_of("train_loss"),
            100.0 * number_of("train_accuracy"),
            number_of("validation_loss"),
            100.0 * number_of("validation_accuracy"),
        );
        assert!(text.contains(&expected), "no {expected:?} in {text}");
    }
    let test_line = test;
    let test = value(test_line);
    let (loss, accuracy) = (test["loss"].as_f64().unwrap(), test["accuracy"].as_f64().unwrap());
    assert_eq!(test["images"], 70);
    assert!((0.0..=1.0).contains(&accuracy) && loss.is_finite());
    let expected = format!("Test Loss: {loss:.4}\nTest Accuracy: {:.2}% (", 100.0 * accuracy);
    assert!(text.contains(&expected), "no {expected:?} in {text}");

    let eval = cnn(&folder, "eval runs/keras-1 --limit 70 --progress json").expect_success();
    assert!(eval.starts_with(test_line.strip_suffix('}').unwrap()), "{eval}");
}

#[test]
fn a_window_counts_steps_whatever_their_size() {
    let folder = folder();
    let output = cnn(&folder, "train --epochs 1 --batch-size 4").expect_success();
    assert!(output.contains("[Step 200] Past 100 steps: "), "{output}");
}

/// The tutorial preset shows its windows; each starts at an epoch's first step.
#[test]
fn windows_of_a_hundred_steps() {
    let folder = folder();
    let output = cnn(&folder, "train --limit 250 --epochs 2").expect_success();
    let lines: Vec<&str> = output
        .lines()
        .filter_map(|line| {
            let is_head = line.starts_with("--- ");
            let is_step = line.starts_with("[Step ");
            (is_head || is_step).then(|| line.split(':').next().unwrap())
        })
        .collect();
    assert_eq!(
        lines,
        [
            "--- Epoch 1 ---",
            "[Step 100] Past 100 steps",
            "[Step 200] Past 100 steps",
            "--- Epoch 2 ---",
            "[Step 100] Past 100 steps",
            "[Step 200] Past 100 steps",
            "--- Testing the CNN ---",
        ]
    );
}

#[test]
fn the_tutorial_preset_takes_a_thousand_images_and_says_so() {
    let folder = folder();
    let output = cnn(&folder, "train --epochs 1 --batch-size 100").expect_success();
    assert!(output.contains("1000 training images, 1000 test images"), "{output}");
    assert!(output.contains("--limit N sets another number"), "{output}");
    let output = cnn(&folder, "train --epochs 1 --limit 2").expect_success();
    assert!(!output.contains("--limit"), "{output}");
}

/// Refused before anything else happens, and what was there stays.
#[test]
fn a_model_that_could_not_be_saved() {
    let folder = folder();
    fs::create_dir(folder.path().join("taken")).unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    for (out, expected) in [
        ("missing/m.safetensors", "missing: no such folder"),
        ("file/m.safetensors", "file: no such folder"),
        ("taken", "taken: expected a file or a new name, found a folder"),
        #[cfg(unix)]
        ("/dev/null", "/dev/null: expected a file or a new name, found a device"),
    ] {
        for command in ["train", "tutorial"] {
            let run = cnn(&folder, &format!("{command} --out {out}"));
            run.expect_failure(&[expected]);
            assert_eq!(run.stdout, "", "{command} --out {out}");
        }
    }
    assert_eq!(names(folder.path()), ["file", "taken"]);
}

#[test]
fn a_training_that_diverges_leaves_the_old_model() {
    let folder = folder();
    fs::write(folder.path().join("m.safetensors"), "an older model").unwrap();
    cnn(&folder, "train --limit 10 --learning-rate 1e30 --run r --out m.safetensors")
        .expect_failure(&["diverged in epoch 1", "a smaller one"]);
    assert_eq!(fs::read(folder.path().join("m.safetensors")).unwrap(), b"an older model");
    assert_eq!(names(&folder.path().join("r")), ["config.toml", "metrics.jsonl"]);
}

/// Nobody reads: no words about it, and the model is saved as was asked for.
#[test]
fn a_closed_pipe_ends_quietly() {
    let folder = folder();
    for arguments in ["train --limit 300 --epochs 1", "train --limit 20 --progress json"] {
        let mut child = std::process::Command::new(command(&folder).get_program())
            .args(arguments.split_whitespace())
            .current_dir(&folder)
            .env_remove("MNIST_DIR")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{arguments}");
        let run = folder.path().join("runs/tutorial-1");
        assert!(run.join("model.safetensors").is_file());
        fs::remove_dir_all(run).unwrap();
    }
}

/// A full disk under the log is an error, but not a reason to lose the model.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_told_after_the_model_is_saved() {
    let folder = folder();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = std::process::Command::new(command(&folder).get_program())
        .args(["train", "--limit", "5", "--epochs", "1", "--out", "m.safetensors"])
        .current_dir(&folder)
        .env_remove("MNIST_DIR")
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("error: standard output: ") && error.lines().count() == 1, "{error}");
    assert_eq!(names(folder.path()), ["m.safetensors", "runs"]);
}
