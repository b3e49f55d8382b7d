//! What is compiled on its own for each set of instructions: everything else is inlined into these.

use super::super::{Signature, Verdict, Word};
use super::batch::{self, Invertible};
use super::comb::{self, Comb};
use super::engine::{self, Engine, Group, Key, Workspace};
use super::field::{Factor, Fe};
use super::items;
use super::multiples::Multiples;
use super::multiplier::Multiplier;
use super::point::{Affine, PAIR, Sums};
use super::root::{self, POWERS};
use super::table::Table;
use crate::simd::lanes::{LANES, LaneMask, Lanes, compiled};

compiled! {
    /// [`Engine::lift`].
    fn lift[L: Multiplier](engine: &Engine<L>, workspace: &mut Workspace<L>, signatures: &[Signature],
        verdicts: &mut [Verdict]) = engine.lift(workspace, signatures, verdicts);

    /// [`Engine::take_ratios`].
    fn take_ratios[L: Multiplier](engine: &Engine<L>, workspace: &mut Workspace<L>, hashes: &[Word],
        signatures: &[Signature]) = engine.take_ratios(workspace, hashes, signatures);

    /// [`Engine::multiply_and_comb`].
    fn multiply_and_comb[L: Multiplier](engine: &Engine<L>, workspace: &mut Workspace<L>)
        = engine.multiply_and_comb(workspace);

    /// [`Engine::look_up_comb`].
    fn look_up_comb[L: Multiplier](engine: &Engine<L>, workspace: &mut Workspace<L>) = engine.look_up_comb(workspace);

    /// [`Engine::climb`].
    fn climb[L: Multiplier](engine: &Engine<L>, workspace: &mut Workspace<L>) = engine.climb(workspace);

    /// [`Engine::finish`].
    fn finish[L: Multiplier](engine: &Engine<L>, workspace: &mut Workspace<L>, verdicts: &mut [Verdict])
        = engine.finish(workspace, verdicts);

    /// [`Workspace::forget`].
    fn forget[L: Multiplier](proof: L::Proof, workspace: &mut Workspace<L>) = workspace.forget(proof);

    /// [`engine::climb_side_by_side`].
    fn climb_side_by_side[L: Multiplier, const K: usize](groups: &[Group<L>; K], start: &Affine<L>,
        tables: &[Table], inverses: &[Factor<L>], comb_points: &[Affine<L>], keys: &mut Vec<Key<L>>)
        = engine::climb_side_by_side(groups, start, tables, inverses, comb_points, keys);

    /// [`Sums::double_negated`].
    fn double_negated[L: Multiplier, const K: usize](sums: &mut Sums<L, K>) = sums.double_negated();

    /// [`Sums::add_negated`].
    fn add_negated[L: Multiplier, const K: usize](sums: &mut Sums<L, K>, addends: &[Affine<L>; K])
        = sums.add_negated(addends);

    /// [`root::square_roots`].
    fn square_roots[L: Multiplier](a: &[Factor<L>; POWERS]) -> [Factor<L>; POWERS] = root::square_roots(a);

    /// [`root::squared_times`].
    fn squared_times[L: Multiplier](a: &[Factor<L>; POWERS], times: usize) -> [Factor<L>; POWERS]
        = root::squared_times(a, times);

    /// [`root::times`].
    fn times[L: Multiplier](a: &[Factor<L>; POWERS], b: &[Factor<L>; POWERS]) -> [Factor<L>; POWERS]
        = root::times(a, b);

    /// [`batch::invert_all`].
    fn invert_all[L: Lanes, T: Invertible<Lanes = L>, F: FnMut(usize, LaneMask)](numbers: &mut [T],
        products: &mut Vec<T>, on_zero: F) = batch::invert_all(numbers, products, on_zero);

    /// [`batch::running_products`].
    fn running_products[L: Lanes, T: Invertible<Lanes = L>](numbers: &[T], products: &mut Vec<T>, unit: T)
        -> [T; batch::CHAINS] = batch::running_products(numbers, products, unit);

    /// [`comb::add_neighbours`].
    fn add_neighbours[L: Multiplier](points: &mut [Affine<L>], len: usize, inverses: [&[Factor<L>]; PAIR])
        = comb::add_neighbours(points, len, inverses);

    /// [`comb::tabulate`].
    fn tabulate[L: Multiplier](proof: L::Proof, bases: &[[u64; 8]]) -> Comb = comb::tabulate::<L>(proof, bases);

    /// [`comb::multiply`].
    fn multiply[L: Multiplier](proof: L::Proof, points: &mut [Affine<L>]) = comb::multiply(proof, points);

    /// [`Multiples::round`].
    fn multiples_round[L: Multiplier](both: [&mut Multiples<'_, L>; PAIR], round: usize,
        inverses: [&[Factor<L>]; PAIR]) = Multiples::round(both, round, inverses);

    /// [`items::signers`].
    fn signers[L: Multiplier](x: &Fe<L>, y: &Fe<L>) -> ([[u8; 64]; LANES], [[u8; 20]; LANES]) = items::signers(x, y);
}
