//! The check of a whole batch of recovered keys at once: for less than recovering them, and with certainty but for
//! one chance in 2^64.
//!
//! A device has said that the signer of (zᵢ, rᵢ, sᵢ, idᵢ) is Qᵢ, with an address. [`check`] finds out whether all of
//! that is so. It asks the device for the y-coordinate of each Rᵢ, the point that rᵢ and the recovery id name, as a hint,
//! which saves a square root. What it then does:
//!
//! - For each item: r and s are within their ranges; Rᵢ = (r or r + n, y) is on the curve, and y is of the parity that
//!   the id says, so Rᵢ is the one point there is; Qᵢ has coordinates below p and is on the curve; the address is the
//!   end of the Keccak-256 of Qᵢ.
//! - For all items together: with random coefficients cᵢ of [64 bits or more](Seed), the sum of
//!   cᵢ · (u1ᵢ · G + u2ᵢ · Rᵢ − Qᵢ) is the point at infinity, where u1 = −z / r and u2 = s / r. That is one
//!   multi-scalar multiplication.
//!
//! # Why it is enough
//!
//! *A true batch passes*: each term of the sum is infinity, and the arithmetic is exact, equal, opposite and
//! infinite points included: those who choose the signatures choose R, and can have as many equal ones as they like.
//!
//! *A false batch fails*, but for a chance of 2^-64. If all items pass on their own, all points are on the curve, whose
//! cofactor is 1: so all are in the group of G, of prime order n, and u1ᵢ · G + u2ᵢ · Rᵢ − Qᵢ is eᵢ · G for
//! some eᵢ. Qᵢ is the right key exactly where eᵢ = 0. Let eⱼ be another. Whatever the other coefficients are, the sum
//! Σ cᵢ eᵢ ≡ 0 (mod n) holds for one residue cⱼ alone, as eⱼ has an inverse. cⱼ is drawn evenly, and independently
//! of the others, from the odd numbers of magnitude below 2^64 or more, which are 2^64 or more and differ modulo
//! n; so it is that residue with a probability of at most 2^-64. Nothing is assumed of the device but that
//! its answer does not depend on the coefficients: they come from a [`Seed`] that it has no way to know.
//!
//! # Cost
//!
//! Scalars of R are halved along the endomorphism. Then each item has R and λR with scalars of 129 bits, and −Q with
//! one of 64. With w bits a window that is 2 · ⌈129 / w⌉ + ⌈64 / w⌉ additions to buckets, in affine coordinates with
//! shared inversions: five multiplications and a square each. With two additions a bucket, an item of 16,384 has 31 of
//! them, one of 4,096 has 36.
//!
//! Cycles an item on one core of a Zen 5, of which recovering takes 9,800 in the lanes of AVX-512 and 117,000 one by one:
//!
//! | items | AVX-512 IFMA | of recovering | portable | of recovering |
//! | --- | --- | --- | --- | --- |
//! | 1,024 | 4,550 | 47% | 24,700 | 21% |
//! | 4,096 | 3,100 | 31% | 19,100 | 16% |
//! | 16,384 | 2,870 | 29% | | |
//! | 65,536 in one part | 2,850 | 29% | 24,400 | 21% |
//!
//! So against libsecp256k1 a check of all items is cheap enough to be the rule, at less than a fifth of recovering, and in
//! the lanes it is not: there recovering is too quick. Of the 2,850 cycles in one part an addition takes about 35 for the sum, where its
//! multiply-adds alone need 20, and about 30 to fetch the point and turn it into lanes; sorting takes 270, hashes 200, scalars
//! 180 and points 200. What is left to gain is in the first two.

mod field;
mod portable;
pub(super) mod sums;
#[cfg(test)]
mod tests;
pub(super) mod windows;

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use k256::elliptic_curve::Group as _;
use k256::{ProjectivePoint, Scalar};
use rayon::prelude::*;

#[cfg(all(target_arch = "x86_64", not(outrider_portable)))]
use super::wide;
use super::{Batch, Messages, Rejection, Signature, Signer, Verdict, Word};
use crate::keccak::{Payloads, keccak256_one};
use crate::simd::Backend;
use portable::Portable;
use sums::{CHUNK_LEN, Entry, Row, Segment, Terms};
use windows::{Code, Windows};

/// Items whose combination is taken at once; more are checked in parts. Their points take 3 MB: with 65,536 in a part
/// additions are fewer, but cost more for all the memory, so that nothing is gained in lanes, and time lost without.
const PART_LEN_MAX: usize = 1 << 14;

