//! Generated chains from their folders, for our way and for the plain one.

use crate::plain::Plain;
use alloy_primitives::Bytes;
use outrider::{
    ingest::{self, BlockBytes, BlockInput, Case, Expectation},
    state::World,
};
use std::path::Path;

/// The chain in a folder that `outrider generate` wrote.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn open(folder: &Path) -> Case {
    let mut source = ingest::open(folder).unwrap_or_else(|error| panic!("{error}"));
    source.next().expect("a chain").unwrap_or_else(|error| panic!("{error}"))
}

/// The blocks of a case, as RLP.
///
/// # Panics
/// If they cannot be read, or are JSON.
pub fn blocks(case: &mut Case) -> Vec<Bytes> {
    let rlp = |input: BlockInput| match input.bytes {
        BlockBytes::Rlp(rlp) => rlp,
        BlockBytes::RpcJson(_) => panic!("a chain is RLP"),
    };
    case.blocks.by_ref().map(|block| rlp(block.expect("a readable block"))).collect()
}

/// The plain pipeline before the first block of a chain, and the blocks.
///
/// # Panics
/// As [`open`] and [`blocks`].
#[must_use]
pub fn plain(folder: &Path) -> (Plain, Vec<Bytes>) {
    let mut case = open(folder);
    let blocks = blocks(&mut case);
    let prestate = case.prestate.take().expect("a whole state");
    let plain = Plain::new(case.spec, World::from_prestate(prestate));
    (plain, blocks)
}

/// A block by itself, as input of our way.
#[must_use]
pub fn input(rlp: Bytes) -> BlockInput {
    BlockInput {
        bytes: BlockBytes::Rlp(rlp),
        expectation: Expectation::Valid,
        stated_hash: None,
        stated_senders: None,
    }
}
