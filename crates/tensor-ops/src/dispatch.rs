//! The one place where a fast function meets an instruction set.
//!
//! Each fast operation is a [`Body`]: a struct of slices with one generic method. It is compiled once for every
//! [`Isa`], and [`dispatch`] picks the copy that the caller's [`Kernels`] name. Everything a body calls is
//! `#[inline(always)]`, for only what is inlined into [`with_avx2`] or [`with_avx512`] is compiled with its instructions.

use crate::Kernels;
use crate::body::eight::Eights;
use crate::body::pack;
use crate::kernels::Choice;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64;

/// What the bodies ask of an instruction set.
pub(crate) trait Isa {
    /// Numbers in a vector register.
    const LANES: usize;

    /// `a · b + c`, in whichever way is fastest: the last bit may differ between instruction sets.
    fn mul_add(a: f32, b: f32, c: f32) -> f32;

    /// A vector register. Loops over arrays of numbers are left to the compiler; where it does not find the vectors in
    /// them, a body names them.
    type Vector: Copy;

    /// Eight numbers or twice as many, with a few instructions more.
    type Eights: Eights;

    /// The same instructions on registers half as long, or on the shortest.
    type Half: Isa;

    /// The first numbers of a slice.
    fn load(from: &[f32]) -> Self::Vector;

    /// `vector` to the front of a slice.
    fn store(vector: Self::Vector, to: &mut [f32]);

    /// One number in every lane.
    fn splat(number: f32) -> Self::Vector;

    /// [`Isa::mul_add`] lane by lane.
    fn mul_add_lanes(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// The bits that are set in both.
    fn and(a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// Of sixteen numbers, those that are not 0 and whose `flags` have the bit `flag`: they are moved to the front of
    /// `packed[1]`, and their indices, counted from `first`, to that of `packed[0]` as bits. What follows them there
    /// is arbitrary. How many they are.
    fn pack(values: &[f32; 16], flags: &[u8; 16], flag: u8, first: u32, packed: [&mut [f32; 16]; 2])
    -> usize;
}

/// Whatever the target's baseline offers.
pub(crate) struct Portable;

impl Isa for Portable {
    const LANES: usize = 4;

    /// Two roundings: without the instruction, `f32::mul_add` is a library call.
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }

    type Vector = [f32; 4];
    type Eights = [f32; 8];
    type Half = Self;

    #[inline(always)]
    fn load(from: &[f32]) -> [f32; 4] {
        [from[0], from[1], from[2], from[3]]
    }

    #[inline(always)]
    fn store(vector: [f32; 4], to: &mut [f32]) {
        to[..4].copy_from_slice(&vector);
    }

    #[inline(always)]
    fn splat(number: f32) -> [f32; 4] {
        [number; 4]
    }

    #[inline(always)]
    fn mul_add_lanes(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|l| a[l] * b[l] + c[l])
    }

    #[inline(always)]
    fn and(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|l| f32::from_bits(a[l].to_bits() & b[l].to_bits()))
    }

    #[inline(always)]
    fn pack(
        values: &[f32; 16],
        flags: &[u8; 16],
        flag: u8,
        first: u32,
        packed: [&mut [f32; 16]; 2],
    ) -> usize {
        pack::portable(values, flags, flag, first, packed)
    }
}

/// Makes an instruction set of x86 from its registers and the intrinsics for them.
#[cfg(target_arch = "x86_64")]
macro_rules! x86 {
    ($(#[$doc:meta])* $name:ident: $lanes:literal in $vector:ident, eights in $eights:ident, half $half:ident,
     $splat:ident, $mul_add:ident, $and:ident, $pack:ident) => {
        $(#[$doc])*
        struct $name;

        // SAFETY, of each block: a body is compiled for this type in `with_avx2` or `with_avx512` alone, which run where the
        // processor has its instructions; the arrays are as long as the vectors.
        #[allow(unsafe_code)]
        impl Isa for $name {
            const LANES: usize = $lanes;

            #[inline(always)]
            fn mul_add(a: f32, b: f32, c: f32) -> f32 {
                a.mul_add(b, c)
            }

            type Vector = x86_64::$vector;
            type Eights = x86_64::$eights;
            type Half = $half;

            #[inline(always)]
            fn load(from: &[f32]) -> Self::Vector {
                let from: [f32; $lanes] = *from.first_chunk().expect("the slice holds a vector");
                // SAFETY: only bodies that run with these instructions come here.
                unsafe { std::mem::transmute(from) }
            }

            #[inline(always)]
            fn store(vector: Self::Vector, to: &mut [f32]) {
                // SAFETY: only bodies that run with these instructions come here.
                let vector: [f32; $lanes] = unsafe { std::mem::transmute(vector) };
                *to.first_chunk_mut().expect("the slice holds a vector") = vector;
            }

            #[inline(always)]
            fn splat(number: f32) -> Self::Vector {
                // SAFETY: only bodies that run with these instructions come here.
                unsafe { x86_64::$splat(number) }
            }

            #[inline(always)]
            fn mul_add_lanes(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
                // SAFETY: only bodies that run with these instructions come here.
                unsafe { x86_64::$mul_add(a, b, c) }
            }

            #[inline(always)]
            fn and(a: Self::Vector, b: Self::Vector) -> Self::Vector {
                // SAFETY: only bodies that run with these instructions come here.
                unsafe { x86_64::$and(a, b) }
            }

            #[inline(always)]
            fn pack(
                values: &[f32; 16],
                flags: &[u8; 16],
                flag: u8,
                first: u32,
                packed: [&mut [f32; 16]; 2],
            ) -> usize {
                // SAFETY: only bodies that run with these instructions come here.
                unsafe { pack::$pack(values, flags, flag, first, packed) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
x86! {
    /// 512-bit vectors, and twice as many registers.
    Avx512: 16 in __m512, eights in __m512, half Avx2, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_and_ps,
    avx512
}

#[cfg(target_arch = "x86_64")]
x86! {
    /// 256-bit vectors and fused multiply-add.
    Avx2: 8 in __m256, eights in __m256, half Fma, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_and_ps,
    avx2
}

#[cfg(target_arch = "x86_64")]
x86! {
    /// The same on 128 bits.
    Fma: 4 in __m128, eights in __m256, half Fma, _mm_set1_ps, _mm_fmadd_ps, _mm_and_ps,
    avx2
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
        Choice::Avx2 => unsafe { with_avx2::avx2(body) },
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        // SAFETY: `Kernels::avx512` makes this value, and only on a processor that has AVX-512 F, BW, DQ and VL.
        Choice::Avx512 => unsafe { with_avx512::avx512(body) },
    }
}

// Modules of their own: the compiler makes code for several of them at once.
#[cfg(target_arch = "x86_64")]
mod with_avx2 {
    use super::{Avx2, Body};

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2(body: impl Body) {
        body.run::<Avx2>();
    }
}

#[cfg(target_arch = "x86_64")]
mod with_avx512 {
    use super::{Avx512, Body};

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn avx512(body: impl Body) {
        body.run::<Avx512>();
    }
}
