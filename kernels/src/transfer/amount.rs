//! Amounts in limbs: unsigned 256 bits as four `u64`, signed 160 bits as the device's five `u32`.

use std::cmp::Ordering;

use bytemuck::{Pod, Zeroable};

/// `a + b`, and whether it exceeds 256 bits.
#[inline(always)]
#[must_use]
pub fn add(a: [u64; 4], b: [u64; 4]) -> ([u64; 4], bool) {
    let (r0, c) = a[0].carrying_add(b[0], false);
    let (r1, c) = a[1].carrying_add(b[1], c);
    let (r2, c) = a[2].carrying_add(b[2], c);
    let (r3, c) = a[3].carrying_add(b[3], c);
    ([r0, r1, r2, r3], c)
}

/// `a - b`, and whether `b > a`.
#[inline(always)]
#[must_use]
pub fn sub(a: [u64; 4], b: [u64; 4]) -> ([u64; 4], bool) {
    let (r0, c) = a[0].borrowing_sub(b[0], false);
    let (r1, c) = a[1].borrowing_sub(b[1], c);
    let (r2, c) = a[2].borrowing_sub(b[2], c);
    let (r3, c) = a[3].borrowing_sub(b[3], c);
    ([r0, r1, r2, r3], c)
}

/// 128 bits widened to 256.
#[inline(always)]
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "the two halves are taken apart")]
pub const fn widen(a: u128) -> [u64; 4] {
    [a as u64, (a >> 64) as u64, 0, 0]
}

/// The low 128 bits.
#[inline(always)]
#[must_use]
pub const fn low(a: [u64; 4]) -> u128 {
    a[0] as u128 | (a[1] as u128) << 64
}

/// A signed amount of 160 bits in two's complement: five `u32` limbs, least significant first.
///
/// Bounds: a sum of fewer than 2^26 terms, each below 2^129 in magnitude, stays below 2^155.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct I160(pub [u32; 5]);

impl I160 {
    /// Zero.
    pub const ZERO: Self = Self([0; 5]);

    /// A non-negative amount of 128 bits.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "each limb takes its own 32 bits")]
    pub const fn from_u128(a: u128) -> Self {
        Self([a as u32, (a >> 32) as u32, (a >> 64) as u32, (a >> 96) as u32, 0])
    }

    /// `self + other`, modulo 2^160.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let (mut sum, mut carry) = ([0; 5], false);
        for ((sum, a), b) in sum.iter_mut().zip(self.0).zip(other.0) {
            (*sum, carry) = a.carrying_add(b, carry);
        }
        Self(sum)
    }

    /// `self - other`, modulo 2^160.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        let (mut difference, mut borrow) = ([0; 5], false);
        for ((difference, a), b) in difference.iter_mut().zip(self.0).zip(other.0) {
            (*difference, borrow) = a.borrowing_sub(b, borrow);
        }
        Self(difference)
    }

    /// Whether the amount is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0[4] >> 31 == 1
    }

    /// The amount as 256 unsigned bits, if it is not below zero.
    #[must_use]
    pub fn to_limbs(self) -> Option<[u64; 4]> {
        let [a, b, c, d, e] = self.0.map(u64::from);
        (!self.is_negative()).then_some([a | b << 32, c | d << 32, e, 0])
    }
}

impl PartialOrd for I160 {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for I160 {
    fn cmp(&self, other: &Self) -> Ordering {
        // Flipping the sign bit orders two's complement like unsigned numbers.
        let ordered = |a: &Self| [a.0[4] ^ 1 << 31, a.0[3], a.0[2], a.0[1], a.0[0]];
        ordered(self).cmp(&ordered(other))
    }
}
