//! The generated programs against an independent big-integer library, in both layouts, at random and at every extreme.

use k256::elliptic_curve::PrimeField as _;
use k256::elliptic_curve::bigint::{NonZero, U512};
use k256::{Scalar, U256};

use super::*;
use crate::recover::HalfWindow;
use crate::recover::tests::{Numbers, reduced, word};

/// All that a ladder can be compiled with.
const WINDOWS: [HalfWindow; 2] = [HalfWindow { bits: 5 }, HalfWindow { bits: 4 }];

fn arithmetics() -> impl Iterator<Item = Arithmetic> {
    IntegerForm::ALL.into_iter().flat_map(|form| {
        [Modulus::FIELD, Modulus::SCALAR].map(|modulus| Arithmetic::new(Layout::of(form), modulus))
    })
}

fn run(arithmetic: &Arithmetic, name: &str, arguments: &[&[u32]]) -> Vec<u32> {
    let functions = if arithmetic.modulus.prefix == "fe" {
        arithmetic.functions()
    } else {
        arithmetic.scalar_functions(WINDOWS[0])
    };
    let name = format!("{}_{name}", arithmetic.modulus.prefix);
    let function = functions.into_iter().find(|function| function.name == name).unwrap();
    function.program.run(&arguments.concat())
}

/// The value of a row of limbs or words, modulo m.
fn value(arithmetic: &Arithmetic, limbs: &[u32], bits: u32) -> U512 {
    let modulus = NonZero::new(arithmetic.modulus.value()).unwrap();
    let sum = limbs
        .iter()
        .rev()
        .fold(U512::ZERO, |sum, &limb| sum.shl_vartime(bits).wrapping_add(&U512::from_u32(limb)));
    sum.rem_vartime(&modulus)
}

/// Elements: extremes of the limbs, numbers around m and its multiples, random ones both exact and loose.
fn elements(arithmetic: &Arithmetic) -> Vec<Vec<u32>> {
    let Layout { limbs, bits, .. } = arithmetic.layout;
    let tight = u32::try_from(arithmetic.layout.tight_max()).unwrap();
    let mask = u32::try_from(arithmetic.layout.mask()).unwrap();
    let mut all = vec![vec![0; limbs], vec![tight; limbs], vec![mask; limbs]];
    for k in 0..limbs {
        let mut only = vec![0; limbs];
        only[k] = tight;
        let mut but = vec![tight; limbs];
        but[k] = 0;
        all.extend([only, but]);
    }
    let m = arithmetic.modulus.value();
    for multiple in [
        m,
        m.shl_vartime(1),
        m.shl_vartime(bits * u32::try_from(limbs).unwrap() - 257),
        U512::ONE.shl_vartime(256),
    ] {
        for offset in [U512::ZERO, U512::ONE, U512::from_u64(976), U512::from_u64(1 << 33)] {
            for number in [multiple.wrapping_add(&offset), multiple.wrapping_sub(&offset)] {
                let mut split = arithmetic.layout.split(&number);
                split.resize(limbs, 0);
                if split.len() == limbs {
                    all.push(split.iter().map(|&limb| u32::try_from(limb).unwrap()).collect());
                }
            }
        }
    }
    let mut numbers = Numbers::new(5);
    for i in 0..40 {
        let range = if i % 2 == 0 { mask } else { tight };
        let mut random = || u32::from_le_bytes(numbers.word()[..4].try_into().unwrap());
        all.push((0..limbs).map(|_| random() % (range + 1)).collect());
    }
    all
}

fn assert_congruent(arithmetic: &Arithmetic, name: &str, arguments: &[&[u32]], expected: &U512) {
    let modulus = NonZero::new(arithmetic.modulus.value()).unwrap();
    let result = run(arithmetic, name, arguments);
    let got = value(arithmetic, &result, arithmetic.layout.bits);
    assert_eq!(got, expected.rem_vartime(&modulus), "{name} in {:?} of {arguments:?}", arithmetic.layout);
    let tight = arithmetic.layout.tight_max();
    assert!(result.iter().all(|&limb| u64::from(limb) <= tight), "{name} of {arguments:?} gives {result:?}");
}

