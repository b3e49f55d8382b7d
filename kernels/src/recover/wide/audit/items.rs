//! What there is to do for each item: its points and its scalars.

use k256::elliptic_curve::PrimeField as _;

use super::super::super::Word;
use super::super::super::audit::sums::{CHUNK_LEN, KINDS, Row};
use super::super::super::audit::windows::{COEFFICIENTS, Code, Windows};
use super::super::super::audit::{Claim, Claims, Mismatch, check_item};
use super::super::super::cpu::{check_ranges, plus_order};
use super::super::compiled::invert_all;
use super::super::field::{Fe, LIMB_BITS, LIMB_MASK, Wide};
use super::super::items::{lanes_of, load_scalars, words_of};
use super::super::multiplier::Multiplier;
use super::super::point::Affine;
use super::super::scalar::{ORDER, R_SQUARED, Scalar};
use super::super::table::BETA;
use crate::keccak::wide::compiled::permute;
use crate::keccak::{self, PayloadsBuf};
use crate::simd::lanes::{LANES, LaneMask, each};

/// Memory for the items of a chunk, kept for the next.
pub(super) struct Preparation<L: Multiplier> {
    /// What is hashed for coefficients.
    messages: PayloadsBuf,
    /// The random bytes of coefficients.
    digests: Vec<Word>,
    /// Hashes that were signed, and the index of the first.
    hashes: Vec<Word>,
    inverses: Vec<Scalar<L>>,
    products: Vec<Scalar<L>>,
}

impl<L: Multiplier> Default for Preparation<L> {
    fn default() -> Self {
        Self {
            messages: PayloadsBuf::default(),
            digests: Vec::new(),
            hashes: Vec::new(),
            inverses: Vec::new(),
            products: Vec::new(),
        }
    }
}

