//! One modular inverse, in scalar registers: the division steps of Bernstein and Yang (*Fast constant-time gcd
//! computation and modular inversion*, 2019) in blocks of 62, in variable time.
//!
//! Batches share one inverse between thousands of numbers, so it needs to be quick rather than clever: about a
//! microsecond, where an exponentiation in vector registers, each step of which waits for the last, takes five.

/// A number in five signed digits of 62 bits, least significant first; all but the last are from 0 to 2^62 − 1.
type Signed62 = [i64; 5];

/// An unsigned 256-bit number in words, least significant first.
pub(super) type Words = [u64; 4];

const MASK: u64 = (1 << 62) - 1;

/// An odd modulus over 2^255.
#[derive(Debug)]
pub(super) struct Modulus {
    digits: Signed62,
    /// modulus⁻¹ mod 2^62.
    inverse: u64,
}

/// What 62 division steps do to (f, g), times 2^62: rows (u, v) and (q, r), of magnitude sums up to 2^62.
struct Steps {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

impl Modulus {
    pub(super) const fn new(words: Words) -> Self {
        let mut inverse = 1_u64;
        let mut step = 0;
        // Newton: each step doubles the bits that are right, from 1 to 64.
        while step < 6 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(words[0].wrapping_mul(inverse)));
            step += 1;
        }
        Self { digits: to_digits(words), inverse: inverse & MASK }
    }

    /// The inverse of a number below the modulus and prime to it; 0 for 0.
    pub(super) fn invert(&self, number: Words) -> Words {
        let (mut d, mut e) = ([0; 5], [1, 0, 0, 0, 0]);
        let (mut f, mut g) = (self.digits, to_digits(number));
        let mut eta = -1;
        while g != [0; 5] {
            let steps = division_steps(&mut eta, f[0].cast_unsigned(), g[0].cast_unsigned());
            (d, e) = self.apply_modulo(&steps, &d, &e);
            (f, g) = apply_exactly(&steps, &f, &g);
        }
        // f is the greatest common divisor, 1 or −1, and f ≡ d · number.
        self.to_words(d, f[4] < 0)
    }

    /// The steps on (d, e) modulo the modulus, without the factor: both stay between −2m and m.
    fn apply_modulo(&self, steps: &Steps, d: &Signed62, e: &Signed62) -> (Signed62, Signed62) {
        let &Steps { u, v, q, r } = steps;
        let (sign_d, sign_e) = (d[4] >> 63, e[4] >> 63);
        // Multiples of the modulus that make the results positive enough and divisible by 2^62.
        let multiple = |a: i64, b: i64| {
            let base = (a & sign_d) + (b & sign_e);
            let low = a.wrapping_mul(d[0]).wrapping_add(b.wrapping_mul(e[0])).cast_unsigned();
            let excess = self.inverse.wrapping_mul(low).wrapping_add(base.cast_unsigned()) & MASK;
            base - excess.cast_signed()
        };
        let (of_d, of_e) = (multiple(u, v), multiple(q, r));
        let row = |a: i64, b: i64, of_modulus: i64| {
            shifted_sum(|i| wide(a, d[i]) + wide(b, e[i]) + wide(of_modulus, self.digits[i]))
        };
        (row(u, v, of_d), row(q, r, of_e))
    }

    /// (negate ? −d : d) modulo the modulus, for d between −2m and m.
    fn to_words(&self, d: Signed62, negate: bool) -> Words {
        let sign = if negate { -1 } else { 1 };
        let below_zero = |digits: &Signed62| digits[4] < 0;
        let add = |digits: &Signed62, times: i64| -> Signed62 {
            std::array::from_fn(|i| digits[i] + times * self.digits[i])
        };
        // Between −m and m, then negated or not, then between 0 and m.
        let d = carried(add(&d, i64::from(below_zero(&d))));
        let d = carried(d.map(|digit| sign * digit));
        let d = carried(add(&d, i64::from(below_zero(&d))));
        let digit = d.map(i64::cast_unsigned);
        [
            digit[0] | digit[1] << 62,
            digit[1] >> 2 | digit[2] << 60,
            digit[2] >> 4 | digit[3] << 58,
            digit[3] >> 6 | digit[4] << 56,
        ]
    }
}

const fn to_digits(words: Words) -> Signed62 {
    [
        (words[0] & MASK).cast_signed(),
        ((words[0] >> 62 | words[1] << 2) & MASK).cast_signed(),
        ((words[1] >> 60 | words[2] << 4) & MASK).cast_signed(),
        ((words[2] >> 58 | words[3] << 6) & MASK).cast_signed(),
        (words[3] >> 56).cast_signed(),
    ]
}

