//! The accounts that a block has to do with, numbered in order of first sight.
//!
//! Lanes that work on many accounts at once look each up once, by its address, and then speak of it by
//! its id. What the block leaves of an account lies beside what it was before, so that the changes
//! need no second look at the state before the block.

use super::{Account, StateKey, StateRead, Unknown};
use alloy_primitives::{
    Address, U256,
    map::{DefaultHashBuilder, HashMap},
};
use rayon::prelude::*;
use std::{fmt, hash::BuildHasher};

/// Accounts that are worth a second thread.
const PARALLEL_LEN_MIN: usize = 512;

/// Numbered accounts, with what they were before the block and what they are now.
///
/// A table of ids with linear probing, at most half full, beside the list of addresses: the table
/// stays small enough for the cache, and the lists are what ids index. Hashes are seeded for each
/// process, so that no one can choose addresses that collide.
#[derive(Clone, Default)]
pub(crate) struct AccountTable {
    hasher: DefaultHashBuilder,
    /// One more than an id, or zero where free; a power of two long.
    slots: Vec<u32>,
    addresses: Vec<Address>,
    /// Shorter than `addresses` between [`Self::number`] and [`Self::load`].
    entries: Vec<AccountEntry>,
}

/// An account in the course of a block.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountEntry {
    /// What it was before the block.
    pub(crate) before: Option<Account>,
    /// What it is now; `None` where it does not exist (any more).
    pub(crate) now: Option<Account>,
    /// Whether the state before the block does not know the account, and nothing has set it since.
    pub(crate) is_unknown: bool,
    /// What became of its storage, if anything did.
    pub(crate) storage: Option<Box<StorageOverlay>>,
}

/// Changes of one account's storage.
#[derive(Clone, Debug, Default)]
pub(crate) struct StorageOverlay {
    /// Whether what the state before the block holds is void.
    pub(crate) wiped: bool,
    /// Slots written in this block.
    pub(crate) slots: HashMap<U256, U256>,
}

impl AccountEntry {
    fn load(base: &impl StateRead, address: &Address) -> Self {
        match base.account(address) {
            Ok(before) => Self { before, now: before, is_unknown: false, storage: None },
            Err(_) => Self { is_unknown: true, ..Self::default() },
        }
    }

    /// The account, if it is known.
    pub(crate) fn read(&self, address: &Address) -> Result<Option<Account>, Unknown> {
        if self.is_unknown { Err(Unknown(StateKey::Account(*address))) } else { Ok(self.now) }
    }

    /// Sets the account; `None` removes it together with its storage.
    pub(crate) fn set(&mut self, account: Option<Account>) {
        self.now = account;
        self.is_unknown = false;
        if account.is_none() {
            self.wipe_storage();
        }
    }

    /// Voids the storage.
    pub(crate) fn wipe_storage(&mut self) {
        let storage = self.storage.get_or_insert_default();
        storage.wiped = true;
        storage.slots.clear();
    }
}

impl AccountTable {
    /// Makes room for `additional` more accounts.
    pub(crate) fn reserve(&mut self, additional: usize) {
        let len_max = self.addresses.len() + additional;
        self.addresses.reserve(additional);
        if 2 * len_max <= self.slots.len() {
            return;
        }
        self.slots.clear();
        self.slots.resize((2 * len_max).next_power_of_two(), 0);
        for id in 0..self.addresses.len() {
            let hash = self.hash(&self.addresses[id]);
            let at = self.free_slot(hash);
            self.slots[at] = slot(id);
        }
    }

    /// The hash that [`Self::number`] wants: may be computed elsewhere, ahead.
    pub(crate) fn hash(&self, address: &Address) -> u64 {
        self.hasher.hash_one(address)
    }

    /// The id of an account, which is dealt out if it has none. [`Self::load`] must follow before the
    /// table is used otherwise.
    ///
    /// # Panics
    /// If [`Self::reserve`] was not asked for enough room.
    pub(crate) fn number(&mut self, address: &Address, hash: u64) -> u32 {
        match self.find(address, hash) {
            Ok(id) => id,
            Err(at) => {
                assert!(2 * self.addresses.len() < self.slots.len(), "more accounts than there is room for");
                let id = self.addresses.len();
                self.addresses.push(*address);
                self.slots[at] = slot(id);
                slot(id) - 1
            }
        }
    }

    /// Looks all newly numbered accounts up in the state before the block, on several threads if
    /// `is_parallel` and there are many.
    pub(crate) fn load(&mut self, base: &(impl StateRead + Sync), is_parallel: bool) {
        let addresses = &self.addresses[self.entries.len()..];
        if is_parallel && addresses.len() >= PARALLEL_LEN_MIN {
            let loaded = addresses.par_iter().with_min_len(PARALLEL_LEN_MIN / 2);
            self.entries.par_extend(loaded.map(|address| AccountEntry::load(base, address)));
        } else {
            self.entries.extend(addresses.iter().map(|address| AccountEntry::load(base, address)));
        }
    }

    /// Looks all accounts up again that were not known.
    pub(crate) fn load_unknown(&mut self, base: &impl StateRead) {
        for (address, entry) in self.addresses.iter().zip(&mut self.entries) {
            if entry.is_unknown {
                *entry = AccountEntry::load(base, address);
            }
        }
    }

