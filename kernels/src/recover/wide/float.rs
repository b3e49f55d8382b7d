//! The multiplier of AVX2: products of 52-bit limbs in floating point.
//!
//! Operands are doubles. Low halves of products are signed ([`Reals::product`]), so that columns start from a multiple of
//! p that keeps them positive, less the biases that all halves come with: both together are one constant for each column.
//!
//! Integer products of smaller limbs were measured against this, in nanoseconds a lane on a Zen 5 with two to four
//! independent multiplications at a time: radix 2^52 in floating point 5.8 a product; ten limbs of 26 bits 10.5, nine of
//! 29 bits 11.4. A product of four lanes is 263 instructions here, a square 164 and a reduction 98, of which 6 in each of
//! 25 (15, 5) partial products; with four vector instructions a cycle and all that a recovery multiplies, 185,000
//! instructions in all, 10 µs of the 12 to 13 that it takes are accounted for.

use super::field::{BIAS, FOLD_256, FOLD_260, LIMB_BITS, LIMB_MASK, TOP_BITS, TOP_MASK};
use super::multiplier::Multiplier;
use crate::simd::avx2::{Quad, Reals, U64x8};
use crate::simd::lanes::{Lanes, each};

/// Columns of 257 · 256 p or so, all but the last over 2^55: more than low halves can take away from any.
const POSITIVE: [u64; 10] = {
    let mut columns = [0; 10];
    let mut k = 0;
    while k < 5 {
        columns[k] += BIAS[k];
        columns[k + 4] += BIAS[k];
        k += 1;
    }
    columns
};

/// What columns that start from some constants must start from for biases to cancel.
const fn start(
    mut columns: [u64; 10],
    has_diagonal: bool,
    has_others: bool,
    has_mirrored: bool,
) -> [u64; 10] {
    let mut i = 0;
    while i < 5 {
        let mut j = 0;
        while j < 5 {
            if i == j && has_diagonal || i < j && has_others || i > j && has_mirrored {
                columns[i + j] = columns[i + j].wrapping_sub(Reals::LOW_BIAS);
                columns[i + j + 1] = columns[i + j + 1].wrapping_sub(Reals::HIGH_BIAS);
            }
            j += 1;
        }
        i += 1;
    }
    columns
}

const PRODUCT_START: [u64; 10] = start(POSITIVE, true, true, true);
const MORE_PRODUCT_START: [u64; 10] = start([0; 10], true, true, true);
const OTHERS_START: [u64; 10] = start([0; 10], false, true, false);
const DIAGONAL_START: [u64; 10] = start(POSITIVE, true, false, false);

/// What folding adds to columns 0 to 4 for its biases to cancel, and to the column beyond.
const FOLD_START: [u64; 5] = {
    let one_low = 0_u64.wrapping_sub(Reals::LOW_BIAS);
    let both = one_low.wrapping_sub(Reals::HIGH_BIAS);
    [one_low, both, both, both, both]
};
/// The same for the second fold, whose two halves go into columns 0 and 1.
const SECOND_FOLD_START: [u64; 2] =
    [0_u64.wrapping_sub(Reals::LOW_BIAS), 0_u64.wrapping_sub(Reals::HIGH_BIAS)];

/// Applies a function to each half of arrays of lanes.
macro_rules! by_halves {
    ($len:tt, $half:ident => $value:expr) => {{
        let [front, back] = each!(2, $half => $value);
        each!($len, k => U64x8([front[k], back[k]]))
    }};
}

impl Multiplier for U64x8 {
    #[inline(always)]
    fn operand(limbs: [Self; 5]) -> [Self; 5] {
        debug_assert!(limbs.iter().all(|limb| limb.all_below(1 << LIMB_BITS)), "limbs below 2^52");
        each!(5, k => Self(each!(2, half => limbs[k].0[half].to_reals().to_bits())))
    }

    #[inline(always)]
    fn operand_of_carried(mut limbs: [Self; 5]) -> [Self; 5] {
        let mask = limbs[0].splat_like(LIMB_MASK);
        for limb in &mut limbs[..4] {
            *limb = *limb & mask;
        }
        Self::operand(limbs)
    }

    #[inline(always)]
    fn limbs(operand: [Self; 5]) -> [Self; 5] {
        each!(5, k => Self(each!(2, half => operand[k].0[half].as_reals().to_integers())))
    }

    #[inline(always)]
    fn product(a: &[Self; 5], b: &[Self; 5]) -> [Self; 10] {
        by_halves!(10, half => {
            apart::product(&reals(a, half), &reals(b, half))
        })
    }

    #[inline(always)]
    fn square(a: &[Self; 5]) -> [Self; 10] {
        by_halves!(10, half => apart::square(&reals(a, half)))
    }

    #[inline(always)]
    fn plus_product(columns: [Self; 10], a: &[Self; 5], b: &[Self; 5]) -> [Self; 10] {
        by_halves!(10, half => {
            apart::add_product(&each!(10, k => columns[k].0[half]), &reals(a, half), &reals(b, half))
        })
    }

    #[inline(always)]
    fn folded(columns: [Self; 10]) -> [Self; 5] {
        by_halves!(5, half => apart::folded(&each!(10, k => columns[k].0[half])))
    }
}

