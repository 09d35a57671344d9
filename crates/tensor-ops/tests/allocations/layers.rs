//! Convolutions, pooling, dense layers and the softmax.

use crate::common::Numbers;
use ndarray::{Array1, Array2, Array4};
use tensor_ops::{
    Conv2dConfig, Conv2dGeometry, ConvPool2d, ConvPool2dGeometry, Kernels, Padding, Pool2dConfig,
    Pool2dGeometry, Pooling, Ties, WinogradGeometry, conv_pool2d, conv2d, dense, ndarray, pool2d, softmax,
    winograd,
};

pub fn run() -> impl FnMut(Kernels) {
    let mut numbers = Numbers(7);
    let config = Conv2dConfig { padding: Padding::Same, stride: [2, 1], ..Conv2dConfig::new([3, 3]) };
    let conv = Conv2dGeometry::new([12, 13, 5], 27, &config).unwrap();
    let pool = Pool2dGeometry::new([12, 13, 5], &Pool2dConfig::new([2, 2])).unwrap();

    let x = numbers.array(conv.input_shape(2));
    let weight = numbers.array(conv.weight_shape());
    let bias = numbers.array(27);
    let dy = numbers.array(conv.output_shape(2));
    let pool_dy = numbers.array(pool.output_shape(2));
    let (rows, matrix, columns) = (numbers.array((7, 300)), numbers.array((300, 40)), numbers.array((7, 40)));
    let labels = [3; 7];

    let (mut y, mut dx, mut dweight) = (dy.clone(), x.clone(), weight.clone());
    let mut dbias = Array1::zeros(27);
    let mut pool_y = Array4::zeros(pool_dy.dim());
    let (mut dense_y, mut dense_dx, mut dense_dweight) = (columns.clone(), rows.clone(), matrix.clone());
    let mut dense_dbias = Array1::zeros(40);
    let (mut probabilities, mut dlogits) = (Array2::zeros(columns.dim()), Array2::zeros(columns.dim()));

    let config = Conv2dConfig { padding: Padding::Same, ..Conv2dConfig::new([3, 3]) };
    let both = Conv2dGeometry::new([12, 13, 5], 27, &config).unwrap();
    let halved = Pool2dGeometry::new([12, 13, 27], &Pool2dConfig::new([2, 2])).unwrap();
    let both = ConvPool2dGeometry::new(both, halved).unwrap();
    let op = ConvPool2d { geometry: both, relu: true, ties: Ties::First };
    let both_dy = numbers.array(both.output_shape(2));
    let mut both_y = both_dy.clone();
    let mut takes = Array4::zeros(both_dy.dim());
    let sizes = [both.forward_scratch(), both.grad_weight_scratch(), both.grad_input_scratch()];
    let mut scratch = vec![0.0; sizes.into_iter().max().unwrap()];
    let sizes = [conv.forward_scratch(), conv.grad_weight_scratch(), conv.grad_input_scratch()];
    let mut conv_scratch = vec![0.0; sizes.into_iter().max().unwrap()];

    let tiled = WinogradGeometry::new(both.conv()).unwrap();
    let mut transformed = vec![0.0; tiled.transformed_weight()];
    let mut tiles = vec![0.0; tiled.scratch()];
    let mut map = Array4::zeros(both.conv().output_shape(2));

    move |k| {
        winograd::transform_weight(k, &tiled, weight.view(), &mut transformed).unwrap();
        let bias = Some(bias.view());
        winograd::forward(k, &tiled, x.view(), &transformed, bias, map.view_mut(), &mut tiles).unwrap();
        conv2d::forward(k, &conv, x.view(), weight.view(), bias, y.view_mut(), &mut conv_scratch).unwrap();
        conv2d::grad_input(k, &conv, dy.view(), weight.view(), dx.view_mut(), &mut conv_scratch).unwrap();
        conv2d::grad_weight(k, &conv, x.view(), dy.view(), dweight.view_mut(), &mut conv_scratch).unwrap();
        conv2d::grad_bias(k, dy.view(), dbias.view_mut()).unwrap();
        conv_pool2d::forward(
            k,
            &op,
            x.view(),
            weight.view(),
            bias,
            both_y.view_mut(),
            Some(takes.view_mut()),
            &mut scratch,
        )
        .unwrap();
        conv_pool2d::grad_weight(
            k,
            &op,
            x.view(),
            both_dy.view(),
            takes.view(),
            dweight.view_mut(),
            Some(dbias.view_mut()),
            &mut scratch,
        )
        .unwrap();
        conv_pool2d::grad_input(
            k,
            &op,
            both_dy.view(),
            takes.view(),
            weight.view(),
            dx.view_mut(),
            &mut scratch,
        )
        .unwrap();
        let average = Pooling::Average { count_padding: false };
        for pooling in [Pooling::Max(Ties::First), Pooling::Min(Ties::All), average] {
            pool2d::forward(k, pooling, &pool, x.view(), pool_y.view_mut()).unwrap();
            pool2d::backward(k, pooling, &pool, x.view(), pool_dy.view(), dx.view_mut()).unwrap();
        }
        dense::forward(k, rows.view(), matrix.view(), None, dense_y.view_mut()).unwrap();
        dense::grad_input(k, columns.view(), matrix.view(), dense_dx.view_mut()).unwrap();
        dense::grad_weight(k, rows.view(), columns.view(), dense_dweight.view_mut()).unwrap();
        dense::grad_bias(k, columns.view(), dense_dbias.view_mut()).unwrap();
        let (x, dy, dx) = (rows.view(), columns.view(), Some(dense_dx.view_mut()));
        dense::sgd(k, 0.1, x, dy, dense_dweight.view_mut(), dense_dbias.view_mut(), dx).unwrap();
        softmax::forward(columns.view(), probabilities.view_mut()).unwrap();
        softmax::cross_entropy(columns.view(), &labels).unwrap();
        softmax::cross_entropy_backward(probabilities.view(), &labels, dlogits.view_mut()).unwrap();
    }
}
