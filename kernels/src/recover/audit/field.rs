//! Elements of the field of p = 2^256 − 2^32 − 977 in four words, for any processor.
//!
//! An [`Element`] is below 2^256, so that two numbers stand for each residue below 2^32 + 977 and one for any other;
//! [`Element::canonical`] is the one below p.

use super::Words;

/// p, least significant word first.
const PRIME: Words = [0xffff_fffe_ffff_fc2f, u64::MAX, u64::MAX, u64::MAX];
/// 2^256 mod p.
const FOLD: u64 = 0x1_0000_03d1;

/// A residue modulo p, as any number below 2^256 that is congruent to it; least significant word first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element(Words);

/// a + b + carry, and the carry out of it.
#[inline(always)]
const fn add(a: u64, b: u64, carry: u64) -> (u64, u64) {
    let sum = a as u128 + b as u128 + carry as u128;
    split(sum)
}

/// a − b − borrow, and the borrow out of it.
#[inline(always)]
const fn subtract(a: u64, b: u64, borrow: u64) -> (u64, u64) {
    let (difference, first) = a.overflowing_sub(b);
    let (difference, second) = difference.overflowing_sub(borrow);
    (difference, (first | second) as u64)
}

/// a + b · c + carry, and the carry out of it: never more than 128 bits.
#[inline(always)]
const fn multiply_add(a: u64, b: u64, c: u64, carry: u64) -> (u64, u64) {
    split(a as u128 + b as u128 * c as u128 + carry as u128)
}

/// The low and the high half.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the low half is wanted")]
const fn split(number: u128) -> (u64, u64) {
    (number as u64, (number >> 64) as u64)
}

/// a · b in full.
#[inline(always)]
pub(super) const fn product(a: &Words, b: &Words) -> [u64; 8] {
    let mut columns = [0; 8];
    let mut i = 0;
    while i < 4 {
        let mut carry = 0;
        let mut j = 0;
        while j < 4 {
            (columns[i + j], carry) = multiply_add(columns[i + j], a[i], b[j], carry);
            j += 1;
        }
        columns[i + 4] = carry;
        i += 1;
    }
    columns
}

/// A number below 2^512 modulo p.
#[inline(always)]
const fn reduced(columns: &[u64; 8]) -> Element {
    let mut words = [0; 4];
    let mut carry = 0;
    let mut i = 0;
    while i < 4 {
        (words[i], carry) = multiply_add(columns[i], columns[i + 4], FOLD, carry);
        i += 1;
    }
    // The carry is below 2^34.
    folded(words, carry)
}

/// words + over · 2^256 modulo p, for `over` below 2^34.
#[inline(always)]
const fn folded(mut words: Words, over: u64) -> Element {
    let mut carry;
    (words[0], carry) = multiply_add(words[0], over, FOLD, 0);
    let mut i = 1;
    while i < 4 {
        (words[i], carry) = add(words[i], carry, 0);
        i += 1;
    }
    // If that overflows, what is left is below 2^68, so that once more cannot.
    (words[0], carry) = multiply_add(words[0], carry, FOLD, 0);
    (words[1], carry) = add(words[1], carry, 0);
    words[2] = words[2].wrapping_add(carry);
    Element(words)
}

impl Element {
    pub(super) const ZERO: Self = Self([0; 4]);
    pub(super) const ONE: Self = Self([1, 0, 0, 0]);
    /// The constant of the curve: y² = x³ + 7.
    pub(super) const SEVEN: Self = Self([7, 0, 0, 0]);
    /// β: (βx, y) is λ · (x, y).
    pub(super) const BETA: Self =
        Self([0xc139_6c28_7195_01ee, 0x9cf0_4975_12f5_8995, 0x6e64_479e_ac34_34e9, 0x7ae9_6a2b_657c_0710]);

    /// Of any words.
    #[inline(always)]
    pub(super) const fn new(words: Words) -> Self {
        Self(words)
    }

    /// Of a number below p; `None` for others.
    #[inline(always)]
    pub(super) fn from_canonical(words: Words) -> Option<Self> {
        let is_below = words.iter().rev().lt(PRIME.iter().rev());
        is_below.then_some(Self(words))
    }

    /// The number below p.
    #[inline(always)]
    pub(super) const fn canonical(self) -> Words {
        // Adding 2^256 − p overflows from p on, and has then taken p away.
        let (mut less, mut carry) = ([0; 4], FOLD);
        let mut i = 0;
        while i < 4 {
            (less[i], carry) = add(self.0[i], carry, 0);
            i += 1;
        }
        if carry == 0 { self.0 } else { less }
    }

    #[inline(always)]
    pub(super) const fn plus(&self, other: &Self) -> Self {
        let (mut sum, mut carry) = ([0; 4], 0);
        let mut i = 0;
        while i < 4 {
            (sum[i], carry) = add(self.0[i], other.0[i], carry);
            i += 1;
        }
        folded(sum, carry)
    }

    #[inline(always)]
    pub(super) const fn minus(&self, other: &Self) -> Self {
        let (mut difference, mut borrow) = ([0; 4], 0);
        let mut i = 0;
        while i < 4 {
            (difference[i], borrow) = subtract(self.0[i], other.0[i], borrow);
            i += 1;
        }
        // What was borrowed is 2^256 − p too much; taking that away can borrow once more, where `other` was over p.
        let mut round = 0;
        while round < 2 {
            let mut by = borrow.wrapping_neg() & FOLD;
            i = 0;
            while i < 4 {
                (difference[i], by) = subtract(difference[i], by, 0);
                i += 1;
            }
            borrow = by;
            round += 1;
        }
        Self(difference)
    }

    /// −self if it is so, else self.
    #[inline(always)]
    pub(super) const fn negated_if(&self, is_negative: bool) -> Self {
        if is_negative { Self([0; 4]).minus(self) } else { *self }
    }

