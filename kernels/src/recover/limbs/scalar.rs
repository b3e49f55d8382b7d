//! Scalars into digits: the split that the endomorphism allows, and recoding into odd digits.
//!
//! secp256k1 has an endomorphism (x, y) ↦ (βx, y) that multiplies by λ (Gallant, Lambert, Vanstone 2001). A scalar k is
//! split into k = k1 + k2 λ (mod n) with halves of about 128 bits. The lattice of all (a, b) with a + bλ = 0 (mod n)
//! has the short basis v1 = (a1, b1), v2 = (a2, b2) with b2 = a1, and (k1, k2) = (k, 0) − c1 v1 − c2 v2 where
//! c1, c2 are b2 k/n and −b1 k/n, rounded. As in libsecp256k1 (`scalar_impl.h`), n is divided by with the
//! precomputed g1, g2 = 2^384 b2/n, 2^384 (−b1)/n; unlike there, only the top halves of k and g are multiplied.
//!
//! **Odd digits.** An odd k of at most w·m bits is a sum of m digits d\[i\] 2^(w i), each odd and between −(2^w − 1) and
//! 2^w − 1 (Joye, Tunstall 2009): with V = (k + 2^(w m)) / 2 rounded down, and v\[i\] its i-th w bits,
//! d\[i\] = 2 v\[i\] − (2^w − 1). No digit is 0, so every lane of a wave adds at every step. Digits are handed
//! over as V.
//!
//! **Bounds.** Dropping 2^116 (2^117) of k and of g changes the products by less than 2^-10 of a unit, so before the
//! halves are made odd |k1| ≤ 0.51 (a1 + a2) < 2^127.5 and |k2| ≤ 0.51 (−b1 + b2) < 2^127.5. Adding or
//! subtracting v1 makes k1 odd, v2 then k2 (a1, b1 and b2 are odd, a2 is even); the sign is chosen so that k1 moves
//! towards 0. So |k1| < 2^128.2 and |k2| < 2^127.5 + |b1| + b2 < 2^129, well below 2^130.

use k256::elliptic_curve::bigint::U512;

use super::modular::{Arithmetic, columns, gather};
use super::{Builder, Function, Kind, Value};
use crate::recover::HalfWindow;

const G1: &str = "3086d221a7d46bcde86c90e49284eb153daa8a1471e8ca7fe893209a45dbb031";
const G2: &str = "e4437ed6010e88286f547fa90abfe4c4221208ac9df506c61571b4ae8ac47f71";
/// a1 and b2.
const A1: &str = "3086d221a7d46bcde86c90e49284eb15";
/// −b1.
const MINUS_B1: &str = "e4437ed6010e88286f547fa90abfe4c3";
const A2: &str = "114ca50f7a8e2f3f657c1108d9d44cfd8";

fn number(hex: &str) -> U512 {
    U512::from_be_hex(&format!("{hex:0>128}"))
}

impl Arithmetic {
    /// The functions of scalars.
    pub(super) fn scalar_functions(&self, window: HalfWindow) -> Vec<Function> {
        let mut functions = self.common_functions();
        functions.extend([self.split(window), self.comb_digits()]);
        functions
    }

    /// Limbs that hold a half with its sign.
    fn half_limbs(&self) -> usize {
        self.layout.limbs / 2 + 1
    }

    /// A number modulo 2^(bits of a half's limbs).
    fn wrapped(&self, value: &U512, is_negative: bool) -> Vec<u64> {
        let bits = self.layout.bits * u32::try_from(self.half_limbs()).expect("few limbs");
        let value = if is_negative { U512::ONE.shl_vartime(bits).wrapping_sub(value) } else { *value };
        let mut limbs = self.layout.split(&value);
        limbs.resize(self.half_limbs(), 0);
        limbs
    }

    fn split(&self, window: HalfWindow) -> Function {
        let mut b = self.builder();
        let words = Self::words_input(&mut b);
        let k = self.limbs_of_words(&mut b, &words);
        let c1 = self.quotient(&mut b, &k, &number(G1));
        let c2 = self.quotient(&mut b, &k, &number(G2));
        let (a1, b1, a2) = (number(A1), number(MINUS_B1), number(A2));
        let half = self.half_limbs();
        let zero = vec![b.constant(0); half];
        let k1 =
            self.combine(&mut b, &k[..half], &c1, &self.wrapped(&a1, true), &c2, &self.wrapped(&a2, true));
        let k2 = self.combine(&mut b, &zero, &c1, &self.wrapped(&b1, false), &c2, &self.wrapped(&a1, true));
        // v1 = (a1, b1), v2 = (a2, a1), added if k1 is negative and subtracted else.
        let negative = self.is_negative(&mut b, &k1);
        let odd = b.and(k1[0], 1);
        let k1 = self.step_unless(&mut b, &k1, &a1, false, negative, odd);
        let k2 = self.step_unless(&mut b, &k2, &b1, true, negative, odd);
        let negative = self.is_negative(&mut b, &k1);
        let odd = b.and(k2[0], 1);
        let k1 = self.step_unless(&mut b, &k1, &a2, false, negative, odd);
        let k2 = self.step_unless(&mut b, &k2, &a1, false, negative, odd);
        let mut outputs = self.half_digits(&mut b, &k1, window);
        outputs.extend(self.half_digits(&mut b, &k2, window));
        let parameters = vec![("k", Kind::Words)];
        let doc = "Digits of k1 and k2 with k = k1 + k2 lambda, for a fully reduced k.";
        self.function("split", doc, parameters, Kind::Halves, b, &outputs)
    }

