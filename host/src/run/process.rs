//! One block against the chain: rules, execution, comparison with the header.

use super::{
    Chain, LaneSet, Options, Tried, confirm,
    prepare::{Content, Prepared, TRANSFER_KERNEL, counts, difference},
    report::{BlockReport, Checks, Mismatch, timed},
};
use crate::{
    block::{BlockContext, SignedTx},
    ingest::{BlockBytes, DecodeError, Expectation, ExpectedEnd, PostState, Prestate},
    lanes::{Executed, ExecutionError, sequential},
    plan::Plan,
    reconcile::{self, BlockRoots, LaneCounts, block_roots},
    recover::{Recovered, Unrecoverable},
    route::route,
    rules::{self, BlockParts, Body, Comparison, Exception, InvalidBlock, Outcome},
    spec::Fork,
    state::{StateKey, StateRead, World},
};
use alloy_primitives::B256;
use outrider_kernels::accelerator::Accelerator;
use std::path::Path;

/// What processing a block needs besides the block and the chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job<'a> {
    pub(super) path: &'a Path,
    pub(super) name: Option<&'a str>,
    /// Whether there is a state to execute on.
    pub(super) executable: bool,
    /// How the chain must end, if this is its last block.
    pub(super) expected: Option<&'a ExpectedEnd>,
    pub(super) accelerator: &'a Accelerator,
    pub(super) options: &'a Options,
}

/// What became of a block.
#[derive(Debug)]
enum Verdict {
    /// Every check that could be made passed; what it changed is applied.
    Valid(Option<Tried>),
    /// The bytes are no block.
    Undecodable(InvalidBlock),
    /// A rule is broken.
    Invalid(InvalidBlock),
    /// State that was not supplied is needed.
    Needs(StateKey),
    /// revm could not execute it, for a reason that is not the block's.
    Failed(String),
    /// The block is fine as far as it goes, but something that the input says is not so.
    Differs,
}

/// Processes a block; the chain then stands on it, if it is valid.
pub(super) fn process(job: &Job<'_>, chain: &mut Chain, prepared: Prepared) -> BlockReport {
    let Prepared { input, content, seconds, kernels } = prepared;
    let mut report = BlockReport::new(job.path, job.name, job.accelerator.device_name());
    (report.seconds, report.kernels) = (seconds, kernels);
    let before = counts(job.accelerator);
    let verdict = match &content {
        Err(error) => Verdict::Undecodable(undecodable(chain, &input.bytes, error)),
        Ok(content) => {
            let header = content.block.header.inner();
            report.number = Some(header.number);
            chain.resolve_merge(header);
            report.fork = Some(chain.spec.fork_of(header).name().to_owned());
            report.transactions = content.block.transactions.len();
            let mut stated = content.block.stated.clone();
            stated.hash = stated.hash.or(input.stated_hash);
            stated.senders = stated.senders.or(input.stated_senders);
            check_and_execute(job, chain, content, &stated, &mut report)
        }
    };
    report.kernels.extend(difference(&before, job.accelerator, |kernel| kernel == TRANSFER_KERNEL));
    conclude(job, chain, &input.expectation, content.ok(), verdict, &mut report);
    report
}

/// Everything up to the verdict.
fn check_and_execute(
    job: &Job<'_>,
    chain: &mut Chain,
    content: &Content,
    stated: &crate::ingest::Stated,
    report: &mut BlockReport,
) -> Verdict {
    let block = &content.block;
    let header = block.header.inner();
    let body = Body {
        transactions: &block.transactions,
        ommers: block.ommers.headers(),
        withdrawals: block.withdrawals.as_ref().map(|withdrawals| withdrawals.as_slice()),
    };
    let parts = BlockParts {
        header,
        body,
        transactions_root: content.transactions_root,
        rlp_bytes: block.rlp_len_bytes,
    };
    report.checks.transactions_root = Some(content.transactions_root == header.transactions_root);
    if let Err(invalid) = check_before_execution(job, chain, &parts) {
        report.checks.header = Some(false);
        return Verdict::Invalid(invalid);
    }
    let hash_is_stated = stated.hash.is_none_or(|hash| hash == block.header.hash());
    report.checks.header = Some(hash_is_stated);
    if let Some(hash) = stated.hash.filter(|_| !hash_is_stated) {
        report.differs("hash", hash, block.header.hash());
    }
    let recovered = match &content.recovered {
        Ok(recovered) => recovered,
        Err(error) => return Verdict::Invalid(unsigned(error)),
    };
    if let Some(senders) = &stated.senders {
        let equal = *senders == recovered.senders;
        report.checks.senders = Some(equal);
        if !equal {
            report_senders(senders, recovered, report);
        }
    }
    if let Err(invalid) = rules::TransactionRules::new(&chain.spec, header).check_all(&block.transactions) {
        return Verdict::Invalid(invalid);
    }
    if !job.executable {
        return if report.checks.none_failed() { Verdict::Valid(None) } else { Verdict::Differs };
    }
    let spec = chain.spec.clone();
    let context = BlockContext {
        spec: &spec,
        header,
        transactions: &block.transactions,
        senders: &recovered.senders,
        authorities: &recovered.authorities,
        // Where only the hashes of ommers are known their rewards cannot be paid. That is so for
        // blocks with touched accounts alone, whose state root is out of reach anyway.
        ommers: block.ommers.headers().unwrap_or_default(),
        withdrawals: body.withdrawals,
    };
    execute(job, chain, &context, report)
}

