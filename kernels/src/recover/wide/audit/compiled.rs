//! What is compiled on its own for each set of instructions: everything else is inlined into these.

use std::ops::Range;

use super::super::super::audit::sums::{Entry, Row, Segment};
use super::super::super::audit::windows::{Code, Windows};
use super::super::super::audit::{Claims, Mismatch};
use super::super::field::Factor;
use super::super::multiplier::Multiplier;
use super::items::Preparation;
use super::sums::{Block, CHAINS};
use crate::simd::lanes::compiled;

compiled! {
    /// [`Preparation::place`].
    fn place[L: Multiplier](preparation: &mut Preparation<L>, proof: L::Proof, claims: &Claims<'_>, first: usize, points: &mut [Row])
        -> Result<(), Mismatch> = preparation.place(proof, claims, first, points);

    /// [`Preparation::scalars`].
    fn scalars[L: Multiplier](preparation: &mut Preparation<L>, proof: L::Proof, claims: &Claims<'_>, windows: Windows, range: Range<usize>,
        codes: &mut [Code]) -> k256::Scalar = preparation.scalars(proof, claims, windows, range, codes);

    /// [`Block::sum`].
    fn sum[L: Multiplier](block: &mut Block<L>, proof: L::Proof, points: &[Row], entries: &[Entry], segments: &[Segment],
        sums: &mut [Row]) = block.sum(proof, points, entries, segments, sums);

    /// [`Block::add`].
    fn add[L: Multiplier](block: &mut Block<L>, groups: usize, one: &Factor<L>) = block.add(groups, one);

    /// [`Block::multiply_runs`].
    fn multiply_runs[L: Multiplier](block: &mut Block<L>, groups: usize, one: &Factor<L>) -> [Factor<L>; CHAINS]
        = block.multiply_runs(groups, one);

    /// [`Block::settle_exceptions`].
    fn settle_exceptions[L: Multiplier](block: &mut Block<L>, groups: usize, one: &Factor<L>)
        = block.settle_exceptions(groups, one);
}
