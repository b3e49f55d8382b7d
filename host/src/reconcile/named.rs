//! The keys that a block names before anything is executed.

use crate::{
    block::BlockContext,
    state::{Account, StateKey, StateRead, Unknown, View},
};
use alloy_consensus::Transaction;
use alloy_eips::{
    eip2935::{HISTORY_SERVE_WINDOW, HISTORY_STORAGE_ADDRESS},
    eip4788::BEACON_ROOTS_ADDRESS,
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
};
use alloy_primitives::{Address, B256, TxKind, U256, map::IndexSet};
use revm::primitives::hardfork::SpecId;

/// Those of the named keys that are not known: accounts of senders, recipients and creations, fee recipients,
/// authorities, withdrawals and system contracts, what access lists hold, and the code of those that are called, that
/// of their delegates included (EIP-7702).
pub(super) fn unknown(block: &BlockContext<'_>, spec: SpecId, before: &View<'_>) -> Vec<StateKey> {
    let mut keys = Unknowns { before, found: IndexSet::default() };
    for (index, (tx, sender)) in block.transactions.iter().zip(block.senders).enumerate() {
        keys.called(sender);
        match tx.kind() {
            TxKind::Call(recipient) => keys.called(&recipient),
            TxKind::Create => drop(keys.account(&sender.create(tx.nonce()))),
        }
        for item in tx.access_list().into_iter().flat_map(|list| list.iter()) {
            keys.account(&item.address);
            for slot in &item.storage_keys {
                keys.slot(item.address, U256::from_be_bytes(slot.0));
            }
        }
        for authority in block.authorities.get(&index).into_iter().flatten() {
            if let Some(address) = authority.address() {
                keys.called(&address);
            }
        }
    }
    keys.account(&block.header.beneficiary);
    for ommer in block.ommers {
        keys.account(&ommer.beneficiary);
    }
    for withdrawal in block.withdrawals.unwrap_or_default() {
        keys.account(&withdrawal.address);
    }
    keys.system_contracts(block, spec);
    keys.found.into_iter().collect()
}

/// Slots of the beacon roots contract in each half of its storage (EIP-4788).
const BEACON_ROOTS_LENGTH: u64 = 8191;

/// The contracts of requests keep counts and queue ends there (EIP-7002, EIP-7251).
const REQUEST_COUNTS: std::ops::Range<u64> = 0..4;

struct Unknowns<'v> {
    before: &'v View<'v>,
    found: IndexSet<StateKey>,
}

impl Unknowns<'_> {
    fn known<T>(&mut self, answer: Result<T, Unknown>) -> Option<T> {
        answer.map_err(|Unknown(key)| self.found.insert(key)).ok()
    }

    fn account(&mut self, address: &Address) -> Option<Account> {
        let account = self.before.account(address);
        self.known(account).flatten()
    }

    fn slot(&mut self, address: Address, slot: U256) {
        let value = self.before.storage(&address, &slot);
        self.known(value);
    }

    fn code(&mut self, account: Option<Account>) -> Option<Address> {
        let hash: B256 = account.filter(Account::has_code)?.code_hash;
        let code = self.before.code(&hash);
        self.known(code)?.eip7702_address()
    }

    /// An account whose code may run.
    fn called(&mut self, address: &Address) {
        let account = self.account(address);
        if let Some(delegate) = self.code(account) {
            let account = self.account(&delegate);
            self.code(account);
        }
    }

    fn system_contracts(&mut self, block: &BlockContext<'_>, spec: SpecId) {
        let header = block.header;
        if spec.is_enabled_in(SpecId::CANCUN) {
            self.called(&BEACON_ROOTS_ADDRESS);
            let row = header.timestamp % BEACON_ROOTS_LENGTH;
            self.slot(BEACON_ROOTS_ADDRESS, U256::from(row));
            self.slot(BEACON_ROOTS_ADDRESS, U256::from(row + BEACON_ROOTS_LENGTH));
        }
        if spec.is_enabled_in(SpecId::PRAGUE) {
            self.called(&HISTORY_STORAGE_ADDRESS);
            let row = header.number.saturating_sub(1) % HISTORY_SERVE_WINDOW as u64;
            self.slot(HISTORY_STORAGE_ADDRESS, U256::from(row));
            for contract in [WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS] {
                self.called(&contract);
                for slot in REQUEST_COUNTS {
                    self.slot(contract, U256::from(slot));
                }
            }
        }
    }
}
