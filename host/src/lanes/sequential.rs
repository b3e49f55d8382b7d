//! Sequential revm: the reference.
//!
//! alloy-evm's block executor over revm's own block state, transaction after transaction. It
//! shares nothing with the parallel lanes but the state before the block: not the planning, not
//! the committing of changes, not the deferred fees.

use super::{Executed, ExecutionError};
use crate::{
    block::{BlockContext, Eip658Value, Receipt, SignedTx},
    state::{AsDatabase, ChangeSet, StateTrie, Tries, View, WitnessState},
};
use alloy_consensus::{TxType, transaction::Recovered};
use alloy_eips::eip7928::compute_block_access_list_hash;
use alloy_evm::{
    Evm, EvmFactory,
    block::BlockExecutor,
    eth::{
        EthBlockExecutionCtx, EthBlockExecutor, EthEvmFactory,
        receipt_builder::{ReceiptBuilder, ReceiptBuilderCtx},
    },
};
use alloy_primitives::B256;
use revm::{
    Database,
    database::{State, states::bundle_state::BundleRetention},
    database_interface::WrapDatabaseRef,
    primitives::hardfork::SpecId,
};
use std::borrow::Cow;

/// Builds our receipts inside alloy-evm's executor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Receipts;

impl ReceiptBuilder for Receipts {
    type Transaction = SignedTx;
    type Receipt = Receipt;

    fn build_receipt<E: Evm>(&self, ctx: ReceiptBuilderCtx<'_, TxType, E>) -> Receipt {
        Receipt {
            tx_type: ctx.tx_type,
            status: Eip658Value::Eip658(ctx.result.is_success()),
            cumulative_gas_used: ctx.cumulative_gas_used,
            logs: ctx.result.into_logs(),
        }
    }
}

/// alloy-evm's context of a block.
pub fn execution_context<'a>(block: &BlockContext<'a>) -> EthBlockExecutionCtx<'a> {
    EthBlockExecutionCtx {
        parent_hash: block.header.parent_hash,
        parent_beacon_block_root: block.header.parent_beacon_block_root,
        ommers: block.ommers,
        withdrawals: block.withdrawals.map(Cow::Borrowed),
        extra_data: block.header.extra_data.clone(),
        tx_count_hint: Some(block.transactions.len()),
        slot_number: block.header.slot_number,
    }
}

/// Executes a block transaction by transaction.
///
/// `tries` are those of the state before the block: where they are given and the fork is older
/// than Byzantium, each receipt carries the state root after its transaction; elsewhere its status.
///
/// # Errors
/// The first transaction or block-level rule that fails, or a state key that is not known.
pub fn execute<'a>(
    block: &BlockContext<'_>,
    before: impl Into<View<'a>>,
    tries: Option<Tries<'a>>,
) -> Result<Executed, ExecutionError> {
    let before = before.into();
    let database = AsDatabase::new(&before);
    let executed = execute_over(block, before, &database, tries);
    // Nothing is executed after a read that failed, so whatever the error is called, that is its cause.
    executed.map_err(|error| database.first_unknown().map_or(error, ExecutionError::Unknown))
}

fn execute_over<'a>(
    block: &BlockContext<'_>,
    before: View<'a>,
    database: &AsDatabase<'_, View<'a>>,
    tries: Option<Tries<'a>>,
) -> Result<Executed, ExecutionError> {
    let env = block.spec.evm_env(block.header);
    let spec = env.cfg_env.spec;
    let needs_roots = !spec.is_enabled_in(SpecId::BYZANTIUM);
    let state = State::builder().with_database(WrapDatabaseRef(database)).with_bundle_update().build();
    let evm = EthEvmFactory::default().create_evm(state, env);
    let mut executor = EthBlockExecutor::new(evm, execution_context(block), block.spec, Receipts);
    let count = block.transactions.len();
    executor.apply_pre_execution_changes().map_err(|error| ExecutionError::from_alloy(count, error))?;
    let mut steps = tries.filter(|_| needs_roots).map(|tries| Steps::new(before, tries));
    let mut roots = Vec::new();
    for (index, (tx, sender)) in block.transactions.iter().zip(block.senders).enumerate() {
        // Access lists count transactions from 1; 0 is what precedes them (EIP-7928).
        executor.evm_mut().db_mut().bump_bal_index();
        executor
            .execute_transaction(Recovered::new_unchecked(tx, *sender))
            .map_err(|error| ExecutionError::from_alloy(index, error))?;
        if let Some(steps) = &mut steps {
            let changes = changes_so_far(executor.evm_mut().db_mut(), before);
            roots.push(steps.root_after(index, &changes)?);
        }
    }
    executor.evm_mut().db_mut().bump_bal_index();
    let (evm, mut result) = executor.finish().map_err(|error| ExecutionError::from_alloy(count, error))?;
    let (mut state, _) = evm.finish();
    let changes = changes_so_far(&mut state, before);
    let block_access_list_hash =
        state.take_built_alloy_bal().map(|list| compute_block_access_list_hash(&list));
    for (receipt, root) in result.receipts.iter_mut().zip(roots) {
        receipt.status = Eip658Value::PostState(root);
    }
    Ok(Executed {
        receipts: result.receipts,
        gas_used: result.gas_used,
        requests: result.requests,
        block_access_list_hash,
        changes,
    })
}

/// All changes since the block began.
fn changes_so_far<DB: Database>(state: &mut State<DB>, before: View<'_>) -> ChangeSet {
    state.merge_transitions(BundleRetention::PlainState);
    ChangeSet::from_bundle(&state.bundle_state, before)
}

/// The state before the block, to try on its tries what the block has changed so far. Changes count from the block's
/// beginning each time, and what came back to its old value is not among them.
enum Steps<'a> {
    /// With a copy of the tries, which follows forth and back.
    Whole {
        before: View<'a>,
        trie: Box<StateTrie>,
    },
    Witness(&'a WitnessState),
}

impl<'a> Steps<'a> {
    fn new(before: View<'a>, tries: Tries<'a>) -> Self {
        match tries {
            Tries::Whole(trie) => Self::Whole { before, trie: Box::new(trie.clone()) },
            Tries::Witness(witness) => Self::Witness(witness),
        }
    }

    /// The state root after the transaction with that index.
    fn root_after(&mut self, index: usize, changes: &ChangeSet) -> Result<B256, ExecutionError> {
        match self {
            Self::Whole { before, trie } => {
                let root = trie.update(changes);
                trie.update(&before.undo(changes)?);
                Ok(root)
            }
            Self::Witness(witness) => {
                witness.root_after(changes).map_err(|error| ExecutionError::Unreadable { index, error })
            }
        }
    }
}
