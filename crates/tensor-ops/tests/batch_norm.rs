//! Batch normalisation: every compiled version against the naive loops in `f64`, whole and in parts.

mod common;

use common::{Numbers, check_near, poison, wide};
use ndarray::{Array1, Array4, ArrayView4, Axis, s};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tensor_ops::batch_norm::{Norm, Totals};
use tensor_ops::{Kernels, batch_norm, naive, ndarray};

const EPSILON: f64 = 1e-5;

/// A map with the operands that belong to it; the channels' means and spreads differ.
struct Operands {
    x: Array4<f32>,
    dy: Array4<f32>,
    gamma: Array1<f32>,
    beta: Array1<f32>,
}

impl Operands {
    fn new(shape: [usize; 4], seed: u64) -> Self {
        let mut numbers = Numbers(seed);
        let (centre, spread) = (numbers.array(shape[3]) * 3.0, numbers.array(shape[3]) + 1.5);
        let x = numbers.array(shape) * &spread + &centre;
        let dy = numbers.array(shape);
        Self { x, dy, gamma: numbers.array(shape[3]) + 1.5, beta: numbers.array(shape[3]) }
    }

    fn count(&self) -> usize {
        self.x.len() / self.gamma.len()
    }
}

/// The samples of an array in parts of `samples`.
fn parts(array: &Array4<f32>, samples: usize) -> impl Iterator<Item = ArrayView4<'_, f32>> {
    array.axis_chunks_iter(Axis(0), samples)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300, rng_seed: RngSeed::Fixed(28), failure_persistence: None, ..Default::default()
    })]

    #[test]
    fn matches_naive(
        batch in 2..6usize,
        [height, width] in prop::array::uniform2(1..14usize),
        channels in prop_oneof![4 => 1..40usize, 1 => 40..150usize],
        samples in 1..6usize,
        seed: u64,
    ) {
        let operands = Operands::new([batch, height, width, channels], seed);
        let Operands { x, dy, gamma, beta } = &operands;
        let count = operands.count();
        let zeros = || Array1::<f64>::zeros(channels);

        // Everything in f64.
        let (x64, dy64, gamma64, beta64) = (wide(x), wide(dy), wide(gamma), wide(beta));
        let (mut mean64, mut variance64, mut dgamma64, mut dbeta64) = (zeros(), zeros(), zeros(), zeros());
        let (mut y64, mut dx64, mut dx_eval64) = (x64.clone(), x64.clone(), x64.clone());
        let statistics = [mean64.view_mut(), variance64.view_mut()];
        let parameters = [gamma64.view(), beta64.view()];
        naive::batch_norm::forward_train(x64.view(), parameters, EPSILON, statistics, y64.view_mut()).unwrap();
        let norm64 = Norm {
            mean: mean64.view(), variance: variance64.view(), epsilon: EPSILON,
            gamma: gamma64.view(), beta: beta64.view(),
        };
        let gradients = [dgamma64.view_mut(), dbeta64.view_mut()];
        naive::batch_norm::backward_eval(&norm64, x64.view(), dy64.view(), gradients, dx_eval64.view_mut()).unwrap();
        let gradients = [dgamma64.view_mut(), dbeta64.view_mut()];
        naive::batch_norm::backward_train(&norm64, x64.view(), dy64.view(), gradients, dx64.view_mut()).unwrap();

        // What was added up, without signs: |x − mean| / σ is |x̂|.
        let sigma = (&variance64 + EPSILON).mapv(f64::sqrt);
        let centre = x64.map_axis(Axis(0), |_| 0.0) + &(mean64.mapv(f64::abs) + &sigma);
        let normalized = (&x64 - &mean64).abs() / &sigma + &(mean64.mapv(f64::abs) * 0.1 / &sigma);
        let y_size = &normalized * &gamma64.mapv(f64::abs) + &beta64.mapv(f64::abs);
        let sum = |array: &Array4<f64>| array.sum_axis(Axis(0)).sum_axis(Axis(0)).sum_axis(Axis(0));
        let (dgamma_size, dbeta_size) = (sum(&(&normalized * &dy64.mapv(f64::abs))), sum(&dy64.mapv(f64::abs)));
        let scale = gamma64.mapv(f64::abs) / &sigma;
        let m = count as f64;
        let dx_size = (dy64.mapv(f64::abs) + &(&dbeta_size / m) + &normalized * &(&dgamma_size / m)) * &scale;
        let mean_size = centre.index_axis(Axis(0), 0).index_axis(Axis(0), 0).to_owned();
        let variance_size = &variance64 + &mean64.mapv(|mean| 1e-9 * mean * mean);

        for kernels in Kernels::available() {
            let (mut mean, mut variance) = (poison(channels), poison(channels));
            batch_norm::moments(kernels, x.view(), mean.view_mut(), variance.view_mut()).unwrap();
            check_near(&format!("mean, {kernels}"), &mean, &mean64, &mean_size);
            check_near(&format!("variance, {kernels}"), &variance, &variance64, &variance_size);

            // In parts, added up in their order.
            let [mut total, mut squares, mut dgamma, mut dbeta] = [(); 4].map(|()| vec![0.0; channels]);
            let [mut a, mut b] = [(); 2].map(|()| vec![f64::NAN; channels]);
            let add = |total: &mut [f64], part: &[f64]| total.iter_mut().zip(part).for_each(|(t, p)| *t += p);
            for x in parts(x, samples) {
                batch_norm::sums(kernels, x, &mut a, &mut b).unwrap();
                add(&mut total, &a);
                add(&mut squares, &b);
            }
            (mean, variance) = (poison(channels), poison(channels));
            batch_norm::moments_from_sums(count, &total, &squares, mean.view_mut(), variance.view_mut()).unwrap();
            check_near(&format!("mean of parts, {kernels}"), &mean, &mean64, &mean_size);
            check_near(&format!("variance of parts, {kernels}"), &variance, &variance64, &variance_size);

            let norm = Norm {
                mean: mean.view(), variance: variance.view(), epsilon: EPSILON as f32,
                gamma: gamma.view(), beta: beta.view(),
            };
            let mut y = poison(x.raw_dim());
            batch_norm::normalize(kernels, &norm, x.view(), y.view_mut()).unwrap();
            check_near(&format!("y, {kernels}"), &y, &y64, &y_size);

            for (x, dy) in parts(x, samples).zip(parts(dy, samples)) {
                batch_norm::gradient_sums(kernels, &norm, x, dy, &mut a, &mut b).unwrap();
                add(&mut dgamma, &a);
                add(&mut dbeta, &b);
            }
            let narrow = |sums: &[f64]| sums.iter().map(|&sum| sum as f32).collect::<Array1<f32>>();
            check_near(&format!("dgamma, {kernels}"), &narrow(&dgamma), &dgamma64, &dgamma_size);
            check_near(&format!("dbeta, {kernels}"), &narrow(&dbeta), &dbeta64, &dbeta_size);

            let totals = Totals { count, dgamma: &dgamma, dbeta: &dbeta };
            let mut dx = poison(x.raw_dim());
            batch_norm::grad_input_train(kernels, &norm, &totals, x.view(), dy.view(), dx.view_mut()).unwrap();
            check_near(&format!("dx, {kernels}"), &dx, &dx64, &dx_size);
            let mut dx = poison(x.raw_dim());
            batch_norm::grad_input_eval(kernels, &norm, dy.view(), dx.view_mut()).unwrap();
            check_near(&format!("dx in evaluation, {kernels}"), &dx, &dx_eval64, &(dy64.abs() * &scale));
        }
    }
}

