//! What the store holds, as bytes. Everything is RLP.
//!
//! | what | encoding |
//! | --- | --- |
//! | identity | `[chain id, genesis hash, reorg depth]`; the layout version stands apart |
//! | block id | number (8 bytes, big-endian), hash: so that keys are in order of height |
//! | header record | `[header, [ommer header, ...], total difficulty, length of the change record]` |
//! | totals | `[accounts, bytes of their rows, slots, bytes of their rows]` |
//! | account row | `[address, nonce, balance]`, with code `[address, nonce, balance, code hash]` |
//! | slot row | `[address and slot (52 bytes), value]` |
//! | change record | the number of items, then the items: changed accounts as lists, new codes as strings |
//!
//! A changed account is `[address]` where it is gone, else an account row, to which
//! `is wiped, [slot, value, slot, value, ...]` are appended where storage changed (then the code hash is
//! there as well, the empty string for none).

use super::{Identity, KeptHeader, Limits, chunks::Totals};
use crate::state::{Account, AccountChange, ChangeSet};
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use alloy_rlp::{Decodable, EMPTY_STRING_CODE, Encodable, Error, Header as Prefix};
use revm::state::Bytecode;

/// Key of an account row.
pub(super) type AccountKey = [u8; 20];
/// Key of a slot row: address and slot.
pub(super) type SlotKey = [u8; 52];

/// Number and hash of a block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) struct BlockId {
    pub(super) number: u64,
    pub(super) hash: B256,
}

impl BlockId {
    pub(super) const BYTES: usize = 40;

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.number.to_be_bytes());
        bytes[8..].copy_from_slice(self.hash.as_slice());
        bytes
    }

    /// `None` for any other number of bytes.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (number, hash) = bytes.split_first_chunk()?;
        Some(Self { number: u64::from_be_bytes(*number), hash: B256::new(*hash.as_array()?) })
    }
}

impl std::fmt::Display for BlockId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.number, self.hash)
    }
}

/// What a store says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meta {
    pub(super) identity: Identity,
    pub(super) limits: Limits,
    pub(super) base: BlockId,
    pub(super) head: BlockId,
    pub(super) accounts: Totals,
    pub(super) slots: Totals,
}

pub(super) fn encode_identity(identity: &Identity, limits: Limits) -> Vec<u8> {
    let mut out = Vec::new();
    let payload_length =
        identity.chain_id.length() + identity.genesis_hash.length() + limits.reorg_depth.length();
    Prefix { list: true, payload_length }.encode(&mut out);
    identity.chain_id.encode(&mut out);
    identity.genesis_hash.encode(&mut out);
    limits.reorg_depth.encode(&mut out);
    out
}

pub(super) fn decode_identity(bytes: &[u8]) -> Result<(Identity, Limits), Error> {
    let mut fields = fields_of(bytes)?;
    let identity = Identity { chain_id: u64::decode(&mut fields)?, genesis_hash: B256::decode(&mut fields)? };
    let limits = Limits { reorg_depth: u64::decode(&mut fields)? };
    at_end(fields)?;
    Ok((identity, limits))
}

pub(super) fn encode_totals(accounts: Totals, slots: Totals) -> Vec<u8> {
    alloy_rlp::encode(vec![accounts.rows, accounts.bytes, slots.rows, slots.bytes])
}

pub(super) fn decode_totals(mut bytes: &[u8]) -> Result<(Totals, Totals), Error> {
    let numbers = Vec::<u64>::decode(&mut bytes)?;
    at_end(bytes)?;
    let [account_rows, account_bytes, slot_rows, slot_bytes] = *numbers else {
        return Err(Error::UnexpectedLength);
    };
    Ok((Totals { rows: account_rows, bytes: account_bytes }, Totals { rows: slot_rows, bytes: slot_bytes }))
}

pub(super) fn decode_version(mut bytes: &[u8]) -> Result<u64, Error> {
    let version = u64::decode(&mut bytes)?;
    at_end(bytes)?;
    Ok(version)
}

