//! Eight 64-bit numbers in two AVX2 registers.
//!
//! AVX2 multiplies integers of 32 bits only. Products of 52 bits come from the floating-point unit instead: a fused
//! multiply-add rounds once, so that one of them gives the high half of a product and another, exactly, what is left of
//! it ([`Reals::product`]).

use core::arch::x86_64::{
    __m256d, __m256i, _mm_cvtsi64_si128, _mm256_add_epi64, _mm256_add_pd, _mm256_and_si256,
    _mm256_andnot_si256, _mm256_blendv_epi8, _mm256_castpd_si256, _mm256_castsi256_pd, _mm256_cmpeq_epi64,
    _mm256_cmpgt_epi64, _mm256_fmadd_pd, _mm256_loadu_si256, _mm256_movemask_pd, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_set_epi64x, _mm256_set1_epi64x, _mm256_set1_pd, _mm256_shuffle_epi8,
    _mm256_sll_epi64, _mm256_srl_epi64, _mm256_storeu_si256, _mm256_sub_epi64, _mm256_sub_pd,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi64, _mm256_xor_si256,
};
use core::ops::{Add, BitAnd, BitOr, BitXor, Sub};

use super::lanes::{Instructions, LANES, LaneMask, Lanes, each};

/// Proof that this processor has AVX2 and FMA, and the system saves its registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

/// Numbers in a register.
const QUAD: usize = 4;

/// The bits of 2^52, the least number of which the last bit of the mantissa counts ones.
const BITS_OF_2_52: u64 = 0x4330 << 48;
/// The low 52 bits.
const MANTISSA: u64 = (1 << 52) - 1;

/// Four unsigned 64-bit numbers. Sums and differences wrap.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Quad(__m256i);

/// Four numbers in floating point.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Reals(__m256d);

/// Eight unsigned 64-bit numbers: lanes 0 to 3, then 4 to 7.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct U64x8(pub(crate) [Quad; 2]);

macro_rules! operators {
    ($($operator:ident $name:ident = $intrinsic:ident;)*) => {$(
        impl $operator for Quad {
            type Output = Self;

            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                // SAFETY: a `Quad` proves that the processor has the instruction.
                Self(unsafe { $intrinsic(self.0, other.0) })
            }
        }

        impl $operator for U64x8 {
            type Output = Self;

            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                Self([$operator::$name(self.0[0], other.0[0]), $operator::$name(self.0[1], other.0[1])])
            }
        }
    )*};
}

operators! {
    Add add = _mm256_add_epi64;
    Sub sub = _mm256_sub_epi64;
    BitAnd bitand = _mm256_and_si256;
    BitOr bitor = _mm256_or_si256;
    BitXor bitxor = _mm256_xor_si256;
}

impl Quad {
    #[inline(always)]
    #[expect(clippy::cast_possible_wrap, reason = "the same 64 bits")]
    fn splat(_: Avx2, value: u64) -> Self {
        // SAFETY: an `Avx2` proves that the processor has the instruction.
        Self(unsafe { _mm256_set1_epi64x(value as i64) })
    }

    /// The same number in every lane.
    #[inline(always)]
    pub(crate) fn splat_like(self, value: u64) -> Self {
        Self::splat(Avx2(()), value)
    }

    #[inline(always)]
    fn load(_: Avx2, numbers: &[u64; QUAD]) -> Self {
        // SAFETY: `numbers` is 32 readable bytes, the load takes any alignment, and an `Avx2` proves that the processor
        // has the instruction.
        Self(unsafe { _mm256_loadu_si256(numbers.as_ptr().cast()) })
    }

    #[inline(always)]
    fn store(self, numbers: &mut [u64; QUAD]) {
        // SAFETY: `numbers` is 32 writable bytes, the store takes any alignment, and a `Quad` proves that the processor
        // has the instruction.
        unsafe { _mm256_storeu_si256(numbers.as_mut_ptr().cast(), self.0) }
    }

    /// self · 2^count; 0 from 64 on. A constant count is an immediate to the compiler.
    #[inline(always)]
    fn shl_by(self, count: u32) -> Self {
        // SAFETY: a `Quad` proves that the processor has the instructions.
        Self(unsafe { _mm256_sll_epi64(self.0, _mm_cvtsi64_si128(i64::from(count))) })
    }

    /// self · 2^N.
    #[inline(always)]
    pub(crate) fn shl<const N: u32>(self) -> Self {
        self.shl_by(N)
    }

