//! Eight scalars, modulo the group order n, side by side: the ratios of a signature, and the digits of both
//! multiplications.
//!
//! Limbs are as in [`super::field`]. Products are Montgomery's, with R = 2^260.

use super::field::{LIMB_BITS, LIMB_MASK, masked};
use super::inverse::{Modulus, Words};
use super::multiplier::multiply_into;
use crate::simd::lanes::{LaneMask, Lanes, each};

/// n.
pub(super) const ORDER: Words =
    [0xbfd2_5e8c_d036_4141, 0xbaae_dce6_af48_a03b, 0xffff_ffff_ffff_fffe, 0xffff_ffff_ffff_ffff];
/// Inverts one scalar.
pub(super) const ORDER_MODULUS: Modulus = Modulus::new(ORDER);

const ORDER_LIMBS: [u64; 5] = to_limbs(ORDER);
/// −n⁻¹ mod 2^52.
const ORDER_INVERSE_NEGATED: u64 = {
    let mut inverse = 1_u64;
    let mut step = 0;
    while step < 6 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(ORDER[0].wrapping_mul(inverse)));
        step += 1;
    }
    inverse.wrapping_neg() & LIMB_MASK
};
/// R² mod n = 2^520 mod n.
pub(super) const R_SQUARED: Words =
    [0xc8ee_180c_268b_3b23, 0x9759_4894_fd6e_33e4, 0x97f5_e45b_cd07_c73b, 0x671c_d581_c69b_c5e6];

/// The endomorphism (x, y) → (βx, y) multiplies by λ. With lattice vectors (a1, −b1) and (a2, a1), for which
/// a + bλ ≡ 0, k is k1 + k2·λ with halves of both; g1 = round(2^384 a1 / n), g2 = round(2^384 b1 / n).
/// (Gallant, Lambert and Vanstone, 2001; numbers as in libsecp256k1, `scalar_impl.h`.)
const G1: [u64; 5] =
    to_limbs([0xe893_209a_45db_b031, 0x3daa_8a14_71e8_ca7f, 0xe86c_90e4_9284_eb15, 0x3086_d221_a7d4_6bcd]);
const G2: [u64; 5] =
    to_limbs([0x1571_b4ae_8ac4_7f71, 0x2212_08ac_9df5_06c6, 0x6f54_7fa9_0abf_e4c4, 0xe443_7ed6_010e_8828]);
const A1: [u64; 3] = low_limbs([0xe86c_90e4_9284_eb15, 0x3086_d221_a7d4_6bcd, 0, 0]);
const B1: [u64; 3] = low_limbs([0x6f54_7fa9_0abf_e4c3, 0xe443_7ed6_010e_8828, 0, 0]);
const A2: [u64; 3] = low_limbs([0x57c1_108d_9d44_cfd8, 0x14ca_50f7_a8e2_f3f6, 1, 0]);

const fn to_limbs(words: Words) -> [u64; 5] {
    [
        words[0] & LIMB_MASK,
        (words[0] >> 52 | words[1] << 12) & LIMB_MASK,
        (words[1] >> 40 | words[2] << 24) & LIMB_MASK,
        (words[2] >> 28 | words[3] << 36) & LIMB_MASK,
        words[3] >> 16,
    ]
}

const fn low_limbs(words: Words) -> [u64; 3] {
    let [a, b, c, _, _] = to_limbs(words);
    [a, b, c]
}

/// Scalars below 2^257: limbs 0 to 3 below 2^52, limb 4 below 2^49.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scalar<L>([L; 5]);

/// An odd number below 2^(52 N) in limbs of 52 bits, with a sign.
#[derive(Clone, Copy, Debug)]
pub(super) struct Odd<L, const N: usize> {
    limbs: [L; N],
    is_negative: LaneMask,
}

/// An odd digit of a number: its magnitude is 2 · index + 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digit<L> {
    pub(super) index: L,
    pub(super) is_negative: LaneMask,
}

impl<L: Lanes> Scalar<L> {
    #[inline(always)]
    fn new(limbs: [L; 5]) -> Self {
        debug_assert!(limbs[..4].iter().all(|limb| limb.all_below(1 << LIMB_BITS)), "limbs below 2^52");
        debug_assert!(limbs[4].all_below(1 << 49), "value below 2^257");
        Self(limbs)
    }

