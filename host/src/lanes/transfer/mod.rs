//! The transfer lane: runs of plain transfers, executed as constant changes of accounts.
//!
//! It promises what sequential revm would make of the same transactions, up to the first that is no
//! plain transfer, or that revm would refuse: there it ends, and that transaction is for revm to decide.
//!
//! A plain transfer sends value to an account without code that is no precompile, from one without code
//! or with a delegation (EIP-3607 as amended by EIP-7702). Everything it does follows from the
//! transaction and the block ([`TransferRules`]), so that a run becomes a batch of the transfer kernel
//! over accounts that are each looked up once. Accounts without balance, nonce and code that are
//! touched vanish from Spurious Dragon on (EIP-161), and come into being before.

mod intern;
mod rules;

pub use rules::TransferRules;

use crate::{
    block::SignedTx,
    state::{Account, BlockState, StateRead, Unknown},
};
use alloy_primitives::{Address, U256};
use intern::Interner;
use outrider_kernels::transfer::{self as kernel, Reason, Settled, Terms, Transfer};
use rayon::prelude::*;

/// Runs shorter than this stay on one thread: waking another costs more than it saves.
const PARALLEL_LEN_MIN: usize = 512;

/// Most transactions of one batch: what a device takes at once.
const BATCH_LEN_MAX: usize = outrider_kernels::gpu::BATCH_LEN_MAX;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All transactions are executed.
    All,
    /// The next transaction is no plain transfer, by its form or by its accounts.
    NotPlain,
    /// The next transaction is one, but revm would refuse it, or halt.
    Fails(Reason),
    /// The next transaction needs an account that is not known.
    Unknown(Unknown),
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferRun {
    /// Gas used by each executed transaction; all of them succeeded, without logs.
    pub gas_used: Vec<u64>,
    /// Why there are not more of them.
    pub end: End,
}

/// How batches are executed: the kernel's contract, fulfilled by its serial form, by its scan or by a
/// device with the CPU behind it.
pub trait Engine {
    /// Executes `transfers` in order up to the first that fails, and updates `accounts`.
    fn execute(&mut self, accounts: &mut [kernel::Account], transfers: &[Transfer], terms: Terms) -> Settled;
}

impl<F: FnMut(&mut [kernel::Account], &[Transfer], Terms) -> Settled> Engine for F {
    fn execute(&mut self, accounts: &mut [kernel::Account], transfers: &[Transfer], terms: Terms) -> Settled {
        self(accounts, transfers, terms)
    }
}

/// The lane, with the memory it uses again from run to run.
#[derive(Clone, Debug, Default)]
pub struct TransferLane {
    interner: Interner,
    transfers: Vec<Transfer>,
    parties: Vec<Party>,
    starts: Vec<Start>,
    accounts: Vec<kernel::Account>,
}

/// Sender and recipient of a transaction, and their hashes.
#[derive(Clone, Copy, Debug, Default)]
struct Party {
    sender: Address,
    recipient: Address,
    hashes: [u64; 2],
}

/// What an account is at the start of a batch.
#[derive(Clone, Copy, Debug)]
struct Start {
    account: Option<Account>,
    may_send: bool,
    may_receive: bool,
}

impl TransferLane {
    /// Executes the transactions of a run in order, as far as they go, and writes what they change to
    /// `state`. `gas_used_before` is the gas used by the block's earlier transactions.
    pub fn run(
        &mut self,
        rules: &TransferRules,
        state: &mut BlockState<'_>,
        transactions: &[SignedTx],
        senders: &[Address],
        gas_used_before: u64,
        engine: &mut impl Engine,
    ) -> TransferRun {
        let mut run = TransferRun { gas_used: Vec::with_capacity(transactions.len()), end: End::All };
        let mut gas_available = rules.gas_limit().saturating_sub(gas_used_before);
        for (transactions, senders) in transactions.chunks(BATCH_LEN_MAX).zip(senders.chunks(BATCH_LEN_MAX)) {
            let (settled, end) = self.batch(rules, state, transactions, senders, gas_available, engine);
            gas_available -= settled.gas_used;
            run.gas_used.extend(self.transfers[..settled.done].iter().map(|transfer| transfer.gas_used));
            run.end = end;
            if end != End::All {
                break;
            }
        }
        run
    }

