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
    let rows: Vec<(Vec<u8>, Bloom)> = receipts
        .par_iter()
        .with_min_len(RECEIPTS_PER_TASK)
        .map(|receipt| {
            let logs_bloom = receipt.logs_bloom();
            let mut encoded = Vec::new();
            receipt.encode_for_trie(&logs_bloom, &mut encoded);
            (encoded, logs_bloom)
        })
        .collect();
    let with_logs = receipts.iter().zip(&rows).filter(|(receipt, _)| !receipt.logs.is_empty());
    let logs_bloom = with_logs.fold(Bloom::ZERO, |all, (_, (_, bloom))| all | *bloom);
    let receipts_root = ordered_root(rows.iter().map(|(encoded, _)| encoded.as_slice()));
    BlockRoots { receipts_root, logs_bloom }
}

/// Receipts that one task encodes; most are small.
const RECEIPTS_PER_TASK: usize = 64;