/// The arithmetic of one register, in functions of their own: short enough for the scheduler of the compiler to make do with
/// 16 registers, which it does not where one product follows the other, and for the cache of decoded instructions.
#[allow(
    unsafe_code,
    reason = "enters functions with vector instructions, on proof that the processor has them"
)]
mod apart {
    use super::{Quad, Reals};

    /// `inline(never)` is lost on functions that enable features, so that each gets an envelope.
    macro_rules! apart {
        ($(fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {$(
            #[inline(never)]
            pub(super) fn $name($($arg: $type),*) -> $result {
                #[target_feature(enable = "avx2,fma")]
                fn inner($($arg: $type),*) -> $result {
                    super::$name($($arg),*)
                }
                // SAFETY: a `Quad` or a `Reals` proves that the processor has the instructions.
                unsafe { inner($($arg),*) }
            }
        )*};
    }

    apart! {
        fn product(a: &[Reals; 5], b: &[Reals; 5]) -> [Quad; 10];
        fn square(a: &[Reals; 5]) -> [Quad; 10];
        fn add_product(columns: &[Quad; 10], a: &[Reals; 5], b: &[Reals; 5]) -> [Quad; 10];
        fn folded(columns: &[Quad; 10]) -> [Quad; 5];
    }
}

#[inline(always)]
fn reals(operand: &[U64x8; 5], half: usize) -> [Reals; 5] {
    each!(5, k => operand[k].0[half].as_reals())
}

/// a · b in positive columns.
#[inline(always)]
fn product(a: &[Reals; 5], b: &[Reals; 5]) -> [Quad; 10] {
    let zero = a[0].to_bits();
    accumulate(each!(10, k => zero.splat_like(PRODUCT_START[k])), a, b)
}

/// columns + a · b.
#[inline(always)]
fn add_product(columns: &[Quad; 10], a: &[Reals; 5], b: &[Reals; 5]) -> [Quad; 10] {
    accumulate(each!(10, k => columns[k] + columns[k].splat_like(MORE_PRODUCT_START[k])), a, b)
}

/// columns + a · b and all biases. Column by column, so that two sums at a time are in registers, of which there are 16.
#[inline(always)]
fn accumulate(mut columns: [Quad; 10], a: &[Reals; 5], b: &[Reals; 5]) -> [Quad; 10] {
    for k in 0..9 {
        for i in 0..5 {
            if i <= k && k - i < 5 {
                let [low, high] = a[i].product(b[k - i]);
                columns[k] = columns[k] + low;
                columns[k + 1] = columns[k + 1] + high;
            }
        }
    }
    columns
}

#[inline(always)]
fn square(a: &[Reals; 5]) -> [Quad; 10] {
    let zero = a[0].to_bits().splat_like(0);
    let mut columns = each!(10, k => zero.splat_like(OTHERS_START[k]));
    for k in 1..8 {
        for i in 0..4 {
            if 2 * i < k && k - i < 5 {
                let [low, high] = a[i].product(a[k - i]);
                columns[k] = columns[k] + low;
                columns[k + 1] = columns[k + 1] + high;
            }
        }
    }
    for column in &mut columns[1..9] {
        *column = *column + *column;
    }
    for k in 0..10 {
        columns[k] = columns[k] + zero.splat_like(DIAGONAL_START[k]);
    }
    for i in 0..5 {
        let [low, high] = a[i].product(a[i]);
        columns[2 * i] = columns[2 * i] + low;
        columns[2 * i + 1] = columns[2 * i + 1] + high;
    }
    columns
}

#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "37 bits fit into a double")]
fn folded(columns: &[Quad; 10]) -> [Quad; 5] {
    let mut c = *columns;
    let mask = c[0].splat_like(LIMB_MASK);
    for k in 5..9 {
        c[k + 1] = c[k + 1] + c[k].shr::<LIMB_BITS>();
        c[k] = c[k] & mask;
    }
    debug_assert!(U64x8([c[9]; 2]).all_below(1 << LIMB_BITS), "product below 2^520");
    // Columns 5 to 9 times 2^260 mod p, into columns 0 to 4, and 37 bits into a new column 5.
    let mut beyond = mask;
    for k in 0..5 {
        let upper = c[k + 5].to_reals();
        let [low, high] = upper.product(upper.splat_like(FOLD_260 as f64));
        c[k] = c[k] + low;
        if k < 4 {
            c[k + 1] = c[k + 1] + high;
        } else {
            beyond = high - high.splat_like(Reals::HIGH_BIAS);
        }
    }
    for k in 0..5 {
        c[k] = c[k] + mask.splat_like(FOLD_START[k]);
    }
    // All from bit 256 on, 42 bits, times 2^256 mod p.
    let over = (beyond.shl::<4>() + c[4].shr::<TOP_BITS>()).to_reals();
    let [low, high] = over.product(over.splat_like(FOLD_256 as f64));
    [
        c[0] + low + mask.splat_like(SECOND_FOLD_START[0]),
        c[1] + high + mask.splat_like(SECOND_FOLD_START[1]),
        c[2],
        c[3],
        c[4] & mask.splat_like(TOP_MASK),
    ]
}