    /// Numbers below 2^256, in words of 64 bits.
    #[inline(always)]
    pub(super) fn from_words(words: [L; 4]) -> Self {
        let mask = words[0].splat_like(LIMB_MASK);
        Self::new([
            words[0] & mask,
            words[0].funnel_shr::<52>(words[1]) & mask,
            words[1].funnel_shr::<40>(words[2]) & mask,
            words[2].funnel_shr::<28>(words[3]) & mask,
            words[3].shr::<16>(),
        ])
    }

    #[inline(always)]
    pub(super) fn splat(proof: L::Proof, words: Words) -> Self {
        Self::from_words(each!(4, i => L::splat(proof, words[i])))
    }

    #[inline(always)]
    pub(super) fn proof(&self) -> L::Proof {
        self.0[0].proof()
    }

    /// The lanes where it is 0 modulo n, for values below 2n.
    #[inline(always)]
    pub(super) fn is_zero(&self) -> LaneMask {
        let [a, b, c, d, e] = self.canonical().0;
        (a | b | c | d | e).equal(a.splat_like(0))
    }

    /// `yes` in the lanes of the mask, self in the others.
    #[inline(always)]
    pub(super) fn replace(&self, mask: LaneMask, yes: &Self) -> Self {
        Self(each!(5, k => self.0[k].replace(mask, yes.0[k])))
    }

    /// R, which is 1 to [`Self::times`].
    #[inline(always)]
    pub(super) fn unit(proof: L::Proof) -> Self {
        Self::splat(proof, R_SQUARED).times(&Self::splat(proof, [1, 0, 0, 0]))
    }

    /// self · other / R: below n + self · other / 2^260, so below 2^257 for scalars.
    #[inline(always)]
    pub(super) fn times(&self, other: &Self) -> Self {
        let zero = self.0[0].splat_like(0);
        let order = each!(5, k => zero.splat_like(ORDER_LIMBS[k]));
        let inverse = zero.splat_like(ORDER_INVERSE_NEGATED);
        let mut c = multiply_into([zero; 10], &self.0, &other.0);
        for i in 0..5 {
            // The multiple of n that clears the low 52 bits of column i.
            let multiple = zero.madd_low(c[i], inverse);
            for j in 0..5 {
                c[i + j] = c[i + j].madd_low(multiple, order[j]);
            }
            for j in 0..5 {
                c[i + j + 1] = c[i + j + 1].madd_high(multiple, order[j]);
            }
            c[i + 1] = c[i + 1] + c[i].shr::<LIMB_BITS>();
        }
        let mut limbs = [c[5], c[6], c[7], c[8], c[9]];
        for k in 0..4 {
            limbs[k + 1] = limbs[k + 1] + limbs[k].shr::<LIMB_BITS>();
        }
        Self::new(masked(limbs))
    }

    /// The same residue below n, for values below 2n.
    #[inline(always)]
    pub(super) fn canonical(&self) -> Self {
        let mut less = self.0;
        for (limb, order) in less.iter_mut().zip(ORDER_LIMBS) {
            *limb = *limb - limb.splat_like(order);
        }
        let less = masked(carry_signed(less));
        let under = less[4].negative();
        let scalar = Self::new(each!(5, k => less[k].replace(under, self.0[k])));
        debug_assert!(scalar.0[4].all_below(1 << 48), "below n");
        scalar
    }

    /// self + other, for values below n.
    #[inline(always)]
    pub(super) fn plus(&self, other: &Self) -> Self {
        let mut sum = each!(5, k => self.0[k] + other.0[k]);
        for k in 0..4 {
            sum[k + 1] = sum[k + 1] + sum[k].shr::<LIMB_BITS>();
        }
        Self::new(masked(sum)).canonical()
    }

    /// Lane i becomes what lane (i + N) mod 8 was.
    #[inline(always)]
    pub(super) fn rotate_lanes<const N: i32>(&self) -> Self {
        Self(each!(5, k => self.0[k].rotate_lanes::<N>()))
    }

    /// Words of 64 bits of a canonical scalar in lane 0.
    #[inline(always)]
    pub(super) fn first_words(&self) -> Words {
        let [a, b, c, d, e] = each!(5, k => self.0[k].to_array()[0]);
        [a | b << 52, b >> 12 | c << 40, c >> 24 | d << 28, d >> 36 | e << 16]
    }

