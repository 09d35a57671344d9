use crate::{cnn, command, folder, names, run};

/// Refused by the flags alone: exit code 2, nothing printed, nothing written.
#[test]
fn wrong_usage() {
    let folder = folder();
    for (arguments, expected) in [
        ("--frobnicate", "--frobnicate"),
        ("learn", "learn"),
        ("train --frobnicate", "--frobnicate"),
        ("train more", "more"),
        ("train --preset torch", "tutorial, keras"),
        ("train --epochs 0", "expected a whole number above 0"),
        ("train --epochs 1.5", "expected a whole number above 0"),
        ("train --batch-size 0", "expected a whole number above 0"),
        ("train --limit 0", "expected a whole number above 0"),
        ("train --threads 0", "0 is not in 1..=1024"),
        ("train --threads 5000", "5000 is not in 1..=1024"),
        ("train --learning-rate 0", "expected a finite number above 0"),
        ("train --learning-rate=-1", "expected a finite number above 0"),
        ("train --learning-rate inf", "expected a finite number above 0"),
        ("train --learning-rate NaN", "expected a finite number above 0"),
        ("train --seed x", "--seed"),
        ("train --ties last", "first, all"),
        ("train --progress loud", "auto, plain, json, none"),
        ("train --out", "--out"),
        ("tutorial --seed -1", "-1"),
        ("eval", "<MODEL>"),
        ("eval m --limit 0", "expected a whole number above 0"),
        ("inspect", "<MODEL>"),
        ("inspect m a.png --sample 1", "cannot be used with"),
        ("inspect m --class 1", "required"),
        ("inspect m --dataset kmnist", "--sample"),
        ("inspect m a.png --dataset kmnist", "cannot be used with"),
        ("inspect m -o sheet.jpg", "expected a name that ends in .png or .svg"),
        ("data", "Usage: cnn data <COMMAND>"),
        ("data show --count 0", "0 is not in 1..=1000"),
        ("data show --split all", "train, test"),
        ("data show -o digits.jpg", "expected a name that ends in .png"),
        ("train --images a --data-dir b", "cannot be used with"),
        ("train --size 32", "--images"),
        ("train --images a --size 0", "0 is not in 1..=4096"),
        ("convolve", "<IMAGE>"),
        ("convolve a.png --kernel blur", "--out"),
        ("convolve a.png -o b.png", "--kernel"),
        ("convolve a.png --kernel blur --padding full -o b.png", "valid, same"),
        ("convolve a.png --kernel blur -o b.jpg", "expected a name that ends in .png"),
    ] {
        let run = cnn(&folder, arguments);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{arguments}");
        assert!(run.stderr.contains(expected), "{arguments}: {}", run.stderr);
    }
    assert!(names(folder.path()).is_empty());
}

#[test]
fn help_and_version() {
    let folder = folder();
    assert_eq!(cnn(&folder, "--version").expect_success(), "cnn 0.1.0\n");
    for arguments in [
        "--help",
        "tutorial --help",
        "train --help",
        "eval --help",
        "predict --help",
        "inspect --help",
        "doctor --help",
        "export --help",
        "data info --help",
        "data show --help",
        "convolve --help",
    ] {
        let help = cnn(&folder, arguments).expect_success();
        assert!(help.contains("Example") && help.contains("  cnn "), "{help}");
    }
}

#[test]
fn unknown_kernels() {
    let folder = folder();
    for arguments in ["tutorial", "train", "eval m", "convolve a.png --kernel blur -o b.png"] {
        let run = run(command(&folder).args(arguments.split_whitespace()).env("CNN_KERNELS", "sse9"));
        run.expect_failure(&[
            "CNN_KERNELS",
            "expected one of naive, portable, avx2, avx512",
            "found \"sse9\"",
        ]);
    }
}