    /// k g / 2^384, rounded, from the upper limbs of both.
    fn quotient(&self, b: &mut Builder, k: &[Value], g: &U512) -> Vec<Value> {
        let half = self.half_limbs();
        let dropped = self.layout.limbs - half;
        let dropped_bits = self.layout.bits * u32::try_from(dropped).expect("few limbs");
        let upper: Vec<_> =
            self.layout.split(&g.shr_vartime(dropped_bits)).iter().map(|&g| b.constant(g)).collect();
        let mut product = columns(b, &k[dropped..], &upper);
        let shift = 384 - 2 * dropped_bits;
        let (limb, bit) = ((shift - 1) / self.layout.bits, (shift - 1) % self.layout.bits);
        let rounding = b.constant(1 << bit);
        product[limb as usize] = b.add(product[limb as usize], rounding);
        product.push(b.constant(0));
        self.carry_exactly(b, &mut product);
        let places = (0..).take(half);
        places
            .map(|i: u32| {
                gather(b, &product, self.layout.bits, shift + self.layout.bits * i, self.layout.bits)
            })
            .collect()
    }

    /// start + c1 f1 + c2 f2, modulo 2^(bits of a half's limbs).
    fn combine(
        &self,
        b: &mut Builder,
        start: &[Value],
        c1: &[Value],
        f1: &[u64],
        c2: &[Value],
        f2: &[u64],
    ) -> Vec<Value> {
        let mut sums = start.to_vec();
        for (c, f) in [(c1, f1), (c2, f2)] {
            for (i, &c) in c.iter().enumerate() {
                for (j, &f) in f[..f.len() - i].iter().enumerate().filter(|(_, f)| **f != 0) {
                    let product = b.times(c, f);
                    sums[i + j] = b.add(sums[i + j], product);
                }
            }
        }
        self.wrap(b, sums)
    }

    fn wrap(&self, b: &mut Builder, mut limbs: Vec<Value>) -> Vec<Value> {
        self.carry_exactly(b, &mut limbs);
        let top = limbs.len() - 1;
        limbs[top] = b.and(limbs[top], self.layout.mask());
        limbs
    }

    fn is_negative(&self, b: &mut Builder, limbs: &[Value]) -> Value {
        b.shift_right(limbs[limbs.len() - 1], self.layout.bits - 1)
    }

    /// x as it is if `odd`; else x + v if `negative`, x − v if not (with `is_flipped`, v stands for −v).
    fn step_unless(
        &self,
        b: &mut Builder,
        x: &[Value],
        v: &U512,
        is_flipped: bool,
        negative: Value,
        odd: Value,
    ) -> Vec<Value> {
        let plus = self.wrapped(v, is_flipped);
        let minus = self.wrapped(v, !is_flipped);
        let zero = b.constant(0);
        let sums = x.iter().zip(plus.iter().zip(&minus)).map(|(&x, (&plus, &minus))| {
            let (plus, minus) = (b.constant(plus), b.constant(minus));
            let step = b.select(plus, minus, negative);
            let step = b.select(zero, step, odd);
            b.add(x, step)
        });
        let sums = sums.collect();
        self.wrap(b, sums)
    }

    /// V of |k| in words of so many digits each as share one; the sign of k in bit 31 of the last.
    fn half_digits(&self, b: &mut Builder, k: &[Value], window: HalfWindow) -> Vec<Value> {
        let negative = self.is_negative(b, k);
        let mask = b.constant(self.layout.mask());
        let mut magnitude: Vec<_> = k
            .iter()
            .map(|&limb| {
                let complement = b.sub(mask, limb);
                b.select(complement, limb, negative)
            })
            .collect();
        magnitude[0] = b.add(magnitude[0], negative);
        let magnitude = self.wrap(b, magnitude);
        let word_bits = window.bits * window.digits_per_word();
        let half_bits = window.bits * window.digits();
        let words = window.words();
        let mut digits: Vec<_> = (0..words)
            .map(|word| {
                let start = word_bits * word;
                // |k| is below 2^half_bits, so the top bit of V is free for the 2^half_bits that is added.
                let count = word_bits.min(half_bits - 1 - start);
                gather(b, &magnitude, self.layout.bits, 1 + start, count)
            })
            .collect();
        let last = &mut digits[words as usize - 1];
        let top = b.constant(1 << (half_bits - 1 - word_bits * (words - 1)));
        *last = b.or(*last, top);
        let sign = b.times(negative, 1 << 31);
        *last = b.or(*last, sign);
        digits
    }

    fn comb_digits(&self) -> Function {
        let mut b = self.builder();
        let words = Self::words_input(&mut b);
        let k = self.limbs_of_words(&mut b, &words);
        let modulus = self.layout.split(&self.modulus.value());
        // n - k: n plus the complement of k plus 1, less the carry out of the top limb.
        let odd = b.and(k[0], 1);
        let (zero, one) = (b.constant(0), b.constant(1));
        let mut magnitude: Vec<_> = k
            .iter()
            .zip(modulus)
            .map(|(&limb, m)| {
                let complement = b.constant(self.layout.mask() + m);
                let negated = b.sub(complement, limb);
                b.select(limb, negated, odd)
            })
            .collect();
        let increment = b.select(zero, one, odd);
        magnitude[0] = b.add(magnitude[0], increment);
        let magnitude = self.wrap(&mut b, magnitude);
        let mut digits: Vec<_> = (0..8)
            .map(|word| gather(&mut b, &magnitude, self.layout.bits, 1 + 32 * word, 32.min(255 - 32 * word)))
            .collect();
        let top = b.constant(1 << 31);
        digits[7] = b.or(digits[7], top);
        let doc = "V of k, or of n - k if k is even, for a fully reduced k.";
        self.function("comb_digits", doc, vec![("k", Kind::Words)], Kind::Words, b, &digits)
    }
}
