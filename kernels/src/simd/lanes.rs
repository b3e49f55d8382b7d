//! Eight 64-bit numbers in one AVX-512 register.
//!
//! The instructions are safe to reach because of what it takes to get here: an [`Avx512`] is made by nothing but
//! [`Avx512::detect`], a [`Lanes`] by nothing without an `Avx512` or another `Lanes`. So whoever holds either runs
//! on a processor that has the instructions, and every method is sound wherever it is called from. It is *fast* only when
//! inlined into a function that enables the same features
//! (`#[target_feature(enable = "avx512dq,avx512ifma,avx512vbmi2")]`), which every caller that matters does.

use core::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_cvtsi64_si128, _mm_prefetch, _mm512_abs_epi64, _mm512_add_epi64,
    _mm512_alignr_epi64, _mm512_and_si512, _mm512_cmpeq_epi64_mask, _mm512_cmplt_epu64_mask,
    _mm512_loadu_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_mask_blend_epi64,
    _mm512_mask_sub_epi64, _mm512_maskz_loadu_epi8, _mm512_maskz_mov_epi64, _mm512_movepi64_mask,
    _mm512_or_si512, _mm512_rol_epi64, _mm512_set_epi64, _mm512_set1_epi64, _mm512_shrdi_epi64,
    _mm512_shuffle_epi8, _mm512_shuffle_i64x2, _mm512_sll_epi64, _mm512_slli_epi64, _mm512_srai_epi64,
    _mm512_srl_epi64, _mm512_srli_epi64, _mm512_storeu_si512, _mm512_sub_epi64, _mm512_ternarylogic_epi64,
    _mm512_test_epi64_mask, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64, _mm512_xor_si512,
};
use core::ops::{Add, BitAnd, BitOr, BitXor, Sub};

/// Lanes in a register.
pub(crate) const LANES: usize = 8;

/// An array of an expression for each k, written out: closures, as `array::from_fn` takes them, may end up as functions
/// of their own without the instructions.
macro_rules! each {
    (2, $k:ident => $value:expr) => { each!($k in 0 1 => $value) };
    (3, $k:ident => $value:expr) => { each!($k in 0 1 2 => $value) };
    (4, $k:ident => $value:expr) => { each!($k in 0 1 2 3 => $value) };
    (5, $k:ident => $value:expr) => { each!($k in 0 1 2 3 4 => $value) };
    (8, $k:ident => $value:expr) => { each!($k in 0 1 2 3 4 5 6 7 => $value) };
    (10, $k:ident => $value:expr) => { each!($k in 0 1 2 3 4 5 6 7 8 9 => $value) };
    ($k:ident in $($i:literal)* => $value:expr) => { [$({ let $k: usize = $i; $value }),*] };
}
pub(crate) use each;

/// One bit for each lane; bit i is lane i.
pub(crate) type LaneMask = u8;

/// Proof that this processor has AVX-512 with IFMA, and the system saves its registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// `None` if any of the instructions used here is missing.
    pub(crate) fn detect() -> Option<Self> {
        // VBMI2 implies BW, and all imply F.
        let has_all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512ifma")
            && is_x86_feature_detected!("avx512vbmi2");
        has_all.then_some(Self(()))
    }
}

/// Eight unsigned 64-bit numbers. Sums and differences wrap.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Lanes(__m512i);

