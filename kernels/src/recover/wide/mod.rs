//! Recovery of eight signatures at a time in the lanes of AVX-512 IFMA or AVX2.
//!
//! The engine is generic over its lanes: they differ in how they multiply ([`multiplier`], [`float`]), and in what is
//! [`compiled`] for them.
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
//!
//! With AVX2 a signature takes 12 to 13 µs, of which [`float`] says more. Forgetting what was in memory takes less than
//! can be measured with either, below 1%.

#[cfg(test)]
mod arithmetic_tests;
mod audit;
mod batch;
mod blinding;
mod comb;
#[allow(
    unsafe_code,
    reason = "enters functions with vector instructions, on proof that the processor has them"
)]
mod compiled;
mod engine;
mod field;
mod float;
mod inverse;
mod items;
mod multiples;
mod multiplier;
mod point;
mod root;
mod scalar;
mod table;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::sync::OnceLock;

use rayon::prelude::*;

use super::{Batch, Messages, Rejection, Verdict, Word};
use crate::keccak;
use crate::simd::{Backend, avx2, avx512};
pub(super) use audit::check as check_claims;
use engine::{Engine, Workspace};
use multiplier::Multiplier;

/// Signatures that share inversions at most. They need 1.4 MB; 128 and 512 take 1% longer.
const CHUNK_LEN_MAX: usize = 256;
/// Signatures that make full use of the registers.
const CHUNK_LEN_STEP: usize = 16;

/// Lanes with an engine and memory for its batches.
trait Resident: Multiplier {
    /// Signatures from which a batch is quicker here than one at a time with libsecp256k1.
    const BATCH_LEN_MIN: usize;

    /// The engine of this process; making it takes some milliseconds.
    fn engine(proof: Self::Proof) -> &'static Engine<Self>;

    /// Lends this thread's memory.
    fn with_memory<R>(work: impl FnOnce(&mut Memory<Self>) -> R) -> R;
}

/// What a thread keeps from chunk to chunk.
struct Memory<L: Multiplier> {
    hashes: Vec<Word>,
    workspace: Workspace<L>,
}

impl<L: Multiplier> Default for Memory<L> {
    fn default() -> Self {
        Self { hashes: Vec::new(), workspace: Workspace::default() }
    }
}

macro_rules! resident {
    ($($lanes:ty: $batch_len_min:literal),*) => {$(
        impl Resident for $lanes {
            const BATCH_LEN_MIN: usize = $batch_len_min;

            fn engine(proof: Self::Proof) -> &'static Engine<Self> {
                static ENGINE: OnceLock<Engine<$lanes>> = OnceLock::new();
                ENGINE.get_or_init(|| Engine::new(proof))
            }

            fn with_memory<R>(work: impl FnOnce(&mut Memory<Self>) -> R) -> R {
                thread_local! {
                    static MEMORY: RefCell<Memory<$lanes>> = RefCell::default();
                }
                MEMORY.with_borrow_mut(work)
            }
        }
    )*};
}

resident!(avx512::U64x8: 3, avx2::U64x8: 11);

/// Recovers each signature of a batch, on all threads of rayon's pool; `None` if a backend has no lanes here, or the
/// batch is too short to fill them.
pub(super) fn recover(backend: Backend, batch: &Batch<'_>) -> Option<Vec<Verdict>> {
    fn in_lanes<L: Resident>(batch: &Batch<'_>) -> Option<Vec<Verdict>> {
        let proof = L::detect().filter(|_| batch.len() >= L::BATCH_LEN_MIN)?;
        Some(recover_with(L::engine(proof), batch))
    }

    match backend {
        Backend::Avx512Ifma => in_lanes::<avx512::U64x8>(batch),
        Backend::Avx2 => in_lanes::<avx2::U64x8>(batch),
        Backend::Portable => None,
    }
}

/// Makes the engine of a backend that has lanes here.
pub(super) fn warm_up(backend: Backend) {
    fn make<L: Resident>() {
        if let Some(proof) = L::detect() {
            L::engine(proof);
        }
    }

    match backend {
        Backend::Avx512Ifma => make::<avx512::U64x8>(),
        Backend::Avx2 => make::<avx2::U64x8>(),
        Backend::Portable => {}
    }
}

fn recover_with<L: Resident>(engine: &Engine<L>, batch: &Batch<'_>) -> Vec<Verdict> {
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

fn recover_chunk<L: Resident>(engine: &Engine<L>, batch: &Batch<'_>, verdicts: &mut [Verdict]) {
    L::with_memory(|memory| {
        let hashes: &[Word] = match &batch.messages {
            Messages::Hashes(hashes) => hashes,
            Messages::Payloads(payloads) => {
                memory.hashes.resize(payloads.len(), [0; 32]);
                keccak::wide::hash::<L>(engine.proof(), payloads, &mut memory.hashes);
                &memory.hashes
            }
        };
        engine.recover(&mut memory.workspace, hashes, batch.signatures, verdicts);
        memory.hashes.fill([0; 32]);
    });
}
