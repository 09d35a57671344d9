//! Eight numbers in one register, with the few instructions that a loop over an array does not become.
//!
//! Most bodies are loops over arrays, which the compiler vectorises. Where lanes choose between values, it falls back
//! to one lane at a time; there the instructions are named. They are only inlined into what `#[inline(always)]` brings
//! into a function that has them: no closure may stand between.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Eight lanes.
pub(crate) trait Eight: Copy {
    /// One of four places for each lane.
    type Places: Copy;

    fn load(values: &[f32; 8]) -> Self;
    fn store(self, to: &mut [f32; 8]);
    fn splat(value: f32) -> Self;
    fn add(self, other: Self) -> Self;

    /// `self · b + c`.
    fn mul_add(self, b: Self, c: Self) -> Self;

    /// The larger of two numbers that are not NaN.
    fn max(self, other: Self) -> Self;

    /// For each lane the places whose value is `best`, as bits: of several the first alone if `first`, and none if
    /// `relu` and the best is not positive.
    fn winners(values: [Self; 4], best: Self, first: bool, relu: bool) -> [u8; 8];

    /// Each lane's gradient, 0 where no place takes it; and its place, where at most one does. Bits are taken for places
    /// column by column: 1, 4, 2, 8.
    fn taken(dy: &[f32; 8], takes: &[u8; 8]) -> (Self, Self::Places);

    /// The gradient that each place takes of each lane's.
    fn taken_by_all(dy: &[f32; 8], takes: &[u8; 8]) -> [Self; 4];

    /// For each lane the number at its place.
    fn pick(numbers: &[f32; 4], places: Self::Places) -> Self;
}

impl Eight for [f32; 8] {
    type Places = [u32; 8];

    #[inline(always)]
    fn load(values: &[f32; 8]) -> Self {
        *values
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; 8]) {
        *to = self;
    }

    #[inline(always)]
    fn splat(value: f32) -> Self {
        [value; 8]
    }

    #[inline(always)]
    fn add(mut self, other: Self) -> Self {
        for l in 0..8 {
            self[l] += other[l];
        }
        self
    }

    #[inline(always)]
    fn mul_add(self, b: Self, mut c: Self) -> Self {
        for l in 0..8 {
            c[l] += self[l] * b[l];
        }
        c
    }

    #[inline(always)]
    fn max(mut self, other: Self) -> Self {
        for l in 0..8 {
            self[l] = if self[l] > other[l] { self[l] } else { other[l] };
        }
        self
    }

    #[inline(always)]
    fn winners(values: [Self; 4], best: Self, first: bool, relu: bool) -> [u8; 8] {
        let mut takes = [0u8; 8];
        for l in 0..8 {
            for place in 0..4 {
                takes[l] |= u8::from(values[place][l] == best[l]) << place;
            }
            let lowest = takes[l] & takes[l].wrapping_neg();
            takes[l] = if first { lowest } else { takes[l] };
            takes[l] = if relu & (best[l] <= 0.0) { 0 } else { takes[l] };
        }
        takes
    }

    #[inline(always)]
    fn taken(dy: &[f32; 8], takes: &[u8; 8]) -> (Self, Self::Places) {
        let (mut gradient, mut places) = ([0.0; 8], [0; 8]);
        for l in 0..8 {
            let bits = u32::from(takes[l]);
            let mask = if bits == 0 { 0 } else { u32::MAX };
            gradient[l] = f32::from_bits(dy[l].to_bits() & mask);
            places[l] = (bits >> 3) | (bits >> 2) | (bits & 2);
        }
        (gradient, places)
    }

    #[inline(always)]
    fn taken_by_all(dy: &[f32; 8], takes: &[u8; 8]) -> [Self; 4] {
        let mut gradients = [[0.0; 8]; 4];
        for place in 0..4 {
            for l in 0..8 {
                let mask = if takes[l] & (1 << place) == 0 { 0 } else { u32::MAX };
                gradients[place][l] = f32::from_bits(dy[l].to_bits() & mask);
            }
        }
        gradients
    }

    #[inline(always)]
    fn pick(numbers: &[f32; 4], places: Self::Places) -> Self {
        let mut picked = [0.0; 8];
        for l in 0..8 {
            let (left, right) =
                if places[l] & 1 == 0 { (numbers[0], numbers[2]) } else { (numbers[1], numbers[3]) };
            picked[l] = if places[l] & 2 == 0 { left } else { right };
        }
        picked
    }
}

