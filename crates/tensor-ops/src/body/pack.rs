//! Moves some of sixteen numbers to the front, with their indices: see [`Isa::pack`](crate::dispatch::Isa::pack).

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// One number after the other, without a branch.
#[inline(always)]
pub(crate) fn portable(
    values: &[f32; 16],
    flags: &[u8; 16],
    flag: u8,
    first: u32,
    packed: [&mut [f32; 16]; 2],
) -> usize {
    let [indices, numbers] = packed;
    let mut count = 0;
    for l in 0..16 {
        indices[count] = f32::from_bits(first + l as u32);
        numbers[count] = values[l];
        count += usize::from((values[l] != 0.0) & (flags[l] & flag != 0));
    }
    count
}

/// Eight at a time: a table has the order for each choice.
///
/// # Safety
/// The processor has AVX2.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
#[inline(always)]
pub(crate) unsafe fn avx2(
    values: &[f32; 16],
    flags: &[u8; 16],
    flag: u8,
    first: u32,
    packed: [&mut [f32; 16]; 2],
) -> usize {
    let [indices, numbers] = packed;
    // SAFETY: loads and stores are unaligned and stay inside the arrays: the second half is stored at most eight
    // places in.
    unsafe {
        let flags = _mm_and_si128(_mm_loadu_si128(flags.as_ptr().cast()), _mm_set1_epi8(flag as i8));
        let flagged = !_mm_movemask_epi8(_mm_cmpeq_epi8(flags, _mm_setzero_si128())) as usize;
        let mut count = 0;
        for half in 0..2 {
            let values = _mm256_loadu_ps(values.as_ptr().add(8 * half));
            let alive = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(values, _mm256_setzero_ps()));
            let keep = flagged >> (8 * half) & alive as usize & 0xff;
            let order = _mm256_cvtepu8_epi32(_mm_loadl_epi64(ORDERS[keep].as_ptr().cast()));
            let at = _mm256_add_epi32(order, _mm256_set1_epi32(first as i32 + 8 * half as i32));
            _mm256_storeu_si256(indices.as_mut_ptr().add(count).cast(), at);
            _mm256_storeu_ps(numbers.as_mut_ptr().add(count), _mm256_permutevar8x32_ps(values, order));
            count += keep.count_ones() as usize;
        }
        count
    }
}

/// All at once.
///
/// # Safety
/// The processor has AVX-512 F, BW and VL.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
#[inline(always)]
pub(crate) unsafe fn avx512(
    values: &[f32; 16],
    flags: &[u8; 16],
    flag: u8,
    first: u32,
    packed: [&mut [f32; 16]; 2],
) -> usize {
    let [indices, numbers] = packed;
    // SAFETY: loads and stores are unaligned and of whole arrays.
    unsafe {
        let flags = _mm_loadu_si128(flags.as_ptr().cast());
        let values = _mm512_loadu_ps(values.as_ptr());
        let keep = _mm_test_epi8_mask(flags, _mm_set1_epi8(flag as i8))
            & _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(values, _mm512_setzero_ps());
        let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let at = _mm512_add_epi32(lanes, _mm512_set1_epi32(first as i32));
        _mm512_storeu_ps(indices.as_mut_ptr(), _mm512_castsi512_ps(_mm512_maskz_compress_epi32(keep, at)));
        _mm512_storeu_ps(numbers.as_mut_ptr(), _mm512_maskz_compress_ps(keep, values));
        keep.count_ones() as usize
    }
}

/// For each choice of eight lanes, the chosen ones in their order.
#[cfg(target_arch = "x86_64")]
static ORDERS: [[u8; 8]; 256] = {
    let mut orders = [[0; 8]; 256];
    let mut keep = 0;
    while keep < 256 {
        let (mut lane, mut count) = (0, 0);
        while lane < 8 {
            if keep >> lane & 1 == 1 {
                orders[keep][count] = lane as u8;
                count += 1;
            }
            lane += 1;
        }
        keep += 1;
    }
    orders
};
