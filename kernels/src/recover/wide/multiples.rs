//! Odd multiples of points, P, 3P, 5P and so on, in affine coordinates, for many points at once.
//!
//! In rounds, each of which doubles what there is: the first half and 2^k P make the second. All sums of a round
//! share one inversion, also with what else is added meanwhile.

use super::field::Factor;
use super::multiplier::Multiplier;
use super::point::{Affine, PAIR, add_affine, double_affine};

/// Odd multiples of a point, as many as a power of 2, and after them a power of 2 times the point.
#[derive(Debug)]
pub(super) struct Multiples<'a, L> {
    odd: &'a mut [Affine<L>],
    power: &'a mut Affine<L>,
}

impl<'a, L: Multiplier> Multiples<'a, L> {
    /// Of memory for one more than there will be multiples.
    ///
    /// # Panics
    /// If that is none.
    #[inline(always)]
    pub(super) fn new(points: &'a mut [Affine<L>]) -> Self {
        let (power, odd) = points.split_last_mut().expect("memory for a point and its double");
        Self { odd, power }
    }

    /// Begins with a point.
    #[inline(always)]
    pub(super) fn start(&mut self, point: &Affine<L>) {
        self.odd[0] = *point;
        *self.power = *point;
    }

    /// Appends the denominators of a round.
    #[inline(always)]
    pub(super) fn push_denominators(&self, round: usize, denominators: &mut Vec<Factor<L>>) {
        for multiple in &self.odd[..added(round)] {
            denominators.push(self.power.x.minus(&multiple.x));
        }
        if round + 1 < rounds(self.odd.len()) {
            denominators.push(self.power.y.plus(&self.power.y));
        }
    }

    /// Does a round for two, given the inverses of its denominators first in a slice.
    #[inline(always)]
    pub(super) fn round(both: [&mut Self; PAIR], round: usize, inverses: [&[Factor<L>]; PAIR]) {
        let [front, back] = both;
        let added = added(round);
        for i in 0..added {
            let addends = [&front.odd[i], &back.odd[i]];
            let inverses = [&inverses[0][i], &inverses[1][i]];
            let sums = add_affine(addends, [&*front.power, &*back.power], inverses);
            [front.odd[added + i], back.odd[added + i]] = sums;
        }
        if round + 1 < rounds(front.odd.len()) {
            let inverses = [&inverses[0][added], &inverses[1][added]];
            let doubles = double_affine([&*front.power, &*back.power], inverses);
            [*front.power, *back.power] = doubles;
        }
    }
}

/// Rounds until there are `len`.
pub(super) const fn rounds(len: usize) -> usize {
    len.ilog2() as usize + 1
}

/// Denominators that a round on the way to `len` multiples has inverted for each point.
pub(super) const fn denominators_len(round: usize, len: usize) -> usize {
    added(round) + (round + 1 < rounds(len)) as usize
}

/// Multiples that a round adds to as many: none, then 1, 2, 4 and so on.
const fn added(round: usize) -> usize {
    if round == 0 { 0 } else { 1 << (round - 1) }
}