// SAFETY of all that follows: `Isa::Eight` is this type for `Avx2` and `Avx512` alone, whose bodies run only on a
// processor that has AVX2 and FMA; what is loaded and stored is an array of the register's size.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
impl Eight for __m256 {
    type Places = __m256i;

    #[inline(always)]
    fn load(values: &[f32; 8]) -> Self {
        // SAFETY: only bodies that run with AVX2 and FMA come here.
        unsafe { _mm256_loadu_ps(values.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; 8]) {
        // SAFETY: only bodies that run with AVX2 and FMA come here.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), self) }
    }

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: only bodies that run with AVX2 and FMA come here.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: only bodies that run with AVX2 and FMA come here.
        unsafe { _mm256_add_ps(self, other) }
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        // SAFETY: only bodies that run with AVX2 and FMA come here.
        unsafe { _mm256_fmadd_ps(self, b, c) }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: only bodies that run with AVX2 and FMA come here.
        unsafe { _mm256_max_ps(self, other) }
    }

    #[inline(always)]
    fn winners(values: [Self; 4], best: Self, first: bool, relu: bool) -> [u8; 8] {
        // SAFETY: only bodies that run with AVX2 and FMA come here.
        unsafe {
            let mut wins = [_mm256_setzero_si256(); 4];
            for place in 0..4 {
                wins[place] = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_EQ_OQ>(values[place], best));
            }
            // In each half, a byte for each place and lane: four lanes of the first place, of the second …
            let front = _mm256_packs_epi32(wins[0], wins[1]);
            let all = _mm256_packs_epi16(front, _mm256_packs_epi32(wins[2], wins[3]));
            let [a, b, c, d] = [0x0101_0101, 0x0202_0202, 0x0404_0404, 0x0808_0808];
            let bits = _mm256_and_si256(all, _mm256_setr_epi32(a, b, c, d, a, b, c, d));
            let pairs = _mm256_or_si256(bits, _mm256_srli_si256::<8>(bits));
            let mut takes = _mm256_or_si256(pairs, _mm256_srli_si256::<4>(pairs));
            if first {
                takes = _mm256_and_si256(takes, _mm256_sub_epi8(_mm256_setzero_si256(), takes));
            }
            let (low, high) = (_mm256_castsi256_si128(takes), _mm256_extracti128_si256::<1>(takes));
            let mut takes = _mm_unpacklo_epi32(low, high);
            if relu {
                let on = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_GT_OQ>(best, _mm256_setzero_ps()));
                let on = _mm_packs_epi32(_mm256_castsi256_si128(on), _mm256_extracti128_si256::<1>(on));
                takes = _mm_and_si128(takes, _mm_packs_epi16(on, on));
            }
            _mm_cvtsi128_si64(takes).to_le_bytes()
        }
    }

    #[inline(always)]
    fn taken(dy: &[f32; 8], takes: &[u8; 8]) -> (Self, Self::Places) {
        // SAFETY: only bodies that run with AVX2 and FMA come here.
        unsafe {
            let bits = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(i64::from_le_bytes(*takes)));
            let none = _mm256_castsi256_ps(_mm256_cmpeq_epi32(bits, _mm256_setzero_si256()));
            let columns = _mm256_and_si256(bits, _mm256_set1_epi32(2));
            let rows = _mm256_or_si256(_mm256_srli_epi32::<3>(bits), _mm256_srli_epi32::<2>(bits));
            (_mm256_andnot_ps(none, Self::load(dy)), _mm256_or_si256(rows, columns))
        }
    }

    #[inline(always)]
    fn taken_by_all(dy: &[f32; 8], takes: &[u8; 8]) -> [Self; 4] {
        // SAFETY: only bodies that run with AVX2 and FMA come here.
        unsafe {
            let bits = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(i64::from_le_bytes(*takes)));
            let dy = Self::load(dy);
            let mut gradients = [dy; 4];
            for place in 0..4 {
                let bit = _mm256_set1_epi32(1 << place);
                let takes = _mm256_cmpeq_epi32(_mm256_and_si256(bits, bit), bit);
                gradients[place] = _mm256_and_ps(_mm256_castsi256_ps(takes), dy);
            }
            gradients
        }
    }

    #[inline(always)]
    fn pick(numbers: &[f32; 4], places: Self::Places) -> Self {
        // SAFETY: only bodies that run with AVX2 and FMA come here.
        unsafe {
            let four = _mm_loadu_ps(numbers.as_ptr());
            _mm256_permutevar_ps(_mm256_set_m128(four, four), places)
        }
    }
}
