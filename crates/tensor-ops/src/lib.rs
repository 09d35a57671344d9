//! The operations of a small convolutional network: convolution, pooling, dense layers, activations, batch
//! normalisation, softmax and cross-entropy, each with its gradients; and a convolution with its ReLU and max-pool as one.
//!
//! Every operation is a pure function on buffers the caller owns. A *geometry* ([`Conv2dGeometry`],
//! [`Pool2dGeometry`]) is computed and checked once, apart from the loops; after that a call only compares
//! shapes, and allocates nothing.
//!
//! Each operation exists twice, with the same arguments:
//!
//! * [`naive`]: plain index loops for any float, complete and readable. Start reading there; every test
//!   measures the fast version against it.
//! * the modules beside it ([`conv2d`], [`pool2d`], [`dense`], [`softmax`]): the same for `f32`, fast. Their
//!   first argument, [`Kernels`], says which compiled body runs.
//!
//! # Layout
//!
//! Activations are NHWC (sample, row, column, channel), convolution weights HWIO (kernel row, kernel column,
//! input channel within the group, output channel), dense weights (input, output). The fast functions want
//! contiguous row-major views; the naive ones take any strides.
//!
//! ```
//! use tensor_ops::ndarray::{Array4, arr1};
//! use tensor_ops::{Conv2dConfig, Conv2dGeometry, Kernels, conv2d};
//!
//! // One 5×5 grey image, two 3×3 filters: a 3×3 map of two channels.
//! let geometry = Conv2dGeometry::new([5, 5, 1], 2, &Conv2dConfig::new([3, 3]))?;
//! let x = Array4::<f32>::ones((1, 5, 5, 1));
//! let weight = Array4::<f32>::ones(geometry.weight_shape());
//! let mut y = Array4::<f32>::zeros(geometry.output_shape(1));
//! let bias = arr1(&[0.0, 1.0]);
//! let mut scratch = vec![0.0; geometry.forward_scratch()];
//! conv2d::forward(Kernels::detect(), &geometry, x.view(), weight.view(), Some(bias.view()), y.view_mut(), &mut scratch)?;
//! assert_eq!((y[[0, 1, 1, 0]], y[[0, 1, 1, 1]]), (9.0, 10.0));
//! # Ok::<(), tensor_ops::Error>(())
//! ```

#![warn(clippy::unwrap_used)]

pub use ndarray;

pub mod activation;
pub mod batch_norm;
mod body;
pub mod conv2d;
pub mod conv_pool2d;
pub mod dense;
mod dispatch;
mod error;
mod geometry;
mod kernels;
pub mod naive;
pub mod peak;
pub mod pool2d;
pub mod softmax;
mod view;
pub mod winograd;

pub use activation::Activation;
pub use conv_pool2d::{ConvPool2d, ConvPool2dGeometry};
pub use error::Error;
pub use geometry::{Conv2dConfig, Conv2dGeometry, Padding, Pool2dConfig, Pool2dGeometry, Window};
pub use kernels::Kernels;
pub use pool2d::{Pooling, Ties};
pub use winograd::WinogradGeometry;

/// The README's program, compiled and run with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
