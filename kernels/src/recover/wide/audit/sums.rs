//! Sums of segments, one in each lane, that advance together.
//!
//! A step adds the next point of each segment to its sum, in affine coordinates: slope = (y' − y) / (x' − x), with the
//! denominators of all groups of eight inverted at once. Two equal points, two opposite ones and infinity have no such
//! slope. Infinity is known beforehand; the others make a denominator 0, which shows in the product of all, and
//! only then are they looked for.

use super::super::super::audit::sums::{BLOCK_LEN_STEP, Entry, Row, Segment};
use super::super::batch::lanes_inverted;
use super::super::field::{Factor, Fe, Wide};
use super::super::multiplier::Multiplier;
use super::super::point::{Affine, abscissa, ordinate};
use super::compiled;
use crate::simd::lanes::{LANES, LaneMask, each, prefetch};

/// Groups of eight whose sums are worked out side by side, so that each fills the others' waiting.
pub(super) const CHAINS: usize = 4;
const _: () = assert!(BLOCK_LEN_STEP == CHAINS * LANES, "blocks fill all chains");

/// Memory for a block of segments, kept for the next. Everything is by groups of eight segments.
pub(super) struct Block<L: Multiplier> {
    sums: Vec<Affine<L>>,
    /// Where a sum is infinity.
    infinite: Vec<LaneMask>,
    /// Where the addition at hand is settled without a slope.
    settled: Vec<LaneMask>,
    additions: Vec<Addition<L>>,
    /// The product of the denominators i, i − 4, i − 8 and so on.
    products: Vec<Factor<L>>,
}

impl<L: Multiplier> Default for Block<L> {
    fn default() -> Self {
        Self {
            sums: Vec::new(),
            infinite: Vec::new(),
            settled: Vec::new(),
            additions: Vec::new(),
            products: Vec::new(),
        }
    }
}

/// What is added to a sum.
#[derive(Clone, Copy)]
struct Addition<L: Multiplier> {
    /// x of the point.
    x: Fe<L>,
    /// Its y less that of the sum: the numerator of the slope.
    rise: Factor<L>,
    /// Its x less that of the sum: the denominator.
    run: Factor<L>,
}

impl<L: Multiplier> Block<L> {
    /// The sum of each segment.
    #[inline(always)]
    pub(super) fn sum(
        &mut self,
        proof: L::Proof,
        points: &[Row],
        entries: &[Entry],
        segments: &[Segment],
        sums: &mut [Row],
    ) {
        let groups = segments.len().div_ceil(LANES * CHAINS) * CHAINS;
        let nothing = Affine::splat(proof, [[0; 4]; 2]);
        let one = Factor::one(proof);
        self.sums.resize(groups, nothing);
        self.additions.resize(groups, Addition { x: nothing.x, rise: one, run: one });
        self.products.resize(groups, one);
        self.infinite.clear();
        self.infinite.resize(groups, LaneMask::MAX);
        self.settled.clear();
        self.settled.resize(groups, LaneMask::MAX);
        let steps = segments.first().map_or(0, |segment| segment.len);
        for step in 0..steps {
            let active = segments.partition_point(|segment| segment.len > step);
            let gathered = Gathered { proof, points, entries, segments: &segments[..active], step };
            let groups = active.div_ceil(LANES);
            if step == 0 {
                for group in 0..groups {
                    let (point, live, negative) = gathered.group(group);
                    self.infinite[group] = !live | point.y.is_nothing();
                    self.sums[group] = point.negated_where(negative);
                }
                continue;
            }
            let groups_to_fill = groups.next_multiple_of(CHAINS);
            for group in 0..groups {
                self.prepare(group, &gathered);
            }
            for group in groups..groups_to_fill {
                self.additions[group].run = one;
                self.settled[group] = LaneMask::MAX;
            }
            compiled::add(proof, self, groups_to_fill, &one);
        }
        for ((sum, infinite), rows) in self.sums.iter().zip(&self.infinite).zip(sums.chunks_mut(LANES)) {
            let lanes = sum.to_rows();
            for (lane, row) in rows.iter_mut().enumerate() {
                if infinite >> lane & 1 != 0 {
                    *row = Row::INFINITY;
                } else {
                    lanes[lane].store(&mut row.0);
                }
            }
        }
    }

    /// Finds the slopes of the additions to a group, as fractions.
    #[inline(always)]
    fn prepare(&mut self, group: usize, gathered: &Gathered<'_, L>) {
        let (point, live, negative) = gathered.group(group);
        let at_infinity = point.y.is_nothing();
        let sum = &mut self.sums[group];
        let infinite = &mut self.infinite[group];
        let settled = !live | at_infinity | *infinite;
        let addition = &mut self.additions[group];
        addition.x = point.x;
        addition.rise = point.y.signed_minus(negative, &sum.y);
        addition.run = point.x.minus(&sum.x);
        self.settled[group] = settled;
        if settled != 0 {
            let starts = live & *infinite & !at_infinity;
            *sum = sum.replace(starts, &point.negated_where(negative));
            *infinite &= !starts;
            addition.run = addition.run.replace(settled, &Factor::one(gathered.proof));
        }
    }

