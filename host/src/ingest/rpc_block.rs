//! Blocks from a node's answer to `eth_getBlockByNumber` with full transactions.

use alloy_consensus::{Header, Sealed};
use alloy_eips::{
    Encodable2718,
    eip4895::{Withdrawal, Withdrawals},
};
use alloy_primitives::B256;
use alloy_rlp::{Encodable, length_of_length};
use serde::Deserialize;

use super::{
    block::{
        BLOCK_BYTES_MAX, DecodedBlock, OMMERS_PER_BLOCK_MAX, Ommers, Stated, WITHDRAWALS_PER_BLOCK_MAX,
        without_gaps,
    },
    error::{DecodeError, FieldFault},
    json::{self, Row, Rows, Scalar},
    rpc_transaction::TransactionRow,
    transaction::Transaction,
    transactions::{EncodedTransactions, Transactions},
};

pub(super) fn from_json(json: &[u8]) -> Result<DecodedBlock, DecodeError> {
    let raw: RawBlock<'_> = json::from_slice(json).map_err(DecodeError::Json)?;
    if let Some(error) = &raw.error {
        let message = error.message.text("message").unwrap_or("no message");
        return Err(field_fault(FieldFault::new("error", message)));
    }
    match raw.result {
        Some(block) => convert(*block),
        None => convert(raw),
    }
    .map_err(field_fault)
}

fn field_fault(fault: FieldFault) -> DecodeError {
    DecodeError::Json(fault.to_string())
}

fn convert(raw: RawBlock<'_>) -> Result<DecodedBlock, FieldFault> {
    let header = Sealed::new(header_of(&raw)?);
    let rows = raw.transactions.ok_or_else(|| FieldFault::new("transactions", "missing"))?.0;
    let count = rows.len();
    let mut transactions = Vec::with_capacity(count);
    let mut hashes = Vec::with_capacity(count);
    let mut senders = Vec::with_capacity(count);
    for row in rows {
        transactions.push(row.transaction);
        hashes.extend(row.hash);
        senders.extend(row.sender);
    }
    let transactions = encode_transactions(transactions)?;
    let ommers = Ommers::HashesOnly(raw.uncles.unwrap_or_default().0.into_iter().map(|row| row.0).collect());
    let withdrawals = raw.withdrawals.map(|rows| {
        Withdrawals::new(rows.0.into_iter().map(|WithdrawalRow(withdrawal)| withdrawal).collect())
    });
    let rlp_len_bytes = match ommers.is_empty() {
        true => rlp_len_without_ommers(&header, transactions.encoded(), withdrawals.as_ref()),
        false => raw.size.optional("size", Scalar::quantity)?.unwrap_or(0),
    };
    let stated = Stated {
        hash: raw.hash.optional("hash", Scalar::hash)?,
        transaction_hashes: (hashes.len() == count).then_some(hashes),
        senders: (senders.len() == count).then_some(senders),
    };
    Ok(DecodedBlock { header, transactions, ommers, withdrawals, rlp_len_bytes, stated })
}

fn encode_transactions(transactions: Vec<Transaction>) -> Result<Transactions, FieldFault> {
    let len_bytes: usize = transactions.iter().map(Encodable2718::encode_2718_len).sum();
    if len_bytes > BLOCK_BYTES_MAX {
        return Err(FieldFault::new("transactions", format!("longer than {BLOCK_BYTES_MAX} bytes")));
    }
    Ok(Transactions::encode(transactions))
}

/// Length of the block's RLP: a list of header, transactions, an empty list, and withdrawals.
fn rlp_len_without_ommers(
    header: &Header,
    transactions: &EncodedTransactions,
    withdrawals: Option<&Withdrawals>,
) -> usize {
    let list_len = |payload_len: usize| payload_len + length_of_length(payload_len);
    let item_len = |encoded: &[u8]| match encoded {
        [0xc0..=0xff, ..] => encoded.len(),
        _ => list_len(encoded.len()),
    };
    let transactions_len = list_len(transactions.iter().map(item_len).sum());
    let no_ommers_len = list_len(0);
    let withdrawals_len = withdrawals.map_or(0, Encodable::length);
    list_len(header.length() + transactions_len + no_ommers_len + withdrawals_len)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a block object")]
pub(super) struct RawBlock<'a> {
    /// The block, where the file is the whole answer of the node.
    #[serde(borrow, default)]
    result: Option<Box<Self>>,
    #[serde(borrow, default)]
    error: Option<RawError<'a>>,
    #[serde(borrow, default)]
    hash: Scalar<'a>,
    #[serde(borrow, default)]
    size: Scalar<'a>,
    #[serde(borrow, default)]
    parent_hash: Scalar<'a>,
    #[serde(borrow, default)]
    sha3_uncles: Scalar<'a>,
    #[serde(borrow, default)]
    miner: Scalar<'a>,
    #[serde(borrow, default)]
    state_root: Scalar<'a>,
    #[serde(borrow, default)]
    transactions_root: Scalar<'a>,
    #[serde(borrow, default)]
    receipts_root: Scalar<'a>,
    #[serde(borrow, default)]
    logs_bloom: Scalar<'a>,
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
    #[serde(default)]
    transactions: Option<Rows<TransactionRow>>,
    #[serde(default)]
    uncles: Option<Rows<OmmerHash>>,
    #[serde(default)]
    withdrawals: Option<Rows<WithdrawalRow>>,
}