    /// self / 2^count, rounded down; 0 from 64 on.
    #[inline(always)]
    fn shr_by(self, count: u32) -> Self {
        // SAFETY: a `Quad` proves that the processor has the instructions.
        Self(unsafe { _mm256_srl_epi64(self.0, _mm_cvtsi64_si128(i64::from(count))) })
    }

    /// self / 2^N, rounded down.
    #[inline(always)]
    pub(crate) fn shr<const N: u32>(self) -> Self {
        self.shr_by(N)
    }

    /// ¬self ∧ other.
    #[inline(always)]
    fn not_and(self, other: Self) -> Self {
        // SAFETY: a `Quad` proves that the processor has the instruction.
        Self(unsafe { _mm256_andnot_si256(self.0, other.0) })
    }

    /// All bits where both are equal.
    #[inline(always)]
    fn equal(self, other: Self) -> Self {
        // SAFETY: a `Quad` proves that the processor has the instruction.
        Self(unsafe { _mm256_cmpeq_epi64(self.0, other.0) })
    }

    /// All bits where self is less, as signed numbers.
    #[inline(always)]
    fn less_signed(self, other: Self) -> Self {
        // SAFETY: a `Quad` proves that the processor has the instruction.
        Self(unsafe { _mm256_cmpgt_epi64(other.0, self.0) })
    }

    /// `yes` where the selector has all bits, self where it has none.
    #[inline(always)]
    fn select(self, selector: Self, yes: Self) -> Self {
        // SAFETY: a `Quad` proves that the processor has the instruction.
        Self(unsafe { _mm256_blendv_epi8(self.0, yes.0, selector.0) })
    }

    /// The highest bit of each number.
    #[inline(always)]
    fn sign_bits(self) -> LaneMask {
        // SAFETY: a `Quad` proves that the processor has the instruction.
        let bits = unsafe { _mm256_movemask_pd(_mm256_castsi256_pd(self.0)) };
        bits.to_le_bytes()[0]
    }

    #[inline(always)]
    fn swap_bytes(self) -> Self {
        const HIGH: i64 = 0x0809_0a0b_0c0d_0e0f;
        const LOW: i64 = 0x0001_0203_0405_0607;
        // SAFETY: a `Quad` proves that the processor has the instructions.
        Self(unsafe { _mm256_shuffle_epi8(self.0, _mm256_set_epi64x(HIGH, LOW, HIGH, LOW)) })
    }

    /// Lane j of result i is lane i of row j.
    #[inline(always)]
    fn transpose(rows: [Self; QUAD]) -> [Self; QUAD] {
        let [Self(a), Self(b), Self(c), Self(d)] = rows;
        // SAFETY: a `Quad` proves that the processor has the instructions.
        unsafe {
            let (ab_even, ab_odd) = (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
            let (cd_even, cd_odd) = (_mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d));
            [
                Self(_mm256_permute2x128_si256::<0x20>(ab_even, cd_even)),
                Self(_mm256_permute2x128_si256::<0x20>(ab_odd, cd_odd)),
                Self(_mm256_permute2x128_si256::<0x31>(ab_even, cd_even)),
                Self(_mm256_permute2x128_si256::<0x31>(ab_odd, cd_odd)),
            ]
        }
    }

    /// Numbers below 2^52 in floating point.
    #[inline(always)]
    pub(crate) fn to_reals(self) -> Reals {
        debug_assert!(U64x8([self; 2]).all_below(1 << 52), "below 2^52, which is all that a mantissa holds");
        let two_52 = self.splat_like(BITS_OF_2_52);
        // SAFETY: a `Quad` proves that the processor has the instructions.
        Reals(unsafe { _mm256_sub_pd(_mm256_castsi256_pd((self | two_52).0), _mm256_castsi256_pd(two_52.0)) })
    }

    /// Numbers kept as the bits of floating-point ones.
    #[inline(always)]
    pub(crate) fn as_reals(self) -> Reals {
        // SAFETY: a `Quad` proves that the processor has the instruction.
        Reals(unsafe { _mm256_castsi256_pd(self.0) })
    }

    /// The exact low and high 52 bits of the product of the low 52 bits.
    #[inline(always)]
    fn product(self, other: Self) -> [Self; 2] {
        let mask = self.splat_like(MANTISSA);
        let [low, high] = Reals::product((self & mask).to_reals(), (other & mask).to_reals());
        let low = low - low.splat_like(Reals::LOW_BIAS);
        // A low half that is negative takes one from the high half.
        [low & mask, high - low.splat_like(Reals::HIGH_BIAS) - low.shr::<63>()]
    }
}

