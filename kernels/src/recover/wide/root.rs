//! Square roots in the field, many at once.

use super::field::Factor;

/// Factors that are raised to one power side by side, so that each fills the other's waiting.
pub(super) const POWERS: usize = 4;

/// a^(2^times).
#[target_feature(enable = "avx512dq,avx512ifma,avx512vbmi2")]
fn squared_times(a: &[Factor; POWERS], times: usize) -> [Factor; POWERS] {
    let [mut w, mut x, mut y, mut z] = *a;
    for _ in 0..times {
        (w, x, y, z) = (w.squared(), x.squared(), y.squared(), z.squared());
    }
    [w, x, y, z]
}

#[target_feature(enable = "avx512dq,avx512ifma,avx512vbmi2")]
fn times(a: &[Factor; POWERS], b: &[Factor; POWERS]) -> [Factor; POWERS] {
    [a[0].times(&b[0]), a[1].times(&b[1]), a[2].times(&b[2]), a[3].times(&b[3])]
}

/// a^((p + 1) / 4), a square root where there is one: p is 3 modulo 4.
///
/// The exponent has runs of ones of lengths 2, 22 and 223, whence 253 squarings and 13 multiplications
/// (libsecp256k1, `field_impl.h`). xN is a^(2^N − 1).
#[target_feature(enable = "avx512dq,avx512ifma,avx512vbmi2")]
pub(super) fn square_roots(a: &[Factor; POWERS]) -> [Factor; POWERS] {
    let x2 = times(&squared_times(a, 1), a);
    let x3 = times(&squared_times(&x2, 1), a);
    let x6 = times(&squared_times(&x3, 3), &x3);
    let x9 = times(&squared_times(&x6, 3), &x3);
    let x11 = times(&squared_times(&x9, 2), &x2);
    let x22 = times(&squared_times(&x11, 11), &x11);
    let x44 = times(&squared_times(&x22, 22), &x22);
    let x88 = times(&squared_times(&x44, 44), &x44);
    let x176 = times(&squared_times(&x88, 88), &x88);
    let x220 = times(&squared_times(&x176, 44), &x44);
    let x223 = times(&squared_times(&x220, 3), &x3);
    let root = times(&squared_times(&x223, 23), &x22);
    let root = times(&squared_times(&root, 6), &x2);
    squared_times(&root, 2)
}
