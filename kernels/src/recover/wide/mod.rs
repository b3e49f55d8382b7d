//! Recovery of eight signatures at a time in the lanes of AVX-512 IFMA.
//!
//! What it promises: the verdicts of [`recover_one`](super::recover_one), bit for bit, whatever else is in the batch,
//! and at about the same cost whatever that is: signatures made to be exceptional gain nothing (see [`blinding`]), and what
//! has no signer is rejected here, exactly, without a second opinion.
//!
//! Lane i of a *group* belongs to one signature from start to end, so lanes never meet but in shared inversions,
//! before each of which every lane is tested for zeros ([`batch`]). A chunk of up to 256 signatures goes through
//! these stages:
//!
//! 1. *Lift*: range checks, and R from its x-coordinate by one square root.
//! 2. *Ratios*: u1 = −z / r and u2 = s / r, with all r inverted at once; u2 is split in halves along the curve's
//!    endomorphism; digits of both are odd and signed, so that no digit is 0 and no point at infinity.
//! 3. *Tables*: 16 odd multiples of R, and the 22 points of u1 · G from the comb summed in pairs; five rounds of affine
//!    additions, each with one shared inversion.
//! 4. *Ladder*: 26 digits of both halves, whose points are added to each other first, again with one shared
//!    inversion; then 5 doublings and one mixed addition for each, from βG on, and the comb's sum at the end.
//! 5. *Finish*: affine keys by one more shared inversion, and their addresses.
//!
//! # Cost
//!
//! For one signature on one core of a Zen 5 at 4.5 GHz, in chunks of 256, where libsecp256k1 takes 25.2 µs:
//!
//! | stage | multiply-adds | ns | ns at two multiply-adds a cycle |
//! | --- | --- | --- | --- |
//! | hash of 50 bytes | | 30 | |
//! | lift | 1,620 | 208 | 180 |
//! | ratios | 80 | 27 | 9 |
//! | tables and comb | 2,030 | 488 | 226 |
//! | denominators of the digits | 640 | 132 | 72 |
//! | ladder | 8,490 | 1,290 | 943 |
//! | finish | 60 | 42 | 6 |
//! | all | 12,920 | 2,220 | 1,436 |
//!
//! The multiplier is busy for two thirds of the time. What the rest waits for is mostly the carries at the end of each
//! reduction, in the ladder, and lookups and stores, in the tables. Two, four or eight groups side by side in the ladder
//! make no difference.

#[cfg(test)]
#[allow(unsafe_code, reason = "calls code that demands the processor's features")]
mod arithmetic_tests;
#[allow(
    unsafe_code,
    reason = "enters functions with vector instructions, on proof that the processor has them"
)]
mod audit;
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
mod items;
mod multiples;
mod point;
mod root;
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
pub(super) use audit::Lanewise;
use engine::{Engine, Workspace};

/// Signatures from which a batch is quicker here than one at a time with libsecp256k1.
pub(super) const BATCH_LEN_MIN: usize = 3;

/// Signatures that share inversions at most. They need 1.4 MB; 128 and 512 take 1% longer.
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