/// Safe methods around one instruction each.
macro_rules! instructions {
    ($($(#[$doc:meta])* $name:ident $(<$imm:ident: $kind:ty>)? ($($arg:ident),*) = $intrinsic:ident;)*) => {
        impl Lanes {
            $($(#[$doc])*
            #[inline(always)]
            pub(crate) fn $name $(<const $imm: $kind>)? (self $(, $arg: Self)*) -> Self {
                // SAFETY: a `Lanes` proves that the processor has the instruction.
                Self(unsafe { $intrinsic$(::<$imm>)?(self.0 $(, $arg.0)*) })
            })*
        }
    };
}

instructions! {
    /// self + the low 52 bits of the 104-bit product of the low 52 bits of a and b.
    madd_low(a, b) = _mm512_madd52lo_epu64;
    /// self + the high 52 bits of the 104-bit product of the low 52 bits of a and b.
    madd_high(a, b) = _mm512_madd52hi_epu64;
    /// self · 2^N.
    shl<N: u32>() = _mm512_slli_epi64;
    /// self / 2^N, rounded down.
    shr<N: u32>() = _mm512_srli_epi64;
    /// self / 2^N as a signed number, rounded down.
    shr_signed<N: u32>() = _mm512_srai_epi64;
    /// self rotated left by N bits.
    rotate_left<N: i32>() = _mm512_rol_epi64;
    /// The low half of (high · 2^64 + self) / 2^N.
    funnel_shr<N: i32>(high) = _mm512_shrdi_epi64;
    /// Magnitude of a signed number.
    magnitude() = _mm512_abs_epi64;
    /// Lane i is lane i + N of sixteen: the argument's, then self's.
    concat_lanes<N: i32>(low) = _mm512_alignr_epi64;
}

macro_rules! operators {
    ($($operator:ident $name:ident = $intrinsic:ident;)*) => {
        $(impl $operator for Lanes {
            type Output = Self;

            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                // SAFETY: a `Lanes` proves that the processor has the instruction.
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

impl Lanes {
    /// The same number in every lane.
    #[inline(always)]
    #[expect(clippy::cast_possible_wrap, reason = "the same 64 bits")]
    pub(crate) fn splat(_: Avx512, value: u64) -> Self {
        // SAFETY: an `Avx512` proves that the processor has the instruction.
        Self(unsafe { _mm512_set1_epi64(value as i64) })
    }

    /// A proof from a proof.
    #[inline(always)]
    pub(crate) const fn proof(self) -> Avx512 {
        Avx512(())
    }

    /// The same number in every lane.
    #[inline(always)]
    pub(crate) fn splat_like(self, value: u64) -> Self {
        Self::splat(self.proof(), value)
    }

    /// Number i in lane i.
    #[inline(always)]
    pub(crate) fn load(_: Avx512, numbers: &[u64; LANES]) -> Self {
        // SAFETY: `numbers` is 64 readable bytes, the load takes any alignment, and an `Avx512` proves that the
        // processor has the instruction.
        Self(unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) })
    }

    /// Up to 64 bytes from the first lane on, little-endian; what is missing is 0.
    ///
    /// # Panics
    /// From 65 bytes on.
    #[inline(always)]
    pub(crate) fn load_bytes(_: Avx512, bytes: &[u8]) -> Self {
        assert!(bytes.len() <= 64, "a register holds 64 bytes");
        let mask = if bytes.len() == 64 { u64::MAX } else { (1 << bytes.len()) - 1 };
        // SAFETY: the mask covers the bytes of the slice and the instruction touches no others; an `Avx512` proves
        // that the processor has it.
        Self(unsafe { _mm512_maskz_loadu_epi8(mask, bytes.as_ptr().cast()) })
    }

    /// The number of each lane.
    #[inline(always)]
    pub(crate) fn to_array(self) -> [u64; LANES] {
        let mut numbers = [0; LANES];
        self.store(&mut numbers);
        numbers
    }

    /// The number of each lane modulo LEN, to index an array of so many.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below LEN, which is a usize")]
    pub(crate) fn to_indices<const LEN: usize>(self) -> [usize; LANES] {
        let numbers = self.to_array();
        each!(8, lane => numbers[lane] as usize % LEN)
    }

    /// Writes the number of lane i to place i.
    #[inline(always)]
    pub(crate) fn store(self, numbers: &mut [u64; LANES]) {
        // SAFETY: `numbers` is 64 writable bytes, the store takes any alignment, and a `Lanes` proves that the
        // processor has the instruction.
        unsafe { _mm512_storeu_si512(numbers.as_mut_ptr().cast(), self.0) }
    }

    /// self · 2^count; 0 from 64 on.
    #[inline(always)]
    pub(crate) fn shl_by(self, count: usize) -> Self {
        // SAFETY: a `Lanes` proves that the processor has the instructions.
        Self(unsafe { _mm512_sll_epi64(self.0, _mm_cvtsi64_si128(count as i64)) })
    }

    /// self / 2^count, rounded down; 0 from 64 on.
    #[inline(always)]
    pub(crate) fn shr_by(self, count: usize) -> Self {
        // SAFETY: a `Lanes` proves that the processor has the instructions.
        Self(unsafe { _mm512_srl_epi64(self.0, _mm_cvtsi64_si128(count as i64)) })
    }

    /// `yes` in the lanes of the mask, self in the others.
    #[inline(always)]
    pub(crate) fn replace(self, mask: LaneMask, yes: Self) -> Self {
        // SAFETY: a `Lanes` proves that the processor has the instruction.
        Self(unsafe { _mm512_mask_blend_epi64(mask, self.0, yes.0) })
    }

    /// self in the lanes of the mask, 0 in the others.
    #[inline(always)]
    pub(crate) fn keep(self, mask: LaneMask) -> Self {
        // SAFETY: a `Lanes` proves that the processor has the instruction.
        Self(unsafe { _mm512_maskz_mov_epi64(mask, self.0) })
    }

    /// minuend − subtrahend in the lanes of the mask, self in the others.
    #[inline(always)]
    pub(crate) fn replace_with_difference(self, mask: LaneMask, minuend: Self, subtrahend: Self) -> Self {
        // SAFETY: a `Lanes` proves that the processor has the instruction.
        Self(unsafe { _mm512_mask_sub_epi64(self.0, mask, minuend.0, subtrahend.0) })
    }

    /// The lanes where both are equal.
    #[inline(always)]
    pub(crate) fn equal(self, other: Self) -> LaneMask {
        // SAFETY: a `Lanes` proves that the processor has the instruction.
        unsafe { _mm512_cmpeq_epi64_mask(self.0, other.0) }
    }

    /// The lanes where self is less.
    #[inline(always)]
    pub(crate) fn less(self, other: Self) -> LaneMask {
        // SAFETY: a `Lanes` proves that the processor has the instruction.
        unsafe { _mm512_cmplt_epu64_mask(self.0, other.0) }
    }

    /// The lanes where self, as a signed number, is less than 0.
    #[inline(always)]
    pub(crate) fn negative(self) -> LaneMask {
        // SAFETY: a `Lanes` proves that the processor has the instruction.
        unsafe { _mm512_movepi64_mask(self.0) }
    }

    /// The lanes that have any of these bits.
    #[inline(always)]
    pub(crate) fn any_bit(self, bits: Self) -> LaneMask {
        // SAFETY: a `Lanes` proves that the processor has the instruction.
        unsafe { _mm512_test_epi64_mask(self.0, bits.0) }
    }

    /// Whether every lane is less than a number.
    #[inline(always)]
    pub(crate) fn all_below(self, bound: u64) -> bool {
        self.less(self.splat_like(bound)) == LaneMask::MAX
    }

    /// self ⊕ a ⊕ b.
    #[inline(always)]
    pub(crate) fn xor3(self, a: Self, b: Self) -> Self {
        // SAFETY: a `Lanes` proves that the processor has the instruction.
        Self(unsafe { _mm512_ternarylogic_epi64::<0x96>(self.0, a.0, b.0) })
    }

    /// self ⊕ (¬a ∧ b).
    #[inline(always)]
    pub(crate) fn xor_and_not(self, a: Self, b: Self) -> Self {
        // SAFETY: a `Lanes` proves that the processor has the instruction.
        Self(unsafe { _mm512_ternarylogic_epi64::<0xd2>(self.0, a.0, b.0) })
    }

    /// Lane i becomes what lane (i + N) mod 8 was.
    #[inline(always)]
    pub(crate) fn rotate_lanes<const N: i32>(self) -> Self {
        self.concat_lanes::<N>(self)
    }

    /// Each number with its bytes in reverse order.
    #[inline(always)]
    pub(crate) fn swap_bytes(self) -> Self {
        const HIGH: i64 = 0x0809_0a0b_0c0d_0e0f;
        const LOW: i64 = 0x0001_0203_0405_0607;
        // SAFETY: a `Lanes` proves that the processor has the instructions.
        Self(unsafe {
            let order = _mm512_set_epi64(HIGH, LOW, HIGH, LOW, HIGH, LOW, HIGH, LOW);
            _mm512_shuffle_epi8(self.0, order)
        })
    }

    /// Lane j of result i is lane i of row j.
    #[inline(always)]
    pub(crate) fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        let [Self(a), Self(b), Self(c), Self(d), Self(e), Self(f), Self(g), Self(h)] = rows;
        // SAFETY: a `Lanes` proves that the processor has the instructions.
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

/// Asks for the cache line of a value that will be read soon.
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T) {
    // SAFETY: every x86-64 processor has the instruction, and a hint touches no memory.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight rows, all numbers different.
    fn numbers(proof: Avx512) -> [Lanes; LANES] {
        std::array::from_fn(|row| Lanes::load(proof, &std::array::from_fn(|lane| (row * 10 + lane) as u64)))
    }

    #[test]
    fn rows_become_columns() {
        let Some(proof) = Avx512::detect() else { return eprintln!("skipped: no AVX-512 IFMA") };
        for (row, lanes) in Lanes::transpose(numbers(proof)).into_iter().enumerate() {
            assert_eq!(lanes.to_array(), std::array::from_fn(|lane| (lane * 10 + row) as u64), "row {row}");
        }
    }

    #[test]
    fn partial_loads_end_where_the_bytes_end() {
        let Some(proof) = Avx512::detect() else { return eprintln!("skipped: no AVX-512 IFMA") };
        let bytes: [u8; 64] = std::array::from_fn(|i| 0x80 | u8::try_from(i).unwrap());
        for len in 0..=64 {
            let loaded = Lanes::load_bytes(proof, &bytes[..len]).to_array().map(u64::to_le_bytes).concat();
            assert_eq!(loaded[..len], bytes[..len]);
            assert!(loaded[len..].iter().all(|&byte| byte == 0), "{len} bytes");
        }
    }

    #[test]
    fn lanes_rotate_and_bytes_swap() {
        let Some(proof) = Avx512::detect() else { return eprintln!("skipped: no AVX-512 IFMA") };
        let row = numbers(proof)[3];
        assert_eq!(row.rotate_lanes::<2>().to_array(), [32, 33, 34, 35, 36, 37, 30, 31]);
        assert_eq!(row.swap_bytes().to_array(), row.to_array().map(u64::swap_bytes));
        assert_eq!(row.keep(0b101).to_array(), [30, 0, 32, 0, 0, 0, 0, 0]);
        assert_eq!(row.less(row.splat_like(32)), 0b11);
    }
}
