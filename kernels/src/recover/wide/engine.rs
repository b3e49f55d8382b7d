//! The stages of a batch, from signatures and hashes to verdicts.

use super::super::cpu::recover_one;
use super::super::{Rejection, Signature, Signer, Verdict, Word};
use super::blinding::Blinding;
use super::comb::{self, Comb};
use super::compiled;
use super::field::{Factor, Fe, Wide};
use super::items::{Abscissas, lanes_of, load_scalars};
use super::multiples::{Multiples, denominators_len, rounds};
use super::multiplier::Multiplier;
use super::point::{Affine, GENERATOR, Jacobian, PAIR, Sums, add_affine_one};
use super::root::POWERS;
use super::scalar::{Odd, Scalar};
use super::table::{self, Halves, Table};
use crate::simd::lanes::{LANES, LaneMask, each};

/// Points that a group needs for its multiples: so many, and the power that they are added to.
const MULTIPLES_STRIDE: usize = table::MULTIPLES + 1;

/// Groups that climb side by side, so that each fills the others' waiting.
const CLIMBERS: usize = 4;

/// What all batches share.
pub(super) struct Engine<L: Multiplier> {
    proof: L::Proof,
    comb: Comb,
    blinding: Blinding,
}

/// Memory for one chunk, kept for the next.
pub(super) struct Workspace<L: Multiplier> {
    groups: Vec<Group<L>>,
    ratios: Vec<Scalar<L>>,
    ratio_products: Vec<Scalar<L>>,
    /// [`MULTIPLES_STRIDE`] for each group.
    multiples: Vec<Affine<L>>,
    /// [`comb::DIGITS`] for each group, of which sums of more and more gather in the first.
    comb_points: Vec<Affine<L>>,
    tables: Vec<Table>,
    /// Denominators, then their inverses.
    denominators: Vec<Factor<L>>,
    products: Vec<Factor<L>>,
    keys: Vec<Key<L>>,
}

impl<L: Multiplier> Default for Workspace<L> {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            ratios: Vec::new(),
            ratio_products: Vec::new(),
            multiples: Vec::new(),
            comb_points: Vec::new(),
            tables: Vec::new(),
            denominators: Vec::new(),
            products: Vec::new(),
            keys: Vec::new(),
        }
    }
}

/// Eight signatures.
#[derive(Clone, Copy)]
pub(super) struct Group<L: Multiplier> {
    /// The index of the first.
    first: usize,
    /// R.
    point: Affine<L>,
    /// u2, in halves.
    halves: Halves<L>,
    /// −u1 and what the blinding grows to, which the comb takes off.
    comb_scalar: Odd<L, 5>,
    /// What is settled: signatures that have no signer, and lanes that have no signature.
    settled: LaneMask,
    /// Where a denominator was 0, so that nothing that follows is to be trusted.
    exceptional: LaneMask,
}

impl<L: Multiplier> Workspace<L> {
    /// Overwrites what is known of signatures that may be of transactions nobody has published yet.
    #[inline(always)]
    pub(super) fn forget(&mut self, proof: L::Proof) {
        let point = Affine::splat(proof, GENERATOR);
        let factor = Factor::one(proof);
        self.groups.fill(Group::idle(proof));
        self.ratios.fill(Scalar::unit(proof));
        self.ratio_products.fill(Scalar::unit(proof));
        self.multiples.fill(point);
        self.comb_points.fill(point);
        self.tables.fill(Table::EMPTY);
        self.denominators.fill(factor);
        self.products.fill(factor);
        self.keys.fill(Key { sum: point.jacobian(), z_before: factor });
    }
}

impl<L: Multiplier> Group<L> {
    /// None that is not settled.
    #[inline(always)]
    fn idle(proof: L::Proof) -> Self {
        Self {
            first: 0,
            point: Affine::splat(proof, GENERATOR),
            halves: [Odd::one(proof); 2],
            comb_scalar: Odd::one(proof),
            settled: LaneMask::MAX,
            exceptional: 0,
        }
    }
}

/// Eight keys that are nearly found.
#[derive(Clone, Copy)]
pub(super) struct Key<L: Multiplier> {
    sum: Jacobian<L>,
    /// z before the last addition.
    z_before: Factor<L>,
}

impl<L: Multiplier> Engine<L> {
    /// With a secret blinding; takes some milliseconds.
    pub(super) fn new(proof: L::Proof) -> Self {
        Self::with_blinding(proof, Blinding::random(table::DOUBLINGS))
    }

