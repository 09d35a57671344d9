//! A small problem that networks learn in a moment, shared by tests.

use layers::ndarray::Array4;
use layers::{Adam, Augment, Augmentation, Average, Curve, Optimizer, Schedule, TrainConfig};

/// Bars that lie or stand, at places that vary: two classes.
pub fn bars() -> (Array4<f32>, Vec<usize>) {
    let on = |n: usize, row: usize, column: usize| {
        if n.is_multiple_of(2) { row == 1 + n % 7 } else { column == 1 + n % 7 }
    };
    let x = Array4::from_shape_fn(
        (140, 9, 9, 1),
        |(n, row, column, _)| if on(n, row, column) { 1.0 } else { 0.0 },
    );
    (x, (0..140).map(|n| n % 2).collect())
}

/// Its network, with everything that random numbers or statistics touch.
pub const NETWORK: &str = "9x9: conv 6 3 batchnorm relu, maxpool 2, dropout 0.2, dense 2";

/// Its training, with most that there is to choose.
pub fn config() -> TrainConfig {
    TrainConfig {
        epochs: 4,
        batch_size: 20,
        seed: 9,
        optimizer: Optimizer::AdamW(Adam { learning_rate: 0.01, weight_decay: 0.01, ..Adam::default() }),
        schedule: Schedule { warmup: 0.5, curve: Curve::Cosine { last: 0.0 } },
        augmentation: Augmentation::new([Augment::Shift { pixels: 1.0 }]),
        average: Some(Average { keep: 0.9, every: 1 }),
        patience: Some(3),
        ..TrainConfig::default()
    }
}
