//! What misfits are answered with: every message names the operand, what was expected and what was found.

mod common;

use common::{Numbers, scratch};
use ndarray::{Array1, Array2, Array4, s};
use tensor_ops::{
    Conv2dConfig, Conv2dGeometry, Kernels, Pool2dConfig, Pool2dGeometry, Pooling, Result, Ties, conv2d,
    dense, naive, ndarray, pool2d, softmax,
};

fn check(result: Result<impl Sized>, expected: &str) {
    assert_eq!(result.err().map(|e| e.to_string()).as_deref(), Some(expected));
}

/// A small convolution, 5×5×2 to 3×3×4, of two samples.
fn convolution() -> Conv2dGeometry {
    Conv2dGeometry::new([5, 5, 2], 4, &Conv2dConfig::new([3, 3])).expect("the window fits")
}

fn zeros2(shape: [usize; 2]) -> Array2<f32> {
    Array2::zeros(shape)
}

fn zeros4(shape: [usize; 4]) -> Array4<f32> {
    Array4::zeros(shape)
}

#[test]
fn convolutions() {
    let g = convolution();
    for k in Kernels::available() {
        let forward = |x, weight, bias: usize, y| {
            let bias = Array1::zeros(bias);
            let (x, weight) = (zeros4(x), zeros4(weight));
            conv2d::forward(
                k,
                &g,
                x.view(),
                weight.view(),
                Some(bias.view()),
                zeros4(y).view_mut(),
                &mut scratch(g.forward_scratch()),
            )
        };
        let (x, w, y) = ([2, 5, 5, 2], [3, 3, 2, 4], [2, 3, 3, 4]);
        assert_eq!(forward(x, w, 4, y), Ok(()));
        check(forward([2, 5, 4, 2], w, 4, y), "x: expected shape [2, 5, 5, 2], found [2, 5, 4, 2]");
        check(forward(x, [3, 3, 4, 2], 4, y), "weight: expected shape [3, 3, 2, 4], found [3, 3, 4, 2]");
        check(forward(x, w, 3, y), "bias: expected shape [4], found [3]");
        check(forward(x, w, 4, [1, 3, 3, 4]), "y: expected shape [2, 3, 3, 4], found [1, 3, 3, 4]");

        let grad_input = |dy, w, dx| {
            conv2d::grad_input(
                k,
                &g,
                zeros4(dy).view(),
                zeros4(w).view(),
                zeros4(dx).view_mut(),
                &mut scratch(g.grad_input_scratch()),
            )
        };
        check(grad_input([2, 3, 3, 5], w, x), "dy: expected shape [2, 3, 3, 4], found [2, 3, 3, 5]");
        check(grad_input(y, [3, 3, 2, 5], x), "weight: expected shape [3, 3, 2, 4], found [3, 3, 2, 5]");
        check(grad_input(y, w, [3, 5, 5, 2]), "dx: expected shape [2, 5, 5, 2], found [3, 5, 5, 2]");

        let grad_weight = |x, dy, dw| {
            conv2d::grad_weight(
                k,
                &g,
                zeros4(x).view(),
                zeros4(dy).view(),
                zeros4(dw).view_mut(),
                &mut scratch(g.grad_weight_scratch()),
            )
        };
        check(grad_weight([2, 4, 5, 2], y, w), "x: expected shape [2, 5, 5, 2], found [2, 4, 5, 2]");
        check(grad_weight(x, [1, 3, 3, 4], w), "dy: expected shape [2, 3, 3, 4], found [1, 3, 3, 4]");
        check(grad_weight(x, y, [1, 3, 2, 4]), "dweight: expected shape [3, 3, 2, 4], found [1, 3, 2, 4]");

        // Scratch is checked whether the kernels use it or not.
        let (x, w, y) = (zeros4(x), zeros4(w), zeros4(y));
        let [mut to_x, mut to_w, mut to_y] = [&x, &w, &y].map(Clone::clone);
        let short = |len: usize| scratch(len - 1);
        let message = |len: usize| format!("scratch: expected at least {len} numbers, found {}", len - 1);
        let len = g.forward_scratch();
        let result = conv2d::forward(k, &g, x.view(), w.view(), None, to_y.view_mut(), &mut short(len));
        check(result, &message(len));
        let len = g.grad_input_scratch();
        let result = conv2d::grad_input(k, &g, y.view(), w.view(), to_x.view_mut(), &mut short(len));
        check(result, &message(len));
        let len = g.grad_weight_scratch();
        let result = conv2d::grad_weight(k, &g, x.view(), y.view(), to_w.view_mut(), &mut short(len));
        check(result, &message(len));

        let mut dbias = Array1::zeros(3);
        let result = conv2d::grad_bias(k, y.view(), dbias.view_mut());
        check(result, "dbias: expected shape [4], found [3]");
    }
}

