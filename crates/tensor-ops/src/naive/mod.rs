//! Every operation as plain index loops, generic over `f32` and `f64`: the reader's first stop and every test's
//! oracle.
//!
//! The arguments are those of the fast modules without the [`Kernels`](crate::Kernels), so one can take the
//! other's place. Outputs are overwritten, never added to. Nothing here is clever.

pub mod activation;
pub mod batch_norm;
pub mod conv2d;
pub mod conv_pool2d;
pub mod dense;
mod float;
pub mod pool2d;
pub mod softmax;
pub mod winograd;
