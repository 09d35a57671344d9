//! Networks as a line of text, as TOML and as a table.

use layers::{Network, NetworkSpec};

/// Lines that are written as they are read.
const LINES: [&str; 9] = [
    "28x28x1: conv 8 3x3, maxpool 2, dense 10",
    "28x28x1: conv 32 3x3 same relu, conv 64 3x3 relu, maxpool 2, dense 128 relu, dropout 0.5, dense 10",
    "32x32x3: conv 16 3x5 pad 1x2 stride 2x1 dilation 1x2 groups 1 nobias init he-normal batchnorm relu, globalavgpool, dense 10",
    "8x8x4: conv 8 3x3 pad 0:1x1:0 groups 4 leakyrelu, dense 3 init tutorial",
    "8x8x4: maxpool 3 same stride 1 all, minpool 2x3 pad 1, avgpool 2 countpad, dense 3 sigmoid, dense 2",
    "8x8x4: dropout 0.25 spatial gelu, flatten, dropout 0.5, dense 4 tanh, dense 2, softmax",
    "8x8x4: residual(conv 4 3x3 same batchnorm relu, conv 4 3x3 same batchnorm) relu, dense 2",
    "8x8x4: residual(conv 8 3x3 same stride 2 | conv 8 1x1 stride 2 batchnorm epsilon 0.001 momentum 0.5), dense 2",
    "8x8x4: residual(residual(conv 4 3x3 same)) leakyrelu slope 0.2, dense 2",
];

#[test]
fn a_line_reads_as_it_is_written() {
    for line in LINES {
        let spec: NetworkSpec = line.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
        let canonical = line.replace(" dilation 1x2 groups 1", " dilation 1x2");
        assert_eq!(spec.to_string(), canonical);
        assert_eq!(spec.to_string().parse::<NetworkSpec>().as_ref(), Ok(&spec), "{line}");
        let toml = toml::to_string(&spec).unwrap();
        assert_eq!(toml::from_str::<NetworkSpec>(&toml).as_ref(), Ok(&spec), "{toml}");
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<NetworkSpec>(&json).unwrap(), spec, "{json}");
        Network::new(&spec).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn what_may_be_left_out() {
    let check = |line: &str, expected: &str| {
        assert_eq!(line.parse::<NetworkSpec>().unwrap().to_string(), expected, "{line}");
    };
    check("conv 8 3,maxpool 2,dense 10", "28x28x1: conv 8 3x3, maxpool 2, dense 10");
    check("16x12: conv 8 3 valid relu maxpool 2 dense 10", "16x12x1: conv 8 3x3 relu, maxpool 2, dense 10");
    check("conv 8 3 pad 0x0, flatten, dense 10", "28x28x1: conv 8 3x3 pad 0, dense 10");
}

#[test]
fn a_line_that_is_none() {
    let check =
        |line: &str, expected: &str| assert_eq!(line.parse::<NetworkSpec>().unwrap_err(), expected, "{line}");
    let layers = "avgpool, batchnorm, conv, dense, dropout, flatten, gelu, globalavgpool, leakyrelu, maxpool, minpool, \
                  relu, residual, sigmoid, softmax, tanh";
    check("conv", "expected a number of filters, found the end of the line");
    check("conv x 3", "word 2: expected a number of filters, found \"x\"");
    check("conv 8 3y3", "word 3: expected a kernel such as 3 or 3x3, found \"3y3\"");
    check("conv 8 3, pool 2", &format!("word 5: expected a layer ({layers}), found \"pool\""));
    check("conv 8 3 stride, dense 2", "word 5: expected a stride such as 3 or 3x3, found \",\"");
    check("conv 8 3 pad -1", "word 5: expected padding such as 1, 1x2 or 0:1x0:1, found \"-1\"");
    check(
        "dense 10 init best",
        "word 4: expected an initializer (glorot-uniform, glorot-normal, he-uniform, he-normal, \
          tutorial, zeros, ones), found \"best\"",
    );
    check("residual(conv 8 3", "expected \")\", found the end of the line");
    check("dense 10)", "word 3: expected the end of the line, found \")\"");
    check("28y28: dense 10", "expected a shape such as 28x28x1 before the colon, found \"28y28\"");
    check(", dense 10", &format!("word 1: expected a layer ({layers}), found \",\""));
}

#[test]
fn a_summary_is_a_table() {
    let spec: NetworkSpec = LINES[1].parse().unwrap();
    let summary = Network::with_kernels(&spec, layers::Kernels::NAIVE).unwrap().summary().to_string();
    let expected = "\
   layer                output    parameters  multiply-adds
   input                28×28×1
0  conv 32 3x3 same     28×28×32         320        225,792
1  relu                 28×28×32           0              0
2  conv 64 3x3          26×26×64      18,496     12,460,032
3  relu                 26×26×64           0              0
4  maxpool 2            13×13×64           0              0
5  flatten              10816              0              0
6  dense 128            128        1,384,576      1,384,448
7  relu                 128                0              0
8  dropout 0.5          128                0              0
9  dense 10             10             1,290          1,280
   all                             1,404,682     14,071,552
run as one: 2 + 3 + 4
kernels: naive";
    let trimmed = |text: &str| {
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    assert_eq!(trimmed(&summary), trimmed(expected), "{summary}");
}
