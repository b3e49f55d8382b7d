//! Keccak-256 on the CPU: one payload at a time on each core.

use rayon::prelude::*;
use sha3::{Digest as _, Keccak256};

use super::{Digest, Payloads};

/// Payloads from which a batch is worth waking other threads: about 50 µs of work.
const PARALLEL_LEN_MIN: usize = 256;

/// Hashes each payload.
#[must_use]
pub fn keccak256(payloads: &Payloads<'_>) -> Vec<Digest> {
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
