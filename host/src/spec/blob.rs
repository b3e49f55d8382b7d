//! Blob parameters over time (EIP-4844, EIP-7691, EIP-7840, EIP-7892).

use alloy_eips::{
    eip4844::DATA_GAS_PER_BLOB,
    eip7594::MAX_BLOBS_PER_TX_FUSAKA,
    eip7840::{BLOB_BASE_COST, BlobParams},
};

use super::{Fork, SpecError};

/// The three numbers of a blob schedule's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobLimits {
    /// Blobs in a block at which the fee stays as it is.
    pub target: u64,
    /// Most blobs that a block may have.
    pub max: u64,
    /// How slowly the blob base fee follows the excess (`baseFeeUpdateFraction`).
    pub update_fraction: u128,
}

impl From<BlobParams> for BlobLimits {
    fn from(params: BlobParams) -> Self {
        Self {
            target: params.target_blob_count,
            max: params.max_blob_count,
            update_fraction: params.update_fraction,
        }
    }
}

impl BlobLimits {
    /// Most blobs in a block that any schedule may ask for; it keeps blob gas far from overflow.
    const MAX_LIMIT: u64 = u32::MAX as u64;

    /// The limits with what the rules of `fork` add to them.
    pub(super) fn params_under(self, fork: Fork) -> Result<BlobParams, SpecError> {
        let Self { target, max, update_fraction } = self;
        if max == 0 || max > Self::MAX_LIMIT || target > max || update_fraction == 0 {
            return Err(SpecError::BadBlobParams { fork, target, max, fraction: update_fraction });
        }
        let is_osaka = fork >= Fork::Osaka;
        Ok(BlobParams {
            target_blob_count: target,
            max_blob_count: max,
            update_fraction,
            min_blob_fee: 1,
            // EIP-7594 limits a transaction apart from its block.
            max_blobs_per_tx: if is_osaka { MAX_BLOBS_PER_TX_FUSAKA } else { max },
            // EIP-7918 ties the blob fee to the price of execution.
            blob_base_cost: if is_osaka { BLOB_BASE_COST } else { 0 },
        })
    }
}

/// The limits that mainnet gave `fork`, for schedules that leave them out.
pub(super) fn mainnet_limits(fork: Fork) -> Option<BlobLimits> {
    match fork {
        Fork::Cancun => Some(BlobParams::cancun().into()),
        Fork::Prague => Some(BlobParams::prague().into()),
        Fork::Osaka => Some(BlobParams::osaka().into()),
        Fork::Bpo1 => Some(BlobParams::bpo1().into()),
        Fork::Bpo2 => Some(BlobParams::bpo2().into()),
        _ => None,
    }
}

// The largest limit that passes cannot overflow the sums of blob gas made from it.
const _: () = assert!(BlobLimits::MAX_LIMIT < u64::MAX / DATA_GAS_PER_BLOB / 2);
