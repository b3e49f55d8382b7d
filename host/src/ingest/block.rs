//! Blocks from RLP: header, transactions, ommers, withdrawals.

use alloy_consensus::{Header, Sealed, Signed, TxLegacy};
use alloy_eips::eip4895::{Withdrawal, Withdrawals};
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, Signature, U256, keccak256};
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

use super::{
    case::BlockBytes,
    error::{DecodeError, FieldFault, RlpFault},
    rlp::{Item, Items},
    rpc_block,
    transaction::{Transaction, from_block_item},
    transactions::Transactions,
};

/// Longest block taken, in bytes. Mainnet's limit is 10 MiB (EIP-7934); test chains with large gas
/// limits go beyond.
pub const BLOCK_BYTES_MAX: usize = 128 << 20;
/// Most transactions in a block.
pub const TRANSACTIONS_PER_BLOCK_MAX: usize = 1 << 20;
/// Most withdrawals in a block. Consensus allows 16, tests more.
pub const WITHDRAWALS_PER_BLOCK_MAX: usize = 1 << 20;
/// Most ommers in a block. Consensus allows 2; a block with more is decoded, to be refused for it.
pub const OMMERS_PER_BLOCK_MAX: usize = 1 << 10;

/// From this many transactions on, decoding them on several cores pays.
const PARALLEL_TRANSACTIONS_MIN: usize = 512;

/// A block that is well-formed. Whether it is valid, the rules say.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodedBlock {
    /// The header with its hash, computed from its bytes.
    pub header: Sealed<Header>,
    /// The transactions, with their bytes.
    pub transactions: Transactions,
    /// The ommers.
    pub ommers: Ommers,
    /// The withdrawals; `None` where the block has no list of them (before Shanghai).
    pub withdrawals: Option<Withdrawals>,
    /// Length of the block's RLP in bytes (EIP-7934 limits it). For a JSON block with ommers, whose
    /// headers are unknown, what the node says, or 0.
    pub rlp_len_bytes: usize,
    /// What the input says about the block besides its contents, to compare with.
    pub stated: Stated,
}

/// Facts about a block that can be computed, as its source states them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stated {
    /// Hash of the block.
    pub hash: Option<B256>,
    /// Hashes of all transactions.
    pub transaction_hashes: Option<Vec<B256>>,
    /// Senders of all transactions.
    pub senders: Option<Vec<Address>>,
}

/// A block's ommers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ommers {
    /// The headers themselves.
    Headers(Vec<Header>),
    /// Just their hashes, as the JSON interface gives them.
    HashesOnly(Vec<B256>),
}

