//! Eight elements of the field of p = 2^256 − 2^32 − 977 side by side, in five limbs of 52 bits.
//!
//! IFMA multiplies the *low 52 bits* of its operands whatever lies above them, and AVX2 takes them in another form. So a
//! number that will only be multiplied is a type of its own:
//!
//! - [`Fe`]: limbs 0 to 3 below 2^52, limb 4 below 2^48 + 2^9, so the value is below 2^256 + 2^218: almost reduced.
//! - [`Factor`]: a value below 2^260, fit for multiplication alone, as the multiplier takes it: with IFMA, limbs 0 to 3
//!   with anything above bit 52 and limb 4 below 2^52; with AVX2, limbs below 2^52 in floating point.
//! - [`Wide`]: ten columns below 2^60, the unreduced sum of products.
//!
//! All of them may stand for the same residue in more than one way; [`Fe::canonical`] is the one below p. Every
//! constructor checks its bounds in debug builds.

use super::inverse::{Modulus, Words};
use super::multiplier::Multiplier;
use crate::simd::lanes::{LaneMask, Lanes, each};

/// p.
pub(super) const PRIME: Words = [0xffff_fffe_ffff_fc2f, u64::MAX, u64::MAX, u64::MAX];
/// Inverts one element.
pub(super) const PRIME_MODULUS: Modulus = Modulus::new(PRIME);

pub(super) const LIMB_BITS: u32 = 52;
pub(super) const LIMB_MASK: u64 = (1 << LIMB_BITS) - 1;
/// 2^256 is limb 4's bit 48.
pub(super) const TOP_BITS: u32 = 48;
pub(super) const TOP_MASK: u64 = (1 << TOP_BITS) - 1;
/// Limb 4 of an [`Fe`] is below this.
const TOP_BOUND: u64 = (1 << TOP_BITS) + (1 << 9);
/// Columns of a [`Wide`] are below this.
const COLUMN_BOUND: u64 = 1 << 60;

/// 2^256 mod p: 33 bits.
pub(super) const FOLD_256: u64 = 0x1_0000_03d1;
/// 2^260 mod p: 37 bits.
pub(super) const FOLD_260: u64 = FOLD_256 << 4;
/// 256 p in limbs that all exceed 2^55, so that any limbs up to 2^55 can be taken away from them.
pub(super) const BIAS: [u64; 5] =
    [(1 << 56) - 256 * FOLD_256, (1 << 56) - 16, (1 << 56) - 16, (1 << 56) - 16, (1 << 56) - 16];

/// An almost reduced element; see the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fe<L>([L; 5]);

/// An element for multiplication alone; see the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Factor<L>([L; 5]);

/// A sum of products; see the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wide<L>([L; 10]);

/// What can be multiplied.
pub(super) trait Operand<L> {
    /// The form that [`Multiplier`] takes.
    fn operand(&self) -> [L; 5];
}

impl<L: Multiplier> Operand<L> for Fe<L> {
    #[inline(always)]
    fn operand(&self) -> [L; 5] {
        L::operand(self.0)
    }
}

impl<L: Multiplier> Operand<L> for Factor<L> {
    #[inline(always)]
    fn operand(&self) -> [L; 5] {
        self.0
    }
}

/// Carries between limbs below 2^64; limbs 0 to 3 keep what they passed on.
#[inline(always)]
fn carry<L: Lanes>(mut limbs: [L; 5]) -> [L; 5] {
    for k in 0..4 {
        limbs[k + 1] = limbs[k + 1] + limbs[k].shr::<LIMB_BITS>();
    }
    limbs
}

/// Carries between signed limbs of magnitude below 2^63; limbs 0 to 3 keep what they passed on.
#[inline(always)]
fn carry_signed<L: Lanes>(mut limbs: [L; 5]) -> [L; 5] {
    for k in 0..4 {
        limbs[k + 1] = limbs[k + 1] + limbs[k].shr_signed::<LIMB_BITS>();
    }
    limbs
}

