//! What a transaction must be in its block, whatever the state.

use alloy_consensus::{Header, Transaction, Typed2718};
use alloy_eips::{eip4844::VERSIONED_HASH_VERSION_KZG, eip7825::MAX_TX_GAS_LIMIT_OSAKA, eip7840::BlobParams};
use revm::{
    context_interface::cfg::gas_params::GasParams,
    primitives::{eip3860, eip7954},
};

use super::{Exception, InvalidBlock};
use crate::spec::{ChainSpec, Fork};

/// The rules that every transaction of one block must obey, as far as neither the state nor the
/// other transactions matter. Made once for a block.
///
/// revm checks the same when it executes. These rules are for whoever does not execute through
/// revm, for what revm leaves to its caller (EIP-155 before Spurious Dragon), and for saying of a
/// whole block which transaction is at fault before any is executed.
#[derive(Debug, Clone)]
pub struct TransactionRules {
    fork: Fork,
    chain_id: u64,
    base_fee: u64,
    block_gas_limit: u64,
    blobs: Option<(BlobParams, u128)>,
    gas_params: GasParams,
}

impl TransactionRules {
    /// The rules of the block of `header`.
    pub fn new(spec: &ChainSpec, header: &Header) -> Self {
        let fork = spec.fork_of(header);
        let blobs = spec
            .blob_params_at(header.timestamp)
            .map(|params| (params, params.calc_blob_fee(header.excess_blob_gas.unwrap_or(0))));
        Self {
            fork,
            chain_id: spec.chain_id(),
            base_fee: header.base_fee_per_gas.unwrap_or(0),
            block_gas_limit: header.gas_limit,
            blobs,
            gas_params: GasParams::new_spec(fork.spec_id()),
        }
    }

    /// Checks one transaction.
    ///
    /// # Errors
    /// The first rule that is broken: type, chain id, gas limit of a transaction, fees, blobs,
    /// authorizations, gas limit of the block, initcode, nonce, intrinsic gas.
    pub fn check<T: Transaction + Typed2718>(&self, transaction: &T) -> Result<(), Exception> {
        check_form(self.fork, transaction)?;
        self.check_chain_id(transaction)?;
        if self.fork >= Fork::Osaka
            && self.fork < Fork::Amsterdam
            && transaction.gas_limit() > MAX_TX_GAS_LIMIT_OSAKA
        {
            return Err(Exception::GasLimitExceedsMaximum);
        }
        self.check_fees(transaction)?;
        self.check_blobs(transaction)?;
        if transaction.authorization_list().is_some_and(<[_]>::is_empty) {
            return Err(Exception::SetCodeTxEmptyAuthorizationList);
        }
        if transaction.gas_limit() > self.block_gas_limit {
            return Err(Exception::GasAllowanceExceeded);
        }
        let initcode_max = match self.fork {
            Fork::Amsterdam => eip7954::MAX_INITCODE_SIZE,
            _ => eip3860::MAX_INITCODE_SIZE,
        };
        if self.fork >= Fork::Shanghai
            && transaction.kind().is_create()
            && transaction.input().len() > initcode_max
        {
            return Err(Exception::InitcodeSizeExceeded);
        }
        if transaction.nonce() == u64::MAX {
            return Err(Exception::NonceIsMax);
        }
        self.check_intrinsic_gas(transaction)
    }

    /// Checks all transactions of the block.
    ///
    /// # Errors
    /// As [`Self::check`], with the index of the first transaction that breaks a rule.
    pub fn check_all<T: Transaction + Typed2718>(&self, transactions: &[T]) -> Result<(), InvalidBlock> {
        for (index, transaction) in transactions.iter().enumerate() {
            self.check(transaction).map_err(|exception| InvalidBlock::transaction(exception, index, ""))?;
        }
        Ok(())
    }

