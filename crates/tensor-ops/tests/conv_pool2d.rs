//! The convolution pooled in one operation against the naive convolution, activation and pool one after the other.

mod common;

use common::{Numbers, check_near, poison, wide};
use ndarray::{Array1, Array4, s};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tensor_ops::{
    Activation, Conv2dConfig, Conv2dGeometry, ConvPool2d, ConvPool2dGeometry, Error, Kernels, Padding,
    Pool2dConfig, Pool2dGeometry, Pooling, Ties, conv_pool2d, naive, ndarray,
};

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(31), failure_persistence: None, ..Default::default() }
}

fn geometry(input: [usize; 3], filters: usize, config: Conv2dConfig) -> Option<ConvPool2dGeometry> {
    let conv = Conv2dGeometry::new(input, filters, &config).ok()?;
    let [_, rows, columns, _] = conv.output_shape(1);
    let pool = Pool2dGeometry::new([rows, columns, filters], &Pool2dConfig::new([2, 2])).ok()?;
    ConvPool2dGeometry::new(conv, pool)
}

fn operation() -> impl Strategy<Value = (usize, ConvPool2d)> {
    let padding = prop_oneof![
        Just(Padding::Valid),
        Just(Padding::Same),
        prop::array::uniform2(prop::array::uniform2(0..6usize)).prop_map(Padding::Explicit),
    ];
    let kernel = prop_oneof![2 => Just([3, 3]), 1 => Just([5, 5]), 3 => prop::array::uniform2(1..6usize)];
    let channels = prop_oneof![(1..5usize, 1..20usize), (1..36usize, 1..36usize)];
    let sizes = (prop_oneof![Just(1usize), Just(3)], 1..12usize, 1..17usize);
    let ties = prop_oneof![Just(Ties::First), Just(Ties::All)];
    (sizes, channels, kernel, padding, any::<bool>(), ties).prop_filter_map(
        "the window must fit",
        |((batch, height, width), (inputs, filters), kernel, padding, relu, ties)| {
            let config = Conv2dConfig { padding, ..Conv2dConfig::new(kernel) };
            let geometry = geometry([height, width, inputs], filters, config)?;
            Some((batch, ConvPool2d { geometry, relu, ties }))
        },
    )
}

/// What the operation is given.
struct Operands {
    x: Array4<f32>,
    weight: Array4<f32>,
    bias: Option<Array1<f32>>,
    dy: Array4<f32>,
}

impl Operands {
    /// Numbers between −2 and 2; in halves if `exact`, so that sums are exact and many are equal. Every third
    /// gradient is 0.
    fn new(numbers: &mut Numbers, op: &ConvPool2d, batch: usize, bias: bool, exact: bool) -> Self {
        let round = |v: f32| if exact { (4.0 * v).round() / 2.0 } else { v };
        let g = &op.geometry;
        let filters = g.output_shape(1)[3];
        Self {
            x: numbers.array(g.input_shape(batch)).mapv_into(round),
            weight: numbers.array(g.conv().weight_shape()).mapv_into(round),
            bias: bias.then(|| numbers.array(filters).mapv_into(round)),
            dy: numbers
                .array(g.output_shape(batch))
                .mapv_into(round)
                .mapv_into(|v| if v > 0.4 { 0.0 } else { v }),
        }
    }
}

/// What the operation gives.
struct Results {
    y: Array4<f32>,
    takes: Array4<u8>,
    dx: Array4<f32>,
    dweight: Array4<f32>,
    dbias: Array1<f32>,
}

