//! The transfer lane: runs of plain transfers, executed as constant changes of accounts.
//!
//! It promises what sequential revm would make of the same transactions, up to the first that is no
//! plain transfer, or that revm would refuse: there it ends, and that transaction is for revm to decide.
//!
//! A plain transfer sends value to an account without code that is no precompile, from one without code
//! or with a delegation (EIP-3607 as amended by EIP-7702). Everything it does follows from the
//! transaction and the block ([`TransferRules`]), so that a run becomes a batch of the transfer kernel
//! over accounts that are each looked up once. From Spurious Dragon on a touched account that is empty
//! does not come into being (EIP-161), before it does; where an empty account exists already, which
//! touching would remove with its storage, the lane stands back.

mod intern;
mod rules;

pub use rules::TransferRules;

use crate::{
    block::SignedTx,
    state::{Account, BlockState, StateRead},
};
use alloy_primitives::{Address, U256};
use intern::Interner;
use outrider_kernels::transfer::{self as kernel, Reason, Settled, Terms, Transfer, serial};
use rayon::prelude::*;

/// Runs shorter than this stay on one thread: waking another costs more than it saves.
const PARALLEL_LEN_MIN: usize = 512;

/// Most transactions of one batch: what a device takes at once.
const BATCH_LEN_MAX: usize = outrider_kernels::gpu::BATCH_LEN_MAX;

/// Transactions that are taken at once behind one that ended a run, at least.
const WINDOW_LEN_MIN: usize = 16;

/// Failures in a block after which the serial table takes the rest, whatever the engine.
const RESCANS_MAX: u32 = 2;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All transactions are executed.
    All,
    /// The next transaction is no plain transfer, by its form or by its accounts, or it needs an account
    /// that is not known.
    NotPlain,
    /// The next transaction is one, but revm would refuse it, or halt.
    Fails(Reason),
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferRun {
    /// Gas used by each executed transaction; all of them succeeded, without logs.
    pub gas_used: Vec<u64>,
    /// Why there are not more of them.
    pub end: End,
}

/// The lane, with the memory that it uses again from run to run. One for each block: it learns how
/// far runs go there.
#[derive(Clone, Debug)]
pub struct TransferLane {
    interner: Interner,
    transfers: Vec<Transfer>,
    parties: Vec<Parties>,
    accounts: Vec<kernel::Account>,
    starts: Vec<Start>,
    /// Transactions to take at once.
    window: usize,
    /// Batches of this block that ended at a failure.
    failures: u32,
}

/// Sender and recipient of a transaction, and their hashes.
#[derive(Clone, Copy, Debug, Default)]
struct Parties {
    sender: Address,
    recipient: Address,
    hashes: [u64; 2],
}

impl Default for TransferLane {
    fn default() -> Self {
        Self {
            interner: Interner::default(),
            transfers: Vec::new(),
            parties: Vec::new(),
            accounts: Vec::new(),
            starts: Vec::new(),
            window: BATCH_LEN_MAX,
            failures: 0,
        }
    }
}

impl TransferLane {
    /// Executes the transactions of a run in order, as far as they go, and writes what they change to
    /// `state`. `gas_used_before` is the gas used by the block's earlier transactions.
    ///
    /// `engine` executes a batch as the transfer kernel's contract says, like [`serial::run`] or an
    /// accelerator's way. After [`RESCANS_MAX`] failures the serial table takes its place, so that
    /// many bad transactions never cost as many scans.
    pub fn run(
        &mut self,
        rules: &TransferRules,
        state: &mut BlockState<'_>,
        transactions: &[SignedTx],
        senders: &[Address],
        gas_used_before: u64,
        mut engine: impl FnMut(&mut [kernel::Account], &[Transfer], Terms) -> Settled,
    ) -> TransferRun {
        let mut run = TransferRun { gas_used: Vec::with_capacity(transactions.len()), end: End::All };
        let mut gas_available = rules.gas_limit().saturating_sub(gas_used_before);
        while run.end == End::All && run.gas_used.len() < transactions.len() {
            let from = run.gas_used.len();
            let to = transactions.len().min(from + self.window);
            let (transactions, senders) = (&transactions[from..to], &senders[from..to]);
            let beneficiary = self.prepare(rules, state, transactions, senders);
            let terms = Terms { fee_recipient: Some(beneficiary), gas_available };
            let settled = if self.failures > RESCANS_MAX {
                serial::run(&mut self.accounts, &self.transfers, terms)
            } else {
                engine(&mut self.accounts, &self.transfers, terms)
            };
            self.write_back(rules, state, settled.done, beneficiary);
            gas_available -= settled.gas_used;
            run.gas_used.extend(self.transfers[..settled.done].iter().map(|transfer| transfer.gas_used));
            self.window = if settled.done == transactions.len() {
                (2 * self.window).min(BATCH_LEN_MAX)
            } else {
                // What lies behind is read anew, so the next step is no longer than this one went.
                settled.done.clamp(WINDOW_LEN_MIN, BATCH_LEN_MAX)
            };
            if let Some(failure) = settled.failure {
                self.failures += 1;
                run.end = End::Fails(failure.reason);
            } else if settled.done < transactions.len() {
                run.end = End::NotPlain;
            }
        }
        run
    }

    /// Makes a batch of the transactions up to the first that is no plain transfer. Returns the id of
    /// the fee recipient.
    fn prepare(
        &mut self,
        rules: &TransferRules,
        state: &BlockState<'_>,
        transactions: &[SignedTx],
        senders: &[Address],
    ) -> u32 {
        self.read_forms(rules, transactions, senders);
        let beneficiary = self.intern(rules.beneficiary());
        self.read_accounts(rules, state);
        let plain = if self.starts[beneficiary as usize].has(Start::MAY_BE_CREDITED) {
            self.transfers.iter().position(|transfer| {
                !self.starts[transfer.sender as usize].has(Start::MAY_SEND)
                    || !self.starts[transfer.recipient as usize].has(Start::MAY_RECEIVE)
            })
        } else {
            Some(0)
        };
        self.transfers.truncate(plain.unwrap_or(self.transfers.len()));
        beneficiary
    }

