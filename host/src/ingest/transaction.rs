//! Signed transactions from bytes: types 0 to 4 as blocks hold them, and type 3 with its sidecar
//! as pools and `eth_sendRawTransaction` do.
//!
//! Fields are read one by one rather than through alloy's decoders, so that a fault names its
//! field; the tests compare the two.

use alloy_consensus::{EthereumTxEnvelope, Signed, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip4844::kzg_to_versioned_hash,
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind};

use super::{
    error::{RlpFault, SidecarFault, TransactionFault},
    rlp::{Item, Items},
};

/// A signed transaction as it stands in a block: a blob transaction has no sidecar.
pub type Transaction = EthereumTxEnvelope<TxEip4844>;

const BLOB_BYTES: usize = 131_072;
const COMMITMENT_BYTES: usize = 48;
const PROOF_BYTES: usize = 48;
const CELL_PROOFS_PER_BLOB: usize = 128;

/// Which sidecar a raw blob transaction came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sidecar {
    /// One proof for each blob (EIP-4844).
    BlobProofs,
    /// A proof for each of 128 cells of each blob (EIP-7594).
    CellProofs,
}

/// A transaction as wallets send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTransaction {
    /// The transaction without its sidecar; its hash, too, is the one without.
    pub transaction: Transaction,
    /// The sidecar that came with it. Its proofs are not verified.
    pub sidecar: Option<Sidecar>,
}

/// Decodes the canonical encoding of a signed transaction (EIP-2718), as blocks hold it.
///
/// # Errors
/// Anything but the one canonical encoding of types 0 to 4. Signatures are taken as they are.
pub fn decode_transaction(bytes: &[u8]) -> Result<Transaction, TransactionFault> {
    match bytes {
        [] => Err(TransactionFault::Empty),
        [0xc0..=0xff, ..] => legacy(fields_of(bytes)?),
        [ty, fields @ ..] => typed(*ty, fields_of_known(*ty, fields)?),
    }
}

/// Decodes a transaction in the form of `eth_sendRawTransaction`: as in a block, or type 3 with
/// its sidecar of either version.
///
/// # Errors
/// As for [`decode_transaction`], and a sidecar that does not fit: numbers of blobs, commitments
/// and proofs, their sizes, and commitments against the versioned hashes.
pub fn decode_raw_transaction(bytes: &[u8]) -> Result<RawTransaction, TransactionFault> {
    match bytes {
        [0x03, wrapper @ ..] => {
            let mut items = fields_of(wrapper)?;
            match items.item().map_err(at("rlp"))? {
                Item { is_list: true, payload, .. } => with_sidecar(Items::of_payload(payload), items),
                _ => without_sidecar(bytes),
            }
        }
        [0x80..=0xbf, ..] => Err(TransactionFault::WrappedTyped),
        _ => without_sidecar(bytes),
    }
}

fn without_sidecar(bytes: &[u8]) -> Result<RawTransaction, TransactionFault> {
    decode_transaction(bytes).map(|transaction| RawTransaction { transaction, sidecar: None })
}

/// Decodes the item of a block's list of transactions: a list for a legacy transaction, a string
/// for a typed one.
pub(super) fn from_block_item(item: &Item<'_>) -> Result<Transaction, TransactionFault> {
    if item.is_list {
        return legacy(Items::of_payload(item.payload));
    }
    match item.payload {
        [0xc0..=0xff, ..] => Err(TransactionFault::WrappedLegacy),
        payload => decode_transaction(payload),
    }
}

type Fields<T> = Result<T, TransactionFault>;

fn at(field: &'static str) -> impl Fn(RlpFault) -> TransactionFault {
    move |fault| TransactionFault::Field { field, fault }
}

fn fields_of(bytes: &[u8]) -> Fields<Items<'_>> {
    Items::of_list(bytes).map_err(at("rlp"))
}

fn fields_of_known(ty: u8, bytes: &[u8]) -> Fields<Items<'_>> {
    match ty {
        1..=4 => fields_of(bytes),
        _ => Err(TransactionFault::UnknownType(ty)),
    }
}

fn legacy(mut fields: Items<'_>) -> Fields<Transaction> {
    let mut transaction = TxLegacy {
        chain_id: None,
        nonce: fields.u64().map_err(at("nonce"))?,
        gas_price: fields.u128().map_err(at("gasPrice"))?,
        gas_limit: fields.u64().map_err(at("gas"))?,
        to: recipient_or_create(&mut fields)?,
        value: fields.u256().map_err(at("value"))?,
        input: input(&mut fields)?,
    };
    let v = fields.u256().map_err(at("v"))?;
    let (odd_y, chain_id) = u128::try_from(v)
        .ok()
        .and_then(alloy_consensus::transaction::from_eip155_value)
        .ok_or(TransactionFault::LegacyV)?;
    transaction.chain_id = chain_id;
    let signature = scalars(fields, odd_y)?;
    Ok(EthereumTxEnvelope::Legacy(Signed::new_unhashed(transaction, signature)))
}