    /// self modulo n, for a canonical scalar, as an odd number: self or self − n, of which one is.
    #[inline(always)]
    pub(super) fn odd(&self) -> Odd<L, 5> {
        let is_even = !self.0[0].any_bit(self.0[0].splat_like(1));
        let mut difference = self.0;
        for (limb, order) in difference.iter_mut().zip(ORDER_LIMBS) {
            *limb = limb.splat_like(order) - *limb;
        }
        let difference = masked(carry_signed(difference));
        Odd { limbs: each!(5, k => self.0[k].replace(is_even, difference[k])), is_negative: is_even }
    }

    /// k1 and k2, both odd and below 2^129 in magnitude, with k1 + k2·λ ≡ self, for a canonical scalar.
    ///
    /// The nearest lattice point leaves |k1| < 0.64 · 2^128 and |k2| < 0.55 · 2^128. To make both odd, (a1, −b1) is
    /// added where k1 is even, then (a2, a1) where k2 is: up to 1.28 · 2^128 and 1.09 · 2^128 more.
    #[inline(always)]
    pub(super) fn split(&self) -> [Odd<L, 3>; 2] {
        let one = self.0[0].splat_like(1);
        let (c1, c2) = (self.times_and_shift_384(G1), self.times_and_shift_384(G2));
        let k = [self.0[0], self.0[1], self.0[2]];
        let mut k1 = minus_products(k, (&c1, A1), (&c2, A2));
        // k2 = c1 · b1 − c2 · a1.
        let mut k2 = minus_products([one.splat_like(0); 3], (&c2, A1), (&c1, negated(B1)));
        let k1_even = !k1[0].any_bit(one);
        for i in 0..3 {
            k1[i] = k1[i] + one.splat_like(A1[i]).keep(k1_even);
            k2[i] = k2[i] - one.splat_like(B1[i]).keep(k1_even);
        }
        // b1 and k2's lowest limb decide its parity without waiting for carries.
        let k2_even = !k2[0].any_bit(one);
        for i in 0..3 {
            k1[i] = k1[i] + one.splat_like(A2[i]).keep(k2_even);
            k2[i] = k2[i] + one.splat_like(A1[i]).keep(k2_even);
        }
        [Odd::from_signed(k1), Odd::from_signed(k2)]
    }

    /// round(self · g / 2^384), below 2^128, in three limbs.
    #[inline(always)]
    fn times_and_shift_384(&self, g: [u64; 5]) -> [L; 3] {
        let zero = self.0[0].splat_like(0);
        let mut c = multiply_into([zero; 10], &self.0, &each!(5, k => zero.splat_like(g[k])));
        // 384 is 7 · 52 + 20.
        c[7] = c[7] + zero.splat_like(1 << 19);
        for k in 0..9 {
            c[k + 1] = c[k + 1] + c[k].shr::<LIMB_BITS>();
        }
        let mask = zero.splat_like(LIMB_MASK);
        let (low, middle, high) = (c[7] & mask, c[8] & mask, c[9]);
        [
            (low.shr::<20>() | middle.shl::<32>()) & mask,
            (middle.shr::<20>() | high.shl::<32>()) & mask,
            high.shr::<20>(),
        ]
    }
}

/// 2^156 − number, so that taking it away adds the number.
const fn negated(number: [u64; 3]) -> [u64; 3] {
    let [a, b, c] = number;
    // All limbs of the constant that this is for are more than 0.
    [(1 << LIMB_BITS) - a, LIMB_MASK - b, LIMB_MASK - c]
}

/// k − a · b − c · d modulo 2^156 in three limbs: 0 and 1 below 2^52, 2 signed.
#[inline(always)]
fn minus_products<L: Lanes>(k: [L; 3], (a, b): (&[L; 3], [u64; 3]), (c, d): (&[L; 3], [u64; 3])) -> [L; 3] {
    let zero = k[0].splat_like(0);
    let mut sum = [zero; 3];
    for (x, y) in [(a, b), (c, d)] {
        let y = each!(3, i => zero.splat_like(y[i]));
        for i in 0..3 {
            for j in 0..3 - i {
                sum[i + j] = sum[i + j].madd_low(x[i], y[j]);
            }
            for j in 0..2_usize.saturating_sub(i) {
                sum[i + j + 1] = sum[i + j + 1].madd_high(x[i], y[j]);
            }
        }
    }
    signed_limbs(each!(3, i => k[i] - sum[i]))
}

