//! Route: which lane a transaction is meant for, by its shape alone.
//!
//! Pure, and a proposal only: the transfer lane proves every condition against the state when the
//! transaction's turn comes, and hands back what it cannot take.

use crate::block::SignedTx;
use alloy_consensus::Transaction;
use alloy_primitives::Address;
use revm::primitives::hardfork::SpecId;

/// The lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Plain value transfers, by scan.
    Transfer,
    /// Everything else, by revm.
    Evm,
}

/// The lane for a transaction under the rules of `spec`; `has_code` answers whether an account held
/// code before the block.
///
/// Accounts are looked up only where calldata makes a contract call likely: a plain transfer has
/// none, and the few calls of contracts without calldata are found by the lane itself.
pub fn route(tx: &SignedTx, spec: SpecId, has_code: impl Fn(&Address) -> bool) -> Lane {
    // From Amsterdam on a transfer costs state gas and logs (EIP-2780, 7708, 7778, 8037).
    if spec.is_enabled_in(SpecId::AMSTERDAM) {
        return Lane::Evm;
    }
    match tx {
        SignedTx::Legacy(_) | SignedTx::Eip2930(_) | SignedTx::Eip1559(_) => {}
        SignedTx::Eip4844(_) | SignedTx::Eip7702(_) => return Lane::Evm,
    }
    match tx.to() {
        Some(to) if tx.input().is_empty() || !has_code(&to) => Lane::Transfer,
        _ => Lane::Evm,
    }
}
