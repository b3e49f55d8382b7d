//! Reconcile: merges what the lanes found, in transaction order, into one outcome.
//!
//! The thread that reconciles is the only one that writes state. It walks the plan; at each
//! transaction everything before it is settled, so a speculative result counts if all values it
//! read still hold, and else the transaction is executed again, directly: one stale transaction
//! costs its own execution and nothing else.

mod named;
mod on_demand;
mod receipts;
#[cfg(test)]
mod tests;

pub use on_demand::{Paused, Progress, proceed};
pub use receipts::{BlockRoots, block_roots};

use crate::{
    block::{BlockContext, Eip658Value, Receipt},
    lanes::{
        Executed, ExecutionError,
        evm::{LaneEvm, SharedState},
        sequential::{self, Receipts, execution_context},
        speculation::{Board, Turn},
        transfer::{TransferLane, TransferRules},
    },
    plan::Plan,
    route::Lane,
    state::{BlockState, View},
};
use alloy_consensus::Transaction;
use alloy_evm::{
    EvmEnv, EvmFactory, FromRecoveredTx,
    block::{BlockExecutionError, BlockExecutor},
    eth::EthBlockExecutor,
    eth::EthEvmFactory,
};
use alloy_primitives::U256;
use outrider_kernels::accelerator::Accelerator;
use revm::{
    DatabaseCommit,
    context::{TxEnv, either::Either, result::ExecutionResult},
    primitives::hardfork::SpecId,
    state::EvmState,
};
use std::ops::Range;

/// How many transactions each lane settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct LaneCounts {
    /// By the transfer lane.
    pub transfer: usize,
    /// By recorded paths.
    pub path: usize,
    /// By revm.
    pub evm: usize,
}

/// The outcome of a block and how it was come by.
#[derive(Debug)]
pub struct Reconciled {
    /// Receipts, gas, requests and changes.
    pub executed: Executed,
    /// Transactions by lane.
    pub lanes: LaneCounts,
    /// Speculative executions that a stale read voided.
    pub reexecuted: usize,
}

/// Fewer transactions of the evm lane than this are not worth waking another thread for.
const SPECULATION_COUNT_MIN: usize = 4;

/// Stale executions after which a block may be found to be one where speculation does not pay.
const STALE_COUNT_MIN: usize = 16;

/// Executes a block by its plan.
///
/// # Errors
/// The first failure in block order. A transaction that fails here fails in sequential execution,
/// but the caller confirms that before it condemns the block.
pub fn execute<'a>(
    block: &BlockContext<'_>,
    before: impl Into<View<'a>>,
    plan: &Plan,
    accelerator: &Accelerator,
) -> Result<Reconciled, ExecutionError> {
    let before = before.into();
    let env = block.spec.evm_env(block.header);
    let mut state = BlockState::new(before);
    begin_block(block, &env, &mut state)?;
    let (state, standing, outcome) = settle(block, &env, plan, accelerator, state, Standing::default());
    outcome?;
    let Standing { receipts, gas_used, lanes, reexecuted, .. } = standing;
    let executed = end_block(block, env, state, receipts, gas_used)?;
    if before.changes_bare_storage(&executed.changes) {
        return sequentially(block, before, reexecuted);
    }
    Ok(Reconciled { executed, lanes, reexecuted })
}

/// A block that only revm's own block state can say the end of.
fn sequentially(
    block: &BlockContext<'_>,
    before: View<'_>,
    reexecuted: usize,
) -> Result<Reconciled, ExecutionError> {
    let lanes = LaneCounts { evm: block.transactions.len(), ..LaneCounts::default() };
    Ok(Reconciled { executed: sequential::execute(block, before, None)?, lanes, reexecuted })
}

/// What stands of a block: everything up to the last settled transaction.
#[derive(Debug, Default)]
struct Standing {
    receipts: Vec<Receipt>,
    gas_used: u64,
    lanes: LaneCounts,
    reexecuted: usize,
    /// Transactions handed to revm in block order, whatever came of it.
    executions: usize,
}

/// Settles the transactions behind those that stand already, up to the first failure.
fn settle<'w>(
    block: &BlockContext<'_>,
    env: &EvmEnv,
    plan: &Plan,
    accelerator: &Accelerator,
    state: BlockState<'w>,
    standing: Standing,
) -> (BlockState<'w>, Standing, Result<(), ExecutionError>) {
    let shared = SharedState::new(state);
    let workers = if plan.evm_count() < SPECULATION_COUNT_MIN { 0 } else { workers() };
    // Speculating threads wait for the lock that a run of transfers holds, so it must not wait for them.
    let mut settling = Settling::new(block, env, &shared, accelerator, workers == 0);
    settling.standing = standing;
    let outcome = if workers == 0 {
        settling.walk(plan, None)
    } else {
        let board = Board::new(plan);
        board.settle(settling.standing.receipts.len());
        let tx_env = |index: usize| tx_env(block, index);
        rayon::in_place_scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|_| board.work(&mut LaneEvm::new(&shared, env), &tx_env));
            }
            let outcome = settling.walk(plan, Some(&board));
            board.close();
            outcome
        })
    };
    let standing = settling.finish();
    (shared.into_inner(), standing, outcome)
}

