//! Headers as JSON objects in the spelling of the execution-spec tests.

use alloy_consensus::Header;
use serde::Deserialize;

use super::{block::without_gaps, error::FieldFault, json::Scalar};

/// A header, not looked into yet.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a block header")]
pub(super) struct RawHeader<'a> {
    #[serde(borrow, default)]
    pub(super) hash: Scalar<'a>,
    #[serde(borrow, default)]
    parent_hash: Scalar<'a>,
    #[serde(borrow, default)]
    uncle_hash: Scalar<'a>,
    #[serde(borrow, default)]
    coinbase: Scalar<'a>,
    #[serde(borrow, default)]
    state_root: Scalar<'a>,
    #[serde(borrow, default)]
    transactions_trie: Scalar<'a>,
    #[serde(borrow, default)]
    receipt_trie: Scalar<'a>,
    #[serde(borrow, default)]
    bloom: Scalar<'a>,
    #[serde(borrow, default)]
    difficulty: Scalar<'a>,
    #[serde(borrow, default)]
    number: Scalar<'a>,
    #[serde(borrow, default)]
    gas_limit: Scalar<'a>,
    #[serde(borrow, default)]
    gas_used: Scalar<'a>,
    #[serde(borrow, default)]
    timestamp: Scalar<'a>,
    #[serde(borrow, default)]
    extra_data: Scalar<'a>,
    #[serde(borrow, default)]
    mix_hash: Scalar<'a>,
    #[serde(borrow, default)]
    nonce: Scalar<'a>,
    #[serde(borrow, default)]
    base_fee_per_gas: Scalar<'a>,
    #[serde(borrow, default)]
    withdrawals_root: Scalar<'a>,
    #[serde(borrow, default)]
    blob_gas_used: Scalar<'a>,
    #[serde(borrow, default)]
    excess_blob_gas: Scalar<'a>,
    #[serde(borrow, default)]
    parent_beacon_block_root: Scalar<'a>,
    #[serde(borrow, default)]
    requests_hash: Scalar<'a>,
    #[serde(borrow, default)]
    block_access_list_hash: Scalar<'a>,
    #[serde(borrow, default)]
    slot_number: Scalar<'a>,
}

impl RawHeader<'_> {
    pub(super) fn header(&self) -> Result<Header, FieldFault> {
        without_gaps(Header {
            parent_hash: self.parent_hash.hash("parentHash")?,
            ommers_hash: self.uncle_hash.hash("uncleHash")?,
            beneficiary: self.coinbase.address("coinbase")?,
            state_root: self.state_root.hash("stateRoot")?,
            transactions_root: self.transactions_trie.hash("transactionsTrie")?,
            receipts_root: self.receipt_trie.hash("receiptTrie")?,
            logs_bloom: self.bloom.fixed("bloom")?.into(),
            difficulty: self.difficulty.quantity("difficulty")?,
            number: self.number.quantity("number")?,
            gas_limit: self.gas_limit.quantity("gasLimit")?,
            gas_used: self.gas_used.quantity("gasUsed")?,
            timestamp: self.timestamp.quantity("timestamp")?,
            extra_data: self.extra_data.bytes("extraData")?,
            mix_hash: self.mix_hash.hash("mixHash")?,
            nonce: self.nonce.fixed("nonce")?,
            base_fee_per_gas: self.base_fee_per_gas.optional("baseFeePerGas", Scalar::quantity)?,
            withdrawals_root: self.withdrawals_root.optional("withdrawalsRoot", Scalar::hash)?,
            blob_gas_used: self.blob_gas_used.optional("blobGasUsed", Scalar::quantity)?,
            excess_blob_gas: self.excess_blob_gas.optional("excessBlobGas", Scalar::quantity)?,
            parent_beacon_block_root: self
                .parent_beacon_block_root
                .optional("parentBeaconBlockRoot", Scalar::hash)?,
            requests_hash: self.requests_hash.optional("requestsHash", Scalar::hash)?,
            block_access_list_hash: self
                .block_access_list_hash
                .optional("blockAccessListHash", Scalar::hash)?,
            slot_number: self.slot_number.optional("slotNumber", Scalar::quantity)?,
        })
    }
}
