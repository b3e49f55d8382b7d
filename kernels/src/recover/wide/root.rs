//! Square roots in the field, many at once.

use super::compiled::{squared_times as power, times as product};
use super::field::Factor;
use super::multiplier::Multiplier;

/// Factors that are raised to one power side by side, so that each fills the other's waiting.
pub(super) const POWERS: usize = 4;

/// a^(2^times).
#[inline(always)]
pub(super) fn squared_times<L: Multiplier>(a: &[Factor<L>; POWERS], times: usize) -> [Factor<L>; POWERS] {
    let [mut w, mut x, mut y, mut z] = *a;
    for _ in 0..times {
        (w, x, y, z) = (w.squared(), x.squared(), y.squared(), z.squared());
    }
    [w, x, y, z]
}

#[inline(always)]
pub(super) fn times<L: Multiplier>(a: &[Factor<L>; POWERS], b: &[Factor<L>; POWERS]) -> [Factor<L>; POWERS] {
    [a[0].times(&b[0]), a[1].times(&b[1]), a[2].times(&b[2]), a[3].times(&b[3])]
}

/// a^((p + 1) / 4), a square root where there is one: p is 3 modulo 4.
///
/// The exponent has runs of ones of lengths 2, 22 and 223, whence 253 squarings and 13 multiplications
/// (libsecp256k1, `field_impl.h`). xN is a^(2^N − 1).
#[inline(always)]
pub(super) fn square_roots<L: Multiplier>(a: &[Factor<L>; POWERS]) -> [Factor<L>; POWERS] {
    let proof = a[0].proof();
    let x2 = product(proof, &power(proof, a, 1), a);
    let x3 = product(proof, &power(proof, &x2, 1), a);
    let x6 = product(proof, &power(proof, &x3, 3), &x3);
    let x9 = product(proof, &power(proof, &x6, 3), &x3);
    let x11 = product(proof, &power(proof, &x9, 2), &x2);
    let x22 = product(proof, &power(proof, &x11, 11), &x11);
    let x44 = product(proof, &power(proof, &x22, 22), &x22);
    let x88 = product(proof, &power(proof, &x44, 44), &x44);
    let x176 = product(proof, &power(proof, &x88, 88), &x88);
    let x220 = product(proof, &power(proof, &x176, 44), &x44);
    let x223 = product(proof, &power(proof, &x220, 3), &x3);
    let root = product(proof, &power(proof, &x223, 23), &x22);
    let root = product(proof, &power(proof, &root, 6), &x2);
    power(proof, &root, 2)
}