/// Carries between three signed limbs and takes the result modulo 2^156, from −2^155 on.
#[inline(always)]
fn signed_limbs<L: Lanes>(mut limbs: [L; 3]) -> [L; 3] {
    let mask = limbs[0].splat_like(LIMB_MASK);
    for i in 0..2 {
        limbs[i + 1] = limbs[i + 1] + limbs[i].shr_signed::<LIMB_BITS>();
        limbs[i] = limbs[i] & mask;
    }
    limbs[2] = limbs[2].shl::<12>().shr_signed::<12>();
    limbs
}

#[inline(always)]
fn carry_signed<L: Lanes>(mut limbs: [L; 5]) -> [L; 5] {
    for k in 0..4 {
        limbs[k + 1] = limbs[k + 1] + limbs[k].shr_signed::<LIMB_BITS>();
    }
    limbs
}

impl<L: Lanes> Odd<L, 3> {
    /// From three signed limbs.
    #[inline(always)]
    fn from_signed(limbs: [L; 3]) -> Self {
        let limbs = signed_limbs(limbs);
        let is_negative = limbs[2].negative();
        let zero = limbs[0].splat_like(0);
        let limbs =
            signed_limbs(each!(3, i => limbs[i].replace_with_difference(is_negative, zero, limbs[i])));
        debug_assert!(limbs[2].all_below(1 << 25), "magnitude below 2^129");
        Self { limbs, is_negative }
    }

    /// (self + 2^bits − 1) / 2, for `bits` from 129 to 155.
    #[inline(always)]
    pub(super) fn offset(&self, bits: usize) -> [L; 3] {
        let zero = self.limbs[0].splat_like(0);
        let top = (1 << (bits - 2 * LIMB_BITS as usize)) - 1;
        let limbs = each!(3, i => {
            let limb = self.limbs[i].replace_with_difference(self.is_negative, zero, self.limbs[i]);
            limb + zero.splat_like(if i < 2 { LIMB_MASK } else { top })
        });
        let [a, b, c] = signed_limbs(limbs);
        let one = zero.splat_like(1);
        [a.shr::<1>() | (b & one).shl::<51>(), b.shr::<1>() | (c & one).shl::<51>(), c.shr::<1>()]
    }
}

impl<L: Lanes, const N: usize> Odd<L, N> {
    #[inline(always)]
    pub(super) fn one(proof: L::Proof) -> Self {
        let mut limbs = [L::splat(proof, 0); N];
        limbs[0] = L::splat(proof, 1);
        Self { limbs, is_negative: 0 }
    }

    /// Digit i of W bits, of as many as `digits`: the number is the sum of digit(i) · 2^(W i), and every digit is odd.
    ///
    /// A digit is as many bits and the one above, made odd, less 2^W: the next digit, which is odd anyway, makes up
    /// for it. The last is what is left. (Joye and Tunstall, *Exponent recoding and regular exponentiation
    /// algorithms*, 2009.)
    #[inline(always)]
    pub(super) fn digit<const W: usize>(&self, i: usize, digits: usize) -> Digit<L> {
        let one = self.limbs[0].splat_like(1);
        let (limb, shift) = (W * i / LIMB_BITS as usize, W * i % LIMB_BITS as usize);
        let mut bits = self.limbs[limb].shr_by(shift);
        if limb + 1 < N {
            bits = bits | self.limbs[limb + 1].shl_by(LIMB_BITS as usize - shift);
        }
        let bits = (bits & one.splat_like((2 << W) - 1)) | one;
        if i + 1 == digits {
            debug_assert!(bits.all_below(1 << W), "the last digit takes what is left");
            return Digit { index: bits.shr::<1>(), is_negative: self.is_negative };
        }
        let digit = bits - one.splat_like(1 << W);
        Digit { index: digit.magnitude().shr::<1>(), is_negative: digit.negative() ^ self.is_negative }
    }
}