#[test]
fn every_function_of_two_elements_matches_big_integers() {
    for arithmetic in arithmetics() {
        let m = arithmetic.modulus.value();
        let is_field = arithmetic.modulus.prefix == "fe";
        let elements = elements(&arithmetic);
        let value = |limbs: &[u32]| value(&arithmetic, limbs, arithmetic.layout.bits);
        for (i, a) in elements.iter().enumerate() {
            for b in [a, &elements[(i * 7 + 1) % elements.len()], &elements[1]] {
                let (x, y) = (value(a), value(b));
                let check = |name: &str, arguments: &[&[u32]], expected: U512| {
                    assert_congruent(&arithmetic, name, arguments, &expected);
                };
                check("mul", &[a, b], x.wrapping_mul(&y));
                check("sub", &[a, b], x.wrapping_add(&m).wrapping_sub(&y));
                if is_field {
                    check("add", &[a, b], x.wrapping_add(&y));
                    let taken = y.shl_vartime(1);
                    let three_m = m.shl_vartime(1).wrapping_add(&m);
                    check("sub_twice", &[a, b], x.wrapping_add(&three_m).wrapping_sub(&taken));
                    check(
                        "sub_and_twice",
                        &[a, b, b],
                        x.wrapping_add(&three_m).wrapping_sub(&taken).wrapping_sub(&y),
                    );
                }
            }
        }
    }
}

#[test]
fn every_function_of_one_element_matches_big_integers() {
    for arithmetic in arithmetics() {
        let m = arithmetic.modulus.value();
        for a in elements(&arithmetic) {
            let x = value(&arithmetic, &a, arithmetic.layout.bits);
            assert_congruent(&arithmetic, "sqr", &[&a], &x.wrapping_mul(&x));
            assert_congruent(&arithmetic, "neg", &[&a], &m.wrapping_sub(&x));
            if arithmetic.modulus.prefix == "fe" {
                let half = if x.as_words()[0] & 1 == 0 { x } else { x.wrapping_add(&m) }.shr_vartime(1);
                let tripled = half.shl_vartime(1).wrapping_add(&half);
                assert_congruent(&arithmetic, "three_halves", &[&a], &tripled);
            }
            let words = run(&arithmetic, "words", &[&a]);
            let exact = words
                .iter()
                .rev()
                .fold(U512::ZERO, |sum, &word| sum.shl_vartime(32).wrapping_add(&U512::from_u32(word)));
            assert_eq!(exact, x, "words of {a:?} in {:?}", arithmetic.layout);
            let weak = run(&arithmetic, "words_weak", &[&a]);
            assert_eq!(value(&arithmetic, &weak, 32), x, "words_weak of {a:?} in {:?}", arithmetic.layout);
            assert_congruent(&arithmetic, "from_words", &[&weak], &x);
        }
    }
}

fn words(word: &[u8; 32]) -> Vec<u32> {
    word.rchunks(4).map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap())).collect()
}

/// The scalar that odd digits stand for, from the lowest.
fn from_digits(digits: impl DoubleEndedIterator<Item = u32>, bits: u32) -> Scalar {
    let base = Scalar::from(1_u32 << bits);
    digits
        .rev()
        .fold(Scalar::ZERO, |sum, v| sum * base + Scalar::from(2 * v) - Scalar::from((1_u32 << bits) - 1))
}