/// Threads that speculate beside the one that reconciles: no more than there are cores, or they would
/// take its time.
fn workers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    rayon::current_num_threads().min(cores) - 1
}

/// System calls before the first transaction (EIP-4788, EIP-2935).
fn begin_block(
    block: &BlockContext<'_>,
    env: &EvmEnv,
    state: &mut BlockState<'_>,
) -> Result<(), ExecutionError> {
    let evm = EthEvmFactory::default().create_evm(&mut *state, env.clone());
    let mut executor = EthBlockExecutor::new(evm, execution_context(block), block.spec, Receipts);
    let begun = executor.apply_pre_execution_changes();
    drop(executor);
    begun.map_err(|error| block_error(block, state, error))
}

/// The error of a system call or of what else alloy-evm does for the whole block.
fn block_error(
    block: &BlockContext<'_>,
    state: &BlockState<'_>,
    error: BlockExecutionError,
) -> ExecutionError {
    match state.first_unknown() {
        Some(unknown) => ExecutionError::Unknown(unknown),
        None => ExecutionError::from_alloy(block.transactions.len(), error),
    }
}

/// Everything after the last transaction: requests, rewards, withdrawals, the DAO's drain.
fn end_block(
    block: &BlockContext<'_>,
    env: EvmEnv,
    mut state: BlockState<'_>,
    receipts: Vec<Receipt>,
    gas_used: u64,
) -> Result<Executed, ExecutionError> {
    let evm = EthEvmFactory::default().create_evm(&mut state, env);
    let mut executor = EthBlockExecutor::new(evm, execution_context(block), block.spec, Receipts);
    executor.receipts = receipts;
    executor.cumulative_tx_gas_used = gas_used;
    let finished = executor.finish().map(|(_, result)| result);
    let result = finished.map_err(|error| block_error(block, &state, error))?;
    Ok(Executed {
        receipts: result.receipts,
        gas_used: result.gas_used,
        requests: result.requests,
        block_access_list_hash: None,
        changes: state.into_changes(),
    })
}

/// revm's view of a transaction, with the authorities that were recovered in batches.
fn tx_env(block: &BlockContext<'_>, index: usize) -> TxEnv {
    let mut env = TxEnv::from_recovered_tx(&block.transactions[index], block.senders[index]);
    if let Some(authorities) = block.authorities.get(&index) {
        for (tuple, authority) in env.authorization_list.iter_mut().zip(authorities) {
            let inner = match tuple {
                Either::Left(signed) => signed.inner().clone(),
                Either::Right(recovered) => (**recovered).clone(),
            };
            *tuple = Either::Right(revm::context::transaction::RecoveredAuthorization::new_unchecked(
                inner,
                authority.clone(),
            ));
        }
    }
    env
}

/// The walk over the plan, and what it has settled.
struct Settling<'b, 's, 'w> {
    block: &'b BlockContext<'b>,
    env: &'b EvmEnv,
    shared: &'s SharedState<'w>,
    accelerator: &'b Accelerator,
    /// `None` where this fork has no transfer lane.
    transfer_rules: Option<TransferRules>,
    transfer_lane: TransferLane,
    evm: LaneEvm<'s, 'w>,
    standing: Standing,
    /// Stale executions since the walk began, and speculative results that counted.
    stale: usize,
    speculated: usize,
}

impl<'b, 's, 'w> Settling<'b, 's, 'w> {
    fn new(
        block: &'b BlockContext<'b>,
        env: &'b EvmEnv,
        shared: &'s SharedState<'w>,
        accelerator: &'b Accelerator,
        is_alone: bool,
    ) -> Self {
        Self {
            block,
            env,
            shared,
            accelerator,
            transfer_rules: TransferRules::new(env),
            transfer_lane: TransferLane::new(is_alone),
            evm: LaneEvm::new(shared, env),
            standing: Standing::default(),
            stale: 0,
            speculated: 0,
        }
    }

    /// What was settled; lets go of the shared state.
    fn finish(mut self) -> Standing {
        self.standing.reexecuted += self.stale;
        self.standing
    }