impl Reals {
    /// What [`Self::product`] adds to low halves: the bits of 1.5 · 2^52.
    pub(crate) const LOW_BIAS: u64 = 0x4338 << 48;
    /// What [`Self::product`] adds to high halves: the bits of 2^104.
    pub(crate) const HIGH_BIAS: u64 = 0x4670 << 48;

    /// The same number in every lane.
    #[inline(always)]
    pub(crate) fn splat_like(self, value: f64) -> Self {
        // SAFETY: a `Reals` proves that the processor has the instruction.
        Self(unsafe { _mm256_set1_pd(value) })
    }

    /// The bits of floating-point numbers.
    #[inline(always)]
    pub(crate) fn to_bits(self) -> Quad {
        // SAFETY: a `Reals` proves that the processor has the instruction.
        Quad(unsafe { _mm256_castpd_si256(self.0) })
    }

    /// Integers from 0 to 2^52 − 1.
    #[inline(always)]
    pub(crate) fn to_integers(self) -> Quad {
        let two_52 = self.to_bits().splat_like(BITS_OF_2_52);
        // SAFETY: a `Reals` proves that the processor has the instruction.
        Self(unsafe { _mm256_add_pd(self.0, two_52.as_reals().0) }).to_bits() ^ two_52
    }

    /// low and high with a · b = high · 2^52 + low, for integers a and b whose product is below 2^104, each plus its bias:
    /// low is from −2^51 to 2^51, high from 0 to 2^52.
    ///
    /// Next to 2^104 the last bit of a double counts 2^52, and adding a number rounds it to that, exactly once in a
    /// fused operation; taking that from the product leaves what fits into a double. (Dekker, *A floating-point technique
    /// for extending the available precision*, 1971, with FMA; Emmart, Zheng and Weems, *Faster modular exponentiation
    /// using double precision floating point arithmetic on the GPU*, 2018.) Rounding is to nearest, which is Rust's
    /// only mode: hence signed low halves, and an addition more to make integers of them.
    #[inline(always)]
    pub(crate) fn product(self, other: Self) -> [Quad; 2] {
        let splat = |bits| self.to_bits().splat_like(bits).as_reals().0;
        // SAFETY: a `Reals` proves that the processor has the instructions.
        let (low, high) = unsafe {
            let high = _mm256_fmadd_pd(self.0, other.0, splat(Self::HIGH_BIAS));
            let rest = _mm256_fmadd_pd(self.0, other.0, _mm256_sub_pd(splat(Self::HIGH_BIAS), high));
            (_mm256_add_pd(rest, splat(Self::LOW_BIAS)), high)
        };
        [Self(low).to_bits(), Self(high).to_bits()]
    }
}

impl U64x8 {
    /// All bits of the lanes of a mask.
    #[inline(always)]
    fn selector(self, mask: LaneMask) -> Self {
        let bits =
            Self([Quad::load(self.proof(), &[1, 2, 4, 8]), Quad::load(self.proof(), &[16, 32, 64, 128])]);
        (self.splat_like(u64::from(mask)) & bits).equal_lanes(bits)
    }

    /// All bits where both are equal.
    #[inline(always)]
    fn equal_lanes(self, other: Self) -> Self {
        Self(each!(2, half => self.0[half].equal(other.0[half])))
    }

    /// All bits where self is less, as signed numbers.
    #[inline(always)]
    fn less_signed(self, other: Self) -> Self {
        Self(each!(2, half => self.0[half].less_signed(other.0[half])))
    }
}

// SAFETY: an `Avx2` is made by `detect` alone, and a `U64x8`, a `Quad` or a `Reals` from a proof or another.
unsafe impl Lanes for U64x8 {
    type Proof = Avx2;

    const INSTRUCTIONS: Instructions = Instructions::Avx2;

