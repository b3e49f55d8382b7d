//! One item and one addition at a time, on any processor.

use k256::Scalar;
use k256::elliptic_curve::PrimeField as _;
use k256::elliptic_curve::bigint::U256;
use k256::elliptic_curve::ops::Reduce;

use super::super::cpu::{check_ranges, plus_order};
use super::field::{Element, product};
use super::sums::{CHUNK_LEN, Entry, KINDS, Row, Segment};
use super::windows::{COEFFICIENTS, Code, Wide, Windows, plus};
use super::{Arithmetic, Claim, Claims, Fault, Mismatch, Word, Words, words_of};
use crate::keccak::keccak256_one;

/// Constants of the lattice along which scalars split; see [`split`].
const G1: Words =
    [0xe893_209a_45db_b031, 0x3daa_8a14_71e8_ca7f, 0xe86c_90e4_9284_eb15, 0x3086_d221_a7d4_6bcd];
const G2: Words =
    [0x1571_b4ae_8ac4_7f71, 0x2212_08ac_9df5_06c6, 0x6f54_7fa9_0abf_e4c4, 0xe443_7ed6_010e_8828];
const A1: Wide = [0xe86c_90e4_9284_eb15, 0x3086_d221_a7d4_6bcd, 0];
const B1: Wide = [0x6f54_7fa9_0abf_e4c3, 0xe443_7ed6_010e_8828, 0];
const A2: Wide = [0x57c1_108d_9d44_cfd8, 0x14ca_50f7_a8e2_f3f6, 1];

/// The portable form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable;

impl Arithmetic for Portable {
    fn prepare(
        self,
        claims: &Claims<'_>,
        windows: Windows,
        first: usize,
        points: &mut [Row],
        codes: &mut [Code],
    ) -> Result<Scalar, Mismatch> {
        let mut inverses = Vec::with_capacity(points.len() / KINDS);
        for (k, points) in points.chunks_exact_mut(KINDS).enumerate() {
            let claim = claims.get(first + k);
            let fault = |fault| Mismatch::Item { index: claim.index, fault };
            points.copy_from_slice(&check_item(&claim).map_err(fault)?);
            inverses.push(scalar(&claim.signature.r));
        }
        invert_all(&mut inverses);
        let mut of_generator = Scalar::ZERO;
        let mut digest = [0; 32];
        for (k, inverse) in inverses.iter().enumerate() {
            if k % COEFFICIENTS == 0 {
                digest = keccak256_one(&claims.seed.message(first + k / COEFFICIENTS));
            }
            let own = windows.coefficient(&digest, k % COEFFICIENTS);
            let ratio = coefficient(&own, windows) * inverse;
            of_generator -=
                ratio * <Scalar as Reduce<k256::FieldBytes>>::reduce(&claims.hash(first + k).into());
            let [low, high] = split(&(ratio * scalar(&claims.get(first + k).signature.s)), windows);
            for (kind, x) in [low, high, own].iter().enumerate() {
                for (window, slot) in windows.slots_of(kind).enumerate() {
                    codes[slot * CHUNK_LEN + k] = windows.code(x, window);
                }
            }
        }
        Ok(of_generator)
    }

    fn sum(self, points: &[Row], entries: &[Entry], segments: &[Segment], sums: &mut [Row]) {
        let mut block = Block::new(segments.len());
        let steps = segments.first().map_or(0, |segment| segment.len);
        for step in 0..steps {
            let active = segments.partition_point(|segment| segment.len > step);
            for (i, segment) in segments[..active].iter().enumerate() {
                let entry = entries[(segment.start + step) as usize];
                block.prepare(i, &Point::new(&points[entry.index()], entry.is_negative()));
            }
            block.add();
        }
        for (row, sum) in sums.iter_mut().zip(block.sums) {
            *row = Row::new(&sum.x.canonical(), &sum.y.canonical());
        }
    }
}