    pub(super) fn with_blinding(proof: L::Proof, blinding: Blinding) -> Self {
        let comb = Comb::new::<L>(proof);
        Self { proof, comb, blinding }
    }

    pub(super) fn proof(&self) -> L::Proof {
        self.proof
    }

    /// Recovers signature i of hash i into verdict i. Returns how many of them had to be redone alone.
    pub(super) fn recover(
        &self,
        workspace: &mut Workspace<L>,
        hashes: &[Word],
        signatures: &[Signature],
        verdicts: &mut [Verdict],
    ) -> usize {
        assert!(hashes.len() == signatures.len() && signatures.len() == verdicts.len());
        if signatures.is_empty() {
            return 0;
        }
        compiled::lift(self.proof, self, workspace, signatures, verdicts);
        if workspace.groups.is_empty() {
            return 0;
        }
        compiled::take_ratios(self.proof, self, workspace, hashes, signatures);
        compiled::multiply_and_comb(self.proof, self, workspace);
        compiled::climb(self.proof, self, workspace);
        compiled::finish(self.proof, self, workspace, verdicts);
        let mut redone = 0;
        for group in &workspace.groups {
            for lane in lanes_of(group.exceptional & !group.settled) {
                let item = group.first + lane;
                verdicts[item] = recover_one(&hashes[item], &signatures[item]);
                redone += 1;
            }
        }
        compiled::forget(self.proof, self.proof, workspace);
        redone
    }

    /// Range checks, and R from its x-coordinate. What has no R is settled, and goes on with G in its place.
    #[inline(always)]
    pub(super) fn lift(
        &self,
        workspace: &mut Workspace<L>,
        signatures: &[Signature],
        verdicts: &mut [Verdict],
    ) {
        let proof = self.proof;
        let generator = Affine::splat(proof, GENERATOR);
        let seven = Fe::splat(proof, [7, 0, 0, 0]);
        let groups = signatures.len().div_ceil(LANES * PAIR) * PAIR;
        workspace.groups.clear();
        for first in (0..groups).step_by(POWERS) {
            let mut loaded = [Abscissas::empty(); POWERS];
            let mut right = [seven; POWERS];
            for k in 0..POWERS {
                let start = ((first + k) * LANES).min(signatures.len());
                let end = (start + LANES).min(signatures.len());
                loaded[k] = Abscissas::new(&signatures[start..end], &mut verdicts[start..end]);
                let x = Fe::from_words(each!(4, i => L::load(proof, &loaded[k].x[i])));
                right[k] = Wide::product(&x, &Wide::square(&x).factor()).reduced().plus_small(&seven);
            }
            let roots = compiled::square_roots(proof, &each!(4, k => right[k].factor()));
            for (k, (loaded, root)) in loaded.iter().zip(roots).enumerate().take(groups - first) {
                let root = root.below_2_256().canonical();
                let off_curve = !Wide::square(&root).reduced().equal(&right[k]);
                for lane in lanes_of(off_curve & !loaded.settled) {
                    verdicts[(first + k) * LANES + lane] = Err(Rejection::NotOnCurve);
                }
                let point = Affine {
                    x: Fe::from_words(each!(4, i => L::load(proof, &loaded.x[i]))),
                    y: root.negated_where(root.is_odd() ^ loaded.odd),
                };
                let settled = loaded.settled | off_curve;
                // Eight that are settled need nothing more: garbage costs a tenth of what signatures do.
                if settled != LaneMask::MAX {
                    let point = point.replace(settled, &generator);
                    let first = (first + k) * LANES;
                    workspace.groups.push(Group { first, point, settled, ..Group::idle(proof) });
                }
            }
        }
        if !workspace.groups.len().is_multiple_of(PAIR) {
            workspace.groups.push(Group::idle(proof));
        }
    }

    /// −u1 = z / r, with what the blinding grows to, for the comb, and u2 = s / r for the ladder.
    #[inline(always)]
    pub(super) fn take_ratios(
        &self,
        workspace: &mut Workspace<L>,
        hashes: &[Word],
        signatures: &[Signature],
    ) {
        let proof = self.proof;
        let blind = Scalar::splat(proof, self.blinding.end);
        let Workspace { groups, ratios, ratio_products, .. } = workspace;
        // Settled lanes go on with r = s = 1, which have inverses, and z = 0, whose key, R, is not at infinity.
        ratios.clear();
        for group in &*groups {
            ratios.push(load_scalars(proof, group.settled, 1, |lane| &signatures[group.first + lane].r));
        }
        compiled::invert_all(self.proof, ratios, ratio_products, |_, _| {
            unreachable!("r is between 1 and n - 1")
        });
        for (group, inverse) in groups.iter_mut().zip(ratios) {
            let first = group.first;
            let item = |lane: usize| first + lane;
            let z = load_scalars(proof, group.settled, 0, |lane| &hashes[item(lane)]);
            let s = load_scalars(proof, group.settled, 1, |lane| &signatures[item(lane)].s);
            group.comb_scalar = z.times(inverse).canonical().plus(&blind).odd();
            group.halves = s.times(inverse).canonical().split();
        }
    }

