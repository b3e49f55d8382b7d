//! The state at a block boundary, in memory.

use super::{Account, AccountChange, ChangeSet, StateKey, StateRead, Unknown, View};
use crate::ingest::{self, Prestate, PrestateAccount};
use alloy_primitives::{
    Address, B256, KECCAK256_EMPTY, U256,
    map::{AddressMap, B256Map, HashMap},
};
use revm::state::Bytecode;

/// How much of the state a [`World`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// Every account and slot: what is absent does not exist, and state roots can be computed.
    Whole,
    /// The entries one block touches: what is absent reads as absent, state roots are out of reach.
    TouchedOnly,
}

/// Accounts, storage and code before a block.
#[derive(Clone, Debug)]
pub struct World {
    completeness: Completeness,
    accounts: AddressMap<Account>,
    storage: AddressMap<HashMap<U256, U256>>,
    codes: B256Map<Bytecode>,
    /// Whether there may be accounts with storage, but neither code nor a nonce.
    has_bare_storage: bool,
}

impl World {
    /// An empty world with room for `accounts` accounts.
    pub fn with_capacity(completeness: Completeness, accounts: usize) -> Self {
        Self {
            completeness,
            accounts: AddressMap::with_capacity_and_hasher(accounts, Default::default()),
            storage: AddressMap::default(),
            codes: B256Map::default(),
            has_bare_storage: false,
        }
    }

    /// The world of a pre-state as ingest read it; its block hashes are left out, since they are no part of it.
    pub fn from_prestate(prestate: Prestate) -> Self {
        let Prestate { accounts, completeness, block_hashes: _ } = prestate;
        let completeness = match completeness {
            ingest::Completeness::Whole => Completeness::Whole,
            ingest::Completeness::TouchedOnly => Completeness::TouchedOnly,
        };
        let mut world = Self::with_capacity(completeness, accounts.len());
        for (address, account) in accounts {
            let PrestateAccount { nonce, balance, code, storage } = account;
            world.insert(address, balance, nonce, code, storage);
        }
        world
    }

    /// How much of the state is held.
    pub const fn completeness(&self) -> Completeness {
        self.completeness
    }

