//! Which transactions are plain transfers by their form, and what they cost.
//!
//! Everything here follows from the transaction and the block's environment alone. What depends on
//! accounts is checked by the lane. Gas comes from revm's own tables.

use crate::block::SignedTx;
use alloy_consensus::Transaction;
use alloy_evm::EvmEnv;
use alloy_primitives::{Address, TxKind};
use outrider_kernels::transfer::Transfer;
use revm::{
    context_interface::{Cfg, cfg::GasParams, transaction::TransactionType},
    precompile::{PrecompileSpecId, Precompiles},
    primitives::hardfork::SpecId,
};

/// The rules of one block.
#[derive(Clone, Debug)]
pub struct TransferRules {
    spec: SpecId,
    chain_id: u64,
    base_fee: u128,
    beneficiary: Address,
    gas_limit: u64,
    tx_gas_limit_cap: u64,
    gas_params: GasParams,
    /// Gas of a transfer without data and access list.
    bare_gas: Option<u64>,
    precompiles: &'static Precompiles,
}

impl TransferRules {
    /// The rules under an environment. `None` from Amsterdam on: a transfer there costs, logs and
    /// meters otherwise (EIP-2780, 7708, 8037), so such blocks have no plain transfers. `None` also for
    /// an environment under which revm refuses every transaction.
    #[must_use]
    pub fn new(env: &EvmEnv) -> Option<Self> {
        let spec = env.cfg_env.spec;
        let lacks_randao = spec.is_enabled_in(SpecId::MERGE) && env.block_env.prevrandao.is_none();
        let lacks_blob_gas =
            spec.is_enabled_in(SpecId::CANCUN) && env.block_env.blob_excess_gas_and_price.is_none();
        if spec.is_enabled_in(SpecId::AMSTERDAM) || lacks_randao || lacks_blob_gas {
            return None;
        }
        let mut rules = Self {
            spec,
            chain_id: env.cfg_env.chain_id,
            base_fee: u128::from(env.block_env.basefee),
            beneficiary: env.block_env.beneficiary,
            gas_limit: env.block_env.gas_limit,
            tx_gas_limit_cap: env.cfg_env.tx_gas_limit_cap(),
            gas_params: env.cfg_env.gas_params().clone(),
            bare_gas: None,
            precompiles: Precompiles::new(PrecompileSpecId::from_spec_id(spec)),
        };
        rules.bare_gas = rules.gas(&[], 0, 0, u64::MAX);
        Some(rules)
    }

    /// Who gets the fees.
    #[must_use]
    pub const fn beneficiary(&self) -> Address {
        self.beneficiary
    }

    /// The block's gas limit.
    #[must_use]
    pub const fn gas_limit(&self) -> u64 {
        self.gas_limit
    }

    /// Whether touching an empty account removes it (EIP-161, Spurious Dragon).
    #[must_use]
    pub const fn clears_empty_accounts(&self) -> bool {
        self.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON)
    }

    /// Whether a sender's code may be a delegation (EIP-7702, Prague).
    #[must_use]
    pub const fn allows_delegation(&self) -> bool {
        self.spec.is_enabled_in(SpecId::PRAGUE)
    }

    /// The transfer that a transaction is, with ids left at zero, and its recipient. `None` for
    /// whatever is no plain transfer by its form, or is not valid by it.
    #[must_use]
    pub fn transfer(&self, tx: &SignedTx) -> Option<(Transfer, Address)> {
        match tx {
            SignedTx::Legacy(tx) => self.checked(TransactionType::Legacy, tx.tx()),
            SignedTx::Eip2930(tx) => self.checked(TransactionType::Eip2930, tx.tx()),
            SignedTx::Eip1559(tx) => self.checked(TransactionType::Eip1559, tx.tx()),
            SignedTx::Eip4844(_) | SignedTx::Eip7702(_) => None,
        }
    }

    #[inline]
    fn checked(&self, kind: TransactionType, tx: &impl Transaction) -> Option<(Transfer, Address)> {
        let TxKind::Call(recipient) = tx.kind() else { return None };
        let known = match tx.chain_id() {
            Some(id) => id == self.chain_id,
            None => kind == TransactionType::Legacy,
        };
        let since = match kind {
            TransactionType::Eip1559 => SpecId::LONDON,
            TransactionType::Eip2930 => SpecId::BERLIN,
            _ => SpecId::FRONTIER,
        };
        let gas_limit = tx.gas_limit();
        let nonce = tx.nonce();
        if !known
            || !self.spec.is_enabled_in(since)
            || gas_limit > self.tx_gas_limit_cap
            || nonce == u64::MAX
            || self.is_precompile(&recipient)
        {
            return None;
        }

        let price_max = tx.max_fee_per_gas();
        let tip_max = tx.max_priority_fee_per_gas().unwrap_or(price_max);
        if price_max < self.base_fee || tip_max > price_max {
            return None;
        }
        // For types 0 and 1 the priority fee is the whole price, so that the minimum is the price.
        let price = price_max.min(self.base_fee.saturating_add(tip_max));
        let tip_price = if self.spec.is_enabled_in(SpecId::LONDON) { price - self.base_fee } else { price };

        let gas_used = self.gas_of(tx, gas_limit)?;
        let fee_max = price_max.checked_mul(u128::from(gas_limit))?;
        let transfer = Transfer {
            value: tx.value().into_limbs(),
            fee_max,
            // No more than `fee_max`, which fits.
            charge: price * u128::from(gas_used),
            tip: tip_price * u128::from(gas_used),
            nonce,
            gas_limit,
            gas_used,
            sender: 0,
            recipient: 0,
        };
        Some((transfer, recipient))
    }

    #[inline]
    fn gas_of(&self, tx: &impl Transaction, gas_limit: u64) -> Option<u64> {
        let access_list = tx.access_list().filter(|list| !list.is_empty());
        if tx.input().is_empty() && access_list.is_none() {
            return self.bare_gas.filter(|&gas| gas <= gas_limit);
        }
        let (accounts, slots) = access_list.map_or((0, 0), |list| {
            (list.len() as u64, list.iter().map(|item| item.storage_keys.len() as u64).sum())
        });
        self.gas(tx.input(), accounts, slots, gas_limit)
    }

    /// Gas used by a call without code: the intrinsic gas or, from Prague on, its floor. `None` where
    /// the limit does not cover it.
    fn gas(&self, input: &[u8], accounts: u64, slots: u64, gas_limit: u64) -> Option<u64> {
        let gas = self.gas_params.initial_tx_gas(input, false, accounts, slots, 0, None);
        // The floor is zero in revm's tables before Prague.
        let used = gas.initial_total_gas().max(gas.floor_gas());
        (used <= gas_limit).then_some(used)
    }

    /// Whether the fork has a precompile at the address.
    fn is_precompile(&self, address: &Address) -> bool {
        // All precompiles lie at small numbers, which is cheap to see: 16 leading zero bytes.
        address[..16] == [0; 16] && self.precompiles.contains(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precompiles_lie_at_small_numbers() {
        for address in Precompiles::latest().addresses() {
            assert_eq!(address[..16], [0; 16], "{address}");
        }
    }
}
