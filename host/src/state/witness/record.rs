//! Which keys of a state an execution reads.

use crate::state::{Account, StateRead, Unknown, View};
use alloy_primitives::{Address, B256, U256};
use revm::state::Bytecode;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The keys that were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Accounts, each with its slots that were read.
    pub accounts: BTreeMap<Address, BTreeSet<U256>>,
    /// Hashes of codes.
    pub codes: BTreeSet<B256>,
    /// Numbers of the blocks whose hashes were read.
    pub block_hashes: BTreeSet<u64>,
}

/// Reads a state for others, and notes down what.
#[derive(Debug)]
pub struct Recorder<'a> {
    state: View<'a>,
    reads: Mutex<Reads>,
}

impl<'a> Recorder<'a> {
    /// Nothing was read yet.
    pub fn new(state: View<'a>) -> Self {
        Self { state, reads: Mutex::default() }
    }

    /// The state that is read.
    pub const fn state(&self) -> View<'a> {
        self.state
    }

    /// What was read.
    pub fn into_reads(self) -> Reads {
        self.reads.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn reads(&self) -> MutexGuard<'_, Reads> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateRead for Recorder<'_> {
    fn account(&self, address: &Address) -> Result<Option<Account>, Unknown> {
        self.reads().accounts.entry(*address).or_default();
        self.state.account(address)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Unknown> {
        self.reads().accounts.entry(*address).or_default().insert(*slot);
        self.state.storage(address, slot)
    }

    fn code(&self, hash: &B256) -> Result<Bytecode, Unknown> {
        self.reads().codes.insert(*hash);
        self.state.code(hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, Unknown> {
        self.reads().block_hashes.insert(number);
        self.state.block_hash(number)
    }
}