fn scalars() -> Vec<[u8; 32]> {
    let n = word("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
    let mut all: Vec<[u8; 32]> = (0..8_u64)
        .flat_map(|i| [Scalar::from(i), -Scalar::from(i)])
        .map(|scalar| scalar.to_repr().into())
        .collect();
    assert_eq!(U256::from_be_slice(&all[3]).wrapping_add(&U256::ONE), U256::from_be_slice(&n));
    // Multiples of lambda and of fractions of n, where the roundings turn over.
    let lambda = reduced(&word("5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72"));
    for i in 1..40_u64 {
        let fraction = Scalar::from(i) * Scalar::from(40_u64).invert().unwrap();
        for scalar in [lambda * Scalar::from(i), fraction, lambda * fraction, -lambda * Scalar::from(i)] {
            all.push(scalar.to_repr().into());
        }
        let bit = U256::ONE.shl_vartime(6 * u32::try_from(i).unwrap());
        all.push(bit.to_be_bytes().into());
        all.push(bit.wrapping_sub(&U256::ONE).to_be_bytes().into());
    }
    let mut numbers = Numbers::new(6);
    all.extend((0..300).map(|_| <[u8; 32]>::from(numbers.scalar().to_repr())));
    all
}

#[test]
fn halves_add_up_to_their_scalar() {
    let lambda = reduced(&word("5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72"));
    let scalars = scalars();
    for arithmetic in arithmetics().filter(|arithmetic| arithmetic.modulus.prefix == "sc") {
        for window in WINDOWS {
            let functions = arithmetic.scalar_functions(window);
            let split = functions.iter().find(|function| function.name == "sc_split").unwrap();
            for scalar in &scalars {
                let digits = split.program.run(&words(scalar));
                let halves: Vec<_> =
                    digits.chunks(digits.len() / 2).map(|half| half_of(half, window)).collect();
                assert_eq!(
                    halves[0] + halves[1] * lambda,
                    reduced(scalar),
                    "{scalar:02x?} in {:?}, {window:?}",
                    arithmetic.layout
                );
            }
        }
    }
}

/// The scalar that the digits of a half stand for.
fn half_of(half: &[u32], window: HalfWindow) -> Scalar {
    let digits = (0..window.digits()).map(|i| {
        let word = half[(i / window.digits_per_word()) as usize];
        (word >> (window.bits * (i % window.digits_per_word()))) & ((1 << window.bits) - 1)
    });
    let magnitude = from_digits(digits, window.bits);
    if half[half.len() - 1] >> 31 == 0 { magnitude } else { -magnitude }
}

#[test]
fn comb_digits_add_up_to_their_scalar_or_its_opposite() {
    for arithmetic in arithmetics().filter(|arithmetic| arithmetic.modulus.prefix == "sc") {
        for scalar in scalars() {
            let digits = run(&arithmetic, "comb_digits", &[&words(&scalar)]);
            let expected = if scalar[31] & 1 == 1 { reduced(&scalar) } else { -reduced(&scalar) };
            for bits in [4, 8, 16] {
                let per_word = 32 / bits;
                let digit =
                    |i| (digits[(i / per_word) as usize] >> (bits * (i % per_word))) & ((1 << bits) - 1);
                let sum = from_digits((0..256 / bits).map(digit), bits);
                assert_eq!(sum, expected, "{scalar:02x?} in {:?}, {bits} bits", arithmetic.layout);
            }
        }
    }
}

#[test]
fn multiplications_are_as_few_as_the_layouts_promise() {
    let count = |arithmetic: &Arithmetic, name: &str| {
        let functions = arithmetic.functions();
        functions.iter().find(|f| f.name == name).unwrap().program.multiplications()
    };
    for (form, mul, sqr) in [(IntegerForm::U64, 92, 56), (IntegerForm::U32, 324, 189)] {
        let field = Arithmetic::new(Layout::of(form), Modulus::FIELD);
        assert!(count(&field, "fe_mul") <= mul, "{} in {form}", count(&field, "fe_mul"));
        assert!(count(&field, "fe_sqr") <= sqr, "{} in {form}", count(&field, "fe_sqr"));
    }
}

#[test]
fn generated_modules_parse_and_validate() {
    for form in IntegerForm::ALL {
        let text = "#import field\n#import scalar\n@compute @workgroup_size(64) fn main() {}";
        let shader = crate::gpu::Shader::new("limbs", text).modules(modules(form, WINDOWS[0]));
        if let Err(error) = shader.check() {
            panic!("{form}: {error}");
        }
    }
}

/// The top digit of five bits of the first half of a scalar: its magnitude, and whether it is negative.
pub(in crate::recover) fn top_half_digit(scalar: &[u8; 32]) -> (u32, bool) {
    let arithmetic = Arithmetic::new(Layout::of(IntegerForm::U64), Modulus::SCALAR);
    let digits = run(&arithmetic, "split", &[&words(scalar)]);
    let last = digits[digits.len() / 2 - 1];
    let HalfWindow { bits } = WINDOWS[0];
    let place = (WINDOWS[0].digits() - 1) % WINDOWS[0].digits_per_word();
    (2 * ((last >> (bits * place)) & 31) - 31, last >> 31 == 1)
}

/// The top digit of the comb's for a scalar: its magnitude, and whether it is to be taken negative.
pub(in crate::recover) fn top_comb_digit(scalar: &[u8; 32]) -> (u32, bool) {
    let arithmetic = Arithmetic::new(Layout::of(IntegerForm::U64), Modulus::SCALAR);
    let digits = run(&arithmetic, "comb_digits", &[&words(scalar)]);
    (2 * (digits[7] >> 24) - 255, scalar[31] & 1 == 0)
}
