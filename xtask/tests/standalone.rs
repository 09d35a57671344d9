//! Each library works alone: the first program of its README, in a package outside the workspace that depends on
//! nothing else.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// Builds and runs the README's program with what the workspace has fetched already, and asserts that it prints
/// something. The packages share one folder for what is built, so `name` tells them apart.
fn check(name: &str, library: &str, settings: &str) {
    let xtask = env::var("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    let root = Path::new(&xtask).parent().expect("the package is a folder of the workspace");
    let folder = root.join("crates").join(library);
    let readme = fs::read_to_string(folder.join("README.md")).expect("the library has a README");
    let block = readme.split_once("\n```rust\n").and_then(|(_, rest)| rest.split_once("\n```"));
    let (program, _) = block.unwrap_or_else(|| panic!("{library}: expected a ```rust block in its README"));

    let package = tempfile::tempdir().expect("a temporary folder");
    let write =
        |path: &str, text: &str| fs::write(package.path().join(path), text).expect("a file is written");
    fs::create_dir(package.path().join("src")).expect("a folder is made");
    write("src/main.rs", program);
    write(
        "Cargo.toml",
        &format!(
            "[package]\nname = '{name}'\nedition = '2024'\n\n[workspace]\n\n\
             [dependencies]\n{library} = {{ path = '{}'{settings} }}\n",
            folder.display()
        ),
    );
    fs::copy(root.join("Cargo.lock"), package.path().join("Cargo.lock")).expect("the lock file is copied");

    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--offline", "--quiet", "--target-dir"]).arg(root.join("target/standalone"));
    cargo.current_dir(package.path()).env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0");
    let output = cargo.output().expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{library}: {}\n{errors}", output.status);
    assert!(!output.stdout.is_empty(), "{library}: the program printed nothing\n{errors}");
}

#[test]
fn tensor_ops() {
    check("tensor-ops-alone", "tensor-ops", "");
}

#[test]
fn layers() {
    check("layers-alone", "layers", "");
}

#[test]
fn mnist_io() {
    check("mnist-io-alone", "mnist-io", "");
}

#[test]
fn mnist_io_without_features() {
    check("mnist-io-parser-alone", "mnist-io", ", default-features = false");
}
