//! Keccak-256 on the CPU: eight payloads at a time where the processor has the instructions, else one.

use rayon::prelude::*;
use sha3::{Digest as _, Keccak256};

#[cfg(all(target_arch = "x86_64", not(outrider_portable)))]
use super::wide;
use super::{Digest, Payloads};
use crate::simd::Backend;

/// Payloads from which a batch is worth waking other threads: about 50 µs of work one at a time.
const PARALLEL_LEN_MIN: usize = 256;

/// Hashes each payload.
#[must_use]
pub fn keccak256(payloads: &Payloads<'_>) -> Vec<Digest> {
    keccak256_on(Backend::selected(), payloads)
}

/// Hashes each payload in a given way: for tests and comparisons.
///
/// A backend that this machine cannot run, and a batch too short to fill its lanes, are left to
/// [`Backend::Portable`].
#[must_use]
pub fn keccak256_on(backend: Backend, payloads: &Payloads<'_>) -> Vec<Digest> {
    #[cfg(all(target_arch = "x86_64", not(outrider_portable)))]
    if let Some(digests) = wide::keccak256(backend, payloads) {
        return digests;
    }
    // Elsewhere there is but one.
    let _ = backend;
    if payloads.len() < PARALLEL_LEN_MIN {
        return payloads.iter().map(keccak256_one).collect();
    }
    let indices = (0..payloads.len()).into_par_iter().with_min_len(PARALLEL_LEN_MIN / 4);
    indices.map(|index| keccak256_one(payloads.get(index))).collect()
}

/// Hashes one payload.
#[must_use]
pub fn keccak256_one(payload: &[u8]) -> Digest {
    Keccak256::digest(payload).into()
}
