//! Recovery on the CPU: eight at a time where the processor has the instructions, else with libsecp256k1, which is also
//! the confirming run.

use rayon::prelude::*;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey};

#[cfg(all(target_arch = "x86_64", not(outrider_portable)))]
use super::wide;
use super::{Batch, Messages, Rejection, Signature, Signer, Verdict, Word};
use crate::keccak::keccak256_one;
use crate::simd::Backend;

/// Signatures that one task recovers at least: about 0.3 ms of work.
const TASK_LEN_MIN: usize = 8;

/// n, the order of the group.
pub(super) const ORDER: Word = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba,
    0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

/// p − n: x-coordinates of curve points are less than p, so r + n is one only for r below this.
pub(super) const PRIME_MINUS_ORDER: Word = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x45, 0x51, 0x23, 0x19, 0x50, 0xb7, 0x5f, 0xc4, 0x40,
    0x2d, 0xa1, 0x72, 0x2f, 0xc9, 0xba, 0xee,
];

/// Recovers each signature of a batch, on all threads of rayon's pool.
#[must_use]
pub fn recover(batch: &Batch<'_>) -> Vec<Verdict> {
    recover_on(Backend::selected(), batch)
}

/// Starts to make what the first batch would wait for, tables of multiples of the generator: some milliseconds of a
/// thread of rayon's pool. A batch that comes sooner waits for the rest.
pub fn warm_up() {
    #[cfg(all(target_arch = "x86_64", not(outrider_portable)))]
    rayon::spawn(|| wide::warm_up(Backend::selected()));
}

/// Recovers each signature of a batch, on all threads of rayon's pool, in a given way: for tests and comparisons.
///
/// A backend that this machine cannot run, and a batch too short to fill its lanes, are left to
/// [`Backend::Portable`].
#[must_use]
pub fn recover_on(backend: Backend, batch: &Batch<'_>) -> Vec<Verdict> {
    #[cfg(all(target_arch = "x86_64", not(outrider_portable)))]
    if let Some(verdicts) = wide::recover(backend, batch) {
        return verdicts;
    }
    // Elsewhere there is but one.
    let _ = backend;
    let indices = (0..batch.len()).into_par_iter().with_min_len(TASK_LEN_MIN);
    indices.map(|index| batch.recover_one(index)).collect()
}

/// Recovers one signature of a message hash.
///
/// # Errors
/// The [`Rejection`] that comes first.
pub fn recover_one(hash: &Word, signature: &Signature) -> Verdict {
    check_ranges(signature)?;
    let mut compact = [0; 64];
    compact[..32].copy_from_slice(&signature.r);
    compact[32..].copy_from_slice(&signature.s);
    let id = RecoveryId::from_u8_masked(signature.recovery_id);
    let key = RecoverableSignature::from_compact(&compact, id)
        .and_then(|signature| signature.recover_ecdsa(Message::from_digest(*hash)));
    match key {
        Ok(key) => Ok(signer(&key)),
        // libsecp256k1 does not say which of the two it was.
        Err(_) => Err(check_point(signature).err().unwrap_or(Rejection::Infinity)),
    }
}

/// The part of recovery that finds all rejections but [`Rejection::Infinity`]: range checks and one square
/// root. It confirms what a device says at a tenth of the cost of recovering.
///
/// # Errors
/// The [`Rejection`] that comes first.
pub(super) fn check_liftable(signature: &Signature) -> Result<(), Rejection> {
    check_ranges(signature)?;
    check_point(signature)
}

/// The part that needs no arithmetic.
pub(super) fn check_ranges(signature: &Signature) -> Result<(), Rejection> {
    let is_scalar = |word: &Word| *word != [0; 32] && *word < ORDER;
    if signature.recovery_id > 3 {
        return Err(Rejection::RecoveryIdOutOfRange);
    }
    if !is_scalar(&signature.r) {
        return Err(Rejection::ROutOfRange);
    }
    if !is_scalar(&signature.s) {
        return Err(Rejection::SOutOfRange);
    }
    if signature.recovery_id & 2 != 0 && signature.r >= PRIME_MINUS_ORDER {
        return Err(Rejection::NotOnCurve);
    }
    Ok(())
}

/// Whether a point has the x-coordinate that a signature within its ranges names.
fn check_point(signature: &Signature) -> Result<(), Rejection> {
    let x = if signature.recovery_id & 2 == 0 { signature.r } else { plus_order(&signature.r) };
    let mut compressed = [0; 33];
    compressed[0] = 2;
    compressed[1..].copy_from_slice(&x);
    PublicKey::from_byte_array_compressed(compressed).map(|_| ()).map_err(|_| Rejection::NotOnCurve)
}

/// r + n, for r below p − n.
pub(super) fn plus_order(r: &Word) -> Word {
    let mut sum = [0; 32];
    let mut carry = 0;
    for i in (0..32).rev() {
        let [low, high] = (u16::from(r[i]) + u16::from(ORDER[i]) + carry).to_le_bytes();
        sum[i] = low;
        carry = u16::from(high);
    }
    sum
}

fn signer(key: &PublicKey) -> Signer {
    let mut public_key = [0; 64];
    public_key.copy_from_slice(&key.serialize_uncompressed()[1..]);
    let mut address = [0; 20];
    address.copy_from_slice(&keccak256_one(&public_key)[12..]);
    Signer { public_key, address }
}

impl Batch<'_> {
    /// Recovers the item of an index, on the CPU.
    ///
    /// # Errors
    /// Its [`Rejection`].
    ///
    /// # Panics
    /// If there is no such item.
    pub fn recover_one(&self, index: usize) -> Verdict {
        recover_one(&self.hash(index), &self.signatures[index])
    }

    /// The hash that was signed; worked out here and now if the message is a payload.
    pub(crate) fn hash(&self, index: usize) -> Word {
        match &self.messages {
            Messages::Hashes(hashes) => hashes[index],
            Messages::Payloads(payloads) => keccak256_one(payloads.get(index)),
        }
    }
}
