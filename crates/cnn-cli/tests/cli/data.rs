use crate::{cnn, command, folder, names, run};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// An IDX file of bytes.
fn idx(shape: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    bytes.extend(shape.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(values);
    bytes
}

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";

/// Four training and two test images of some size.
fn write_set(folder: &Path, side: u32) {
    fs::create_dir_all(folder).unwrap();
    let pixels = |n: u32| (0..n * side * side).map(|i| (i * 7 % 256) as u8).collect::<Vec<_>>();
    for (images, labels, n) in [(TRAIN_IMAGES, TRAIN_LABELS, 4), (TEST_IMAGES, TEST_LABELS, 2)] {
        fs::write(folder.join(images), idx(&[n, side, side], &pixels(n))).unwrap();
        fs::write(folder.join(labels), idx(&[n], &[1, 2, 3, 4][..n as usize])).unwrap();
    }
}

/// Where a training takes its images from, as it says.
fn source(folder: &TempDir, arguments: &str, mnist_dir: Option<&str>) -> String {
    let mut command = command(folder);
    command.args(["train", "--limit", "3", "--epochs", "1"]).args(arguments.split_whitespace());
    let output = run(command.envs(mnist_dir.map(|folder| ("MNIST_DIR", folder)))).expect_success();
    let line = output.lines().find_map(|line| line.strip_prefix("Data: "));
    line.unwrap().to_owned()
}

#[test]
fn flag_then_variable_then_fetched_then_sample() {
    let folder = folder();
    let check = |arguments, mnist_dir, expected: &str| {
        assert_eq!(source(&folder, arguments, mnist_dir), expected);
    };
    for name in ["given", "named"] {
        write_set(&folder.path().join(name), 28);
    }
    let sample = "the bundled sample of MNIST: 3 training images, 3 test images";
    check("", None, sample);
    check("", Some(""), sample);
    fs::create_dir_all(folder.path().join("data/mnist")).unwrap();
    check("", None, sample);
    write_set(&folder.path().join("data/mnist"), 28);
    check("", None, "data/mnist: 3 training images, 2 test images");
    check("", Some("named"), "named: 3 training images, 2 test images");
    check("--data-dir given", Some("named"), "given: 3 training images, 2 test images");
}

/// Black images, as many as the set has, of the first class.
fn write_named_set(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (images, labels, n) in [(TRAIN_IMAGES, TRAIN_LABELS, 60_000), (TEST_IMAGES, TEST_LABELS, 10_000)] {
        for (file, shape) in [(images, &[n, 28, 28][..]), (labels, &[n])] {
            fs::write(folder.join(file), idx(shape, &[])).unwrap();
            let file = fs::File::options().append(true).open(folder.join(file)).unwrap();
            file.set_len(
                4 + 4 * shape.len() as u64 + shape.iter().map(|&size| u64::from(size)).product::<u64>(),
            )
            .unwrap();
        }
    }
}

#[test]
fn a_set_is_chosen_by_its_name() {
    let folder = folder();
    for (name, expected) in [("fashion-mnist", "data/fashion-mnist"), ("emnist-letters", "data/emnist")] {
        let run = cnn(&folder, &format!("train --dataset {name}"));
        run.expect_failure(&[&format!("cannot load {name}: {expected}: no such folder")]);
        let hint = format!("hint: `cargo xtask fetch-data {name}` puts it into {expected}\n");
        assert!(run.stderr.ends_with(&hint), "{}", run.stderr);
    }
    write_named_set(&folder.path().join("data/fashion-mnist"));
    let expected = "fashion-mnist in data/fashion-mnist: 3 training images, 3 test images";
    assert_eq!(source(&folder, "--dataset fashion-mnist", Some("elsewhere")), expected);
    cnn(&folder, "eval runs/tutorial-1 --dataset fashion-mnist --limit 5").expect_success();
    let info = cnn(&folder, "data info --dataset fashion-mnist").expect_success();
    for part in [
        "\n60000 training images of 28×28×1, mean 0.0000, standard deviation 0.0000\n  data/fashion-mnist/train-images-idx3-ubyte: 47040016 bytes\n",
        "\n  data/fashion-mnist/t10k-labels-idx1-ubyte: 10008 bytes\nFashion-MNIST: H. Xiao, ",
        "\nLicence: MIT, © 2017 Zalando SE\nTo cite: H. Xiao, ",
        "\nAnkle boot          0      0\n",
    ] {
        assert!(info.contains(part), "no {part:?} in {info}");
    }

    fs::rename(folder.path().join("data/fashion-mnist"), folder.path().join("clothes")).unwrap();
    let expected = "fashion-mnist in clothes: 3 training images, 3 test images";
    assert_eq!(source(&folder, "--dataset fashion-mnist --data-dir clothes", None), expected);

    let run = cnn(&folder, "train --dataset cifar");
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("mnist, fashion-mnist, kmnist, qmnist"), "{}", run.stderr);
}