    /// Tables of the odd multiples of R, and u1 · G from the comb, in rounds that share their inversions.
    #[inline(always)]
    pub(super) fn multiply_and_comb(&self, workspace: &mut Workspace<L>) {
        compiled::look_up_comb(self.proof, self, workspace);
        let Workspace { groups, multiples, comb_points, tables, denominators, products, .. } = workspace;
        multiples.resize(groups.len() * MULTIPLES_STRIDE, groups[0].point);
        for (multiples, group) in multiples.chunks_exact_mut(MULTIPLES_STRIDE).zip(&*groups) {
            Multiples::new(multiples).start(&group.point);
        }
        let mut comb_len = comb::DIGITS;
        for round in 0..rounds(table::MULTIPLES) {
            denominators.clear();
            for (multiples, comb_points) in
                multiples.chunks_exact_mut(MULTIPLES_STRIDE).zip(comb_points.chunks_exact(comb::DIGITS))
            {
                Multiples::new(multiples).push_denominators(round, denominators);
                for both in comb_points[..comb_len].chunks_exact(2) {
                    denominators.push(both[1].x.minus(&both[0].x));
                }
            }
            let multiples_len = denominators_len(round, table::MULTIPLES);
            let len = multiples_len + comb_len / 2;
            compiled::invert_all(self.proof, denominators, products, |i, lanes| {
                groups[i / len].exceptional |= lanes
            });
            for ((inverses, multiples), comb_points) in denominators
                .chunks_exact(PAIR * len)
                .zip(multiples.chunks_exact_mut(PAIR * MULTIPLES_STRIDE))
                .zip(comb_points.chunks_exact_mut(PAIR * comb::DIGITS))
            {
                let (front, back) = multiples.split_at_mut(MULTIPLES_STRIDE);
                let inverses = [&inverses[..len], &inverses[len..]];
                let both = [&mut Multiples::new(front), &mut Multiples::new(back)];
                compiled::multiples_round(self.proof, both, round, inverses);
                let inverses = inverses.map(|inverses| &inverses[multiples_len..]);
                compiled::add_neighbours(self.proof, comb_points, comb_len, inverses);
            }
            comb_len = comb_len.div_ceil(2);
        }
        assert!(comb_len == 1, "as many rounds as halve the digits of the comb to one");
        if tables.len() < groups.len() {
            tables.resize(groups.len(), Table::EMPTY);
        }
        for (table, multiples) in tables.iter_mut().zip(multiples.chunks_exact(MULTIPLES_STRIDE)) {
            for (i, multiple) in multiples[..table::MULTIPLES].iter().enumerate() {
                table.set(i, multiple);
            }
        }
    }

    /// The comb's points for each digit of −u1; those of a group are asked for while the group before is looked up.
    #[inline(always)]
    pub(super) fn look_up_comb(&self, workspace: &mut Workspace<L>) {
        let Workspace { groups, comb_points, .. } = workspace;
        comb_points.resize(groups.len() * comb::DIGITS, groups[0].point);
        for (g, points) in comb_points.chunks_exact_mut(comb::DIGITS).enumerate() {
            let next = groups.get(g + 1);
            for (i, point) in points.iter_mut().enumerate() {
                if let Some(next) = next {
                    self.comb.prefetch(&next.comb_scalar, i);
                }
                *point = self.comb.lookup(self.proof, &groups[g].comb_scalar, i);
            }
        }
    }