#[test]
fn pools() {
    let g = Pool2dGeometry::new([4, 4, 3], &Pool2dConfig::new([2, 2])).unwrap();
    let max = Pooling::Max(Ties::First);
    for k in Kernels::available() {
        let forward = |x, y| pool2d::forward(k, max, &g, zeros4(x).view(), zeros4(y).view_mut());
        check(forward([1, 4, 4, 2], [1, 2, 2, 3]), "x: expected shape [1, 4, 4, 3], found [1, 4, 4, 2]");
        check(forward([1, 4, 4, 3], [1, 2, 3, 3]), "y: expected shape [1, 2, 2, 3], found [1, 2, 3, 3]");
        let backward = |x, dy, dx| {
            pool2d::backward(k, max, &g, zeros4(x).view(), zeros4(dy).view(), zeros4(dx).view_mut())
        };
        let (x, y) = ([1, 4, 4, 3], [1, 2, 2, 3]);
        check(backward(x, [2, 2, 2, 3], x), "dy: expected shape [1, 2, 2, 3], found [2, 2, 2, 3]");
        check(backward(x, y, [1, 4, 4, 4]), "dx: expected shape [1, 4, 4, 3], found [1, 4, 4, 4]");
    }
}

#[test]
fn dense_layers() {
    for k in Kernels::available() {
        let forward = |x, w, bias: usize, y| {
            let bias = Array1::zeros(bias);
            dense::forward(k, zeros2(x).view(), zeros2(w).view(), Some(bias.view()), zeros2(y).view_mut())
        };
        check(forward([2, 3], [4, 5], 5, [2, 5]), "x: expected shape [2, 4], found [2, 3]");
        check(forward([2, 4], [4, 5], 6, [2, 5]), "bias: expected shape [5], found [6]");
        check(forward([2, 4], [4, 5], 5, [3, 5]), "y: expected shape [2, 5], found [3, 5]");
        let grad_input =
            |dy, w, dx| dense::grad_input(k, zeros2(dy).view(), zeros2(w).view(), zeros2(dx).view_mut());
        check(grad_input([2, 4], [4, 5], [2, 4]), "dy: expected shape [2, 5], found [2, 4]");
        check(grad_input([2, 5], [4, 5], [2, 5]), "dx: expected shape [2, 4], found [2, 5]");
        let grad_weight =
            |x, dy, dw| dense::grad_weight(k, zeros2(x).view(), zeros2(dy).view(), zeros2(dw).view_mut());
        check(grad_weight([2, 4], [3, 5], [4, 5]), "dy: expected shape [2, 5], found [3, 5]");
        check(grad_weight([2, 4], [2, 5], [5, 4]), "dweight: expected shape [4, 5], found [5, 4]");
        let sgd = |x, dy, bias: usize, dx: Option<[usize; 2]>| {
            let (mut weight, mut bias, mut dx) = (zeros2([4, 5]), Array1::zeros(bias), dx.map(zeros2));
            let (x, dy, dx) = (zeros2(x), zeros2(dy), dx.as_mut().map(|dx| dx.view_mut()));
            dense::sgd(k, 0.1, x.view(), dy.view(), weight.view_mut(), bias.view_mut(), dx)
        };
        check(sgd([1, 3], [1, 5], 5, None), "x: expected shape [1, 4], found [1, 3]");
        check(sgd([1, 4], [2, 5], 5, None), "dy: expected shape [1, 5], found [2, 5]");
        check(sgd([1, 4], [1, 5], 4, None), "bias: expected shape [5], found [4]");
        check(sgd([1, 4], [1, 5], 5, Some([1, 5])), "dx: expected shape [1, 4], found [1, 5]");
        check(sgd([2, 4], [2, 5], 5, Some([1, 4])), "dx: expected shape [2, 4], found [1, 4]");
        let mut dbias = Array1::zeros(4);
        let result = dense::grad_bias(k, zeros2([2, 5]).view(), dbias.view_mut());
        check(result, "dbias: expected shape [5], found [4]");
    }
}

