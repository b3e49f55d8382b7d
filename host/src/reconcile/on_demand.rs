//! Execution over a state that is not known in whole: it stops with the keys that it needs, and goes on where it
//! stopped once they are known.

use super::{Reconciled, Standing, begin_block, end_block, named, sequentially, settle, tx_env};
use crate::{
    block::BlockContext,
    lanes::{
        ExecutionError,
        evm::{LaneEvm, SharedState},
    },
    plan::Plan,
    state::{BlockState, Guesses, Overlay, StateKey, Unknown, View},
};
use alloy_evm::EvmEnv;
use outrider_kernels::accelerator::Accelerator;
use revm::DatabaseCommit;

/// Searches end with this many keys: what a block can name and read is bounded by its gas, but guesses are not.
const SEARCH_KEYS_MAX: usize = 1 << 14;

/// All searches of a block together may use as much gas as this many such blocks. From then on only the transaction that
/// stopped is searched: a chain of pointers, each of which is unknown until the one before it is known, would
/// otherwise cost as many blocks as it has links.
const SEARCH_BLOCKS_MAX: u64 = 64;

/// A block that waits for state, with everything that stands of it: settled transactions, their receipts and changes.
#[derive(Debug, Default)]
pub struct Paused {
    /// Whether the system calls before the first transaction are done.
    has_begun: bool,
    overlay: Overlay,
    standing: Standing,
    searched_gas: u64,
}

impl Paused {
    /// Transactions that are settled.
    pub const fn settled(&self) -> usize {
        self.standing.receipts.len()
    }

    /// Transactions that were handed to revm in block order so far. Each is settled by it, or stopped the block, in which
    /// case it is handed over again: never one that was settled.
    pub const fn executions(&self) -> usize {
        self.standing.executions
    }
}

/// How far a block has come.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of them for a block")]
pub enum Progress {
    /// To its end.
    Done(Reconciled),
    /// As far as what is known goes. These keys are needed, the first of them in any case; the others are named by the
    /// block, or were found by executing the rest with guesses, so that few rounds are needed.
    Needs(Vec<StateKey>, Paused),
}

/// Executes a block by its plan as far as the state before it is known: from its beginning with [`Paused::default`],
/// or from where it stopped. `before` is the same state every time, if better known.
///
/// # Errors
/// As for [`execute`](super::execute), but for keys that are not known.
pub fn proceed<'a>(
    block: &BlockContext<'_>,
    before: impl Into<View<'a>>,
    plan: &Plan,
    accelerator: &Accelerator,
    mut paused: Paused,
) -> Result<Progress, ExecutionError> {
    let before = before.into();
    let env = block.spec.evm_env(block.header);
    let named = named::unknown(block, env.cfg_env.spec, &before);
    if !named.is_empty() {
        return Ok(Progress::Needs(named, paused));
    }
    if !paused.has_begun {
        let mut state = BlockState::new(before);
        match begin_block(block, &env, &mut state) {
            Ok(()) => paused.overlay = state.pause(),
            // What was done of it is left behind: it comes again as a whole.
            Err(ExecutionError::Unknown(unknown)) => return Ok(stop(block, &env, before, unknown, paused)),
            Err(error) => return Err(error),
        }
        paused.has_begun = true;
    }
    let state = BlockState::resume(before, std::mem::take(&mut paused.overlay));
    let (state, standing, outcome) =
        settle(block, &env, plan, accelerator, state, std::mem::take(&mut paused.standing));
    paused.standing = standing;
    paused.overlay = state.pause();
    match outcome {
        Ok(()) => {}
        Err(ExecutionError::Unknown(unknown)) => return Ok(stop(block, &env, before, unknown, paused)),
        Err(error) => return Err(error),
    }
    let Standing { receipts, gas_used, lanes, reexecuted, .. } = &paused.standing;
    let state = BlockState::resume(before, paused.overlay.clone());
    let done = end_block(block, env.clone(), state, receipts.clone(), *gas_used).and_then(|executed| {
        if before.changes_bare_storage(&executed.changes) {
            return sequentially(block, before, *reexecuted);
        }
        Ok(Reconciled { executed, lanes: *lanes, reexecuted: *reexecuted })
    });
    match done {
        Ok(done) => Ok(Progress::Done(done)),
        Err(ExecutionError::Unknown(unknown)) => Ok(stop(block, &env, before, unknown, paused)),
        Err(error) => Err(error),
    }
}

/// A stop at `unknown`, with what else can be found to be needed.
fn stop(
    block: &BlockContext<'_>,
    env: &EvmEnv,
    before: View<'_>,
    unknown: Unknown,
    mut paused: Paused,
) -> Progress {
    let guesses = Guesses::default();
    paused.searched_gas += search(block, env, before, &guesses, &paused);
    let mut keys = vec![unknown.0];
    keys.extend(guesses.into_keys().filter(|key| *key != unknown.0));
    Progress::Needs(keys, paused)
}

/// Executes the rest of the block on guesses; returns the gas that it used. What comes of it is thrown away, errors
/// included: they say nothing of the block.
fn search(
    block: &BlockContext<'_>,
    env: &EvmEnv,
    before: View<'_>,
    guesses: &Guesses,
    paused: &Paused,
) -> u64 {
    let before = before.guessing(guesses);
    let mut state = BlockState::resume(before, paused.overlay.clone());
    if !paused.has_begun && begin_block(block, env, &mut state).is_err() {
        state = BlockState::new(before);
    }
    let shared = SharedState::new(state);
    let mut evm = LaneEvm::new(&shared, env);
    let mut gas_used = 0;
    let may_go_on = paused.searched_gas < SEARCH_BLOCKS_MAX.saturating_mul(block.header.gas_limit);
    let count = if may_go_on { block.transactions.len() } else { 1 };
    for index in (paused.settled()..block.transactions.len()).take(count) {
        if guesses.count() >= SEARCH_KEYS_MAX {
            return gas_used;
        }
        if let Ok((result, changes)) = evm.direct(tx_env(block, index)) {
            gas_used += result.tx_gas_used();
            shared.write().commit(changes);
        }
    }
    drop(evm);
    let Standing { receipts, gas_used: settled, .. } = &paused.standing;
    // For the keys alone.
    let _ = end_block(block, env.clone(), shared.into_inner(), receipts.clone(), *settled);
    gas_used
}
