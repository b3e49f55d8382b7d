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

mod rules;
#[cfg(test)]
mod tests;

pub use rules::TransferRules;

use crate::{
    block::SignedTx,
    state::{Account, AccountEntry, BlockState, StateRead},
};
use alloy_primitives::{Address, U256};
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
    is_parallel: bool,
    transfers: Vec<Transfer>,
    parties: Vec<Parties>,
    ids: BatchIds,
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

/// Ids of the accounts of a batch, from 0 on in order of first sight, beside their ids in the block.
#[derive(Clone, Debug, Default)]
struct BatchIds {
    /// For each id in the block the batch that saw it last, and its id there.
    seen: Vec<(u32, u32)>,
    /// For each id in the batch its id in the block.
    in_block: Vec<u32>,
    batch: u32,
}

impl BatchIds {
    fn begin(&mut self) {
        self.in_block.clear();
        self.batch += 1;
    }

    /// The id in this batch of an account with an id in the block.
    fn of(&mut self, in_block: u32) -> u32 {
        let at = in_block as usize;
        if at >= self.seen.len() {
            self.seen.resize((at + 1).next_power_of_two(), (0, 0));
        }
        if self.seen[at].0 != self.batch {
            #[allow(clippy::cast_possible_truncation, reason = "no more than there are ids in the block")]
            let id = self.in_block.len() as u32;
            self.in_block.push(in_block);
            self.seen[at] = (self.batch, id);
        }
        self.seen[at].1
    }
}

impl TransferLane {
    /// A lane for one block. With `is_parallel` it works on the threads of rayon's pool where that pays;
    /// its caller must then hold no lock on the state that another task of the pool waits for.
    #[must_use]
    pub fn new(is_parallel: bool) -> Self {
        Self {
            is_parallel,
            transfers: Vec::new(),
            parties: Vec::new(),
            ids: BatchIds::default(),
            accounts: Vec::new(),
            starts: Vec::new(),
            window: BATCH_LEN_MAX,
            failures: 0,
        }
    }

    /// Executes the transactions of a run in order, as far as they go, and writes what they change to
    /// `state`. `gas_used_before` is the gas used by the block's earlier transactions.
    ///
    /// `engine` executes a batch as the transfer kernel's contract says, like [`serial::run`] or an
    /// accelerator's way. After two rescans behind failures the serial table takes its place, so that
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
        state: &mut BlockState<'_>,
        transactions: &[SignedTx],
        senders: &[Address],
    ) -> u32 {
        self.read_forms(rules, state, transactions, senders);
        let beneficiary = self.number(rules.beneficiary(), state);
        state.load_accounts(self.is_parallel);
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
    fn read_forms(
        &mut self,
        rules: &TransferRules,
        state: &BlockState<'_>,
        transactions: &[SignedTx],
        senders: &[Address],
    ) {
        let accounts = state.accounts();
        let read = |(tx, sender): (&SignedTx, &Address)| {
            let (transfer, recipient) = rules.transfer(tx)?;
            let hashes = [accounts.hash(sender), accounts.hash(&recipient)];
            Some((transfer, Parties { sender: *sender, recipient, hashes }))
        };
        let plain = if transactions.len() < PARALLEL_LEN_MIN || !self.is_parallel {
            self.transfers.clear();
            self.parties.clear();
            for (transfer, parties) in transactions.iter().zip(senders).map_while(read) {
                self.transfers.push(transfer);
                self.parties.push(parties);
            }
            self.transfers.len()
        } else {
            // No transfer has a gas limit of zero, so the default says that there is none.
            let rows = transactions.par_iter().zip(senders).with_min_len(PARALLEL_LEN_MIN / 2);
            rows.map(|row| read(row).unwrap_or_default())
                .unzip_into_vecs(&mut self.transfers, &mut self.parties);
            let first = self.transfers.iter().position(|transfer| transfer.gas_limit == 0);
            first.unwrap_or(transactions.len())
        };
        self.transfers.truncate(plain);
    }

    /// Deals out ids to the parties in order of transactions, and then to the fee recipient, whose id is
    /// returned.
    fn number(&mut self, beneficiary: Address, state: &mut BlockState<'_>) -> u32 {
        let accounts = state.accounts_mut();
        accounts.reserve(2 * self.transfers.len() + 1);
        self.ids.begin();
        for (transfer, parties) in self.transfers.iter_mut().zip(&self.parties) {
            transfer.sender = self.ids.of(accounts.number(&parties.sender, parties.hashes[0]));
            transfer.recipient = self.ids.of(accounts.number(&parties.recipient, parties.hashes[1]));
        }
        let hash = accounts.hash(&beneficiary);
        self.ids.of(accounts.number(&beneficiary, hash))
    }

    /// Makes the kernel's rows of the accounts of the batch.
    fn read_accounts(&mut self, rules: &TransferRules, state: &BlockState<'_>) {
        self.accounts.clear();
        self.accounts.reserve(self.ids.in_block.len());
        self.starts.clear();
        for &id in &self.ids.in_block {
            let entry = state.accounts().entry(id);
            let account = entry.now.unwrap_or_default();
            let row = kernel::Account { balance: account.balance.into_limbs(), nonce: account.nonce };
            self.accounts.push(row);
            self.starts.push(Start::of(rules, state, entry));
        }
    }

    /// Writes the accounts that the first `done` transfers touched.
    fn write_back(&self, rules: &TransferRules, state: &mut BlockState<'_>, done: usize, beneficiary: u32) {
        // Ids were dealt out in order, so those of the first transfers are the first ids.
        let ids = self.transfers[..done].iter().map(|transfer| transfer.sender.max(transfer.recipient));
        let Some(last) = ids.max() else { return };
        let apart = (beneficiary > last).then_some(beneficiary);
        for id in (0..=last).chain(apart) {
            let kernel::Account { balance, nonce } = self.accounts[id as usize];
            let entry = state.accounts_mut().entry_mut(self.ids.in_block[id as usize]);
            let code_hash = entry.now.unwrap_or_default().code_hash;
            let account = Account { balance: U256::from_limbs(balance), nonce, code_hash };
            if !account.is_empty() || !rules.clears_empty_accounts() {
                entry.set(Some(account));
            }
        }
    }
}

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

    const fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    fn of(rules: &TransferRules, state: &BlockState<'_>, entry: &AccountEntry) -> Self {
        let all = Self(Self::MAY_SEND | Self::MAY_RECEIVE | Self::MAY_BE_CREDITED);
        let Some(account) = entry.now else { return if entry.is_unknown { Self(0) } else { all } };
        if account.has_code() {
            let delegated = rules.allows_delegation()
                && state.code(&account.code_hash).is_ok_and(|code| code.is_eip7702());
            return Self(Self::MAY_BE_CREDITED | if delegated { Self::MAY_SEND } else { 0 });
        }
        if account.is_empty() && rules.clears_empty_accounts() {
            // Touching would remove it, and its storage, if only until it is credited.
            return Self(0);
        }
        all
    }
}
