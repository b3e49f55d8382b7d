//! The durable store: the state of a chain on disk, a block at a time.
//!
//! **Promises.** A block is committed whole or not at all; [`Commit::wait`] returns only when it is durable, and what was
//! acknowledged so is never lost. Damage is detected and named, never served: opening checks the checksum of every
//! page, loading checks hashes of headers and codes and the state root. One process at a time has it open. Time to start and
//! disk space are bounded ([`Info`] states by what).
//!
//! **Why this way.** A block of 50,000 transfers changes 95,000 accounts at random places: as many writes to a B-tree take longer than
//! executing the block. So a block is one *change record*, written in order, and the *snapshot* (all rows of accounts and
//! slots, in sorted chunks) advances in large steps behind the head, which rewrite each chunk they touch once. A load reads
//! the snapshot and applies the records after it. The snapshot stays behind the last blocks, so a reorganisation across
//! them needs nothing but the records of the other branch: no undo records are kept.
//!
//! All of it lies in one file of the embedded store redb: pages with checksums, copy on write, one atomic commit each.

mod chunks;
mod error;
mod exchange;
mod file;
mod load;
mod record;
mod snapshot;
mod tail;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

pub use error::{StoreError, StoreFault};
pub use exchange::{read_headers, write_accounts, write_headers};
pub use file::{FILE_NAME, Info, Origin, Store};
pub use load::Loaded;
pub use verify::{Progress, Verified};
pub use writer::Commit;

use alloy_consensus::Header;
use alloy_primitives::{B256, U256};
use std::fmt;

/// Layout of what the store holds.
pub const LAYOUT_VERSION: u64 = 1;

/// Which chain a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The chain's id (EIP-155).
    pub chain_id: u64,
    /// Hash of its first block.
    pub genesis_hash: B256,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chain {} with genesis {}", self.chain_id, self.genesis_hash)
    }
}

/// What later blocks may ask of a block: its header, its ommers, what difficulty led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptHeader {
    /// Hash of the header.
    pub hash: B256,
    /// The header.
    pub header: Header,
    /// Headers of its ommers.
    pub ommers: Vec<Header>,
    /// Sum of the difficulties of the block and its ancestors.
    pub total_difficulty: U256,
}

/// How much a store keeps, and when the snapshot advances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A reorganisation reaches this many blocks back after a restart, unless they changed more than [`WINDOW_BYTES_MAX`].
    pub reorg_depth: u64,
}

impl Default for Limits {
    /// 64 blocks: two epochs, behind which a block is final.
    fn default() -> Self {
        Self { reorg_depth: 64 }
    }
}

/// Deepest [`Limits::reorg_depth`].
pub const REORG_DEPTH_MAX: u64 = 4096;

/// Blocks that a reorganisation can take back are held up to this many bytes of change records (at least one block).
pub const WINDOW_BYTES_MAX: u64 = 32 << 20;

/// The snapshot advances once the records that it could take in are as long as its rows, so that what a step rewrites is in
/// proportion to them, but within these bounds. The upper one bounds the memory of a step, to about 180 MB.
const STEP_BYTES: std::ops::RangeInclusive<u64> = (16 << 20)..=(64 << 20);
/// The snapshot advances once it could take in this many times [`Limits::reorg_depth`] blocks, too: blocks may change
/// next to nothing.
const STEP_DEPTHS: u64 = 16;
