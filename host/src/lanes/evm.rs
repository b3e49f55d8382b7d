//! One transaction through revm, over the block state that all threads share.
//!
//! Two ways. *Direct*: what the transaction reads is final, so revm runs as it always does, fee
//! payment included. *Speculative*: earlier transactions may still change what it reads, so every
//! value read is written down, and the fee is left out, because it makes every transaction read
//! and write the fee recipient's balance. The fee is a plain addition and is settled when the
//! transaction is, in block order.

use crate::state::{Account, BlockState, StateRead, Unknown};
use alloy_primitives::{Address, B256, U256};
use revm::{
    Context, Database, ExecuteEvm, MainBuilder, MainContext, MainnetEvm,
    context::{
        BlockEnv, CfgEnv, ContextSetters, Evm, TxEnv,
        result::{EVMError, ExecutionResult, HaltReason},
    },
    context_interface::{ContextTr, JournalTr},
    handler::{EvmTr, EvmTrError, FrameResult, FrameTr, Handler},
    interpreter::interpreter_action::FrameInit,
    state::{AccountInfo, Bytecode, EvmState},
};
use std::{
    marker::PhantomData,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// The state of the block under execution, shared by all threads; only the reconciler writes.
#[derive(Debug)]
pub struct SharedState<'w>(RwLock<BlockState<'w>>);

impl<'w> SharedState<'w> {
    /// Shares `state`.
    pub const fn new(state: BlockState<'w>) -> Self {
        Self(RwLock::new(state))
    }

    /// Reads. A poisoned lock is read through: a thread that panicked while it held the write
    /// lock takes the whole execution down with it.
    pub fn read(&self) -> RwLockReadGuard<'_, BlockState<'w>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes.
    pub fn write(&self) -> RwLockWriteGuard<'_, BlockState<'w>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, once no thread shares it any more.
    pub fn into_inner(self) -> BlockState<'w> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every value that an execution read. Code is not listed: its hash is part of the account.
#[derive(Clone, Debug, Default)]
pub struct ReadSet {
    accounts: Vec<(Address, Option<Account>)>,
    slots: Vec<(Address, U256, U256)>,
}

impl ReadSet {
    /// Whether reading all of it again from `state` gives the same values.
    pub fn still_holds(&self, state: &BlockState<'_>) -> bool {
        self.accounts.iter().all(|(address, value)| state.account(address) == Ok(*value))
            && self.slots.iter().all(|(address, slot, value)| state.storage(address, slot) == Ok(*value))
    }
}

/// The database revm reads from.
#[derive(Debug)]
pub struct LaneDatabase<'s, 'w> {
    state: &'s SharedState<'w>,
    /// Held by the reconciler while it executes: nobody else writes, so one lock serves all its
    /// reads. A speculating thread locks for each read, or it would keep the reconciler waiting.
    held: Option<RwLockReadGuard<'s, BlockState<'w>>>,
    reads: Option<ReadSet>,
}

impl LaneDatabase<'_, '_> {
    fn read<T>(&self, read: impl FnOnce(&BlockState<'_>) -> Result<T, Unknown>) -> Result<T, Unknown> {
        match &self.held {
            Some(state) => read(state),
            None => read(&self.state.read()),
        }
    }
}

impl Database for LaneDatabase<'_, '_> {
    type Error = Unknown;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Unknown> {
        let account = self.read(|state| state.account(&address))?;
        if let Some(reads) = &mut self.reads {
            reads.accounts.push((address, account));
        }
        Ok(account.map(AccountInfo::from))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Unknown> {
        self.read(|state| state.code(&code_hash))
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, Unknown> {
        let value = self.read(|state| StateRead::storage(state, &address, &index))?;
        if let Some(reads) = &mut self.reads {
            reads.slots.push((address, index, value));
        }
        Ok(value)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Unknown> {
        self.read(|state| StateRead::block_hash(state, number))
    }
}

/// revm's mainnet handler without the payment of the fee recipient.
struct FeeDeferred<EVM, ERROR>(PhantomData<(EVM, ERROR)>);

impl<EVM, ERROR> Handler for FeeDeferred<EVM, ERROR>
where
    EVM: EvmTr<
            Context: ContextTr<Journal: JournalTr<State = EvmState>>,
            Frame: FrameTr<FrameResult = FrameResult, FrameInit = FrameInit>,
        >,
    ERROR: EvmTrError<EVM>,
{
    type Evm = EVM;
    type Error = ERROR;
    type HaltReason = HaltReason;

    fn reward_beneficiary(&self, _: &mut EVM, _: &mut FrameResult) -> Result<(), ERROR> {
        Ok(())
    }
}

/// What a speculative execution found.
#[derive(Debug)]
pub struct Speculated {
    /// Outcome, gas and logs.
    pub result: ExecutionResult,
    /// Accounts touched, the fee recipient's payment left out.
    pub state: EvmState,
    /// What it read.
    pub reads: ReadSet,
}

type LaneContext<'s, 'w> = Context<BlockEnv, TxEnv, CfgEnv, LaneDatabase<'s, 'w>>;

/// A revm instance of one thread, reused from transaction to transaction.
#[expect(missing_debug_implementations, reason = "revm's instance has none")]
pub struct LaneEvm<'s, 'w> {
    evm: MainnetEvm<LaneContext<'s, 'w>>,
}

impl<'s, 'w> LaneEvm<'s, 'w> {
    /// An instance for a block with environment `env`.
    pub fn new(state: &'s SharedState<'w>, env: &alloy_evm::EvmEnv) -> Self {
        let database = LaneDatabase { state, held: None, reads: None };
        let evm = Context::mainnet()
            .with_db(database)
            .with_block(env.block_env.clone())
            .with_cfg(env.cfg_env.clone())
            .build_mainnet();
        Self { evm }
    }

    /// Executes with final reads and pays the fee recipient.
    ///
    /// # Errors
    /// The transaction is invalid, or a state key is not known.
    pub fn direct(&mut self, tx: TxEnv) -> Result<(ExecutionResult, EvmState), EVMError<Unknown>> {
        let database = &mut self.evm.ctx.journaled_state.database;
        database.held = Some(database.state.read());
        let outcome = self.evm.transact(tx);
        self.evm.ctx.journaled_state.database.held = None;
        outcome.map(|outcome| (outcome.result, outcome.state))
    }

    /// Executes over whatever is settled so far; `None` if that is not enough to execute at all.
    pub fn speculate(&mut self, tx: TxEnv) -> Option<Speculated> {
        self.evm.ctx.journaled_state.database.reads = Some(ReadSet::default());
        self.evm.ctx.set_tx(tx);
        let result: Result<ExecutionResult, EVMError<Unknown>> =
            FeeDeferred::<Evm<_, _, _, _, _>, _>(PhantomData).run(&mut self.evm);
        let state = self.evm.finalize();
        let reads = self.evm.ctx.journaled_state.database.reads.take().unwrap_or_default();
        Some(Speculated { result: result.ok()?, state, reads })
    }
}