#[derive(Deserialize)]
struct RawError<'a> {
    #[serde(borrow, default)]
    message: Scalar<'a>,
}

/// The header of a block, or a header alone.
pub(super) fn header_of(raw: &RawBlock<'_>) -> Result<Header, FieldFault> {
    without_gaps(Header {
        parent_hash: raw.parent_hash.hash("parentHash")?,
        ommers_hash: raw.sha3_uncles.hash("sha3Uncles")?,
        beneficiary: raw.miner.address("miner")?,
        state_root: raw.state_root.hash("stateRoot")?,
        transactions_root: raw.transactions_root.hash("transactionsRoot")?,
        receipts_root: raw.receipts_root.hash("receiptsRoot")?,
        logs_bloom: raw.logs_bloom.fixed("logsBloom")?.into(),
        difficulty: raw.difficulty.quantity("difficulty")?,
        number: raw.number.quantity("number")?,
        gas_limit: raw.gas_limit.quantity("gasLimit")?,
        gas_used: raw.gas_used.quantity("gasUsed")?,
        timestamp: raw.timestamp.quantity("timestamp")?,
        extra_data: raw.extra_data.bytes("extraData")?,
        mix_hash: raw.mix_hash.hash("mixHash")?,
        nonce: raw.nonce.fixed("nonce")?,
        base_fee_per_gas: raw.base_fee_per_gas.optional("baseFeePerGas", Scalar::quantity)?,
        withdrawals_root: raw.withdrawals_root.optional("withdrawalsRoot", Scalar::hash)?,
        blob_gas_used: raw.blob_gas_used.optional("blobGasUsed", Scalar::quantity)?,
        excess_blob_gas: raw.excess_blob_gas.optional("excessBlobGas", Scalar::quantity)?,
        parent_beacon_block_root: raw
            .parent_beacon_block_root
            .optional("parentBeaconBlockRoot", Scalar::hash)?,
        requests_hash: raw.requests_hash.optional("requestsHash", Scalar::hash)?,
        block_access_list_hash: raw.block_access_list_hash.optional("blockAccessListHash", Scalar::hash)?,
        slot_number: raw.slot_number.optional("slotNumber", Scalar::quantity)?,
    })
}

struct OmmerHash(B256);

impl Row for OmmerHash {
    type Raw<'de> = Scalar<'de>;
    const LIST: &'static str = "uncles";
    const COUNT_MAX: usize = OMMERS_PER_BLOCK_MAX;

    fn from_raw(raw: Scalar<'_>) -> Result<Self, FieldFault> {
        raw.hash("hash").map(Self)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a withdrawal object")]
struct RawWithdrawal<'a> {
    #[serde(borrow, default)]
    index: Scalar<'a>,
    #[serde(borrow, default)]
    validator_index: Scalar<'a>,
    #[serde(borrow, default)]
    address: Scalar<'a>,
    #[serde(borrow, default)]
    amount: Scalar<'a>,
}

struct WithdrawalRow(Withdrawal);

impl Row for WithdrawalRow {
    type Raw<'de> = RawWithdrawal<'de>;
    const LIST: &'static str = "withdrawals";
    const COUNT_MAX: usize = WITHDRAWALS_PER_BLOCK_MAX;

    fn from_raw(raw: RawWithdrawal<'_>) -> Result<Self, FieldFault> {
        Ok(Self(Withdrawal {
            index: raw.index.quantity("index")?,
            validator_index: raw.validator_index.quantity("validatorIndex")?,
            address: raw.address.address("address")?,
            amount: raw.amount.quantity("amount")?,
        }))
    }
}