    fn check_chain_id<T: Transaction + Typed2718>(&self, transaction: &T) -> Result<(), Exception> {
        match transaction.chain_id() {
            Some(id) if id != self.chain_id => Err(Exception::InvalidChainId),
            None if transaction.ty() != 0 => Err(Exception::InvalidChainId),
            _ => Ok(()),
        }
    }

    fn check_fees<T: Transaction>(&self, transaction: &T) -> Result<(), Exception> {
        let max_fee = transaction.max_fee_per_gas();
        if transaction.max_priority_fee_per_gas().is_some_and(|priority| priority > max_fee) {
            return Err(Exception::PriorityFeeAboveMaxFee);
        }
        if max_fee < u128::from(self.base_fee) {
            return Err(Exception::InsufficientMaxFeePerGas);
        }
        Ok(())
    }

    fn check_blobs<T: Transaction>(&self, transaction: &T) -> Result<(), Exception> {
        let (Some(hashes), Some((params, blob_fee))) = (transaction.blob_versioned_hashes(), &self.blobs)
        else {
            return Ok(());
        };
        if transaction.max_fee_per_blob_gas().unwrap_or(0) < *blob_fee {
            return Err(Exception::InsufficientMaxFeePerBlobGas);
        }
        if hashes.is_empty() {
            return Err(Exception::BlobTxZeroBlobs);
        }
        if hashes.iter().any(|hash| hash[0] != VERSIONED_HASH_VERSION_KZG) {
            return Err(Exception::BlobTxInvalidVersionedHash);
        }
        if hashes.len() as u64 > params.max_blobs_per_tx {
            return Err(Exception::BlobTxBlobCountExceeded);
        }
        Ok(())
    }

    /// Intrinsic gas and the floor of EIP-7623. From Amsterdam on (EIP-2780) it depends on who
    /// sends to whom, and is left to execution.
    fn check_intrinsic_gas<T: Transaction>(&self, transaction: &T) -> Result<(), Exception> {
        if self.fork >= Fork::Amsterdam {
            return Ok(());
        }
        let (accounts, keys) = transaction
            .access_list()
            .map_or((0, 0), |list| (list.len() as u64, list.storage_keys_count() as u64));
        let gas = self.gas_params.initial_tx_gas(
            transaction.input(),
            transaction.kind().is_create(),
            accounts,
            keys,
            transaction.authorization_count().unwrap_or(0),
            None,
        );
        if gas.initial_regular_gas() > transaction.gas_limit() {
            return Err(Exception::IntrinsicGasTooLow);
        }
        if self.fork >= Fork::Prague && gas.floor_gas() > transaction.gas_limit() {
            return Err(Exception::IntrinsicGasBelowFloor);
        }
        Ok(())
    }
}

/// Checks that `fork` has transactions of this type, and this form of signature (EIP-155).
///
/// # Errors
/// The class of the fault.
pub fn check_form<T: Transaction + Typed2718>(fork: Fork, transaction: &T) -> Result<(), Exception> {
    check_type(fork, transaction)?;
    // EIP-155 gave the other values of v a meaning.
    if transaction.ty() == 0 && transaction.chain_id().is_some() && fork < Fork::SpuriousDragon {
        return Err(Exception::InvalidLegacyV);
    }
    Ok(())
}

fn check_type<T: Transaction + Typed2718>(fork: Fork, transaction: &T) -> Result<(), Exception> {
    let (since, too_early) = match transaction.ty() {
        0 => return Ok(()),
        1 => (Fork::Berlin, Exception::AccessListTxPreFork),
        2 => (Fork::London, Exception::DynamicFeeTxPreFork),
        3 if transaction.blob_versioned_hashes().is_none_or(<[_]>::is_empty) => {
            (Fork::Cancun, Exception::BlobTxZeroBlobsPreFork)
        }
        3 => (Fork::Cancun, Exception::BlobTxPreFork),
        4 => (Fork::Prague, Exception::SetCodeTxPreFork),
        _ => return Err(Exception::TypeNotSupported),
    };
    if fork < since { Err(too_early) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
