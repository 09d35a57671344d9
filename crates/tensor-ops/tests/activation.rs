//! Activations: every compiled version against the naive loops in `f64`, over all of `f32`.

mod common;

use common::{Numbers, poison, wide};
use ndarray::{Array1, Array2, ArrayD, IxDyn, s};
use tensor_ops::{Activation, Kernels, activation, naive, ndarray};

const ALL: [Activation; 6] = [
    Activation::Relu,
    Activation::LeakyRelu { slope: Activation::SLOPE },
    Activation::LeakyRelu { slope: -0.75 },
    Activation::Gelu,
    Activation::Sigmoid,
    Activation::Tanh,
];

/// Numbers over the whole range, each magnitude as often as any other, and those of −20 … 20.
fn everywhere() -> Array1<f32> {
    let all = (0..=u32::MAX).step_by(20_011).map(f32::from_bits).filter(|x| x.is_finite());
    let near = (-400_000i32..=400_000).map(|i| i as f32 * 5e-5);
    all.chain(near).collect()
}

/// How far a result in `f32` may lie from the exact one at `x`.
fn tolerance(f: Activation, x: f64, exact: f64) -> f64 {
    let relative = match f {
        Activation::Gelu => return 1e-6 * x.abs().max(1.0),
        Activation::Relu | Activation::LeakyRelu { .. } => 6e-8,
        Activation::Sigmoid | Activation::Tanh => 2e-7,
    };
    relative * exact.abs() + f64::from(f32::MIN_POSITIVE)
}

#[test]
fn values_and_gradients_match_naive() {
    let x = everywhere();
    let dy = Numbers(3).array(x.dim());
    for f in ALL {
        let (mut exact, mut gradient) = (Array1::zeros(x.dim()), Array1::zeros(x.dim()));
        naive::activation::forward(f, wide(&x).view(), exact.view_mut()).unwrap();
        let (x64, dy64) = (wide(&x), wide(&dy));
        naive::activation::backward(f, x64.view(), exact.view(), dy64.view(), gradient.view_mut()).unwrap();
        for kernels in Kernels::available() {
            let (mut y, mut dx) = (poison(x.dim()), poison(x.dim()));
            activation::forward(kernels, f, x.view(), y.view_mut()).unwrap();
            activation::backward(kernels, f, x.view(), y.view(), dy.view(), dx.view_mut()).unwrap();
            for i in 0..x.len() {
                let error = (f64::from(y[i]) - exact[i]).abs();
                assert!(
                    error <= tolerance(f, x64[i], exact[i]),
                    "{f:?}, {kernels}: at {} expected {}, found {}",
                    x[i],
                    exact[i],
                    y[i]
                );
                let error = (f64::from(dx[i]) - gradient[i]).abs();
                assert!(
                    error <= 1e-6 * dy64[i].abs() + f64::from(f32::MIN_POSITIVE),
                    "{f:?}, {kernels}: at {} of dy = {} expected dx = {}, found {}",
                    x[i],
                    dy[i],
                    gradient[i],
                    dx[i]
                );
            }
        }
    }
}

/// The gradient is the slope of the function, by central differences.
#[test]
fn gradients_are_slopes() {
    let (x, step) = (Array1::linspace(-6.05, 6.05, 122), 1e-5);
    for f in ALL {
        let value = |x: Array1<f64>| {
            let mut y = Array1::zeros(x.dim());
            naive::activation::forward(f, x.view(), y.view_mut()).unwrap();
            y
        };
        let expected = (value(&x + step) - value(&x - step)) / (2.0 * step);
        let (y, dy, mut dx) = (value(x.clone()), Array1::ones(x.dim()), Array1::zeros(x.dim()));
        naive::activation::backward(f, x.view(), y.view(), dy.view(), dx.view_mut()).unwrap();
        for i in 0..x.len() {
            let (found, expected) = (dx[i], expected[i]);
            assert!((found - expected).abs() < 1e-9, "{f:?}: at {} expected {expected}, found {found}", x[i]);
        }
    }
}

