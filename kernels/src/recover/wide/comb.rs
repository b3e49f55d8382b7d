//! Multiples of the generator, from a table of odd multiples of 2^(12 i) G: one lookup for each of 22 digits.
//!
//! Digits are odd and signed, so that none is 0 and half of the multiples do: 2,048 for each digit, 64 bytes each,
//! 2.9 MB in all. It does not fit into an inner cache; the lines of one group are asked for while the group before
//! is worked on.

use k256::elliptic_curve::sec1::ToSec1Point as _;
use k256::{AffinePoint, ProjectivePoint};

use super::batch::invert_all;
use super::inverse::Words;
use super::multiples::{Multiples, denominators_len};
use super::point::Affine;
use super::scalar::Odd;
use crate::simd::lanes::{Avx512, LANES, each, prefetch};

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
    #[target_feature(enable = "avx512dq,avx512ifma,avx512vbmi2")]
    pub(super) fn new(proof: Avx512) -> Self {
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
        let mut points = Vec::new();
        for rows in rows.chunks_exact(LANES) {
            let base = Affine::from_rows(proof, std::array::from_fn(|lane| &rows[lane]));
            points.extend(std::iter::repeat_n(base, MULTIPLES + 1));
        }
        multiply(&mut points);
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
        Self { windows }
    }

    /// Digit i of each scalar times 2^(12 i) G.
    #[inline(always)]
    pub(super) fn lookup(&self, proof: Avx512, scalars: &Odd<5>, i: usize) -> Affine {
        let digit = scalars.digit::<WINDOW>(i, DIGITS);
        let index = digit.index.to_indices::<MULTIPLES>();
        let window = &self.windows[i];
        let rows = each!(8, lane => &window[index[lane]].0);
        Affine::from_rows(proof, rows).negated_where(digit.is_negative)
    }

    /// Asks for what [`Self::lookup`] will read.
    #[inline(always)]
    pub(super) fn prefetch(&self, scalars: &Odd<5>, i: usize) {
        let digit = scalars.digit::<WINDOW>(i, DIGITS);
        for index in digit.index.to_indices::<MULTIPLES>() {
            prefetch(&self.windows[i][index]);
        }
    }
}

/// All odd multiples of vectors of points, an even number of them.
#[target_feature(enable = "avx512dq,avx512ifma,avx512vbmi2")]
fn multiply(points: &mut [Affine]) {
    let (mut denominators, mut products) = (Vec::new(), Vec::new());
    for vector in points.chunks_exact_mut(MULTIPLES + 1) {
        let base = vector[0];
        Multiples::new(vector).start(&base);
    }
    for round in 0..Multiples::rounds(MULTIPLES) {
        denominators.clear();
        for vector in points.chunks_exact_mut(MULTIPLES + 1) {
            Multiples::new(vector).push_denominators(round, &mut denominators);
        }
        invert_all(&mut denominators, &mut products, |_, _| unreachable!("multiples below n / 2 differ"));
        let len = denominators_len(round, MULTIPLES);
        let inverses = denominators.chunks_exact(2 * len);
        for (both, inverses) in points.chunks_exact_mut(2 * (MULTIPLES + 1)).zip(inverses) {
            let (front, back) = both.split_at_mut(MULTIPLES + 1);
            let (front_inverses, back_inverses) = inverses.split_at(len);
            Multiples::round(
                [&mut Multiples::new(front), &mut Multiples::new(back)],
                round,
                [front_inverses, back_inverses],
            );
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