/// A signed transaction of a type. It is put into its variant by name: alloy's `From` works out the hash, with
/// scalar code, which is asked of [`Transactions`](super::Transactions) if at all.
fn typed(ty: u8, mut fields: Items<'_>) -> Fields<Transaction> {
    match ty {
        1 => {
            let transaction = access_list_transaction(&mut fields)?;
            Ok(EthereumTxEnvelope::Eip2930(Signed::new_unhashed(transaction, signature(fields)?)))
        }
        2 => {
            let transaction = dynamic_fee_transaction(&mut fields)?;
            Ok(EthereumTxEnvelope::Eip1559(Signed::new_unhashed(transaction, signature(fields)?)))
        }
        3 => {
            let transaction = blob_transaction(&mut fields)?;
            Ok(EthereumTxEnvelope::Eip4844(Signed::new_unhashed(transaction, signature(fields)?)))
        }
        4 => {
            let transaction = set_code_transaction(&mut fields)?;
            Ok(EthereumTxEnvelope::Eip7702(Signed::new_unhashed(transaction, signature(fields)?)))
        }
        _ => Err(TransactionFault::UnknownType(ty)),
    }
}

fn access_list_transaction(fields: &mut Items<'_>) -> Fields<TxEip2930> {
    Ok(TxEip2930 {
        chain_id: fields.u64().map_err(at("chainId"))?,
        nonce: fields.u64().map_err(at("nonce"))?,
        gas_price: fields.u128().map_err(at("gasPrice"))?,
        gas_limit: fields.u64().map_err(at("gas"))?,
        to: recipient_or_create(fields)?,
        value: fields.u256().map_err(at("value"))?,
        input: input(fields)?,
        access_list: access_list(fields)?,
    })
}

fn dynamic_fee_transaction(fields: &mut Items<'_>) -> Fields<TxEip1559> {
    Ok(TxEip1559 {
        chain_id: fields.u64().map_err(at("chainId"))?,
        nonce: fields.u64().map_err(at("nonce"))?,
        max_priority_fee_per_gas: fields.u128().map_err(at("maxPriorityFeePerGas"))?,
        max_fee_per_gas: fields.u128().map_err(at("maxFeePerGas"))?,
        gas_limit: fields.u64().map_err(at("gas"))?,
        to: recipient_or_create(fields)?,
        value: fields.u256().map_err(at("value"))?,
        input: input(fields)?,
        access_list: access_list(fields)?,
    })
}

fn blob_transaction(fields: &mut Items<'_>) -> Fields<TxEip4844> {
    Ok(TxEip4844 {
        chain_id: fields.u64().map_err(at("chainId"))?,
        nonce: fields.u64().map_err(at("nonce"))?,
        max_priority_fee_per_gas: fields.u128().map_err(at("maxPriorityFeePerGas"))?,
        max_fee_per_gas: fields.u128().map_err(at("maxFeePerGas"))?,
        gas_limit: fields.u64().map_err(at("gas"))?,
        to: recipient(fields, 3)?,
        value: fields.u256().map_err(at("value"))?,
        input: input(fields)?,
        access_list: access_list(fields)?,
        max_fee_per_blob_gas: fields.u128().map_err(at("maxFeePerBlobGas"))?,
        blob_versioned_hashes: hashes(fields, "blobVersionedHashes")?,
    })
}

fn set_code_transaction(fields: &mut Items<'_>) -> Fields<TxEip7702> {
    Ok(TxEip7702 {
        chain_id: fields.u64().map_err(at("chainId"))?,
        nonce: fields.u64().map_err(at("nonce"))?,
        max_priority_fee_per_gas: fields.u128().map_err(at("maxPriorityFeePerGas"))?,
        max_fee_per_gas: fields.u128().map_err(at("maxFeePerGas"))?,
        gas_limit: fields.u64().map_err(at("gas"))?,
        to: recipient(fields, 4)?,
        value: fields.u256().map_err(at("value"))?,
        input: input(fields)?,
        access_list: access_list(fields)?,
        authorization_list: authorization_list(fields)?,
    })
}

fn recipient_or_create(fields: &mut Items<'_>) -> Fields<TxKind> {
    let to = fields.address_or_empty().map_err(at("to"))?;
    Ok(to.map_or(TxKind::Create, TxKind::Call))
}

fn recipient(fields: &mut Items<'_>, ty: u8) -> Fields<Address> {
    let to = fields.address_or_empty().map_err(at("to"))?;
    to.ok_or(TransactionFault::ContractCreation(ty))
}

fn input(fields: &mut Items<'_>) -> Fields<Bytes> {
    fields.string().map(Bytes::copy_from_slice).map_err(at("input"))
}

fn hashes(fields: &mut Items<'_>, name: &'static str) -> Fields<Vec<B256>> {
    let mut list = fields.list().map_err(at(name))?;
    let mut hashes = Vec::new();
    while !list.is_empty() {
        hashes.push(list.hash().map_err(at(name))?);
    }
    Ok(hashes)
}

