//! Eight 64-bit numbers in one AVX-512 register.

use core::arch::x86_64::{
    __m512i, _mm_cvtsi64_si128, _mm512_abs_epi64, _mm512_add_epi64, _mm512_alignr_epi64, _mm512_and_si512,
    _mm512_cmpeq_epi64_mask, _mm512_cmplt_epu64_mask, _mm512_loadu_si512, _mm512_madd52hi_epu64,
    _mm512_madd52lo_epu64, _mm512_mask_blend_epi64, _mm512_mask_sub_epi64, _mm512_maskz_loadu_epi8,
    _mm512_maskz_mov_epi64, _mm512_movepi64_mask, _mm512_or_si512, _mm512_rol_epi64, _mm512_set_epi64,
    _mm512_set1_epi64, _mm512_shrdi_epi64, _mm512_shuffle_epi8, _mm512_shuffle_i64x2, _mm512_sll_epi64,
    _mm512_slli_epi64, _mm512_srai_epi64, _mm512_srl_epi64, _mm512_srli_epi64, _mm512_storeu_si512,
    _mm512_sub_epi64, _mm512_ternarylogic_epi64, _mm512_test_epi64_mask, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi64, _mm512_xor_si512,
};
use core::ops::{Add, BitAnd, BitOr, BitXor, Sub};

use super::lanes::{Instructions, LANES, LaneMask, Lanes};

/// Proof that this processor has AVX-512 with IFMA, and the system saves its registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

/// Eight unsigned 64-bit numbers. Sums and differences wrap.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct U64x8(__m512i);

macro_rules! operators {
    ($($operator:ident $name:ident = $intrinsic:ident;)*) => {
        $(impl $operator for U64x8 {
            type Output = Self;

            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                // SAFETY: a `U64x8` proves that the processor has the instruction.
                Self(unsafe { $intrinsic(self.0, other.0) })
            }
        })*
    };
}

operators! {
    Add add = _mm512_add_epi64;
    Sub sub = _mm512_sub_epi64;
    BitAnd bitand = _mm512_and_si512;
    BitOr bitor = _mm512_or_si512;
    BitXor bitxor = _mm512_xor_si512;
}

/// Safe methods around one instruction each.
macro_rules! instructions {
    ($($name:ident $(<$imm:ident: $kind:ty>)? ($($arg:ident),*) = $intrinsic:ident;)*) => {
        $(#[inline(always)]
        fn $name $(<const $imm: $kind>)? (self $(, $arg: Self)*) -> Self {
            // SAFETY: a `U64x8` proves that the processor has the instruction.
            Self(unsafe { $intrinsic$(::<$imm>)?(self.0 $(, $arg.0)*) })
        })*
    };
}

// SAFETY: an `Avx512` is made by `detect` alone, a `U64x8` from a proof or another.
unsafe impl Lanes for U64x8 {
    type Proof = Avx512;

    const INSTRUCTIONS: Instructions = Instructions::Avx512;

    fn detect() -> Option<Avx512> {
        // VBMI2 implies BW, and all imply F.
        let has_all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512ifma")
            && is_x86_feature_detected!("avx512vbmi2");
        has_all.then_some(Avx512(()))
    }