/// Drops what limbs 0 to 3 have passed on.
#[inline(always)]
pub(super) fn masked<L: Lanes>(mut limbs: [L; 5]) -> [L; 5] {
    let mask = limbs[0].splat_like(LIMB_MASK);
    for limb in &mut limbs[..4] {
        *limb = *limb & mask;
    }
    limbs
}

/// Limbs of the same residue with bits 256 to 259 folded into the rest; at most one comes out.
#[inline(always)]
fn folded_top<L: Lanes>(mut limbs: [L; 5]) -> [L; 5] {
    let over = limbs[4].shr::<TOP_BITS>();
    limbs[4] = limbs[4] & limbs[4].splat_like(TOP_MASK);
    limbs[0] = limbs[0].madd_low(over, over.splat_like(FOLD_256));
    masked(carry(limbs))
}

impl<L: Multiplier> Fe<L> {
    #[inline(always)]
    fn new(limbs: [L; 5]) -> Self {
        debug_assert!(limbs[..4].iter().all(|limb| limb.all_below(1 << LIMB_BITS)), "limbs below 2^52");
        debug_assert!(limbs[4].all_below(TOP_BOUND), "top limb below 2^48 + 2^9");
        Self(limbs)
    }

    /// One number in every lane.
    #[inline(always)]
    pub(super) fn splat(proof: L::Proof, words: Words) -> Self {
        Self::from_words(each!(4, i => L::splat(proof, words[i])))
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

    /// Words of 64 bits of a value below 2^256, which [`Fe::below_2_256`] and [`Fe::canonical`] are.
    #[inline(always)]
    pub(super) fn to_words(self) -> [L; 4] {
        let [a, b, c, d, e] = self.0;
        debug_assert!(e.all_below(1 << TOP_BITS), "value below 2^256");
        [
            a | b.shl::<52>(),
            b.shr::<12>() | c.shl::<40>(),
            c.shr::<24>() | d.shl::<28>(),
            d.shr::<36>() | e.shl::<16>(),
        ]
    }

    #[inline(always)]
    pub(super) fn proof(&self) -> L::Proof {
        self.0[0].proof()
    }

    #[inline(always)]
    pub(super) fn factor(self) -> Factor<L> {
        Factor(L::operand(self.0))
    }

    /// self + other, below 2^257.1.
    #[inline(always)]
    pub(super) fn plus(&self, other: &Self) -> Factor<L> {
        Factor::new(carry(each!(5, k => self.0[k] + other.0[k])))
    }

    /// self + other, for values whose sum is below 2^256 + 2^218, such as a canonical element and a small number.
    #[inline(always)]
    pub(super) fn plus_small(&self, other: &Self) -> Self {
        Self::new(masked(carry(each!(5, k => self.0[k] + other.0[k]))))
    }

    /// Limbs of self − times · other + `multiple` · p, of magnitude below 2^55.
    #[inline(always)]
    fn difference(&self, other: &Self, times_log2: u32, multiple: u64) -> [L; 5] {
        let zero = self.0[0].splat_like(0);
        let mut limbs = self.0;
        for (limb, other) in limbs.iter_mut().zip(other.0) {
            *limb = *limb - if times_log2 == 0 { other } else { other + other };
        }
        limbs[0] = limbs[0] + zero.splat_like((multiple * FOLD_256).wrapping_neg());
        limbs[4] = limbs[4] + zero.splat_like(multiple << TOP_BITS);
        limbs
    }

    /// self − other.
    #[inline(always)]
    pub(super) fn minus(&self, other: &Self) -> Factor<L> {
        // other is below 2p, so that this is positive and below 2^258.
        Factor::new(carry_signed(self.difference(other, 0, 2)))
    }

    /// ±self − other, with − in the lanes of a mask.
    #[inline(always)]
    pub(super) fn signed_minus(&self, negative: LaneMask, other: &Self) -> Factor<L> {
        let zero = self.0[0].splat_like(0);
        let signed = Self(each!(5, k => self.0[k].replace_with_difference(negative, zero, self.0[k])));
        // Both are below 2p, so that this is positive and below 2^259.
        Factor::new(carry_signed(signed.difference(other, 0, 4)))
    }

    /// self − 2 · other.
    #[inline(always)]
    pub(super) fn minus_twice(&self, other: &Self) -> Factor<L> {
        Factor::new(carry_signed(self.difference(other, 1, 4)))
    }

    /// −self in the lanes of a mask, for values up to p.
    #[inline(always)]
    pub(super) fn negated_where(&self, mask: LaneMask) -> Self {
        let [a, b, c, d, e] = self.0;
        let zero = a.splat_like(0);
        let limbs = [
            a.replace_with_difference(mask, a.splat_like(FOLD_256.wrapping_neg()), a),
            b.replace_with_difference(mask, zero, b),
            c.replace_with_difference(mask, zero, c),
            d.replace_with_difference(mask, zero, d),
            e.replace_with_difference(mask, a.splat_like(1 << TOP_BITS), e),
        ];
        Self::new(masked(carry_signed(limbs)))
    }

    /// `yes` in the lanes of the mask, self in the others.
    #[inline(always)]
    pub(super) fn replace(&self, mask: LaneMask, yes: &Self) -> Self {
        Self(each!(5, k => self.0[k].replace(mask, yes.0[k])))
    }

    /// The same residue below p.
    #[inline(always)]
    pub(super) fn canonical(&self) -> Self {
        let limbs = self.below_2_256().0;
        // Below p or not, adding 2^256 − p tells by the carry into bit 256, and has then subtracted p.
        let mut less = limbs;
        less[0] = less[0] + less[0].splat_like(FOLD_256);
        let mut less = masked(carry(less));
        let over = less[4].any_bit(less[4].splat_like(1 << TOP_BITS));
        less[4] = less[4] & less[4].splat_like(TOP_MASK);
        Self::new(each!(5, k => limbs[k].replace(over, less[k])))
    }

    /// The same residue below 2^256.
    #[inline(always)]
    pub(super) fn below_2_256(&self) -> Self {
        // What exceeds 2^256 is at most 1, with next to nothing below it.
        Self::new(folded_top(self.0))
    }

    /// The lanes where both are the same residue.
    #[inline(always)]
    pub(super) fn equal(&self, other: &Self) -> LaneMask {
        let (a, b) = (self.canonical().0, other.canonical().0);
        (0..5).fold(LaneMask::MAX, |mask, k| mask & a[k].equal(b[k]))
    }

    /// The lanes where it is 0.
    #[inline(always)]
    pub(super) fn is_zero(&self) -> LaneMask {
        let [a, b, c, d, e] = self.canonical().0;
        (a | b | c | d | e).equal(a.splat_like(0))
    }

    /// The lanes where all limbs are 0.
    #[inline(always)]
    pub(super) fn is_nothing(&self) -> LaneMask {
        let [a, b, c, d, e] = self.0;
        (a | b | c | d | e).equal(a.splat_like(0))
    }

    /// The lanes where a canonical element is odd.
    #[inline(always)]
    pub(super) fn is_odd(&self) -> LaneMask {
        self.0[0].any_bit(self.0[0].splat_like(1))
    }
}

impl<L: Multiplier> Factor<L> {
    #[inline(always)]
    fn new(limbs: [L; 5]) -> Self {
        debug_assert!(limbs[4].all_below(1 << LIMB_BITS), "value below 2^260");
        Self(L::operand_of_carried(limbs))
    }

