//! The nodes of a whole state by which others can know a part of it.

use super::{
    AccountLeaf, SlotLeaf, StateTrie,
    keys::{hash_keys, hash_slot_keys},
};
use crate::state::Reads;
use alloy_primitives::{B256, Bytes};

impl StateTrie {
    /// The nodes that a [`WitnessState`](crate::state::WitnessState) needs to read these keys, be they there or not, and to
    /// follow any change of them. Some of them it may turn out not to need.
    pub fn nodes_for(&self, reads: &Reads) -> Vec<Bytes> {
        let accounts: Vec<_> = reads.accounts.iter().collect();
        let keys = hash_keys(&accounts, |(address, _)| address.as_slice());
        let mut nodes = self.accounts.nodes_for(&keys, &AccountLeaf::encode);
        for (key, (_, slots)) in keys.iter().zip(&accounts) {
            let storage = self.storages.get(&B256::from(*key)).filter(|_| !slots.is_empty());
            if let Some(storage) = storage {
                nodes.extend(storage.nodes_for(&hash_slot_keys(slots.iter()), &SlotLeaf::encode));
            }
        }
        // Storages can be alike, and share what is alike in them.
        nodes.sort_unstable();
        nodes.dedup();
        nodes.into_iter().map(Bytes::from).collect()
    }
}