/// The block's own rules and those against its parent, whose state is then the chain's.
fn check_before_execution(
    job: &Job<'_>,
    chain: &mut Chain,
    parts: &BlockParts<'_, SignedTx>,
) -> Result<(), InvalidBlock> {
    if !chain.has_genesis() {
        rules::check_block_alone(&chain.spec, parts)?;
        chain.note_parent(parts.header);
        return Ok(());
    }
    rules::check_block(&chain.spec, parts, chain)?;
    if job.executable && !chain.rewind_to(parts.header.parent_hash) {
        let detail = "the state after the parent is no longer held";
        return Err(InvalidBlock::block(Exception::UnknownParent, detail));
    }
    Ok(())
}

fn report_senders(stated: &[alloy_primitives::Address], recovered: &Recovered, report: &mut BlockReport) {
    let differing = stated.iter().zip(&recovered.senders).enumerate().find(|(_, (a, b))| a != b);
    match differing {
        Some((index, (stated, recovered))) => {
            report.differs(&format!("sender of transaction {index}"), stated, recovered);
        }
        None => report.differs("number of senders", stated.len(), recovered.senders.len()),
    }
}

/// What one way of executing a block gave.
struct Attempt {
    executed: Result<Executed, ExecutionError>,
    lanes: LaneCounts,
    reexecuted: usize,
    /// Whether this is the reference itself.
    is_sequential: bool,
}

fn execute(
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
    let is_sequential = attempt.is_sequential;
    let verdict = judge(chain, context, attempt.executed, report);
    if is_sequential || matches!(verdict, Verdict::Valid(_) | Verdict::Needs(_)) {
        return verdict;
    }
    // Only sequential revm condemns a block, with senders that no device has touched.
    report.mismatches.retain(Mismatch::is_disagreement);
    report.checks =
        Checks { gas_used: None, receipts_root: None, logs_bloom: None, state_root: None, ..report.checks };
    let confirmed = confirm::sequentially(context, chain);
    let confirmed = judge(chain, context, confirmed, report);
    confirm::note_disagreement(&verdict_line(&verdict), &verdict_line(&confirmed), report);
    confirmed
}

fn verdict_line(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Valid(_) => "valid".to_owned(),
        Verdict::Invalid(invalid) => invalid.to_string(),
        Verdict::Undecodable(invalid) => invalid.to_string(),
        Verdict::Needs(key) => format!("needs {key}"),
        Verdict::Failed(message) => message.clone(),
        Verdict::Differs => "differs".to_owned(),
    }
}

fn attempt(job: &Job<'_>, chain: &Chain, context: &BlockContext<'_>, report: &mut BlockReport) -> Attempt {
    let rules = chain.spec.spec_id_at(context.header.number, context.header.timestamp);
    // Before Byzantium a receipt holds the state root after its transaction, so with a whole state
    // every transaction is a step of its own; Amsterdam's rules are known to sequential revm alone.
    let steps = chain.trie().is_some() && !rules.is_enabled_in(revm::primitives::hardfork::SpecId::BYZANTIUM);
    let amsterdam = rules.is_enabled_in(revm::primitives::hardfork::SpecId::AMSTERDAM);
    if job.options.lanes == LaneSet::Evm || steps || amsterdam {
        let executed =
            timed(&mut report.seconds.execute, || sequential::execute(context, chain.world(), chain.trie()));
        let lanes = LaneCounts { evm: context.transactions.len(), ..LaneCounts::default() };
        return Attempt { executed, lanes, reexecuted: 0, is_sequential: true };
    }
    let world = chain.world();
    let plan = timed(&mut report.seconds.plan, || {
        let has_code = |address: &_| world.account(address).is_ok_and(|a| a.is_some_and(|a| a.has_code()));
        let lanes: Vec<_> = context.transactions.iter().map(|tx| route(tx, rules, has_code)).collect();
        Plan::new(&lanes, context.senders)
    });
    let reconciled =
        timed(&mut report.seconds.execute, || reconcile::execute(context, world, &plan, job.accelerator));
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
    let whole = chain.trie().is_some();
    if let Err(invalid) = check_requests(chain, context, &executed) {
        return Verdict::Invalid(invalid);
    }
    let roots = timed(&mut report.seconds.reconcile, || block_roots(&executed.receipts));
    let Executed { gas_used, requests, block_access_list_hash, changes, .. } = executed;
    let (state_root, tried) = timed(&mut report.seconds.root, || chain.try_changes(changes));
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
    let contracts = if chain.trie().is_some() { rules::request_contracts(fork) } else { &[] };
    for address in contracts {
        let account = match executed.changes.accounts.get(address) {
            Some(change) => change.account,
            None => chain.world().accounts().get(address).copied(),
        };
        if !account.is_some_and(|account| account.has_code()) {
            return Err(rules::empty_system_contract(*address));
        }
    }
    Ok(())
}

