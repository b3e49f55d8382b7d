//! Multiples of the generator, from a table of odd multiples of 2^(12 i) G: one lookup for each of 22 digits.
//!
//! Digits are odd and signed, so that none is 0 and half of the multiples do: 2,048 for each digit, 64 bytes each,
//! 2.9 MB in all. It does not fit into an inner cache; the lines of one group are asked for while the group before
//! is worked on.

use k256::elliptic_curve::sec1::ToSec1Point as _;
use k256::{AffinePoint, ProjectivePoint};

use super::compiled;
use super::field::Factor;
use super::inverse::Words;
use super::multiples::{Multiples, denominators_len, rounds};
use super::multiplier::Multiplier;
use super::point::{Affine, PAIR, add_affine};
use super::scalar::Odd;
use crate::simd::lanes::{LANES, each, prefetch};

/// Bits of a digit.
const WINDOW: usize = 12;
/// Digits of a scalar.
pub(super) const DIGITS: usize = 256_usize.div_ceil(WINDOW);
/// Odd multiples for each digit.
const MULTIPLES: usize = 1 << (WINDOW - 1);

/// The words of x, then those of y.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Entry([u64; 8]);

/// The table.
#[derive(Debug)]
pub(super) struct Comb {
    windows: Box<[[Entry; MULTIPLES]]>,
}

impl Comb {
    /// Takes some milliseconds.
    pub(super) fn new<L: Multiplier>(proof: L::Proof) -> Self {
        // Window i is in lane i mod 8 of vector i / 8; lanes beyond the last, and the vector that makes them an even
        // number, repeat the generator.
        let vectors = DIGITS.div_ceil(LANES).next_multiple_of(2);
        let mut bases = vec![ProjectivePoint::GENERATOR; vectors * LANES];
        for i in 1..DIGITS {
            bases[i] = (0..WINDOW).fold(bases[i - 1], |point, _| point.double());
        }
        let rows: Vec<[u64; 8]> = bases
            .iter()
            .map(|base| {
                let [x, y] = words(&base.to_affine());
                std::array::from_fn(|i| if i < 4 { x[i] } else { y[i - 4] })
            })
            .collect();
        compiled::tabulate::<L>(proof, proof, &rows)
    }

    /// Digit i of each scalar times 2^(12 i) G.
    #[inline(always)]
    pub(super) fn lookup<L: Multiplier>(&self, proof: L::Proof, scalars: &Odd<L, 5>, i: usize) -> Affine<L> {
        let digit = scalars.digit::<WINDOW>(i, DIGITS);
        let index = digit.index.to_indices::<MULTIPLES>();
        let window = &self.windows[i];
        let rows = each!(8, lane => &window[index[lane]].0);
        Affine::from_rows(proof, rows).negated_where(digit.is_negative)
    }

    /// Asks for what [`Self::lookup`] will read.
    #[inline(always)]
    pub(super) fn prefetch<L: Multiplier>(&self, scalars: &Odd<L, 5>, i: usize) {
        let digit = scalars.digit::<WINDOW>(i, DIGITS);
        for index in digit.index.to_indices::<MULTIPLES>() {
            prefetch(&self.windows[i][index]);
        }
    }
}

/// The table, given the base of each window, and others up to whole vectors, an even number of them.
#[inline(always)]
pub(super) fn tabulate<L: Multiplier>(proof: L::Proof, bases: &[[u64; 8]]) -> Comb {
    let mut points = Vec::new();
    for rows in bases.chunks_exact(LANES) {
        let base = Affine::<L>::from_rows(proof, std::array::from_fn(|lane| &rows[lane]));
        points.extend(std::iter::repeat_n(base, MULTIPLES + 1));
    }
    compiled::multiply(proof, proof, &mut points);
    let mut windows = vec![[Entry([0; 8]); MULTIPLES]; DIGITS].into_boxed_slice();
    for (vector, points) in points.chunks_exact(MULTIPLES + 1).enumerate() {
        for (i, point) in points[..MULTIPLES].iter().enumerate() {
            let rows = point.to_rows();
            for (lane, row) in rows.into_iter().enumerate() {
                if let Some(window) = windows.get_mut(vector * LANES + lane) {
                    row.store(&mut window[i].0);
                }
            }
        }
    }
    Comb { windows }
}

/// Of points for each digit, of which the first `len` are left, two and two neighbours become one; a last one without a
/// neighbour stays. For two groups, given 1 / (x of the second − x of the first) for each.
#[inline(always)]
pub(super) fn add_neighbours<L: Multiplier>(
    points: &mut [Affine<L>],
    len: usize,
    inverses: [&[Factor<L>]; PAIR],
) {
    let starts = [0, DIGITS];
    for i in 0..len / 2 {
        let sums = add_affine(
            starts.map(|start| &points[start + 2 * i]),
            starts.map(|start| &points[start + 2 * i + 1]),
            inverses.map(|inverses| &inverses[i]),
        );
        [points[starts[0] + i], points[starts[1] + i]] = sums;
    }
    if len % 2 == 1 {
        for start in starts {
            points[start + len / 2] = points[start + len - 1];
        }
    }
}

/// All odd multiples of vectors of points, an even number of them.
#[inline(always)]
pub(super) fn multiply<L: Multiplier>(proof: L::Proof, points: &mut [Affine<L>]) {
    let (mut denominators, mut products) = (Vec::new(), Vec::new());
    for vector in points.chunks_exact_mut(MULTIPLES + 1) {
        let base = vector[0];
        Multiples::new(vector).start(&base);
    }
    for round in 0..rounds(MULTIPLES) {
        denominators.clear();
        for vector in points.chunks_exact_mut(MULTIPLES + 1) {
            Multiples::new(vector).push_denominators(round, &mut denominators);
        }
        compiled::invert_all(proof, &mut denominators, &mut products, |_, _| {
            unreachable!("multiples below n / 2 differ")
        });
        let len = denominators_len(round, MULTIPLES);
        let inverses = denominators.chunks_exact(2 * len);
        for (both, inverses) in points.chunks_exact_mut(2 * (MULTIPLES + 1)).zip(inverses) {
            let (front, back) = both.split_at_mut(MULTIPLES + 1);
            let (front_inverses, back_inverses) = inverses.split_at(len);
            let both = [&mut Multiples::new(front), &mut Multiples::new(back)];
            compiled::multiples_round(proof, both, round, [front_inverses, back_inverses]);
        }
    }
}

/// x and y of a point that is not at infinity.
pub(super) fn words(point: &AffinePoint) -> [Words; 2] {
    let encoded = point.to_sec1_point(false);
    let bytes = &encoded.as_bytes()[1..];
    let word = |coordinate: usize, i: usize| {
        let end = 32 * (coordinate + 1) - 8 * i;
        bytes[end - 8..end].iter().fold(0, |word, &byte| word << 8 | u64::from(byte))
    };
    std::array::from_fn(|coordinate| std::array::from_fn(|i| word(coordinate, i)))
}