/// Runs all three passes; each output and all scratch is poisoned.
fn run(kernels: Kernels, op: &ConvPool2d, operands: &Operands, takes: Option<&Array4<u8>>) -> Results {
    let Operands { x, weight, bias, dy } = operands;
    let g = &op.geometry;
    let mut results = Results {
        y: poison(dy.raw_dim()),
        takes: Array4::from_elem(dy.raw_dim(), u8::MAX),
        dx: poison(x.raw_dim()),
        dweight: poison(weight.raw_dim()),
        dbias: poison(dy.dim().3),
    };
    let bias = bias.as_ref().map(|bias| bias.view());
    let mut scratch = vec![f32::NAN; g.forward_scratch()];
    let (y, new) = (results.y.view_mut(), results.takes.view_mut());
    conv_pool2d::forward(kernels, op, x.view(), weight.view(), bias, y, Some(new), &mut scratch).unwrap();
    let mut plain = poison(dy.raw_dim());
    conv_pool2d::forward(kernels, op, x.view(), weight.view(), bias, plain.view_mut(), None, &mut scratch)
        .unwrap();
    assert!(plain.iter().zip(&results.y).all(|(a, b)| a.to_bits() == b.to_bits()), "with and without takes");

    let takes = takes.unwrap_or(&results.takes).view();
    let mut scratch = vec![f32::NAN; g.grad_weight_scratch()];
    let dweight = results.dweight.view_mut();
    let dbias = results.dbias.view_mut();
    conv_pool2d::grad_weight(kernels, op, x.view(), dy.view(), takes, dweight, Some(dbias), &mut scratch)
        .unwrap();
    let mut scratch = vec![f32::NAN; g.grad_input_scratch()];
    let dx = results.dx.view_mut();
    conv_pool2d::grad_input(kernels, op, dy.view(), takes, weight.view(), dx, &mut scratch).unwrap();
    results
}

/// Convolution, activation and pool in `f64`, one after the other, and back.
struct Chain {
    y: Array4<f64>,
    dx: Array4<f64>,
    dweight: Array4<f64>,
    dbias: Array1<f64>,
    /// The sums of the absolute values that each result is a sum of.
    magnitude: [Array4<f64>; 3],
}

impl Chain {
    fn new(op: &ConvPool2d, operands: &Operands) -> Self {
        let (conv, pool) = (op.geometry.conv(), op.geometry.pool());
        let (x, weight, dy) = (wide(&operands.x), wide(&operands.weight), wide(&operands.dy));
        let bias = operands.bias.as_ref().map(wide);
        let batch = x.dim().0;
        let pooling = Pooling::Max(op.ties);

        let mut z = Array4::zeros(conv.output_shape(batch));
        let bias_view = bias.as_ref().map(|bias| bias.view());
        naive::conv2d::forward(conv, x.view(), weight.view(), bias_view, z.view_mut()).unwrap();
        let mut a = z.clone();
        if op.relu {
            naive::activation::forward(Activation::Relu, z.view(), a.view_mut()).unwrap();
        }
        let mut y = Array4::zeros(dy.raw_dim());
        naive::pool2d::forward(pooling, pool, a.view(), y.view_mut()).unwrap();

        let mut da = Array4::zeros(z.raw_dim());
        naive::pool2d::backward(pooling, pool, a.view(), dy.view(), da.view_mut()).unwrap();
        let mut dz = da.clone();
        if op.relu {
            naive::activation::backward(Activation::Relu, z.view(), a.view(), da.view(), dz.view_mut())
                .unwrap();
        }
        let gradients = |x: &Array4<f64>, weight: &Array4<f64>, dz: &Array4<f64>| {
            let (mut dx, mut dweight) = (Array4::zeros(x.raw_dim()), Array4::zeros(weight.raw_dim()));
            naive::conv2d::grad_input(conv, dz.view(), weight.view(), dx.view_mut()).unwrap();
            naive::conv2d::grad_weight(conv, x.view(), dz.view(), dweight.view_mut()).unwrap();
            (dx, dweight)
        };
        let (dx, dweight) = gradients(&x, &weight, &dz);
        let mut dbias = Array1::zeros(dy.dim().3);
        naive::conv2d::grad_bias(dz.view(), dbias.view_mut()).unwrap();

        let mut z_sum = Array4::zeros(z.raw_dim());
        let bias_sum = bias.as_ref().map(|bias| bias.abs());
        let bias_sum = bias_sum.as_ref().map(|bias| bias.view());
        naive::conv2d::forward(conv, x.abs().view(), weight.abs().view(), bias_sum, z_sum.view_mut())
            .unwrap();
        let mut y_sum = Array4::zeros(dy.raw_dim());
        naive::pool2d::forward(pooling, pool, z_sum.view(), y_sum.view_mut()).unwrap();
        let (dx_sum, dweight_sum) = gradients(&x.abs(), &weight.abs(), &dz.abs());
        Self { y, dx, dweight, dbias, magnitude: [y_sum, dx_sum, dweight_sum] }
    }
}

