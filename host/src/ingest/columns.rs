//! Transactions laid out in columns for the recovery kernel: what was signed, and the signatures.

use alloy_consensus::{EthereumTxEnvelope, SignableTransaction, Transaction as _};
use alloy_eips::eip7702::{
    SignedAuthorization,
    constants::{MAGIC, SECP256K1N_HALF},
};
use alloy_primitives::{Signature, U256};
use alloy_rlp::Encodable;
use rayon::prelude::*;

use super::transaction::Transaction;

/// From this many rows on, filling the columns on several cores pays.
const PARALLEL_ROWS_MIN: usize = 2048;
/// Rows that one task fills.
const ROWS_PER_TASK: usize = 1024;

/// A recovery id that no signature has, for authorizations whose parity is neither 0 nor 1. It
/// stands for "no signer" and must not be passed to a kernel, which would take ids 2 and 3.
pub const RECOVERY_ID_NONE: u8 = u8::MAX;

/// Byte strings of different lengths side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteColumn {
    bytes: Vec<u8>,
    /// Start of each row in bytes, and the end of the last.
    offsets: Vec<usize>,
}

impl Default for ByteColumn {
    fn default() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0] }
    }
}

impl ByteColumn {
    /// Number of rows.
    pub const fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are no rows.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All rows, one after the other.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Start of each row in bytes, and the end of the last: one more than there are rows.
    pub fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    /// The row at `index`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, index: usize) -> &[u8] {
        &self.bytes[self.offsets[index]..self.offsets[index + 1]]
    }

    /// All rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.offsets.windows(2).map(|ends| &self.bytes[ends[0]..ends[1]])
    }

    fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.offsets.push(self.bytes.len());
    }

    fn append(&mut self, other: &Self) {
        let base = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.offsets.extend(other.offsets[1..].iter().map(|end| base + end));
    }
}

/// What recovery needs of each signature, one row a signature.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SenderColumns {
    /// What was signed; the signature is over its Keccak-256 hash.
    pub payloads: ByteColumn,
    /// The scalar r, big-endian.
    pub r: Vec<[u8; 32]>,
    /// The scalar s, big-endian.
    pub s: Vec<[u8; 32]>,
    /// 0 or 1, or [`RECOVERY_ID_NONE`].
    pub recovery_ids: Vec<u8>,
    /// Whether s exceeds half the group order: transactions may not have that from Homestead on
    /// (EIP-2), authorizations never.
    pub high_s: Vec<bool>,
}

impl SenderColumns {
    /// Columns for the senders of `transactions`, in their order.
    pub fn of_transactions(transactions: &[Transaction]) -> Self {
        Self::in_tasks(transactions, Self::push_transaction)
    }

    /// Columns for the authorities of EIP-7702 authorizations, in their order.
    pub fn of_authorizations(authorizations: &[&SignedAuthorization]) -> Self {
        Self::in_tasks(authorizations, |columns, authorization| columns.push_authorization(authorization))
    }

    /// Number of signatures.
    pub const fn len(&self) -> usize {
        self.recovery_ids.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.recovery_ids.is_empty()
    }

    fn in_tasks<T: Sync>(rows: &[T], push: impl Fn(&mut Self, &T) + Sync) -> Self {
        let fill = |rows: &[T]| {
            let mut columns = Self::default();
            rows.iter().for_each(|row| push(&mut columns, row));
            columns
        };
        if rows.len() < PARALLEL_ROWS_MIN {
            return fill(rows);
        }
        let parts: Vec<Self> = rows.par_chunks(ROWS_PER_TASK).map(fill).collect();
        let mut whole = Self::default();
        whole.payloads.bytes.reserve_exact(parts.iter().map(|part| part.payloads.bytes.len()).sum());
        parts.iter().for_each(|part| whole.append(part));
        whole
    }

    fn push_transaction(&mut self, transaction: &Transaction) {
        self.payloads.push_with(|out| match transaction {
            EthereumTxEnvelope::Legacy(signed) => signed.tx().encode_for_signing(out),
            EthereumTxEnvelope::Eip2930(signed) => signed.tx().encode_for_signing(out),
            EthereumTxEnvelope::Eip1559(signed) => signed.tx().encode_for_signing(out),
            EthereumTxEnvelope::Eip4844(signed) => signed.tx().encode_for_signing(out),
            EthereumTxEnvelope::Eip7702(signed) => signed.tx().encode_for_signing(out),
        });
        let signature: &Signature = transaction.signature();
        self.push_signature(signature.r(), signature.s(), u8::from(signature.v()));
    }

    /// An authority signs `0x05 || rlp([chain_id, address, nonce])` (EIP-7702).
    fn push_authorization(&mut self, authorization: &SignedAuthorization) {
        self.payloads.push_with(|out| {
            out.push(MAGIC);
            authorization.inner().encode(out);
        });
        let recovery_id = match authorization.y_parity() {
            parity @ 0..=1 => parity,
            _ => RECOVERY_ID_NONE,
        };
        self.push_signature(authorization.r(), authorization.s(), recovery_id);
    }

    fn push_signature(&mut self, r: U256, s: U256, recovery_id: u8) {
        self.r.push(r.to_be_bytes());
        self.s.push(s.to_be_bytes());
        self.recovery_ids.push(recovery_id);
        self.high_s.push(s > SECP256K1N_HALF);
    }

    fn append(&mut self, other: &Self) {
        self.payloads.append(&other.payloads);
        self.r.extend_from_slice(&other.r);
        self.s.extend_from_slice(&other.s);
        self.recovery_ids.extend_from_slice(&other.recovery_ids);
        self.high_s.extend_from_slice(&other.high_s);
    }
}

/// All authorizations of `transactions`, each with the place of its transaction.
pub fn authorizations_of(transactions: &[Transaction]) -> Vec<(usize, &SignedAuthorization)> {
    transactions
        .iter()
        .enumerate()
        .flat_map(|(index, transaction)| {
            let entries = transaction.authorization_list().unwrap_or_default();
            entries.iter().map(move |entry| (index, entry))
        })
        .collect()
}
