//! The block as the rooms after ingest see it: typed transactions, known senders, receipts.

use crate::spec::ChainSpec;
use alloy_consensus::{EthereumTxEnvelope, Header, TxEip4844, TxReceipt, TxType};
use alloy_eips::{eip4895::Withdrawal, eip7702::RecoveredAuthority};
use alloy_primitives::{Address, Bloom, Log, map::HashMap};
use alloy_rlp::Encodable;
use rayon::prelude::*;

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
    /// Bloom of the logs. A transaction can emit tens of thousands of them, so many logs are shared
    /// out to all cores.
    pub fn logs_bloom(&self) -> Bloom {
        if self.logs.len() < PARALLEL_LOGS_MIN {
            return self.logs.iter().collect();
        }
        let blooms = self.logs.par_chunks(PARALLEL_LOGS_MIN).map(|logs| logs.iter().collect());
        blooms.reduce(|| Bloom::ZERO, |a: Bloom, b: Bloom| a | b)
    }

    /// Appends the encoding that the receipts trie holds (EIP-2718); `logs_bloom` is the bloom of
    /// the logs.
    pub fn encode_for_trie(&self, logs_bloom: &Bloom, out: &mut Vec<u8>) {
        if self.tx_type != TxType::Legacy {
            out.push(self.tx_type.into());
        }
        let payload_length = self.status.length()
            + self.cumulative_gas_used.length()
            + logs_bloom.length()
            + self.logs.length();
        alloy_rlp::Header { list: true, payload_length }.encode(out);
        self.status.encode(out);
        self.cumulative_gas_used.encode(out);
        logs_bloom.encode(out);
        self.logs.encode(out);
    }
}

/// From this many logs on their bloom is computed on several cores.
const PARALLEL_LOGS_MIN: usize = 256;

impl TxReceipt for Receipt {
    type Log = Log;

    fn status_or_post_state(&self) -> Eip658Value {
        self.status
    }

    fn status(&self) -> bool {
        matches!(self.status, Eip658Value::Eip658(true) | Eip658Value::PostState(_))
    }

    fn bloom(&self) -> Bloom {
        self.logs_bloom()
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{ReceiptEnvelope, ReceiptWithBloom};
    use alloy_eips::Encodable2718;
    use alloy_primitives::{B256, Bytes, LogData, U256};

    fn log(number: u64) -> Log {
        let topics = (0..number % 5).map(|topic| B256::from(U256::from(number * 7 + topic))).collect();
        let len = usize::try_from(number % 70).unwrap();
        let data = Bytes::from(vec![number.to_le_bytes()[0]; len]);
        Log {
            address: Address::from_word(U256::from(number).into()),
            data: LogData::new_unchecked(topics, data),
        }
    }

    #[test]
    fn the_trie_encoding_is_that_of_alloy() {
        let types = [TxType::Legacy, TxType::Eip2930, TxType::Eip1559, TxType::Eip4844, TxType::Eip7702];
        let statuses = [
            Eip658Value::Eip658(false),
            Eip658Value::Eip658(true),
            Eip658Value::PostState(B256::repeat_byte(7)),
        ];
        for (count, tx_type) in [0, 1, 2, 255, 256, 1000].into_iter().zip(types.into_iter().cycle()) {
            for status in statuses {
                let logs: Vec<Log> = (0..count).map(log).collect();
                let receipt =
                    Receipt { tx_type, status, cumulative_gas_used: 21_000 * count, logs: logs.clone() };
                let logs_bloom: Bloom = logs.iter().collect();
                assert_eq!(receipt.logs_bloom(), logs_bloom, "{count} logs");
                let theirs = alloy_consensus::Receipt { status, cumulative_gas_used: 21_000 * count, logs };
                let theirs =
                    ReceiptEnvelope::from_typed(tx_type, ReceiptWithBloom { logs_bloom, receipt: theirs });
                let mut ours = Vec::new();
                receipt.encode_for_trie(&logs_bloom, &mut ours);
                assert_eq!(ours, theirs.encoded_2718(), "{count} logs, {tx_type:?}, {status:?}");
            }
        }
    }
}