    /// The number of accounts.
    pub(crate) fn len(&self) -> usize {
        self.addresses.len()
    }

    /// The account of that id.
    pub(crate) fn entry(&self, id: u32) -> &AccountEntry {
        &self.entries[id as usize]
    }

    /// The account of that id, to be changed.
    pub(crate) fn entry_mut(&mut self, id: u32) -> &mut AccountEntry {
        &mut self.entries[id as usize]
    }

    /// The account at an address, if it has an id.
    pub(crate) fn get(&self, address: &Address) -> Option<&AccountEntry> {
        if self.addresses.is_empty() {
            return None;
        }
        let id = self.find(address, self.hash(address)).ok()?;
        Some(self.entry(id))
    }

    /// The account at an address, which is numbered and looked up if it has no id.
    pub(crate) fn get_or_load(
        &mut self,
        address: &Address,
        base: &(impl StateRead + Sync),
    ) -> &mut AccountEntry {
        // Doubled, so that many calls cost no more than one.
        self.reserve(if 2 * self.len() < self.slots.len() { 0 } else { self.len().max(64) });
        let id = self.number(address, self.hash(address));
        self.load(base, false);
        self.entry_mut(id)
    }

    /// All accounts with their addresses.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = (Address, AccountEntry)> {
        self.addresses.into_iter().zip(self.entries)
    }

    /// The id of an address, or the free slot where it would go.
    fn find(&self, address: &Address, hash: u64) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut at = home(hash) & mask;
        while let Some(id) = self.slots[at].checked_sub(1) {
            if self.addresses[id as usize] == *address {
                return Ok(id);
            }
            at = (at + 1) & mask;
        }
        Err(at)
    }

    fn free_slot(&self, hash: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = home(hash) & mask;
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        at
    }
}

/// Where a hash is at home, before the mask.
#[allow(clippy::cast_possible_truncation, reason = "the low bits are as good as any")]
const fn home(hash: u64) -> usize {
    hash as usize
}

/// An id as the slots hold it.
fn slot(id: usize) -> u32 {
    u32::try_from(id + 1).expect("a block has to do with fewer than 2^32 accounts")
}

impl fmt::Debug for AccountTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.addresses.iter().zip(&self.entries)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use revm::state::Bytecode;

    /// Knows the accounts whose last byte is even: each has as many wei as that byte says.
    struct Even;

    impl StateRead for Even {
        fn account(&self, address: &Address) -> Result<Option<Account>, Unknown> {
            let id = address[19];
            if id % 2 == 1 {
                return Err(Unknown(StateKey::Account(*address)));
            }
            Ok((id > 0).then(|| Account { balance: U256::from(id), ..Account::default() }))
        }

        fn storage(&self, _: &Address, _: &U256) -> Result<U256, Unknown> {
            Ok(U256::ZERO)
        }

        fn code(&self, hash: &B256) -> Result<Bytecode, Unknown> {
            Err(Unknown(StateKey::Code(*hash)))
        }

        fn block_hash(&self, number: u64) -> Result<B256, Unknown> {
            Err(Unknown(StateKey::BlockHash(number)))
        }
    }

    fn address(number: usize) -> Address {
        Address::from_word(B256::from(U256::from(2 * number)))
    }

    #[test]
    fn ids_are_dealt_out_in_order_and_survive_growth() {
        let mut table = AccountTable::default();
        for len in [1, 2, 3, 100, 5_000] {
            table.reserve(len - table.len());
            for number in 0..len {
                let hash = table.hash(&address(number));
                assert_eq!(table.number(&address(number), hash) as usize, number);
            }
            table.load(&Even, true);
            assert_eq!(table.len(), len);
        }
        for number in 0..5_000 {
            let entry = table.get(&address(number)).unwrap();
            let balance = entry.now.map_or(U256::ZERO, |account| account.balance);
            assert_eq!(balance, U256::from(2 * number % 256), "{number}");
            assert_eq!(entry.before, entry.now);
        }
        assert!(table.get(&address(5_000)).is_none());
    }

    #[test]
    fn one_by_one_is_as_good_as_all_at_once() {
        let mut table = AccountTable::default();
        assert!(table.get(&address(0)).is_none());
        for number in (0..1_000).chain(0..1_000) {
            table.get_or_load(&address(number), &Even).set(Some(Account { nonce: 7, ..Account::default() }));
        }
        assert_eq!(table.len(), 1_000);
        assert!(table.into_entries().all(|(_, entry)| entry.now.is_some_and(|account| account.nonce == 7)));
    }

    #[test]
    fn an_account_that_is_not_known_stays_so_until_it_is_set() {
        let mut table = AccountTable::default();
        let odd = Address::with_last_byte(3);
        let entry = table.get_or_load(&odd, &Even);
        assert_eq!(entry.read(&odd), Err(Unknown(StateKey::Account(odd))));
        entry.set(None);
        assert_eq!(entry.read(&odd), Ok(None));
        assert!(entry.storage.as_ref().is_some_and(|storage| storage.wiped));
    }
}
