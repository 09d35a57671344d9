//! Small convolutional networks on the CPU: what a network is, how it is planned, trained, judged and saved.
//!
//! A [`NetworkSpec`] says what the network is. [`Network::new`] checks it and plans it: from there on shapes
//! fit, and a step can neither fail nor allocate. [`Parameters`] are one flat buffer with named parts, a
//! [`Workspace`] owns every other buffer of a training step.
//!
//! ```
//! use layers::{Conv2d, Dense, Draw, Flatten, Loss, MaxPool2d, Network, NetworkSpec, Optimizer, Sgd};
//! # use layers::ndarray::Array4;
//!
//! let spec = NetworkSpec::new([28, 28, 1])
//!     .with(Conv2d::new(8, [3, 3]))
//!     .with(MaxPool2d::new([2, 2]))
//!     .with(Flatten)
//!     .with(Dense::new(10));
//! assert_eq!(spec.to_string(), "28x28x1: conv 8 3x3, maxpool 2, dense 10");
//! let network = Network::new(&spec)?;
//! let mut parameters = network.initial_parameters(7);
//! let mut workspace = network.workspace(2)?;
//! let (x, labels) = (Array4::zeros((2, 28, 28, 1)), [3, 1]);
//!
//! let sgd = Optimizer::Sgd(Sgd { learning_rate: 0.1, ..Sgd::default() });
//! let mut moments = sgd.moments(network.parameter_count())?;
//! let (loss, draw) = (Loss::default(), Draw::default());
//! let before = network.gradients(&parameters, x.view(), &labels, &loss, draw, &mut workspace)?;
//! sgd.step(0.1, parameters.values_mut(), workspace.gradients(), &mut moments)?;
//! let after = network.gradients(&parameters, x.view(), &labels, &loss, draw, &mut workspace)?;
//! assert!(after.loss < before.loss);
//! # Ok::<(), layers::Error>(())
//! ```
//!
//! [`Trainer`] runs such steps over epochs of samples; [`Model`] and [`Checkpoint`] are files.
//!
//! Reading order: [`NetworkSpec`], one file a layer under `layer/`, `chain.rs` and `network.rs` with the forward and
//! backward passes, [`Trainer`].
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used)]

pub use tensor_ops::{self, Kernels, Padding, Ties, ndarray};

mod augment;
mod chain;
mod checkpoint;
mod error;
mod evaluate;
mod file;
mod fusion;
mod gradcheck;
mod initializer;
mod layer;
pub mod loss;
mod model;
mod network;
#[cfg(feature = "onnx")]
pub mod onnx;
mod optimizer;
mod parallel;
mod parameters;
mod random;
mod samples;
mod schedule;
mod shape;
mod spec;
mod summary;
mod text;
mod trace;
mod trainer;
pub mod weights;
mod winograd;
mod workspace;

pub use augment::{Augment, Augmentation};
pub use checkpoint::Checkpoint;
pub use error::{Error, Misfit, Result};
pub use evaluate::{Score, evaluate};
pub use gradcheck::{Gradcheck, GradcheckRow, gradcheck};
pub use initializer::Initializer;
pub use layer::*;
pub use loss::{CrossEntropy, Loss, Reduction};
pub use model::{Model, Normalization};
pub use network::{Network, Step, Update};
pub use optimizer::{Adam, Moments, Optimizer, RmsProp, Sgd, clip_norm};
pub use parameters::{Parameter, Parameters};
pub use samples::{Images, Samples, Subset};
pub use schedule::{Curve, Schedule};
pub use shape::Shape;
pub use spec::NetworkSpec;
pub use summary::{Summary, SummaryRow};
pub use trace::{GradCam, Gradients, Trace};
pub use trainer::{Average, Event, Progress, TrainConfig, TrainState, Trainer};
pub use workspace::{Activations, Workspace};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/tutorial.md")]
struct Tutorial;
