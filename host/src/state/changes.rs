//! What a block changed, as plain data.

use super::{Account, StateRead, World};
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
    pub(super) fn normalised(mut self, base: &World, address: &Address) -> Option<Self> {
        let before = base.accounts().get(address).copied();
        let slots = base.slots(address);
        if self.account.is_none() {
            self.storage_wiped = true;
            self.storage.clear();
        }
        // A wipe of empty storage is none.
        self.storage_wiped &= slots.is_some();
        let wiped = self.storage_wiped;
        self.storage.retain(|slot, value| {
            let old = if wiped { None } else { slots.and_then(|slots| slots.get(slot)) };
            *value != old.copied().unwrap_or_default()
        });
        if wiped && self.account.is_some() {
            self = Self::spelled_out(self, slots);
        }
        let unchanged = self.account == before && !self.storage_wiped && self.storage.is_empty();
        (!unchanged).then_some(self)
    }

    /// A wiped storage that is written again may end up where it began, slot by slot: spell the
    /// wipe out as deletions, so that equal ends have one form.
    fn spelled_out(mut self, slots: Option<&HashMap<U256, U256>>) -> Self {
        self.storage_wiped = false;
        for (slot, old) in slots.into_iter().flatten() {
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

/// What a block changed, against the [`World`] before it.
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
    pub fn from_bundle(bundle: &BundleState, base: &World) -> Self {
        let mut changes = Self::default();
        for (address, account) in &bundle.state {
            let change = AccountChange {
                account: account.info.as_ref().map(Account::from),
                storage_wiped: account.was_destroyed(),
                storage: account.storage.iter().map(|(slot, value)| (*slot, value.present_value)).collect(),
            };
            if let Some(change) = change.normalised(base, address) {
                changes.accounts.insert(*address, change);
            }
        }
        for (hash, code) in &bundle.contracts {
            changes.codes.insert(*hash, code.clone());
        }
        changes
    }

    /// The first difference to another change set over the same base, in words, by address.
    pub fn first_difference(&self, other: &Self, base: &World) -> Option<String> {
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
