//! State: what is known before a block, what a block changed, and the roots of both.
//!
//! Every read goes through [`StateRead`]: a key that was not supplied is [`Unknown`], never zero.
//! [`View`] is the state at a block boundary, most often a [`World`]; [`BlockState`] adds what the
//! block under execution has changed so far, and [`ChangeSet`] is that difference as plain data,
//! comparable between a parallel run and the sequential reference.

mod accounts;
mod changes;
mod overlay;
mod root;
mod supplied;
#[cfg(test)]
mod tests;
mod tries;
mod versions;
mod view;
mod witness;
mod world;

pub(crate) use accounts::AccountEntry;
pub use changes::{AccountChange, ChangeSet};
pub use overlay::{BlockState, Overlay};
pub use root::StateTrie;
pub use supplied::{StateValue, Supplied};
pub use tries::Tries;
pub use versions::{Snapshot, SupplyError, VersionError, VersionLimits, Versions};
pub use view::{BLOCK_HASH_HISTORY, BlockHashes, Guesses, View};
pub use witness::{Reads, Recorder, WitnessState};
pub use world::{Completeness, World};

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use revm::{
    database_interface::DBErrorMarker,
    state::{AccountInfo, Bytecode},
};
use std::{cell::OnceCell, fmt};

/// An account without its storage: 72 bytes, so that a million of them stay cheap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Balance in wei.
    pub balance: U256,
    /// Number of transactions sent, or contracts created.
    pub nonce: u64,
    /// Keccak-256 of the code; [`KECCAK256_EMPTY`] when there is none.
    pub code_hash: B256,
}

impl Default for Account {
    fn default() -> Self {
        Self { balance: U256::ZERO, nonce: 0, code_hash: KECCAK256_EMPTY }
    }
}

impl Account {
    /// Whether the account is empty in the sense of EIP-161: no code, no balance, nonce zero.
    pub fn is_empty(&self) -> bool {
        self.balance.is_zero() && self.nonce == 0 && !self.has_code()
    }

    /// Whether it has neither code nor a nonce, as before its first transaction.
    pub fn is_bare(&self) -> bool {
        self.nonce == 0 && !self.has_code()
    }

    /// Whether code (a delegation designator included) is set.
    pub fn has_code(&self) -> bool {
        self.code_hash != KECCAK256_EMPTY
    }
}

impl From<&AccountInfo> for Account {
    fn from(info: &AccountInfo) -> Self {
        // revm writes a zero hash for accounts it never loaded code for.
        let code_hash = if info.code_hash.is_zero() { KECCAK256_EMPTY } else { info.code_hash };
        Self { balance: info.balance, nonce: info.nonce, code_hash }
    }
}

impl From<Account> for AccountInfo {
    fn from(account: Account) -> Self {
        Self {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            account_id: None,
            code: (!account.has_code()).then(Bytecode::default),
        }
    }
}

/// A key of the state, as reads name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateKey {
    /// Balance, nonce and code hash of an account.
    Account(Address),
    /// A storage slot.
    Storage(Address, U256),
    /// Code by its hash.
    Code(B256),
    /// Hash of an earlier block, by number.
    BlockHash(u64),
}

impl fmt::Display for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(address) => write!(f, "account {address}"),
            Self::Storage(address, slot) => write!(f, "storage of {address} at {slot:#x}"),
            Self::Code(hash) => write!(f, "code with hash {hash}"),
            Self::BlockHash(number) => write!(f, "hash of block {number}"),
        }
    }
}

/// The answer to a read of a key that was not supplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("state is not known: {0}")]
pub struct Unknown(pub StateKey);

impl DBErrorMarker for Unknown {}

/// Reads of a state. An absent account is `Ok(None)`; a key outside what is known is [`Unknown`].
pub trait StateRead {
    /// The account, or `None` where it does not exist.
    fn account(&self, address: &Address) -> Result<Option<Account>, Unknown>;
    /// The value of a storage slot; zero where the account or the slot is absent.
    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Unknown>;
    /// Code by its hash, analysed.
    fn code(&self, hash: &B256) -> Result<Bytecode, Unknown>;
    /// Hash of the block with that number, on the chain of the block under execution.
    fn block_hash(&self, number: u64) -> Result<B256, Unknown>;
}

/// Adapts any [`StateRead`] to revm's read interface.
#[derive(Clone, Debug)]
pub struct AsDatabase<'a, S> {
    state: &'a S,
    unknown: OnceCell<Unknown>,
}

impl<'a, S: StateRead> AsDatabase<'a, S> {
    /// Reads of `state`.
    pub const fn new(state: &'a S) -> Self {
        Self { state, unknown: OnceCell::new() }
    }

    /// The first key that was asked for and that is not known. alloy-evm turns some errors of the state into others, which
    /// say that the block is at fault.
    pub fn first_unknown(&self) -> Option<Unknown> {
        self.unknown.get().copied()
    }

    fn noted<T>(&self, answer: Result<T, Unknown>) -> Result<T, Unknown> {
        answer.inspect_err(|unknown| {
            self.unknown.get_or_init(|| *unknown);
        })
    }
}

impl<S: StateRead> revm::DatabaseRef for AsDatabase<'_, S> {
    type Error = Unknown;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Unknown> {
        Ok(self.noted(self.state.account(&address))?.map(AccountInfo::from))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, Unknown> {
        self.noted(self.state.code(&code_hash))
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, Unknown> {
        self.noted(self.state.storage(&address, &index))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Unknown> {
        self.noted(self.state.block_hash(number))
    }
}
