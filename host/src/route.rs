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

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{EthereumTypedTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
    use alloy_primitives::{Bytes, Signature, TxKind};

    const CONTRACT: Address = Address::repeat_byte(0xc0);
    const PERSON: Address = Address::repeat_byte(1);

    fn lane(tx: impl Into<EthereumTypedTransaction<TxEip4844>>, spec: SpecId) -> Lane {
        let tx = tx.into().into_envelope(Signature::test_signature());
        route(&tx, spec, |address| *address == CONTRACT)
    }

    fn legacy(to: impl Into<TxKind>, input: &'static [u8]) -> TxLegacy {
        TxLegacy { to: to.into(), input: Bytes::from_static(input), ..TxLegacy::default() }
    }

    #[test]
    fn value_to_a_person_is_a_transfer_with_or_without_a_message() {
        for input in [&[][..], &[1, 2, 3]] {
            assert_eq!(lane(legacy(PERSON, input), SpecId::PRAGUE), Lane::Transfer);
        }
        let to = TxKind::Call(PERSON);
        assert_eq!(lane(TxEip2930 { to, ..Default::default() }, SpecId::BERLIN), Lane::Transfer);
        assert_eq!(lane(TxEip1559 { to, ..Default::default() }, SpecId::LONDON), Lane::Transfer);
    }

    #[test]
    fn calls_creations_blobs_and_delegations_are_for_revm() {
        assert_eq!(lane(legacy(CONTRACT, &[1]), SpecId::PRAGUE), Lane::Evm);
        assert_eq!(lane(legacy(TxKind::Create, &[]), SpecId::PRAGUE), Lane::Evm);
        assert_eq!(lane(TxEip4844 { to: PERSON, ..Default::default() }, SpecId::PRAGUE), Lane::Evm);
        assert_eq!(lane(TxEip7702 { to: PERSON, ..Default::default() }, SpecId::PRAGUE), Lane::Evm);
    }

    #[test]
    fn amsterdam_has_no_transfer_lane() {
        assert_eq!(lane(legacy(PERSON, &[]), SpecId::AMSTERDAM), Lane::Evm);
    }
}