proptest! {
    #![proptest_config(config(150))]

    /// With numbers whose sums are exact there is no rounding to forgive: every result is that of the chain.
    #[test]
    fn exact_sums_match_the_chain((batch, op) in operation(), bias: bool, seed: u64) {
        let operands = Operands::new(&mut Numbers(seed), &op, batch, bias, true);
        let expected = Chain::new(&op, &operands);
        let takes = run(Kernels::NAIVE, &op, &operands, None).takes;
        for kernels in Kernels::available() {
            let found = run(kernels, &op, &operands, None);
            prop_assert_eq!(&found.takes, &takes, "takes, {}", kernels);
            prop_assert_eq!(wide(&found.y), &expected.y, "y, {}", kernels);
            prop_assert_eq!(wide(&found.dx), &expected.dx, "dx, {}", kernels);
            prop_assert_eq!(wide(&found.dweight), &expected.dweight, "dweight, {}", kernels);
            prop_assert_eq!(wide(&found.dbias), &expected.dbias, "dbias, {}", kernels);
        }
    }

    /// With any numbers, every result is near that of the naive loops at the same maxima.
    #[test]
    fn any_numbers_match_naive((batch, op) in operation(), bias: bool, seed: u64) {
        let operands = Operands::new(&mut Numbers(seed), &op, batch, bias, false);
        let Chain { y, magnitude: [y_sum, dx_sum, dweight_sum], .. } = Chain::new(&op, &operands);
        let naive = run(Kernels::NAIVE, &op, &operands, None);
        let count = naive.takes.mapv(|takes| f64::from(takes.count_ones()));
        let dbias_sum = (count * wide(&operands.dy).abs()).sum_axis(ndarray::Axis(0));
        let dbias_sum = dbias_sum.sum_axis(ndarray::Axis(0)).sum_axis(ndarray::Axis(0));
        for kernels in Kernels::available() {
            let found = run(kernels, &op, &operands, Some(&naive.takes));
            check_near(&format!("y, {kernels}"), &found.y, &y, &y_sum);
            check_near(&format!("dx, {kernels}"), &found.dx, &wide(&naive.dx), &dx_sum);
            check_near(&format!("dweight, {kernels}"), &found.dweight, &wide(&naive.dweight), &dweight_sum);
            check_near(&format!("dbias, {kernels}"), &found.dbias, &wide(&naive.dbias), &dbias_sum);

            // A sample's result is the same bits alone as in a batch.
            let last = s![batch - 1.., .., .., ..];
            let alone = Operands {
                x: operands.x.slice(last).to_owned(),
                weight: operands.weight.clone(),
                bias: operands.bias.clone(),
                dy: operands.dy.slice(last).to_owned(),
            };
            let alone = run(kernels, &op, &alone, Some(&naive.takes.slice(last).to_owned()));
            prop_assert_eq!(alone.y.view(), found.y.slice(last));
            prop_assert_eq!(alone.takes.view(), found.takes.slice(last));
            prop_assert_eq!(alone.dx.view(), found.dx.slice(last));
        }
    }

    /// Inputs and weights that are not finite: the same places of all results are NaN or infinite.
    #[test]
    fn what_is_not_finite_spreads_alike((batch, op) in operation(), seed: u64) {
        let mut numbers = Numbers(seed);
        let mut operands = Operands::new(&mut numbers, &op, batch, true, true);
        for value in [f32::NAN, f32::NEG_INFINITY] {
            let at = numbers.bits() as usize % operands.x.len();
            *operands.x.iter_mut().nth(at).unwrap() = value;
        }
        let at = numbers.bits() as usize % operands.weight.len();
        *operands.weight.iter_mut().nth(at).unwrap() = f32::INFINITY;
        let expected = run(Kernels::NAIVE, &op, &operands, None);
        let same = |found: &f32, expected: &f32| found == expected || (found.is_nan() && expected.is_nan());
        for kernels in Kernels::available() {
            let found = run(kernels, &op, &operands, None);
            prop_assert_eq!(&found.takes, &expected.takes, "takes, {}", kernels);
            prop_assert!(found.y.iter().zip(&expected.y).all(|(f, e)| same(f, e)), "y, {}", kernels);
            prop_assert!(found.dx.iter().zip(&expected.dx).all(|(f, e)| same(f, e)), "dx, {}", kernels);
            let mut dweight = found.dweight.iter().zip(&expected.dweight);
            // Where nothing is taken, to multiply by zero or not at all: the chain does the one, naive the other.
            prop_assert!(dweight.all(|(f, e)| same(f, e) || f.is_nan()), "dweight, {}", kernels);
            prop_assert!(found.dbias.iter().zip(&expected.dbias).all(|(f, e)| same(f, e)), "dbias, {}", kernels);
        }
    }
}

