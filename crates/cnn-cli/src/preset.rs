//! The presets: one network, as the tutorial builds and trains it and as Keras does.

use clap::ValueEnum;
use layers::{Conv2d, Dense, Flatten, Initializer, MaxPool2d, NetworkSpec, Ties};
use serde::Serialize;

/// What both presets share.
pub const EPOCHS: usize = 3;
pub const BATCH_SIZE: usize = 1;
pub const LEARNING_RATE: f32 = 0.005;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// The tutorial's network, on the first 1,000 training and test images: normal initial weights, every one of
    /// equal maxima takes the gradient
    Tutorial,
    /// The same layers as Keras builds them, on all images: Glorot-uniform initial weights, the first of equal
    /// maxima takes the gradient
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

    pub fn spec(self, ties: Ties) -> NetworkSpec {
        let initializer = match self {
            Self::Tutorial => Initializer::Tutorial,
            Self::Keras => Initializer::GlorotUniform,
        };
        NetworkSpec::new([28, 28, 1])
            .with(Conv2d { bias: false, initializer, ..Conv2d::new(8, [3, 3]) })
            .with(MaxPool2d { ties, ..MaxPool2d::new([2, 2]) })
            .with(Flatten)
            .with(Dense { initializer, ..Dense::new(10) })
    }
}
