//! Winograd's algorithm gives what the direct convolution gives, up to some rounding, where it is asked for and nowhere else.

use layers::ndarray::{Array4, ArrayD, Axis};
use layers::{Draw, Kernels, Network, NetworkSpec};

const LINE: &str = "14x13x3: conv 16 3x3 same relu, conv 24 3x3 relu, residual(conv 24 3x3 same relu), \
                    conv 20 3x3 same, maxpool 2 relu, dense 10";

#[test]
fn it_is_opt_in_and_the_summary_tells() {
    let spec: NetworkSpec = LINE.parse().unwrap();
    let plain = Network::with_kernels(&spec, Kernels::detect()).unwrap();
    assert!(plain.summary().winograd.is_empty() && !plain.summary().to_string().contains("Winograd"));
    let network = Network::with_winograd(&spec, Kernels::detect()).unwrap();
    // Not the first, which has 3 channels.
    let summary = network.summary().to_string();
    assert!(summary.contains("by Winograd's algorithm: 2, 4, 5\n"), "{summary}");
    assert_eq!((network.spec(), network.fusions()), (plain.spec(), plain.fusions()));
}

#[test]
fn logits_and_gradients_are_near_and_no_answer_changes() {
    let spec: NetworkSpec = LINE.parse().unwrap();
    for (kernels, batch) in Kernels::available().flat_map(|kernels| [(kernels, 1), (kernels, 19)]) {
        let case = format!("{kernels}, batch {batch}");
        let plain = Network::with_kernels(&spec, kernels).unwrap();
        let network = Network::with_winograd(&spec, kernels).unwrap();
        let parameters = plain.initial_parameters(5);
        let x = Array4::from_shape_fn((batch, 14, 13, 3), |(n, i, j, c)| {
            ((7 * n + i * i + 5 * j + c * i) % 11) as f32 / 11.0
        });
        let dy = ArrayD::from_shape_fn(vec![batch, 10], |at| (at[0] + 2 * at[1]) as f32 % 5.0 - 2.0);
        let run = |network: &Network| {
            let mut workspace = network.workspace(batch).unwrap();
            network.backward(&parameters, x.view(), dy.view(), Draw::default(), &mut workspace).unwrap();
            let logits = network.forward(&parameters, x.view(), workspace.activations()).unwrap().to_owned();
            (logits, workspace)
        };
        let ((expected, direct), (found, workspace)) = (run(&plain), run(&network));
        let near = |what: &str, found: &[f32], expected: &[f32]| {
            let largest = expected.iter().fold(1e-3f32, |max, value| max.max(value.abs()));
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() <= 1e-4 * largest, "{case}: {what} {a}, expected {b}");
            }
        };
        near("logit", found.as_slice().unwrap(), expected.as_slice().unwrap());
        near("gradient", workspace.gradients(), direct.gradients());
        near("dx", workspace.input_gradient(), direct.input_gradient());
        let answer = |logits: layers::ndarray::ArrayView<f32, _>| {
            let logits: layers::ndarray::ArrayViewD<f32> = logits;
            (0..10).max_by(|&a, &b| logits[[a]].total_cmp(&logits[[b]])).unwrap()
        };
        for (found, expected) in found.axis_iter(Axis(0)).zip(expected.axis_iter(Axis(0))) {
            assert_eq!(answer(found), answer(expected), "{case}");
        }

        // A sample's logits are the same bits alone as in a batch.
        let last = x.slice(layers::ndarray::s![batch - 1.., .., .., ..]).to_owned();
        let mut activations = network.activations(1).unwrap();
        let alone = network.forward(&parameters, last.view(), &mut activations).unwrap();
        assert_eq!(alone.index_axis(Axis(0), 0), found.index_axis(Axis(0), batch - 1), "{case}");
    }
}