/// A mean of 10,000 standard deviations leaves the variance its digits, for narrow, odd and wide channels.
#[test]
fn a_large_mean_does_not_drown_the_variance() {
    for channels in [1, 3, 8, 37, 512] {
        let mut x = Numbers(channels as u64).array((16, 7, 9, channels)) * 3f32.sqrt() + 1e4;
        x.index_axis_mut(Axis(3), 0).mapv_inplace(|x| x - 2e4);
        let (mut exact_mean, mut exact) = (Array1::zeros(channels), Array1::zeros(channels));
        naive::batch_norm::moments(wide(&x).view(), exact_mean.view_mut(), exact.view_mut()).unwrap();
        for kernels in Kernels::available() {
            let (mut mean, mut variance) = (poison(channels), poison(channels));
            batch_norm::moments(kernels, x.view(), mean.view_mut(), variance.view_mut()).unwrap();
            for c in 0..channels {
                let (found, expected) = (f64::from(variance[c]), exact[c]);
                assert!((0.8..1.2).contains(&expected), "the variance is near 1: {expected}");
                let near = (found - expected).abs() < 1e-5 * expected;
                assert!(near, "{kernels}, channel {c} of {channels}: expected {expected}, found {found}");
                assert!((f64::from(mean[c]) - exact_mean[c]).abs() <= 1e4 * 6e-8, "{kernels}, channel {c}");
            }
        }
    }
}

