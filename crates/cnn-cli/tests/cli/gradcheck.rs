use crate::{cnn, command, folder, run};
use std::fs;

#[test]
fn a_table_of_errors() {
    let folder = folder();
    let tutorial = cnn(&folder, "gradcheck").expect_success();
    assert!(
        tutorial.starts_with("28x28x1: conv 8 3x3 nobias init tutorial, maxpool 2, dense 10 init tutorial\n")
    );
    for part in ["0 conv2d", "1 max_pool2d", "3 dense", "network", "0.weight", "3.bias", "input", "kernels: "]
    {
        assert!(tutorial.contains(part), "no {part:?} in {tutorial}");
    }

    let line = "6x6x2: conv 3 3x3 relu, dense 4";
    let by_line = run(command(&folder).args(["gradcheck", line, "--seed", "3"])).expect_success();
    fs::write(
        folder.path().join("net.toml"),
        "input = [6, 6, 2]\nlayers = [{ type = \"conv2d\", filters = 3, kernel = [3, 3] }, { type = \"relu\" }, \
         { type = \"flatten\" }, { type = \"dense\", outputs = 4 }]\n",
    )
    .unwrap();
    assert_eq!(cnn(&folder, "gradcheck net.toml --seed 3").expect_success(), by_line);
}

#[test]
fn what_is_no_network() {
    let folder = folder();
    let check = |network: &str, expected: &str| {
        run(command(&folder).args(["gradcheck", network])).expect_failure(&[expected]);
    };
    check(
        "conv 8",
        "\"conv 8\" is no network: expected a kernel such as 3 or 3x3, found the end of the line",
    );
    check("conv 8 99, dense 2", "layer 0 (conv2d): rows: a window of 99 does not fit into an input of 28");
    check("missing.toml", "missing.toml: No such file or directory");
    fs::write(folder.path().join("bad.toml"), "input = [6, 6, 2]\nlayers = [{ type = \"pool\" }]\n").unwrap();
    check("bad.toml", "unknown variant `pool`");
}

/// The tutorial's rule for ties counts each of several equal maxima. Overlapping windows make such.
#[test]
fn a_wrong_gradient_is_seen() {
    let folder = folder();
    let wrong =
        run(command(&folder)
            .args(["gradcheck", "10x10: maxpool 3 stride 1, maxpool 2 stride 1 all, dense 3"]));
    wrong.expect_failure(&["a gradient is wrong: see the table"]);
    let line = wrong.stdout.lines().find(|line| line.contains("WRONG")).unwrap();
    assert!(line.starts_with("network") && line.contains("input"), "{}", wrong.stdout);
}