    #[inline(always)]
    pub(super) fn one(proof: L::Proof) -> Self {
        Fe::splat(proof, [1, 0, 0, 0]).factor()
    }

    #[inline(always)]
    pub(super) fn proof(&self) -> L::Proof {
        self.0[0].proof()
    }

    /// `yes` in the lanes of the mask, self in the others.
    #[inline(always)]
    pub(super) fn replace(&self, mask: LaneMask, yes: &Self) -> Self {
        Self(each!(5, k => self.0[k].replace(mask, yes.0[k])))
    }

    /// The same residue below 2^256, which can be added.
    #[inline(always)]
    pub(super) fn below_2_256(self) -> Fe<L> {
        // What exceeds 2^256 is below 16 at first and at most 1 then, with next to nothing below it.
        Fe::new(folded_top(folded_top(L::limbs(self.0))))
    }

    /// Lane i becomes what lane (i + N) mod 8 was.
    #[inline(always)]
    pub(super) fn rotate_lanes<const N: i32>(&self) -> Self {
        Self(each!(5, k => self.0[k].rotate_lanes::<N>()))
    }

    #[inline(always)]
    pub(super) fn times(&self, other: &impl Operand<L>) -> Self {
        Wide::product(self, other).factor()
    }

    #[inline(always)]
    pub(super) fn squared(&self) -> Self {
        Wide::square(self).factor()
    }
}

impl<L: Multiplier> Wide<L> {
    /// a · b.
    #[inline(always)]
    pub(super) fn product(a: &impl Operand<L>, b: &impl Operand<L>) -> Self {
        Self(L::product(&a.operand(), &b.operand()))
    }