/// A header with what else later blocks may ask of it.
pub(super) fn encode_header(block: &KeptHeader, changes_bytes: u64) -> Vec<u8> {
    let KeptHeader { header, ommers, total_difficulty, .. } = block;
    let ommers_len = ommers.iter().map(Encodable::length).sum();
    let list = |payload_length| Prefix { list: true, payload_length };
    let payload_len = header.length()
        + list(ommers_len).length_with_payload()
        + total_difficulty.length()
        + changes_bytes.length();
    let mut out = Vec::with_capacity(list(payload_len).length_with_payload());
    list(payload_len).encode(&mut out);
    header.encode(&mut out);
    list(ommers_len).encode(&mut out);
    ommers.iter().for_each(|ommer| ommer.encode(&mut out));
    total_difficulty.encode(&mut out);
    changes_bytes.encode(&mut out);
    out
}

/// Reads a header record; the header must have the hash under which it is found.
pub(super) fn decode_header(id: BlockId, bytes: &[u8]) -> Result<(KeptHeader, u64), Error> {
    let mut fields = fields_of(bytes)?;
    let header = Header::decode(&mut fields)?;
    let mut ommers_left = Prefix::decode_bytes(&mut fields, true)?;
    let mut ommers = Vec::new();
    while !ommers_left.is_empty() {
        ommers.push(Header::decode(&mut ommers_left)?);
    }
    let total_difficulty = U256::decode(&mut fields)?;
    let changes_bytes = u64::decode(&mut fields)?;
    at_end(fields)?;
    if (BlockId { number: header.number, hash: header.hash_slow() }) != id {
        return Err(Error::Custom("the header has another hash"));
    }
    Ok((KeptHeader { hash: id.hash, header, ommers, total_difficulty }, changes_bytes))
}

/// Appends an account row.
pub(super) fn encode_account(address: &Address, account: &Account, out: &mut Vec<u8>) {
    let code_len = if account.has_code() { account.code_hash.length() } else { 0 };
    let payload_length = address.length() + account.nonce.length() + account.balance.length() + code_len;
    Prefix { list: true, payload_length }.encode(out);
    address.encode(out);
    account.nonce.encode(out);
    account.balance.encode(out);
    if account.has_code() {
        account.code_hash.encode(out);
    }
}

/// Appends a slot row.
pub(super) fn encode_slot(key: &SlotKey, value: U256, out: &mut Vec<u8>) {
    Prefix { list: true, payload_length: key.length() + value.length() }.encode(out);
    key.encode(out);
    value.encode(out);
}

/// Key of the row of a slot.
pub(super) fn slot_key(address: &Address, slot: U256) -> SlotKey {
    let mut key = [0; 52];
    key[..20].copy_from_slice(address.as_slice());
    key[20..].copy_from_slice(&slot.to_be_bytes::<32>());
    key
}

/// Reads an account row.
pub(super) fn decode_account(row: &[u8]) -> Result<(Address, Account), Error> {
    let mut fields = fields_of(row)?;
    let address = Address::decode(&mut fields)?;
    let account = decode_account_fields(&mut fields)?;
    at_end(fields)?;
    Ok((address, account))
}

fn decode_account_fields(fields: &mut &[u8]) -> Result<Account, Error> {
    let nonce = u64::decode(fields)?;
    let balance = U256::decode(fields)?;
    let code_hash = match fields.first() {
        None => KECCAK256_EMPTY,
        Some(&EMPTY_STRING_CODE) => {
            *fields = &fields[1..];
            KECCAK256_EMPTY
        }
        Some(_) => B256::decode(fields)?,
    };
    Ok(Account { balance, nonce, code_hash })
}

/// Reads a slot row. A slot that is zero is not stored.
pub(super) fn decode_slot(row: &[u8]) -> Result<(Address, U256, U256), Error> {
    let mut fields = fields_of(row)?;
    let key = SlotKey::decode(&mut fields)?;
    let value = U256::decode(&mut fields)?;
    at_end(fields)?;
    if value.is_zero() {
        return Err(Error::Custom("a slot that is zero"));
    }
    let (address, slot) = key.split_at(20);
    Ok((Address::from_slice(address), U256::from_be_slice(slot), value))
}

/// The record of what a block changed.
pub(super) fn encode_changes(changes: &ChangeSet) -> Vec<u8> {
    // An account without code and storage takes about 40 bytes.
    let mut out = Vec::with_capacity(48 * changes.accounts.len() + 64);
    (changes.accounts.len() + changes.codes.len()).encode(&mut out);
    for (address, change) in &changes.accounts {
        encode_account_change(address, change, &mut out);
    }
    for code in changes.codes.values() {
        code.original_byte_slice().encode(&mut out);
    }
    out
}