impl<L: Multiplier> Preparation<L> {
    /// Checks items on their own, and writes their points.
    #[inline(always)]
    pub(super) fn place(
        &mut self,
        proof: L::Proof,
        claims: &Claims<'_>,
        first: usize,
        points: &mut [Row],
    ) -> Result<(), Mismatch> {
        for (group, rows) in points.chunks_mut(KINDS * LANES).enumerate() {
            let len = rows.len() / KINDS;
            // Lanes beyond the last repeat it.
            let claims: [Claim<'_>; LANES] =
                std::array::from_fn(|lane| claims.get(first + group * LANES + lane.min(len - 1)));
            let right = check_items::<L>(proof, &claims, rows);
            // What is wrong with it is found once more, alone.
            if let Some(lane) = lanes_of(!right).next() {
                let (index, fault) = (claims[lane].index, check_item(&claims[lane]));
                return Err(Mismatch::Item { index, fault: fault.expect_err("lanes find what is wrong") });
            }
        }
        Ok(())
    }

    /// Finds the hashes that were signed, and the random bytes.
    pub(super) fn hash(&mut self, proof: L::Proof, claims: &Claims<'_>, range: std::ops::Range<usize>) {
        claims.hashes(range.clone(), &mut self.hashes, |payloads, digests| {
            keccak::wide::hash::<L>(proof, payloads, digests);
        });
        self.messages.clear();
        for index in 0..range.len().div_ceil(COEFFICIENTS) {
            self.messages.push(&claims.seed.message(range.start + index)).expect("a chunk is short");
        }
        self.digests.resize(range.len().div_ceil(COEFFICIENTS), [0; 32]);
        keccak::wide::hash::<L>(proof, &self.messages.as_payloads(), &mut self.digests);
    }

    /// Writes the codes of items. Returns what they are of G.
    #[inline(always)]
    pub(super) fn scalars(
        &mut self,
        proof: L::Proof,
        claims: &Claims<'_>,
        windows: Windows,
        range: std::ops::Range<usize>,
        codes: &mut [Code],
    ) -> k256::Scalar {
        let Self { digests, hashes, inverses, products, .. } = self;
        let groups = range.len().div_ceil(LANES);
        let item = |group: usize, lane: usize| (group * LANES + lane).min(range.len() - 1);
        inverses.clear();
        for group in 0..groups {
            let r = |lane| &claims.get(range.start + item(group, lane)).signature.r;
            inverses.push(load_scalars(proof, 0, 0, r));
        }
        invert_all(proof, inverses, products, |_, _| unreachable!("r is between 1 and n - 1"));
        let r_squared = Scalar::<L>::splat(proof, R_SQUARED);
        // 1 − 2^bits modulo n.
        let offset = negative(windows.coefficient_bits());
        let offset = Scalar::<L>::splat(proof, offset);
        let mut of_generator = Scalar::splat(proof, [0; 4]);
        for (group, inverse) in inverses.iter().enumerate() {
            let (mut low, mut high) = ([0; LANES], [0; LANES]);
            for (lane, (low, high)) in low.iter_mut().zip(&mut high).enumerate() {
                let item = item(group, lane);
                [*low, *high, _] = windows.coefficient(&digests[item / COEFFICIENTS], item % COEFFICIENTS);
            }
            let (low, high) = (L::load(proof, &low), L::load(proof, &high));
            let zero = low.splat_like(0);
            let own = Scalar::from_words([low, high, zero, zero]);
            let coefficient = own.plus(&own).plus(&offset);
            // c R, then c R / r, of which the Montgomery product with a number is the number times c / r.
            let ratio = coefficient.times(&r_squared).times(inverse);
            let z = load_scalars(proof, 0, 0, |lane| &hashes[item(group, lane)]);
            let s =
                load_scalars(proof, 0, 0, |lane| &claims.get(range.start + item(group, lane)).signature.s);
            let live = range.len() - group * LANES;
            let live = if live < LANES { (1 << live) - 1 } else { LaneMask::MAX };
            let of_generator_here = z.times(&ratio).canonical().replace(!live, &Scalar::splat(proof, [0; 4]));
            of_generator = of_generator.plus(&of_generator_here);
            let [r, lambda_r] = s.times(&ratio).canonical().split();
            let mask = zero.splat_like(LIMB_MASK);
            let own = [low & mask, low.funnel_shr::<52>(high) & mask, high.shr::<40>()];
            let bits = windows.half_bits();
            for (kind, x) in [r.offset(bits), lambda_r.offset(bits), own].iter().enumerate() {
                for (window, slot) in windows.slots_of(kind).enumerate() {
                    let start = slot * CHUNK_LEN + group * LANES;
                    write_codes(windows.bits, x, window, &mut codes[start..start + LANES]);
                }
            }
        }
        for shift in 0..3 {
            let rotated = match shift {
                0 => of_generator.rotate_lanes::<4>(),
                1 => of_generator.rotate_lanes::<2>(),
                _ => of_generator.rotate_lanes::<1>(),
            };
            of_generator = of_generator.plus(&rotated);
        }
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.rchunks_exact_mut(8).zip(of_generator.first_words()) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        // −u1 is z / r.
        -Option::<k256::Scalar>::from(k256::Scalar::from_repr(bytes.into())).expect("below n")
    }
}

/// 1 − 2^bits modulo n, for `bits` from 64 to 127.
fn negative(bits: usize) -> [u64; 4] {
    let (low, borrow) = ORDER[0].overflowing_add(1);
    let [_, b, c, d] = ORDER;
    let (b, borrow_high) = (b + u64::from(borrow)).overflowing_sub(1 << (bits - 64));
    [low, b, c - u64::from(borrow_high), d]
}

/// Window i of three limbs in each lane.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "masked to a window")]
fn write_codes<L: Multiplier>(bits: usize, x: &[L; 3], i: usize, codes: &mut [Code]) {
    let (limb, shift) = (bits * i / LIMB_BITS as usize, bits * i % LIMB_BITS as usize);
    let mut window = x[limb].shr_by(shift);
    if limb < 2 {
        window = window | x[limb + 1].shl_by(LIMB_BITS as usize - shift);
    }
    let window = window & window.splat_like((1 << bits) - 1);
    for (code, window) in codes.iter_mut().zip(window.to_array()) {
        *code = window as Code;
    }
}

/// Writes R, λR and −Q of each claim; says for which all is right.
#[inline(always)]
fn check_items<L: Multiplier>(proof: L::Proof, claims: &[Claim<'_>; LANES], rows: &mut [Row]) -> LaneMask {
    let mut words = [[0; LANES]; 8];
    let mut right = 0;
    let mut odd = 0;
    for (lane, claim) in claims.iter().enumerate() {
        let signature = claim.signature;
        right |= LaneMask::from(check_ranges(signature).is_ok()) << lane;
        odd |= (signature.recovery_id & 1) << lane;
        let has_overflown = signature.recovery_id & 2 != 0;
        let x = words_of(&if has_overflown { plus_order(&signature.r) } else { signature.r });
        for (words, word) in words.iter_mut().zip(x.into_iter().chain(words_of(claim.lifted_y))) {
            words[lane] = word;
        }
    }
    let words = each!(8, i => L::load(proof, &words[i]));
    let [a, b, c, d, e, f, g, h] = words;
    let point = Affine { x: Fe::from_words([a, b, c, d]), y: Fe::from_words([e, f, g, h]) };
    right &= is_on_curve(&point) & is_canonical(&point.y, [e, f, g, h]);
    right &= !(e.any_bit(e.splat_like(1)) ^ odd);

    let keys = L::transpose(each!(8, lane => L::load_bytes(proof, &claims[lane].signer.public_key)));
    let [d, c, b, a, h, g, f, e] = each!(8, i => keys[i].swap_bytes());
    let key = Affine { x: Fe::from_words([a, b, c, d]), y: Fe::from_words([e, f, g, h]) };
    right &= is_on_curve(&key);
    right &= is_canonical(&key.x, [a, b, c, d]) & is_canonical(&key.y, [e, f, g, h]);
    right &= have_addresses(&keys, claims);

    let endomorphism = Wide::product(&point.x, &Fe::splat(proof, BETA)).reduced();
    // Only what is right is negated: a y up to p.
    let key_y = key.y.canonical().negated_where(LaneMask::MAX);
    let kinds = [
        L::transpose(words),
        Affine { x: endomorphism, y: point.y }.to_rows(),
        Affine { x: key.x, y: key_y }.to_rows(),
    ];
    for (lane, rows) in rows.chunks_exact_mut(KINDS).enumerate() {
        for (row, kind) in rows.iter_mut().zip(&kinds) {
            kind[lane].store(&mut row.0);
        }
    }
    right
}

/// The lanes where an element has the words of the number below p.
#[inline(always)]
fn is_canonical<L: Multiplier>(element: &Fe<L>, words: [L; 4]) -> LaneMask {
    let canonical = element.canonical().to_words();
    (0..4).fold(LaneMask::MAX, |mask, i| mask & canonical[i].equal(words[i]))
}

/// The lanes where the address of a claim is that of its key: the key's words, as they are in memory.
#[inline(always)]
fn have_addresses<L: Multiplier>(keys: &[L; 8], claims: &[Claim<'_>; LANES]) -> LaneMask {
    // A key is one block: 64 bytes, then the padding.
    let mut state = [keys[0].splat_like(0); 25];
    state[..8].copy_from_slice(keys);
    state[8] = keys[0].splat_like(1);
    state[16] = keys[0].splat_like(1 << 63);
    permute(keys[0].proof(), &mut state);
    let mut addresses = [[0; LANES]; 3];
    for (lane, claim) in claims.iter().enumerate() {
        let (first, rest) = claim.signer.address.split_first_chunk().expect("20 bytes");
        let (words, _) = rest.as_chunks();
        addresses[0][lane] = u64::from(u32::from_le_bytes(*first)) << 32;
        addresses[1][lane] = u64::from_le_bytes(words[0]);
        addresses[2][lane] = u64::from_le_bytes(words[1]);
    }
    let proof = keys[0].proof();
    let [a, b, c] = each!(3, i => L::load(proof, &addresses[i]));
    // An address is the last 20 bytes of a digest of 32.
    let high = keys[0].splat_like(u64::MAX << 32);
    (state[1] & high).equal(a) & state[2].equal(b) & state[3].equal(c)
}

/// The lanes where y² = x³ + 7.
#[inline(always)]
fn is_on_curve<L: Multiplier>(point: &Affine<L>) -> LaneMask {
    let seven = Fe::splat(point.x.proof(), [7, 0, 0, 0]);
    let right = Wide::product(&point.x, &Wide::square(&point.x).factor()).reduced();
    Wide::square(&point.y).reduced().equal(&right.canonical().plus_small(&seven))
}
