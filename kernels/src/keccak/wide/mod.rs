//! Keccak-256 of eight payloads at a time in the lanes of AVX-512 or AVX2.
//!
//! Each lane takes in one block per permutation, and takes up the next payload as soon as its own has ended: so
//! payloads of all lengths keep all lanes busy. Only at the end of a batch do lanes run empty, so long
//! payloads go first; a few that are long are quicker alone.

pub(crate) mod compiled;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use super::{Digest, Payloads, RATE_BYTES, keccak256_one};
use crate::simd::lanes::{LANES, LaneMask, Lanes, each};
use crate::simd::{Backend, avx2, avx512};

/// Payloads from which a batch is quicker here than one at a time, with AVX-512 and with AVX2.
const BATCH_LENS_MIN: [usize; 2] = [3, 4];

/// Blocks from which a payload counts as long.
const LONG_BLOCKS: usize = 8;

/// Words of the state.
const STATE_WORDS: usize = 25;
/// Words of a block.
const RATE_WORDS: usize = RATE_BYTES / 8;

/// Constants of the step ι (FIPS 202, section 3.2.5).
const ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// Payloads that one task hashes: about 50 µs of work.
const TASK_LEN: usize = 1024;

/// Hashes each payload, on all threads of rayon's pool if there are many; `None` if a backend has no lanes here, or the
/// payloads are too few to fill them.
pub(super) fn keccak256(backend: Backend, payloads: &Payloads<'_>) -> Option<Vec<Digest>> {
    fn in_lanes<L: Lanes>(len_min: usize, payloads: &Payloads<'_>) -> Option<Vec<Digest>> {
        let proof = L::detect().filter(|_| payloads.len() >= len_min)?;
        Some(hash_all::<L>(proof, payloads))
    }

    let [avx512_len_min, avx2_len_min] = BATCH_LENS_MIN;
    match backend {
        Backend::Avx512Ifma => in_lanes::<avx512::U64x8>(avx512_len_min, payloads),
        Backend::Avx2 => in_lanes::<avx2::U64x8>(avx2_len_min, payloads),
        Backend::Portable => None,
    }
}

fn hash_all<L: Lanes>(proof: L::Proof, payloads: &Payloads<'_>) -> Vec<Digest> {
    let mut digests = vec![[0; 32]; payloads.len()];
    if payloads.len() <= TASK_LEN {
        hash::<L>(proof, payloads, &mut digests);
    } else {
        digests.par_chunks_mut(TASK_LEN).enumerate().for_each(|(task, digests)| {
            let start = task * TASK_LEN;
            hash::<L>(proof, &payloads.slice(start..start + digests.len()), digests);
        });
    }
    digests
}

/// Hashes each payload on this thread.
///
/// # Panics
/// If there are not as many digests as payloads.
pub(crate) fn hash<L: Lanes>(proof: L::Proof, payloads: &Payloads<'_>, digests: &mut [Digest]) {
    assert_eq!(payloads.len(), digests.len(), "a digest for each payload");
    let is_long = |&item: &usize| payloads.get(item).len() / RATE_BYTES >= LONG_BLOCKS;
    let long = (0..payloads.len()).filter(is_long);
    let short = (0..payloads.len()).filter(|item| !is_long(item));
    if long.clone().count() < LANES {
        for item in long {
            digests[item] = keccak256_one(payloads.get(item));
        }
        compiled::hash_in_order::<L, _>(proof, proof, payloads, short, digests);
    } else {
        compiled::hash_in_order::<L, _>(proof, proof, payloads, long.chain(short), digests);
    }
}

/// What a lane is at.
#[derive(Clone, Copy)]
struct Lane<'a> {
    item: usize,
    /// What is left of the payload; the last block, which is padded, may be of no bytes.
    rest: &'a [u8],
    is_busy: bool,
}

/// Hashes the payloads of some indices in their order.
#[inline(always)]
fn hash_in_order<L: Lanes, I: Iterator<Item = usize>>(
    proof: L::Proof,
    payloads: &Payloads<'_>,
    mut items: I,
    digests: &mut [Digest],
) {
    let mut lanes = [Lane { item: 0, rest: &[], is_busy: false }; LANES];
    let mut state = [L::splat(proof, 0); STATE_WORDS];
    loop {
        let mut fresh: LaneMask = 0;
        for (i, lane) in lanes.iter_mut().enumerate().filter(|(_, lane)| !lane.is_busy) {
            let Some(item) = items.next() else { break };
            *lane = Lane { item, rest: payloads.get(item), is_busy: true };
            fresh |= 1 << i;
        }
        if lanes.iter().all(|lane| !lane.is_busy) {
            return;
        }
        if fresh == LaneMask::MAX {
            state = [L::splat(proof, 0); STATE_WORDS];
        } else {
            for word in &mut state {
                *word = word.keep(!fresh);
            }
        }
        let ended = absorb::<L>(proof, &mut state, &mut lanes);
        compiled::permute(proof, &mut state);
        if ended != 0 {
            let rows = L::transpose(each!(8, i => state[i]));
            for (i, lane) in lanes.iter_mut().enumerate().filter(|(i, _)| ended >> i & 1 != 0) {
                let row = rows[i].to_array();
                for (bytes, word) in digests[lane.item].chunks_exact_mut(8).zip(row) {
                    bytes.copy_from_slice(&word.to_le_bytes());
                }
                lane.is_busy = false;
            }
        }
    }
}

