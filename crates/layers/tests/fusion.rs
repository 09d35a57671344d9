//! Layers that run as one give what they give by themselves.

use layers::ndarray::{Array4, ArrayD, Axis};
use layers::{Draw, Kernels, Network, NetworkSpec};

/// Groups of layers that run as one.
fn groups(line: &str) -> Vec<String> {
    let network = Network::new(&line.parse().unwrap()).unwrap();
    network.fusions().iter().map(|group| group.join("+")).collect()
}

#[test]
fn what_is_fused() {
    let check = |line: &str, expected: &[&str]| assert_eq!(groups(line), expected, "{line}");
    check("9x9: conv 4 3x3, maxpool 2, dense 3", &["0+1"]);
    check("9x9: conv 4 3x3 same relu, maxpool 2, conv 5 2x2, maxpool 2 relu, dense 3", &["0+1+2", "3+4+5"]);
    check(
        "9x9: relu, residual(conv 4 3x3 same relu, maxpool 2 | conv 4 1x1, avgpool 2)",
        &["1.body.0+1.body.1+1.body.2"],
    );
    check(
        "9x9: residual(conv 4 2x2 same, maxpool 2 | conv 4 1x1, maxpool 2)",
        &["0.body.0+0.body.1", "0.shortcut.0+0.shortcut.1"],
    );
    // Not where the windows overlap, the convolution skips places, or something lies between.
    check("9x9: conv 4 3x3, maxpool 3 stride 2", &[]);
    check("9x9: conv 4 3x3 stride 2, maxpool 2", &[]);
    check("9x9: conv 4 3x3 batchnorm, maxpool 2", &[]);
    check("9x9: conv 4 3x3, avgpool 2", &[]);
}

#[test]
fn the_summary_tells_and_fusion_can_be_turned_off() {
    let spec: NetworkSpec = "9x9: conv 4 3x3 relu, maxpool 2, dense 3".parse().unwrap();
    let fused = Network::new(&spec).unwrap().summary().to_string();
    assert!(fused.contains("run as one: 0 + 1 + 2\n"), "{fused}");
    let network = Network::without_fusion(&spec, Kernels::detect()).unwrap();
    assert!(!network.summary().to_string().contains("run as one"));
}

#[test]
fn fused_and_alone_give_the_same() {
    for line in [
        "8x9: conv 8 3x3 nobias, maxpool 2, dense 3",
        "8x9: conv 3 3x3 same, maxpool 2 all, dense 3",
        "9x8x3: conv 17 2x2 relu, maxpool 2 all, dense 3",
        "9x9: conv 6 5x5 same relu, maxpool 2, conv 16 3x3, maxpool 2 relu, dense 3",
        "8x8x2: conv 5 3x3 same relu, residual(conv 8 3x3 same, maxpool 2 | conv 8 1x1 relu, maxpool 2), dense 3",
    ] {
        let spec: NetworkSpec = line.parse().unwrap();
        for (kernels, batch) in Kernels::available().flat_map(|kernels| [(kernels, 1), (kernels, 37)]) {
            let case = format!("{line}, {kernels}, batch {batch}");
            let fused = Network::with_kernels(&spec, kernels).unwrap();
            let alone = Network::without_fusion(&spec, kernels).unwrap();
            assert!(!fused.fusions().is_empty() && alone.fusions().is_empty(), "{case}");
            // Whole numbers, so that windows tie.
            let [rows, columns, channels] = spec.input;
            let x = Array4::from_shape_fn((batch, rows, columns, channels), |(n, i, j, c)| {
                ((3 * n + i * i + 5 * j + c * i) % 4) as f32 - 1.5
            });
            let parameters = fused.initial_parameters(5);
            let dy = ArrayD::from_shape_fn(vec![batch, 3], |at| (at[0] + 2 * at[1]) as f32 % 5.0 - 2.0);
            let run = |network: &Network| {
                let parameters = {
                    let mut own = network.zero_parameters();
                    own.values_mut().copy_from_slice(parameters.values());
                    own
                };
                let mut workspace = network.workspace(batch).unwrap();
                network.backward(&parameters, x.view(), dy.view(), Draw::default(), &mut workspace).unwrap();
                let output =
                    network.forward(&parameters, x.view(), workspace.activations()).unwrap().to_owned();
                (output, workspace)
            };
            let ((y, fused), (y_alone, alone)) = (run(&fused), run(&alone));
            assert_eq!(y.len_of(Axis(0)), batch);
            let near = |what: &str, found: &[f32], expected: &[f32]| {
                let largest = expected.iter().fold(1e-3f32, |max, value| max.max(value.abs()));
                for (a, b) in found.iter().zip(expected) {
                    assert!((a - b).abs() <= 1e-5 * largest, "{case}: {what} {a}, expected {b}");
                }
            };
            near("y", y.as_slice().unwrap(), y_alone.as_slice().unwrap());
            near("gradient", fused.gradients(), alone.gradients());
            near("dx", fused.input_gradient(), alone.input_gradient());
        }
    }
}