fn wide(a: i64, b: i64) -> i128 {
    i128::from(a) * i128::from(b)
}

/// Digits in their range, for digits up to 2^63 in magnitude.
fn carried(mut digits: Signed62) -> Signed62 {
    for i in 0..4 {
        digits[i + 1] += digits[i] >> 62;
        digits[i] &= MASK.cast_signed();
    }
    digits
}

/// The sum of column(i) · 2^(62 i), divided by 2^62, which divides it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "masked to 62 bits, and the last fits by the bounds of the caller"
)]
fn shifted_sum(column: impl Fn(usize) -> i128) -> Signed62 {
    let mut sum = column(0);
    debug_assert!(sum.trailing_zeros() >= 62, "the lowest digit vanishes");
    let mut digits = [0; 5];
    for i in 1..5 {
        sum = (sum >> 62) + column(i);
        digits[i - 1] = sum as i64 & MASK.cast_signed();
    }
    digits[4] = (sum >> 62) as i64;
    digits
}

fn apply_exactly(steps: &Steps, f: &Signed62, g: &Signed62) -> (Signed62, Signed62) {
    let &Steps { u, v, q, r } = steps;
    (shifted_sum(|i| wide(u, f[i]) + wide(v, g[i])), shifted_sum(|i| wide(q, f[i]) + wide(r, g[i])))
}

/// 62 division steps on the low words of f and g, of which f is odd.
fn division_steps(eta: &mut i64, mut f: u64, mut g: u64) -> Steps {
    let (mut u, mut v, mut q, mut r) = (1_i64, 0_i64, 0_i64, 1_i64);
    let mut left = 62_u32;
    loop {
        // Steps with even g: as many at once as there are zeros.
        let zeros = (g | u64::MAX << left).trailing_zeros();
        g >>= zeros;
        (u, v) = (u << zeros, v << zeros);
        *eta -= i64::from(zeros);
        left -= zeros;
        if left == 0 {
            return Steps { u, v, q, r };
        }
        if *eta < 0 {
            *eta = -*eta;
            (f, g) = (g, f.wrapping_neg());
            (u, q) = (q, -u);
            (v, r) = (r, -v);
        }
        // Add a multiple of f that clears as many low bits of g as the steps until the next swap allow.
        let limit = u32::try_from(*eta + 1).unwrap_or(u32::MAX).min(left).min(6);
        let inverse = f.wrapping_mul(f.wrapping_mul(f).wrapping_sub(2));
        let multiple = g.wrapping_mul(inverse) & (u64::MAX >> (64 - limit));
        g = g.wrapping_add(f.wrapping_mul(multiple));
        let multiple = multiple.cast_signed();
        q += u * multiple;
        r += v * multiple;
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::Numbers;
    use super::super::{field, scalar};
    use super::*;
    use k256::elliptic_curve::PrimeField as _;

    fn words(bytes: &[u8; 32]) -> Words {
        std::array::from_fn(|i| u64::from_be_bytes(bytes[24 - 8 * i..32 - 8 * i].try_into().unwrap()))
    }

    #[test]
    fn inverses_modulo_the_order_match_k256() {
        let modulus = Modulus::new(scalar::ORDER);
        let mut numbers = Numbers::new(21);
        for i in 0..500_u64 {
            let number = if i < 20 { k256::Scalar::from(i + 1) } else { numbers.scalar() };
            for number in [number, -number] {
                let expected = number.invert().unwrap().to_repr();
                assert_eq!(modulus.invert(words(&number.to_repr().into())), words(&expected.into()), "{i}");
            }
        }
        assert_eq!(modulus.invert([0; 4]), [0; 4]);
    }

    #[test]
    fn inverses_modulo_the_prime_multiply_to_one() {
        use k256::elliptic_curve::bigint::{NonZero, U256};
        let modulus = Modulus::new(field::PRIME);
        let prime = NonZero::new(U256::from_words(field::PRIME)).unwrap();
        let mut numbers = Numbers::new(22);
        for i in 0..500_u64 {
            let number = if i < 20 { U256::from_u64(i + 1) } else { U256::from_be_slice(&numbers.word()) };
            for number in [number, prime.get().wrapping_sub(&number)] {
                let inverse = U256::from_words(modulus.invert(number.to_words()));
                assert!(inverse < *prime);
                assert_eq!(number.mul_mod_vartime(&inverse, &prime), U256::ONE, "{i}");
            }
        }
    }
}
