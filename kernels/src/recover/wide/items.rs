//! Eight items into lanes, and out of them again.

use super::super::cpu::{check_ranges, plus_order};
use super::super::{Signature, Verdict, Word};
use super::field::Fe;
use super::multiplier::Multiplier;
use super::scalar::Scalar;
use crate::keccak::wide::compiled::permute;
use crate::simd::lanes::{LANES, LaneMask, each};

/// What lifting needs to know of eight signatures.
#[derive(Clone, Copy)]
pub(super) struct Abscissas {
    /// The x-coordinates in words, least significant first.
    pub(super) x: [[u64; LANES]; 4],
    /// Where y is to be odd.
    pub(super) odd: LaneMask,
    /// Where a signature is out of its ranges, or there is none; x is 1 there, which is on the curve.
    pub(super) settled: LaneMask,
}

impl Abscissas {
    pub(super) const fn empty() -> Self {
        Self { x: [[1; LANES], [0; LANES], [0; LANES], [0; LANES]], odd: 0, settled: LaneMask::MAX }
    }

    /// Of up to eight signatures; those out of their ranges are rejected.
    pub(super) fn new(signatures: &[Signature], verdicts: &mut [Verdict]) -> Self {
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
pub(super) fn lanes_of(mask: LaneMask) -> impl Iterator<Item = usize> {
    (0..LANES).filter(move |lane| mask >> lane & 1 != 0)
}

/// Words of a big-endian number, least significant first.
#[inline(always)]
pub(super) fn words_of(number: &Word) -> [u64; 4] {
    let (words, _) = number.as_chunks::<8>();
    [3, 2, 1, 0].map(|i| u64::from_be_bytes(words[i]))
}

/// Scalars, and another number in the lanes that are settled, where there may be none.
#[inline(always)]
pub(super) fn load_scalars<'a, L: Multiplier>(
    proof: L::Proof,
    settled: LaneMask,
    other: u64,
    number: impl Fn(usize) -> &'a Word,
) -> Scalar<L> {
    let mut words = [[other; LANES], [0; LANES], [0; LANES], [0; LANES]];
    for lane in lanes_of(!settled) {
        for (words, word) in words.iter_mut().zip(words_of(number(lane))) {
            words[lane] = word;
        }
    }
    Scalar::from_words(each!(4, i => L::load(proof, &words[i])))
}

/// Public keys and addresses of points.
#[inline(always)]
pub(super) fn signers<L: Multiplier>(x: &Fe<L>, y: &Fe<L>) -> ([[u8; 64]; LANES], [[u8; 20]; LANES]) {
    let (x, y) = (x.canonical().to_words(), y.canonical().to_words());
    let key = [x[3], x[2], x[1], x[0], y[3], y[2], y[1], y[0]];
    let key = each!(8, i => key[i].swap_bytes());
    // A key is one block: 64 bytes, then the padding.
    let mut state = [key[0].splat_like(0); 25];
    state[..8].copy_from_slice(&key);
    state[8] = key[0].splat_like(1);
    state[16] = key[0].splat_like(1 << 63);
    permute(x[0].proof(), &mut state);
    let bytes = |rows: [L; LANES]| {
        rows.map(|row| {
            let mut bytes = [0; 64];
            for (bytes, word) in bytes.chunks_exact_mut(8).zip(row.to_array()) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
            bytes
        })
    };
    let digests = bytes(L::transpose(each!(8, i => state[i])));
    let addresses = digests.map(|digest| std::array::from_fn(|i| digest[12 + i]));
    (bytes(L::transpose(key)), addresses)
}
