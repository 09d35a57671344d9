//! Winograd's convolution against the plain one: the same numbers, up to a rounding that is bounded here.

mod common;

use common::{Numbers, poison, scratch, wide};
use ndarray::{Array1, Array4, ArrayView1, s};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tensor_ops::{
    Conv2dConfig, Conv2dGeometry, Kernels, Padding, WinogradGeometry, conv2d, naive, ndarray, winograd,
};

/// What results may differ by from those in `f64`, relative to the largest sum of absolute values.
const TOLERANCE: f64 = 1e-5;

fn geometry(input: [usize; 3], filters: usize, padding: Padding) -> Option<Conv2dGeometry> {
    Conv2dGeometry::new(input, filters, &Conv2dConfig { padding, ..Conv2dConfig::new([3, 3]) }).ok()
}

/// Transforms the weights and applies them.
fn run(
    kernels: Kernels,
    geometry: &WinogradGeometry,
    x: &Array4<f32>,
    weight: &Array4<f32>,
    bias: Option<ArrayView1<f32>>,
) -> Array4<f32> {
    let mut transformed = scratch(geometry.transformed_weight());
    winograd::transform_weight(kernels, geometry, weight.view(), &mut transformed).unwrap();
    let mut y = poison(geometry.output_shape(x.dim().0));
    let mut scratch = scratch(geometry.scratch());
    winograd::forward(kernels, geometry, x.view(), &transformed, bias, y.view_mut(), &mut scratch).unwrap();
    y
}

#[track_caller]
fn check_near(what: &str, found: &Array4<f32>, expected: &Array4<f64>, magnitude: &Array4<f64>) {
    let largest = magnitude.iter().fold(0.0, |max: f64, m| max.max(*m));
    for ((at, &expected), &found) in expected.indexed_iter().zip(found) {
        let near = (f64::from(found) - expected).abs() <= TOLERANCE * largest;
        assert!(near, "{what}: at {at:?} expected {expected}, found {found}");
    }
}

fn convolution() -> impl Strategy<Value = (usize, Conv2dGeometry)> {
    let padding = prop_oneof![
        Just(Padding::Valid),
        Just(Padding::Same),
        prop::array::uniform2(prop::array::uniform2(0..9usize)).prop_map(Padding::Explicit),
    ];
    let channels = || prop_oneof![1..41usize, 15..34usize];
    (1..4usize, 1..15usize, 1..30usize, channels(), channels(), padding).prop_filter_map(
        "the window must fit",
        |(batch, rows, columns, inputs, filters, padding)| {
            Some((batch, geometry([rows, columns, inputs], filters, padding)?))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, rng_seed: RngSeed::Fixed(28), failure_persistence: None, ..Default::default() })]

    #[test]
    fn it_is_the_convolution_and_its_gradient((batch, conv) in convolution(), seed: u64) {
        let mut numbers = Numbers(seed);
        let (x, dy) = (numbers.array(conv.input_shape(batch)), numbers.array(conv.output_shape(batch)));
        let weight = numbers.array(conv.weight_shape());
        let bias: Array1<f32> = numbers.array(conv.output_shape(1)[3]);
        let reference = |x: Array4<f64>, dy: Array4<f64>, weight: Array4<f64>, bias: Array1<f64>| {
            let (mut y, mut dx) = (Array4::zeros(dy.dim()), Array4::zeros(x.dim()));
            naive::conv2d::forward(&conv, x.view(), weight.view(), Some(bias.view()), y.view_mut()).unwrap();
            naive::conv2d::grad_input(&conv, dy.view(), weight.view(), dx.view_mut()).unwrap();
            (y, dx)
        };
        let expected = reference(wide(&x), wide(&dy), wide(&weight), wide(&bias));
        let magnitude =
            reference(wide(&x).abs(), wide(&dy).abs(), wide(&weight).abs(), wide(&bias).abs());

        let forward = WinogradGeometry::new(&conv).unwrap();
        let backward = WinogradGeometry::grad_input(&conv).unwrap();
        // The plain loops are slow, and the same for any number of channels.
        let few = conv.multiply_adds() < 100_000;
        for kernels in Kernels::available().filter(|&kernels| few || kernels != Kernels::NAIVE) {
            let y = run(kernels, &forward, &x, &weight, Some(bias.view()));
            check_near(&format!("y, {kernels}"), &y, &expected.0, &magnitude.0);
            let dx = run(kernels, &backward, &dy, &weight, None);
            check_near(&format!("dx, {kernels}"), &dx, &expected.1, &magnitude.1);

            // A sample's result is the same bits alone as in a batch.
            let last = s![batch - 1.., .., .., ..];
            let alone = run(kernels, &forward, &x.slice(last).to_owned(), &weight, Some(bias.view()));
            prop_assert_eq!(alone.view(), y.slice(last));
        }
    }
}

