//! Recovery of eight signatures at a time in the lanes of AVX-512 IFMA.
//!

mod batch;
mod blinding;
mod comb;
#[allow(
    unsafe_code,
    reason = "enters functions with vector instructions, on proof that the processor has them"
)]
mod engine;
mod field;
mod inverse;
mod multiples;
mod point;
mod scalar;
mod table;
#[cfg(test)]
#[allow(
    unsafe_code,
    reason = "enters functions with vector instructions, on proof that the processor has them"
)]
mod tests;

use std::cell::RefCell;
use std::sync::OnceLock;

use rayon::prelude::*;

use super::{Batch, Messages, Rejection, Verdict, Word};
use crate::keccak;
use crate::simd::lanes::Avx512;
use engine::{Engine, Workspace};

/// Signatures from which a batch is quicker here than one at a time with libsecp256k1.
pub(super) const BATCH_LEN_MIN: usize = 4;

/// Signatures that share inversions at most: what they need still fits into an inner cache of 1 MB, near enough.
const CHUNK_LEN_MAX: usize = 256;
/// Signatures that make full use of the registers.
const CHUNK_LEN_STEP: usize = 16;

/// Recovers each signature of a batch, on all threads of rayon's pool.
pub(super) fn recover(proof: Avx512, batch: &Batch<'_>) -> Vec<Verdict> {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    recover_with(ENGINE.get_or_init(|| Engine::new(proof)), batch)
}

fn recover_with(engine: &Engine, batch: &Batch<'_>) -> Vec<Verdict> {
    let mut verdicts = vec![Err(Rejection::Infinity); batch.len()];
    let chunk_len = chunk_len(batch.len(), rayon::current_num_threads());
    if batch.len() <= chunk_len {
        recover_chunk(engine, batch, &mut verdicts);
    } else {
        verdicts.par_chunks_mut(chunk_len).enumerate().for_each(|(chunk, verdicts)| {
            let start = chunk * chunk_len;
            recover_chunk(engine, &batch.slice(start..start + verdicts.len()), verdicts);
        });
    }
    verdicts
}

/// Signatures in each chunk of a batch: equally many for all threads, as far as they go.
fn chunk_len(batch_len: usize, threads: usize) -> usize {
    let per_thread = batch_len.div_ceil(threads.max(1)).max(1);
    let chunks = per_thread.div_ceil(CHUNK_LEN_MAX);
    per_thread.div_ceil(chunks).next_multiple_of(CHUNK_LEN_STEP)
}

fn recover_chunk(engine: &Engine, batch: &Batch<'_>, verdicts: &mut [Verdict]) {
    thread_local! {
        static WORKSPACE: RefCell<(Vec<Word>, Workspace)> = RefCell::default();
    }
    WORKSPACE.with_borrow_mut(|(hashes, workspace)| {
        let hashes: &[Word] = match &batch.messages {
            Messages::Hashes(hashes) => hashes,
            Messages::Payloads(payloads) => {
                hashes.resize(payloads.len(), [0; 32]);
                keccak::wide::hash(engine.proof(), payloads, hashes);
                hashes
            }
        };
        engine.recover(workspace, hashes, batch.signatures, verdicts);
    });
}
