//! What the block under execution has changed so far, over the state before it.

use super::{Account, AccountChange, ChangeSet, StateRead, Unknown, World};
use alloy_primitives::{
    Address, B256, U256,
    map::{AddressMap, B256Map, HashMap},
};
use revm::state::{Account as RevmAccount, AccountInfo, Bytecode};

/// One account as a block has left it so far.
#[derive(Clone, Debug, Default)]
pub struct OverlayAccount {
    /// The account, or `None` where it does not exist (any more).
    pub account: Option<Account>,
    /// Whether what the state before the block holds in this account's storage is void.
    pub storage_wiped: bool,
    /// Slots written in this block.
    pub storage: HashMap<U256, U256>,
}

/// Changes of a block, keyed by account.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    accounts: AddressMap<OverlayAccount>,
    codes: B256Map<Bytecode>,
}

/// A [`World`] with the [`Overlay`] of the block under execution.
#[derive(Clone, Debug)]
pub struct BlockState<'a> {
    base: &'a World,
    overlay: Overlay,
}

impl<'a> BlockState<'a> {
    /// The state before the first change of the block.
    pub fn new(base: &'a World) -> Self {
        Self { base, overlay: Overlay::default() }
    }

    /// The state before the block.
    pub const fn base(&self) -> &'a World {
        self.base
    }

    /// Makes room for `accounts` more changed accounts.
    pub fn reserve(&mut self, accounts: usize) {
        self.overlay.accounts.reserve(accounts);
    }

    /// Sets an account; `None` removes it together with its storage (EIP-161, `SELFDESTRUCT`).
    pub fn set_account(&mut self, address: Address, account: Option<Account>) {
        let entry = self.overlay.accounts.entry(address).or_default();
        entry.account = account;
        if account.is_none() {
            entry.storage_wiped = true;
            entry.storage.clear();
        }
    }

    /// Credits `amount` to an account and touches it, as the payment of a fee does: from Spurious
    /// Dragon on (`eip161`) an account that is then empty is removed, before it is created.
    ///
    /// A sum beyond 256 bits is clamped, as revm clamps it.
    pub fn credit(&mut self, address: Address, amount: U256, eip161: bool) -> Result<(), Unknown> {
        let before = self.account(&address)?;
        let mut account = before.unwrap_or_default();
        account.balance = account.balance.saturating_add(amount);
        if eip161 && account.is_empty() {
            if before.is_some() {
                self.set_account(address, None);
            }
        } else if before != Some(account) {
            self.set_account(address, Some(account));
        }
        Ok(())
    }

    /// Applies one account that revm touched, with EIP-161 semantics: revm's journal has already
    /// turned the older rules into them when it is finalised.
    fn commit_account(&mut self, address: Address, account: RevmAccount) {
        if account.is_selfdestructed() || (account.is_empty() && !account.is_created()) {
            self.set_account(address, None);
            return;
        }
        let created = account.is_created();
        if let Some(code) = account.info.code.as_ref().filter(|code| !code.is_empty()) {
            self.overlay.codes.entry(account.info.code_hash).or_insert_with(|| code.clone());
        }
        let entry = self.overlay.accounts.entry(address).or_default();
        entry.account = Some(Account::from(&account.info));
        if created {
            entry.storage_wiped = true;
            entry.storage.clear();
        }
        for (slot, value) in account.storage {
            if value.is_changed() {
                entry.storage.insert(slot, value.present_value);
            }
        }
    }

    /// The changes as plain data, without those that changed nothing.
    pub fn into_changes(self) -> ChangeSet {
        let base = self.base;
        let mut changes = ChangeSet { codes: self.overlay.codes, ..ChangeSet::default() };
        changes.accounts.reserve(self.overlay.accounts.len());
        for (address, account) in self.overlay.accounts {
            let change = AccountChange {
                account: account.account,
                storage_wiped: account.storage_wiped,
                storage: account.storage,
            };
            if let Some(change) = change.normalised(base, &address) {
                changes.accounts.insert(address, change);
            }
        }
        changes
    }
}

impl StateRead for BlockState<'_> {
    fn account(&self, address: &Address) -> Result<Option<Account>, Unknown> {
        match self.overlay.accounts.get(address) {
            Some(entry) => Ok(entry.account),
            None => self.base.account(address),
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Unknown> {
        if let Some(entry) = self.overlay.accounts.get(address) {
            if let Some(value) = entry.storage.get(slot) {
                return Ok(*value);
            }
            if entry.storage_wiped {
                return Ok(U256::ZERO);
            }
        }
        self.base.storage(address, slot)
    }

    fn code(&self, hash: &B256) -> Result<Bytecode, Unknown> {
        match self.overlay.codes.get(hash) {
            Some(code) => Ok(code.clone()),
            None => self.base.code(hash),
        }
    }

    fn block_hash(&self, number: u64) -> Result<B256, Unknown> {
        self.base.block_hash(number)
    }
}

impl revm::Database for BlockState<'_> {
    type Error = Unknown;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Unknown> {
        Ok(self.account(&address)?.map(AccountInfo::from))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Unknown> {
        self.code(&code_hash)
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, Unknown> {
        StateRead::storage(self, &address, &index)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Unknown> {
        StateRead::block_hash(self, number)
    }
}

impl revm::DatabaseCommit for BlockState<'_> {
    fn commit(&mut self, changes: AddressMap<RevmAccount>) {
        for (address, account) in changes {
            if account.is_touched() {
                self.commit_account(address, account);
            }
        }
    }
}
