//! The block as the rooms after ingest see it: typed transactions, known senders, receipts.

use crate::spec::ChainSpec;
use alloy_consensus::{
    EthereumTxEnvelope, Header, ReceiptEnvelope, ReceiptWithBloom, TxEip4844, TxReceipt, TxType,
};
use alloy_eips::{Encodable2718, eip4895::Withdrawal, eip7702::RecoveredAuthority};
use alloy_primitives::{Address, Bloom, Log, map::HashMap};

pub use alloy_consensus::Eip658Value;

/// A signed transaction as blocks hold it (blob transactions without their sidecar).
pub type SignedTx = EthereumTxEnvelope<TxEip4844>;

/// Everything that execution needs to know of one block, besides the state before it.
#[derive(Clone, Copy, Debug)]
pub struct BlockContext<'a> {
    /// The rules of the chain.
    pub spec: &'a ChainSpec,
    /// The header; only what is given before execution is read (not the roots, not the gas used).
    pub header: &'a Header,
    /// Transactions in block order.
    pub transactions: &'a [SignedTx],
    /// Their senders, one each.
    pub senders: &'a [Address],
    /// Authorities of the EIP-7702 transactions, by transaction index, one for each tuple.
    pub authorities: &'a HashMap<usize, Vec<RecoveredAuthority>>,
    /// Ommer headers.
    pub ommers: &'a [Header],
    /// Withdrawals, from Shanghai on.
    pub withdrawals: Option<&'a [Withdrawal]>,
}

/// The receipt of one transaction. The bloom follows from the logs and is not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Transaction type, which the encoding carries.
    pub tx_type: TxType,
    /// Status, or before Byzantium the state root after the transaction.
    pub status: Eip658Value,
    /// Gas used in the block up to and including this transaction.
    pub cumulative_gas_used: u64,
    /// Logs in order of emission.
    pub logs: Vec<Log>,
}

impl Receipt {
    /// The receipt in its consensus form, bloom included.
    pub fn to_envelope(&self) -> ReceiptEnvelope {
        let receipt = alloy_consensus::Receipt {
            status: self.status,
            cumulative_gas_used: self.cumulative_gas_used,
            logs: self.logs.clone(),
        };
        ReceiptEnvelope::from_typed(self.tx_type, ReceiptWithBloom { logs_bloom: self.bloom(), receipt })
    }

    /// The encoding that the receipts trie holds (EIP-2718).
    pub fn encode_for_trie(&self, out: &mut Vec<u8>) {
        self.to_envelope().encode_2718(out);
    }
}

impl TxReceipt for Receipt {
    type Log = Log;

    fn status_or_post_state(&self) -> Eip658Value {
        self.status
    }

    fn status(&self) -> bool {
        matches!(self.status, Eip658Value::Eip658(true) | Eip658Value::PostState(_))
    }

    fn bloom(&self) -> Bloom {
        self.logs.iter().collect()
    }

    fn cumulative_gas_used(&self) -> u64 {
        self.cumulative_gas_used
    }

    fn logs(&self) -> &[Log] {
        &self.logs
    }

    fn into_logs(self) -> Vec<Log> {
        self.logs
    }
}
