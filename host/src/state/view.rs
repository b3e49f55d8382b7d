//! The one way in which execution reads a state: layers of changes over a base.

use super::{
    Account, AccountChange, ChangeSet, Recorder, StateKey, StateRead, Supplied, Unknown, WitnessState, World,
};
use alloy_primitives::{
    Address, B256, U256,
    map::{HashMap, IndexSet},
};
use revm::state::Bytecode;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// BLOCKHASH reaches this many blocks back.
pub const BLOCK_HASH_HISTORY: usize = 256;

/// Hashes of the blocks that lead to a state, by number: those that `BLOCKHASH` can ask for. They belong to the
/// chain that one stands on, not to the accounts, which may be equal on two chains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockHashes(BTreeMap<u64, B256>);

impl BlockHashes {
    /// No hashes: every read is unknown.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Records the hash of a block; of more than [`BLOCK_HASH_HISTORY`] those with the lowest numbers are dropped.
    pub fn insert(&mut self, number: u64, hash: B256) {
        self.0.insert(number, hash);
        while self.0.len() > BLOCK_HASH_HISTORY {
            self.0.pop_first();
        }
    }

    /// The hash of the block with that number, if it was recorded.
    pub fn get(&self, number: u64) -> Option<B256> {
        self.0.get(&number).copied()
    }
}

impl FromIterator<(u64, B256)> for BlockHashes {
    fn from_iter<I: IntoIterator<Item = (u64, B256)>>(hashes: I) -> Self {
        let mut all = Self::new();
        for (number, hash) in hashes {
            all.insert(number, hash);
        }
        all
    }
}

/// Keys that were unknown when they were read through a [guessing](View::guessing) view.
#[derive(Debug, Default)]
pub struct Guesses(Mutex<IndexSet<StateKey>>);

impl Guesses {
    fn note(&self, key: StateKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
    }

    /// How many keys there are.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The keys in the order in which they were first read.
    pub fn into_keys(self) -> impl Iterator<Item = StateKey> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter()
    }
}

/// What lies under all layers.
#[derive(Clone, Copy, Debug)]
enum Base<'a> {
    /// A state in memory.
    World(&'a World),
    /// What a witness tells.
    Witness(&'a WitnessState),
    /// Another state, of which it is noted down what is read.
    Recorded(&'a Recorder<'a>),
    /// What was supplied of a state.
    Supplied(&'a Supplied),
}

/// The state at a block boundary, as execution reads it.
///
/// Change sets lie over a base, the newest first; what none of them says is what the base says. A
/// [`World`] is a view without layers.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    base: Base<'a>,
    layers: &'a [Arc<ChangeSet>],
    hashes: &'a BlockHashes,
    guesses: Option<&'a Guesses>,
}

impl<'a> From<&'a World> for View<'a> {
    /// The state itself; which chain led to it is not known, so that hashes of earlier blocks are unknown.
    fn from(world: &'a World) -> Self {
        Self::over(Base::World(world))
    }
}

impl<'a> From<&'a WitnessState> for View<'a> {
    /// The same.
    fn from(witness: &'a WitnessState) -> Self {
        Self::over(Base::Witness(witness))
    }
}

impl<'a> From<&'a Recorder<'a>> for View<'a> {
    /// What is recorded, with the hashes that belong to it.
    fn from(recorder: &'a Recorder<'a>) -> Self {
        Self::over(Base::Recorded(recorder)).with_hashes(recorder.state().hashes)
    }
}

impl<'a> From<&'a Supplied> for View<'a> {
    /// What was supplied, without hashes of earlier blocks.
    fn from(supplied: &'a Supplied) -> Self {
        Self::over(Base::Supplied(supplied))
    }
}

impl<'a> View<'a> {
    const fn over(base: Base<'a>) -> Self {
        static NO_HASHES: BlockHashes = BlockHashes::new();
        Self { base, layers: &[], hashes: &NO_HASHES, guesses: None }
    }

