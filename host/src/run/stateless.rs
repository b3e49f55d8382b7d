//! Blocks on a state of which a witness tells what they need; and witnesses of blocks on a whole state.
//!
//! Nothing in a witness is believed that is not proven by a hash: the parent's header by the hash that the block has of
//! it, those before by their children, the state by the parent's state root, codes by the accounts. What is not
//! proven in that way is as if it were not there.

use super::{
    Chain, Job, confirm,
    execute::{Ground, Made, attempt, check_requests, compare, forget, not_executed},
    report::{BlockReport, timed},
    verdict::Verdict,
};
use crate::{
    block::{BlockContext, SignedTx},
    ingest::Witness,
    lanes::{Executed, ExecutionError, sequential},
    reconcile::block_roots,
    rules::{self, BlockParts},
    spec::ChainSpec,
    state::{
        BLOCK_HASH_HISTORY, BlockHashes, Recorder, StateKey, StateRead, StateTrie, Tries, View, WitnessState,
    },
};
use alloy_consensus::{Header, Sealed};
use alloy_primitives::{B256, Bytes};

/// Where the chain merges at a total difficulty, which no witness tells: a block of no difficulty is one after the merge.
pub(super) fn resolve_merge(spec: &mut ChainSpec, header: &Header) {
    if let Some(terminal) = spec.unresolved_merge().filter(|_| header.difficulty.is_zero()) {
        spec.resolve_merge(header.number, terminal);
    }
}

/// The block's own rules and those against its parent. Of the ommers only what they and the header say of each other: the
/// ancestors' ommers are not in a witness.
pub(super) fn check_before_execution(
    spec: &ChainSpec,
    witness: &Witness,
    parts: &BlockParts<'_, SignedTx>,
) -> Result<(), Verdict> {
    let BlockParts { header, body, transactions_root, rlp_bytes } = *parts;
    let parent = parent_of(header, witness)?;
    rules::check_size(spec, header, rlp_bytes)
        .and_then(|()| rules::check_header(spec, header, header.parent_hash, parent))
        .and_then(|()| rules::check_body(spec, header, body))
        .and_then(|()| rules::check_transactions_root(header, transactions_root))
        .map_err(Verdict::Invalid)
}

/// The parent's header.
fn parent_of<'a>(header: &Header, witness: &'a Witness) -> Result<&'a Header, Verdict> {
    let lacking = || Verdict::Lacks(format!("header of the parent {}", header.parent_hash));
    witness.header(&header.parent_hash).ok_or_else(lacking)
}

/// Executes a block; only sequential revm condemns it, or says what it needs. `has_ommers` is whether its ommers are
/// known, or there are none: else their rewards are not.
pub(super) fn execute(
    job: &Job<'_>,
    witness: &Witness,
    context: &BlockContext<'_>,
    has_ommers: bool,
    report: &mut BlockReport,
) -> Verdict {
    let parent = match parent_of(context.header, witness) {
        Ok(parent) => parent,
        Err(verdict) => return verdict,
    };
    // Hashing all of it is what proves it, and part of the work.
    let state = timed(&mut report.seconds.ingest, || {
        WitnessState::new(parent.state_root, witness.state.clone(), witness.codes.clone())
    });
    let hashes = proven_hashes(context.header, witness);
    let ground =
        Ground { before: View::from(&state).with_hashes(&hashes), tries: Some(Tries::Witness(&state)) };
    let judge = |executed, report: &mut BlockReport| {
        judge(ground, &state, context, executed, has_ommers, report).unwrap_or_else(|verdict| verdict)
    };
    let attempt = attempt(job, ground, context, report);
    let noted = report.mismatches.len();
    let verdict = judge(attempt.executed, report);
    // A lane that executes ahead may ask for what the block in order does not.
    if matches!(verdict, Verdict::Valid(_)) || attempt.is_sequential && matches!(verdict, Verdict::Lacks(_)) {
        return verdict;
    }
    forget(noted, report);
    let confirmed = judge(confirm::sequentially(context, ground), report);
    if !matches!(verdict, Verdict::Lacks(_)) {
        confirm::note_disagreement(&verdict, &confirmed, report);
    }
    confirmed
}

/// Compares what execution gave with the header.
fn judge(
    ground: Ground<'_>,
    state: &WitnessState,
    context: &BlockContext<'_>,
    executed: Result<Executed, ExecutionError>,
    has_ommers: bool,
    report: &mut BlockReport,
) -> Result<Verdict, Verdict> {
    let executed = executed.map_err(|error| explained(not_executed(&error), state))?;
    report.gas_used = executed.gas_used;
    check_requests(ground, context, &executed).map_err(|verdict| explained(verdict, state))?;
    let Executed { receipts, gas_used, requests, block_access_list_hash, changes } = executed;
    let seconds = &mut report.seconds;
    let (roots, state_root) = rayon::join(
        || timed(&mut seconds.reconcile, || block_roots(&receipts)),
        || timed(&mut seconds.root, || has_ommers.then(|| state.root_after(&changes)).transpose()),
    );
    let state_root = state_root.map_err(|error| Verdict::Lacks(format!("state root: {error}")))?;
    let made =
        Made { gas_used, roots, requests: &requests, state_root, block_access_list_hash, is_proven: true };
    Ok(compare(context, made, report).map_or(Verdict::Valid(None), Verdict::Invalid))
}