/// A number below 2^256 in words, least significant first.
type Words = [u64; 4];

/// What does not hold of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// An item is wrong on its own. Of several such items, one.
    #[error("item {index}: {fault}")]
    Item {
        /// The item's index in the batch.
        index: usize,
        /// What is wrong with it.
        fault: Fault,
    },
    /// At least one item has a key that is not the one to be recovered; which one is not known.
    #[error("a key is not the signer's")]
    Combination,
}

/// What is wrong with one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is a signer, says the verdict, of a signature out of its ranges.
    #[error("a signer of what has none: {0}")]
    Signature(Rejection),
    /// The y-coordinate given for R is not below p, or no curve point with the x-coordinate of R has it, or its parity
    /// is not the one of the recovery id.
    #[error("the y-coordinate is not that of R")]
    LiftedPoint,
    /// A coordinate of the key is not below p, or it is not on the curve.
    #[error("the key is not on the curve")]
    Key,
    /// The address is not that of the key.
    #[error("the address is not that of the key")]
    Address,
    /// The item came without the y-coordinate of R, and the CPU finds another verdict.
    #[error("the CPU finds another verdict")]
    Recomputed,
}

/// Where random coefficients come from: 32 bytes that whoever made the batch, or its answers, cannot know.
///
/// Three coefficients are the Keccak-256 of the seed and a counter. One seed gives the same coefficients whenever it
/// is used, so for a batch that is not known yet it takes a new one.
#[derive(Clone, Copy)]
pub struct Seed([u8; 32]);

impl Seed {
    /// Of bytes that must be secret and not used before, but in tests.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new one, from a secret of this process (the standard library's hash keys, 128 bits from the operating system)
    /// and a counter.
    #[must_use]
    pub fn random() -> Self {
        static SECRET: OnceLock<[u8; 32]> = OnceLock::new();
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let secret = SECRET.get_or_init(|| {
            let keys = RandomState::new();
            let mut secret = [0; 32];
            for (count, eight) in (0_u64..).zip(secret.chunks_exact_mut(8)) {
                eight.copy_from_slice(&keys.hash_one(count).to_le_bytes());
            }
            secret
        });
        // A byte longer than what is hashed for coefficients, so that neither is ever the other.
        let mut message = [0; 41];
        message[..32].copy_from_slice(secret);
        message[32..40].copy_from_slice(&COUNT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        Self(keccak256_one(&message))
    }

    /// What is hashed for coefficients 3 · index and the two after.
    pub(super) fn message(&self, index: usize) -> [u8; 40] {
        let mut message = [0; 40];
        message[..32].copy_from_slice(&self.0);
        message[32..].copy_from_slice(&(index as u64).to_le_bytes());
        message
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(secret)")
    }
}

/// Whether all signers that `verdicts` name are those of a batch, on all threads of rayon's pool.
///
/// Verdict i, and y-coordinate i, belong to item i. Rejections are not looked at: they are confirmed one by one. An
/// item whose y-coordinate is 0, which is that of no point, comes without a hint; it is recovered here and compared.
///
/// A backend that this machine cannot run is left to [`Backend::Portable`].
///
/// # Errors
/// [`Mismatch`] if something does not hold. A batch with a wrong key passes with a probability of at most 2^-64, if
/// nothing that it holds depends on the seed; a right batch always passes.
///
/// # Panics
/// If there are not as many verdicts and y-coordinates as items.
pub fn check(
    backend: Backend,
    batch: &Batch<'_>,
    verdicts: &[Verdict],
    lifted_y: &[Word],
    seed: Seed,
) -> Result<(), Mismatch> {
    assert!(
        verdicts.len() == batch.len() && lifted_y.len() == batch.len(),
        "a verdict and a y for each item"
    );
    let claimed = (0..batch.len()).filter(|&index| verdicts[index].is_ok());
    let (hinted, bare): (Vec<_>, Vec<_>) = claimed.partition(|&index| lifted_y[index] != [0; 32]);
    let wrong = bare.into_par_iter().find_first(|&index| batch.recover_one(index) != verdicts[index]);
    if let Some(index) = wrong {
        return Err(Mismatch::Item { index, fault: Fault::Recomputed });
    }
    let claims = Claims { batch, verdicts, lifted_y, items: &hinted, seed };
    #[cfg(all(target_arch = "x86_64", not(outrider_portable)))]
    if let Some(checked) = wide::check_claims(backend, &claims) {
        return checked;
    }
    // Elsewhere there is but one.
    let _ = backend;
    check_claims(Portable, &claims)
}

pub(super) fn check_claims(arithmetic: impl Arithmetic, claims: &Claims<'_>) -> Result<(), Mismatch> {
    for start in (0..claims.items.len()).step_by(PART_LEN_MAX) {
        let len = PART_LEN_MAX.min(claims.items.len() - start);
        let mut terms = Terms::new(len);
        let windows = terms.windows();
        let chunks = terms.chunks_mut().enumerate().map(|(chunk, (points, codes))| {
            arithmetic.prepare(claims, windows, start + chunk * CHUNK_LEN, points, codes)
        });
        let of_generator = chunks.try_reduce(|| Scalar::ZERO, |a, b| Ok(a + b))?;
        let sum = terms.sum(arithmetic) + ProjectivePoint::GENERATOR * of_generator;
        if !bool::from(sum.is_identity()) {
            return Err(Mismatch::Combination);
        }
    }
    Ok(())
}

/// What a device says of a batch.
pub(super) struct Claims<'a> {
    batch: &'a Batch<'a>,
    verdicts: &'a [Verdict],
    lifted_y: &'a [Word],
    /// The items that have a signer and a hint.
    items: &'a [usize],
    pub(super) seed: Seed,
}