/// What bytes that are no block break: for RLP, the rules' own reading of them.
fn undecodable(chain: &Chain, bytes: &BlockBytes, error: &DecodeError) -> InvalidBlock {
    match bytes {
        BlockBytes::Rlp(rlp) => {
            let explained = rules::explain_undecodable_block(&chain.spec, rlp);
            InvalidBlock { detail: error.to_string(), ..explained }
        }
        BlockBytes::RpcJson(_) => InvalidBlock::block(Exception::RlpStructuresEncoding, error.to_string()),
    }
}

fn unsigned(error: &Unrecoverable) -> InvalidBlock {
    InvalidBlock::transaction(Exception::InvalidSignature, error.index, error.fault.to_string())
}

/// The verdict that a failure to execute amounts to; `None` if it says nothing about the block.
fn not_executable(error: &ExecutionError) -> Option<InvalidBlock> {
    match error {
        ExecutionError::InvalidTransaction { index, error } => {
            InvalidBlock::of_invalid_transaction(error, *index)
        }
        ExecutionError::GasPoolExceeded { index, gas_limit, available } => Some(InvalidBlock::transaction(
            Exception::GasAllowanceExceeded,
            *index,
            format!("gas limit {gas_limit} of {available} left"),
        )),
        ExecutionError::Unrecoverable(error) => Some(unsigned(error)),
        ExecutionError::Block(error) => InvalidBlock::of_execution_error(error, None),
        _ => None,
    }
}

/// Sets verdict and match, and moves the chain.
fn conclude(
    job: &Job<'_>,
    chain: &mut Chain,
    expectation: &Expectation,
    content: Option<Content>,
    verdict: Verdict,
    report: &mut BlockReport,
) {
    let should_be_valid = matches!(expectation, Expectation::Valid);
    if let Expectation::Invalid { classes } = expectation {
        report.expected_exception = Some(classes.join("|"));
    }
    let is_undecodable = matches!(verdict, Verdict::Undecodable(_));
    match verdict {
        Verdict::Valid(tried) => {
            if let (Some(tried), Some(content)) = (tried, content) {
                let (header, hash) = content.block.header.into_parts();
                chain.accept(tried, hash, header, content.block.ommers);
            }
            report.matched = should_be_valid && report.mismatches.is_empty() && report.checks.none_failed();
            if !should_be_valid {
                report.differs("validity", report.expected_exception.clone().unwrap_or_default(), "valid");
            }
        }
        Verdict::Invalid(invalid) | Verdict::Undecodable(invalid) => {
            report.is_malformed = is_undecodable || invalid.transaction.is_some();
            report.exception = Some(invalid.exception.to_string());
            report.reason = Some(invalid.to_string());
            let as_expected = match expectation {
                Expectation::Valid => false,
                Expectation::Invalid { classes } => {
                    classes.is_empty() || classes.iter().any(|class| invalid.exception.is_expected_by(class))
                }
            };
            report.matched = as_expected && !report.has_disagreement();
            if as_expected {
                report.mismatches.retain(Mismatch::is_disagreement);
            } else if should_be_valid {
                if report.mismatches.is_empty() {
                    report.differs("validity", "valid", &invalid);
                }
            } else {
                let expected = report.expected_exception.clone().unwrap_or_default();
                report.differs("exception", expected, &invalid);
            }
        }
        Verdict::Needs(key) => {
            report.needs = Some(key.to_string());
            report.matched = false;
        }
        Verdict::Failed(message) => report.differs("execution", "to the end", message),
        Verdict::Differs => report.matched = false,
    }
    if let Some(expected) = job.expected {
        check_end(chain, expected, report);
    }
}

/// The end of a test case: the head's hash and the complete state.
fn check_end(chain: &Chain, expected: &ExpectedEnd, report: &mut BlockReport) {
    let head = chain.head().unwrap_or(B256::ZERO);
    if head != expected.last_block_hash {
        report.differs("last_block_hash", expected.last_block_hash, head);
        report.matched = false;
        return;
    }
    let difference = match &expected.post_state {
        None => None,
        Some(PostState::Root(root)) => {
            let found = chain.trie().map(crate::state::StateTrie::root);
            found.filter(|found| found != root).map(|found| (root.to_string(), found.to_string()))
        }
        Some(PostState::Accounts(accounts)) => {
            let expected = Prestate { accounts: accounts.clone(), ..Prestate::default() };
            chain.world().first_difference(&World::from_prestate(expected))
        }
    };
    if let Some((expected, found)) = difference {
        report.differs("post_state", expected, found);
        report.matched = false;
    }
}
