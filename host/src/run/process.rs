//! One block against the chain: rules, execution, comparison with the header.

use super::{
    Chain, Job, confirm,
    execute::execute,
    prepare::{Content, Prepared, TRANSFER_KERNEL, counts, difference},
    report::{BlockReport, WitnessedBlock},
    stateless,
    verdict::{Verdict, conclude, undecodable, unsigned},
};
use crate::{
    block::{BlockContext, SignedTx},
    ingest::{BlockBytes, Stated},
    recover::{Recovered, recover_scalar},
    rules::{self, BlockParts, Body, Exception, InvalidBlock},
};
use alloy_primitives::Address;
use std::borrow::Cow;

/// Processes a block; the chain then stands on it, if it is valid.
pub(super) fn process(job: &Job<'_>, chain: &mut Chain, prepared: Prepared) -> BlockReport {
    let Prepared { input, content, seconds, kernels, sender_cache } = prepared;
    let mut report = BlockReport::new(job.path, job.name, job.accelerator.device_name());
    (report.seconds, report.kernels, report.sender_cache) = (seconds, kernels, sender_cache);
    let before = counts(job.accelerator);
    let verdict = match &content {
        Err(error) => Verdict::Undecodable(undecodable(chain, &input.bytes, error)),
        Ok(content) => {
            let header = content.block.header.inner();
            report.number = Some(header.number);
            match job.witness {
                Some(_) => stateless::resolve_merge(&mut chain.spec, header),
                None => chain.resolve_merge(header),
            }
            report.fork = Some(chain.spec.fork_of(header).name().to_owned());
            report.transactions = content.block.transactions.len();
            let mut stated = content.block.stated.clone();
            stated.hash = stated.hash.or(input.stated_hash);
            stated.senders = stated.senders.or(input.stated_senders);
            check_and_execute(job, chain, (content, &input.bytes), &stated, &mut report)
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
    (content, bytes): (&Content, &BlockBytes),
    stated: &Stated,
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
    let checked = match job.witness {
        Some(witness) => stateless::check_before_execution(&chain.spec, witness, &parts),
        None => check_before_execution(job, chain, &parts).map_err(Verdict::Invalid),
    };
    if let Err(verdict) = checked {
        report.checks.header = matches!(verdict, Verdict::Invalid(_)).then_some(false);
        return verdict;
    }
    report.has_unchecked_ommers = !block.ommers.is_empty() && !chain.has_genesis();
    let hash_is_stated = stated.hash.is_none_or(|hash| hash == block.header.hash());
    report.checks.header = Some(hash_is_stated);
    if let Some(hash) = stated.hash.filter(|_| !hash_is_stated) {
        report.differs("hash", hash, block.header.hash());
    }
    if let Some(hashes) = &stated.transaction_hashes {
        let ours = block.transactions.hashes();
        let differing = hashes.iter().zip(ours).enumerate().find(|(_, (stated, hash))| stated != hash);
        if let Some((index, (stated, hash))) = differing {
            report.differs(&format!("hash of transaction {index}"), stated, hash);
        }
    }
    let mut recovered = match &content.recovered {
        Ok(recovered) => Cow::Borrowed(recovered),
        Err(error) => return Verdict::Invalid(unsigned(error)),
    };
    if let Some(senders) = &stated.senders {
        if *senders != recovered.senders {
            // Whoever is wrong, the scalar code is not: its senders are the ones to go on with.
            let rules = chain.spec.spec_id_at(header.number, header.timestamp);
            match recover_scalar(&block.transactions, rules) {
                Ok(again) => recovered = Cow::Owned(confirm::senders(&recovered, again, report)),
                Err(error) => return Verdict::Invalid(unsigned(&error)),
            }
        }
        let equal = *senders == recovered.senders;
        report.checks.senders = Some(equal);
        if !equal {
            report_senders(senders, &recovered, report);
        }
    }
    if let Err(invalid) = rules::TransactionRules::new(&chain.spec, header).check_all(&block.transactions) {
        return Verdict::Invalid(invalid);
    }
    if !job.executable {
        return if report.checks.none_failed() { Verdict::Valid(None) } else { Verdict::Differs };
    }
    if chain.spec.needs_eip1283(header.number, header.timestamp) {
        return Verdict::Unsupported("Constantinople without Petersburg (EIP-1283) is unknown to revm");
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
    if let Some(witness) = job.witness {
        return stateless::execute(job, witness, &context, block.ommers.headers().is_some(), report);
    }
    if let (true, Some(trie), BlockBytes::Rlp(rlp)) = (job.options.witnesses, chain.trie(), bytes) {
        let made = stateless::witness(chain, &trie, &context);
        let (spec, header, rlp) = (spec.clone(), header.clone(), rlp.clone());
        let block = |witness| WitnessedBlock { spec, header, rlp, witness };
        report.witness = Some(made.map(|witness| Box::new(block(witness))));
    }
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

fn report_senders(stated: &[Address], recovered: &Recovered, report: &mut BlockReport) {
    let differing = stated.iter().zip(&recovered.senders).enumerate().find(|(_, (a, b))| a != b);
    match differing {
        Some((index, (stated, recovered))) => {
            report.differs(&format!("sender of transaction {index}"), stated, recovered);
        }
        None => report.differs("number of senders", stated.len(), recovered.senders.len()),
    }
}
