//! The stages of a batch, from signatures and hashes to verdicts.

use super::super::cpu::{check_ranges, plus_order, recover_one};
use super::super::{Rejection, Signature, Signer, Verdict, Word};
use super::batch::invert_all;
use super::blinding::Blinding;
use super::comb::{self, Comb};
use super::field::{Factor, Fe, POWERS, Wide, square_roots};
use super::multiples::{Multiples, denominators_len};
use super::point::{Affine, GENERATOR, Jacobian, PAIR, Sums, add_affine, add_affine_one};
use super::scalar::{Odd, Scalar};
use super::table::{self, Halves, Table};
use crate::keccak::wide::permute;
use crate::simd::lanes::{Avx512, LANES, LaneMask, Lanes, each};

/// Points that a group needs for its multiples: so many, and the power that they are added to.
const MULTIPLES_STRIDE: usize = table::MULTIPLES + 1;

/// Groups that climb side by side, so that each fills the others' waiting.
const CLIMBERS: usize = 4;

/// What all batches share.
pub(super) struct Engine {
    proof: Avx512,
    comb: Comb,
    blinding: Blinding,
}

/// Memory for one chunk, kept for the next.
#[derive(Default)]
pub(super) struct Workspace {
    groups: Vec<Group>,
    ratios: Vec<Scalar>,
    ratio_products: Vec<Scalar>,
    /// [`MULTIPLES_STRIDE`] for each group.
    multiples: Vec<Affine>,
    /// [`comb::DIGITS`] for each group, of which sums of more and more gather in the first.
    comb_points: Vec<Affine>,
    tables: Vec<Table>,
    /// Denominators, then their inverses.
    denominators: Vec<Factor>,
    products: Vec<Factor>,
    keys: Vec<Key>,
}

/// Eight signatures.
struct Group {
    /// R.
    point: Affine,
    /// u2, in halves.
    halves: Halves,
    /// −u1 and what the blinding grows to, which the comb takes off.
    comb_scalar: Odd<5>,
    /// What is settled: signatures that have no signer, and lanes that have no signature.
    settled: LaneMask,
    /// Where a denominator was 0, so that nothing that follows is to be trusted.
    exceptional: LaneMask,
}

/// Eight keys that are nearly found.
#[derive(Clone, Copy)]
struct Key {
    sum: Jacobian,
    /// z before the last addition.
    z_before: Factor,
}

impl Engine {
    /// With a secret blinding; takes some milliseconds.
    pub(super) fn new(proof: Avx512) -> Self {
        Self::with_blinding(proof, Blinding::random(table::DOUBLINGS))
    }

    pub(super) fn with_blinding(proof: Avx512, blinding: Blinding) -> Self {
        // SAFETY: an `Avx512` proves that the processor has the instructions.
        let comb = unsafe { Comb::new(proof) };
        Self { proof, comb, blinding }
    }

    pub(super) const fn proof(&self) -> Avx512 {
        self.proof
    }

    /// Recovers signature i of hash i into verdict i. Returns how many of them had to be redone alone.
    pub(super) fn recover(
        &self,
        workspace: &mut Workspace,
        hashes: &[Word],
        signatures: &[Signature],
        verdicts: &mut [Verdict],
    ) -> usize {
        assert!(hashes.len() == signatures.len() && signatures.len() == verdicts.len());
        if signatures.is_empty() {
            return 0;
        }
        // SAFETY: an `Avx512` proves that the processor has the instructions.
        unsafe { self.recover_in_lanes(workspace, hashes, signatures, verdicts) };
        let mut redone = 0;
        for (g, group) in workspace.groups.iter().enumerate() {
            for lane in lanes_of(group.exceptional & !group.settled) {
                let item = g * LANES + lane;
                verdicts[item] = recover_one(&hashes[item], &signatures[item]);
                redone += 1;
            }
        }
        redone
    }

    #[target_feature(enable = "avx512dq,avx512ifma,avx512vbmi2")]
    fn recover_in_lanes(
        &self,
        workspace: &mut Workspace,
        hashes: &[Word],
        signatures: &[Signature],
        verdicts: &mut [Verdict],
    ) {
        self.lift(workspace, signatures, verdicts);
        self.take_ratios(workspace, hashes, signatures);
        self.multiply_and_comb(workspace);
        self.climb(workspace);
        self.finish(workspace, verdicts);
    }