    /// The same state with a guess for whatever is unknown: no account, zero, no code. Keys that were guessed are noted,
    /// so that what would be needed can be found out; what comes of such an execution is worth nothing else.
    #[must_use]
    pub const fn guessing(self, guesses: &'a Guesses) -> Self {
        Self { guesses: Some(guesses), ..self }
    }

    /// An answer, or the guess in its place.
    #[inline]
    fn or_guess<T: Default>(&self, answer: Result<T, Unknown>) -> Result<T, Unknown> {
        match (answer, self.guesses) {
            (Err(Unknown(key)), Some(guesses)) => {
                guesses.note(key);
                Ok(T::default())
            }
            (answer, _) => answer,
        }
    }

    /// The same state, with the hashes of the blocks that led to it.
    #[must_use]
    pub const fn with_hashes(self, hashes: &'a BlockHashes) -> Self {
        Self { hashes, ..self }
    }

    /// The state after `layers`, the newest first, instead of any before.
    #[must_use]
    pub const fn with_layers(self, layers: &'a [Arc<ChangeSet>]) -> Self {
        Self { layers, ..self }
    }

    /// All slots of an account that are not zero; `None` where there may be others that are not known.
    pub fn slots(&self, address: &Address) -> Option<Cow<'a, HashMap<U256, U256>>> {
        // Down to where the storage was last void, and up again.
        let mut written = Vec::new();
        let mut is_void = false;
        for layer in self.layers {
            let Some(change) = layer.accounts.get(address) else { continue };
            if change.account.is_some() && !change.storage.is_empty() {
                written.push(&change.storage);
            }
            is_void = change.storage_wiped || change.account.is_none();
            if is_void {
                break;
            }
        }
        let mut slots = if is_void { Cow::default() } else { self.base.slots(address)? };
        for storage in written.into_iter().rev() {
            let slots = slots.to_mut();
            slots.extend(storage);
            slots.retain(|_, value| !value.is_zero());
        }
        Some(slots)
    }

    /// What takes the state after `changes` back to this one.
    ///
    /// # Errors
    /// A changed account or slot that is not known here, or an account whose storage is to be restored but cannot
    /// be listed.
    pub fn undo(&self, changes: &ChangeSet) -> Result<ChangeSet, Unknown> {
        let mut undo = ChangeSet::default();
        undo.accounts.reserve(changes.accounts.len());
        for (address, change) in &changes.accounts {
            let rewrites_all = change.storage_wiped || change.account.is_none();
            let storage = if rewrites_all {
                self.slots(address).ok_or(Unknown(StateKey::Account(*address)))?.into_owned()
            } else {
                let before = |slot: &U256| Ok((*slot, self.storage(address, slot)?));
                change.storage.keys().map(before).collect::<Result<_, _>>()?
            };
            // Slots that only the changes wrote go with the wipe.
            let account = self.account(address)?;
            undo.accounts.insert(*address, AccountChange { account, storage_wiped: rewrites_all, storage });
        }
        Ok(undo)
    }

    /// Whether `changes` concern an account that has storage, but neither code nor a nonce.
    ///
    /// Before Spurious Dragon a creation that stored something and left no code made such accounts;
    /// a pre-state can hold them anywhere. revm's block state takes their storage for empty once they
    /// have changed, so only it can say what becomes of them.
    pub fn changes_bare_storage(&self, changes: &ChangeSet) -> bool {
        if self.layers.is_empty() && !self.base.may_have_bare_storage() {
            return false;
        }
        changes.accounts.iter().any(|(address, change)| {
            let is_bare = self.account(address).is_ok_and(|account| account.is_some_and(|a| a.is_bare()));
            // A creation wipes what cannot be listed, too, and only revm's block state can say whether it does.
            is_bare && (self.has_storage(address) || (change.storage_wiped && self.slots(address).is_none()))
        })
    }
}

