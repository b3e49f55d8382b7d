//! Genesis files as geth reads them: fork schedule, header fields, accounts.
//!
//! Fields and forks become alloy-genesis's types; the accounts, which can be millions, are read by our own bounded
//! reader, because alloy's keeps each as a map entry with options and does not say where a fault is.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_genesis::ChainConfig;
use alloy_primitives::{Address, B64, B256, keccak256};
use serde::Deserialize;
use serde_json::Value;

use std::path::Path;

use super::{
    case::PrestateAccount,
    error::{FieldFault, IngestError, IngestFault},
    files::{self, JSON_FILE_BYTES_MAX},
    json::{self, BoundedValue, Scalar},
    prestate::Accounts,
};
use crate::spec::{ChainSpec, Fork};

/// Base fee of a London genesis that does not say one, in wei (EIP-1559).
const INITIAL_BASE_FEE: u64 = 1_000_000_000;

/// What a genesis file says.
#[derive(Debug, Clone)]
pub struct Genesis {
    /// The rules of the chain. The merge is [unresolved](ChainSpec::unresolved_merge) where it lies ahead.
    pub spec: ChainSpec,
    /// Block 0, its state root zero: that follows from the accounts.
    pub header: Header,
    /// The accounts, by ascending address, none twice.
    pub accounts: Vec<(Address, PrestateAccount)>,
}

/// Ethereum mainnet's genesis file, which the program carries with it.
static MAINNET: &[u8] = include_bytes!("../../../fixtures/mainnet/genesis/genesis.json.gz");

/// Ethereum mainnet's genesis: 8,893 accounts, the presale of 2014.
///
/// # Panics
/// Never: the file is a constant, and a test reads it.
pub fn mainnet_genesis() -> Genesis {
    let json = files::gunzip(MAINNET, JSON_FILE_BYTES_MAX).expect("the file is a constant");
    parse(&json).expect("the file is a constant")
}

/// Reads a genesis file, plain or gzip.
///
/// # Errors
/// What is wrong, with the file and the field.
pub fn read_genesis(path: &Path) -> Result<Genesis, IngestError> {
    files::read(path, JSON_FILE_BYTES_MAX)
        .and_then(|json| parse(&json))
        .map_err(|fault| IngestError::new(path, "", fault))
}

/// Parses what a genesis file says of the rules alone; whatever accounts there are are passed over.
///
/// # Errors
/// What is wrong, with the field.
pub(super) fn parse_rules(json: &[u8]) -> Result<ChainSpec, IngestFault> {
    #[derive(Deserialize)]
    #[serde(expecting = "a genesis object")]
    struct Rules<'a> {
        #[serde(default)]
        config: Option<BoundedValue>,
        #[serde(borrow, default)]
        difficulty: Scalar<'a>,
    }
    let raw: Rules<'_> = json::from_slice(json).map_err(IngestFault::Json)?;
    let Some(BoundedValue(config)) = raw.config else {
        return Err(FieldFault::new("config", "missing").into());
    };
    let config = chain_config(config)?;
    let difficulty = raw.difficulty.number("difficulty")?;
    let genesis = alloy_genesis::Genesis { config, difficulty, ..alloy_genesis::Genesis::default() };
    Ok(ChainSpec::from_genesis(&genesis)?)
}

/// Parses a genesis file.
///
/// # Errors
/// What is wrong, with the field.
pub(super) fn parse(json: &[u8]) -> Result<Genesis, IngestFault> {
    let raw: RawGenesis<'_> = json::from_slice(json).map_err(IngestFault::Json)?;
    let config = match raw.config {
        Some(BoundedValue(config)) => chain_config(config)?,
        None => return Err(FieldFault::new("config", "missing").into()),
    };
    let Some(Accounts(accounts)) = raw.alloc else {
        return Err(FieldFault::new("alloc", "missing").into());
    };
    let genesis = alloy_genesis::Genesis {
        config,
        nonce: raw.nonce.optional("nonce", Scalar::number)?.unwrap_or(0),
        timestamp: raw.timestamp.optional("timestamp", Scalar::number)?.unwrap_or(0),
        extra_data: raw.extra_data.optional("extraData", Scalar::bytes)?.unwrap_or_default(),
        gas_limit: raw.gas_limit.number("gasLimit")?,
        difficulty: raw.difficulty.number("difficulty")?,
        mix_hash: raw.mix_hash.optional("mixHash", Scalar::hash)?.unwrap_or_default(),
        coinbase: raw.coinbase.optional("coinbase", Scalar::address)?.unwrap_or_default(),
        base_fee_per_gas: raw
            .base_fee_per_gas
            .optional("baseFeePerGas", Scalar::number::<u64>)?
            .map(u128::from),
        excess_blob_gas: raw.excess_blob_gas.optional("excessBlobGas", Scalar::number)?,
        blob_gas_used: raw.blob_gas_used.optional("blobGasUsed", Scalar::number)?,
        slot_number: raw.slot_number.optional("slotNumber", Scalar::number)?,
        number: raw.number.optional("number", Scalar::number)?,
        parent_hash: raw.parent_hash.optional("parentHash", Scalar::hash)?,
        ..alloy_genesis::Genesis::default()
    };
    let spec = ChainSpec::from_genesis(&genesis)?;
    let gas_used = raw.gas_used.optional("gasUsed", Scalar::number)?.unwrap_or(0);
    let header = header(&spec, &genesis, gas_used);
    Ok(Genesis { spec, header, accounts })
}