    /// Range checks, and R from its x-coordinate. What has no R is settled, and goes on with G in its place.
    #[target_feature(enable = "avx512dq,avx512ifma,avx512vbmi2")]
    fn lift(&self, workspace: &mut Workspace, signatures: &[Signature], verdicts: &mut [Verdict]) {
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
                let x = Fe::from_words(each!(4, i => Lanes::load(proof, &loaded[k].x[i])));
                right[k] = Wide::product(&x, &Wide::square(&x).factor()).reduced().plus_small(&seven);
            }
            let roots = square_roots(&each!(4, k => right[k].factor()));
            for (k, (loaded, root)) in loaded.iter().zip(roots).enumerate().take(groups - first) {
                let root = root.below_2_256().canonical();
                let off_curve = !Wide::square(&root).reduced().equal(&right[k]);
                for lane in lanes_of(off_curve & !loaded.settled) {
                    verdicts[(first + k) * LANES + lane] = Err(Rejection::NotOnCurve);
                }
                let point = Affine {
                    x: Fe::from_words(each!(4, i => Lanes::load(proof, &loaded.x[i]))),
                    y: root.negated_where(root.is_odd() ^ loaded.odd),
                };
                let settled = loaded.settled | off_curve;
                workspace.groups.push(Group {
                    point: point.replace(settled, &generator),
                    halves: [Odd::one(proof); 2],
                    comb_scalar: Odd::one(proof),
                    settled,
                    exceptional: 0,
                });
            }
        }
    }

    /// −u1 = z / r, with what the blinding grows to, for the comb, and u2 = s / r for the ladder.
    #[target_feature(enable = "avx512dq,avx512ifma,avx512vbmi2")]
    fn take_ratios(&self, workspace: &mut Workspace, hashes: &[Word], signatures: &[Signature]) {
        let proof = self.proof;
        let blind = Scalar::splat(proof, self.blinding.end);
        let Workspace { groups, ratios, ratio_products, .. } = workspace;
        // Settled lanes go on with r = s = 1, which have inverses, and z = 0, whose key, R, is not at infinity.
        ratios.clear();
        for (g, group) in groups.iter().enumerate() {
            ratios.push(load_scalars(proof, group.settled, 1, |lane| &signatures[g * LANES + lane].r));
        }
        invert_all(ratios, ratio_products, |_, _| unreachable!("r is between 1 and n - 1"));
        for (g, (group, inverse)) in groups.iter_mut().zip(ratios).enumerate() {
            let item = |lane: usize| g * LANES + lane;
            let z = load_scalars(proof, group.settled, 0, |lane| &hashes[item(lane)]);
            let s = load_scalars(proof, group.settled, 1, |lane| &signatures[item(lane)].s);
            group.comb_scalar = z.times(inverse).canonical().plus(&blind).odd();
            group.halves = s.times(inverse).canonical().split();
        }
    }

    /// Tables of the odd multiples of R, and u1 · G from the comb, in rounds that share their inversions.
    #[target_feature(enable = "avx512dq,avx512ifma,avx512vbmi2")]
    fn multiply_and_comb(&self, workspace: &mut Workspace) {
        let proof = self.proof;
        let Workspace { groups, multiples, comb_points, tables, denominators, products, .. } = workspace;
        let seed = groups[0].point;
        multiples.resize(groups.len() * MULTIPLES_STRIDE, seed);
        comb_points.resize(groups.len() * comb::DIGITS, seed);
        for (g, group) in groups.iter().enumerate() {
            Multiples::new(&mut multiples[g * MULTIPLES_STRIDE..][..MULTIPLES_STRIDE]).start(&group.point);
            let next = groups.get(g + 1);
            for (i, point) in comb_points[g * comb::DIGITS..][..comb::DIGITS].iter_mut().enumerate() {
                if let Some(next) = next {
                    self.comb.prefetch(&next.comb_scalar, i);
                }
                *point = self.comb.lookup(proof, &group.comb_scalar, i);
            }
        }
        let mut comb_len = comb::DIGITS;
        for round in 0..Multiples::rounds(table::MULTIPLES) {
            denominators.clear();
            let multiples_len = denominators_len(round, table::MULTIPLES);
            let len = multiples_len + comb_len / 2;
            for g in 0..groups.len() {
                let multiples = &mut multiples[g * MULTIPLES_STRIDE..][..MULTIPLES_STRIDE];
                Multiples::new(multiples).push_denominators(round, denominators);
                for both in comb_points[g * comb::DIGITS..][..comb_len].chunks_exact(2) {
                    denominators.push(both[1].x.minus(&both[0].x));
                }
            }
            invert_all(denominators, products, |i, lanes| groups[i / len].exceptional |= lanes);
            for ((inverses, multiples), comb_points) in denominators
                .chunks_exact(PAIR * len)
                .zip(multiples.chunks_exact_mut(PAIR * MULTIPLES_STRIDE))
                .zip(comb_points.chunks_exact_mut(PAIR * comb::DIGITS))
            {
                let (inverses, others) = inverses.split_at(len);
                let inverses = [inverses, others];
                let (front, back) = multiples.split_at_mut(MULTIPLES_STRIDE);
                Multiples::round([&mut Multiples::new(front), &mut Multiples::new(back)], round, inverses);
                let both = [0, comb::DIGITS];
                for i in 0..comb_len / 2 {
                    let sums = add_affine(
                        both.map(|start| &comb_points[start + 2 * i]),
                        both.map(|start| &comb_points[start + 2 * i + 1]),
                        inverses.map(|inverses| &inverses[multiples_len + i]),
                    );
                    [comb_points[both[0] + i], comb_points[both[1] + i]] = sums;
                }
                if comb_len % 2 == 1 {
                    for start in both {
                        comb_points[start + comb_len / 2] = comb_points[start + comb_len - 1];
                    }
                }
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

    /// The ladder from βG, and the comb's point at its end.
    #[target_feature(enable = "avx512dq,avx512ifma,avx512vbmi2")]
    fn climb(&self, workspace: &mut Workspace) {
        let proof = self.proof;
        let Workspace { groups, comb_points, tables, denominators, products, keys, .. } = workspace;
        denominators.clear();
        for (group, table) in groups.iter().zip(&*tables) {
            for i in 0..table::DIGITS {
                let (p, q) = (table.first(proof, &group.halves, i), table.second(proof, &group.halves, i));
                denominators.push(q.x.minus(&p.x));
            }
        }
        invert_all(denominators, products, |i, lanes| groups[i / table::DIGITS].exceptional |= lanes);
        let start = Affine::splat(proof, self.blinding.start);
        keys.clear();
        let mut chunks = groups.chunks_exact(CLIMBERS);
        let mut first = 0;
        for chunk in &mut chunks {
            let chunk: &[Group; CLIMBERS] = chunk.as_array().expect("a chunk has so many");
            climb_side_by_side(chunk, first, &start, tables, denominators, comb_points, keys);
            first += CLIMBERS;
        }
        for chunk in chunks.remainder().chunks_exact(PAIR) {
            let chunk: &[Group; PAIR] = chunk.as_array().expect("groups come in pairs");
            climb_side_by_side(chunk, first, &start, tables, denominators, comb_points, keys);
            first += PAIR;
        }
    }

    /// Affine keys, and their addresses.
    #[target_feature(enable = "avx512dq,avx512ifma,avx512vbmi2")]
    fn finish(&self, workspace: &mut Workspace, verdicts: &mut [Verdict]) {
        let Workspace { groups, denominators, products, keys, .. } = workspace;
        denominators.clear();
        denominators.extend(keys.iter().map(|key| key.sum.z));
        invert_all(denominators, products, |g, lanes| {
            // Opposite points: the key is at infinity. Anything else is an exception.
            let (group, key) = (&mut groups[g], &keys[g]);
            let at_infinity = lanes & !key.z_before.below_2_256().is_zero() & !key.sum.x.is_zero();
            let at_infinity = at_infinity & !group.exceptional & !group.settled;
            for lane in lanes_of(at_infinity) {
                verdicts[g * LANES + lane] = Err(Rejection::Infinity);
            }
            group.settled |= at_infinity;
            group.exceptional |= lanes & !at_infinity;
        });
        for (g, ((group, key), inverse)) in groups.iter().zip(keys).zip(denominators).enumerate() {
            let square = inverse.squared();
            let x = Wide::product(&key.sum.x, &square).reduced();
            let y = Wide::product(&key.sum.y, &square.times(inverse)).reduced();
            let (public_keys, addresses) = signers(&x, &y);
            for lane in lanes_of(!(group.settled | group.exceptional)) {
                let signer = Signer { public_key: public_keys[lane], address: addresses[lane] };
                verdicts[g * LANES + lane] = Ok(signer);
            }
        }
    }
}

/// The ladder of K groups, of which the first has an index.
#[target_feature(enable = "avx512dq,avx512ifma,avx512vbmi2")]
fn climb_side_by_side<const K: usize>(
    groups: &[Group; K],
    first: usize,
    start: &Affine,
    tables: &[Table],
    inverses: &[Factor],
    comb_points: &[Affine],
    keys: &mut Vec<Key>,
) {
    let proof = start.x.proof();
    let mut sums = Sums::<K>::new(start);
    let mut step = [*start; K];
    for i in (0..table::DIGITS).rev() {
        // Both halves of a digit at once: digit · R + other digit · λR.
        for (k, group) in groups.iter().enumerate() {
            let table = &tables[first + k];
            let (p, q) = (table.first(proof, &group.halves, i), table.second(proof, &group.halves, i));
            step[k] = add_affine_one(&p, &q, &inverses[(first + k) * table::DIGITS + i]);
        }
        // Each addition negates the sum, and so does an odd number of doublings: what is added is never negative.
        sums.add_negated(&step);
        if i > 0 {
            for _ in 0..table::DIGIT_DOUBLINGS {
                sums.double_negated();
            }
        }
    }
    // It is negative once more, and −(−a + b) = a − b.
    let z_before = sums.points.map(|point| point.z);
    for k in 0..K {
        step[k] = comb_points[(first + k) * comb::DIGITS];
    }
    sums.add_negated(&step);
    keys.extend(sums.points.iter().zip(z_before).map(|(&sum, z_before)| Key { sum, z_before }));
}

/// What lifting needs to know of eight signatures.
#[derive(Clone, Copy)]
struct Abscissas {
    /// The x-coordinates in words, least significant first.
    x: [[u64; LANES]; 4],
    /// Where y is to be odd.
    odd: LaneMask,
    /// Where a signature is out of its ranges, or there is none; x is 1 there, which is on the curve.
    settled: LaneMask,
}

impl Abscissas {
    const fn empty() -> Self {
        Self { x: [[1; LANES], [0; LANES], [0; LANES], [0; LANES]], odd: 0, settled: LaneMask::MAX }
    }

    /// Of up to eight signatures; those out of their ranges are rejected.
    fn new(signatures: &[Signature], verdicts: &mut [Verdict]) -> Self {
        let mut abscissas = Self::empty();
        for (lane, (signature, verdict)) in signatures.iter().zip(verdicts).enumerate() {
            if let Err(rejection) = check_ranges(signature) {
                *verdict = Err(rejection);
                continue;
            }
            let has_overflown = signature.recovery_id & 2 != 0;
            let x = words_of(&if has_overflown { plus_order(&signature.r) } else { signature.r });
            for (words, word) in abscissas.x.iter_mut().zip(x) {
                words[lane] = word;
            }
            abscissas.odd |= (signature.recovery_id & 1) << lane;
            abscissas.settled &= !(1 << lane);
        }
        abscissas
    }
}

/// The lanes of a mask.
fn lanes_of(mask: LaneMask) -> impl Iterator<Item = usize> {
    (0..LANES).filter(move |lane| mask >> lane & 1 != 0)
}

/// Words of a big-endian number, least significant first.
#[inline(always)]
fn words_of(number: &Word) -> [u64; 4] {
    let (words, _) = number.as_chunks::<8>();
    [3, 2, 1, 0].map(|i| u64::from_be_bytes(words[i]))
}

/// Scalars, and another number in the lanes that are settled, where there may be none.
#[inline(always)]
fn load_scalars<'a>(
    proof: Avx512,
    settled: LaneMask,
    other: u64,
    number: impl Fn(usize) -> &'a Word,
) -> Scalar {
    let mut words = [[other; LANES], [0; LANES], [0; LANES], [0; LANES]];
    for lane in lanes_of(!settled) {
        for (words, word) in words.iter_mut().zip(words_of(number(lane))) {
            words[lane] = word;
        }
    }
    Scalar::from_words(each!(4, i => Lanes::load(proof, &words[i])))
}

/// Public keys and addresses of points.
#[target_feature(enable = "avx512dq,avx512ifma,avx512vbmi2")]
fn signers(x: &Fe, y: &Fe) -> ([[u8; 64]; LANES], [[u8; 20]; LANES]) {
    let (x, y) = (x.canonical().to_words(), y.canonical().to_words());
    let key = [x[3], x[2], x[1], x[0], y[3], y[2], y[1], y[0]];
    let key = each!(8, i => key[i].swap_bytes());
    // A key is one block: 64 bytes, then the padding.
    let mut state = [key[0].splat_like(0); 25];
    state[..8].copy_from_slice(&key);
    state[8] = key[0].splat_like(1);
    state[16] = key[0].splat_like(1 << 63);
    permute(&mut state);
    let bytes = |rows: [Lanes; LANES]| {
        rows.map(|row| {
            let mut bytes = [0; 64];
            for (bytes, word) in bytes.chunks_exact_mut(8).zip(row.to_array()) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
            bytes
        })
    };
    let digests = bytes(Lanes::transpose(each!(8, i => state[i])));
    let addresses = digests.map(|digest| std::array::from_fn(|i| digest[12 + i]));
    (bytes(Lanes::transpose(key)), addresses)
}