    /// Adds an account of the pre-state, replacing one with the same address. Zero slots are not
    /// stored.
    pub fn insert(
        &mut self,
        address: Address,
        balance: U256,
        nonce: u64,
        code: alloy_primitives::Bytes,
        storage: impl IntoIterator<Item = (U256, U256)>,
    ) {
        let code_hash = if code.is_empty() {
            KECCAK256_EMPTY
        } else {
            // Unchecked by intent: a pre-state may hold 0xef.. code that today's rules refuse.
            let bytecode =
                Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code));
            let hash = bytecode.hash_slow();
            self.codes.insert(hash, bytecode);
            hash
        };
        let account = Account { balance, nonce, code_hash };
        self.accounts.insert(address, account);
        let slots: HashMap<U256, U256> = storage.into_iter().filter(|(_, value)| !value.is_zero()).collect();
        if slots.is_empty() {
            self.storage.remove(&address);
        } else {
            self.has_bare_storage |= account.is_bare();
            self.storage.insert(address, slots);
        }
    }

    /// All accounts, in no order.
    pub const fn accounts(&self) -> &AddressMap<Account> {
        &self.accounts
    }

    /// The slots of one account that are not zero.
    pub fn slots(&self, address: &Address) -> Option<&HashMap<U256, U256>> {
        self.storage.get(address)
    }

    /// Whether there may be accounts with storage, but neither code nor a nonce.
    pub(super) const fn may_have_bare_storage(&self) -> bool {
        self.has_bare_storage
    }

    /// What takes the state after `changes` back to this one.
    ///
    /// # Panics
    /// Never: a world knows all that it holds.
    pub fn undo(&self, changes: &ChangeSet) -> ChangeSet {
        View::from(self).undo(changes).expect("a world has no unknown keys")
    }

    /// What takes the storage of one account back after `change`.
    fn storage_before(&self, address: &Address, change: &AccountChange) -> AccountChange {
        let rewrites_all = change.storage_wiped || change.account.is_none();
        if !rewrites_all && change.storage.is_empty() {
            return AccountChange::default();
        }
        let slots = self.storage.get(address);
        let storage = match slots {
            Some(slots) if rewrites_all => slots.clone(),
            _ => {
                let before = |slot| slots.and_then(|slots| slots.get(slot)).copied().unwrap_or_default();
                change.storage.keys().map(|slot| (*slot, before(slot))).collect()
            }
        };
        // Slots that only the changes wrote go with the wipe.
        AccountChange { account: None, storage_wiped: rewrites_all, storage }
    }

    /// The first difference between this state and `expected`, by address: what is expected, and
    /// what is found here.
    pub fn first_difference(&self, expected: &Self) -> Option<(String, String)> {
        let mut addresses: Vec<&Address> = self.accounts.keys().chain(expected.accounts.keys()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses.into_iter().find_map(|address| {
            let (ours, theirs) = (self.accounts.get(address), expected.accounts.get(address));
            if ours != theirs {
                return Some((format!("{address}: {theirs:?}"), format!("{address}: {ours:?}")));
            }
            let (ours, theirs) = (self.storage.get(address), expected.storage.get(address));
            (ours != theirs)
                .then(|| (format!("{address}: storage {theirs:?}"), format!("{address}: storage {ours:?}")))
        })
    }

    /// Applies what a block changed.
    pub fn apply(&mut self, changes: &ChangeSet) {
        for (address, change) in &changes.accounts {
            self.apply_account(address, change);
        }
        self.add_codes(changes);
    }

    /// Applies what a block changed, and returns what takes it back, as [`Self::undo`] would have: each account is
    /// looked up once for both.
    pub fn apply_undoably(&mut self, changes: &ChangeSet) -> ChangeSet {
        let mut undo = ChangeSet::default();
        undo.accounts.reserve(changes.accounts.len());
        for (address, change) in &changes.accounts {
            let before = self.storage_before(address, change);
            let account = self.apply_account(address, change);
            undo.accounts.insert(*address, AccountChange { account, ..before });
        }
        self.add_codes(changes);
        undo
    }

    /// Applies the change of one account, and returns what the account was.
    fn apply_account(&mut self, address: &Address, change: &AccountChange) -> Option<Account> {
        if change.storage_wiped {
            self.storage.remove(address);
        }
        let before = match change.account {
            None => {
                self.storage.remove(address);
                return self.accounts.remove(address);
            }
            Some(account) => self.accounts.insert(*address, account),
        };
        if change.storage.is_empty() {
            return before;
        }
        self.has_bare_storage |= change.account.is_some_and(|account| account.is_bare());
        let slots = self.storage.entry(*address).or_default();
        for (slot, value) in &change.storage {
            if value.is_zero() {
                slots.remove(slot);
            } else {
                slots.insert(*slot, *value);
            }
        }
        if slots.is_empty() {
            self.storage.remove(address);
        }
        before
    }

    fn add_codes(&mut self, changes: &ChangeSet) {
        for (hash, code) in &changes.codes {
            self.codes.entry(*hash).or_insert_with(|| code.clone());
        }
    }
}

impl StateRead for World {
    fn account(&self, address: &Address) -> Result<Option<Account>, Unknown> {
        Ok(self.accounts.get(address).copied())
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Unknown> {
        Ok(self.storage.get(address).and_then(|slots| slots.get(slot)).copied().unwrap_or_default())
    }

    fn code(&self, hash: &B256) -> Result<Bytecode, Unknown> {
        if *hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        self.codes.get(hash).cloned().ok_or(Unknown(StateKey::Code(*hash)))
    }

    fn block_hash(&self, number: u64) -> Result<B256, Unknown> {
        Err(Unknown(StateKey::BlockHash(number)))
    }
}