/// A channel of one value throughout has no variance, and the output is β.
#[test]
fn a_constant_channel_normalizes_to_beta() {
    let x = Array4::from_elem((4, 5, 5, 3), 0.1f32);
    let (gamma, beta) = (Array1::ones(3), Array1::from(vec![-1.0, 0.0, 2.0f32]));
    for kernels in Kernels::available() {
        let (mut mean, mut variance, mut y) = (poison(3), poison(3), poison(x.raw_dim()));
        batch_norm::moments(kernels, x.view(), mean.view_mut(), variance.view_mut()).unwrap();
        assert!(variance.iter().all(|&v| (0.0..1e-12).contains(&v)), "{kernels}: {variance}");
        let (gamma, beta) = (gamma.view(), beta.view());
        let norm = Norm { mean: mean.view(), variance: variance.view(), epsilon: 1e-5, gamma, beta };
        batch_norm::normalize(kernels, &norm, x.view(), y.view_mut()).unwrap();
        for ((.., c), &y) in y.indexed_iter() {
            assert!((y - beta[c]).abs() < 1e-4, "{kernels}: channel {c}: {y}");
        }
    }
}

/// A NaN spoils its channel and no other.
#[test]
fn a_nan_stays_in_its_channel() {
    let mut x = Operands::new([3, 4, 4, 21], 5).x;
    x[[1, 2, 3, 17]] = f32::NAN;
    for kernels in Kernels::available() {
        let (mut mean, mut variance) = (poison(21), poison(21));
        mean[17] = 0.0;
        variance[17] = 0.0;
        batch_norm::moments(kernels, x.view(), mean.view_mut(), variance.view_mut()).unwrap();
        for c in 0..21 {
            let found = [mean[c].is_nan(), variance[c].is_nan()];
            assert_eq!(found, [c == 17; 2], "{kernels}: channel {c}");
        }
    }
}

/// The loss ⟨forward(x), dy⟩ moves by ⟨gradient, step⟩: in the input and in both parameters.
#[test]
fn gradients_are_slopes() {
    let operands = Operands::new([3, 2, 4, 5], 9);
    let (x, dy) = (wide(&operands.x), wide(&operands.dy));
    let (gamma, beta) = (wide(&operands.gamma), wide(&operands.beta));
    let zeros = || Array1::<f64>::zeros(5);
    let run = |x: &Array4<f64>, gamma: &Array1<f64>, beta: &Array1<f64>| {
        let (mut mean, mut variance, mut y) = (zeros(), zeros(), x.clone());
        let statistics = [mean.view_mut(), variance.view_mut()];
        let parameters = [gamma.view(), beta.view()];
        naive::batch_norm::forward_train(x.view(), parameters, EPSILON, statistics, y.view_mut()).unwrap();
        (mean, variance, (y * &dy).sum())
    };
    let (mean, variance, _) = run(&x, &gamma, &beta);
    let norm = Norm {
        mean: mean.view(),
        variance: variance.view(),
        epsilon: EPSILON,
        gamma: gamma.view(),
        beta: beta.view(),
    };
    let (mut dgamma, mut dbeta, mut dx) = (zeros(), zeros(), x.clone());
    let gradients = [dgamma.view_mut(), dbeta.view_mut()];
    naive::batch_norm::backward_train(&norm, x.view(), dy.view(), gradients, dx.view_mut()).unwrap();

    let mut numbers = Numbers(10);
    let (along_x, along) = (numbers.array(x.raw_dim()), numbers.array(5));
    let (step_x, step) = (wide(&along_x) * 1e-5, wide(&along) * 1e-5);
    let check = |name: &str, ahead: f64, behind: f64, expected: f64| {
        let found = (ahead - behind) / 2e-5;
        assert!((found - expected).abs() < 1e-7, "{name}: expected {expected}, found {found}");
    };
    let loss = |x: &Array4<f64>, gamma: &Array1<f64>, beta: &Array1<f64>| run(x, gamma, beta).2;
    let slope = (&dx * &wide(&along_x)).sum();
    check("x", loss(&(&x + &step_x), &gamma, &beta), loss(&(&x - &step_x), &gamma, &beta), slope);
    let slope = dgamma.dot(&wide(&along));
    check("gamma", loss(&x, &(&gamma + &step), &beta), loss(&x, &(&gamma - &step), &beta), slope);
    let slope = dbeta.dot(&wide(&along));
    check("beta", loss(&x, &gamma, &(&beta + &step)), loss(&x, &gamma, &(&beta - &step)), slope);
}

