//! Every compiled version of every operation against the naive loops in `f64`, over random geometries.
//!
//! Outputs are filled with NaN beforehand, so that an element which is not written shows.

mod common;

use common::{Numbers, check_near, inner, poison, scratch, wide};
use ndarray::{Array1, Array2, Array4, Axis, ShapeBuilder, s};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tensor_ops::{
    Conv2dConfig, Conv2dGeometry, Kernels, Padding, Pool2dConfig, Pool2dGeometry, Pooling, Ties, conv2d,
    dense, naive, ndarray, pool2d, softmax,
};

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(28), failure_persistence: None, ..Default::default() }
}

fn padding() -> impl Strategy<Value = Padding> {
    prop_oneof![
        Just(Padding::Valid),
        Just(Padding::Same),
        prop::array::uniform2(prop::array::uniform2(0..6usize)).prop_map(Padding::Explicit),
    ]
}

/// A batch, an input's shape, a number of filters and a configuration that fit together.
fn convolution() -> impl Strategy<Value = (usize, Conv2dGeometry)> {
    let sizes = (1..4usize, 1..15usize, 1..30usize);
    let window = prop::array::uniform2((1..6usize, 1..4usize, 1..4usize));
    // Groups × channels a group: as many groups as channels is a depthwise convolution.
    let channels = prop_oneof![
        (Just(1usize), 1..41usize, 1..41usize),
        (2..5usize, 1..9usize, 1..11usize),
        (1..20usize, Just(1), 1..3usize),
    ];
    (sizes, window, padding(), channels).prop_filter_map(
        "the window must fit",
        |((batch, height, width), [down, across], padding, (groups, inputs, filters))| {
            let config = Conv2dConfig {
                kernel: [down.0, across.0],
                stride: [down.1, across.1],
                dilation: [down.2, across.2],
                padding,
                groups,
            };
            let geometry = Conv2dGeometry::new([height, width, inputs * groups], filters * groups, &config);
            Some((batch, geometry.ok()?))
        },
    )
}

fn pooling() -> impl Strategy<Value = Pooling> {
    let ties = prop_oneof![Just(Ties::First), Just(Ties::All)];
    prop_oneof![
        ties.clone().prop_map(Pooling::Max),
        ties.prop_map(Pooling::Min),
        any::<bool>().prop_map(|count_padding| Pooling::Average { count_padding }),
    ]
}

