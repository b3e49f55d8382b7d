//! Addresses and slots as keys: hashed in batches, eight at a time where the processor can.

use crate::trie::Key;
use alloy_primitives::{U256, map::HashMap};
use outrider_kernels::keccak::{PayloadsBuf, keccak256};
use rayon::prelude::*;

/// Keys that one task hashes: about 50 µs of work.
pub(super) const TASK_LEN: usize = 1024;

/// Hashes the bytes of each item.
pub(in crate::state) fn hash_keys<T: Sync>(items: &[T], bytes: impl Fn(&T) -> &[u8] + Sync) -> Vec<Key> {
    let tasks: Vec<Vec<Key>> = items
        .par_chunks(TASK_LEN)
        .map(|items| {
            let mut payloads = PayloadsBuf::with_capacity(items.len(), 32 * items.len());
            for item in items {
                payloads.push(bytes(item)).expect("a task has far less than 4 GiB");
            }
            keccak256(&payloads.as_payloads())
        })
        .collect();
    tasks.concat()
}

/// The slots of some storages one after the other: the hash of each, and its value.
pub(in crate::state) fn hash_slots<'a>(
    storages: impl Iterator<Item = &'a HashMap<U256, U256>>,
) -> Vec<(Key, U256)> {
    let slots: Vec<([u8; 32], U256)> =
        storages.flatten().map(|(slot, value)| (slot.to_be_bytes(), *value)).collect();
    let keys = hash_keys(&slots, |(slot, _)| slot);
    keys.into_iter().zip(slots).map(|(key, (_, value))| (key, value)).collect()
}

/// The hash of each slot.
pub(in crate::state) fn hash_slot_keys<'a>(slots: impl Iterator<Item = &'a U256>) -> Vec<Key> {
    let slots: Vec<[u8; 32]> = slots.map(U256::to_be_bytes).collect();
    hash_keys(&slots, |slot| slot)
}