#[test]
fn no_such_folder() {
    let folder = folder();
    for arguments in ["train", "train --progress json"] {
        let run = cnn(&folder, &format!("{arguments} --data-dir nowhere"));
        run.expect_failure(&["nowhere", TRAIN_IMAGES, TRAIN_LABELS]);
        assert!(run.stderr.contains("hint: `cargo xtask fetch-data`"), "{}", run.stderr);
        assert_eq!(run.stdout, "");
    }
}

/// Each file of a set broken in one way: the error names it, and a model that was there stays.
#[test]
fn broken_files() {
    let images = idx(&[4, 28, 28], &[0; 4 * 28 * 28]);
    let cases: [(&str, &str, Option<Vec<u8>>); 11] = [
        ("missing", TRAIN_IMAGES, None),
        ("missing", TEST_LABELS, None),
        ("empty", TRAIN_IMAGES, Some(vec![])),
        ("header cut off", TRAIN_IMAGES, Some(images[..9].to_vec())),
        ("values cut off", TRAIN_IMAGES, Some(images[..100].to_vec())),
        ("too long", TEST_IMAGES, Some([&idx(&[2, 28, 28], &[0; 2 * 28 * 28])[..], &[0]].concat())),
        ("oversized header", TRAIN_IMAGES, Some(idx(&[u32::MAX, u32::MAX, u32::MAX], &[0; 50]))),
        ("wrong magic", TEST_LABELS, Some(b"PK\x03\x04 is no IDX file".to_vec())),
        ("wrong type", TRAIN_LABELS, Some(vec![0, 0, 7, 1, 0, 0, 0, 0])),
        ("wrong rank", TRAIN_IMAGES, Some(idx(&[4], &[0; 4]))),
        ("unequal counts", TRAIN_LABELS, Some(idx(&[3], &[0; 3]))),
    ];
    for (what, file, bytes) in cases {
        let folder = folder();
        let set = folder.path().join("set");
        write_set(&set, 28);
        match bytes {
            Some(bytes) => fs::write(set.join(file), bytes).unwrap(),
            None => fs::remove_file(set.join(file)).unwrap(),
        }
        fs::write(folder.path().join("m.safetensors"), "an older model").unwrap();
        let run = cnn(&folder, "train --data-dir set --out m.safetensors");
        run.expect_failure(&["set", file, "expected"]);
        assert!(what == "too long" || run.stderr.contains("found"), "{what}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{what}");
        assert_eq!(fs::read(folder.path().join("m.safetensors")).unwrap(), b"an older model");
        assert_eq!(names(folder.path()), ["m.safetensors", "set"], "{what}");
    }
}

#[test]
fn images_and_labels_that_do_not_fit_the_network() {
    let folder = folder();
    write_set(&folder.path().join("small"), 20);
    let small = cnn(&folder, "train --data-dir small");
    small.expect_failure(&["small", "expected a 28×28×1 map", "found a 20×20×1 map"]);

    let letters = folder.path().join("letters");
    write_set(&letters, 28);
    fs::write(letters.join(TRAIN_LABELS), idx(&[4], &[1, 2, 26, 3])).unwrap();
    cnn(&folder, "train --data-dir letters").expect_failure(&[
        "letters",
        "sample 2",
        "expected a label below 10",
        "found 26",
    ]);
    assert_eq!(names(folder.path()), ["letters", "small"]);
}

#[test]
fn eval_needs_the_test_images_alone() {
    let folder = folder();
    cnn(&folder, "train --limit 3 --epochs 1").expect_success();
    let set = folder.path().join("set");
    write_set(&set, 28);
    fs::remove_file(set.join(TRAIN_IMAGES)).unwrap();
    let output = cnn(&folder, "eval runs/tutorial-1 --data-dir set").expect_success();
    assert!(output.contains("of 2 images)"), "{output}");
    write_set(&set, 20);
    cnn(&folder, "eval runs/tutorial-1 --data-dir set").expect_failure(&["set", "28×28×1", "20×20×1"]);
    cnn(&folder, "eval runs/tutorial-1 --data-dir no").expect_failure(&["no", TEST_IMAGES]);
}
