//! What the tests share: numbers from a seed, and comparison with a reference that knows its rounding.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod golden;

use ndarray::{Array, ArrayView, Dimension, ShapeBuilder};

/// A small generator (SplitMix64): the same numbers for the same seed, everywhere.
pub struct Numbers(pub u64);

impl Numbers {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An array of numbers in −1 … 1.
    pub fn array<Sh: ShapeBuilder>(&mut self, shape: Sh) -> Array<f32, Sh::Dim> {
        Array::from_shape_simple_fn(shape, || (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0)
    }
}

/// An output that shows which of its elements were not written.
pub fn poison<Sh: ShapeBuilder>(shape: Sh) -> Array<f32, Sh::Dim> {
    Array::from_elem(shape, f32::NAN)
}

/// Scratch that shows what is read of it before it is written.
pub fn scratch(len: usize) -> Vec<f32> {
    vec![f32::NAN; len]
}

/// The same numbers as `f64`.
pub fn wide<D: Dimension>(array: &Array<f32, D>) -> Array<f64, D> {
    array.mapv(f64::from)
}

/// Fails where `found` lies further from `expected` than 1e-5 of `magnitude`, the sum of the absolute values of
/// what was added up. A NaN has to be a NaN.
pub fn check_near<D: Dimension>(
    what: &str,
    found: &Array<f32, D>,
    expected: &Array<f64, D>,
    magnitude: &Array<f64, D>,
) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    for ((at, &e), (&f, &m)) in
        expected.view().into_dyn().indexed_iter().zip(found.iter().zip(magnitude.iter()))
    {
        let near = (f64::from(f) - e).abs() <= 1e-5 * m || (f.is_nan() && e.is_nan());
        assert!(near, "{what}: at {at:?} expected {e}, found {f}");
    }
}

/// `⟨a, b⟩` in `f64`.
pub fn inner<D: Dimension>(a: ArrayView<f32, D>, b: ArrayView<f32, D>) -> f64 {
    a.iter().zip(b.iter()).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}
