//! `fetch-data` as it is run at a terminal, on a folder that stands for the web.

use std::path::Path;
use std::process::{Command, Output};
use std::{env, fs};

fn command(arguments: &[&str], target: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("fetch-data").arg("--data-dir").arg(target).args(arguments).env_remove("MNIST_MIRROR");
    command
}

fn fetch_data(arguments: &[&str], target: &Path) -> Output {
    command(arguments, target).output().expect("the program runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_full_set_is_fetched_once() {
    let Some(full) = env::var_os("MNIST_DIR") else {
        eprintln!("skipped: MNIST_DIR does not name a folder with the full set");
        return;
    };
    let target = tempfile::tempdir().expect("a temporary folder");
    let shown = target.path().display();
    let url = format!("file://{}", full.to_str().expect("a path of characters"));

    let output = fetch_data(&["--mirror", &url], target.path());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).ends_with(&format!("{shown}: complete and verified\n")), "{}", stdout(&output));
    assert_eq!(fs::read_dir(target.path()).expect("a folder").count(), 4);

    for arguments in [&["--mirror", &url][..], &["--offline"], &["--mirror", "/nowhere"]] {
        let output = fetch_data(arguments, target.path());
        assert!(output.status.success(), "{}", stderr(&output));
        let last = format!("{shown}: complete and verified already; nothing to do\n");
        assert!(stdout(&output).ends_with(&last), "{}", stdout(&output));
    }
    assert!(fetch_data(&["--verify"], target.path()).status.success());

    fs::write(target.path().join("t10k-labels-idx1-ubyte.gz"), b"?").expect("a file is written");
    let output = fetch_data(&["--verify"], target.path());
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "{shown}/t10k-labels-idx1-ubyte.gz: expected 10008 decompressed bytes, found 1\n\
         error: {shown}: 1 of 4 files missing or invalid; `cargo xtask fetch-data mnist` fetches them\n"
    );
    assert_eq!(stderr(&output), expected);

    let nowhere = target.path().join("no");
    let output = fetch_data(&["--verify"], &nowhere);
    assert_eq!(output.status.code(), Some(1));
    let nowhere = nowhere.display();
    let expected = format!("error: {nowhere}: no such folder; `cargo xtask fetch-data mnist` fetches them\n");
    assert_eq!(stderr(&output), expected);
}

#[test]
fn what_each_mirror_answered_is_a_table() {
    let target = tempfile::tempdir().expect("a temporary folder");
    let shown = target.path().display();
    let output =
        fetch_data(&["--offline", "--mirror", "/no", "--mirror", "https://example.org"], target.path());
    assert_eq!(output.status.code(), Some(1));
    let file = "train-images-idx3-ubyte.gz";
    let expected = format!(
        "error: cannot fetch mnist into {shown}\n\
         {file}: no mirror had it\n  \
           /no/{file}                  No such file or directory (os error 2)\n  \
           https://example.org/{file}  not asked for it: offline\n\
         hint: --mirror takes another URL, a folder or a zip archive\n"
    );
    assert_eq!(stderr(&output), expected);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let target = tempfile::tempdir().expect("a temporary folder");
    let check = |arguments: &[&str], code, expected: &str| {
        let output = fetch_data(arguments, target.path());
        assert_eq!(output.status.code(), Some(code));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    };
    check(&["cifar"], 2, "expected mnist, fashion-mnist, kmnist, ");
    check(
        &["--mirror", "ftp://example.org"],
        2,
        "expected an http, https or file URL, a folder or an archive",
    );
    check(&["mnist", "kmnist"], 2, "error: --data-dir is for a single set\n");
}

#[test]
fn the_environment_may_name_a_mirror() {
    let target = tempfile::tempdir().expect("a temporary folder");
    let check = |mirror: &str, arguments: &[&str], code, expected: &str| {
        let mut command = command(arguments, target.path());
        let output = command.arg("--offline").env("MNIST_MIRROR", mirror).output().expect("the program runs");
        assert_eq!(output.status.code(), Some(code));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    };
    check("/named", &[], 1, "  /named/train-images-idx3-ubyte.gz  No such file");
    check(
        "/named",
        &["--mirror", "/given"],
        1,
        "no mirror had it\n  /given/train-images-idx3-ubyte.gz  No such file",
    );
    check("", &[], 1, "  https://storage.googleapis.com/cvdf-datasets/mnist/");
    check("ftp://example.org", &[], 2, "error: MNIST_MIRROR: expected an http, https or file URL");
}