#[test]
fn misfits() {
    let operands = Operands::new([2, 3, 3, 4], 1);
    let Operands { x, dy, gamma, beta } = &operands;
    let message = |result: tensor_ops::Result<()>| result.unwrap_err().to_string();
    let short = Array1::ones(3);
    let (four, three) = ([0.0; 4], [0.0; 3]);
    let good = Norm {
        mean: gamma.view(),
        variance: gamma.view(),
        epsilon: 1e-5,
        gamma: gamma.view(),
        beta: beta.view(),
    };
    let single = "batch norm: training expected more than 1 value per channel, found 1";
    for k in Kernels::available() {
        let moments = |x: ArrayView4<f32>, mean: usize, variance: usize| {
            let (mut mean, mut variance) = (Array1::zeros(mean), Array1::zeros(variance));
            batch_norm::moments(k, x, mean.view_mut(), variance.view_mut())
        };
        assert_eq!(moments(x.view(), 4, 4), Ok(()));
        assert_eq!(message(moments(x.view(), 3, 4)), "mean: expected shape [4], found [3]");
        assert_eq!(message(moments(x.view(), 4, 5)), "variance: expected shape [4], found [5]");
        assert_eq!(message(moments(x.slice(s![..1, ..1, ..1, ..]), 4, 4)), single);
        assert_eq!(
            message(moments(x.slice(s![..0, .., .., ..]), 4, 4)),
            single.replace("found 1", "found 0")
        );

        let sums = |a: &mut [f64], b: &mut [f64]| batch_norm::sums(k, x.view(), a, b);
        assert_eq!(message(sums(&mut [0.0; 3], &mut [0.0; 4])), "sum: expected shape [4], found [3]");
        assert_eq!(message(sums(&mut [0.0; 4], &mut [0.0; 3])), "squares: expected shape [4], found [3]");

        let normalize = |norm: Norm, channels| {
            batch_norm::normalize(k, &norm, x.view(), Array4::zeros((2, 3, 3, channels)).view_mut())
        };
        let ends = "expected shape [4], found [3]";
        assert_eq!(normalize(good, 4), Ok(()));
        assert_eq!(message(normalize(good, 5)), "y: expected shape [2, 3, 3, 4], found [2, 3, 3, 5]");
        assert_eq!(message(normalize(Norm { mean: short.view(), ..good }, 4)), format!("mean: {ends}"));
        assert_eq!(
            message(normalize(Norm { variance: short.view(), ..good }, 4)),
            format!("variance: {ends}")
        );
        assert_eq!(message(normalize(Norm { gamma: short.view(), ..good }, 4)), format!("gamma: {ends}"));
        assert_eq!(message(normalize(Norm { beta: short.view(), ..good }, 4)), format!("beta: {ends}"));

        let gradient_sums = |dy: ArrayView4<f32>, a: &mut [f64], b: &mut [f64]| {
            batch_norm::gradient_sums(k, &good, x.view(), dy, a, b)
        };
        let (mut a, mut b) = (four, three);
        let less = dy.slice(s![..1, .., .., ..]);
        let found = message(gradient_sums(less, &mut four.clone(), &mut a));
        assert_eq!(found, "dy: expected shape [2, 3, 3, 4], found [1, 3, 3, 4]");
        assert_eq!(message(gradient_sums(dy.view(), &mut b, &mut a)), format!("dgamma: {ends}"));
        assert_eq!(message(gradient_sums(dy.view(), &mut a, &mut b)), format!("dbeta: {ends}"));

        let grad_input = |count, dgamma: &[f64], dbeta: &[f64]| {
            let totals = Totals { count, dgamma, dbeta };
            let mut dx = Array4::zeros(x.raw_dim());
            batch_norm::grad_input_train(k, &good, &totals, x.view(), dy.view(), dx.view_mut())
        };
        assert_eq!(grad_input(18, &four, &four), Ok(()));
        assert_eq!(message(grad_input(1, &four, &four)), single);
        assert_eq!(message(grad_input(18, &three, &four)), format!("dgamma: {ends}"));
        assert_eq!(message(grad_input(18, &four, &three)), format!("dbeta: {ends}"));

        let mut dx = Array4::zeros((2, 3, 3, 3));
        let result = batch_norm::grad_input_eval(k, &good, dy.view(), dx.view_mut());
        assert_eq!(message(result), "dx: expected shape [2, 3, 3, 4], found [2, 3, 3, 3]");

        let strided = moments(x.slice(s![.., .., .., ..;2]), 2, 2);
        if k == Kernels::NAIVE {
            assert_eq!(strided, Ok(()));
        } else {
            let expected = "x: expected a contiguous row-major array, found strides [36, 12, 4, 2]";
            assert_eq!(message(strided), expected);
        }
        let none = Array4::zeros((2, 3, 3, 0));
        assert!(moments(none.view(), 0, 0).is_err(), "no channel, no value");
    }
    let (mut mean, mut variance) = (Array1::<f32>::zeros(4), Array1::zeros(4));
    let result = batch_norm::moments_from_sums(1, &four, &four, mean.view_mut(), variance.view_mut());
    assert_eq!(message(result), single);
    let running = [mean.view_mut(), variance.view_mut()];
    let result = batch_norm::update_running(0.1, 1, [gamma.view(), gamma.view()], running);
    assert_eq!(message(result), single);
}
