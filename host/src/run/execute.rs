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
    state::StateRead,
};
use revm::primitives::hardfork::SpecId;

/// What one way of executing a block gave.
struct Attempt {
    executed: Result<Executed, ExecutionError>,
    lanes: LaneCounts,
    reexecuted: usize,
    /// Whether this is the reference itself.
    is_sequential: bool,
}

/// Executes a block; only sequential revm condemns it.
pub(super) fn execute(
    job: &Job<'_>,
    chain: &mut Chain,
    context: &BlockContext<'_>,
    report: &mut BlockReport,
) -> Verdict {
    let attempt = attempt(job, chain, context, report);
    (report.lanes, report.reexecuted) = (attempt.lanes, attempt.reexecuted);
    if job.options.check && !attempt.is_sequential {
        confirm::compare(context, chain, &attempt.executed, report);
    }
    let noted = report.mismatches.len();
    let verdict = judge(chain, context, attempt.executed, report);
    if matches!(verdict, Verdict::Valid(_) | Verdict::Needs(_)) {
        return verdict;
    }
    // Only sequential revm condemns a block, with senders that no device has touched.
    report.mismatches.truncate(noted);
    report.checks =
        Checks { gas_used: None, receipts_root: None, logs_bloom: None, state_root: None, ..report.checks };
    let confirmed = confirm::sequentially(context, chain);
    let confirmed = judge(chain, context, confirmed, report);
    confirm::note_disagreement(&verdict, &confirmed, report);
    confirmed
}

fn attempt(job: &Job<'_>, chain: &Chain, context: &BlockContext<'_>, report: &mut BlockReport) -> Attempt {
    let rules = chain.spec.spec_id_at(context.header.number, context.header.timestamp);
    let snapshot = chain.snapshot();
    let before = snapshot.view();
    // Before Byzantium a receipt holds the state root after its transaction, so with a whole state
    // every transaction is a step of its own; Amsterdam's rules are known to sequential revm alone.
    let steps = chain.is_whole() && !rules.is_enabled_in(SpecId::BYZANTIUM);
    let amsterdam = rules.is_enabled_in(SpecId::AMSTERDAM);
    if job.options.lanes == LaneSet::Evm || steps || amsterdam {
        let executed = timed(&mut report.seconds.execute, || {
            sequential::execute(context, before, chain.trie().as_deref())
        });
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
        Err(ExecutionError::Unknown(unknown)) => return Verdict::Needs(unknown.0),
        Err(error) => {
            return not_executable(&error)
                .map_or_else(|| Verdict::Failed(error.to_string()), Verdict::Invalid);
        }
    };
    report.gas_used = executed.gas_used;
    let whole = chain.is_whole();
    if let Err(invalid) = check_requests(chain, context, &executed) {
        return Verdict::Invalid(invalid);
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
    let BlockRoots { receipts_root, logs_bloom } = roots;
    // Before Byzantium receipts hold state roots.
    let known = whole || chain.spec.fork_of(context.header) >= Fork::Byzantium;
    let outcome = Outcome {
        gas_used,
        receipts_root: known.then_some(receipts_root),
        logs_bloom,
        // The request contracts are no part of a state that holds touched accounts alone.
        requests_hash: (whole && context.header.requests_hash.is_some()).then(|| requests.requests_hash()),
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
    match comparison.verdict() {
        Some(invalid) => {
            chain.reject(&tried);
            Verdict::Invalid(invalid)
        }
        None => Verdict::Valid(Some(tried)),
    }
}

/// What alloy-evm leaves open about the end of a block from Prague on.
fn check_requests(
    chain: &Chain,
    context: &BlockContext<'_>,
    executed: &Executed,
) -> Result<(), InvalidBlock> {
    let fork = chain.spec.fork_of(context.header);
    if fork < Fork::Prague {
        return Ok(());
    }
    rules::check_deposits(chain.spec.deposit_contract(), &executed.receipts)?;
    // The contracts are no part of a state that holds touched accounts alone.
    let contracts = if chain.is_whole() { rules::request_contracts(fork) } else { &[] };
    for address in contracts {
        let account = match executed.changes.accounts.get(address) {
            Some(change) => change.account,
            None => chain.snapshot().view().account(address).ok().flatten(),
        };
        if !account.is_some_and(|account| account.has_code()) {
            return Err(rules::empty_system_contract(*address));
        }
    }
    Ok(())
}
