//! Activation functions on slices.
//!
//! ```text
//! forward     for each element: y = f(x)
//! backward    for each element: dx = dy · f′(x), or from y where that is shorter
//! ```
//!
//! What was done to the naive loops, and why:
//!
//! 1. The choice of the function went outside the loop: each function has a loop of its own, which is vectorised
//!    because every branch in it is a selection. ReLU and leaky ReLU run as fast as memory does.
//! 2. The exponential, a library call, became arithmetic ([`expm1`]): a power of two times the Taylor polynomial
//!    of what is left. Sigmoid, tanh and the normal distribution are made from it.
//! 3. The error function became a polynomial times an exponential, which the derivative of GELU needs anyway
//!    ([`normal`]).

use crate::Activation;
use crate::dispatch::{Body, Isa};
use std::f32::consts::{LN_2, LOG2_E};

pub(crate) struct Forward<'a> {
    pub activation: Activation,
    pub x: &'a [f32],
    pub y: &'a mut [f32],
}

impl Body for Forward<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { activation, x, y } = self;
        match activation {
            Activation::Relu => map(x, y, |x| if x <= 0.0 { 0.0 } else { x }),
            Activation::LeakyRelu { slope } => map(x, y, |x| if x > 0.0 { x } else { slope * x }),
            Activation::Gelu => map(x, y, gelu::<I>),
            Activation::Sigmoid => map(x, y, sigmoid::<I>),
            Activation::Tanh => map(x, y, tanh::<I>),
        }
    }
}

pub(crate) struct Backward<'a> {
    pub activation: Activation,
    pub x: &'a [f32],
    pub y: &'a [f32],
    pub dy: &'a [f32],
    pub dx: &'a mut [f32],
}

impl Body for Backward<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { activation, x, y, dy, dx } = self;
        match activation {
            Activation::Relu => map2(x, dy, dx, |x, dy| if x <= 0.0 { 0.0 } else { dy }),
            Activation::LeakyRelu { slope } => {
                map2(x, dy, dx, |x, dy| if x > 0.0 { dy } else { slope * dy });
            }
            Activation::Gelu => map2(x, dy, dx, |x, dy| dy * gelu_slope::<I>(x)),
            Activation::Sigmoid => map2(y, dy, dx, |y, dy| dy * y * (1.0 - y)),
            Activation::Tanh => map2(y, dy, dx, |y, dy| dy * (1.0 - y * y)),
        }
    }
}

#[inline(always)]
fn map(x: &[f32], y: &mut [f32], f: impl Fn(f32) -> f32) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = f(x);
    }
}

#[inline(always)]
fn map2(a: &[f32], b: &[f32], y: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    for (y, (&a, &b)) in y.iter_mut().zip(a.iter().zip(b)) {
        *y = f(a, b);
    }
}

#[inline(always)]
fn gelu<I: Isa>(x: f32) -> f32 {
    x * normal::<I>(x).0
}

#[inline(always)]
fn gelu_slope<I: Isa>(x: f32) -> f32 {
    /// `1 / √2π`.
    const DENSITY: f32 = 0.398_942_3;
    let (cdf, bell) = normal::<I>(x);
    I::mul_add(x * DENSITY, bell, cdf)
}

/// `Φ(x)`, the distribution function of the standard normal, and `exp(−x²/2)`.
///
/// With `u = |x|` and `t = 1 / (1 + 0.3 u)`, the tail `Φ(−u)` is `exp(−u²/2) · t · P(1 − t)`. `P` is the polynomial
/// of degree 7 that is ½ at 0, as `Φ` is, and has the smallest largest relative error over `u` up to 14.5, where
/// the tail leaves `f32`; Remez's algorithm, in 40 digits, puts that error at 1.7e-7.
#[inline(always)]
fn normal<I: Isa>(x: f32) -> (f32, f32) {
    const P: [f32; 8] = [
        0.5,
        -0.829_805_14,
        0.618_161_2,
        -0.081_901_14,
        -0.131_500_6,
        -0.011_921_758,
        0.092_114_89,
        -0.035_515_81,
    ];
    let u = x.abs();
    let t = 1.0 / (1.0 + 0.3 * u);
    let bell = exp::<I>(-0.5 * u * u);
    let tail = bell * t * polynomial::<I, 8>(P, 1.0 - t);
    (if x > 0.0 { 1.0 - tail } else { tail }, bell)
}

/// `1 / (1 + exp(−x))`, with an exponential that cannot overflow.
#[inline(always)]
fn sigmoid<I: Isa>(x: f32) -> f32 {
    let e = exp::<I>(-x.abs());
    (if x > 0.0 { 1.0 } else { e }) / (1.0 + e)
}

/// `tanh |x| = −m / (2 + m)` with `m = exp(−2|x|) − 1`, exact to the last places near 0 too.
#[inline(always)]
fn tanh<I: Isa>(x: f32) -> f32 {
    let (p, power) = expm1::<I>(-2.0 * x.abs());
    let m = I::mul_add(power, p, power - 1.0);
    (-m / (2.0 + m)).copysign(x)
}

/// `exp(x)` for `x ≤ 0`.
#[inline(always)]
fn exp<I: Isa>(x: f32) -> f32 {
    let (p, power) = expm1::<I>(x);
    I::mul_add(power, p, power)
}

/// `(p, 2ⁿ)` with `exp(x) = 2ⁿ · (1 + p)` for `x ≤ 0`: `n` is the integer nearest to `x / ln 2`, and
/// `p = exp(x − n ln 2) − 1` its Taylor polynomial of degree 7. Below the smallest normal number, exp(x) is 0.
#[inline(always)]
fn expm1<I: Isa>(x: f32) -> (f32, f32) {
    /// ln 2⁻¹²⁶, where normal numbers end.
    const SMALLEST: f32 = -126.0 * LN_2;
    /// Added to a small number it leaves the nearest integer in the low bits of the mantissa.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 to so few bits that its multiples are exact, and the rest.
    const LN_2_HIGH: f32 = 355.0 / 512.0;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    /// `1 / k!` from `k = 2` on.
    const TAYLOR: [f32; 6] = [1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0];

    let inside = if x < SMALLEST { SMALLEST } else { x };
    let rounded = I::mul_add(inside, LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = I::mul_add(n, -LN_2_LOW, I::mul_add(n, -LN_2_HIGH, inside));
    let p = I::mul_add(r * r, polynomial::<I, 6>(TAYLOR, r), r);
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    let power = f32::from_bits(exponent << 23);
    (p, if x < SMALLEST { 0.0 } else { power })
}

/// `Σ cₖ · xᵏ`.
#[inline(always)]
fn polynomial<I: Isa, const N: usize>(coefficients: [f32; N], x: f32) -> f32 {
    let mut sum = coefficients[N - 1];
    for k in (0..N - 1).rev() {
        sum = I::mul_add(sum, x, coefficients[k]);
    }
    sum
}