    fn detect() -> Option<Avx2> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Avx2(()))
    }

    #[inline(always)]
    fn proof(self) -> Avx2 {
        Avx2(())
    }

    #[inline(always)]
    fn splat(proof: Avx2, value: u64) -> Self {
        Self([Quad::splat(proof, value); 2])
    }

    #[inline(always)]
    fn load(proof: Avx2, numbers: &[u64; LANES]) -> Self {
        let [a, b, c, d, e, f, g, h] = *numbers;
        Self([Quad::load(proof, &[a, b, c, d]), Quad::load(proof, &[e, f, g, h])])
    }

    #[inline(always)]
    fn load_bytes(proof: Avx2, bytes: &[u8]) -> Self {
        assert!(bytes.len() <= 64, "a register holds 64 bytes");
        let mut all = [0; 64];
        all[..bytes.len()].copy_from_slice(bytes);
        let (words, _) = all.as_chunks::<8>();
        Self::load(proof, &each!(8, i => u64::from_le_bytes(words[i])))
    }

    #[inline(always)]
    fn store(self, numbers: &mut [u64; LANES]) {
        let (halves, _) = numbers.as_chunks_mut::<QUAD>();
        for (half, numbers) in self.0.into_iter().zip(halves) {
            half.store(numbers);
        }
    }

    #[inline(always)]
    fn madd_low(self, a: Self, b: Self) -> Self {
        self + Self(each!(2, half => a.0[half].product(b.0[half])[0]))
    }

    #[inline(always)]
    fn madd_high(self, a: Self, b: Self) -> Self {
        self + Self(each!(2, half => a.0[half].product(b.0[half])[1]))
    }

    #[inline(always)]
    fn shl<const N: u32>(self) -> Self {
        Self(each!(2, half => self.0[half].shl_by(N)))
    }

    #[inline(always)]
    fn shr<const N: u32>(self) -> Self {
        Self(each!(2, half => self.0[half].shr_by(N)))
    }

    #[inline(always)]
    fn shr_signed<const N: u32>(self) -> Self {
        // 2^63 more makes it positive, and 2^63 / 2^N less takes that off again.
        (self ^ self.splat_like(1 << 63)).shr::<N>() - self.splat_like(1 << (63 - N))
    }

    #[inline(always)]
    fn rotate_left<const N: i32>(self) -> Self {
        let by = N.unsigned_abs();
        Self(each!(2, half => self.0[half].shl_by(by) | self.0[half].shr_by(64 - by)))
    }

    #[inline(always)]
    fn funnel_shr<const N: i32>(self, high: Self) -> Self {
        let by = N.unsigned_abs();
        Self(each!(2, half => self.0[half].shr_by(by) | high.0[half].shl_by(64 - by)))
    }

    #[inline(always)]
    fn magnitude(self) -> Self {
        let sign = self.less_signed(self.splat_like(0));
        (self ^ sign) - sign
    }

    #[inline(always)]
    fn shl_by(self, count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Self(each!(2, half => self.0[half].shl_by(count)))
    }

    #[inline(always)]
    fn shr_by(self, count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Self(each!(2, half => self.0[half].shr_by(count)))
    }

    #[inline(always)]
    fn replace(self, mask: LaneMask, yes: Self) -> Self {
        let selector = self.selector(mask);
        Self(each!(2, half => self.0[half].select(selector.0[half], yes.0[half])))
    }

    #[inline(always)]
    fn keep(self, mask: LaneMask) -> Self {
        self & self.selector(mask)
    }

    #[inline(always)]
    fn replace_with_difference(self, mask: LaneMask, minuend: Self, subtrahend: Self) -> Self {
        self.replace(mask, minuend - subtrahend)
    }

    #[inline(always)]
    fn equal(self, other: Self) -> LaneMask {
        self.equal_lanes(other).negative()
    }

    #[inline(always)]
    fn less(self, other: Self) -> LaneMask {
        let sign = self.splat_like(1 << 63);
        (self ^ sign).less_signed(other ^ sign).negative()
    }

    #[inline(always)]
    fn negative(self) -> LaneMask {
        self.0[0].sign_bits() | self.0[1].sign_bits() << QUAD
    }

    #[inline(always)]
    fn any_bit(self, bits: Self) -> LaneMask {
        !(self & bits).equal(self.splat_like(0))
    }

    #[inline(always)]
    fn xor3(self, a: Self, b: Self) -> Self {
        self ^ a ^ b
    }

    #[inline(always)]
    fn xor_and_not(self, a: Self, b: Self) -> Self {
        self ^ Self(each!(2, half => a.0[half].not_and(b.0[half])))
    }

    #[inline(always)]
    fn rotate_lanes<const N: i32>(self) -> Self {
        let mut numbers = self.to_array();
        numbers.rotate_left(N.unsigned_abs() as usize);
        Self::load(self.proof(), &numbers)
    }

    #[inline(always)]
    fn swap_bytes(self) -> Self {
        Self(each!(2, half => self.0[half].swap_bytes()))
    }

    #[inline(always)]
    fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        // Four quarters, each transposed by itself; those off the diagonal change places.
        let [front_front, front_back] = each!(2, half => Quad::transpose(each!(4, row => rows[row].0[half])));
        let [back_front, back_back] =
            each!(2, half => Quad::transpose(each!(4, row => rows[QUAD + row].0[half])));
        let front = each!(4, i => Self([front_front[i], back_front[i]]));
        let back = each!(4, i => Self([front_back[i], back_back[i]]));
        each!(8, i => if i < QUAD { front[i % QUAD] } else { back[i % QUAD] })
    }
}
