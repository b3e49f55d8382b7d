//! Executing a block and judging what came of it: by the lanes, and by sequential revm where those
//! are not to be trusted alone.

use super::{
    Chain, Job, LaneSet, confirm,
    report::{BlockReport, Checks, timed},
    verdict::{Verdict, not_executable},
};
use crate::{
    block::BlockContext,
    lanes::{Executed, ExecutionError, sequential},
    plan::Plan,
    reconcile::{self, BlockRoots, LaneCounts, block_roots},
    route::route,
    rules::{self, Comparison, InvalidBlock, Outcome},
    spec::Fork,
    state::{StateRead, Tries, View},
};
use alloy_eips::eip7685::Requests;
use alloy_primitives::B256;
use revm::primitives::hardfork::SpecId;

/// What a block is executed on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ground<'a> {
    /// The state before it.
    pub(super) before: View<'a>,
    /// The tries of that state, where the root after the block can be computed from them.
    pub(super) tries: Option<Tries<'a>>,
}

/// Executes on the state after the head of a chain. It is held for no longer, so that it can follow the chain.
fn on_ground<T>(chain: &Chain, execute: impl FnOnce(Ground<'_>) -> T) -> T {
    let (snapshot, trie) = (chain.snapshot(), chain.trie());
    execute(Ground { before: snapshot.view(), tries: trie.as_deref().map(Tries::Whole) })
}

/// What one way of executing a block gave.
pub(super) struct Attempt {
    pub(super) executed: Result<Executed, ExecutionError>,
    lanes: LaneCounts,
    reexecuted: usize,
    /// Whether this is the reference itself.
    pub(super) is_sequential: bool,
}

/// Executes a block; only sequential revm condemns it.
pub(super) fn execute(
    job: &Job<'_>,
    chain: &mut Chain,
    context: &BlockContext<'_>,
    report: &mut BlockReport,
) -> Verdict {
    let attempt = on_ground(chain, |ground| attempt(job, ground, context, report));
    let noted = report.mismatches.len();
    let verdict = judge(chain, context, attempt.executed, report);
    if matches!(verdict, Verdict::Valid(_) | Verdict::Needs(_)) {
        return verdict;
    }
    // Only sequential revm condemns a block, with senders that no device has touched.
    forget(noted, report);
    let confirmed = on_ground(chain, |ground| confirm::sequentially(context, ground));
    let confirmed = judge(chain, context, confirmed, report);
    confirm::note_disagreement(&verdict, &confirmed, report);
    confirmed
}

/// Forgets what was found out by executing a block, but for the first mismatches.
pub(super) fn forget(mismatches: usize, report: &mut BlockReport) {
    report.mismatches.truncate(mismatches);
    report.checks =
        Checks { gas_used: None, receipts_root: None, logs_bloom: None, state_root: None, ..report.checks };
}

/// Executes a block by the lanes that fit it, and compares with sequential revm if that is asked for.
pub(super) fn attempt(
    job: &Job<'_>,
    ground: Ground<'_>,
    context: &BlockContext<'_>,
    report: &mut BlockReport,
) -> Attempt {
    let attempt = by_lanes(job, ground, context, report);
    (report.lanes, report.reexecuted) = (attempt.lanes, attempt.reexecuted);
    if job.options.check && !attempt.is_sequential {
        confirm::compare(context, ground, &attempt.executed, report);
    }
    attempt
}

fn by_lanes(
    job: &Job<'_>,
    ground: Ground<'_>,
    context: &BlockContext<'_>,
    report: &mut BlockReport,
) -> Attempt {
    let Ground { before, tries } = ground;
    let rules = context.spec.spec_id_at(context.header.number, context.header.timestamp);
    // Before Byzantium a receipt holds the state root after its transaction, so with a whole state
    // every transaction is a step of its own; Amsterdam's rules are known to sequential revm alone.
    let steps = tries.is_some() && !rules.is_enabled_in(SpecId::BYZANTIUM);
    let amsterdam = rules.is_enabled_in(SpecId::AMSTERDAM);
    if job.options.lanes == LaneSet::Evm || steps || amsterdam {
        let executed = timed(&mut report.seconds.execute, || sequential::execute(context, before, tries));
        let lanes = LaneCounts { evm: context.transactions.len(), ..LaneCounts::default() };
        return Attempt { executed, lanes, reexecuted: 0, is_sequential: true };
    }
    let plan = timed(&mut report.seconds.plan, || {
        let has_code = |address: &_| before.account(address).is_ok_and(|a| a.is_some_and(|a| a.has_code()));
        let lanes: Vec<_> = context.transactions.iter().map(|tx| route(tx, rules, has_code)).collect();
        Plan::new(&lanes, context.senders)
    });
    let reconciled =
        timed(&mut report.seconds.execute, || reconcile::execute(context, before, &plan, job.accelerator));
    match reconciled {
        Ok(done) => Attempt {
            executed: Ok(done.executed),
            lanes: done.lanes,
            reexecuted: done.reexecuted,
            is_sequential: false,
        },
        Err(error) => Attempt {
            executed: Err(error),
            lanes: LaneCounts::default(),
            reexecuted: 0,
            is_sequential: false,
        },
    }
}

/// Compares what execution gave with the header. If all is well the changes are applied.
fn judge(
    chain: &mut Chain,
    context: &BlockContext<'_>,
    executed: Result<Executed, ExecutionError>,
    report: &mut BlockReport,
) -> Verdict {
    let executed = match executed {
        Ok(executed) => executed,
        Err(error) => return not_executed(&error),
    };
    report.gas_used = executed.gas_used;
    let whole = chain.is_whole();
    if let Err(verdict) = on_ground(chain, |ground| check_requests(ground, context, &executed)) {
        return verdict;
    }
    let Executed { receipts, gas_used, requests, block_access_list_hash, changes } = executed;
    let seconds = &mut report.seconds;
    let hash = context.header.hash_slow();
    let (roots, tried) = rayon::join(
        || timed(&mut seconds.reconcile, || block_roots(&receipts)),
        || timed(&mut seconds.root, || chain.try_changes(hash, context.header.number, changes)),
    );
    let (state_root, tried) = match tried {
        Ok(tried) => tried,
        Err(error) => return Verdict::Failed(error.to_string()),
    };
    let made =
        Made { gas_used, roots, requests: &requests, state_root, block_access_list_hash, is_proven: whole };
    match compare(context, made, report) {
        Some(invalid) => {
            chain.reject(&tried);
            Verdict::Invalid(invalid)
        }
        None => Verdict::Valid(Some(Box::new(tried))),
    }
}

/// The verdict on a block that could not be executed to its end.
pub(super) fn not_executed(error: &ExecutionError) -> Verdict {
    match error {
        ExecutionError::Unknown(unknown) => Verdict::Needs(unknown.0),
        ExecutionError::Unreadable { .. } => Verdict::Lacks(error.to_string()),
        _ => not_executable(error).map_or_else(|| Verdict::Failed(error.to_string()), Verdict::Invalid),
    }
}

/// What execution made of a block.
pub(super) struct Made<'a> {
    pub(super) gas_used: u64,
    pub(super) roots: BlockRoots,
    pub(super) requests: &'a Requests,
    pub(super) state_root: Option<B256>,
    pub(super) block_access_list_hash: Option<B256>,
    /// Whether the state before it is the one that the parent's header names, so that system contracts are in it.
    pub(super) is_proven: bool,
}

