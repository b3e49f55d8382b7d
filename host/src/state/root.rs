//! The root of a whole state, kept up to date from block to block.

pub(super) mod keys;
pub(super) mod leaf;
mod nodes;
#[cfg(test)]
pub(super) mod tests;

use self::{
    keys::{hash_keys, hash_slots},
    leaf::{AccountLeaf, SlotLeaf},
};
use super::{Account, AccountChange, ChangeSet, World};
use crate::trie::{Change, Key, Trie, commit_all};
use alloy_primitives::{B256, U256, map::B256Map};
use alloy_trie::EMPTY_ROOT_HASH;
use outrider_kernels::simd::prefetch;
use rayon::prelude::*;

/// The tries of a whole state: of its accounts, and of the storage of each.
///
/// A change costs the hashing of the nodes above it: what a block leaves alone is not looked at. An account without
/// code and storage takes 125 bytes (of 10 M) to 200 (of 1 M) beside what the [`World`] holds of it.
#[derive(Clone, Debug, Default)]
pub struct StateTrie {
    accounts: Trie<AccountLeaf>,
    /// The storage of accounts that have any, under the accounts' keys.
    storages: B256Map<Trie<SlotLeaf>>,
}

impl StateTrie {
    /// The tries of a whole state.
    pub fn new(world: &World) -> Self {
        let accounts: Vec<_> = world.accounts().iter().collect();
        let keys = hash_keys(&accounts, |(address, _)| address.as_slice());
        let slots: Vec<_> = keys
            .par_iter()
            .zip(&accounts)
            .filter_map(|(key, (address, _))| world.slots(address).map(|slots| (B256::from(*key), slots)))
            .collect();
        let hashed = hash_slots(slots.iter().map(|(_, slots)| *slots));
        let mut hashed = hashed.into_iter();
        let mut storages: Vec<(B256, Trie<SlotLeaf>)> = slots
            .iter()
            .map(|(key, slots)| {
                let entries = hashed.by_ref().take(slots.len()).map(|(slot, value)| (slot, SlotLeaf(value)));
                (*key, Trie::from_entries(entries.collect()))
            })
            .collect();
        commit(storages.iter_mut().map(|(_, trie)| (trie, Vec::new())).collect());
        let mut tries = Self { accounts: Trie::default(), storages: storages.into_iter().collect() };
        let leaf = |(key, (_, account)): (Key, &(_, &Account))| {
            (key, AccountLeaf::new(account, tries.storage_root(&key)))
        };
        tries.accounts = Trie::from_entries(keys.into_par_iter().zip(&accounts).map(leaf).collect());
        tries.commit_accounts(Vec::new());
        tries
    }

    /// Follows a block, and returns the state root after it.
    pub fn update(&mut self, changes: &ChangeSet) -> B256 {
        let changes: Vec<_> = changes.accounts.iter().collect();
        // Each change is looked at once, while it is in the cache; the few that concern storage again when its roots are known.
        let tasks = changes.par_chunks(keys::TASK_LEN).map(|changes| {
            let keys = hash_keys(changes, |(address, change)| {
                prefetch(&change.account);
                address.as_slice()
            });
            let leaf = |(key, (_, change)): (Key, &(_, &AccountChange))| {
                let is_settled = !concerns_storage(change);
                let account = change.account.as_ref().filter(|_| is_settled);
                (key, account.map(|account| AccountLeaf::new(account, self.storage_root(&key))))
            };
            keys.into_iter().zip(changes).map(leaf).collect::<Vec<_>>()
        });
        let tasks: Vec<Vec<Change<AccountLeaf>>> = tasks.collect();
        let mut leaves = Vec::with_capacity(changes.len());
        tasks.into_iter().for_each(|task| leaves.extend(task));
        let concerned: Vec<usize> = (0..changes.len())
            .filter(|&at| leaves[at].1.is_none() && concerns_storage(changes[at].1))
            .collect();
        let written: Vec<(Key, &AccountChange)> =
            concerned.iter().map(|&at| (leaves[at].0, changes[at].1)).collect();
        self.update_storages(&written);
        for at in concerned {
            let (key, leaf) = &mut leaves[at];
            let account = changes[at].1.account.as_ref();
            *leaf = account.map(|account| AccountLeaf::new(account, self.storage_root(key)));
        }
        self.commit_accounts(leaves)
    }

    /// The state root.
    pub fn root(&self) -> B256 {
        self.accounts.root()
    }

    /// Root of the storage of the account under a key.
    fn storage_root(&self, key: &Key) -> B256 {
        if self.storages.is_empty() {
            return EMPTY_ROOT_HASH;
        }
        self.storages.get(&B256::from(*key)).map_or(EMPTY_ROOT_HASH, Trie::root)
    }

    fn update_storages(&mut self, changes: &[(Key, &AccountChange)]) {
        let mut written = Vec::new();
        for (key, change) in changes {
            let key = B256::from(*key);
            let trie = self.storages.remove(&key).filter(|_| !change.storage_wiped);
            // Storage goes with its account; what is left alone otherwise was wiped.
            if change.account.is_some() && !change.storage.is_empty() {
                written.push((key, trie.unwrap_or_default(), &change.storage));
            }
        }
        let mut hashed = hash_slots(written.iter().map(|(_, _, slots)| *slots)).into_iter();
        let tries = written.iter_mut().map(|(_, trie, slots)| {
            let of_one = hashed.by_ref().take(slots.len());
            let leaf = |value: U256| (!value.is_zero()).then_some(SlotLeaf(value));
            (trie, of_one.map(|(slot, value)| (slot, leaf(value))).collect())
        });
        commit(tries.collect());
        let filled = written.into_iter().filter(|(_, trie, _)| !trie.is_empty());
        self.storages.extend(filled.map(|(key, trie, _)| (key, trie)));
    }

    fn commit_accounts(&mut self, changes: Vec<Change<AccountLeaf>>) -> B256 {
        self.accounts.commit(changes, &AccountLeaf::encode).expect("a whole state has no blinded nodes")
    }
}

/// Whether the storage of an account is not what it was.
fn concerns_storage(change: &AccountChange) -> bool {
    change.account.is_none() || change.storage_wiped || !change.storage.is_empty()
}

fn commit(tries: Vec<(&mut Trie<SlotLeaf>, Vec<Change<SlotLeaf>>)>) {
    commit_all(tries, &SlotLeaf::encode).expect("a whole state has no blinded nodes");
}