    fn walk(&mut self, plan: &Plan, board: Option<&Board<'_>>) -> Result<(), ExecutionError> {
        let from = self.standing.receipts.len();
        self.standing.receipts.reserve(plan.len() - from);
        for step in plan.steps() {
            let range = step.range.start.max(from)..step.range.end;
            match step.lane {
                Lane::Transfer => self.run_transfers(range, board)?,
                Lane::Evm => {
                    for index in range {
                        self.run_evm(index, board)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Settles a run of transfers; what the lane hands back goes to revm.
    fn run_transfers(
        &mut self,
        range: Range<usize>,
        board: Option<&Board<'_>>,
    ) -> Result<(), ExecutionError> {
        let mut at = range.start;
        while at < range.end {
            if let Some(rules) = &self.transfer_rules {
                let run = self.transfer_lane.run(
                    rules,
                    &mut self.shared.write(),
                    &self.block.transactions[at..range.end],
                    &self.block.senders[at..range.end],
                    self.standing.gas_used,
                    |accounts, transfers, terms| self.accelerator.transfer_scan(accounts, transfers, terms),
                );
                for gas_used in run.gas_used {
                    self.standing.gas_used += gas_used;
                    self.standing.receipts.push(Receipt {
                        tx_type: self.block.transactions[at].tx_type(),
                        status: Eip658Value::Eip658(true),
                        cumulative_gas_used: self.standing.gas_used,
                        logs: Vec::new(),
                    });
                    at += 1;
                    self.standing.lanes.transfer += 1;
                }
                if let Some(board) = board {
                    board.settle(at);
                }
            }
            if at < range.end {
                self.run_evm(at, board)?;
                at += 1;
            }
        }
        Ok(())
    }

    /// Settles one transaction through revm.
    fn run_evm(&mut self, index: usize, board: Option<&Board<'_>>) -> Result<(), ExecutionError> {
        self.check_gas_pool(index)?;
        let block = self.block;
        let turn = match board {
            Some(board) => board.turn(index, &mut self.evm, &|index| tx_env(block, index)),
            None => Turn::Direct,
        };
        let speculated = match turn {
            Turn::Direct => None,
            Turn::Speculated(found) => {
                let beneficiary = self.env.block_env.beneficiary;
                // The fee recipient's balance as a party is only known here, in order.
                let found = found.filter(|found| {
                    !found.state.contains_key(&beneficiary) && found.reads.still_holds(&self.shared.read())
                });
                match found {
                    Some(_) => self.speculated += 1,
                    None => self.stale += 1,
                }
                if let Some(board) = board.filter(|_| self.speculation_fails()) {
                    board.close();
                }
                found
            }
        };
        match speculated {
            Some(found) => {
                self.standing.executions += 1;
                let fee = self.fee(index, found.result.tx_gas_used());
                self.settle(index, found.result, found.state, Some(fee))?;
            }
            None => {
                self.standing.executions += 1;
                let (result, state) = self
                    .evm
                    .direct(tx_env(block, index))
                    .map_err(|error| ExecutionError::from_evm(index, error))?;
                self.settle(index, result, state, None)?;
            }
        }
        self.standing.lanes.evm += 1;
        if let Some(board) = board {
            board.settle(index + 1);
        }
        Ok(())
    }

    /// Whether so much of what was executed ahead is stale that it costs more than it saves.
    const fn speculation_fails(&self) -> bool {
        self.stale >= STALE_COUNT_MIN && self.stale > 2 * self.speculated
    }

    /// The transaction's gas limit must fit into what the block has left.
    fn check_gas_pool(&self, index: usize) -> Result<(), ExecutionError> {
        let gas_limit = self.block.transactions[index].gas_limit();
        let available = self.env.block_env.gas_limit.saturating_sub(self.standing.gas_used);
        let counted = gas_limit.min(self.env.cfg_env.tx_gas_limit_cap.unwrap_or(u64::MAX));
        if counted > available {
            return Err(ExecutionError::GasPoolExceeded { index, gas_limit, available });
        }
        Ok(())
    }

    /// What the fee recipient gets for a transaction (EIP-1559: the base fee is burned).
    fn fee(&self, index: usize, gas_used: u64) -> U256 {
        let base_fee = self.env.block_env.basefee;
        let london = self.env.cfg_env.spec.is_enabled_in(SpecId::LONDON);
        let price = self.block.transactions[index].effective_gas_price(london.then_some(base_fee));
        let paid = if london { price.saturating_sub(u128::from(base_fee)) } else { price };
        U256::from(paid) * U256::from(gas_used)
    }

    fn settle(
        &mut self,
        index: usize,
        result: ExecutionResult,
        state: EvmState,
        deferred_fee: Option<U256>,
    ) -> Result<(), ExecutionError> {
        let mut shared = self.shared.write();
        shared.commit(state);
        if let Some(fee) = deferred_fee {
            let eip161 = self.env.cfg_env.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON);
            shared.credit(self.env.block_env.beneficiary, fee, eip161)?;
        }
        drop(shared);
        self.standing.gas_used += result.tx_gas_used();
        self.standing.receipts.push(Receipt {
            tx_type: self.block.transactions[index].tx_type(),
            status: Eip658Value::Eip658(result.is_success()),
            cumulative_gas_used: self.standing.gas_used,
            logs: result.into_logs(),
        });
        Ok(())
    }
}