    fn batch(
        &mut self,
        rules: &TransferRules,
        state: &mut BlockState<'_>,
        transactions: &[SignedTx],
        senders: &[Address],
        gas_available: u64,
        engine: &mut impl Engine,
    ) -> (Settled, End) {
        let t=std::time::Instant::now();
        let plain = self.read_forms(rules, transactions, senders);
        let t1=std::time::Instant::now();
        let mut end = if plain == transactions.len() { End::All } else { End::NotPlain };
        let beneficiary = self.intern(rules.beneficiary(), plain);
        let t2=std::time::Instant::now();
        if let Err((at, why)) = self.read_accounts(rules, state, plain, beneficiary) {
            self.transfers.truncate(at);
            end = why;
        }
        let t3=std::time::Instant::now();
        let terms = Terms { fee_recipient: Some(beneficiary), gas_available };
        let settled = engine.execute(&mut self.accounts, &self.transfers, terms);
        if let Some(failure) = settled.failure {
            end = End::Fails(failure.reason);
        }
        let t4=std::time::Instant::now();
        self.write_back(rules, state, settled.done, beneficiary);
        let t5=std::time::Instant::now();
        if std::env::var_os("T").is_some() { eprintln!("forms {:?} intern {:?} read {:?} exec {:?} write {:?}", t1-t,t2-t1,t3-t2,t4-t3,t5-t4); }
        (settled, end)
    }

    /// Takes the transactions up to the first that is no plain transfer by its form; returns their number.
    fn read_forms(&mut self, rules: &TransferRules, transactions: &[SignedTx], senders: &[Address]) -> usize {
        let len = transactions.len();
        self.transfers.resize(len, Transfer::default());
        self.parties.resize(len, Party::default());
        let interner = &self.interner;
        let read = |((transfer, party), (tx, sender)): ((&mut Transfer, &mut Party), (&SignedTx, &Address))| {
            let Some((form, recipient)) = rules.transfer(tx) else { return false };
            *transfer = form;
            let hashes = [interner.hash(sender), interner.hash(&recipient)];
            *party = Party { sender: *sender, recipient, hashes };
            true
        };
        let plain = if len < PARALLEL_LEN_MIN {
            let rows = self.transfers.iter_mut().zip(&mut self.parties);
            rows.zip(transactions.iter().zip(senders)).position(|row| !read(row))
        } else {
            let rows = self.transfers.par_iter_mut().zip(&mut self.parties);
            rows.zip(transactions.par_iter().zip(senders))
                .with_min_len(PARALLEL_LEN_MIN)
                .position_first(|row| !read(row))
        }
        .unwrap_or(len);
        self.transfers.truncate(plain);
        plain
    }

    /// Deals out ids to the parties and then to the beneficiary, whose id is returned.
    fn intern(&mut self, beneficiary: Address, plain: usize) -> u32 {
        self.interner.reset(2 * plain + 1);
        for (transfer, party) in self.transfers.iter_mut().zip(&self.parties) {
            transfer.sender = self.interner.intern(&party.sender, party.hashes[0]);
            transfer.recipient = self.interner.intern(&party.recipient, party.hashes[1]);
        }
        let hash = self.interner.hash(&beneficiary);
        self.interner.intern(&beneficiary, hash)
    }

    /// Looks every account up; fails at the first transaction whose accounts forbid it.
    fn read_accounts(
        &mut self,
        rules: &TransferRules,
        state: &BlockState<'_>,
        plain: usize,
        beneficiary: u32,
    ) -> Result<(), (usize, End)> {
        let start = |address: &Address| Start::read(rules, state, address);
        let addresses = self.interner.addresses();
        let starts: Vec<Result<Start, Unknown>> = if plain < PARALLEL_LEN_MIN {
            addresses.iter().map(start).collect()
        } else {
            addresses.par_iter().with_min_len(PARALLEL_LEN_MIN).map(start).collect()
        };
        self.starts.clear();
        let unknown = starts.iter().position(|start| start.is_err());
        let _ = unknown;
        self.starts.extend(starts.into_iter().map(|s| s.unwrap()));
        self.accounts.clear();
        self.accounts.extend(self.starts.iter().map(|s| s.account.map_or_else(Default::default, |a| kernel::Account { balance: a.balance.into_limbs(), nonce: a.nonce })));
        let _ = beneficiary;
        for (index, t) in self.transfers.iter().enumerate() {
            if !self.starts[t.sender as usize].may_send || !self.starts[t.recipient as usize].may_receive {
                return Err((index, End::NotPlain));
            }
        }
        Ok(())
    }

    fn write_back(&mut self, rules: &TransferRules, state: &mut BlockState<'_>, done: usize, beneficiary: u32) {
        let _ = (rules, done, beneficiary);
        state.reserve(self.accounts.len());
        for ((address, start), account) in self.interner.addresses().iter().zip(&self.starts).zip(&self.accounts) {
            let mut now = start.account.unwrap_or_default();
            now.balance = U256::from_limbs(account.balance);
            now.nonce = account.nonce;
            state.set_account(*address, Some(now));
        }
    }
}

impl Start {
    fn read(rules: &TransferRules, state: &BlockState<'_>, address: &Address) -> Result<Self, Unknown> {
        let account = state.account(address)?;
        let _ = rules;
        let has_code = account.is_some_and(|a| a.has_code());
        Ok(Self { account, may_send: !has_code, may_receive: !has_code })
    }
}