    /// The ladder from βG, and the comb's point at its end.
    #[inline(always)]
    pub(super) fn climb(&self, workspace: &mut Workspace<L>) {
        let proof = self.proof;
        let Workspace { groups, comb_points, tables, denominators, products, keys, .. } = workspace;
        denominators.clear();
        for (group, table) in groups.iter().zip(&*tables) {
            for i in 0..table::DIGITS {
                let (p, q) = (table.first(proof, &group.halves, i), table.second(proof, &group.halves, i));
                denominators.push(q.x.minus(&p.x));
            }
        }
        compiled::invert_all(self.proof, denominators, products, |i, lanes| {
            groups[i / table::DIGITS].exceptional |= lanes
        });
        let start = Affine::splat(proof, self.blinding.start);
        keys.clear();
        let mut chunks = groups.chunks_exact(CLIMBERS);
        let (mut tables, mut inverses, mut points) = (&tables[..], &denominators[..], &comb_points[..]);
        let mut advance = |len: usize| {
            let now = (tables, inverses, points);
            (tables, inverses) = (&tables[len..], &inverses[len * table::DIGITS..]);
            points = &points[len * comb::DIGITS..];
            now
        };
        for chunk in &mut chunks {
            let chunk: &[Group<L>; CLIMBERS] = chunk.as_array().expect("a chunk has so many");
            let (tables, inverses, points) = advance(CLIMBERS);
            compiled::climb_side_by_side(proof, chunk, &start, tables, inverses, points, keys);
        }
        for chunk in chunks.remainder().chunks_exact(PAIR) {
            let chunk: &[Group<L>; PAIR] = chunk.as_array().expect("groups come in pairs");
            let (tables, inverses, points) = advance(PAIR);
            compiled::climb_side_by_side(proof, chunk, &start, tables, inverses, points, keys);
        }
    }

    /// Affine keys, and their addresses.
    #[inline(always)]
    pub(super) fn finish(&self, workspace: &mut Workspace<L>, verdicts: &mut [Verdict]) {
        let Workspace { groups, denominators, products, keys, .. } = workspace;
        denominators.clear();
        denominators.extend(keys.iter().map(|key| key.sum.z));
        compiled::invert_all(self.proof, denominators, products, |g, lanes| {
            // Opposite points: the key is at infinity. Anything else is an exception.
            let (group, key) = (&mut groups[g], &keys[g]);
            let at_infinity = lanes & !key.z_before.below_2_256().is_zero() & !key.sum.x.is_zero();
            let at_infinity = at_infinity & !group.exceptional & !group.settled;
            for lane in lanes_of(at_infinity) {
                verdicts[group.first + lane] = Err(Rejection::Infinity);
            }
            group.settled |= at_infinity;
            group.exceptional |= lanes & !at_infinity;
        });
        for ((group, key), inverse) in groups.iter().zip(keys).zip(denominators) {
            let square = inverse.squared();
            let x = Wide::product(&key.sum.x, &square).reduced();
            let y = Wide::product(&key.sum.y, &square.times(inverse)).reduced();
            let (public_keys, addresses) = compiled::signers(self.proof, &x, &y);
            for lane in lanes_of(!(group.settled | group.exceptional)) {
                let signer = Signer { public_key: public_keys[lane], address: addresses[lane] };
                verdicts[group.first + lane] = Ok(signer);
            }
        }
    }
}

/// The ladder of K groups, whose tables, inverses and comb points come first in slices.
#[inline(always)]
pub(super) fn climb_side_by_side<L: Multiplier, const K: usize>(
    groups: &[Group<L>; K],
    start: &Affine<L>,
    tables: &[Table],
    inverses: &[Factor<L>],
    comb_points: &[Affine<L>],
    keys: &mut Vec<Key<L>>,
) {
    let proof = start.x.proof();
    let mut sums = Sums::<L, K>::new(start);
    let mut step = [*start; K];
    for i in (0..table::DIGITS).rev() {
        // Both halves of a digit at once: digit · R + other digit · λR.
        for (k, group) in groups.iter().enumerate() {
            let table = &tables[k];
            let (p, q) = (table.first(proof, &group.halves, i), table.second(proof, &group.halves, i));
            step[k] = add_affine_one(&p, &q, &inverses[k * table::DIGITS + i]);
        }
        // Each addition negates the sum, and so does an odd number of doublings: what is added is never negative.
        compiled::add_negated(proof, &mut sums, &step);
        if i > 0 {
            for _ in 0..table::DIGIT_DOUBLINGS {
                compiled::double_negated(proof, &mut sums);
            }
        }
    }
    // It is negative once more, and −(−a + b) = a − b.
    let z_before = sums.points.map(|point| point.z);
    for k in 0..K {
        step[k] = comb_points[k * comb::DIGITS];
    }
    compiled::add_negated(proof, &mut sums, &step);
    keys.extend(sums.points.iter().zip(z_before).map(|(&sum, z_before)| Key { sum, z_before }));
}