/// Everything about an item that needs no other: its signature is within its ranges, the lifted point is the R that it
/// names, the key is on the curve, and its address is its own. Returns R, λR and −Q.
pub(in crate::recover) fn check_item(claim: &Claim<'_>) -> Result<[Row; KINDS], Fault> {
    let signature = claim.signature;
    check_ranges(signature).map_err(Fault::Signature)?;
    // r + n is below p, as the ranges say, and r below n anyway.
    let x = if signature.recovery_id & 2 == 0 { signature.r } else { plus_order(&signature.r) };
    let x = Element::new(words_of(&x));
    let y = words_of(claim.lifted_y);
    let is_odd = y[0] & 1 == 1;
    let lifted = Element::from_canonical(y).filter(|y| is_on_curve(&x, y));
    let lifted = lifted.filter(|_| is_odd == (signature.recovery_id & 1 == 1)).ok_or(Fault::LiftedPoint)?;

    let (key_x, key_y) = claim.signer.public_key.split_first_chunk().expect("64 bytes");
    let key_y = key_y.first_chunk().expect("32 bytes");
    let coordinates = Element::from_canonical(words_of(key_x)).zip(Element::from_canonical(words_of(key_y)));
    let (key_x, key_y) = coordinates.filter(|(x, y)| is_on_curve(x, y)).ok_or(Fault::Key)?;
    if keccak256_one(&claim.signer.public_key)[12..] != claim.signer.address {
        return Err(Fault::Address);
    }
    let endomorphism = x.times(&Element::BETA);
    Ok([
        Row::new(&x.canonical(), &lifted.canonical()),
        Row::new(&endomorphism.canonical(), &lifted.canonical()),
        Row::new(&key_x.canonical(), &key_y.negated_if(true).canonical()),
    ])
}

fn is_on_curve(x: &Element, y: &Element) -> bool {
    y.squared().equals(&x.squared().times(x).plus(&Element::SEVEN))
}

/// A number from 1 to n − 1.
fn scalar(number: &Word) -> Scalar {
    Option::from(Scalar::from_repr((*number).into())).expect("within its range")
}

/// Replaces numbers, none of which is 0, by their inverses (Montgomery's trick).
fn invert_all(numbers: &mut [Scalar]) {
    let mut product = Scalar::ONE;
    let before = |number: &Scalar| {
        let before = product;
        product *= number;
        before
    };
    let products: Vec<_> = numbers.iter().map(before).collect();
    let mut inverse = product.invert_vartime().expect("no factor is 0");
    for (number, before) in numbers.iter_mut().zip(products).rev() {
        let own = inverse * before;
        inverse *= std::mem::replace(number, own);
    }
}

/// The odd number 2 x + 1 − 2^bits that x stands for, modulo n.
pub(super) fn coefficient(x: &Wide, windows: Windows) -> Scalar {
    let x = Scalar::from(u128::from(x[0]) | u128::from(x[1]) << 64);
    let offset = Scalar::from((1_u128 << windows.coefficient_bits()) - 1);
    x + x - offset
}

/// What stands for k1 and k2, odd and below 2^129 in magnitude, with k1 + k2·λ ≡ k.
///
/// The lattice of a + bλ ≡ 0 has the short vectors (a1, −b1) and (a2, a1); g1 = round(2^384 a1 / n), g2 = round(2^384 b1 / n)
/// name the nearest of its points. (Gallant, Lambert and Vanstone, 2001; numbers as in libsecp256k1, `scalar_impl.h`.)
/// That leaves |k1| < 0.64 · 2^128 and |k2| < 0.55 · 2^128. Where k1 is even, (a1, −b1) makes it odd, then (a2, a1), whose
/// a2 is even, does so for k2: up to 1.28 · 2^128 and 1.09 · 2^128 more.
fn split(k: &Scalar, windows: Windows) -> [Wide; 2] {
    let k = U256::from(k).to_words();
    let nearest = |g: &Words| {
        let [.., rounding, low, high] = product(&k, g);
        let (low, carry) = low.overflowing_add(rounding >> 63);
        [low, high + u64::from(carry), 0]
    };
    let (c1, c2) = (nearest(&G1), nearest(&G2));
    let mut k1 = minus(&minus(&[k[0], k[1], k[2]], &times(&c1, &A1)), &times(&c2, &A2));
    let mut k2 = minus(&times(&c1, &B1), &times(&c2, &A1));
    if k1[0] & 1 == 0 {
        (k1, k2) = (plus(&k1, &A1), minus(&k2, &B1));
    }
    if k2[0] & 1 == 0 {
        (k1, k2) = (plus(&k1, &A2), plus(&k2, &A1));
    }
    [k1, k2].map(|k| windows.offset(&k))
}