/// One window by hand, for each of the rules.
#[test]
fn which_places_take() {
    let config = Conv2dConfig::new([1, 1]);
    let geometry = geometry([2, 2, 1], 1, config).unwrap();
    let check = |x: [f32; 4], relu, ties, y: f32, takes: u8| {
        let operands = Operands {
            x: Array4::from_shape_vec((1, 2, 2, 1), x.to_vec()).unwrap(),
            weight: Array4::ones((1, 1, 1, 1)),
            bias: None,
            dy: Array4::ones((1, 1, 1, 1)),
        };
        for kernels in Kernels::available() {
            let found = run(kernels, &ConvPool2d { geometry, relu, ties }, &operands, None);
            let at = format!("{kernels}: {x:?}, ReLU {relu}, {ties:?}");
            assert_eq!(found.y[[0; 4]].to_string(), y.to_string(), "{at}");
            assert_eq!(found.takes[[0; 4]], takes, "{at}");
            assert_eq!(found.dbias[0], takes.count_ones() as f32, "{at}");
        }
    };
    let nan = f32::NAN;
    check([1.0, 3.0, 2.0, 3.0], true, Ties::First, 3.0, 0b0010);
    check([1.0, 3.0, 2.0, 3.0], true, Ties::All, 3.0, 0b1010);
    check([-1.0; 4], true, Ties::All, 0.0, 0);
    check([-1.0; 4], false, Ties::All, -1.0, 0b1111);
    check([-1.0; 4], false, Ties::First, -1.0, 0b0001);
    check([0.0; 4], true, Ties::First, 0.0, 0);
    check([5.0, nan, 7.0, nan], true, Ties::First, nan, 0b0010);
    check([5.0, nan, 7.0, nan], true, Ties::All, nan, 0b1010);
}

/// Only what the fast bodies can do is a geometry.
#[test]
fn what_can_be_one_operation() {
    let pool = |conv: &Conv2dGeometry, change: fn(&mut Pool2dConfig)| {
        let [_, rows, columns, channels] = conv.output_shape(1);
        let mut config = Pool2dConfig::new([2, 2]);
        change(&mut config);
        Pool2dGeometry::new([rows, columns, channels], &config).unwrap()
    };
    let conv = |change: fn(&mut Conv2dConfig)| {
        let mut config = Conv2dConfig::new([3, 3]);
        change(&mut config);
        Conv2dGeometry::new([12, 13, 4], 8, &config).unwrap()
    };
    let plain = conv(|_| {});
    let fits = ConvPool2dGeometry::new(plain, pool(&plain, |_| {})).unwrap();
    assert_eq!((fits.conv(), fits.input_shape(2)), (&plain, [2, 12, 13, 4]));
    assert_eq!((fits.pool(), fits.output_shape(2)), (&pool(&plain, |_| {}), [2, 5, 5, 8]));
    let changes: [fn(&mut Conv2dConfig); 3] =
        [|c| c.stride = [1, 2], |c| c.dilation = [2, 1], |c| c.groups = 2];
    for change in changes {
        let conv = conv(change);
        assert_eq!(ConvPool2dGeometry::new(conv, pool(&conv, |_| {})), None);
    }
    let changes: [fn(&mut Pool2dConfig); 3] =
        [|p| p.kernel = [3, 2], |p| p.stride = [2, 1], |p| p.padding = Padding::Explicit([[1, 1], [0, 0]])];
    for change in changes {
        assert_eq!(ConvPool2dGeometry::new(plain, pool(&plain, change)), None);
    }
    let other = conv(|c| c.padding = Padding::Same);
    assert_eq!(ConvPool2dGeometry::new(plain, pool(&other, |_| {})), None);
}

