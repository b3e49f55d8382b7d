//! What the header says of receipts: their root and the bloom of all logs.

use crate::block::Receipt;
use alloy_consensus::TxReceipt;
use alloy_primitives::{B256, Bloom};
use alloy_trie::root::ordered_trie_root_encoded;
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
    let encoded: Vec<Vec<u8>> = receipts
        .par_iter()
        .with_min_len(256)
        .map(|receipt| {
            let mut out = Vec::new();
            receipt.encode_for_trie(&mut out);
            out
        })
        .collect();
    let logs_bloom = receipts
        .iter()
        .filter(|receipt| !receipt.logs.is_empty())
        .fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom());
    BlockRoots { receipts_root: ordered_trie_root_encoded(&encoded), logs_bloom }
}