    #[inline(always)]
    pub(super) const fn times(&self, other: &Self) -> Self {
        reduced(&product(&self.0, &other.0))
    }

    #[inline(always)]
    pub(super) const fn squared(&self) -> Self {
        // The products of different words, twice, and the squares.
        let a = &self.0;
        let mut columns = [0; 8];
        let mut i = 0;
        while i < 3 {
            let mut carry = 0;
            let mut j = i + 1;
            while j < 4 {
                (columns[i + j], carry) = multiply_add(columns[i + j], a[i], a[j], carry);
                j += 1;
            }
            columns[i + 4] = carry;
            i += 1;
        }
        let mut k = 7;
        while k > 1 {
            columns[k] = columns[k] << 1 | columns[k - 1] >> 63;
            k -= 1;
        }
        columns[1] <<= 1;
        let mut carry = 0;
        let mut i = 0;
        while i < 4 {
            let (low, high) = split(a[i] as u128 * a[i] as u128);
            (columns[2 * i], carry) = add(columns[2 * i], low, carry);
            (columns[2 * i + 1], carry) = add(columns[2 * i + 1], high, carry);
            i += 1;
        }
        reduced(&columns)
    }

    #[inline(always)]
    pub(super) const fn is_zero(&self) -> bool {
        let [a, b, c, d] = self.canonical();
        a | b | c | d == 0
    }

    /// Whether both are the same residue.
    #[inline(always)]
    pub(super) const fn equals(&self, other: &Self) -> bool {
        self.minus(other).is_zero()
    }

    /// self^(p − 2): the inverse, and 0 for 0. 255 squarings and 15 multiplications, in libsecp256k1's order: the exponent
    /// has runs of ones of lengths 223, 22, 1, 2 and 1. xN is self^(2^N − 1).
    pub(super) fn inverted(&self) -> Self {
        let squared = |a: &Self, times: u32| (0..times).fold(*a, |a, _| a.squared());
        let x2 = squared(self, 1).times(self);
        let x3 = squared(&x2, 1).times(self);
        let x6 = squared(&x3, 3).times(&x3);
        let x9 = squared(&x6, 3).times(&x3);
        let x11 = squared(&x9, 2).times(&x2);
        let x22 = squared(&x11, 11).times(&x11);
        let x44 = squared(&x22, 22).times(&x22);
        let x88 = squared(&x44, 44).times(&x44);
        let x176 = squared(&x88, 88).times(&x88);
        let x220 = squared(&x176, 44).times(&x44);
        let x223 = squared(&x220, 3).times(&x3);
        let power = squared(&x223, 23).times(&x22);
        let power = squared(&power, 5).times(self);
        let power = squared(&power, 3).times(&x2);
        squared(&power, 2).times(self)
    }
}

#[cfg(test)]
mod tests {
    use k256::elliptic_curve::bigint::{NonZero, U256};

    use super::super::super::tests::Numbers;
    use super::*;

    /// Numbers that stress carries, then random ones.
    fn hard_numbers() -> Vec<U256> {
        let mut random = Numbers::new(61);
        let prime = U256::from_words(PRIME);
        let mut hard = vec![U256::ZERO, U256::ONE, U256::MAX, prime, prime.wrapping_sub(&U256::ONE)];
        hard.push(prime.wrapping_add(&U256::ONE));
        hard.push(U256::from_u64(FOLD));
        hard.push(U256::from_u64(FOLD - 1));
        for bit in [1, 31, 32, 33, 63, 64, 65, 127, 128, 191, 192, 223, 255] {
            hard.push(U256::ONE.shl_vartime(bit));
            hard.push(U256::MAX.shr_vartime(bit));
            hard.push(U256::MAX.shl_vartime(bit));
            hard.push(prime.wrapping_sub(&U256::ONE.shl_vartime(bit)));
        }
        hard.resize_with(hard.len() + 60, || U256::from_be_slice(&random.word()));
        hard
    }

    #[test]
    fn arithmetic_matches_integers() {
        let prime = NonZero::new(U256::from_words(PRIME)).unwrap();
        let numbers = hard_numbers();
        for a in &numbers {
            let x = Element::new(a.to_words());
            let reduced = a.rem_vartime(&prime);
            assert_eq!(U256::from_words(x.canonical()), reduced, "canonical {a}");
            assert_eq!(Element::from_canonical(a.to_words()).is_some(), *a < *prime, "{a}");
            let square = U256::from_words(x.squared().canonical());
            assert_eq!(square, a.mul_mod_vartime(a, &prime), "{a} squared");
            let negative = U256::from_words(x.negated_if(true).canonical());
            assert_eq!(negative, U256::ZERO.sub_mod(&reduced, &prime), "−{a}");
            assert_eq!(x.is_zero(), reduced == U256::ZERO);
            for b in &numbers {
                let y = Element::new(b.to_words());
                let other = b.rem_vartime(&prime);
                let result = |element: Element| U256::from_words(element.canonical());
                assert_eq!(result(x.times(&y)), a.mul_mod_vartime(b, &prime), "{a} · {b}");
                assert_eq!(result(x.plus(&y)), reduced.add_mod(&other, &prime), "{a} + {b}");
                assert_eq!(result(x.minus(&y)), reduced.sub_mod(&other, &prime), "{a} − {b}");
                assert_eq!(x.equals(&y), reduced == other);
            }
        }
    }

    #[test]
    fn inverses_multiply_to_one() {
        for number in hard_numbers() {
            let element = Element::new(number.to_words());
            let expected = if element.is_zero() { [0; 4] } else { [1, 0, 0, 0] };
            assert_eq!(element.inverted().times(&element).canonical(), expected, "{number}");
        }
    }
}
