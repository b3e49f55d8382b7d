//! Random coefficients, and the digits of all scalars.
//!
//! A scalar is cut into digits that are odd, positive or negative: an odd number c between −2^(wm) and 2^(wm) is
//! the sum of dᵢ · 2^(w i) with dᵢ = 2 xᵢ + 1 − 2^w, where x₀ to xₘ₋₁ are the windows of w bits of
//! x = (c + 2^(wm) − 1) / 2. (Joye and Tunstall, *Exponent recoding and regular exponentiation algorithms*, 2009.) So x
//! takes the place of the scalar: no digit is 0, none carries into the next, and random x are random odd c.

use crate::keccak::Digest;

/// A window of x: the digit is 2 · code + 1 − 2^w.
pub(in crate::recover) type Code = u16;

/// Bits of a window at least and at most.
const BITS: std::ops::RangeInclusive<usize> = 4..=15;

/// Halves of scalars along the endomorphism are below 2^129 in magnitude.
pub(in crate::recover) const HALF_BITS: usize = 129;

/// Bits of a coefficient at least: a false batch passes once in 2^64 trials, or less.
const COEFFICIENT_BITS_MIN: usize = 64;

/// Coefficients that are drawn from one digest of 32 bytes.
pub(in crate::recover) const COEFFICIENTS: usize = 3;
/// Bytes of a digest for each.
const COEFFICIENT_BYTES: usize = 32 / COEFFICIENTS;

/// A number modulo 2^192, least significant word first; negative ones as their complement.
pub(in crate::recover) type Wide = [u64; 3];

/// How scalars are cut into digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::recover) struct Windows {
    /// w.
    pub(in crate::recover) bits: usize,
}

impl Windows {
    /// The width with the fewest additions for so many items.
    pub(in crate::recover) fn for_items(len: usize) -> Self {
        let cost = |windows: &Self| {
            // An addition for each digit, and two for each bucket.
            windows.slots() * len + 2 * windows.halves() * windows.buckets()
        };
        BITS.map(|bits| Self { bits }).min_by_key(cost).expect("there are widths to choose from")
    }

    /// Digits of a half.
    pub(in crate::recover) const fn halves(self) -> usize {
        HALF_BITS.div_ceil(self.bits)
    }

    /// Digits of a coefficient.
    pub(in crate::recover) const fn coefficients(self) -> usize {
        COEFFICIENT_BITS_MIN.div_ceil(self.bits)
    }

    /// Magnitudes of digits: bucket b is for ±(2 b + 1).
    pub(in crate::recover) const fn buckets(self) -> usize {
        1 << (self.bits - 1)
    }

    /// Digits of an item: those of both halves for window 0, window 1 and so on, then those of the coefficient.
    pub(in crate::recover) const fn slots(self) -> usize {
        2 * self.halves() + self.coefficients()
    }

    /// Bits of the x of a half.
    pub(in crate::recover) const fn half_bits(self) -> usize {
        self.halves() * self.bits
    }

    /// Bits of the x of a coefficient.
    pub(in crate::recover) const fn coefficient_bits(self) -> usize {
        self.coefficients() * self.bits
    }

    /// Window i of x.
    #[expect(clippy::cast_possible_truncation, reason = "masked to a window")]
    pub(in crate::recover) const fn code(self, x: &Wide, i: usize) -> Code {
        let (word, shift) = (self.bits * i / 64, self.bits * i % 64);
        let mut bits = x[word] >> shift;
        if shift + self.bits > 64 && word < 2 {
            bits |= x[word + 1] << (64 - shift);
        }
        bits as Code & ((1 << self.bits) - 1)
    }

    /// The bucket of a code, and whether the digit is negative.
    #[inline(always)]
    pub(in crate::recover) const fn bucket(self, code: Code) -> (u32, bool) {
        let half = 1 << (self.bits - 1);
        let is_negative = code < half;
        let index = if is_negative { !code } else { code } & (half - 1);
        (index as u32, is_negative)
    }

