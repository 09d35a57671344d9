//! The one place where a fast function meets an instruction set.
//!
//! Each fast operation is a [`Body`]: a struct of slices with one generic method. It is compiled once for every
//! [`Isa`], and [`dispatch`] picks the copy that the caller's [`Kernels`] name. Everything a body calls is
//! `#[inline(always)]`, for only what is inlined into [`avx2`] or [`avx512`] is compiled with its instructions.

use crate::Kernels;
use crate::body::eight::Eight;
use crate::kernels::Choice;

/// What the bodies ask of an instruction set.
pub(crate) trait Isa {
    /// Numbers in a vector register.
    const LANES: usize;

    /// Eight numbers.
    type Eight: Eight;

    /// `a · b + c`, in whichever way is fastest: the last bit may differ between instruction sets.
    fn mul_add(a: f32, b: f32, c: f32) -> f32;
}

/// Whatever the target's baseline offers.
pub(crate) struct Portable;

impl Isa for Portable {
    const LANES: usize = 4;

    type Eight = [f32; 8];

    /// Two roundings: without the instruction, `f32::mul_add` is a library call.
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}

/// 256-bit vectors and fused multiply-add.
#[cfg(target_arch = "x86_64")]
struct Avx2;

#[cfg(target_arch = "x86_64")]
impl Isa for Avx2 {
    const LANES: usize = 8;

    type Eight = std::arch::x86_64::__m256;

    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

/// 512-bit vectors, and twice as many registers.
#[cfg(target_arch = "x86_64")]
struct Avx512;

#[cfg(target_arch = "x86_64")]
impl Isa for Avx512 {
    const LANES: usize = 16;

    type Eight = std::arch::x86_64::__m256;

    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

/// One operation with its arguments, ready to run.
pub(crate) trait Body {
    /// Computes it with the instructions of `I`; implementations are `#[inline(always)]`.
    fn run<I: Isa>(self);
}

/// Runs `body` as compiled for `kernels`. The naive loops are another function, not another body: here they
/// count as portable.
pub(crate) fn dispatch(kernels: Kernels, body: impl Body) {
    match kernels.0 {
        Choice::Naive | Choice::Portable => body.run::<Portable>(),
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        // SAFETY: `Kernels::avx2` makes this value, and only on a processor that has AVX2 and FMA.
        Choice::Avx2 => unsafe { avx2(body) },
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        // SAFETY: `Kernels::avx512` makes this value, and only on a processor that has AVX-512 F, BW, DQ and VL.
        Choice::Avx512 => unsafe { avx512(body) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(body: impl Body) {
    body.run::<Avx2>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn avx512(body: impl Body) {
    body.run::<Avx512>();
}
