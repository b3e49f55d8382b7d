//! Dense ids for addresses, dealt out in order of first sight.

use alloy_primitives::{Address, map::DefaultHashBuilder};
use std::{fmt, hash::BuildHasher};

/// A set of addresses whose members are numbered.
///
/// A table of ids with linear probing, at most half full, beside the list of addresses: the
/// table stays small enough for the cache, and the list is what ids index. Hashes are seeded for each
/// process, so that no one can choose addresses that collide.
#[derive(Clone, Default)]
pub(super) struct Interner {
    hasher: DefaultHashBuilder,
    /// One more than an id, or zero where free; a power of two long.
    slots: Vec<u32>,
    addresses: Vec<Address>,
}

impl Interner {
    /// Forgets all addresses and makes room for `len_max`.
    pub(super) fn reset(&mut self, len_max: usize) {
        self.addresses.clear();
        self.slots.clear();
        self.slots.resize((2 * len_max).next_power_of_two(), 0);
    }

    /// The hash that [`Self::intern`] wants: may be computed elsewhere, ahead.
    pub(super) fn hash(&self, address: &Address) -> u64 {
        self.hasher.hash_one(address)
    }

    /// The id of an address.
    ///
    /// # Panics
    /// If more addresses are interned than there is room for, as an endless search otherwise would.
    pub(super) fn intern(&mut self, address: &Address, hash: u64) -> u32 {
        let mask = self.slots.len() - 1;
        #[allow(clippy::cast_possible_truncation, reason = "the low bits are as good as any")]
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                break;
            }
            if self.addresses[slot as usize - 1] == *address {
                return slot - 1;
            }
            at = (at + 1) & mask;
        }
        assert!(2 * self.addresses.len() < self.slots.len(), "more addresses than there is room for");
        self.addresses.push(*address);
        let next = u32::try_from(self.addresses.len()).expect("half of the slots, and those fit memory");
        self.slots[at] = next;
        next - 1
    }

    /// All addresses, at the index of their ids.
    pub(super) fn addresses(&self) -> &[Address] {
        &self.addresses
    }
}

impl fmt::Debug for Interner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interner").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}
