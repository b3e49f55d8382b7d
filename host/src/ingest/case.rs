//! What ingest hands on: cases, each a chain of blocks with the state that they start from.

use std::{collections::BTreeMap, path::PathBuf};

use alloy_consensus::{Header, Sealed};
use alloy_primitives::{Address, B256, Bytes, U256};

use super::chain::ChainReader;
use super::error::IngestError;
use super::witness::Witness;
use crate::spec::ChainSpec;

/// Blocks to execute, and all that is known around them.
#[derive(Debug)]
pub struct Case {
    /// The file or folder that it comes from.
    pub path: PathBuf,
    /// The test's name, where a file holds several cases.
    pub name: Option<String>,
    /// The chain's rules. The merge may be [unresolved](ChainSpec::unresolved_merge) in a chain
    /// folder with a terminal total difficulty ahead.
    pub spec: ChainSpec,
    /// The header that the first block builds upon; `None` in a block folder.
    pub genesis: Option<GenesisHeader>,
    /// The state that the first block starts from. `None` where a block folder has none: then
    /// nothing can be executed, and only hashes and senders can be checked.
    pub prestate: Option<Prestate>,
    /// What proves the state that the block of a block folder starts from, instead of a pre-state.
    pub witness: Option<Witness>,
    /// The blocks, in file order.
    pub blocks: Blocks,
    /// How the chain must end, where that is known.
    pub expected: Option<ExpectedEnd>,
}

/// The header before a case's first block.
#[derive(Debug, Clone)]
pub enum GenesisHeader {
    /// Complete, with its hash.
    Sealed(Box<Sealed<Header>>),
    /// Complete but for the state root (zero here), which follows from the pre-state. Without the
    /// root there is no hash.
    Unrooted {
        /// The header, its state root zero.
        header: Box<Header>,
        /// Block 0 as the chain file has it, which the completed header must equal.
        exported_hash: Option<B256>,
    },
}

/// Accounts before the first block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prestate {
    /// The accounts, by ascending address, none twice.
    pub accounts: Vec<(Address, PrestateAccount)>,
    /// What an absent account or slot means.
    pub completeness: Completeness,
    /// Hashes of earlier blocks by number, for `BLOCKHASH`.
    pub block_hashes: BTreeMap<u64, B256>,
}

/// What a pre-state says about what it does not hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Completeness {
    /// All accounts and slots are there; the state root can be computed.
    #[default]
    Whole,
    /// Just what the block touches: an absent account does not exist, an absent slot is zero, but
    /// no root can be computed.
    TouchedOnly,
}

/// An account of a [`Prestate`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrestateAccount {
    /// Transactions sent, or contracts created.
    pub nonce: u64,
    /// In wei.
    pub balance: U256,
    /// The code; empty if there is none.
    pub code: Bytes,
    /// Slots and values by ascending slot, none twice, no zero values.
    pub storage: Vec<(U256, U256)>,
}

/// How a case's chain must end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedEnd {
    /// Hash of the last valid block.
    pub last_block_hash: B256,
    /// The state after it.
    pub post_state: Option<PostState>,
}

/// A state to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostState {
    /// All accounts, by ascending address.
    Accounts(Vec<(Address, PrestateAccount)>),
    /// Just the state root.
    Root(B256),
}

/// A block, not decoded yet, and what is said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockInput {
    /// The bytes.
    pub bytes: BlockBytes,
    /// Whether it must be accepted.
    pub expectation: Expectation,
    /// Hash that the block is said to have (tests; JSON blocks say it in their bytes).
    pub stated_hash: Option<B256>,
    /// Senders that its transactions are said to have (tests; JSON blocks say it in their bytes).
    pub stated_senders: Option<Vec<Address>>,
}

/// An encoded block. Decoding is part of the measured work, so it has not happened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockBytes {
    /// The block's RLP, from the outer list's first byte to its last.
    Rlp(Bytes),
    /// A node's answer to `eth_getBlockByNumber` with full transactions.
    RpcJson(Bytes),
}

impl BlockBytes {
    /// Number of bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Rlp(bytes) | Self::RpcJson(bytes) => bytes.len(),
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Whether a block must be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// It is a valid block.
    Valid,
    /// It must be rejected, for a fault of one of these classes as the tests name them
    /// (`TransactionException.NONCE_MISMATCH_TOO_LOW`). No class: any fault will do.
    Invalid {
        /// The accepted classes.
        classes: Vec<String>,
    },
}

/// The blocks of a case, in file order. A chain file is read as the iterator advances.
#[derive(Debug)]
pub struct Blocks(BlocksFrom);

#[derive(Debug)]
enum BlocksFrom {
    Memory(std::vec::IntoIter<BlockInput>),
    Chain(Box<ChainReader>),
    Resumed(Option<BlockInput>, Box<Blocks>),
}

impl Blocks {
    /// Blocks that are at hand already.
    pub fn from_memory(blocks: Vec<BlockInput>) -> Self {
        Self(BlocksFrom::Memory(blocks.into_iter()))
    }

    /// The blocks that are left of others, after one that was taken from them already.
    pub fn resumed(first: Option<BlockInput>, rest: Self) -> Self {
        Self(BlocksFrom::Resumed(first, Box::new(rest)))
    }

    pub(super) fn from_chain(reader: ChainReader) -> Self {
        Self(BlocksFrom::Chain(Box::new(reader)))
    }
}

impl Iterator for Blocks {
    type Item = Result<BlockInput, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            BlocksFrom::Memory(blocks) => blocks.next().map(Ok),
            BlocksFrom::Chain(reader) => reader.next(),
            BlocksFrom::Resumed(first, rest) => first.take().map(Ok).or_else(|| rest.next()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            BlocksFrom::Memory(blocks) => blocks.size_hint(),
            BlocksFrom::Chain(_) | BlocksFrom::Resumed(..) => (0, None),
        }
    }
}
