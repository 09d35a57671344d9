//! The presets: one network, as the tutorial builds and trains it and as Keras does.

use clap::ValueEnum;
use layers::{
    Average, Conv2d, Dense, Flatten, Initializer, MaxPool2d, NetworkSpec, Optimizer, Sgd, Ties, TrainConfig,
};
use serde::Serialize;

/// What both presets share.
pub const EPOCHS: usize = 3;
pub const BATCH_SIZE: usize = 1;
pub const LEARNING_RATE: f32 = 0.005;

/// What MNIST's images are, and the number of its classes.
pub const MNIST: ([usize; 3], usize) = ([28, 28, 1], 10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// The tutorial's network, on the first 1,000 training and test images: normal initial weights, every one of
    /// equal maxima takes the gradient
    Tutorial,
    /// The same layers as Keras builds them, on all images: Glorot-uniform initial weights, the first of equal
    /// maxima takes the gradient; a running average of the parameters is judged and saved
    Keras,
}

impl Preset {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tutorial => "tutorial",
            Self::Keras => "keras",
        }
    }

    pub fn ties(self) -> Ties {
        match self {
            Self::Tutorial => Ties::All,
            Self::Keras => Ties::First,
        }
    }

    /// How many training and test images are used, where not all are.
    pub fn limit(self) -> Option<usize> {
        match self {
            Self::Tutorial => Some(1000),
            Self::Keras => None,
        }
    }

    /// What is judged and kept where it is not the last step's parameters.
    ///
    /// Steps of single images at a constant rate leave the last few visible: the test accuracy of Keras's own run moves
    /// by tenths of a point from seed to seed. The average is over about the last 2,000 steps.
    fn average(self) -> Option<Average> {
        match self {
            Self::Tutorial => None,
            Self::Keras => Some(Average { keep: 0.99, every: 20 }),
        }
    }

    /// The article's training: plain SGD.
    pub fn config(self) -> TrainConfig {
        let sgd = Sgd { learning_rate: LEARNING_RATE, ..Sgd::default() };
        TrainConfig {
            epochs: EPOCHS,
            batch_size: BATCH_SIZE,
            optimizer: Optimizer::Sgd(sgd),
            average: self.average(),
            ..TrainConfig::default()
        }
    }

    /// The network for images of this shape and so many classes.
    pub fn spec(self, ties: Ties, input: [usize; 3], classes: usize) -> NetworkSpec {
        let initializer = match self {
            Self::Tutorial => Initializer::Tutorial,
            Self::Keras => Initializer::GlorotUniform,
        };
        NetworkSpec::new(input)
            .with(Conv2d { bias: false, initializer, ..Conv2d::new(8, [3, 3]) })
            .with(MaxPool2d { ties, ..MaxPool2d::new([2, 2]) })
            .with(Flatten)
            .with(Dense { initializer, ..Dense::new(classes) })
    }
}