    /// a².
    #[inline(always)]
    pub(super) fn square(a: &impl Operand<L>) -> Self {
        Self(L::square(&a.operand()))
    }

    /// self + a · b: 10 · 2^52 more in each column.
    #[inline(always)]
    pub(super) fn plus_product(self, a: &impl Operand<L>, b: &impl Operand<L>) -> Self {
        Self(L::plus_product(self.0, &a.operand(), &b.operand()))
    }

    /// Twice as much in each column.
    #[inline(always)]
    pub(super) fn doubled(self) -> Self {
        Self(each!(10, k => self.0[k] + self.0[k]))
    }

    /// self − the sum of elements with their weights, which must be below 8 together; 2^56 more in five columns.
    #[inline(always)]
    pub(super) fn minus<const N: usize>(mut self, elements: [(&Fe<L>, u32); N]) -> Self {
        debug_assert!(
            elements.iter().map(|&(_, weight_log2)| 1 << weight_log2).sum::<u32>() < 8,
            "weights below 8 together"
        );
        for (k, (column, bias)) in self.0.iter_mut().zip(BIAS).enumerate() {
            let biased = *column + column.splat_like(bias);
            *column = elements.iter().fold(biased, |sum, &(element, weight_log2)| {
                let limb = element.0[k];
                sum - match weight_log2 {
                    0 => limb,
                    1 => limb + limb,
                    _ => limb.shl::<2>(),
                }
            });
        }
        self
    }

    /// Five limbs of the same residue, below 2^60; limb 4 below 2^48.
    #[inline(always)]
    fn folded(self) -> [L; 5] {
        debug_assert!(self.0.iter().all(|column| column.all_below(COLUMN_BOUND)), "columns below 2^60");
        let limbs = L::folded(self.0);
        debug_assert!(limbs.iter().all(|limb| limb.all_below(COLUMN_BOUND)), "limbs below 2^60");
        limbs
    }

    #[inline(always)]
    pub(super) fn reduced(self) -> Fe<L> {
        Fe::new(masked(carry(self.folded())))
    }

    #[inline(always)]
    pub(super) fn factor(self) -> Factor<L> {
        Factor::new(carry(self.folded()))
    }

    /// Twice the residue.
    #[inline(always)]
    pub(super) fn factor_twice(self) -> Factor<L> {
        let limbs = self.folded();
        Factor::new(carry(each!(5, k => limbs[k] + limbs[k])))
    }

    /// Three times the residue.
    #[inline(always)]
    pub(super) fn factor_thrice(self) -> Factor<L> {
        let limbs = self.folded();
        Factor::new(carry(each!(5, k => limbs[k] + limbs[k] + limbs[k])))
    }
}
