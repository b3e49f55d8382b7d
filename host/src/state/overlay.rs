//! What the block under execution has changed so far, over the state before it.

use super::{Account, AccountChange, ChangeSet, StateRead, Unknown, View, accounts::AccountTable};
use alloy_primitives::{
    Address, B256, U256,
    map::{AddressMap, B256Map},
};
use revm::state::{Account as RevmAccount, AccountInfo, Bytecode};

/// The state before a block with what the block under execution has changed.
#[derive(Clone, Debug)]
pub struct BlockState<'a> {
    base: View<'a>,
    accounts: AccountTable,
    codes: B256Map<Bytecode>,
    /// The first key that revm asked for and that is not known.
    unknown: Option<Unknown>,
}

/// What a block has changed so far, apart from the state before it, of which more may become known meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    accounts: AccountTable,
    codes: B256Map<Bytecode>,
}

impl<'a> BlockState<'a> {
    /// Goes on over `base`, which must be the same state as before, if better known. Accounts that were unknown are
    /// looked up again.
    pub fn resume(base: impl Into<View<'a>>, overlay: Overlay) -> Self {
        let (base, Overlay { mut accounts, codes }) = (base.into(), overlay);
        accounts.load_unknown(&base);
        Self { base, accounts, codes, unknown: None }
    }

    /// Lets go of the state before the block.
    pub fn pause(self) -> Overlay {
        Overlay { accounts: self.accounts, codes: self.codes }
    }

    /// The state before the first change of the block.
    pub fn new(base: impl Into<View<'a>>) -> Self {
        Self {
            base: base.into(),
            accounts: AccountTable::default(),
            codes: B256Map::default(),
            unknown: None,
        }
    }

    /// The first key that was asked for through revm's own interface and that is not known: whatever error revm or alloy-evm
    /// makes of that, it is not the block's.
    pub const fn first_unknown(&self) -> Option<Unknown> {
        self.unknown
    }

    fn noted<T>(&mut self, answer: Result<T, Unknown>) -> Result<T, Unknown> {
        self.unknown = self.unknown.or(answer.as_ref().err().copied());
        answer
    }

    /// The numbered accounts, for lanes that work on many at once.
    pub(crate) const fn accounts(&self) -> &AccountTable {
        &self.accounts
    }

    /// The numbered accounts, to be changed.
    pub(crate) const fn accounts_mut(&mut self) -> &mut AccountTable {
        &mut self.accounts
    }

    /// Looks up what was numbered in [`Self::accounts_mut`].
    pub(crate) fn load_accounts(&mut self, is_parallel: bool) {
        self.accounts.load(&self.base, is_parallel);
    }

    /// Makes room for `accounts` more changed accounts.
    pub fn reserve(&mut self, accounts: usize) {
        self.accounts.reserve(accounts);
    }

    /// Sets an account; `None` removes it together with its storage (EIP-161, `SELFDESTRUCT`).
    pub fn set_account(&mut self, address: Address, account: Option<Account>) {
        self.accounts.get_or_load(&address, &self.base).set(account);
    }

    /// Credits `amount` to an account and touches it, as the payment of a fee does: from Spurious
    /// Dragon on (`eip161`) an account that is then empty is removed, before it is created.
    ///
    /// Where the sum would exceed 256 bits nothing is credited, as revm has it.
    pub fn credit(&mut self, address: Address, amount: U256, eip161: bool) -> Result<(), Unknown> {
        let before = self.account(&address)?;
        let mut account = before.unwrap_or_default();
        account.balance = account.balance.checked_add(amount).unwrap_or(account.balance);
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
            self.codes.entry(account.info.code_hash).or_insert_with(|| code.clone());
        }
        let entry = self.accounts.get_or_load(&address, &self.base);
        entry.set(Some(Account::from(&account.info)));
        if created {
            entry.wipe_storage();
        }
        for (slot, value) in account.storage {
            if value.is_changed() {
                entry.storage.get_or_insert_default().slots.insert(slot, value.present_value);
            }
        }
    }

    /// The changes as plain data, without those that changed nothing.
    pub fn into_changes(self) -> ChangeSet {
        let Self { base, accounts, codes, .. } = self;
        let mut changes = ChangeSet { codes, ..ChangeSet::default() };
        changes.accounts.reserve(accounts.len());
        for (address, entry) in accounts.into_entries() {
            let change = match entry.storage {
                // By far the most: nothing but balance and nonce.
                None if entry.now == entry.before => continue,
                None => AccountChange { account: entry.now, ..AccountChange::default() },
                Some(storage) => {
                    let change = AccountChange {
                        account: entry.now,
                        storage_wiped: storage.wiped,
                        storage: storage.slots,
                    };
                    let Some(change) = change.normalised(&base, &address) else { continue };
                    change
                }
            };
            changes.accounts.insert(address, change);
        }
        changes
    }
}

impl StateRead for BlockState<'_> {
    fn account(&self, address: &Address) -> Result<Option<Account>, Unknown> {
        match self.accounts.get(address) {
            Some(entry) => entry.read(address),
            None => self.base.account(address),
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Unknown> {
        if let Some(storage) = self.accounts.get(address).and_then(|entry| entry.storage.as_ref()) {
            if let Some(value) = storage.slots.get(slot) {
                return Ok(*value);
            }
            if storage.wiped {
                return Ok(U256::ZERO);
            }
        }
        self.base.storage(address, slot)
    }

    fn code(&self, hash: &B256) -> Result<Bytecode, Unknown> {
        match self.codes.get(hash) {
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
        let account = self.account(&address);
        Ok(self.noted(account)?.map(AccountInfo::from))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Unknown> {
        let code = self.code(&code_hash);
        self.noted(code)
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, Unknown> {
        let value = StateRead::storage(self, &address, &index);
        self.noted(value)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Unknown> {
        let hash = StateRead::block_hash(self, number);
        self.noted(hash)
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
