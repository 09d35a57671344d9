//! Eight filters in one register, or in two halves of one for two windows, with the few instructions that a loop over
//! an array does not become.
//!
//! Most bodies are loops over arrays, which the compiler vectorises. Where lanes choose between values, it falls back
//! to one lane at a time; there the instructions are named. They are only inlined into what `#[inline(always)]` brings
//! into a function that has them: no closure may stand between.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Eight filters at one window, or at two side by side.
///
/// What is given or returned for two windows has the second one ignored, or zeros, where there is [`WINDOWS`](Self::WINDOWS)
/// = 1.
pub(crate) trait Eights: Copy {
    const WINDOWS: usize;

    /// One of four places for each lane.
    type Places: Copy;

    /// A number for each filter of each window.
    fn load(windows: [&[f32; 8]; 2]) -> Self;
    /// A number in every lane.
    fn splat(value: f32) -> Self;
    /// A number for each window: those that `numbers` begin with.
    fn pixels(numbers: &[f32]) -> Self;
    /// The numbers of each window, `stride` apart. Of the last, what does not fit is left out.
    fn store(self, stride: usize, to: &mut [f32]);
    /// The sum over the windows.
    fn sum(self) -> [f32; 8];
    fn add(self, other: Self) -> Self;

    /// `self · b + c`.
    fn mul_add(self, b: Self, c: Self) -> Self;

    /// The larger of two numbers that are not NaN.
    fn max(self, other: Self) -> Self;

    /// For each lane the places whose value is `best`, as bits: of several the first alone if `first`. They are stored as
    /// [`store`](Self::store) does it.
    fn store_winners(values: [Self; 4], best: Self, first: bool, stride: usize, to: &mut [u8]);

    /// Each lane's gradient, 0 where no place takes it; and its place, where at most one does. Bits are taken for places
    /// column by column: 1, 4, 2, 8.
    fn taken(dy: [&[f32; 8]; 2], takes: [&[u8; 8]; 2]) -> (Self, Self::Places);

    /// The gradient that each place takes of each lane's.
    fn taken_by_all(dy: [&[f32; 8]; 2], takes: [&[u8; 8]; 2]) -> [Self; 4];

    /// For each lane the number at its place among the four of its window; `numbers` begin with those.
    fn pick(numbers: &[f32], places: Self::Places) -> Self;

    /// The numbers of both side by side.
    fn interleave(a: &[f32; 8], b: &[f32; 8], to: &mut [f32; 16]);
}

/// Writes eight values, or as many as fit: element by element, for around a call every register of a loop would go to
/// memory.
#[inline(always)]
fn put<T: Copy>(to: &mut [T], values: &[T; 8]) {
    if let Some(to) = to.first_chunk_mut() {
        *to = *values;
        return;
    }
    for l in 0..8 {
        if let Some(to) = to.get_mut(l) {
            *to = values[l];
        }
    }
}

/// Writes two times eight values, or as many as fit, `stride` apart.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn put_both<T: Copy>(to: &mut [T], values: &[T; 16], stride: usize) {
    if stride == 8
        && let Some(to) = to.first_chunk_mut()
    {
        *to = *values;
        return;
    }
    let (values, _) = values.as_chunks::<8>();
    put(to, &values[0]);
    put(&mut to[stride..], &values[1]);
}

impl Eights for [f32; 8] {
    const WINDOWS: usize = 1;
    type Places = [u32; 8];

    #[inline(always)]
    fn load([values, _]: [&[f32; 8]; 2]) -> Self {
        *values
    }

    #[inline(always)]
    fn splat(value: f32) -> Self {
        [value; 8]
    }

    #[inline(always)]
    fn pixels(numbers: &[f32]) -> Self {
        [numbers[0]; 8]
    }

    #[inline(always)]
    fn store(self, _: usize, to: &mut [f32]) {
        put(to, &self);
    }

