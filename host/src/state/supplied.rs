//! A state of which only that is known which was supplied, key by key.

use super::{Account, ChangeSet, StateKey, StateRead, Unknown};
use alloy_primitives::{
    Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256,
    map::{AddressMap, B256Map, HashMap},
};
use revm::state::Bytecode;

/// One key of a state with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateValue {
    /// An account, or that there is none.
    Account(Address, Option<Account>),
    /// A storage slot.
    Storage(Address, U256, U256),
    /// Code, which is its own proof: the key is its hash.
    Code(Bytes),
    /// Hash of an earlier block, by number.
    BlockHash(u64, B256),
}

impl StateValue {
    /// What it is the value of.
    pub fn key(&self) -> StateKey {
        match self {
            Self::Account(address, _) => StateKey::Account(*address),
            Self::Storage(address, slot, _) => StateKey::Storage(*address, *slot),
            Self::Code(code) => StateKey::Code(keccak256(code)),
            Self::BlockHash(number, _) => StateKey::BlockHash(*number),
        }
    }
}

/// The storage of one account, as far as it was supplied.
#[derive(Clone, Debug, Default)]
struct KnownStorage {
    slots: HashMap<U256, U256>,
    /// Whether all other slots are zero: a block has emptied the storage.
    is_whole: bool,
}

/// Accounts, storage and code that were supplied. A key that was not is unknown; one that is absent was supplied as
/// that.
#[derive(Clone, Debug, Default)]
pub struct Supplied {
    accounts: AddressMap<Option<Account>>,
    storages: AddressMap<KnownStorage>,
    codes: B256Map<Bytecode>,
    len: usize,
}

impl Supplied {
    /// Number of keys.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Takes in the value of a key that is unknown so far.
    pub(super) fn insert(&mut self, value: StateValue) {
        match value {
            StateValue::Account(address, account) => {
                self.accounts.insert(address, account);
            }
            StateValue::Storage(address, slot, value) => {
                self.storages.entry(address).or_default().slots.insert(slot, value);
            }
            StateValue::Code(code) => {
                let hash = keccak256(&code);
                let code =
                    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code));
                self.codes.insert(hash, code);
            }
            StateValue::BlockHash(..) => return,
        }
        self.len += 1;
    }

    /// Whether a slot of the account is known not to be zero.
    pub(super) fn has_known_storage(&self, address: &Address) -> bool {
        self.storages.get(address).is_some_and(|known| known.slots.values().any(|value| !value.is_zero()))
    }

    /// Follows a block. What it changed is known from then on.
    pub(super) fn apply(&mut self, changes: &ChangeSet) {
        for (address, change) in &changes.accounts {
            self.len += usize::from(self.accounts.insert(*address, change.account).is_none());
            if change.storage_wiped || change.account.is_none() {
                let gone =
                    self.storages.insert(*address, KnownStorage { is_whole: true, ..Default::default() });
                self.len -= gone.map_or(0, |known| known.slots.len());
            }
            if change.account.is_some() && !change.storage.is_empty() {
                let known = self.storages.entry(*address).or_default();
                let before = known.slots.len();
                known.slots.extend(&change.storage);
                self.len += known.slots.len() - before;
            }
        }
        for (hash, code) in &changes.codes {
            self.len += usize::from(self.codes.insert(*hash, code.clone()).is_none());
        }
    }
}

impl StateRead for Supplied {
    fn account(&self, address: &Address) -> Result<Option<Account>, Unknown> {
        self.accounts.get(address).copied().ok_or(Unknown(StateKey::Account(*address)))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Unknown> {
        if self.accounts.get(address) == Some(&None) {
            return Ok(U256::ZERO);
        }
        let known = self.storages.get(address);
        let value = known.and_then(|known| match known.slots.get(slot) {
            None => known.is_whole.then_some(U256::ZERO),
            value => value.copied(),
        });
        value.ok_or(Unknown(StateKey::Storage(*address, *slot)))
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
