//! What the ladder looks up: the odd multiples of the R of eight signatures, and what the endomorphism makes of them.

use super::field::{Fe, Wide};
use super::inverse::Words;
use super::multiplier::Multiplier;
use super::point::Affine;
use super::scalar::{Digit, Odd};
use crate::simd::lanes::{LANES, LaneMask, each};

/// Bits of a digit. Each costs 5 doublings and, for both halves of u2, one affine and one mixed addition.
const WINDOW: usize = 5;
/// Odd multiples of R, so that digits of 5 bits are ± one of them.
pub(super) const MULTIPLES: usize = 1 << (WINDOW - 1);
/// Digits of a half: numbers below 2^129 leave the last one below 2^4.
pub(super) const DIGITS: usize = 26;
/// Doublings between digits.
pub(super) const DIGIT_DOUBLINGS: usize = WINDOW;
/// Doublings of what the ladder starts from.
pub(super) const DOUBLINGS: usize = DIGIT_DOUBLINGS * (DIGITS - 1);

/// β, a cube root of 1: (βx, y) is λ · (x, y).
pub(super) const BETA: Words =
    [0xc139_6c28_7195_01ee, 0x9cf0_4975_12f5_8995, 0x6e64_479e_ac34_34e9, 0x7ae9_6a2b_657c_0710];

/// The two halves of the u2 of eight signatures.
pub(super) type Halves<L> = [Odd<L, 3>; 2];

/// x, y and βx in words of 64 bits. Either x and y or y and βx are one load.
#[derive(Clone, Copy, Debug)]
struct Entry([u64; 12]);

/// Entry i of each lane is for (2i + 1) R; 12 kB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table([[Entry; MULTIPLES]; LANES]);

impl Table {
    pub(super) const EMPTY: Self = Self([[Entry([0; 12]); MULTIPLES]; LANES]);

    /// Writes an entry of each lane.
    #[inline(always)]
    pub(super) fn set<L: Multiplier>(&mut self, i: usize, point: &Affine<L>) {
        let beta = Fe::splat(point.x.proof(), BETA);
        let [x0, x1, x2, x3] = point.x.canonical().to_words();
        let [y0, y1, y2, y3] = point.y.canonical().to_words();
        let [b0, b1, b2, b3] = Wide::product(&point.x, &beta).reduced().canonical().to_words();
        let front = L::transpose([x0, x1, x2, x3, y0, y1, y2, y3]);
        let back = L::transpose([y0, y1, y2, y3, b0, b1, b2, b3]);
        for lane in 0..LANES {
            let entry = &mut self.0[lane][i].0;
            // y is written twice.
            front[lane].store(entry[..8].as_mut_array().expect("8 words"));
            back[lane].store(entry[4..].as_mut_array().expect("8 words"));
        }
    }

    /// Digit i of the first half times R.
    #[inline(always)]
    pub(super) fn first<L: Multiplier>(&self, proof: L::Proof, halves: &Halves<L>, i: usize) -> Affine<L> {
        let Digit { index, is_negative } = halves[0].digit::<WINDOW>(i, DIGITS);
        let [x0, x1, x2, x3, y0, y1, y2, y3] = self.rows::<L, 0>(proof, index);
        point([x0, x1, x2, x3], [y0, y1, y2, y3], is_negative)
    }

    /// Digit i of the second half times λR.
    #[inline(always)]
    pub(super) fn second<L: Multiplier>(&self, proof: L::Proof, halves: &Halves<L>, i: usize) -> Affine<L> {
        let Digit { index, is_negative } = halves[1].digit::<WINDOW>(i, DIGITS);
        let [y0, y1, y2, y3, b0, b1, b2, b3] = self.rows::<L, 4>(proof, index);
        point([b0, b1, b2, b3], [y0, y1, y2, y3], is_negative)
    }

    /// Eight words from word START on of the entry that each lane names.
    #[inline(always)]
    fn rows<L: Multiplier, const START: usize>(&self, proof: L::Proof, index: L) -> [L; LANES] {
        let index = index.to_indices::<MULTIPLES>();
        L::transpose(each!(8, lane => {
            let entry = &self.0[lane][index[lane]].0;
            L::load(proof, entry[START..START + 8].as_array().expect("8 words"))
        }))
    }
}

#[inline(always)]
fn point<L: Multiplier>(x: [L; 4], y: [L; 4], is_negative: LaneMask) -> Affine<L> {
    Affine { x: Fe::from_words(x), y: Fe::from_words(y).negated_where(is_negative) }
}