#[test]
fn losses() {
    let logits = zeros2([2, 10]);
    check(
        softmax::forward(logits.view(), zeros2([2, 9]).view_mut()),
        "probabilities: expected shape [2, 10], found [2, 9]",
    );
    check(softmax::cross_entropy(logits.view(), &[1]), "labels: expected 2, one a row of logits, found 1");
    check(softmax::cross_entropy(logits.view(), &[1, 10]), "label 1: expected a class below 10, found 10");
    let backward = |labels: &[usize], dlogits| {
        softmax::cross_entropy_backward(logits.view(), labels, zeros2(dlogits).view_mut())
    };
    check(backward(&[0, 1], [1, 10]), "dlogits: expected shape [2, 10], found [1, 10]");
    check(backward(&[11, 1], [2, 10]), "label 0: expected a class below 10, found 11");
}

#[test]
fn strided_views_are_for_the_naive_functions_alone() {
    let g = convolution();
    let weight = Numbers(1).array(g.weight_shape());
    let wide = Numbers(2).array([2, 5, 5, 4]);
    let x = wide.slice(s![.., .., .., ..;2]);
    let mut expected = zeros4(g.output_shape(2));
    naive::conv2d::forward(&g, x, weight.view(), None, expected.view_mut()).unwrap();
    for k in Kernels::available() {
        let mut y = zeros4(g.output_shape(2));
        let result =
            conv2d::forward(k, &g, x, weight.view(), None, y.view_mut(), &mut scratch(g.forward_scratch()));
        if k == Kernels::NAIVE {
            assert_eq!((result, &y), (Ok(()), &expected));
        } else {
            check(result, "x: expected a contiguous row-major array, found strides [100, 20, 4, 2]");
        }
        let mut wide = zeros4([2, 3, 3, 8]);
        let packed = x.to_owned();
        let y = wide.slice_mut(s![.., .., .., ..4]);
        let result =
            conv2d::forward(k, &g, packed.view(), weight.view(), None, y, &mut scratch(g.forward_scratch()));
        if k == Kernels::NAIVE {
            assert_eq!((result, wide.slice(s![.., .., .., ..4])), (Ok(()), expected.view()));
        } else {
            check(result, "y: expected a contiguous row-major array, found strides [72, 24, 8, 1]");
        }
    }
    // Dense weights may be column-major, but not strided.
    let wide = zeros2([4, 10]);
    for k in Kernels::available().filter(|&k| k != Kernels::NAIVE) {
        let (x, mut y) = (zeros2([2, 4]), zeros2([2, 5]));
        let result = dense::forward(k, x.view(), wide.slice(s![.., ..;2]), None, y.view_mut());
        check(result, "weight: expected a contiguous row-major array, found strides [10, 2]");
    }
    let transposed = zeros2([10, 2]);
    check(
        softmax::cross_entropy(transposed.t(), &[0, 1]),
        "logits: expected a contiguous row-major array, found strides [1, 2]",
    );
}
