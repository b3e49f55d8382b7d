//! The root of the state after a block, from the part of the tries that its changes concern.

use super::{WitnessState, decode};
use crate::{
    state::{
        Account, AccountChange, ChangeSet,
        root::{
            keys::{hash_keys, hash_slots},
            leaf::{AccountLeaf, SlotLeaf},
        },
    },
    trie::{Change, Key, Known, Trie, Unreadable, commit_all, encode_known, open_all},
};
use alloy_primitives::{B256, U256};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use rayon::prelude::*;

impl WitnessState {
    /// The state root after a block. Nothing changes here: the same may be asked for other changes.
    ///
    /// # Errors
    /// The first node that is needed and that the witness lacks, or that is none. When an entry goes, that can be the neighbour
    /// that takes its place.
    pub fn root_after(&self, changes: &ChangeSet) -> Result<B256, Unreadable> {
        let changes: Vec<_> = changes.accounts.iter().collect();
        let keys = hash_keys(&changes, |(address, _)| address.as_slice());
        let changes: Vec<(Key, &AccountChange)> =
            keys.into_iter().zip(changes).map(|(key, (_, change))| (key, change)).collect();
        let storage_roots = self.storage_roots_after(&changes)?;
        let leaves: Vec<Change<Known<AccountLeaf>>> = changes
            .iter()
            .zip(storage_roots)
            .map(|((key, change), storage_root)| {
                let leaf = |account| Known::Value(AccountLeaf::new(account, storage_root));
                (*key, change.account.as_ref().map(leaf))
            })
            .collect();
        let node = |hash: &B256| self.node(hash);
        let mut accounts = Trie::open_for(self.root, &leaves, &node, &decode_account, &AccountLeaf::encode)?;
        Ok(accounts.commit(leaves, &encode_known(&AccountLeaf::encode))?)
    }

    /// The storage root of each changed account after the block; that of one that is gone has no meaning.
    fn storage_roots_after(&self, changes: &[(Key, &AccountChange)]) -> Result<Vec<B256>, Unreadable> {
        let before = |(key, change): &(Key, &AccountChange)| {
            if change.account.is_none() || change.storage_wiped {
                return Ok(EMPTY_ROOT_HASH);
            }
            Ok(self.leaf(key)?.map_or(EMPTY_ROOT_HASH, |leaf| leaf.storage_root))
        };
        let mut roots: Vec<B256> = changes.par_iter().map(before).collect::<Result<_, Unreadable>>()?;
        let written: Vec<usize> = (0..changes.len())
            .filter(|&index| changes[index].1.account.is_some() && !changes[index].1.storage.is_empty())
            .collect();
        let mut hashed = hash_slots(written.iter().map(|&index| &changes[index].1.storage)).into_iter();
        let slots: Vec<Vec<Change<Known<SlotLeaf>>>> = written
            .iter()
            .map(|&index| {
                let leaf = |value: U256| (!value.is_zero()).then_some(Known::Value(SlotLeaf(value)));
                let of_one = hashed.by_ref().take(changes[index].1.storage.len());
                of_one.map(|(key, value)| (key, leaf(value))).collect()
            })
            .collect();
        let concerned: Vec<_> =
            written.iter().zip(&slots).map(|(&index, slots)| (roots[index], slots.as_slice())).collect();
        let node = |hash: &B256| self.node(hash);
        let mut tries = open_all(&concerned, &node, &decode_slot, &SlotLeaf::encode)?;
        let after = commit_all(tries.iter_mut().zip(slots).collect(), &encode_known(&SlotLeaf::encode))?;
        for (index, root) in written.into_iter().zip(after) {
            roots[index] = root;
        }
        Ok(roots)
    }
}

fn decode_account(bytes: &[u8]) -> Result<AccountLeaf, String> {
    let TrieAccount { nonce, balance, storage_root, code_hash } = decode(bytes)?;
    Ok(AccountLeaf::new(&Account { balance, nonce, code_hash }, storage_root))
}

fn decode_slot(bytes: &[u8]) -> Result<SlotLeaf, String> {
    decode(bytes).map(SlotLeaf)
}