    /// The x of coefficient i of a random digest: each number of its bits equally often.
    #[expect(clippy::cast_possible_truncation, reason = "cut into words")]
    pub(in crate::recover) fn coefficient(self, digest: &Digest, i: usize) -> Wide {
        let mut wide = [0; 16];
        wide[..COEFFICIENT_BYTES].copy_from_slice(&digest[COEFFICIENT_BYTES * i..][..COEFFICIENT_BYTES]);
        let x = u128::from_le_bytes(wide) & ((1 << self.coefficient_bits()) - 1);
        [x as u64, (x >> 64) as u64, 0]
    }

    /// The x of an odd half.
    pub(in crate::recover) fn offset(self, half: &Wide) -> Wide {
        let mut offset = [u64::MAX, u64::MAX, 0];
        offset[2] = (1 << (self.half_bits() - 128)) - 1;
        let [low, middle, high] = plus(half, &offset);
        debug_assert!(
            low & 1 == 0 && high >> (self.half_bits() + 1 - 128) == 0,
            "an odd number within its bounds"
        );
        [low >> 1 | middle << 63, middle >> 1 | high << 63, high >> 1]
    }

    /// The slots of a kind of point, window by window: of R, of λR, then of −Q.
    pub(in crate::recover) fn slots_of(self, kind: usize) -> std::iter::StepBy<std::ops::Range<usize>> {
        let halves = 2 * self.halves();
        if kind < 2 { (kind..halves).step_by(2) } else { (halves..self.slots()).step_by(1) }
    }
}

/// a + b modulo 2^192.
pub(in crate::recover) fn plus(a: &Wide, b: &Wide) -> Wide {
    let mut carry = false;
    std::array::from_fn(|i| {
        let (sum, first) = a[i].overflowing_add(b[i]);
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        carry = first | second;
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_add_up_to_the_number() {
        for bits in BITS {
            let windows = Windows { bits };
            assert!(windows.half_bits() >= HALF_BITS && windows.half_bits() <= 191);
            assert!(windows.coefficient_bits() >= COEFFICIENT_BITS_MIN);
            assert!(windows.coefficient_bits() <= 8 * COEFFICIENT_BYTES);
            assert!(windows.coefficients() <= windows.halves());
            for digest in [
                [0; 32],
                [0xff; 32],
                [0x5a; 32],
                std::array::from_fn(|i| u8::try_from(37 * i % 251).unwrap()),
            ] {
                let x = windows.coefficient(&digest, 2);
                let number = u128::from(x[0]) | u128::from(x[1]) << 64;
                let digits = (0..windows.coefficients()).map(|i| digit(windows, &x, i) << (bits * i));
                let expected = 2 * number.cast_signed() + 1 - (1 << windows.coefficient_bits());
                assert_eq!(digits.sum::<i128>(), expected, "{bits} bits of {digest:02x?}");
            }
        }
    }

    #[test]
    fn halves_of_either_sign_have_their_digits() {
        for bits in BITS {
            let windows = Windows { bits };
            for half in [1, -1, 12_345, i128::MAX, -i128::MAX, i128::MIN + 1] {
                let words = half.to_le_bytes();
                let word = |i: usize| u64::from_le_bytes(words[8 * i..8 * i + 8].try_into().unwrap());
                let x = windows.offset(&[word(0), word(1), if half < 0 { u64::MAX } else { 0 }]);
                // Modulo 2^128, which drops what digits beyond have in excess.
                let total = (0..windows.halves()).fold(0_i128, |sum, i| {
                    let shift = u32::try_from(bits * i).unwrap();
                    sum.wrapping_add(digit(windows, &x, i).checked_shl(shift).unwrap_or(0))
                });
                assert_eq!(total, half, "{bits} bits");
            }
        }
    }

    /// Digit i of what x stands for.
    fn digit(windows: Windows, x: &Wide, i: usize) -> i128 {
        let (bucket, is_negative) = windows.bucket(windows.code(x, i));
        assert!((bucket as usize) < windows.buckets());
        let digit = 2 * i128::from(bucket) + 1;
        if is_negative { -digit } else { digit }
    }

    #[test]
    fn longer_batches_take_wider_windows() {
        assert_eq!([1, 4096, 65_536].map(|len| Windows::for_items(len).bits), [4, 11, 13]);
    }
}