    /// Takes the transactions up to the first that is no plain transfer by its form.
    fn read_forms(&mut self, rules: &TransferRules, transactions: &[SignedTx], senders: &[Address]) {
        let len = transactions.len();
        self.transfers.resize(len, Transfer::default());
        self.parties.resize(len, Parties::default());
        let interner = &self.interner;
        let read = |((transfer, parties), (tx, sender)): RowAndTransaction<'_>| {
            let Some((form, recipient)) = rules.transfer(tx) else { return false };
            *transfer = form;
            let hashes = [interner.hash(sender), interner.hash(&recipient)];
            *parties = Parties { sender: *sender, recipient, hashes };
            true
        };
        let plain = if len < PARALLEL_LEN_MIN {
            let rows = self.transfers.iter_mut().zip(&mut self.parties);
            rows.zip(transactions.iter().zip(senders)).position(|row| !read(row))
        } else {
            let rows = self.transfers.par_iter_mut().zip(&mut self.parties);
            rows.zip(transactions.par_iter().zip(senders))
                .with_min_len(PARALLEL_LEN_MIN / 2)
                .position_first(|row| !read(row))
        };
        self.transfers.truncate(plain.unwrap_or(len));
    }

    /// Deals out ids to the parties in order of transactions, and then to the fee recipient, whose id is
    /// returned.
    fn intern(&mut self, beneficiary: Address) -> u32 {
        self.interner.reset(2 * self.transfers.len() + 1);
        for (transfer, parties) in self.transfers.iter_mut().zip(&self.parties) {
            transfer.sender = self.interner.intern(&parties.sender, parties.hashes[0]);
            transfer.recipient = self.interner.intern(&parties.recipient, parties.hashes[1]);
        }
        let hash = self.interner.hash(&beneficiary);
        self.interner.intern(&beneficiary, hash)
    }

    /// Looks every account up.
    fn read_accounts(&mut self, rules: &TransferRules, state: &BlockState<'_>) {
        let addresses = self.interner.addresses();
        self.accounts.resize(addresses.len(), kernel::Account::default());
        self.starts.resize(addresses.len(), Start::default());
        let read = |((account, start), address): ((&mut kernel::Account, &mut Start), &Address)| {
            (*account, *start) = Start::read(rules, state, address);
        };
        if addresses.len() < PARALLEL_LEN_MIN {
            self.accounts.iter_mut().zip(&mut self.starts).zip(addresses).for_each(read);
        } else {
            let rows = self.accounts.par_iter_mut().zip(&mut self.starts);
            rows.zip(addresses).with_min_len(PARALLEL_LEN_MIN / 2).for_each(read);
        }
    }

    /// Writes the accounts that the first `done` transfers touched.
    fn write_back(&self, rules: &TransferRules, state: &mut BlockState<'_>, done: usize, beneficiary: u32) {
        // Ids were dealt out in order, so those of the first transfers are the first ids.
        let ids = self.transfers[..done].iter().map(|transfer| transfer.sender.max(transfer.recipient));
        let Some(last) = ids.max() else { return };
        state.reserve(last as usize + 2);
        let apart = (beneficiary > last).then_some(beneficiary);
        for id in (0..=last).chain(apart) {
            let id = id as usize;
            let (address, kernel::Account { balance, nonce }) =
                (self.interner.addresses()[id], self.accounts[id]);
            let mut account = Account { balance: U256::from_limbs(balance), nonce, ..Account::default() };
            if self.starts[id].has(Start::HAS_CODE) {
                // Was read a moment ago.
                account.code_hash = state.account(&address).ok().flatten().unwrap_or_default().code_hash;
            }
            if !account.is_empty() || !rules.clears_empty_accounts() {
                state.set_account(address, Some(account));
            }
        }
    }
}

/// A row to be filled, and what from.
type RowAndTransaction<'a> = ((&'a mut Transfer, &'a mut Parties), (&'a SignedTx, &'a Address));

/// What an account was before the batch: a set of flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Start(u8);

impl Start {
    /// It may be the sender of a plain transfer.
    const MAY_SEND: u8 = 1;
    /// It may be the recipient of one.
    const MAY_RECEIVE: u8 = 2;
    /// It may be credited with a fee.
    const MAY_BE_CREDITED: u8 = 4;
    /// It has code.
    const HAS_CODE: u8 = 8;

    const fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    fn read(rules: &TransferRules, state: &BlockState<'_>, address: &Address) -> (kernel::Account, Self) {
        let all = Self(Self::MAY_SEND | Self::MAY_RECEIVE | Self::MAY_BE_CREDITED);
        let Ok(found) = state.account(address) else { return (kernel::Account::default(), Self(0)) };
        let Some(account) = found else { return (kernel::Account::default(), all) };
        let row = kernel::Account { balance: account.balance.into_limbs(), nonce: account.nonce };
        if account.has_code() {
            let delegated = rules.allows_delegation()
                && state.code(&account.code_hash).is_ok_and(|code| code.is_eip7702());
            let may_send = if delegated { Self::MAY_SEND } else { 0 };
            return (row, Self(may_send | Self::MAY_BE_CREDITED | Self::HAS_CODE));
        }
        if account.is_empty() && rules.clears_empty_accounts() {
            // Touching would remove it, and its storage, if only until it is credited.
            return (row, Self(0));
        }
        (row, all)
    }
}
