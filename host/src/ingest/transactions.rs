//! Signed transactions side by side with their bytes and their hashes.

use alloy_eips::Encodable2718;
use alloy_primitives::{B256, Bytes};
use outrider_kernels::keccak::{PayloadsBuf, keccak256};
use rayon::prelude::*;
use std::{ops::Deref, sync::OnceLock};

use super::transaction::Transaction;

/// Transactions that one task hashes.
const HASHED_PER_TASK: usize = 1024;

/// Signed transactions with their canonical bytes (EIP-2718), which never part: either were the transactions
/// decoded from these bytes, or the bytes encoded from these transactions.
///
/// So a [hash](Self::hashes) from here is that of the transaction at its place, signature and all, whatever hash the
/// transaction itself was made with.
#[derive(Clone, Debug, Default)]
pub struct Transactions {
    decoded: Vec<Transaction>,
    encoded: EncodedTransactions,
    hashes: OnceLock<Vec<B256>>,
}

impl Transactions {
    /// Encodes transactions.
    pub fn encode(transactions: Vec<Transaction>) -> Self {
        let len_bytes = transactions.iter().map(Encodable2718::encode_2718_len).sum();
        let mut buffer = Vec::with_capacity(len_bytes);
        let spans = transactions
            .iter()
            .map(|transaction| {
                let start = buffer.len();
                transaction.encode_2718(&mut buffer);
                (start, buffer.len())
            })
            .collect();
        let encoded = EncodedTransactions { buffer: Bytes::from(buffer), spans };
        Self { decoded: transactions, encoded, hashes: OnceLock::new() }
    }

    /// Transactions that were decoded from the spans (start and end, in bytes) of a buffer.
    pub(super) fn decoded_from(buffer: Bytes, spans: Vec<(usize, usize)>, decoded: Vec<Transaction>) -> Self {
        debug_assert_eq!(spans.len(), decoded.len());
        Self { decoded, encoded: EncodedTransactions { buffer, spans }, hashes: OnceLock::new() }
    }

    /// The canonical bytes of each: leaves of the transactions trie, input of the transaction hashes.
    pub const fn encoded(&self) -> &EncodedTransactions {
        &self.encoded
    }

    /// The transaction hash of each. They are worked out when they are first asked for, on the CPU, eight at a time
    /// where the processor can, so that no device has a say in them.
    ///
    /// # Panics
    /// If 1,024 neighbours have 4 GiB or more; blocks are bounded far below that.
    pub fn hashes(&self) -> &[B256] {
        self.hashes.get_or_init(|| self.encoded.hashes())
    }
}

impl Deref for Transactions {
    type Target = [Transaction];

    fn deref(&self) -> &[Transaction] {
        &self.decoded
    }
}

impl PartialEq for Transactions {
    /// Hashes follow from the bytes, wherever those lie.
    fn eq(&self, other: &Self) -> bool {
        self.decoded == other.decoded && self.encoded.iter().eq(other.encoded.iter())
    }
}

/// The canonical encodings of transactions, side by side in one buffer.
#[derive(Debug, Clone, Default)]
pub struct EncodedTransactions {
    buffer: Bytes,
    /// Start and end of each in the buffer, in bytes.
    spans: Vec<(usize, usize)>,
}

impl EncodedTransactions {
    /// Number of transactions.
    pub const fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The encoding of the transaction at `index`.
    ///
    /// # Panics
    /// If there is no such transaction.
    pub fn get(&self, index: usize) -> &[u8] {
        let (start, end) = self.spans[index];
        &self.buffer[start..end]
    }

    /// All encodings, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.spans.iter().map(|(start, end)| &self.buffer[*start..*end])
    }

    fn hashes(&self) -> Vec<B256> {
        let mut hashes = vec![B256::ZERO; self.len()];
        hashes.par_chunks_mut(HASHED_PER_TASK).enumerate().for_each(|(task, hashes)| {
            let first = task * HASHED_PER_TASK;
            let encodings = || (first..first + hashes.len()).map(|index| self.get(index));
            let mut payloads = PayloadsBuf::with_capacity(hashes.len(), encodings().map(<[u8]>::len).sum());
            for encoding in encodings() {
                payloads.push(encoding).expect("a block is far below 4 GiB");
            }
            let digests = keccak256(&payloads.as_payloads());
            hashes.iter_mut().zip(digests).for_each(|(hash, digest)| *hash = digest.into());
        });
        hashes
    }
}
