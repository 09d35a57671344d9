//! Between a generic float and `f64`.

use ndarray::NdFloat;

/// A float as `f64`.
pub(super) fn wide<T: NdFloat>(value: T) -> f64 {
    value.to_f64().expect("every float has a place in f64")
}

/// An `f64` as `T`, rounded where `T` is narrower.
pub(super) fn narrow<T: NdFloat>(value: f64) -> T {
    T::from(value).expect("every f64 has a nearest float")
}
