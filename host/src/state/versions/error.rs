//! What versions cannot give or take.

use crate::state::StateKey;
use alloy_primitives::B256;

/// Why a version cannot be had or kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// No block of that hash was inserted, or it is too far back by now, or on a branch that was dropped.
    #[error("the state after block {0} is not held")]
    OutOfReach(B256),
    /// The oldest version cannot be taken back.
    #[error("block {0} is the oldest that is held")]
    Oldest(B256),
    /// The block is held already, and changed something else when it was executed before.
    #[error("block {0} changed something else before")]
    Differs(B256),
    /// There are twice as many versions as allowed, because a state is being read that should have been dropped.
    #[error("block {0} does not fit: older states are still being read")]
    Full(B256),
}

/// Why a value cannot be taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SupplyError {
    /// The version it belongs to cannot be had.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// Another value is known of that key.
    #[error("{0} has another value already")]
    Conflict(StateKey),
    /// The state is not one that is supplied, and does not know the key.
    #[error("{0} cannot be supplied to a state that was loaded")]
    Loaded(StateKey),
    /// More keys were supplied than may be held.
    #[error("{0} does not fit: too many keys are held")]
    Full(StateKey),
}
