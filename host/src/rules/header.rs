//! The header on its own, and against its parent.

use alloy_consensus::{
    Header,
    constants::{EMPTY_OMMER_ROOT_HASH, MAXIMUM_EXTRA_DATA_SIZE},
};
use alloy_eips::eip4844::DATA_GAS_PER_BLOB;
use alloy_primitives::B256;

use super::{
    Exception, InvalidBlock,
    difficulty::next_difficulty,
    fees::{next_base_fee, next_excess_blob_gas},
};
use crate::spec::{ChainSpec, DaoFork, Fork};

/// No block has less gas than this.
pub const MINIMUM_GAS_LIMIT: u64 = 5_000;
/// No block has more gas than this (EIP-1985).
pub const MAXIMUM_GAS_LIMIT: u64 = i64::MAX as u64;
/// What the first blocks after the DAO fork say (EIP-779).
const DAO_EXTRA_DATA: &[u8] = b"dao-hard-fork";
/// The gas limit moves by less than the parent's over this.
const GAS_LIMIT_BOUND_DIVISOR: u64 = 1_024;

/// Checks the header of a block whose parent is known: first that it follows the parent, then what
/// it must be under its own fork, then what the parent makes of it.
///
/// Not checked: the proof of work (the tests' chains have none, and what a validator feeds us has
/// passed its consensus), and whether the timestamp lies in the future.
///
/// # Errors
/// The first rule that is broken, in the order of the module's documentation.
pub fn check_header(
    spec: &ChainSpec,
    header: &Header,
    parent_hash: B256,
    parent: &Header,
) -> Result<(), InvalidBlock> {
    if header.parent_hash != parent_hash {
        return Err(unknown_parent(header));
    }
    if Some(header.number) != parent.number.checked_add(1) {
        let expected = u128::from(parent.number) + 1;
        return Err(InvalidBlock::differs(
            Exception::InvalidBlockNumber,
            u128::from(header.number),
            expected,
        ));
    }
    if header.timestamp <= parent.timestamp {
        let detail = format!("{}, the parent's is {}", header.timestamp, parent.timestamp);
        return Err(InvalidBlock::block(Exception::InvalidTimestamp, detail));
    }
    check_header_alone(spec, header)?;
    check_gas_limit(spec, header, parent)?;
    check_difficulty(spec, header, parent)?;
    check_prices(spec, header, parent)
}

/// The verdict on a block whose parent nobody knows.
pub fn unknown_parent(header: &Header) -> InvalidBlock {
    let exception =
        if header.parent_hash.is_zero() { Exception::UnknownParentZero } else { Exception::UnknownParent };
    InvalidBlock::block(exception, header.parent_hash.to_string())
}

/// Checks what a header must be under its fork, whatever its parent.
///
/// # Errors
/// The first rule that is broken.
pub fn check_header_alone(spec: &ChainSpec, header: &Header) -> Result<(), InvalidBlock> {
    let fork = spec.fork_of(header);
    check_fields(fork, header)?;
    check_extra_data(spec, header)?;
    if header.gas_limit > MAXIMUM_GAS_LIMIT {
        return Err(InvalidBlock::block(Exception::GasLimitTooBig, header.gas_limit.to_string()));
    }
    if header.gas_used > header.gas_limit {
        let detail = format!("{} of {}", header.gas_used, header.gas_limit);
        return Err(InvalidBlock::block(Exception::GasUsedAboveLimit, detail));
    }
    if fork >= Fork::Paris {
        check_proof_of_stake(header)?;
    }
    // The limit is checked with the transactions, who may be to blame.
    if let Some(used) = header.blob_gas_used.filter(|used| used % DATA_GAS_PER_BLOB != 0) {
        let detail = format!("{used} is not a multiple of {DATA_GAS_PER_BLOB}");
        return Err(InvalidBlock::block(Exception::IncorrectBlobGasUsed, detail));
    }
    Ok(())
}

