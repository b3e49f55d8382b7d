//! What the header says of receipts: their root and the bloom of all logs.

use crate::{block::Receipt, trie::ordered_root};
use alloy_primitives::{B256, Bloom};
use rayon::prelude::*;

/// Root and bloom over the receipts of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRoots {
    /// Root of the receipts trie.
    pub receipts_root: B256,
    /// Bloom of all logs.
    pub logs_bloom: Bloom,
}

/// Computes the receipts root and the block's bloom.
pub fn block_roots(receipts: &[Receipt]) -> BlockRoots {
    // Transfers have no logs, so by far the most blooms need neither work nor room.
    let has_logs = |index: &usize| !receipts[*index].logs.is_empty();
    let with_logs: Vec<usize> = (0..receipts.len()).filter(has_logs).collect();
    let blooms: Vec<Bloom> = with_logs
        .par_iter()
        .with_min_len(RECEIPTS_PER_TASK)
        .map(|index| receipts[*index].logs_bloom())
        .collect();
    let receipts_root = ordered_root(receipts.len(), &|index, out| {
        let bloom = with_logs.binary_search(&index).map_or(&Bloom::ZERO, |place| &blooms[place]);
        receipts[index].encode_for_trie(bloom, out);
    });
    BlockRoots { receipts_root, logs_bloom: blooms.iter().fold(Bloom::ZERO, |all, bloom| all | *bloom) }
}

/// Receipts of whose logs one task makes the blooms; most have few.
const RECEIPTS_PER_TASK: usize = 64;