    #[inline(always)]
    fn sum(self) -> [f32; 8] {
        self
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
    fn store_winners(values: [Self; 4], best: Self, first: bool, _: usize, to: &mut [u8]) {
        let mut takes = [0u8; 8];
        for l in 0..8 {
            for place in 0..4 {
                takes[l] |= u8::from(values[place][l] == best[l]) << place;
            }
            let lowest = takes[l] & takes[l].wrapping_neg();
            takes[l] = if first { lowest } else { takes[l] };
        }
        put(to, &takes);
    }

    #[inline(always)]
    fn taken([dy, _]: [&[f32; 8]; 2], [takes, _]: [&[u8; 8]; 2]) -> (Self, Self::Places) {
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
    fn taken_by_all([dy, _]: [&[f32; 8]; 2], [takes, _]: [&[u8; 8]; 2]) -> [Self; 4] {
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
    fn pick(numbers: &[f32], places: Self::Places) -> Self {
        let mut picked = [0.0; 8];
        for l in 0..8 {
            let (left, right) =
                if places[l] & 1 == 0 { (numbers[0], numbers[2]) } else { (numbers[1], numbers[3]) };
            picked[l] = if places[l] & 2 == 0 { left } else { right };
        }
        picked
    }

    #[inline(always)]
    fn interleave(a: &[f32; 8], b: &[f32; 8], to: &mut [f32; 16]) {
        for l in 0..8 {
            to[2 * l] = a[l];
            to[2 * l + 1] = b[l];
        }
    }
}

// SAFETY of all that follows: `Isa::Eights` is this type for `Avx2` and `Fma` alone, whose bodies run only on a processor
// that has AVX2 and FMA; what is loaded and stored is an array of the register's size.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
impl Eights for __m256 {
    const WINDOWS: usize = 1;
    type Places = __m256i;

    #[inline(always)]
    fn load([values, _]: [&[f32; 8]; 2]) -> Self {
        // SAFETY: only bodies that run with AVX2 and FMA come here.
        unsafe { _mm256_loadu_ps(values.as_ptr()) }
    }

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: only bodies that run with AVX2 and FMA come here.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    fn pixels(numbers: &[f32]) -> Self {
        Self::splat(numbers[0])
    }

    #[inline(always)]
    fn store(self, _: usize, to: &mut [f32]) {
        put(to, &self.sum());
    }

    #[inline(always)]
    fn sum(self) -> [f32; 8] {
        // SAFETY: only bodies that run with AVX2 and FMA come here.
        unsafe { std::mem::transmute(self) }
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
    fn store_winners(values: [Self; 4], best: Self, first: bool, _: usize, to: &mut [u8]) {
        // SAFETY: only bodies that run with AVX2 and FMA come here.
        unsafe {
            let mut bits = _mm256_setzero_si256();
            for place in 0..4 {
                let wins = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_EQ_OQ>(values[place], best));
                bits = _mm256_or_si256(bits, _mm256_and_si256(wins, _mm256_set1_epi32(1 << place)));
            }
            let (low, high) = (_mm256_castsi256_si128(bits), _mm256_extracti128_si256::<1>(bits));
            let bits = _mm_packs_epi32(low, high);
            let takes = lowest_bits(_mm_packs_epi16(bits, bits), first);
            put(to, &_mm_cvtsi128_si64(takes).to_le_bytes());
        }
    }

    #[inline(always)]
    fn taken([dy, _]: [&[f32; 8]; 2], [takes, _]: [&[u8; 8]; 2]) -> (Self, Self::Places) {
        // SAFETY: only bodies that run with AVX2 and FMA come here.
        unsafe {
            let bits = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(i64::from_le_bytes(*takes)));
            let none = _mm256_castsi256_ps(_mm256_cmpeq_epi32(bits, _mm256_setzero_si256()));
            let columns = _mm256_and_si256(bits, _mm256_set1_epi32(2));
            let rows = _mm256_or_si256(_mm256_srli_epi32::<3>(bits), _mm256_srli_epi32::<2>(bits));
            (_mm256_andnot_ps(none, Self::load([dy; 2])), _mm256_or_si256(rows, columns))
        }
    }

    #[inline(always)]
    fn taken_by_all([dy, _]: [&[f32; 8]; 2], [takes, _]: [&[u8; 8]; 2]) -> [Self; 4] {
        // SAFETY: only bodies that run with AVX2 and FMA come here.
        unsafe {
            let bits = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(i64::from_le_bytes(*takes)));
            let dy = Self::load([dy; 2]);
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
    fn pick(numbers: &[f32], places: Self::Places) -> Self {
        // SAFETY: only bodies that run with AVX2 and FMA come here.
        unsafe {
            let numbers: &[f32; 4] = numbers.first_chunk().expect("the slice holds four numbers");
            let four = _mm_loadu_ps(numbers.as_ptr());
            _mm256_permutevar_ps(_mm256_set_m128(four, four), places)
        }
    }

    #[inline(always)]
    fn interleave(a: &[f32; 8], b: &[f32; 8], to: &mut [f32; 16]) {
        let (a, b) = (Self::load([a; 2]), Self::load([b; 2]));
        let (front, back) = to.split_at_mut(8);
        // SAFETY: only bodies that run with AVX2 and FMA come here; each half of `to` is a register long.
        unsafe {
            let (outer, inner) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            _mm256_storeu_ps(front.as_mut_ptr(), _mm256_permute2f128_ps::<0x20>(outer, inner));
            _mm256_storeu_ps(back.as_mut_ptr(), _mm256_permute2f128_ps::<0x31>(outer, inner));
        }
    }
}

/// Of the bits of each byte the lowest, if `first`.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
#[inline(always)]
fn lowest_bits(bytes: __m128i, first: bool) -> __m128i {
    // SAFETY: these instructions are in x86-64's baseline.
    unsafe {
        let others = _mm_set1_epi8(if first { 0 } else { -1 });
        let lowest = _mm_or_si128(others, _mm_sub_epi8(_mm_setzero_si128(), bytes));
        _mm_and_si128(bytes, lowest)
    }
}

/// Lane 2i + w is filter i of window w.
// SAFETY of all that follows: `Isa::Eights` is this type for `Avx512` alone, whose bodies run only on a processor that has
// AVX-512 F, BW, DQ and VL.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
impl Eights for __m512 {
    const WINDOWS: usize = 2;
    type Places = __m512i;

    #[inline(always)]
    fn load([a, b]: [&[f32; 8]; 2]) -> Self {
        // SAFETY: only bodies that run with AVX-512 come here.
        unsafe {
            let (a, b) = (_mm256_loadu_ps(a.as_ptr()), _mm256_loadu_ps(b.as_ptr()));
            let order = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            _mm512_permutex2var_ps(_mm512_castps256_ps512(a), order, _mm512_castps256_ps512(b))
        }
    }

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: only bodies that run with AVX-512 come here.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn pixels(numbers: &[f32]) -> Self {
        let pair: [f32; 2] = *numbers.first_chunk().expect("the slice holds a pixel for each window");
        // SAFETY: only bodies that run with AVX-512 come here.
        unsafe { _mm512_castpd_ps(_mm512_set1_pd(std::mem::transmute::<[f32; 2], f64>(pair))) }
    }

    #[inline(always)]
    fn store(self, stride: usize, to: &mut [f32]) {
        // SAFETY: only bodies that run with AVX-512 come here.
        let windows: [f32; 16] = unsafe {
            let order = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
            std::mem::transmute(_mm512_permutexvar_ps(order, self))
        };
        put_both(to, &windows, stride);
    }

    #[inline(always)]
    fn sum(self) -> [f32; 8] {
        let mut windows = [0.0; 16];
        self.store(8, &mut windows);
        let mut sum = [0.0; 8];
        for l in 0..8 {
            sum[l] = windows[l] + windows[8 + l];
        }
        sum
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: only bodies that run with AVX-512 come here.
        unsafe { _mm512_add_ps(self, other) }
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        // SAFETY: only bodies that run with AVX-512 come here.
        unsafe { _mm512_fmadd_ps(self, b, c) }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: only bodies that run with AVX-512 come here.
        unsafe { _mm512_max_ps(self, other) }
    }

    #[inline(always)]
    fn store_winners(values: [Self; 4], best: Self, first: bool, stride: usize, to: &mut [u8]) {
        // SAFETY: only bodies that run with AVX-512 come here.
        unsafe {
            let mut takes = _mm_setzero_si128();
            for place in 0..4 {
                let wins = _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(values[place], best);
                takes = _mm_or_si128(takes, _mm_maskz_set1_epi8(wins, 1 << place));
            }
            let order = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
            let bytes = _mm_shuffle_epi8(lowest_bits(takes, first), order);
            put_both(to, &std::mem::transmute::<__m128i, [u8; 16]>(bytes), stride);
        }
    }

    #[inline(always)]
    fn taken(dy: [&[f32; 8]; 2], takes: [&[u8; 8]; 2]) -> (Self, Self::Places) {
        // SAFETY: only bodies that run with AVX-512 come here.
        unsafe {
            let bits = interleaved(takes);
            let dy = _mm512_maskz_mov_ps(_mm512_test_epi32_mask(bits, bits), Self::load(dy));
            let columns = _mm512_and_si512(bits, _mm512_set1_epi32(2));
            let rows = _mm512_or_si512(_mm512_srli_epi32::<3>(bits), _mm512_srli_epi32::<2>(bits));
            let second = _mm512_set1_epi64(4 << 32);
            (dy, _mm512_or_si512(_mm512_or_si512(rows, columns), second))
        }
    }

    #[inline(always)]
    fn taken_by_all(dy: [&[f32; 8]; 2], takes: [&[u8; 8]; 2]) -> [Self; 4] {
        // SAFETY: only bodies that run with AVX-512 come here.
        unsafe {
            let bits = interleaved(takes);
            let dy = Self::load(dy);
            let mut gradients = [dy; 4];
            for place in 0..4 {
                let takes = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(1 << place));
                gradients[place] = _mm512_maskz_mov_ps(takes, dy);
            }
            gradients
        }
    }

    #[inline(always)]
    fn pick(numbers: &[f32], places: Self::Places) -> Self {
        let numbers: &[f32; 8] = numbers.first_chunk().expect("the slice holds four numbers a window");
        // SAFETY: only bodies that run with AVX-512 come here.
        unsafe {
            let numbers = _mm256_loadu_ps(numbers.as_ptr());
            _mm512_permutexvar_ps(places, _mm512_castps256_ps512(numbers))
        }
    }

    #[inline(always)]
    fn interleave(a: &[f32; 8], b: &[f32; 8], to: &mut [f32; 16]) {
        // SAFETY: only bodies that run with AVX-512 come here.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), Self::load([a, b])) }
    }
}

/// The bytes of two windows, in the lanes of their filters.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
#[inline(always)]
fn interleaved([a, b]: [&[u8; 8]; 2]) -> __m512i {
    // SAFETY: only bodies that run with AVX-512 come here.
    unsafe {
        let a = _mm_cvtsi64_si128(i64::from_le_bytes(*a));
        let b = _mm_cvtsi64_si128(i64::from_le_bytes(*b));
        _mm512_cvtepu8_epi32(_mm_unpacklo_epi8(a, b))
    }
}
