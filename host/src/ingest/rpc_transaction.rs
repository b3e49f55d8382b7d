//! Transactions as JSON objects, as nodes give them within a block.

use alloy_consensus::{EthereumTxEnvelope, Signed, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Signature, TxKind, U256};
use serde::Deserialize;

use super::{
    block::TRANSACTIONS_PER_BLOCK_MAX,
    error::{FieldFault, TransactionFault},
    json::{Row, Rows, Scalar},
    transaction::Transaction,
};

/// Most entries of an access list, storage keys of an entry, blob hashes, authorizations.
const LIST_ENTRIES_MAX: usize = 1 << 20;

/// A transaction with what its object states besides: hash and sender.
pub(super) struct TransactionRow {
    pub(super) transaction: Transaction,
    pub(super) hash: Option<B256>,
    pub(super) sender: Option<Address>,
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
pub(super) struct RawTransaction<'a> {
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