impl Ommers {
    /// Number of ommers.
    pub const fn len(&self) -> usize {
        match self {
            Self::Headers(headers) => headers.len(),
            Self::HashesOnly(hashes) => hashes.len(),
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The headers, where they are known; no ommers at all are known, too.
    pub fn headers(&self) -> Option<&[Header]> {
        match self {
            Self::Headers(headers) => Some(headers),
            Self::HashesOnly(hashes) => hashes.is_empty().then_some(&[]),
        }
    }
}

/// Decodes a block of either form.
///
/// # Errors
/// [`DecodeError`] names the part, index and field that is not as it must be. RLP is accepted in
/// its canonical encoding only.
pub fn decode_block(bytes: &BlockBytes) -> Result<DecodedBlock, DecodeError> {
    match bytes {
        BlockBytes::Rlp(rlp) => from_rlp(rlp),
        BlockBytes::RpcJson(json) => rpc_block::from_json(json),
    }
}

fn from_rlp(rlp: &Bytes) -> Result<DecodedBlock, DecodeError> {
    if rlp.len() > BLOCK_BYTES_MAX {
        return Err(body("rlp")(RlpFault::TooLong { limit_bytes: BLOCK_BYTES_MAX }));
    }
    let mut parts = Items::of_list(rlp).map_err(body("rlp"))?;
    let header_item = parts.item().map_err(body("header"))?;
    let header = header_of_item(&header_item, &|field, fault| DecodeError::Header { field, fault })?;
    let header = Sealed::new_unchecked(header, keccak256(header_item.encoded));

    let items = transaction_items(parts.list().map_err(body("transactions"))?)?;
    let transactions = decode_transactions(&items)?;
    let spans = items.iter().map(|item| span_of(item, rlp)).collect();
    let transactions = Transactions::decoded_from(rlp.clone(), spans, transactions);
    let ommers = decode_ommers(parts.list().map_err(body("ommers"))?)?;
    let withdrawals = match parts.is_empty() {
        true => None,
        false => Some(decode_withdrawals(parts.list().map_err(body("withdrawals"))?)?),
    };
    parts.end().map_err(body("rlp"))?;
    Ok(DecodedBlock {
        header,
        transactions,
        ommers: Ommers::Headers(ommers),
        withdrawals,
        rlp_len_bytes: rlp.len(),
        stated: Stated::default(),
    })
}

fn body(field: &'static str) -> impl Fn(RlpFault) -> DecodeError {
    move |fault| DecodeError::Body { field, fault }
}

fn transaction_items(mut list: Items<'_>) -> Result<Vec<Item<'_>>, DecodeError> {
    let mut items = Vec::new();
    while !list.is_empty() {
        if items.len() == TRANSACTIONS_PER_BLOCK_MAX {
            let fault = RlpFault::TooManyEntries { limit: TRANSACTIONS_PER_BLOCK_MAX };
            return Err(body("transactions")(fault));
        }
        items.push(list.item().map_err(body("transactions"))?);
    }
    Ok(items)
}

/// Decodes all; of several faulty transactions the first is reported, as if done one by one.
fn decode_transactions(items: &[Item<'_>]) -> Result<Vec<Transaction>, DecodeError> {
    let decode = |(index, item): (usize, &Item<'_>)| {
        from_block_item(item).map_err(|fault| DecodeError::Transaction { index, fault })
    };
    if items.len() < PARALLEL_TRANSACTIONS_MIN {
        return items.iter().enumerate().map(decode).collect();
    }
    // Each is written where it stays. What stands in for a faulty one is not seen.
    let first_fault: Mutex<Option<(usize, DecodeError)>> = Mutex::new(None);
    let decoded = items.par_iter().enumerate().map(|(index, item)| {
        decode((index, item)).unwrap_or_else(|fault| {
            let mut first = first_fault.lock().unwrap_or_else(PoisonError::into_inner);
            if first.as_ref().is_none_or(|(earlier, _)| index < *earlier) {
                *first = Some((index, fault));
            }
            let signature = Signature::new(U256::ZERO, U256::ZERO, false);
            Transaction::Legacy(Signed::new_unhashed(TxLegacy::default(), signature))
        })
    });
    let decoded = decoded.collect();
    match first_fault.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, fault)) => Err(fault),
        None => Ok(decoded),
    }
}

/// Where the bytes that a transaction hash covers lie in the block.
fn span_of(item: &Item<'_>, block: &[u8]) -> (usize, usize) {
    let canonical = if item.is_list { item.encoded } else { item.payload };
    let start = canonical.as_ptr() as usize - block.as_ptr() as usize;
    (start, start + canonical.len())
}

fn decode_ommers(mut list: Items<'_>) -> Result<Vec<Header>, DecodeError> {
    let mut ommers = Vec::new();
    while !list.is_empty() {
        let index = ommers.len();
        if index == OMMERS_PER_BLOCK_MAX {
            return Err(body("ommers")(RlpFault::TooManyEntries { limit: OMMERS_PER_BLOCK_MAX }));
        }
        let item = list.item().map_err(body("ommers"))?;
        ommers.push(header_of_item(&item, &|field, fault| DecodeError::Ommer { index, field, fault })?);
    }
    Ok(ommers)
}

fn decode_withdrawals(mut list: Items<'_>) -> Result<Withdrawals, DecodeError> {
    let mut withdrawals = Vec::new();
    while !list.is_empty() {
        let index = withdrawals.len();
        if index == WITHDRAWALS_PER_BLOCK_MAX {
            let fault = RlpFault::TooManyEntries { limit: WITHDRAWALS_PER_BLOCK_MAX };
            return Err(body("withdrawals")(fault));
        }
        let at = |field| move |fault| DecodeError::Withdrawal { index, field, fault };
        let mut fields = list.list().map_err(at("rlp"))?;
        withdrawals.push(Withdrawal {
            index: fields.u64().map_err(at("index"))?,
            validator_index: fields.u64().map_err(at("validatorIndex"))?,
            address: fields.address().map_err(at("address"))?,
            amount: fields.u64().map_err(at("amount"))?,
        });
        fields.end().map_err(at("rlp"))?;
    }
    Ok(Withdrawals::new(withdrawals))
}

/// Turns a field's name and its fault into the error of the header at hand.
type HeaderErrorAt<'a> = &'a dyn Fn(&'static str, RlpFault) -> DecodeError;

fn header_of_item(item: &Item<'_>, error_at: HeaderErrorAt<'_>) -> Result<Header, DecodeError> {
    if !item.is_list {
        return Err(error_at("rlp", RlpFault::UnexpectedString));
    }
    decode_header(Items::of_payload(item.payload), error_at)
}

/// A header alone.
pub(super) fn header_from_rlp(rlp: &[u8]) -> Result<Header, DecodeError> {
    let error_at = |field, fault| DecodeError::Header { field, fault };
    decode_header(Items::of_list(rlp).map_err(|fault| error_at("rlp", fault))?, &error_at)
}

/// The number field of a block's header, without decoding the rest.
pub(super) fn peek_number(block: &[u8]) -> Option<u64> {
    let mut fields = Items::of_list(block).ok()?.list().ok()?;
    for _ in 0..8 {
        fields.item().ok()?;
    }
    fields.u64().ok()
}

/// Number and hash of a block, without decoding more of it. `None` if the header is not where it should be, and for JSON,
/// where it has no encoding.
pub fn peek_id(block: &BlockBytes) -> Option<(u64, B256)> {
    let BlockBytes::Rlp(rlp) = block else { return None };
    let header = Items::of_list(rlp).ok()?.item().ok()?;
    Some((peek_number(rlp)?, keccak256(header.encoded)))
}

/// Refuses a header, put together from named fields, that no list of fields can express: one that
/// lacks a field of an earlier fork while it has one of a later.
pub(super) fn without_gaps(header: Header) -> Result<Header, FieldFault> {
    let appended = [
        ("baseFeePerGas", header.base_fee_per_gas.is_some()),
        ("withdrawalsRoot", header.withdrawals_root.is_some()),
        ("blobGasUsed", header.blob_gas_used.is_some()),
        ("excessBlobGas", header.excess_blob_gas.is_some()),
        ("parentBeaconBlockRoot", header.parent_beacon_block_root.is_some()),
        ("requestsHash", header.requests_hash.is_some()),
        ("blockAccessListHash", header.block_access_list_hash.is_some()),
        ("slotNumber", header.slot_number.is_some()),
    ];
    match appended.windows(2).find(|pair| !pair[0].1 && pair[1].1) {
        Some(pair) => Err(FieldFault::new(pair[0].0, format!("missing, though there is {}", pair[1].0))),
        None => Ok(header),
    }
}

fn decode_header(mut fields: Items<'_>, error_at: HeaderErrorAt<'_>) -> Result<Header, DecodeError> {
    let at = |field| move |fault| error_at(field, fault);
    let mut header = Header {
        parent_hash: fields.hash().map_err(at("parentHash"))?,
        ommers_hash: fields.hash().map_err(at("sha3Uncles"))?,
        beneficiary: fields.address().map_err(at("miner"))?,
        state_root: fields.hash().map_err(at("stateRoot"))?,
        transactions_root: fields.hash().map_err(at("transactionsRoot"))?,
        receipts_root: fields.hash().map_err(at("receiptsRoot"))?,
        logs_bloom: fields.fixed().map(Bloom::new).map_err(at("logsBloom"))?,
        difficulty: fields.u256().map_err(at("difficulty"))?,
        number: fields.u64().map_err(at("number"))?,
        gas_limit: fields.u64().map_err(at("gasLimit"))?,
        gas_used: fields.u64().map_err(at("gasUsed"))?,
        timestamp: fields.u64().map_err(at("timestamp"))?,
        extra_data: fields.string().map(Bytes::copy_from_slice).map_err(at("extraData"))?,
        mix_hash: fields.hash().map_err(at("mixHash"))?,
        nonce: fields.fixed().map(B64::new).map_err(at("nonce"))?,
        ..Header::default()
    };
    // Each fork appended its fields, so the list's length alone says which are there.
    if !fields.is_empty() {
        header.base_fee_per_gas = Some(fields.u64().map_err(at("baseFeePerGas"))?);
    }
    if !fields.is_empty() {
        header.withdrawals_root = Some(fields.hash().map_err(at("withdrawalsRoot"))?);
    }
    if !fields.is_empty() {
        header.blob_gas_used = Some(fields.u64().map_err(at("blobGasUsed"))?);
    }
    if !fields.is_empty() {
        header.excess_blob_gas = Some(fields.u64().map_err(at("excessBlobGas"))?);
    }
    if !fields.is_empty() {
        header.parent_beacon_block_root = Some(fields.hash().map_err(at("parentBeaconBlockRoot"))?);
    }
    if !fields.is_empty() {
        header.requests_hash = Some(fields.hash().map_err(at("requestsHash"))?);
    }
    if !fields.is_empty() {
        header.block_access_list_hash = Some(fields.hash().map_err(at("blockAccessListHash"))?);
    }
    if !fields.is_empty() {
        header.slot_number = Some(fields.u64().map_err(at("slotNumber"))?);
    }
    fields.end().map_err(at("rlp"))?;
    Ok(header)
}