/// Each optional field is present from its fork on, and not before.
fn check_fields(fork: Fork, header: &Header) -> Result<(), InvalidBlock> {
    use Exception::{
        IncorrectBlockFormat, LegacyHeader, LondonHeaderTooEarly, ParisHeaderOverShanghai,
        ShanghaiHeaderTooEarly,
    };
    let format = (IncorrectBlockFormat, IncorrectBlockFormat);
    let fields = [
        (
            "baseFeePerGas",
            Fork::London,
            header.base_fee_per_gas.is_some(),
            (LegacyHeader, LondonHeaderTooEarly),
        ),
        (
            "withdrawalsRoot",
            Fork::Shanghai,
            header.withdrawals_root.is_some(),
            (ParisHeaderOverShanghai, ShanghaiHeaderTooEarly),
        ),
        ("blobGasUsed", Fork::Cancun, header.blob_gas_used.is_some(), format),
        ("excessBlobGas", Fork::Cancun, header.excess_blob_gas.is_some(), format),
        ("parentBeaconBlockRoot", Fork::Cancun, header.parent_beacon_block_root.is_some(), format),
        ("requestsHash", Fork::Prague, header.requests_hash.is_some(), format),
        ("blockAccessListHash", Fork::Amsterdam, header.block_access_list_hash.is_some(), format),
        ("slotNumber", Fork::Amsterdam, header.slot_number.is_some(), format),
    ];
    for (name, since, is_present, (missing, unexpected)) in fields {
        match (fork >= since, is_present) {
            (true, false) => {
                return Err(InvalidBlock::block(missing, format!("{name} is missing in {fork}")));
            }
            (false, true) => {
                return Err(InvalidBlock::block(unexpected, format!("{name} is there in {fork}")));
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_extra_data(spec: &ChainSpec, header: &Header) -> Result<(), InvalidBlock> {
    let bytes = header.extra_data.len();
    if bytes > MAXIMUM_EXTRA_DATA_SIZE {
        return Err(InvalidBlock::block(Exception::ExtraDataTooBig, format!("{bytes} bytes")));
    }
    let Some(DaoFork { block, support }) = spec.dao() else { return Ok(()) };
    let is_marked_block = header.number.checked_sub(block).is_some_and(|n| n < DaoFork::MARKED_BLOCKS);
    if is_marked_block && (header.extra_data.as_ref() == DAO_EXTRA_DATA) != support {
        let detail = header.extra_data.to_string();
        return Err(InvalidBlock::block(Exception::ExtraDataInvalidDao, detail));
    }
    Ok(())
}

/// The constants of EIP-3675.
fn check_proof_of_stake(header: &Header) -> Result<(), InvalidBlock> {
    if !header.difficulty.is_zero() {
        let detail = header.difficulty.to_string();
        return Err(InvalidBlock::block(Exception::DifficultyOverParis, detail));
    }
    if header.ommers_hash != EMPTY_OMMER_ROOT_HASH {
        let detail = header.ommers_hash.to_string();
        return Err(InvalidBlock::block(Exception::UnclesOverParis, detail));
    }
    if !header.nonce.is_zero() {
        return Err(InvalidBlock::block(Exception::NonceOverParis, header.nonce.to_string()));
    }
    Ok(())
}

fn check_gas_limit(spec: &ChainSpec, header: &Header, parent: &Header) -> Result<(), InvalidBlock> {
    let is_london = spec.is_active(Fork::London, header.number, header.timestamp);
    let was_london = spec.is_active(Fork::London, parent.number, parent.timestamp);
    // EIP-1559 doubles the limit, to keep what is now the target where the limit was.
    let elasticity = if is_london && !was_london { 2 } else { 1 };
    let parent_limit = parent.gas_limit.saturating_mul(elasticity);
    let bound = parent_limit / GAS_LIMIT_BOUND_DIVISOR;
    let gas_limit = header.gas_limit;
    if gas_limit.abs_diff(parent_limit) >= bound || gas_limit < MINIMUM_GAS_LIMIT {
        let detail = format!("{gas_limit} after {parent_limit}");
        return Err(InvalidBlock::block(Exception::InvalidGasLimit, detail));
    }
    Ok(())
}

fn check_difficulty(spec: &ChainSpec, header: &Header, parent: &Header) -> Result<(), InvalidBlock> {
    let fork = spec.fork_of(header);
    if fork >= Fork::Paris {
        return Ok(());
    }
    if header.difficulty.is_zero() {
        return Err(InvalidBlock::block(Exception::ParisBeforeTerminalDifficulty, ""));
    }
    let expected = next_difficulty(fork, header.timestamp, parent);
    if header.difficulty != expected {
        return Err(InvalidBlock::differs(Exception::InvalidDifficulty, header.difficulty, expected));
    }
    Ok(())
}

/// Base fee and excess blob gas, each where the header's fork has it.
fn check_prices(spec: &ChainSpec, header: &Header, parent: &Header) -> Result<(), InvalidBlock> {
    if let Some(base_fee) = header.base_fee_per_gas {
        let parent_is_london = spec.is_active(Fork::London, parent.number, parent.timestamp);
        let expected = next_base_fee(parent, parent_is_london);
        if base_fee != expected {
            return Err(InvalidBlock::differs(Exception::InvalidBaseFeePerGas, base_fee, expected));
        }
    }
    if let (Some(excess), Some(params)) = (header.excess_blob_gas, spec.blob_params_at(header.timestamp)) {
        let expected = next_excess_blob_gas(parent, &params);
        if excess != expected {
            return Err(InvalidBlock::differs(Exception::IncorrectExcessBlobGas, excess, expected));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
