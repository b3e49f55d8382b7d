//! What the shaders need of the curve: its numbers, the comb of multiples of G, and the blinding.

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};

use k256::elliptic_curve::point::AffineCoordinates as _;
use k256::elliptic_curve::{BatchNormalize as _, PrimeField as _};
use k256::{AffinePoint, ProjectivePoint, Scalar};
use rayon::prelude::*;

use super::cpu::{ORDER, PRIME_MINUS_ORDER};
use super::{HalfWindow, Word};

/// How u1 is cut into signed odd digits, each with multiples of G of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CombWindow {
    /// Bits of a digit, which divide 32: no digit lies in two words.
    pub(super) bits: u32,
}

impl CombWindow {
    /// Digits of u1.
    pub(super) const fn digits(self) -> u32 {
        256 / self.bits
    }

    /// Digits that share a word.
    pub(super) const fn digits_per_word(self) -> u32 {
        32 / self.bits
    }

    /// Entries of the comb for one digit: the odd multiples up to 2^bits.
    pub(super) const fn entries(self) -> u32 {
        1 << (self.bits - 1)
    }
}

/// β of the endomorphism (x, y) ↦ (βx, y), which multiplies by λ: a cube root of 1 modulo p.
const ENDOMORPHISM: &str = "7ae96a2b657c07106e64479eac3434e99cf0497512f58995c1396c28719501ee";

/// A big-endian number in eight words, lowest first.
pub(super) fn words(number: &Word) -> [u32; 8] {
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(number.rchunks_exact(4)) {
        *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    words
}

/// The module `curve`: constants that Rust owns.
pub(super) fn module_text() -> String {
    let (x, y) = coordinates(&AffinePoint::GENERATOR);
    let mut endomorphism = [0; 32];
    for (i, byte) in endomorphism.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&ENDOMORPHISM[2 * i..2 * i + 2], 16).expect("hexadecimal");
    }
    let mut b = [0; 32];
    b[31] = 7;
    let constants = [
        ("ORDER", ORDER),
        ("PRIME_MINUS_ORDER", PRIME_MINUS_ORDER),
        ("GENERATOR_X", x),
        ("GENERATOR_Y", y),
        ("CURVE_B", b),
        ("ENDOMORPHISM", endomorphism),
    ];
    let mut text = "#import words\n".to_owned();
    for (name, number) in constants {
        let words: Vec<_> = words(&number).iter().map(|word| format!("{word:#010x}u")).collect();
        let (lo, hi) = (words[..4].join(", "), words[4..].join(", "));
        let _ = writeln!(text, "const {name} = Words(vec4({lo}), vec4({hi}));");
    }
    text
}

/// The comb: entry e of window w, at `w * entries + e`, is (2 e + 1) 2^(bits w) G as x, then y, eight words each.
///
/// With odd digits alone no entry is infinity and none is needed for zero. (Offsets that keep ordinary digits from
/// zero must be chosen with care: neighbouring windows may meet in one point.)
pub(super) fn comb(window: CombWindow) -> Vec<u32> {
    let step = |base: &ProjectivePoint| Some((0..window.bits).fold(*base, |point, _| point.double()));
    let bases: Vec<_> = std::iter::successors(Some(ProjectivePoint::GENERATOR), step)
        .take(window.digits() as usize)
        .collect();
    bases.par_iter().flat_map_iter(|base| multiples(base, window.entries() as usize)).collect()
}

/// The words of so many odd multiples of a point.
fn multiples(base: &ProjectivePoint, count: usize) -> Vec<u32> {
    let twice = base.double();
    let next = |point: &ProjectivePoint| Some(point + &twice);
    let entries: Vec<_> = std::iter::successors(Some(*base), next).take(count).collect();
    ProjectivePoint::batch_normalize(entries.as_slice()).iter().flat_map(point_words).collect()
}

/// The secret point at which a ladder starts.
///
/// Without it anyone could make the last addition exceptional (R = kG, s = ±z/k) and send whole blocks down the slow
/// path. With it the sums on the way are uniform points that nobody can aim at.
#[derive(Clone)]
pub(super) struct Blinding {
    beta: Scalar,
}

impl Blinding {
    /// Drawn once for a kernel. The standard library's hash keys come from the operating system and its hash
    /// is a keyed pseudorandom function, which is as much as a per-process secret needs.
    pub(super) fn random() -> Self {
        let keys = RandomState::new();
        let mut bytes = [0; 32];
        for (count, eight) in (0_u64..).zip(bytes.chunks_exact_mut(8)) {
            eight.copy_from_slice(&keys.hash_one(count).to_le_bytes());
        }
        let beta = <Scalar as k256::elliptic_curve::ops::Reduce<k256::FieldBytes>>::reduce(&bytes.into());
        Self::new(beta)
    }

    /// βG must not be infinity: 0 is taken for 1.
    pub(super) fn new(beta: Scalar) -> Self {
        Self { beta: if bool::from(beta.is_zero()) { Scalar::ONE } else { beta } }
    }

    /// βG as x, y, and −2^d β with d the doublings of a ladder; eight words each.
    pub(super) fn words(&self, window: HalfWindow) -> Vec<u32> {
        let mut all = point_words(&(ProjectivePoint::GENERATOR * self.beta).to_affine()).to_vec();
        let doubled = (0..window.doublings()).fold(self.beta, |sum, _| sum + sum);
        all.extend(words(&(-doubled).to_repr().into()));
        all
    }
}

impl std::fmt::Debug for Blinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Blinding(secret)")
    }
}

fn coordinates(point: &AffinePoint) -> (Word, Word) {
    (point.x().into(), point.y().into())
}

fn point_words(point: &AffinePoint) -> [u32; 16] {
    let (x, y) = coordinates(point);
    let mut all = [0; 16];
    all[..8].copy_from_slice(&words(&x));
    all[8..].copy_from_slice(&words(&y));
    all
}