/// Takes a block of each busy lane into the state; says which of them were the last.
#[inline(always)]
fn absorb<L: Lanes>(
    proof: L::Proof,
    state: &mut [L; STATE_WORDS],
    lanes: &mut [Lane<'_>; LANES],
) -> LaneMask {
    let mut ended: LaneMask = 0;
    let zero = L::splat(proof, 0);
    let (mut front, mut back) = ([zero; LANES], [zero; LANES]);
    let mut last = [0; LANES];
    for (i, lane) in lanes.iter_mut().enumerate().filter(|(_, lane)| lane.is_busy) {
        if let Some((block, rest)) = lane.rest.split_at_checked(RATE_BYTES) {
            front[i] = L::load_bytes(proof, &block[..64]);
            back[i] = L::load_bytes(proof, &block[64..128]);
            last[i] = word(&block[128..]);
            lane.rest = rest;
        } else {
            // After the end comes a bit, and at the end of the block another (the padding of Keccak, not of SHA-3).
            let (rest, len) = (lane.rest, lane.rest.len());
            front[i] = L::load_bytes(proof, &rest[..len.min(64)]);
            last[i] = 1 << 63;
            if len < 64 {
                front[i] = front[i] ^ bit_after::<L>(proof, len);
            } else {
                back[i] = L::load_bytes(proof, &rest[64..len.min(128)]);
                if len < 128 {
                    back[i] = back[i] ^ bit_after::<L>(proof, len - 64);
                } else {
                    last[i] ^= word(&rest[128..]) ^ 1 << (8 * (len - 128));
                }
            }
            ended |= 1 << i;
        }
    }
    let (front, back) = (L::transpose(front), L::transpose(back));
    for i in 0..LANES {
        state[i] = state[i] ^ front[i];
        state[i + LANES] = state[i + LANES] ^ back[i];
    }
    state[RATE_WORDS - 1] = state[RATE_WORDS - 1] ^ L::load(proof, &last);
    ended
}

/// 64 bytes, of which byte `len` is 1 and all others 0; `len` is below 64.
#[inline(always)]
fn bit_after<L: Lanes>(proof: L::Proof, len: usize) -> L {
    const BIT: [u8; 128] = {
        let mut bytes = [0; 128];
        bytes[64] = 1;
        bytes
    };
    L::load_bytes(proof, &BIT[64 - len..][..64])
}

/// Up to eight bytes, little-endian; what is missing is 0.
#[inline(always)]
fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// Keccak-f[1600] on eight states side by side (FIPS 202, section 3.3); word x + 5y is the lane (x, y).
#[inline(always)]
pub(crate) fn permute<L: Lanes>(state: &mut [L; STATE_WORDS]) {
    let mut a = *state;
    for constant in ROUND_CONSTANTS {
        // θ: the parity of each column, and what each column takes from its neighbours.
        let column = |x: usize| a[x].xor3(a[x + 5], a[x + 10]).xor3(a[x + 15], a[x + 20]);
        let c = [column(0), column(1), column(2), column(3), column(4)];
        let neighbours = |x: usize| c[(x + 4) % 5] ^ c[(x + 1) % 5].rotate_left::<1>();
        let d = [neighbours(0), neighbours(1), neighbours(2), neighbours(3), neighbours(4)];
        // ρ and π: word i, which goes to where it stands in this list, rotated by so much.
        macro_rules! moved {
            ($($i:literal << $by:literal),*) => { [$((a[$i] ^ d[$i % 5]).rotate_left::<$by>()),*] };
        }
        let b = moved![
            0 << 0,
            6 << 44,
            12 << 43,
            18 << 21,
            24 << 14,
            3 << 28,
            9 << 20,
            10 << 3,
            16 << 45,
            22 << 61,
            1 << 1,
            7 << 6,
            13 << 25,
            19 << 8,
            20 << 18,
            4 << 27,
            5 << 36,
            11 << 10,
            17 << 15,
            23 << 56,
            2 << 62,
            8 << 55,
            14 << 39,
            15 << 41,
            21 << 2
        ];
        // χ and ι.
        for y in (0..STATE_WORDS).step_by(5) {
            for x in 0..5 {
                a[y + x] = b[y + x].xor_and_not(b[y + (x + 1) % 5], b[y + (x + 2) % 5]);
            }
        }
        a[0] = a[0] ^ a[0].splat_like(constant);
    }
    *state = a;
}
