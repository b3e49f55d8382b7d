//! The genesis of a generated chain: geth's file, and the block that it describes.

use crate::{
    spec::{ChainSpec, Fork},
    state::{Completeness, World},
};
use alloy_consensus::{Header, constants::EMPTY_WITHDRAWALS};
use alloy_eips::{
    eip1559::INITIAL_BASE_FEE, eip2935, eip4788, eip7002, eip7251, eip7685::EMPTY_REQUESTS_HASH,
    eip7840::BlobParams,
};
use alloy_genesis::{ChainConfig, Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, U256};

/// Chain id of generated chains: the one geth gives to development networks.
pub const CHAIN_ID: u64 = 1337;

/// When generated chains begin; their blocks follow every 12 seconds.
const GENESIS_TIMESTAMP: u64 = 1_750_000_000;

/// The genesis file of a proof-of-stake chain under Prague's rules from the beginning, with the
/// system contracts and `accounts`.
///
/// Prague, because Osaka limits a block to 8 MiB (EIP-7934), which 100,000 transactions do not
/// fit into, and a transaction's gas to 2^24 (EIP-7825).
pub(super) fn prague_genesis(
    gas_limit: u64,
    accounts: impl IntoIterator<Item = (Address, GenesisAccount)>,
) -> Genesis {
    let config = ChainConfig {
        chain_id: CHAIN_ID,
        homestead_block: Some(0),
        eip150_block: Some(0),
        eip155_block: Some(0),
        eip158_block: Some(0),
        byzantium_block: Some(0),
        constantinople_block: Some(0),
        petersburg_block: Some(0),
        istanbul_block: Some(0),
        muir_glacier_block: Some(0),
        berlin_block: Some(0),
        london_block: Some(0),
        arrow_glacier_block: Some(0),
        gray_glacier_block: Some(0),
        merge_netsplit_block: Some(0),
        shanghai_time: Some(0),
        cancun_time: Some(0),
        prague_time: Some(0),
        terminal_total_difficulty: Some(U256::ZERO),
        terminal_total_difficulty_passed: true,
        blob_schedule: [
            ("cancun".to_owned(), BlobParams::cancun()),
            ("prague".to_owned(), BlobParams::prague()),
        ]
        .into(),
        ..ChainConfig::default()
    };
    let base_fee = Some(u128::from(INITIAL_BASE_FEE));
    Genesis { config, timestamp: GENESIS_TIMESTAMP, gas_limit, ..Genesis::default() }
        .with_extra_data(b"outrider generate".into())
        .with_base_fee(base_fee)
        .extend_accounts(system_contracts())
        .extend_accounts(accounts)
}

/// The contracts that the rules up to Prague call at the edges of a block.
fn system_contracts() -> impl Iterator<Item = (Address, GenesisAccount)> {
    [
        (eip4788::BEACON_ROOTS_ADDRESS, &eip4788::BEACON_ROOTS_CODE),
        (eip2935::HISTORY_STORAGE_ADDRESS, &eip2935::HISTORY_STORAGE_CODE),
        (eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, &eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE),
        (eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, &eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE),
    ]
    .into_iter()
    .map(|(address, code)| {
        (address, GenesisAccount::default().with_nonce(Some(1)).with_code(Some(code.clone())))
    })
}

/// The state that a genesis file describes.
pub(super) fn genesis_world(genesis: &Genesis) -> World {
    let mut world = World::with_capacity(Completeness::Whole, genesis.alloc.len());
    for (address, account) in &genesis.alloc {
        world.insert(
            *address,
            account.balance,
            account.nonce.unwrap_or_default(),
            account.code.clone().unwrap_or_default(),
            account.storage_slots().map(|(slot, value)| (slot.into(), value)),
        );
    }
    world
}

/// The header of the genesis block, whose state has the root `state_root`.
pub(super) fn genesis_header(genesis: &Genesis, spec: &ChainSpec, state_root: B256) -> Header {
    let number = genesis.number.unwrap_or_default();
    let active = |fork| spec.is_active(fork, number, genesis.timestamp);
    let base_fee = genesis.base_fee_per_gas.and_then(|fee| u64::try_from(fee).ok());
    Header {
        state_root,
        number,
        parent_hash: genesis.parent_hash.unwrap_or_default(),
        beneficiary: genesis.coinbase,
        difficulty: genesis.difficulty,
        gas_limit: genesis.gas_limit,
        timestamp: genesis.timestamp,
        extra_data: genesis.extra_data.clone(),
        mix_hash: genesis.mix_hash,
        nonce: genesis.nonce.into(),
        base_fee_per_gas: active(Fork::London).then(|| base_fee.unwrap_or(INITIAL_BASE_FEE)),
        withdrawals_root: active(Fork::Shanghai).then_some(EMPTY_WITHDRAWALS),
        blob_gas_used: active(Fork::Cancun).then(|| genesis.blob_gas_used.unwrap_or_default()),
        excess_blob_gas: active(Fork::Cancun).then(|| genesis.excess_blob_gas.unwrap_or_default()),
        parent_beacon_block_root: active(Fork::Cancun).then_some(B256::ZERO),
        requests_hash: active(Fork::Prague).then_some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}