/// Inputs as a network has them, and how many times the direct kernel's rounding Winograd's may be. A direct sum loses nothing
/// where the background is 0; a tile shares its rounding.
fn inputs(numbers: &mut Numbers, shape: [usize; 4]) -> [(&'static str, Array4<f32>, f64); 3] {
    let x: Array4<f32> = numbers.array(shape);
    let sparse = x.mapv(|x| if x < 0.6 { 0.0 } else { 1.0 - (1.0 - x) * 0.5 });
    [
        ("any sign", x.clone(), 3.0),
        ("behind a ReLU", x.mapv(|x| x.max(0.0)), 3.0),
        ("background", sparse, 5.0),
    ]
}

/// The error of results: root mean square, and the largest.
fn error(found: &Array4<f32>, expected: &Array4<f64>) -> [f64; 2] {
    let errors = found.iter().zip(expected).map(|(&found, expected)| (f64::from(found) - expected).abs());
    let (squares, largest) = errors.fold((0.0, 0.0f64), |(sum, max), e| (sum + e * e, max.max(e)));
    [(squares / found.len() as f64).sqrt(), largest]
}

#[test]
fn it_rounds_little_more_than_the_direct_sum() {
    let mut numbers = Numbers(5);
    for (input, filters) in [([26, 26, 32], 64), ([14, 14, 32], 32), ([28, 28, 16], 16), ([9, 9, 128], 16)] {
        let conv = geometry(input, filters, Padding::Same).unwrap();
        let geometry = WinogradGeometry::new(&conv).unwrap();
        let weight: Array4<f32> = numbers.array(conv.weight_shape());
        for (kind, x, times) in inputs(&mut numbers, conv.input_shape(1)) {
            let mut expected = Array4::zeros(conv.output_shape(1));
            let (x_wide, weight_wide) = (wide(&x), wide(&weight));
            naive::conv2d::forward(&conv, x_wide.view(), weight_wide.view(), None, expected.view_mut())
                .unwrap();
            for kernels in Kernels::available().filter(|&kernels| kernels != Kernels::NAIVE) {
                let mut direct = poison(conv.output_shape(1));
                let mut scratch = scratch(conv.forward_scratch());
                conv2d::forward(
                    kernels,
                    &conv,
                    x.view(),
                    weight.view(),
                    None,
                    direct.view_mut(),
                    &mut scratch,
                )
                .unwrap();
                let winograd = run(kernels, &geometry, &x, &weight, None);
                let (direct, winograd) = (error(&direct, &expected), error(&winograd, &expected));
                for (winograd, direct) in winograd.into_iter().zip(direct) {
                    let case = format!("{input:?} to {filters}, {kind}, {kernels}");
                    assert!(winograd <= times * direct, "{case}: error {winograd}, directly {direct}");
                }
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_told() {
    let plain = Conv2dConfig { padding: Padding::Same, ..Conv2dConfig::new([3, 3]) };
    let is_one = |config| {
        let conv = Conv2dGeometry::new([9, 9, 4], 4, &config).unwrap();
        assert_eq!(WinogradGeometry::new(&conv).is_some(), WinogradGeometry::grad_input(&conv).is_some());
        WinogradGeometry::new(&conv).is_some()
    };
    assert!(is_one(plain));
    assert!(!is_one(Conv2dConfig { stride: [1, 2], ..plain }));
    assert!(!is_one(Conv2dConfig { dilation: [2, 1], ..plain }));
    assert!(!is_one(Conv2dConfig { groups: 2, ..plain }));
    assert!(!is_one(Conv2dConfig { kernel: [3, 2], ..plain }));

    let g = WinogradGeometry::new(&Conv2dGeometry::new([9, 9, 4], 5, &plain).unwrap()).unwrap();
    let (x, weight) = (Array4::zeros(g.input_shape(1)), Array4::zeros(g.weight_shape()));
    for kernels in Kernels::available() {
        let (len, mut y) = (g.transformed_weight(), Array4::zeros(g.output_shape(1)));
        let mut apply = |x: &Array4<f32>, transformed: usize, lent: usize| {
            let (transformed, y) = (vec![0.0; transformed], y.view_mut());
            let result = winograd::forward(kernels, &g, x.view(), &transformed, None, y, &mut scratch(lent));
            result.err().map(|error| error.to_string())
        };
        assert_eq!(apply(&x, len, g.scratch()), None);
        let found = apply(&Array4::zeros([1, 9, 8, 4]), len, g.scratch());
        assert_eq!(found.as_deref(), Some("x: expected shape [1, 9, 9, 4], found [1, 9, 8, 4]"));
        let expected = format!("transformed: expected shape [{len}], found [{}]", len - 1);
        assert_eq!(apply(&x, len - 1, g.scratch()), Some(expected));
        let (expected, found) = (g.scratch(), g.scratch() - 1);
        let expected = format!("scratch: expected at least {expected} numbers, found {found}");
        assert_eq!(apply(&x, len, found), Some(expected));
        let transposed = weight.view().permuted_axes([0, 1, 3, 2]);
        let result = winograd::transform_weight(kernels, &g, transposed, &mut scratch(len));
        let message = "weight: expected shape [3, 3, 4, 5], found [3, 3, 5, 4]";
        assert_eq!(result.unwrap_err().to_string(), message);
    }
}
