//! What a block changed, as plain data.

use super::{Account, StateRead, View};
use alloy_primitives::{
    Address, U256,
    map::{AddressIndexMap, B256Map, HashMap},
};
use revm::{database::BundleState, state::Bytecode};

/// The change of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// The account after the block, or `None` where it is gone.
    pub account: Option<Account>,
    /// Whether the storage before the block is void.
    pub storage_wiped: bool,
    /// Slots whose value differs from the (possibly voided) storage before; zero means deleted.
    pub storage: HashMap<U256, U256>,
}

impl AccountChange {
    /// Drops what changed nothing against `base`; `None` if nothing is left. Two runs with equal
    /// post-states have equal normalised changes.
    pub(super) fn normalised(mut self, base: &View<'_>, address: &Address) -> Option<Self> {
        if self.account.is_none() {
            self.storage_wiped = true;
            self.storage.clear();
        }
        if self.storage_wiped {
            self.storage.retain(|_, value| !value.is_zero());
            match base.slots(address) {
                // A wipe of empty storage is none.
                Some(slots) if slots.is_empty() => self.storage_wiped = false,
                Some(slots) if self.account.is_some() => self = self.spelled_out(&slots),
                _ => {}
            }
        } else {
            self.storage.retain(|slot, value| base.storage(address, slot) != Ok(*value));
        }
        let unchanged =
            base.account(address) == Ok(self.account) && !self.storage_wiped && self.storage.is_empty();
        (!unchanged).then_some(self)
    }

    /// A wiped storage that is written again may end up where it began, slot by slot: spell the
    /// wipe out as deletions, so that equal ends have one form.
    fn spelled_out(mut self, slots: &HashMap<U256, U256>) -> Self {
        self.storage_wiped = false;
        for (slot, old) in slots {
            match self.storage.get(slot) {
                Some(new) if new == old => {
                    self.storage.remove(slot);
                }
                Some(_) => {}
                None => {
                    self.storage.insert(*slot, U256::ZERO);
                }
            }
        }
        self
    }
}

/// What a block changed, against the state before it.
#[derive(Clone, Debug, Default)]
pub struct ChangeSet {
    /// Changed accounts, one after the other in memory: what follows a block reads all of them in order.
    pub accounts: AddressIndexMap<AccountChange>,
    /// Code that the block deployed, by hash.
    pub codes: B256Map<Bytecode>,
}

impl PartialEq for ChangeSet {
    /// Equal post-states: codes follow from the code hashes in the accounts.
    fn eq(&self, other: &Self) -> bool {
        self.accounts == other.accounts
    }
}

impl ChangeSet {
    /// The changes that revm's own block state holds after its transitions were merged.
    pub fn from_bundle<'a>(bundle: &BundleState, base: impl Into<View<'a>>) -> Self {
        let base = base.into();
        let mut changes = Self::default();
        for (address, account) in &bundle.state {
            let change = AccountChange {
                account: account.info.as_ref().map(Account::from),
                storage_wiped: account.was_destroyed(),
                storage: account.storage.iter().map(|(slot, value)| (*slot, value.present_value)).collect(),
            };
            if let Some(change) = change.normalised(&base, address) {
                changes.accounts.insert(*address, change);
            }
        }
        for (hash, code) in &bundle.contracts {
            changes.codes.insert(*hash, code.clone());
        }
        changes
    }

    /// The first difference to another change set over the same base, in words, by address.
    pub fn first_difference<'a>(&self, other: &Self, base: impl Into<View<'a>>) -> Option<String> {
        let base = base.into();
        let mut addresses: Vec<&Address> = self.accounts.keys().chain(other.accounts.keys()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let unchanged = |address: &Address| AccountChange {
            account: base.account(address).ok().flatten(),
            ..AccountChange::default()
        };
        addresses.into_iter().find_map(|address| {
            let ours = self.accounts.get(address).cloned().unwrap_or_else(|| unchanged(address));
            let theirs = other.accounts.get(address).cloned().unwrap_or_else(|| unchanged(address));
            (ours != theirs).then(|| format!("{address}: {ours:?} against {theirs:?}"))
        })
    }
}