fn pool_geometry() -> impl Strategy<Value = (usize, Pool2dGeometry)> {
    let sizes = (1..4usize, 1..12usize, 1..12usize, 1..41usize);
    let window = prop::array::uniform2((1..5usize, 1..4usize));
    (sizes, window, padding()).prop_filter_map(
        "the window must fit",
        |((batch, height, width, channels), [down, across], padding)| {
            let config = Pool2dConfig { kernel: [down.0, across.0], stride: [down.1, across.1], padding };
            Some((batch, Pool2dGeometry::new([height, width, channels], &config).ok()?))
        },
    )
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn convolution_matches_naive((batch, g) in convolution(), seed: u64) {
        let mut numbers = Numbers(seed);
        let x = numbers.array(g.input_shape(batch));
        let dy = numbers.array(g.output_shape(batch));
        let weight = numbers.array(g.weight_shape());
        let bias = numbers.array(g.output_shape(1)[3]);

        // The four results in f64; of the operands' absolute values, they are the magnitudes.
        let reference = |x: Array4<f64>, dy: Array4<f64>, weight: Array4<f64>, bias: Array1<f64>| {
            let mut y = Array4::zeros(dy.dim());
            let (mut dx, mut dweight, mut dbias) =
                (Array4::zeros(x.dim()), Array4::zeros(weight.dim()), Array1::zeros(bias.dim()));
            naive::conv2d::forward(&g, x.view(), weight.view(), Some(bias.view()), y.view_mut()).unwrap();
            naive::conv2d::grad_input(&g, dy.view(), weight.view(), dx.view_mut()).unwrap();
            naive::conv2d::grad_weight(&g, x.view(), dy.view(), dweight.view_mut()).unwrap();
            naive::conv2d::grad_bias(dy.view(), dbias.view_mut()).unwrap();
            (y, dx, dweight, dbias)
        };
        let expected = reference(wide(&x), wide(&dy), wide(&weight), wide(&bias));
        let magnitude =
            reference(wide(&x).abs(), wide(&dy).abs(), wide(&weight).abs(), wide(&bias).abs());

        for kernels in Kernels::available() {
            let mut y = poison(dy.raw_dim());
            conv2d::forward(kernels, &g, x.view(), weight.view(), Some(bias.view()), y.view_mut(), &mut scratch(g.forward_scratch())).unwrap();
            check_near(&format!("y, {kernels}"), &y, &expected.0, &magnitude.0);
            let mut dx = poison(x.raw_dim());
            conv2d::grad_input(kernels, &g, dy.view(), weight.view(), dx.view_mut(), &mut scratch(g.grad_input_scratch())).unwrap();
            check_near(&format!("dx, {kernels}"), &dx, &expected.1, &magnitude.1);
            let mut dweight = poison(weight.raw_dim());
            conv2d::grad_weight(kernels, &g, x.view(), dy.view(), dweight.view_mut(), &mut scratch(g.grad_weight_scratch())).unwrap();
            check_near(&format!("dweight, {kernels}"), &dweight, &expected.2, &magnitude.2);
            let mut dbias = poison(bias.raw_dim());
            conv2d::grad_bias(kernels, dy.view(), dbias.view_mut()).unwrap();
            check_near(&format!("dbias, {kernels}"), &dbias, &expected.3, &magnitude.3);

            // ⟨conv(x, w), dy⟩ is linear in x and in w: each gradient is the adjoint map.
            let mut plain = poison(dy.raw_dim());
            conv2d::forward(kernels, &g, x.view(), weight.view(), None, plain.view_mut(), &mut scratch(g.forward_scratch())).unwrap();
            let product = inner(plain.view(), dy.view());
            let tolerance = 1e-5 * magnitude.2.iter().zip(&weight).map(|(m, w)| m * f64::from(w.abs())).sum::<f64>();
            prop_assert!((product - inner(x.view(), dx.view())).abs() <= tolerance);
            prop_assert!((product - inner(weight.view(), dweight.view())).abs() <= tolerance);

            // A sample's result is the same bits alone as in a batch.
            let last = s![batch - 1.., .., .., ..];
            let mut alone = poison(g.output_shape(1));
            conv2d::forward(kernels, &g, x.slice(last), weight.view(), None, alone.view_mut(), &mut scratch(g.forward_scratch())).unwrap();
            prop_assert_eq!(alone.view(), plain.slice(last));
            let mut alone = poison(g.input_shape(1));
            conv2d::grad_input(kernels, &g, dy.slice(last), weight.view(), alone.view_mut(), &mut scratch(g.grad_input_scratch())).unwrap();
            prop_assert_eq!(alone.view(), dx.slice(last));
        }
    }

    #[test]
    fn pooling_matches_naive(
        pooling in pooling(),
        (batch, g) in pool_geometry(),
        nans in prop_oneof![4 => Just(0), 1 => 1..4u64],
        seed: u64,
    ) {
        let mut numbers = Numbers(seed);
        // Few different values, so that windows tie; here and there a NaN.
        let x = Array4::from_shape_simple_fn(g.input_shape(batch), || match numbers.bits() % 100 {
            n if n < nans => f32::NAN,
            n => (n % 5) as f32 - 2.0,
        });
        let dy = numbers.array(g.output_shape(batch));
        let mut expected = (Array4::zeros(dy.dim()), Array4::zeros(x.dim()));
        naive::pool2d::forward(pooling, &g, wide(&x).view(), expected.0.view_mut()).unwrap();
        naive::pool2d::backward(pooling, &g, wide(&x).view(), wide(&dy).view(), expected.1.view_mut()).unwrap();
        let magnitude = (Array4::from_elem(dy.dim(), 2.0), Array4::from_elem(x.dim(), 16.0));

        for kernels in Kernels::available() {
            let mut y = poison(dy.raw_dim());
            pool2d::forward(kernels, pooling, &g, x.view(), y.view_mut()).unwrap();
            check_near(&format!("y, {kernels}"), &y, &expected.0, &magnitude.0);
            let mut dx = poison(x.raw_dim());
            pool2d::backward(kernels, pooling, &g, x.view(), dy.view(), dx.view_mut()).unwrap();
            check_near(&format!("dx, {kernels}"), &dx, &expected.1, &magnitude.1);
        }
    }

    #[test]
    fn dense_matches_naive(
        batch in prop_oneof![0..4usize, 0..20usize],
        inputs in prop_oneof![0..4usize, 0..40usize, 0..600usize],
        outputs in 0..70usize,
        seed: u64,
    ) {
        let mut numbers = Numbers(seed);
        let x = numbers.array((batch, inputs));
        let dy = numbers.array((batch, outputs));
        let weight = numbers.array((inputs, outputs));
        let bias = numbers.array(outputs);

        let reference = |x: Array2<f64>, dy: Array2<f64>, weight: Array2<f64>, bias: Array1<f64>| {
            (x.dot(&weight) + &bias, dy.dot(&weight.t()), x.t().dot(&dy), dy.sum_axis(Axis(0)))
        };
        let expected = reference(wide(&x), wide(&dy), wide(&weight), wide(&bias));
        let magnitude =
            reference(wide(&x).abs(), wide(&dy).abs(), wide(&weight).abs(), wide(&bias).abs());

        // The same weights in both orders of memory.
        let transposed = weight.t().as_standard_layout().into_owned();
        for (kernels, columns) in Kernels::available().flat_map(|kernels| [(kernels, false), (kernels, true)]) {
            let weight = if columns { transposed.t() } else { weight.view() };
            let what = |name| format!("{name}, {kernels}, {} first", if columns { "columns" } else { "rows" });
            let mut y = poison(dy.raw_dim());
            dense::forward(kernels, x.view(), weight, Some(bias.view()), y.view_mut()).unwrap();
            check_near(&what("y"), &y, &expected.0, &magnitude.0);
            let mut dx = poison(x.raw_dim());
            dense::grad_input(kernels, dy.view(), weight, dx.view_mut()).unwrap();
            check_near(&what("dx"), &dx, &expected.1, &magnitude.1);
            let mut dweight = poison((inputs, outputs).set_f(columns));
            dense::grad_weight(kernels, x.view(), dy.view(), dweight.view_mut()).unwrap();
            check_near(&what("dweight"), &dweight, &expected.2, &magnitude.2);
            let mut dbias = poison(bias.raw_dim());
            dense::grad_bias(kernels, dy.view(), dbias.view_mut()).unwrap();
            check_near(&what("dbias"), &dbias, &expected.3, &magnitude.3);

            let last = s![batch.saturating_sub(1).., ..];
            let mut alone = poison((batch.min(1), outputs));
            dense::forward(kernels, x.slice(last), weight, Some(bias.view()), alone.view_mut()).unwrap();
            prop_assert_eq!(alone.view(), y.slice(last));
            let mut alone = poison((batch.min(1), inputs));
            dense::grad_input(kernels, dy.slice(last), weight, alone.view_mut()).unwrap();
            prop_assert_eq!(alone.view(), dx.slice(last));
        }
    }

    #[test]
    fn dense_step_matches_naive(
        batch in prop_oneof![2 => Just(1), 1 => 0..4usize],
        inputs in prop_oneof![0..4usize, 0..40usize, 0..600usize],
        outputs in 0..40usize,
        rate in 0.0..2f32,
        seed: u64,
    ) {
        let mut numbers = Numbers(seed);
        let (x, dy) = (numbers.array((batch, inputs)), numbers.array((batch, outputs)));
        let (weight, bias) = (numbers.array((inputs, outputs)), numbers.array(outputs));

        let reference = |rate: f64, x: Array2<f64>, dy: Array2<f64>, weight: &Array2<f64>, bias: &Array1<f64>| {
            (dy.dot(&weight.t()), weight - &(x.t().dot(&dy) * rate), bias - &(dy.sum_axis(Axis(0)) * rate))
        };
        let step = f64::from(rate);
        let expected = reference(step, wide(&x), wide(&dy), &wide(&weight), &wide(&bias));
        let magnitude =
            reference(-step, wide(&x).abs(), wide(&dy).abs(), &wide(&weight).abs(), &wide(&bias).abs());

        for (kernels, columns) in Kernels::available().flat_map(|kernels| [(kernels, false), (kernels, true)]) {
            let what = |name| format!("{name}, {kernels}, {} first", if columns { "columns" } else { "rows" });
            let (mut w, mut dx, mut b) = (poison((inputs, outputs).set_f(columns)), poison(x.raw_dim()), bias.clone());
            w.assign(&weight);
            let views = (w.view_mut(), b.view_mut(), Some(dx.view_mut()));
            dense::sgd(kernels, rate, x.view(), dy.view(), views.0, views.1, views.2).unwrap();
            check_near(&what("dx"), &dx, &expected.0, &magnitude.0);
            check_near(&what("weight"), &w, &expected.1, &magnitude.1);
            check_near(&what("bias"), &b, &expected.2, &magnitude.2);

            // The first layer has no use for the gradient of its input; the step is the same.
            let (mut plain, mut plain_bias) = (poison((inputs, outputs).set_f(columns)), bias.clone());
            plain.assign(&weight);
            dense::sgd(kernels, rate, x.view(), dy.view(), plain.view_mut(), plain_bias.view_mut(), None).unwrap();
            prop_assert_eq!((plain, plain_bias), (w, b));
        }
    }

    /// A layer cut into ranges of outputs or inputs gives the same bits, and writes nothing outside of its range.
    #[test]
    fn dense_ranges_match_the_whole(
        batch in prop_oneof![1..4usize, 1..70usize],
        inputs in prop_oneof![96..120usize, 96..600usize],
        outputs in 96..140usize,
        at in prop_oneof![Just(32), 32..64usize],
        seed: u64,
    ) {
        let mut numbers = Numbers(seed);
        let (x, dy) = (numbers.array((batch, inputs)), numbers.array((batch, outputs)));
        let (rows, bias) = (numbers.array((inputs, outputs)), numbers.array(outputs));
        let columns = rows.t().as_standard_layout().into_owned();
        for kernels in Kernels::available() {
            for weight in [rows.view(), columns.t()] {
                let (mut y, mut cut) = (poison(dy.raw_dim()), poison(dy.raw_dim()));
                dense::forward(kernels, x.view(), weight, Some(bias.view()), y.view_mut()).unwrap();
                for (range, bias) in [(s![.., ..at], bias.slice(s![..at])), (s![.., at..], bias.slice(s![at..]))] {
                    dense::forward(kernels, x.view(), weight.slice(range), Some(bias), cut.slice_mut(range)).unwrap();
                }
                prop_assert_eq!(&cut, &y);

                let (mut dx, mut cut) = (poison(x.raw_dim()), poison(x.raw_dim()));
                dense::grad_input(kernels, dy.view(), weight, dx.view_mut()).unwrap();
                for (range, part) in [(s![..at, ..], s![.., ..at]), (s![at.., ..], s![.., at..])] {
                    dense::grad_input(kernels, dy.view(), weight.slice(range), cut.slice_mut(part)).unwrap();
                }
                prop_assert_eq!(&cut, &dx);
            }
            for order in [false, true] {
                let mut dweight = poison((inputs, outputs).set_f(order));
                let mut cut = dweight.clone();
                dense::grad_weight(kernels, x.view(), dy.view(), dweight.view_mut()).unwrap();
                for (range, part) in [(s![..at, ..], s![.., ..at]), (s![at.., ..], s![.., at..])] {
                    dense::grad_weight(kernels, x.slice(part), dy.view(), cut.slice_mut(range)).unwrap();
                }
                prop_assert_eq!(&cut, &dweight);
            }
        }
    }

    #[test]
    fn softmax_matches_naive(batch in 1..6usize, classes in 1..20usize, scale in 0.0..200f32, seed: u64) {
        let mut numbers = Numbers(seed);
        let logits = numbers.array((batch, classes)) * scale;
        let labels: Vec<usize> = (0..batch).map(|_| numbers.bits() as usize % classes).collect();
        let mut expected = (Array2::zeros(logits.dim()), Array2::zeros(logits.dim()));
        naive::softmax::forward(wide(&logits).view(), expected.0.view_mut()).unwrap();
        naive::softmax::cross_entropy_backward(expected.0.view(), &labels, expected.1.view_mut()).unwrap();
        let loss = naive::softmax::cross_entropy(wide(&logits).view(), &labels).unwrap();

        let ones = Array2::ones(logits.dim());
        let mut probabilities = poison(logits.raw_dim());
        softmax::forward(logits.view(), probabilities.view_mut()).unwrap();
        check_near("probabilities", &probabilities, &expected.0, &ones);
        let mut dlogits = poison(logits.raw_dim());
        softmax::cross_entropy_backward(probabilities.view(), &labels, dlogits.view_mut()).unwrap();
        check_near("dlogits", &dlogits, &expected.1, &ones);
        let found = f64::from(softmax::cross_entropy(logits.view(), &labels).unwrap());
        prop_assert!((found - loss).abs() <= 1e-5 * loss.max(1e-6), "expected {loss}, found {found}");
    }
}