/// At 0, at the ends and for a NaN, what PyTorch answers; each for every kernels.
#[test]
fn special_values() {
    const INFINITY: f32 = f32::INFINITY;
    const NAN: f32 = f32::NAN;
    // x, y and the gradient for dy = 3.
    let check = |f: Activation, x: f32, y: f32, dx: f32| {
        for kernels in Kernels::available() {
            let x = Array1::from_elem(9, x);
            let dy = Array1::from_elem(9, 3.0);
            let (mut found_y, mut found_dx) = (Array1::from_elem(9, 7.0), Array1::from_elem(9, 7.0));
            activation::forward(kernels, f, x.view(), found_y.view_mut()).unwrap();
            activation::backward(kernels, f, x.view(), found_y.view(), dy.view(), found_dx.view_mut())
                .unwrap();
            let same = |found: &Array1<f32>, expected: f32| {
                found.iter().all(|v| *v == expected || (v.is_nan() && expected.is_nan()))
            };
            assert!(same(&found_y, y), "{f:?}, {kernels}: f({}) = {y}, found {found_y}", x[0]);
            assert!(same(&found_dx, dx), "{f:?}, {kernels}: 3 f'({}) = {dx}, found {found_dx}", x[0]);
        }
    };
    let leaky = Activation::LeakyRelu { slope: 0.25 };
    check(Activation::Relu, 0.0, 0.0, 0.0);
    check(Activation::Relu, -0.0, 0.0, 0.0);
    check(Activation::Relu, INFINITY, INFINITY, 3.0);
    check(Activation::Relu, -INFINITY, 0.0, 0.0);
    check(Activation::Relu, NAN, NAN, 3.0);
    check(leaky, 0.0, 0.0, 0.75);
    check(leaky, -8.0, -2.0, 0.75);
    check(leaky, -INFINITY, -INFINITY, 0.75);
    check(leaky, NAN, NAN, 0.75);
    check(Activation::Gelu, 0.0, 0.0, 1.5);
    check(Activation::Gelu, 40.0, 40.0, 3.0);
    check(Activation::Gelu, -40.0, 0.0, 0.0);
    check(Activation::Gelu, f32::MAX, f32::MAX, 3.0);
    check(Activation::Gelu, INFINITY, INFINITY, NAN);
    check(Activation::Gelu, -INFINITY, NAN, NAN);
    check(Activation::Gelu, NAN, NAN, NAN);
    check(Activation::Sigmoid, 0.0, 0.5, 0.75);
    check(Activation::Sigmoid, INFINITY, 1.0, 0.0);
    check(Activation::Sigmoid, -INFINITY, 0.0, 0.0);
    check(Activation::Sigmoid, f32::MAX, 1.0, 0.0);
    check(Activation::Sigmoid, -f32::MAX, 0.0, 0.0);
    check(Activation::Sigmoid, NAN, NAN, NAN);
    check(Activation::Tanh, 0.0, 0.0, 3.0);
    check(Activation::Tanh, INFINITY, 1.0, 0.0);
    check(Activation::Tanh, -INFINITY, -1.0, 0.0);
    check(Activation::Tanh, NAN, NAN, NAN);
}

#[test]
fn every_length_and_dimension_is_written() {
    let mut numbers = Numbers(11);
    for kernels in Kernels::available() {
        for shape in [vec![], vec![0], vec![1], vec![7], vec![3, 11], vec![2, 3, 1, 5], vec![1, 2, 3, 2, 3]] {
            let x = numbers.array(IxDyn(&shape));
            for f in ALL {
                let mut y: ArrayD<f32> = poison(IxDyn(&shape));
                let mut dx: ArrayD<f32> = poison(IxDyn(&shape));
                activation::forward(kernels, f, x.view(), y.view_mut()).unwrap();
                activation::backward(kernels, f, x.view(), y.view(), x.view(), dx.view_mut()).unwrap();
                assert!(!y.iter().chain(&dx).any(|v| v.is_nan()), "{f:?}, {kernels}: {shape:?}");
            }
        }
    }
}

#[test]
fn misfits() {
    let zeros = Array2::<f32>::zeros;
    let relu = Activation::Relu;
    for k in Kernels::available() {
        let message = |result: tensor_ops::Result<()>| result.unwrap_err().to_string();
        let forward = |x, y| activation::forward(k, relu, zeros(x).view(), zeros(y).view_mut());
        assert_eq!(message(forward([2, 3], [2, 4])), "y: expected shape [2, 3], found [2, 4]");
        let backward = |y, dy, dx| {
            let (x, y, dy) = (zeros([2, 3]), zeros(y), zeros(dy));
            activation::backward(k, relu, x.view(), y.view(), dy.view(), zeros(dx).view_mut())
        };
        assert_eq!(backward([2, 3], [2, 3], [2, 3]), Ok(()));
        let ends = "expected shape [2, 3], found [3, 2]";
        assert_eq!(message(backward([3, 2], [2, 3], [2, 3])), format!("y: {ends}"));
        assert_eq!(message(backward([2, 3], [3, 2], [2, 3])), format!("dy: {ends}"));
        assert_eq!(message(backward([2, 3], [2, 3], [3, 2])), format!("dx: {ends}"));

        let square = zeros([3, 4]);
        let strided = activation::forward(k, relu, square.slice(s![.., ..2]), zeros([3, 2]).view_mut());
        if k == Kernels::NAIVE {
            assert_eq!(strided, Ok(()));
        } else {
            let expected = "x: expected a contiguous row-major array, found strides [4, 1]";
            assert_eq!(message(strided), expected);
        }
    }
}

#[cfg(feature = "serde")]
#[test]
fn reads_and_writes() {
    let check = |f: Activation, json: &str| {
        assert_eq!(serde_json::to_string(&f).unwrap(), json);
        assert_eq!(serde_json::from_str::<Activation>(json).unwrap(), f);
    };
    check(Activation::Gelu, r#""gelu""#);
    check(Activation::LeakyRelu { slope: 0.25 }, r#"{"leaky_relu":{"slope":0.25}}"#);
}