/// alloy's errors do not say which field they are about, and all fields have defaults: so the
/// field that fails alone is the one.
fn chain_config(config: Value) -> Result<ChainConfig, FieldFault> {
    let fault_of_one = |(name, value): (String, Value)| {
        let alone = Value::Object([(name.clone(), value)].into_iter().collect());
        let error = ChainConfig::deserialize(alone).err()?;
        Some(FieldFault::new(format!("config.{name}"), error))
    };
    ChainConfig::deserialize(&config).map_err(|error| {
        let fields = match config {
            Value::Object(fields) => fields,
            _ => return FieldFault::new("config", "not an object"),
        };
        fields.into_iter().find_map(fault_of_one).unwrap_or_else(|| FieldFault::new("config", error))
    })
}

/// Block 0 as geth makes it: fields that a fork added are there if the fork is active at genesis.
fn header(spec: &ChainSpec, genesis: &alloy_genesis::Genesis, gas_used: u64) -> Header {
    let number = genesis.number.unwrap_or(0);
    let active = |fork| spec.is_active(fork, number, genesis.timestamp);
    let base_fee = genesis.base_fee_per_gas.and_then(|fee| u64::try_from(fee).ok());
    Header {
        parent_hash: genesis.parent_hash.unwrap_or_default(),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: genesis.coinbase,
        state_root: B256::ZERO,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: genesis.difficulty,
        number,
        gas_limit: genesis.gas_limit,
        gas_used,
        timestamp: genesis.timestamp,
        extra_data: genesis.extra_data.clone(),
        mix_hash: genesis.mix_hash,
        nonce: B64::from(genesis.nonce),
        base_fee_per_gas: active(Fork::London).then(|| base_fee.unwrap_or(INITIAL_BASE_FEE)),
        withdrawals_root: active(Fork::Shanghai).then_some(EMPTY_ROOT_HASH),
        blob_gas_used: active(Fork::Cancun).then(|| genesis.blob_gas_used.unwrap_or(0)),
        excess_blob_gas: active(Fork::Cancun).then(|| genesis.excess_blob_gas.unwrap_or(0)),
        parent_beacon_block_root: active(Fork::Cancun).then_some(B256::ZERO),
        requests_hash: active(Fork::Prague).then_some(EMPTY_REQUESTS_HASH),
        // The hash of an empty access list (EIP-7928).
        block_access_list_hash: active(Fork::Amsterdam).then(|| keccak256([alloy_rlp::EMPTY_LIST_CODE])),
        slot_number: active(Fork::Amsterdam).then(|| genesis.slot_number.unwrap_or(0)),
        ..Header::default()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a genesis object")]
struct RawGenesis<'a> {
    #[serde(default)]
    config: Option<BoundedValue>,
    #[serde(borrow, default)]
    nonce: Scalar<'a>,
    #[serde(borrow, default)]
    timestamp: Scalar<'a>,
    #[serde(borrow, default)]
    extra_data: Scalar<'a>,
    #[serde(borrow, default)]
    gas_limit: Scalar<'a>,
    #[serde(borrow, default)]
    gas_used: Scalar<'a>,
    #[serde(borrow, default)]
    difficulty: Scalar<'a>,
    /// geth itself accepts both spellings.
    #[serde(borrow, default, alias = "mixhash")]
    mix_hash: Scalar<'a>,
    #[serde(borrow, default)]
    coinbase: Scalar<'a>,
    #[serde(default)]
    alloc: Option<Accounts>,
    #[serde(borrow, default)]
    base_fee_per_gas: Scalar<'a>,
    #[serde(borrow, default)]
    excess_blob_gas: Scalar<'a>,
    #[serde(borrow, default)]
    blob_gas_used: Scalar<'a>,
    #[serde(borrow, default)]
    slot_number: Scalar<'a>,
    #[serde(borrow, default)]
    number: Scalar<'a>,
    #[serde(borrow, default)]
    parent_hash: Scalar<'a>,
}
