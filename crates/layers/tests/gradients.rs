//! Every gradient against central differences in double precision, for every option of every layer, with all kernels.

use layers::{Kernels, gradcheck};

const NETWORKS: [&str; 11] = [
    "8x8: conv 3 3, maxpool 2, dense 4",
    "9x7x2: conv 4 3x2 same stride 2x1 relu, conv 6 2 dilation 2x1 groups 2 gelu, dense 3",
    "8x8x3: conv 6 3 pad 1:0x0:2 groups 3 nobias leakyrelu slope 0.1, avgpool 3 stride 2 pad 1, dense 2",
    "8x8x2: conv 4 3 batchnorm relu, maxpool 3 stride 2 same, dense 3",
    "6x6x2: avgpool 3 stride 1 pad 1 countpad, minpool 2 stride 1, dense 5 sigmoid, dense 4 tanh",
    "6x6x2: conv 17 3 same relu, globalavgpool, dense 3 softmax",
    "6x6x3: residual(conv 3 3 same batchnorm relu, conv 3 3 same batchnorm) relu, dense 2",
    "6x6x3: residual(conv 8 3 same stride 2 relu | conv 8 1 stride 2 batchnorm), dense 2",
    "6x6x4: dropout 0.3 spatial, conv 4 3 gelu, dense 6, dropout 0.5, dense 3",
    "5x5x2: conv 3 5 same, softmax",
    "9x9: conv 17 3 relu, conv 33 3 relu, maxpool 2, dense 18 relu, dense 10",
];

#[test]
fn all_gradients_are_right() {
    for kernels in Kernels::available() {
        for (seed, line) in NETWORKS.iter().enumerate() {
            let result = gradcheck(&line.parse().unwrap(), kernels, seed as u64).unwrap();
            assert!(result.is_right(), "{line}, seed {seed}:\n{result}");
            assert!(result.rows.iter().any(|row| row.of == "network" && row.part == "input"));
        }
    }
}