fn encode_account_change(address: &Address, change: &AccountChange, out: &mut Vec<u8>) {
    let Some(account) = &change.account else {
        Prefix { list: true, payload_length: address.length() }.encode(out);
        address.encode(out);
        return;
    };
    if !change.storage_wiped && change.storage.is_empty() {
        return encode_account(address, account, out);
    }
    let slots_len = change.storage.iter().map(|(slot, value)| slot.length() + value.length()).sum();
    let slots = Prefix { list: true, payload_length: slots_len };
    let code_len = if account.has_code() { account.code_hash.length() } else { 1 };
    let payload_length = address.length()
        + account.nonce.length()
        + account.balance.length()
        + code_len
        + change.storage_wiped.length()
        + slots.length_with_payload();
    Prefix { list: true, payload_length }.encode(out);
    address.encode(out);
    account.nonce.encode(out);
    account.balance.encode(out);
    if account.has_code() {
        account.code_hash.encode(out);
    } else {
        out.push(EMPTY_STRING_CODE);
    }
    change.storage_wiped.encode(out);
    slots.encode(out);
    for (slot, value) in &change.storage {
        slot.encode(out);
        value.encode(out);
    }
}

/// An item of a change record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Account(Address, AccountChange),
    Code(Bytes),
}

/// The items of a change record; an error ends them.
#[derive(Clone, Debug)]
pub(super) struct Items<'a> {
    left: &'a [u8],
    count: u64,
}

impl<'a> Items<'a> {
    pub(super) fn new(record: &'a [u8]) -> Result<Self, Error> {
        let mut left = record;
        let count = u64::decode(&mut left)?;
        Ok(Self { left, count })
    }

    fn read(&mut self) -> Result<Item, Error> {
        if self.left.first().is_some_and(|byte| *byte < alloy_rlp::EMPTY_LIST_CODE) {
            return Bytes::decode(&mut self.left).map(Item::Code);
        }
        let mut fields = Prefix::decode_bytes(&mut self.left, true)?;
        let address = Address::decode(&mut fields)?;
        if fields.is_empty() {
            let gone = AccountChange { storage_wiped: true, ..AccountChange::default() };
            return Ok(Item::Account(address, gone));
        }
        let account = Some(decode_account_fields(&mut fields)?);
        let mut change = AccountChange { account, ..AccountChange::default() };
        if !fields.is_empty() {
            change.storage_wiped = bool::decode(&mut fields)?;
            let mut slots = Prefix::decode_bytes(&mut fields, true)?;
            while !slots.is_empty() {
                let slot = U256::decode(&mut slots)?;
                change.storage.insert(slot, U256::decode(&mut slots)?);
            }
        }
        at_end(fields)?;
        Ok(Item::Account(address, change))
    }
}

impl Iterator for Items<'_> {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.count == 0 {
            // Said once.
            return (!std::mem::take(&mut self.left).is_empty()).then_some(Err(Error::UnexpectedLength));
        }
        self.count -= 1;
        let item = self.read();
        if item.is_err() {
            (self.count, self.left) = (0, &[]);
        }
        Some(item)
    }
}

/// Reads a change record whole.
pub(super) fn decode_changes(record: &[u8]) -> Result<ChangeSet, Error> {
    let mut changes = ChangeSet::default();
    for item in Items::new(record)? {
        match item? {
            Item::Account(address, change) => {
                changes.accounts.insert(address, change);
            }
            Item::Code(code) => {
                let code = bytecode(code);
                changes.codes.insert(code.hash_slow(), code);
            }
        }
    }
    Ok(changes)
}

/// Code as a state may hold it, that with 0xef at its front included, which today's rules refuse.
pub(super) fn bytecode(code: Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code))
}

/// The items of a list that is all there is.
fn fields_of(mut bytes: &[u8]) -> Result<&[u8], Error> {
    let fields = Prefix::decode_bytes(&mut bytes, true)?;
    at_end(bytes)?;
    Ok(fields)
}

fn at_end(left: &[u8]) -> Result<(), Error> {
    if left.is_empty() { Ok(()) } else { Err(Error::UnexpectedLength) }
}