impl View<'_> {
    /// Whether the account has storage, as far as that is known: a slot that nobody asked for is none that a block has
    /// to do with.
    fn has_storage(&self, address: &Address) -> bool {
        self.slots(address).map_or_else(
            || {
                let mut changes = self.layers.iter().filter_map(|layer| layer.accounts.get(address));
                changes.any(|change| change.storage.values().any(|value| !value.is_zero()))
                    || self.base.has_known_storage(address)
            },
            |slots| !slots.is_empty(),
        )
    }
}

impl<'a> Base<'a> {
    #[inline]
    fn account(self, address: &Address) -> Result<Option<Account>, Unknown> {
        match self {
            Self::World(world) => world.account(address),
            Self::Witness(witness) => witness.account(address),
            Self::Recorded(recorder) => recorder.account(address),
            Self::Supplied(supplied) => supplied.account(address),
        }
    }

    fn storage(self, address: &Address, slot: &U256) -> Result<U256, Unknown> {
        match self {
            Self::World(world) => world.storage(address, slot),
            Self::Witness(witness) => witness.storage(address, slot),
            Self::Recorded(recorder) => recorder.storage(address, slot),
            Self::Supplied(supplied) => supplied.storage(address, slot),
        }
    }

    fn code(self, hash: &B256) -> Result<Bytecode, Unknown> {
        match self {
            Self::World(world) => world.code(hash),
            Self::Witness(witness) => witness.code(hash),
            Self::Recorded(recorder) => recorder.code(hash),
            Self::Supplied(supplied) => supplied.code(hash),
        }
    }

    /// As [`View::slots`].
    fn slots(self, address: &Address) -> Option<Cow<'a, HashMap<U256, U256>>> {
        match self {
            Self::World(world) => Some(world.slots(address).map_or_else(Cow::default, Cow::Borrowed)),
            Self::Witness(witness) => witness.has_no_storage(address).then(Cow::default),
            Self::Recorded(recorder) => recorder.state().slots(address),
            Self::Supplied(_) => None,
        }
    }

    /// Whether there may be accounts with storage, but neither code nor a nonce.
    fn may_have_bare_storage(self) -> bool {
        match self {
            Self::World(world) => world.may_have_bare_storage(),
            Self::Witness(_) | Self::Recorded(_) | Self::Supplied(_) => true,
        }
    }

    /// Whether a slot of the account is known not to be zero.
    fn has_known_storage(self, address: &Address) -> bool {
        match self {
            Self::World(world) => world.slots(address).is_some(),
            Self::Witness(witness) => !witness.has_no_storage(address),
            Self::Recorded(recorder) => recorder.state().has_storage(address),
            Self::Supplied(supplied) => supplied.has_known_storage(address),
        }
    }
}

impl StateRead for View<'_> {
    #[inline]
    fn account(&self, address: &Address) -> Result<Option<Account>, Unknown> {
        match self.layers.iter().find_map(|layer| layer.accounts.get(address)) {
            Some(change) => Ok(change.account),
            None => self.or_guess(self.base.account(address)),
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Unknown> {
        for layer in self.layers {
            let Some(change) = layer.accounts.get(address) else { continue };
            if change.account.is_none() {
                return Ok(U256::ZERO);
            }
            if let Some(value) = change.storage.get(slot) {
                return Ok(*value);
            }
            if change.storage_wiped {
                return Ok(U256::ZERO);
            }
        }
        self.or_guess(self.base.storage(address, slot))
    }

    fn code(&self, hash: &B256) -> Result<Bytecode, Unknown> {
        match self.layers.iter().find_map(|layer| layer.codes.get(hash)) {
            Some(code) => Ok(code.clone()),
            None => self.or_guess(self.base.code(hash)),
        }
    }

    fn block_hash(&self, number: u64) -> Result<B256, Unknown> {
        if let Base::Recorded(recorder) = self.base {
            return self.or_guess(recorder.block_hash(number));
        }
        self.or_guess(self.hashes.get(number).ok_or(Unknown(StateKey::BlockHash(number))))
    }
}
