//! Blocks from a node's answer to `eth_getBlockByNumber` with full transactions.

use alloy_consensus::{
    EthereumTxEnvelope, Header, Sealed, Signed, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy,
};
use alloy_eips::{
    Encodable2718,
    eip2930::{AccessList, AccessListItem},
    eip4895::{Withdrawal, Withdrawals},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use alloy_rlp::{Encodable, length_of_length};
use serde::Deserialize;

use super::{
    block::{
        BLOCK_BYTES_MAX, DecodedBlock, EncodedTransactions, OMMERS_PER_BLOCK_MAX, Ommers, Stated,
        TRANSACTIONS_PER_BLOCK_MAX, WITHDRAWALS_PER_BLOCK_MAX,
    },
    error::{DecodeError, FieldFault, TransactionFault},
    json::{self, Row, Rows, Scalar},
    transaction::Transaction,
};

/// Most entries of an access list, storage keys of an entry, blob hashes, authorizations.
const LIST_ENTRIES_MAX: usize = 1 << 20;

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
    let header = Sealed::new(header(&raw)?);
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
    let encoded_transactions = encode_transactions(&transactions)?;
    let ommers = Ommers::HashesOnly(raw.uncles.unwrap_or_default().0.into_iter().map(|row| row.0).collect());
    let withdrawals = raw.withdrawals.map(|rows| {
        Withdrawals::new(rows.0.into_iter().map(|WithdrawalRow(withdrawal)| withdrawal).collect())
    });
    let rlp_len_bytes = match ommers.is_empty() {
        true => rlp_len_without_ommers(&header, &encoded_transactions, withdrawals.as_ref()),
        false => raw.size.optional("size", Scalar::quantity)?.unwrap_or(0),
    };
    let stated = Stated {
        hash: raw.hash.optional("hash", Scalar::hash)?,
        transaction_hashes: (hashes.len() == count).then_some(hashes),
        senders: (senders.len() == count).then_some(senders),
    };
    Ok(DecodedBlock {
        header,
        transactions,
        encoded_transactions,
        ommers,
        withdrawals,
        rlp_len_bytes,
        stated,
    })
}

