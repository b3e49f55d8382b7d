//! What a block's prices follow from: base fee and excess blob gas.
//!
//! alloy has both formulas, but they assume headers that have been checked. These take any parent,
//! for the first header of a chain is whatever its genesis file says.

use alloy_consensus::Header;
use alloy_eips::{
    eip1559::{DEFAULT_BASE_FEE_MAX_CHANGE_DENOMINATOR, DEFAULT_ELASTICITY_MULTIPLIER, INITIAL_BASE_FEE},
    eip4844::DATA_GAS_PER_BLOB,
    eip7840::BlobParams,
};
use alloy_primitives::U256;

/// The base fee of the block after `parent` (EIP-1559). `parent_is_london` says whether the
/// parent's fork has a base fee; the first block that has one starts at 1 gwei.
pub fn next_base_fee(parent: &Header, parent_is_london: bool) -> u64 {
    let (true, Some(base_fee)) = (parent_is_london, parent.base_fee_per_gas) else {
        return INITIAL_BASE_FEE;
    };
    let target = u128::from(parent.gas_limit / DEFAULT_ELASTICITY_MULTIPLIER);
    let used = u128::from(parent.gas_used);
    if target == 0 {
        return base_fee;
    }
    let share = |gas: u128| {
        // Below 2^128: both factors are below 2^64.
        let delta = u128::from(base_fee) * gas / target / u128::from(DEFAULT_BASE_FEE_MAX_CHANGE_DENOMINATOR);
        u64::try_from(delta).unwrap_or(u64::MAX)
    };
    match used.checked_sub(target) {
        Some(0) => base_fee,
        Some(over) => base_fee.saturating_add(share(over).max(1)),
        None => base_fee.saturating_sub(share(target - used)),
    }
}

/// The excess blob gas of a block under `params` after `parent` (EIP-4844; EIP-7918 where the
/// parameters have a base cost, that is from Osaka on).
///
/// At a change of parameters those of the child hold, for the target as for the parent's blob
/// price; a parent before Cancun counts as one without blobs.
pub fn next_excess_blob_gas(parent: &Header, params: &BlobParams) -> u64 {
    let excess = parent.excess_blob_gas.unwrap_or(0);
    let used = parent.blob_gas_used.unwrap_or(0);
    let total = excess.saturating_add(used);
    let target = params.target_blob_gas_per_block();
    if total < target {
        return 0;
    }
    if params.blob_base_cost != 0 {
        let reserve = U256::from(params.blob_base_cost) * U256::from(parent.base_fee_per_gas.unwrap_or(0));
        let blob_price = U256::from(DATA_GAS_PER_BLOB) * U256::from(params.calc_blob_fee(excess));
        if reserve > blob_price {
            let spare = params.max_blob_count - params.target_blob_count;
            let scaled = u128::from(used) * u128::from(spare) / u128::from(params.max_blob_count);
            // At most `used`, because the spare blobs are at most the maximum.
            return excess.saturating_add(u64::try_from(scaled).unwrap_or(u64::MAX));
        }
    }
    total - target
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_eips::eip1559::BaseFeeParams;

    fn parent(base_fee: u64, gas_limit: u64, gas_used: u64) -> Header {
        Header { base_fee_per_gas: Some(base_fee), gas_limit, gas_used, ..Header::default() }
    }

    #[test]
    fn base_fee_equals_alloys_around_the_target() {
        for base_fee in [0, 1, 7, 8, 1_000_000_000, 25_000_000_000_000] {
            for gas_limit in [5_000, 5_001, 30_000_000, 36_000_001] {
                let target = gas_limit / 2;
                for gas_used in [0, 1, target - 1, target, target + 1, gas_limit - 1, gas_limit] {
                    let parent = parent(base_fee, gas_limit, gas_used);
                    assert_eq!(
                        Some(next_base_fee(&parent, true)),
                        parent.next_block_base_fee(BaseFeeParams::ethereum()),
                        "{base_fee} {gas_limit} {gas_used}"
                    );
                }
            }
        }
    }

    /// From EIP-1559's own rules: 12.5 % at most, and at least 1 when the target is exceeded.
    #[test]
    fn base_fee_has_its_known_values() {
        assert_eq!(next_base_fee(&parent(1_000_000_000, 20_000_000, 10_000_000), true), 1_000_000_000);
        assert_eq!(next_base_fee(&parent(1_000_000_000, 20_000_000, 9_000_000), true), 987_500_000);
        assert_eq!(next_base_fee(&parent(1_000_000_000, 20_000_000, 11_000_000), true), 1_012_500_000);
        assert_eq!(next_base_fee(&parent(1, 20_000_000, 20_000_000), true), 2);
        assert_eq!(next_base_fee(&parent(5, 20_000_000, 0), true), 5);
        assert_eq!(next_base_fee(&Header::default(), false), 1_000_000_000);
    }

    #[test]
    fn base_fee_survives_absurd_parents() {
        for gas_limit in [0, 1, 2, u64::MAX] {
            for gas_used in [0, 1, u64::MAX] {
                for base_fee in [0, u64::MAX] {
                    let _ = next_base_fee(&parent(base_fee, gas_limit, gas_used), true);
                }
            }
        }
        assert_eq!(next_base_fee(&parent(u64::MAX, 2, u64::MAX), true), u64::MAX);
    }

    fn blob_parent(excess: u64, used: u64, base_fee: u64) -> Header {
        Header {
            excess_blob_gas: Some(excess),
            blob_gas_used: Some(used),
            base_fee_per_gas: Some(base_fee),
            ..Header::default()
        }
    }

    #[test]
    fn excess_equals_alloys_for_every_schedule() {
        let schedules = [
            BlobParams::cancun(),
            BlobParams::prague(),
            BlobParams::osaka(),
            BlobParams::bpo1(),
            BlobParams::bpo2(),
        ];
        for params in schedules {
            for excess in [0, 1, 393_216, 786_432, 10_000_000, 60_000_000] {
                for blobs in 0..=params.max_blob_count {
                    for base_fee in [1, 7, 1_000_000_000, 100_000_000_000] {
                        let parent = blob_parent(excess, blobs * DATA_GAS_PER_BLOB, base_fee);
                        assert_eq!(
                            Some(next_excess_blob_gas(&parent, &params)),
                            parent.next_block_excess_blob_gas(params)
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_reserve_price_slows_the_fall_of_the_excess() {
        // Six blobs at target six: EIP-4844 leaves the excess, EIP-7918 lets it grow by a third.
        let parent = blob_parent(DATA_GAS_PER_BLOB, 6 * DATA_GAS_PER_BLOB, 1_000_000_000);
        assert_eq!(next_excess_blob_gas(&parent, &BlobParams::prague()), DATA_GAS_PER_BLOB);
        assert_eq!(next_excess_blob_gas(&parent, &BlobParams::osaka()), 3 * DATA_GAS_PER_BLOB);
    }

    #[test]
    fn the_first_blob_block_starts_without_excess() {
        assert_eq!(next_excess_blob_gas(&Header::default(), &BlobParams::cancun()), 0);
    }

    #[test]
    fn excess_survives_absurd_parents() {
        let parent = blob_parent(u64::MAX, u64::MAX, u64::MAX);
        for params in [BlobParams::cancun(), BlobParams::bpo2()] {
            assert!(next_excess_blob_gas(&parent, &params) > 0);
        }
    }
}
