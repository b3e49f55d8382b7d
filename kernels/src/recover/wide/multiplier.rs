//! What field arithmetic asks of a multiplier of 52-bit limbs: products in columns, and their reduction modulo p.
//!
//! It is where backends differ most. IFMA multiplies integers, ignores what an operand has above bit 52 and adds while it
//! multiplies; AVX2 multiplies in floating point ([`super::float`]).

use super::field::{FOLD_256, FOLD_260, LIMB_BITS, TOP_BITS, TOP_MASK, masked};
use crate::simd::avx512;
use crate::simd::lanes::Lanes;

/// Lanes that multiply.
///
/// *Operands* are five limbs in the form that multiplication takes them, which is up to the backend; they stand for
/// values below 2^260. *Columns* are ten sums of products, each below 2^60 and of weight 2^52 to that above it.
pub(super) trait Multiplier: Lanes {
    /// An operand of limbs 0 to 3 below 2^52 and limb 4 below 2^52.
    fn operand(limbs: [Self; 5]) -> [Self; 5];

    /// An operand of limb 4 below 2^52 and others that count modulo 2^52.
    fn operand_of_carried(limbs: [Self; 5]) -> [Self; 5];

    /// The limbs of an operand, below 2^52.
    fn limbs(operand: [Self; 5]) -> [Self; 5];

    /// a · b, or that and a multiple of p, in columns below 2^58.
    fn product(a: &[Self; 5], b: &[Self; 5]) -> [Self; 10];

    /// a², or that and a multiple of p, in columns below 2^58.
    fn square(a: &[Self; 5]) -> [Self; 10];

    /// columns + a · b: at most 10 · 2^52 more in each.
    fn plus_product(columns: [Self; 10], a: &[Self; 5], b: &[Self; 5]) -> [Self; 10];

    /// Five limbs of the same residue modulo p, below 2^60; limb 4 below 2^48. The value must be below 2^520.
    fn folded(columns: [Self; 10]) -> [Self; 5];
}

/// columns + a · b: at most 10 · 2^52 more in each, for operands below 2^260.
#[inline(always)]
pub(super) fn multiply_into<L: Lanes>(mut columns: [L; 10], a: &[L; 5], b: &[L; 5]) -> [L; 10] {
    for i in 0..5 {
        for j in 0..5 {
            columns[i + j] = columns[i + j].madd_low(a[i], b[j]);
        }
        for j in 0..5 {
            columns[i + j + 1] = columns[i + j + 1].madd_high(a[i], b[j]);
        }
    }
    columns
}

impl Multiplier for avx512::U64x8 {
    #[inline(always)]
    fn operand(limbs: [Self; 5]) -> [Self; 5] {
        limbs
    }

    #[inline(always)]
    fn operand_of_carried(limbs: [Self; 5]) -> [Self; 5] {
        limbs
    }

    #[inline(always)]
    fn limbs(operand: [Self; 5]) -> [Self; 5] {
        masked(operand)
    }

    #[inline(always)]
    fn product(a: &[Self; 5], b: &[Self; 5]) -> [Self; 10] {
        multiply_into([a[0].splat_like(0); 10], a, b)
    }

    #[inline(always)]
    fn square(a: &[Self; 5]) -> [Self; 10] {
        let mut columns = [a[0].splat_like(0); 10];
        for i in 0..5 {
            for j in i + 1..5 {
                columns[i + j] = columns[i + j].madd_low(a[i], a[j]);
            }
            for j in i + 1..5 {
                columns[i + j + 1] = columns[i + j + 1].madd_high(a[i], a[j]);
            }
        }
        for column in &mut columns[1..9] {
            *column = *column + *column;
        }
        for i in 0..5 {
            columns[2 * i] = columns[2 * i].madd_low(a[i], a[i]);
            columns[2 * i + 1] = columns[2 * i + 1].madd_high(a[i], a[i]);
        }
        columns
    }

    #[inline(always)]
    fn plus_product(columns: [Self; 10], a: &[Self; 5], b: &[Self; 5]) -> [Self; 10] {
        multiply_into(columns, a, b)
    }

    #[inline(always)]
    fn folded(mut c: [Self; 10]) -> [Self; 5] {
        // Columns 5 to 9 times 2^260 mod p, into columns 0 to 4, and 37 bits into a new column 5. What they have above bit
        // 52 is multiplied apart rather than carried: nothing waits for a chain of carries.
        debug_assert!(c[9].all_below(1 << LIMB_BITS), "product below 2^520");
        let zero = c[0].splat_like(0);
        let fold = c[0].splat_like(FOLD_260);
        for k in 0..5 {
            c[k] = c[k].madd_low(c[k + 5], fold);
        }
        for k in 0..4 {
            c[k + 1] = c[k + 1].madd_low(c[k + 5].shr::<LIMB_BITS>(), fold);
            c[k + 1] = c[k + 1].madd_high(c[k + 5], fold);
        }
        let beyond = zero.madd_high(c[9], fold);
        // All from bit 256 on, 42 bits, times 2^256 mod p.
        let over = beyond.shl::<4>() + c[4].shr::<TOP_BITS>();
        let fold = zero.splat_like(FOLD_256);
        [c[0].madd_low(over, fold), c[1].madd_high(over, fold), c[2], c[3], c[4] & zero.splat_like(TOP_MASK)]
    }
}
