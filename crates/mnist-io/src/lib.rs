#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used)]

#[cfg(feature = "zip")]
pub mod archive;
pub mod catalog;
mod dataset;
#[cfg(feature = "download")]
pub mod download;
mod error;
mod gunzip;
pub mod idx;
mod normalization;
mod order;
#[cfg(feature = "images")]
pub mod pictures;
pub mod sample;
#[cfg(any(feature = "download", feature = "images"))]
mod sync;

pub use dataset::{Dataset, Split};
pub use error::Error;
pub use normalization::Normalization;

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