/// a − b modulo 2^192.
fn minus(a: &Wide, b: &Wide) -> Wide {
    plus(&plus(a, &b.map(|word| !word)), &[1, 0, 0])
}

/// a · b modulo 2^192.
fn times(a: &Wide, b: &Wide) -> Wide {
    let [low, middle, high, ..] = product(&[a[0], a[1], a[2], 0], &[b[0], b[1], b[2], 0]);
    [low, middle, high]
}

/// A point by its coordinates; x = y = 0 stands for the point at infinity.
#[derive(Clone, Copy, Debug)]
struct Point {
    x: Element,
    y: Element,
}

impl Point {
    const INFINITY: Self = Self { x: Element::ZERO, y: Element::ZERO };

    #[inline(always)]
    fn new(row: &Row, is_negative: bool) -> Self {
        let [x, y] = row.coordinates().map(Element::new);
        Self { x, y: y.negated_if(is_negative) }
    }

    /// No point of the curve has a y of 0, as its order is odd.
    #[inline(always)]
    const fn is_infinity(&self) -> bool {
        self.y.is_zero()
    }
}

/// Sums that advance together.
struct Block {
    sums: Vec<Point>,
    additions: Vec<Addition>,
    /// Products of the denominators so far.
    products: Vec<Element>,
}

/// An addition whose slope is numerator / denominator.
#[derive(Clone, Copy, Debug)]
struct Addition {
    numerator: Element,
    denominator: Element,
    /// x of the point that is added; `None` if the sum is known without a slope.
    x: Option<Element>,
}

impl Block {
    fn new(len: usize) -> Self {
        Self {
            sums: vec![Point::INFINITY; len],
            additions: Vec::with_capacity(len),
            products: Vec::with_capacity(len),
        }
    }

    /// Prepares the addition of a point to sum i, which follows the last that was prepared.
    #[inline(always)]
    fn prepare(&mut self, i: usize, point: &Point) {
        let sum = &mut self.sums[i];
        let mut addition = Addition {
            numerator: point.y.minus(&sum.y),
            denominator: point.x.minus(&sum.x),
            x: Some(point.x),
        };
        // Adversaries choose the points: all exceptions are found here, and none of them costs much.
        if sum.is_infinity() || point.is_infinity() || addition.denominator.is_zero() {
            let settled = Addition { numerator: Element::ONE, denominator: Element::ONE, x: None };
            if sum.is_infinity() {
                (*sum, addition) = (*point, settled);
            } else if point.is_infinity() {
                addition = settled;
            } else if addition.numerator.is_zero() {
                let square = sum.x.squared();
                addition.numerator = square.plus(&square).plus(&square);
                addition.denominator = sum.y.plus(&sum.y);
            } else {
                (*sum, addition) = (Point::INFINITY, settled);
            }
        }
        let product =
            self.products.last().map_or(addition.denominator, |last| last.times(&addition.denominator));
        self.additions.push(addition);
        self.products.push(product);
    }

    /// Does what is prepared.
    fn add(&mut self) {
        let Some(product) = self.products.pop() else { return };
        let mut inverse = product.inverted();
        while let Some(addition) = self.additions.pop() {
            let own = self.products.pop().map_or(inverse, |before| before.times(&inverse));
            inverse = inverse.times(&addition.denominator);
            let Some(x) = addition.x else { continue };
            let sum = &mut self.sums[self.additions.len()];
            let slope = addition.numerator.times(&own);
            let third = slope.squared().minus(&sum.x).minus(&x);
            sum.y = slope.times(&sum.x.minus(&third)).minus(&sum.y);
            sum.x = third;
        }
    }
}