/// Compares what execution made with the header; the first difference that makes the block invalid.
pub(super) fn compare(
    context: &BlockContext<'_>,
    made: Made<'_>,
    report: &mut BlockReport,
) -> Option<InvalidBlock> {
    let Made { gas_used, roots, requests, state_root, block_access_list_hash, is_proven } = made;
    let BlockRoots { receipts_root, logs_bloom } = roots;
    // Before Byzantium receipts hold state roots.
    let known = is_proven || context.spec.fork_of(context.header) >= Fork::Byzantium;
    let outcome = Outcome {
        gas_used,
        receipts_root: known.then_some(receipts_root),
        logs_bloom,
        // The request contracts are no part of a state that holds touched accounts alone.
        requests_hash: (is_proven && context.header.requests_hash.is_some())
            .then(|| requests.requests_hash()),
        state_root,
        block_access_list_hash,
    };
    let comparison = Comparison::new(context.header, &outcome);
    report.checks.gas_used = comparison.gas_used;
    report.checks.receipts_root = comparison.receipts_root;
    report.checks.logs_bloom = comparison.logs_bloom;
    report.checks.state_root = comparison.state_root;
    for mismatch in &comparison.mismatches {
        report.differs(mismatch.field, &mismatch.header, &mismatch.computed);
    }
    comparison.verdict()
}

/// What alloy-evm leaves open about the end of a block from Prague on.
pub(super) fn check_requests(
    ground: Ground<'_>,
    context: &BlockContext<'_>,
    executed: &Executed,
) -> Result<(), Verdict> {
    let fork = context.spec.fork_of(context.header);
    if fork < Fork::Prague {
        return Ok(());
    }
    rules::check_deposits(context.spec.deposit_contract(), &executed.receipts).map_err(Verdict::Invalid)?;
    // The contracts are no part of a state that holds touched accounts alone.
    let contracts = if ground.tries.is_some() { rules::request_contracts(fork) } else { &[] };
    for address in contracts {
        let account = match executed.changes.accounts.get(address) {
            Some(change) => change.account,
            None => ground.before.account(address).map_err(|unknown| Verdict::Needs(unknown.0))?,
        };
        if !account.is_some_and(|account| account.has_code()) {
            return Err(Verdict::Invalid(rules::empty_system_contract(*address)));
        }
    }
    Ok(())
}