fn access_list(fields: &mut Items<'_>) -> Fields<AccessList> {
    let mut list = fields.list().map_err(at("accessList"))?;
    let mut entries = Vec::new();
    while !list.is_empty() {
        let mut entry = list.list().map_err(at("accessList"))?;
        let address = entry.address().map_err(at("accessList.address"))?;
        let storage_keys = hashes(&mut entry, "accessList.storageKeys")?;
        entry.end().map_err(at("accessList"))?;
        entries.push(AccessListItem { address, storage_keys });
    }
    Ok(AccessList(entries))
}

fn authorization_list(fields: &mut Items<'_>) -> Fields<Vec<SignedAuthorization>> {
    let mut list = fields.list().map_err(at("authorizationList"))?;
    let mut entries = Vec::new();
    while !list.is_empty() {
        let mut entry = list.list().map_err(at("authorizationList"))?;
        let authorization = Authorization {
            chain_id: entry.u256().map_err(at("authorizationList.chainId"))?,
            address: entry.address().map_err(at("authorizationList.address"))?,
            nonce: entry.u64().map_err(at("authorizationList.nonce"))?,
        };
        let y_parity = entry.u8().map_err(at("authorizationList.yParity"))?;
        let r = entry.u256().map_err(at("authorizationList.r"))?;
        let s = entry.u256().map_err(at("authorizationList.s"))?;
        entry.end().map_err(at("authorizationList"))?;
        entries.push(SignedAuthorization::new_unchecked(authorization, y_parity, r, s));
    }
    Ok(entries)
}

fn signature(mut fields: Items<'_>) -> Fields<Signature> {
    let odd_y = match fields.u256().map_err(at("yParity"))?.try_into() {
        Ok(0u8) => false,
        Ok(1u8) => true,
        _ => return Err(TransactionFault::Parity),
    };
    scalars(fields, odd_y)
}

fn scalars(mut fields: Items<'_>, odd_y: bool) -> Fields<Signature> {
    let r = fields.u256().map_err(at("r"))?;
    let s = fields.u256().map_err(at("s"))?;
    fields.end().map_err(at("rlp"))?;
    Ok(Signature::new(r, s, odd_y))
}

/// `body` is the transaction's list, `rest` what follows it in the wrapper.
fn with_sidecar(body: Items<'_>, mut rest: Items<'_>) -> Fields<RawTransaction> {
    let transaction = typed(3, body)?;
    let hashes = match &transaction {
        EthereumTxEnvelope::Eip4844(blob) => blob.tx().blob_versioned_hashes.as_slice(),
        _ => &[],
    };
    let (sidecar, mut blobs) = match rest.item().map_err(at("blobs"))? {
        Item { is_list: true, payload, .. } => (Sidecar::BlobProofs, Items::of_payload(payload)),
        Item { payload: [1], .. } => (Sidecar::CellProofs, rest.list().map_err(at("blobs"))?),
        _ => return Err(TransactionFault::Sidecar(SidecarFault::Version)),
    };
    let mut commitments = rest.list().map_err(at("commitments"))?;
    let mut proofs = rest.list().map_err(at("proofs"))?;
    rest.end().map_err(at("rlp"))?;

    let proofs_per_blob = match sidecar {
        Sidecar::BlobProofs => 1,
        Sidecar::CellProofs => CELL_PROOFS_PER_BLOB,
    };
    let blob_count = count_of_width::<BLOB_BYTES>(&mut blobs, "blobs")?;
    same_count("blobs", hashes.len(), blob_count)?;
    let mut commitment_count = 0;
    while !commitments.is_empty() {
        let commitment: [u8; COMMITMENT_BYTES] = commitments.fixed().map_err(at("commitments"))?;
        if hashes.get(commitment_count).is_some_and(|hash| kzg_to_versioned_hash(&commitment) != *hash) {
            let fault = SidecarFault::VersionedHash { index: commitment_count };
            return Err(TransactionFault::Sidecar(fault));
        }
        commitment_count += 1;
    }
    same_count("commitments", hashes.len(), commitment_count)?;
    let proof_count = count_of_width::<PROOF_BYTES>(&mut proofs, "proofs")?;
    same_count("proofs", hashes.len().saturating_mul(proofs_per_blob), proof_count)?;
    Ok(RawTransaction { transaction, sidecar: Some(sidecar) })
}

fn count_of_width<const BYTES: usize>(list: &mut Items<'_>, name: &'static str) -> Fields<usize> {
    let mut count = 0;
    while !list.is_empty() {
        let item = list.string().map_err(at(name))?;
        if item.len() != BYTES {
            return Err(at(name)(RlpFault::Width { expected: BYTES, got: item.len() }));
        }
        count += 1;
    }
    Ok(count)
}

fn same_count(what: &'static str, expected: usize, got: usize) -> Fields<()> {
    if got == expected {
        return Ok(());
    }
    Err(TransactionFault::Sidecar(SidecarFault::Count { what, expected, got }))
}