/// What a witness lacks, with the trie node at fault.
fn explained(verdict: Verdict, state: &WitnessState) -> Verdict {
    let Verdict::Needs(key) = verdict else { return verdict };
    match state.explain(&key) {
        Some(error) => Verdict::Lacks(format!("{key}: {error}")),
        None => Verdict::Lacks(key.to_string()),
    }
}

/// Hashes of the ancestors, as far back as the headers are a chain that ends in the block's parent.
fn proven_hashes(header: &Header, witness: &Witness) -> BlockHashes {
    let mut hashes = BlockHashes::new();
    let (mut child, mut child_number) = (header.parent_hash, header.number);
    for _ in 0..BLOCK_HASH_HISTORY {
        // Numbers are counted down: a header may say of itself whatever it likes, its hash is the right one.
        let Some(number) = child_number.checked_sub(1) else { break };
        hashes.insert(number, child);
        let Some(parent) = witness.header(&child) else { break };
        (child, child_number) = (parent.parent_hash, number);
    }
    hashes
}

/// The witness of a block on a whole state: no node, code or header but those that sequential revm and the root after the block need.
/// It was executed on what is given here.
///
/// # Errors
/// In words, what stands in the way: that is a fault of ours.
pub(super) fn witness(
    chain: &Chain,
    trie: &StateTrie,
    context: &BlockContext<'_>,
) -> Result<Witness, String> {
    let header = context.header;
    let parent = chain.header(&header.parent_hash).ok_or("the parent's header is not known")?;
    if trie.root() != parent.state_root {
        return Err("the tries are not those of the state before the block".to_owned());
    }
    // What is read, whatever comes of it: an invalid block has a witness, too.
    let snapshot = chain.snapshot();
    let whole = snapshot.view();
    let recorder = Recorder::new(whole);
    let executed = sequential::execute(context, &recorder, None);
    let mut reads = recorder.into_reads();
    for (address, change) in executed.iter().flat_map(|executed| &executed.changes.accounts) {
        reads.accounts.entry(*address).or_default().extend(change.storage.keys());
    }
    let known = |hash: &B256| whole.code(hash).ok().filter(|code| !code.is_empty());
    let codes: Vec<Bytes> = reads.codes.iter().filter_map(known).map(|code| code.original_bytes()).collect();
    let state = WitnessState::new(trie.root(), trie.nodes_for(&reads), codes);

    // Which nodes are needed, an execution on nothing else shows.
    let hashes =
        reads.block_hashes.iter().filter_map(|&number| Some((number, whole.block_hash(number).ok()?)));
    let hashes: BlockHashes = hashes.collect();
    let before = View::from(&state).with_hashes(&hashes);
    let ground = Ground { before, tries: Some(Tries::Witness(&state)) };
    match sequential::execute(context, before, ground.tries) {
        Ok(executed) => {
            let root = state.root_after(&executed.changes).map_err(|error| error.to_string())?;
            let expected = trie.clone().update(&executed.changes);
            if root != expected {
                return Err(format!("state root: expected {expected}, found {root}"));
            }
            // The request contracts must be there; whether they are, the verdict asks.
            if let Err(Verdict::Needs(key)) = check_requests(ground, context, &executed) {
                return Err(format!("{key} was not recorded"));
            }
        }
        Err(ExecutionError::Unknown(unknown)) if !matches!(unknown.0, StateKey::BlockHash(_)) => {
            return Err(unknown.to_string());
        }
        Err(error @ ExecutionError::Unreadable { .. }) => return Err(error.to_string()),
        // The block's own fault, which is as good an end.
        Err(_) => {}
    }
    let (state, codes) = state.used();
    Ok(Witness { state, codes, headers: headers(chain, header, reads.block_hashes.first().copied()) })
}

/// The headers from the one that tells the hash of block `lowest` (it is the child's) up to the parent's, which is needed
/// anyway.
fn headers(chain: &Chain, header: &Header, lowest: Option<u64>) -> Vec<Sealed<Header>> {
    let mut headers = Vec::new();
    let mut next = header.parent_hash;
    while let Some(ancestor) = chain.header(&next) {
        headers.push(Sealed::new_unchecked(ancestor.clone(), next));
        if headers.len() == BLOCK_HASH_HISTORY || lowest.is_none_or(|lowest| ancestor.number <= lowest + 1) {
            break;
        }
        next = ancestor.parent_hash;
    }
    headers.reverse();
    headers
}