/// What a device says of an item.
pub(super) struct Claim<'a> {
    /// In the batch.
    pub(super) index: usize,
    pub(super) signature: &'a Signature,
    pub(super) signer: &'a Signer,
    pub(super) lifted_y: &'a Word,
}

impl Claims<'_> {
    /// Claim k.
    #[inline(always)]
    pub(super) fn get(&self, k: usize) -> Claim<'_> {
        let index = self.items[k];
        let signer = self.verdicts[index].as_ref().expect("items with a signer");
        Claim { index, signature: &self.batch.signatures[index], signer, lifted_y: &self.lifted_y[index] }
    }

    /// The hashes that were signed in a range of claims.
    #[cfg(all(target_arch = "x86_64", not(outrider_portable)))]
    pub(super) fn hashes(
        &self,
        range: std::ops::Range<usize>,
        hashes: &mut Vec<Word>,
        hash: impl FnOnce(&Payloads<'_>, &mut [Word]),
    ) {
        let items = &self.items[range];
        let (Some(&first), Some(&last)) = (items.first(), items.last()) else { return hashes.clear() };
        match &self.batch.messages {
            Messages::Hashes(all) => {
                hashes.clear();
                hashes.extend(items.iter().map(|&item| all[item]));
            }
            Messages::Payloads(payloads) => {
                // Those of items between that have no signer are hashed along.
                hashes.resize(last + 1 - first, [0; 32]);
                hash(&payloads.slice(first..last + 1), hashes);
                for (k, &item) in items.iter().enumerate() {
                    hashes[k] = hashes[item - first];
                }
            }
        }
    }

    /// The hash that was signed in claim k.
    pub(super) fn hash(&self, k: usize) -> Word {
        self.batch.hash(self.items[k])
    }
}

/// A way to do the work.
pub(super) trait Arithmetic: Copy + Sync {
    /// Checks the claims from `first` on, [`sums::KINDS`] points for each, on their own. Writes R, λR and −Q and their codes,
    /// and returns the scalar of G: the sum of c · u1.
    ///
    /// # Errors
    /// [`Mismatch::Item`] with the first item that is wrong.
    fn prepare(
        self,
        claims: &Claims<'_>,
        windows: Windows,
        first: usize,
        points: &mut [Row],
        codes: &mut [Code],
    ) -> Result<Scalar, Mismatch>;

    /// The sum of each segment of entries, for segments in descending order of length.
    fn sum(self, points: &[Row], entries: &[Entry], segments: &[Segment], sums: &mut [Row]);
}

/// Words of a big-endian number.
#[inline(always)]
fn words_of(number: &Word) -> Words {
    let (words, _) = number.as_chunks::<8>();
    [3, 2, 1, 0].map(|i| u64::from_be_bytes(words[i]))
}

/// Checks an item on its own; returns R, λR and −Q.
#[cfg(all(target_arch = "x86_64", not(outrider_portable)))]
pub(super) use portable::check_item;

/// The big-endian number of words.
fn word_of(words: &Words) -> Word {
    let mut number = [0; 32];
    for (bytes, word) in number.rchunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    number
}
