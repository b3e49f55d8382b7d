//! Transactions laid out in columns for the recovery kernel: what was signed, and the signatures.

use alloy_consensus::{EthereumTxEnvelope, SignableTransaction, Transaction as _};
use alloy_eips::eip7702::{SignedAuthorization, constants::MAGIC};
use alloy_primitives::{Signature, U256};
use alloy_rlp::Encodable;
use outrider_kernels::keccak::PayloadsBuf;
use rayon::prelude::*;
use std::borrow::Borrow;

use super::transaction::Transaction;

/// From this many rows on, filling the columns on several cores pays.
const PARALLEL_ROWS_MIN: usize = 2048;
/// Rows that one task fills.
const ROWS_PER_TASK: usize = 1024;

/// A recovery id that no signature has, for authorizations whose parity is neither 0 nor 1. It
/// stands for "no signer" and must not be passed to a kernel, which would take ids 2 and 3.
pub const RECOVERY_ID_NONE: u8 = u8::MAX;

/// What recovery needs of each signature, one row a signature.
#[derive(Debug, Clone, Default)]
pub struct SenderColumns {
    /// What was signed; the signature is over its Keccak-256 hash.
    pub payloads: PayloadsBuf,
    /// The scalar r, big-endian.
    pub r: Vec<[u8; 32]>,
    /// The scalar s, big-endian.
    pub s: Vec<[u8; 32]>,
    /// 0 or 1, or [`RECOVERY_ID_NONE`].
    pub recovery_ids: Vec<u8>,
}

impl SenderColumns {
    /// Columns for the senders of `transactions`, in their order.
    ///
    /// # Panics
    /// If what was signed has 4 GiB or more; blocks are bounded far below that.
    pub fn of_transactions<T: Borrow<Transaction> + Sync>(transactions: &[T]) -> Self {
        Self::in_tasks(transactions, |columns, transaction| columns.push_transaction(transaction.borrow()))
    }

    /// Columns for the authorities of EIP-7702 authorizations, in their order.
    ///
    /// # Panics
    /// As for [`Self::of_transactions`].
    pub fn of_authorizations(authorizations: &[&SignedAuthorization]) -> Self {
        Self::in_tasks(authorizations, |columns, authorization| columns.push_authorization(authorization))
    }

    /// Columns for both, the transactions first.
    ///
    /// # Panics
    /// As for [`Self::of_transactions`].
    pub fn of_both(transactions: &[&Transaction], authorizations: &[&SignedAuthorization]) -> Self {
        let mut columns = Self::of_transactions(transactions);
        columns.append(&Self::of_authorizations(authorizations));
        columns
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
        let payload_bytes = parts.iter().map(|part| part.payloads.as_payloads().len_bytes()).sum();
        whole.payloads = PayloadsBuf::with_capacity(rows.len(), payload_bytes);
        parts.iter().for_each(|part| whole.append(part));
        whole
    }

    fn push_transaction(&mut self, transaction: &Transaction) {
        self.push_payload(|out| match transaction {
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
        self.push_payload(|out| {
            out.push(MAGIC);
            authorization.inner().encode(out);
        });
        let recovery_id = match authorization.y_parity() {
            parity @ 0..=1 => parity,
            _ => RECOVERY_ID_NONE,
        };
        self.push_signature(authorization.r(), authorization.s(), recovery_id);
    }

    fn push_payload(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.payloads.push_with(write).expect("a block is far below 4 GiB");
    }

    fn push_signature(&mut self, r: U256, s: U256, recovery_id: u8) {
        self.r.push(r.to_be_bytes());
        self.s.push(s.to_be_bytes());
        self.recovery_ids.push(recovery_id);
    }

    fn append(&mut self, other: &Self) {
        self.payloads.append(&other.payloads.as_payloads()).expect("a block is far below 4 GiB");
        self.r.extend_from_slice(&other.r);
        self.s.extend_from_slice(&other.s);
        self.recovery_ids.extend_from_slice(&other.recovery_ids);
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