    /// Does what is prepared for the first groups, a multiple of [`CHAINS`].
    #[inline(always)]
    pub(super) fn add(&mut self, groups: usize, one: &Factor<L>) {
        let proof = one.proof();
        let mut product = compiled::multiply_runs(proof, self, groups, one);
        let mut halves = [product[0].times(&product[1]), product[2].times(&product[3])];
        let mut whole = halves[0].times(&halves[1]);
        if whole.below_2_256().is_zero() != 0 {
            compiled::settle_exceptions(proof, self, groups, one);
            product = compiled::multiply_runs(proof, self, groups, one);
            halves = [product[0].times(&product[1]), product[2].times(&product[3])];
            whole = halves[0].times(&halves[1]);
        }
        let inverse = lanes_inverted(&whole);
        let of_halves = [inverse.times(&halves[1]), inverse.times(&halves[0])];
        // The inverse of each chain's product so far.
        let mut inverses = each!(4, k => of_halves[k / 2].times(&product[k ^ 1]));
        for first in (0..groups).step_by(CHAINS).rev() {
            let before = match first.checked_sub(CHAINS) {
                Some(before) => each!(4, k => self.products[before + k]),
                None => [*one; CHAINS],
            };
            let additions: &[Addition<L>; CHAINS] =
                self.additions[first..].first_chunk().expect("four groups");
            let sums: &mut [Affine<L>; CHAINS] = self.sums[first..].first_chunk_mut().expect("four groups");
            let own = each!(4, k => inverses[k].times(&before[k]));
            inverses = each!(4, k => inverses[k].times(&additions[k].run));
            for k in 0..CHAINS {
                let (addition, sum) = (&additions[k], &mut sums[k]);
                let slope = own[k].times(&addition.rise);
                let x = abscissa(&slope, &sum.x, &addition.x);
                let y = ordinate(&slope, sum, &x);
                let added = Affine { x, y };
                let settled = self.settled[first + k];
                *sum = if settled == 0 { added } else { added.replace(settled, sum) };
            }
        }
    }

    /// The products of all denominators in each chain.
    #[inline(always)]
    pub(super) fn multiply_runs(&mut self, groups: usize, one: &Factor<L>) -> [Factor<L>; CHAINS] {
        let mut product = [*one; CHAINS];
        let products = self.products[..groups].chunks_exact_mut(CHAINS);
        for (products, additions) in products.zip(self.additions.chunks_exact(CHAINS)) {
            product = each!(4, k => product[k].times(&additions[k].run));
            products.copy_from_slice(&product);
        }
        product
    }

    /// Finds the points with the x of what they are added to: where both are equal, the slope is that of the tangent; where
    /// they are opposite, the sum is infinity.
    #[inline(always)]
    pub(super) fn settle_exceptions(&mut self, groups: usize, one: &Factor<L>) {
        for group in 0..groups {
            let (sum, addition) = (&self.sums[group], &mut self.additions[group]);
            let exceptional = addition.run.below_2_256().is_zero();
            if exceptional == 0 {
                continue;
            }
            let double = exceptional & addition.rise.below_2_256().is_zero();
            let opposite = exceptional & !double;
            addition.rise = addition.rise.replace(double, &Wide::square(&sum.x).factor_thrice());
            addition.run = addition.run.replace(double, &sum.y.plus(&sum.y)).replace(opposite, one);
            self.settled[group] |= opposite;
            self.infinite[group] |= opposite;
        }
    }
}

/// The points that a step adds.
struct Gathered<'a, L: Multiplier> {
    proof: L::Proof,
    points: &'a [Row],
    entries: &'a [Entry],
    segments: &'a [Segment],
    step: u32,
}

impl<L: Multiplier> Gathered<'_, L> {
    /// Those of a group, in which lanes there are any, and in which they are to be negated. Asks for those of the next step.
    #[inline(always)]
    fn group(&self, group: usize) -> (Affine<L>, LaneMask, LaneMask) {
        let segments = &self.segments[group * LANES..];
        let len = segments.len().min(LANES);
        let live = if len < LANES { (1 << len) - 1 } else { LaneMask::MAX };
        let mut negative = 0;
        // Lanes without a segment take another's point.
        let rows = each!(8, lane => {
            let segment = segments[if lane < len { lane } else { 0 }];
            let index = (segment.start + self.step) as usize;
            if let Some(next) = self.entries.get(index + 1) {
                prefetch(&self.points[next.index()]);
            }
            let entry = self.entries[index];
            negative |= LaneMask::from(entry.is_negative()) << lane;
            &self.points[entry.index()].0
        });
        (Affine::from_rows(self.proof, rows), live, negative)
    }
}