    instructions! {
        madd_low(a, b) = _mm512_madd52lo_epu64;
        madd_high(a, b) = _mm512_madd52hi_epu64;
        shl<N: u32>() = _mm512_slli_epi64;
        shr<N: u32>() = _mm512_srli_epi64;
        shr_signed<N: u32>() = _mm512_srai_epi64;
        rotate_left<N: i32>() = _mm512_rol_epi64;
        funnel_shr<N: i32>(high) = _mm512_shrdi_epi64;
        magnitude() = _mm512_abs_epi64;
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_wrap, reason = "the same 64 bits")]
    fn splat(_: Avx512, value: u64) -> Self {
        // SAFETY: an `Avx512` proves that the processor has the instruction.
        Self(unsafe { _mm512_set1_epi64(value as i64) })
    }

    #[inline(always)]
    fn proof(self) -> Avx512 {
        Avx512(())
    }

    #[inline(always)]
    fn load(_: Avx512, numbers: &[u64; LANES]) -> Self {
        // SAFETY: `numbers` is 64 readable bytes, the load takes any alignment, and an `Avx512` proves that the
        // processor has the instruction.
        Self(unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) })
    }

    #[inline(always)]
    fn load_bytes(_: Avx512, bytes: &[u8]) -> Self {
        assert!(bytes.len() <= 64, "a register holds 64 bytes");
        let mask = if bytes.len() == 64 { u64::MAX } else { (1 << bytes.len()) - 1 };
        // SAFETY: the mask covers the bytes of the slice and the instruction touches no others; an `Avx512` proves
        // that the processor has it.
        Self(unsafe { _mm512_maskz_loadu_epi8(mask, bytes.as_ptr().cast()) })
    }

    #[inline(always)]
    fn store(self, numbers: &mut [u64; LANES]) {
        // SAFETY: `numbers` is 64 writable bytes, the store takes any alignment, and a `U64x8` proves that the
        // processor has the instruction.
        unsafe { _mm512_storeu_si512(numbers.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn shl_by(self, count: usize) -> Self {
        // SAFETY: a `U64x8` proves that the processor has the instructions.
        Self(unsafe { _mm512_sll_epi64(self.0, _mm_cvtsi64_si128(count as i64)) })
    }

    #[inline(always)]
    fn shr_by(self, count: usize) -> Self {
        // SAFETY: a `U64x8` proves that the processor has the instructions.
        Self(unsafe { _mm512_srl_epi64(self.0, _mm_cvtsi64_si128(count as i64)) })
    }

    #[inline(always)]
    fn replace(self, mask: LaneMask, yes: Self) -> Self {
        // SAFETY: a `U64x8` proves that the processor has the instruction.
        Self(unsafe { _mm512_mask_blend_epi64(mask, self.0, yes.0) })
    }

    #[inline(always)]
    fn keep(self, mask: LaneMask) -> Self {
        // SAFETY: a `U64x8` proves that the processor has the instruction.
        Self(unsafe { _mm512_maskz_mov_epi64(mask, self.0) })
    }

    #[inline(always)]
    fn replace_with_difference(self, mask: LaneMask, minuend: Self, subtrahend: Self) -> Self {
        // SAFETY: a `U64x8` proves that the processor has the instruction.
        Self(unsafe { _mm512_mask_sub_epi64(self.0, mask, minuend.0, subtrahend.0) })
    }

    #[inline(always)]
    fn equal(self, other: Self) -> LaneMask {
        // SAFETY: a `U64x8` proves that the processor has the instruction.
        unsafe { _mm512_cmpeq_epi64_mask(self.0, other.0) }
    }

    #[inline(always)]
    fn less(self, other: Self) -> LaneMask {
        // SAFETY: a `U64x8` proves that the processor has the instruction.
        unsafe { _mm512_cmplt_epu64_mask(self.0, other.0) }
    }

    #[inline(always)]
    fn negative(self) -> LaneMask {
        // SAFETY: a `U64x8` proves that the processor has the instruction.
        unsafe { _mm512_movepi64_mask(self.0) }
    }

    #[inline(always)]
    fn any_bit(self, bits: Self) -> LaneMask {
        // SAFETY: a `U64x8` proves that the processor has the instruction.
        unsafe { _mm512_test_epi64_mask(self.0, bits.0) }
    }

    #[inline(always)]
    fn xor3(self, a: Self, b: Self) -> Self {
        // SAFETY: a `U64x8` proves that the processor has the instruction.
        Self(unsafe { _mm512_ternarylogic_epi64::<0x96>(self.0, a.0, b.0) })
    }

    #[inline(always)]
    fn xor_and_not(self, a: Self, b: Self) -> Self {
        // SAFETY: a `U64x8` proves that the processor has the instruction.
        Self(unsafe { _mm512_ternarylogic_epi64::<0xd2>(self.0, a.0, b.0) })
    }

    #[inline(always)]
    fn rotate_lanes<const N: i32>(self) -> Self {
        // SAFETY: a `U64x8` proves that the processor has the instruction.
        Self(unsafe { _mm512_alignr_epi64::<N>(self.0, self.0) })
    }

    #[inline(always)]
    fn swap_bytes(self) -> Self {
        const HIGH: i64 = 0x0809_0a0b_0c0d_0e0f;
        const LOW: i64 = 0x0001_0203_0405_0607;
        // SAFETY: a `U64x8` proves that the processor has the instructions.
        Self(unsafe {
            let order = _mm512_set_epi64(HIGH, LOW, HIGH, LOW, HIGH, LOW, HIGH, LOW);
            _mm512_shuffle_epi8(self.0, order)
        })
    }

    #[inline(always)]
    fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        let [Self(a), Self(b), Self(c), Self(d), Self(e), Self(f), Self(g), Self(h)] = rows;
        // SAFETY: a `U64x8` proves that the processor has the instructions.
        unsafe {
            // Pairs of rows, then fours, then all eight.
            let (ab_even, ab_odd) = (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
            let (cd_even, cd_odd) = (_mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
            let (ef_even, ef_odd) = (_mm512_unpacklo_epi64(e, f), _mm512_unpackhi_epi64(e, f));
            let (gh_even, gh_odd) = (_mm512_unpacklo_epi64(g, h), _mm512_unpackhi_epi64(g, h));
            let abcd_04 = _mm512_shuffle_i64x2::<0x88>(ab_even, cd_even);
            let efgh_04 = _mm512_shuffle_i64x2::<0x88>(ef_even, gh_even);
            let abcd_26 = _mm512_shuffle_i64x2::<0xdd>(ab_even, cd_even);
            let efgh_26 = _mm512_shuffle_i64x2::<0xdd>(ef_even, gh_even);
            let abcd_15 = _mm512_shuffle_i64x2::<0x88>(ab_odd, cd_odd);
            let efgh_15 = _mm512_shuffle_i64x2::<0x88>(ef_odd, gh_odd);
            let abcd_37 = _mm512_shuffle_i64x2::<0xdd>(ab_odd, cd_odd);
            let efgh_37 = _mm512_shuffle_i64x2::<0xdd>(ef_odd, gh_odd);
            [
                Self(_mm512_shuffle_i64x2::<0x88>(abcd_04, efgh_04)),
                Self(_mm512_shuffle_i64x2::<0x88>(abcd_15, efgh_15)),
                Self(_mm512_shuffle_i64x2::<0x88>(abcd_26, efgh_26)),
                Self(_mm512_shuffle_i64x2::<0x88>(abcd_37, efgh_37)),
                Self(_mm512_shuffle_i64x2::<0xdd>(abcd_04, efgh_04)),
                Self(_mm512_shuffle_i64x2::<0xdd>(abcd_15, efgh_15)),
                Self(_mm512_shuffle_i64x2::<0xdd>(abcd_26, efgh_26)),
                Self(_mm512_shuffle_i64x2::<0xdd>(abcd_37, efgh_37)),
            ]
        }
    }
}