fn encode_transactions(transactions: &[Transaction]) -> Result<EncodedTransactions, FieldFault> {
    let len_bytes = transactions.iter().map(Encodable2718::encode_2718_len).sum();
    if len_bytes > BLOCK_BYTES_MAX {
        return Err(FieldFault::new("transactions", format!("longer than {BLOCK_BYTES_MAX} bytes")));
    }
    let mut buffer = Vec::with_capacity(len_bytes);
    let spans = transactions
        .iter()
        .map(|transaction| {
            let start = buffer.len();
            transaction.encode_2718(&mut buffer);
            (start, buffer.len())
        })
        .collect();
    Ok(EncodedTransactions::new(Bytes::from(buffer), spans))
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
struct RawBlock<'a> {
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

fn header(raw: &RawBlock<'_>) -> Result<Header, FieldFault> {
    Ok(Header {
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

struct TransactionRow {
    transaction: Transaction,
    hash: Option<B256>,
    sender: Option<Address>,
}

impl Row for TransactionRow {
    type Raw<'de> = RawTransaction<'de>;
    const LIST: &'static str = "transactions";
    const COUNT_MAX: usize = TRANSACTIONS_PER_BLOCK_MAX;

    fn from_raw(raw: RawTransaction<'_>) -> Result<Self, FieldFault> {
        let hash = raw.hash.optional("hash", Scalar::hash)?;
        let sender = raw.from.optional("from", Scalar::address)?;
        Ok(Self { transaction: raw.convert()?, hash, sender })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a full transaction object")]
struct RawTransaction<'a> {
    #[serde(borrow, default, rename = "type")]
    ty: Scalar<'a>,
    #[serde(borrow, default)]
    hash: Scalar<'a>,
    #[serde(borrow, default)]
    from: Scalar<'a>,
    #[serde(borrow, default)]
    chain_id: Scalar<'a>,
    #[serde(borrow, default)]
    nonce: Scalar<'a>,
    #[serde(borrow, default)]
    gas_price: Scalar<'a>,
    #[serde(borrow, default)]
    max_fee_per_gas: Scalar<'a>,
    #[serde(borrow, default)]
    max_priority_fee_per_gas: Scalar<'a>,
    #[serde(borrow, default)]
    max_fee_per_blob_gas: Scalar<'a>,
    #[serde(borrow, default)]
    gas: Scalar<'a>,
    #[serde(borrow, default)]
    to: Scalar<'a>,
    #[serde(borrow, default)]
    value: Scalar<'a>,
    #[serde(borrow, default)]
    input: Scalar<'a>,
    #[serde(borrow, default)]
    v: Scalar<'a>,
    #[serde(borrow, default)]
    y_parity: Scalar<'a>,
    #[serde(borrow, default)]
    r: Scalar<'a>,
    #[serde(borrow, default)]
    s: Scalar<'a>,
    #[serde(default)]
    access_list: Option<Rows<AccessRow>>,
    #[serde(default)]
    blob_versioned_hashes: Option<Rows<BlobHash>>,
    #[serde(default)]
    authorization_list: Option<Rows<AuthorizationRow>>,
}

impl RawTransaction<'_> {
    fn convert(self) -> Result<Transaction, FieldFault> {
        // Nodes from before EIP-2718 do not say a type.
        match self.ty.optional("type", Scalar::quantity)?.unwrap_or(0u8) {
            0 => self.legacy(),
            1 => Ok(Signed::new_unhashed(self.access_list_transaction()?, self.signature()?).into()),
            2 => Ok(Signed::new_unhashed(self.dynamic_fee_transaction()?, self.signature()?).into()),
            3 => Ok(EthereumTxEnvelope::Eip4844(Signed::new_unhashed(
                self.blob_transaction()?,
                self.signature()?,
            ))),
            4 => Ok(Signed::new_unhashed(self.set_code_transaction()?, self.signature()?).into()),
            ty => Err(FieldFault::new("type", TransactionFault::UnknownType(ty))),
        }
    }

    fn legacy(&self) -> Result<Transaction, FieldFault> {
        let (odd_y, chain_id) = alloy_consensus::transaction::from_eip155_value(self.v.quantity("v")?)
            .ok_or_else(|| FieldFault::new("v", TransactionFault::LegacyV))?;
        if let Some(said) = self.chain_id.optional("chainId", Scalar::quantity::<u64>)?
            && chain_id.is_some_and(|signed| signed != said)
        {
            return Err(FieldFault::new("chainId", "not the one in v"));
        }
        let transaction = TxLegacy {
            chain_id,
            nonce: self.nonce.quantity("nonce")?,
            gas_price: self.gas_price.quantity("gasPrice")?,
            gas_limit: self.gas.quantity("gas")?,
            to: self.recipient_or_create()?,
            value: self.value.quantity("value")?,
            input: self.input.bytes("input")?,
        };
        let signature = Signature::new(self.r.quantity("r")?, self.s.quantity("s")?, odd_y);
        Ok(Signed::new_unhashed(transaction, signature).into())
    }

    fn access_list_transaction(&self) -> Result<TxEip2930, FieldFault> {
        Ok(TxEip2930 {
            chain_id: self.chain_id.quantity("chainId")?,
            nonce: self.nonce.quantity("nonce")?,
            gas_price: self.gas_price.quantity("gasPrice")?,
            gas_limit: self.gas.quantity("gas")?,
            to: self.recipient_or_create()?,
            value: self.value.quantity("value")?,
            access_list: self.access_list()?,
            input: self.input.bytes("input")?,
        })
    }

    fn dynamic_fee_transaction(&self) -> Result<TxEip1559, FieldFault> {
        Ok(TxEip1559 {
            chain_id: self.chain_id.quantity("chainId")?,
            nonce: self.nonce.quantity("nonce")?,
            gas_limit: self.gas.quantity("gas")?,
            max_fee_per_gas: self.max_fee_per_gas.quantity("maxFeePerGas")?,
            max_priority_fee_per_gas: self.max_priority_fee_per_gas.quantity("maxPriorityFeePerGas")?,
            to: self.recipient_or_create()?,
            value: self.value.quantity("value")?,
            access_list: self.access_list()?,
            input: self.input.bytes("input")?,
        })
    }

    fn blob_transaction(&self) -> Result<TxEip4844, FieldFault> {
        let hashes = self.blob_versioned_hashes.as_ref();
        let hashes = hashes.ok_or_else(|| FieldFault::new("blobVersionedHashes", "missing"))?;
        Ok(TxEip4844 {
            chain_id: self.chain_id.quantity("chainId")?,
            nonce: self.nonce.quantity("nonce")?,
            gas_limit: self.gas.quantity("gas")?,
            max_fee_per_gas: self.max_fee_per_gas.quantity("maxFeePerGas")?,
            max_priority_fee_per_gas: self.max_priority_fee_per_gas.quantity("maxPriorityFeePerGas")?,
            to: self.recipient(3)?,
            value: self.value.quantity("value")?,
            access_list: self.access_list()?,
            blob_versioned_hashes: hashes.0.iter().map(|hash| hash.0).collect(),
            max_fee_per_blob_gas: self.max_fee_per_blob_gas.quantity("maxFeePerBlobGas")?,
            input: self.input.bytes("input")?,
        })
    }

    fn set_code_transaction(&self) -> Result<TxEip7702, FieldFault> {
        let authorizations = self.authorization_list.as_ref();
        let authorizations = authorizations.ok_or_else(|| FieldFault::new("authorizationList", "missing"))?;
        Ok(TxEip7702 {
            chain_id: self.chain_id.quantity("chainId")?,
            nonce: self.nonce.quantity("nonce")?,
            gas_limit: self.gas.quantity("gas")?,
            max_fee_per_gas: self.max_fee_per_gas.quantity("maxFeePerGas")?,
            max_priority_fee_per_gas: self.max_priority_fee_per_gas.quantity("maxPriorityFeePerGas")?,
            to: self.recipient(4)?,
            value: self.value.quantity("value")?,
            access_list: self.access_list()?,
            authorization_list: authorizations.0.iter().map(|row| row.0.clone()).collect(),
            input: self.input.bytes("input")?,
        })
    }

    fn recipient_or_create(&self) -> Result<TxKind, FieldFault> {
        let to = self.to.optional("to", Scalar::address)?;
        Ok(to.map_or(TxKind::Create, TxKind::Call))
    }

    fn recipient(&self, ty: u8) -> Result<Address, FieldFault> {
        let to = self.to.optional("to", Scalar::address)?;
        to.ok_or_else(|| FieldFault::new("to", TransactionFault::ContractCreation(ty)))
    }

    fn access_list(&self) -> Result<AccessList, FieldFault> {
        let rows = self.access_list.as_ref().ok_or_else(|| FieldFault::new("accessList", "missing"))?;
        Ok(AccessList(rows.0.iter().map(|row| row.0.clone()).collect()))
    }

    /// A typed transaction's signature; nodes give its parity as `yParity`, as `v`, or as both.
    fn signature(&self) -> Result<Signature, FieldFault> {
        let (field, parity) = match self.y_parity.is_none() {
            true => ("v", &self.v),
            false => ("yParity", &self.y_parity),
        };
        let odd_y = match parity.quantity::<U256>(field)?.try_into() {
            Ok(0u8) => false,
            Ok(1u8) => true,
            _ => return Err(FieldFault::new(field, TransactionFault::Parity)),
        };
        if let Some(v) = self.v.optional("v", Scalar::quantity::<U256>)?
            && v != U256::from(odd_y)
        {
            return Err(FieldFault::new("v", "not yParity"));
        }
        Ok(Signature::new(self.r.quantity("r")?, self.s.quantity("s")?, odd_y))
    }
}

struct BlobHash(B256);

impl Row for BlobHash {
    type Raw<'de> = Scalar<'de>;
    const LIST: &'static str = "blobVersionedHashes";
    const COUNT_MAX: usize = LIST_ENTRIES_MAX;

    fn from_raw(raw: Scalar<'_>) -> Result<Self, FieldFault> {
        raw.hash("hash").map(Self)
    }
}

struct StorageKey(B256);

impl Row for StorageKey {
    type Raw<'de> = Scalar<'de>;
    const LIST: &'static str = "storageKeys";
    const COUNT_MAX: usize = LIST_ENTRIES_MAX;

    fn from_raw(raw: Scalar<'_>) -> Result<Self, FieldFault> {
        raw.hash("key").map(Self)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an access list entry")]
struct RawAccess<'a> {
    #[serde(borrow, default)]
    address: Scalar<'a>,
    #[serde(default)]
    storage_keys: Option<Rows<StorageKey>>,
}

struct AccessRow(AccessListItem);

impl Row for AccessRow {
    type Raw<'de> = RawAccess<'de>;
    const LIST: &'static str = "accessList";
    const COUNT_MAX: usize = LIST_ENTRIES_MAX;

    fn from_raw(raw: RawAccess<'_>) -> Result<Self, FieldFault> {
        let keys = raw.storage_keys.ok_or_else(|| FieldFault::new("storageKeys", "missing"))?;
        let storage_keys = keys.0.into_iter().map(|key| key.0).collect();
        Ok(Self(AccessListItem { address: raw.address.address("address")?, storage_keys }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an authorization object")]
struct RawAuthorization<'a> {
    #[serde(borrow, default)]
    chain_id: Scalar<'a>,
    #[serde(borrow, default)]
    address: Scalar<'a>,
    #[serde(borrow, default)]
    nonce: Scalar<'a>,
    #[serde(borrow, default)]
    y_parity: Scalar<'a>,
    #[serde(borrow, default)]
    r: Scalar<'a>,
    #[serde(borrow, default)]
    s: Scalar<'a>,
}

struct AuthorizationRow(SignedAuthorization);

impl Row for AuthorizationRow {
    type Raw<'de> = RawAuthorization<'de>;
    const LIST: &'static str = "authorizationList";
    const COUNT_MAX: usize = LIST_ENTRIES_MAX;

    fn from_raw(raw: RawAuthorization<'_>) -> Result<Self, FieldFault> {
        let authorization = Authorization {
            chain_id: raw.chain_id.quantity("chainId")?,
            address: raw.address.address("address")?,
            nonce: raw.nonce.quantity("nonce")?,
        };
        Ok(Self(SignedAuthorization::new_unchecked(
            authorization,
            raw.y_parity.quantity("yParity")?,
            raw.r.quantity("r")?,
            raw.s.quantity("s")?,
        )))
    }
}