/// Every misfit is named, whichever kernels run.
#[test]
fn misfits() {
    let geometry = geometry([6, 6, 2], 4, Conv2dConfig::new([3, 3])).unwrap();
    let op = ConvPool2d { geometry, relu: true, ties: Ties::First };
    let (x, weight, y) = ([2, 6, 6, 2], [3, 3, 2, 4], [2, 2, 2, 4]);
    let zeros = |shape: [usize; 4]| Array4::<f32>::zeros(shape);
    for k in Kernels::available() {
        let check = |result: Result<(), Error>, expected: &str| {
            assert_eq!(result.err().map(|e| e.to_string()).as_deref(), Some(expected), "{k}");
        };
        let forward = |x, weight, bias: usize, y, takes, less: usize| {
            let bias = Array1::zeros(bias);
            let (x, weight, mut y, mut takes) = (zeros(x), zeros(weight), zeros(y), Array4::zeros(takes));
            let mut scratch = vec![0.0; geometry.forward_scratch() - less];
            let (y, takes) = (y.view_mut(), Some(takes.view_mut()));
            conv_pool2d::forward(k, &op, x.view(), weight.view(), Some(bias.view()), y, takes, &mut scratch)
        };
        assert_eq!(forward(x, weight, 4, y, y, 0), Ok(()));
        check(
            forward([2, 6, 5, 2], weight, 4, y, y, 0),
            "x: expected shape [2, 6, 6, 2], found [2, 6, 5, 2]",
        );
        check(
            forward(x, [3, 3, 4, 2], 4, y, y, 0),
            "weight: expected shape [3, 3, 2, 4], found [3, 3, 4, 2]",
        );
        check(forward(x, weight, 3, y, y, 0), "bias: expected shape [4], found [3]");
        check(forward(x, weight, 4, x, y, 0), "y: expected shape [2, 2, 2, 4], found [2, 6, 6, 2]");
        check(forward(x, weight, 4, y, x, 0), "takes: expected shape [2, 2, 2, 4], found [2, 6, 6, 2]");
        let need = geometry.forward_scratch();
        let expected = format!("scratch: expected at least {need} numbers, found {}", need - 1);
        check(forward(x, weight, 4, y, y, 1), &expected);

        let grad_weight = |x, dy, takes, dweight, dbias: usize, less: usize| {
            let (x, dy, takes, mut dweight) = (zeros(x), zeros(dy), Array4::zeros(takes), zeros(dweight));
            let mut dbias = Array1::zeros(dbias);
            let mut scratch = vec![0.0; geometry.grad_weight_scratch() - less];
            let (dweight, dbias) = (dweight.view_mut(), Some(dbias.view_mut()));
            conv_pool2d::grad_weight(k, &op, x.view(), dy.view(), takes.view(), dweight, dbias, &mut scratch)
        };
        assert_eq!(grad_weight(x, y, y, weight, 4, 0), Ok(()));
        check(grad_weight(y, y, y, weight, 4, 0), "x: expected shape [2, 6, 6, 2], found [2, 2, 2, 4]");
        check(grad_weight(x, x, y, weight, 4, 0), "dy: expected shape [2, 2, 2, 4], found [2, 6, 6, 2]");
        check(grad_weight(x, y, x, weight, 4, 0), "takes: expected shape [2, 2, 2, 4], found [2, 6, 6, 2]");
        check(grad_weight(x, y, y, y, 4, 0), "dweight: expected shape [3, 3, 2, 4], found [2, 2, 2, 4]");
        check(grad_weight(x, y, y, weight, 5, 0), "dbias: expected shape [4], found [5]");
        let need = geometry.grad_weight_scratch();
        let expected = format!("scratch: expected at least {need} numbers, found {}", need - 1);
        check(grad_weight(x, y, y, weight, 4, 1), &expected);

        let grad_input = |dy, takes, weight, dx, less: usize| {
            let (dy, takes, weight, mut dx) = (zeros(dy), Array4::zeros(takes), zeros(weight), zeros(dx));
            let mut scratch = vec![0.0; geometry.grad_input_scratch() - less];
            conv_pool2d::grad_input(
                k,
                &op,
                dy.view(),
                takes.view(),
                weight.view(),
                dx.view_mut(),
                &mut scratch,
            )
        };
        assert_eq!(grad_input(y, y, weight, x, 0), Ok(()));
        check(grad_input(x, y, weight, x, 0), "dy: expected shape [2, 2, 2, 4], found [2, 6, 6, 2]");
        check(grad_input(y, x, weight, x, 0), "takes: expected shape [2, 2, 2, 4], found [2, 6, 6, 2]");
        check(grad_input(y, y, y, x, 0), "weight: expected shape [3, 3, 2, 4], found [2, 2, 2, 4]");
        check(grad_input(y, y, weight, y, 0), "dx: expected shape [2, 6, 6, 2], found [2, 2, 2, 4]");
        let need = geometry.grad_input_scratch();
        let expected = format!("scratch: expected at least {need} numbers, found {}", need - 1);
        check(grad_input(y, y, weight, x, 1), &expected);
    }
}
