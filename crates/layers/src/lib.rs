//! Small convolutional networks on the CPU: what a network is, how it is planned, trained, judged and saved.
//!
//! A [`NetworkSpec`] says what the network is. [`Network::new`] checks it and plans it: from there on shapes
//! fit, and a step can neither fail nor allocate. [`Parameters`] are one flat buffer with named parts, a
//! [`Workspace`] owns every other buffer of a training step.
//!
//! ```
//! use layers::{Conv2d, Dense, Flatten, MaxPool2d, Network, NetworkSpec, Sgd};
//! use ndarray::Array4;
//! # use layers::ndarray;
//!
//! let spec = NetworkSpec::new([28, 28, 1])
//!     .with(Conv2d::new(8, [3, 3]))
//!     .with(MaxPool2d::new([2, 2]))
//!     .with(Flatten)
//!     .with(Dense::new(10));
//! let network = Network::new(&spec)?;
//! let mut parameters = network.initial_parameters(7);
//! let mut workspace = network.workspace(2)?;
//! let (x, labels) = (Array4::zeros((2, 28, 28, 1)), [3, 1]);
//! let sgd = Sgd { learning_rate: 0.1 };
//! let before = network.train_step(&mut parameters, &sgd, x.view(), &labels, &mut workspace)?;
//! let after = network.train_step(&mut parameters, &sgd, x.view(), &labels, &mut workspace)?;
//! assert!(after.loss < before.loss);
//! # Ok::<(), layers::Error>(())
//! ```
//!
//! Reading order: [`NetworkSpec`], one file a layer under `layer/`, `network.rs` with the forward and backward
//! passes, [`train`], [`Model`].
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used)]

pub use tensor_ops::{self, Kernels, Padding, Ties, ndarray};

mod error;
mod initializer;
mod layer;
mod model;
mod network;
mod optimizer;
mod parallel;
mod parameters;
mod random;
mod shape;
mod spec;
mod train;
mod workspace;

pub use error::{Error, Misfit, Result};
pub use initializer::Initializer;
pub use layer::{AvgPool2d, Conv2d, Dense, Flatten, Layer, MaxPool2d, MinPool2d};
pub use model::{Model, Normalization};
pub use network::{Network, Step};
pub use optimizer::Sgd;
pub use parameters::{Parameter, Parameters};
pub use shape::Shape;
pub use spec::NetworkSpec;
pub use train::{Event, Images, Samples, Score, TrainConfig, evaluate, train};
pub use workspace::{Activations, Workspace};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
