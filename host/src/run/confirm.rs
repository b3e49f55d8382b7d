//! Sequential revm as the judge: comparisons and confirmations.

use super::{
    Chain,
    report::{BlockReport, Mismatch},
    verdict::{Verdict, same_failure},
};
use crate::{
    block::BlockContext,
    lanes::{Executed, ExecutionError, sequential},
    recover::{Recovered, recover_scalar},
};

/// Executes a block with sequential revm on senders recovered anew by scalar CPU code.
pub(super) fn sequentially(context: &BlockContext<'_>, chain: &Chain) -> Result<Executed, ExecutionError> {
    let rules = chain.spec.spec_id_at(context.header.number, context.header.timestamp);
    let recovered = recover_scalar(context.transactions, rules)?;
    let context =
        BlockContext { senders: &recovered.senders, authorities: &recovered.authorities, ..*context };
    sequential::execute(&context, chain.snapshot().view(), chain.trie().as_deref())
}

/// Notes where senders that were recovered in batches differ from those that scalar code recovered,
/// and returns the latter.
pub(super) fn senders(batch: &Recovered, scalar: Recovered, report: &mut BlockReport) -> Recovered {
    let differing = batch.senders.iter().zip(&scalar.senders).enumerate().find(|(_, (a, b))| a != b);
    if let Some((index, (ours, theirs))) = differing {
        log::error!("block {:?}: sender {index} is {theirs}, but the batch said {ours}", report.number);
        let field = format!("sender of transaction {index}, recovered in a batch");
        report.mismatches.push(Mismatch::disagreement(&field, theirs.to_string(), ours.to_string()));
    }
    scalar
}

/// Compares what the lanes gave with sequential revm: receipts, logs, gas, requests and complete
/// post-state, or the failure.
pub(super) fn compare(
    context: &BlockContext<'_>,
    chain: &Chain,
    executed: &Result<Executed, ExecutionError>,
    report: &mut BlockReport,
) {
    let reference = sequentially(context, chain);
    let difference = match (executed, &reference) {
        (Ok(ours), Ok(theirs)) => first_difference(ours, theirs, chain),
        (Err(ours), Err(theirs)) => {
            (!same_failure(ours, theirs)).then(|| ("error", theirs.to_string(), ours.to_string()))
        }
        (Ok(_), Err(error)) => Some(("outcome", error.to_string(), "executed".to_owned())),
        (Err(error), Ok(_)) => Some(("outcome", "executed".to_owned(), error.to_string())),
    };
    if let Some((field, expected, found)) = difference {
        log::error!("the lanes differ from sequential revm in {field}: {expected} against {found}");
        report.mismatches.push(Mismatch::disagreement(field, expected, found));
    }
}

fn first_difference(
    ours: &Executed,
    theirs: &Executed,
    chain: &Chain,
) -> Option<(&'static str, String, String)> {
    let mut receipts = ours.receipts.iter().zip(&theirs.receipts).enumerate();
    if let Some((index, (a, b))) = receipts.find(|(_, (a, b))| a != b) {
        return Some(("receipt", format!("{index}: {b:?}"), format!("{index}: {a:?}")));
    }
    if ours.receipts.len() != theirs.receipts.len() {
        return Some(("receipts", theirs.receipts.len().to_string(), ours.receipts.len().to_string()));
    }
    if ours.gas_used != theirs.gas_used {
        return Some(("gas_used", theirs.gas_used.to_string(), ours.gas_used.to_string()));
    }
    if ours.requests != theirs.requests {
        return Some(("requests", format!("{:?}", theirs.requests), format!("{:?}", ours.requests)));
    }
    let difference = ours.changes.first_difference(&theirs.changes, chain.snapshot().view())?;
    Some(("post-state", "as sequential revm leaves it".to_owned(), difference))
}

/// Notes where a lane and sequential revm came to different verdicts on a block: a fault of ours,
/// whatever the header says.
pub(super) fn note_disagreement(ours: &Verdict, theirs: &Verdict, report: &mut BlockReport) {
    if !ours.agrees_with(theirs) {
        log::error!("block {:?}: the lanes say {ours}, sequential revm says {theirs}", report.number);
        let mismatch = Mismatch::disagreement("verdict", theirs.to_string(), ours.to_string());
        report.mismatches.push(mismatch);
    }
}
