//! What can be done for a block before the state it builds on is known: decoding, hashing, senders.

use super::report::{StageSeconds, timed};
use crate::{
    ingest::{BlockInput, DecodeError, DecodedBlock, decode_block},
    recover::{Recovered, SenderCache, SenderCacheCounts, Unrecoverable},
    spec::ChainSpec,
    trie::ordered_root,
};
use alloy_primitives::B256;
use outrider_kernels::accelerator::{Accelerator, KernelCounts};
use std::collections::BTreeMap;

/// A block ready to be executed.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) input: BlockInput,
    pub(super) content: Result<Content, DecodeError>,
    pub(super) seconds: StageSeconds,
    pub(super) kernels: BTreeMap<&'static str, KernelCounts>,
    pub(super) sender_cache: SenderCacheCounts,
}

/// What a block that could be decoded holds.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) block: DecodedBlock,
    pub(super) transactions_root: B256,
    pub(super) recovered: Result<Recovered, Unrecoverable>,
}

/// Decodes a block and recovers its senders.
pub(super) fn prepare(
    input: BlockInput,
    spec: &ChainSpec,
    accelerator: &Accelerator,
    senders: &SenderCache,
) -> Prepared {
    let mut seconds = StageSeconds::default();
    let cached_before = senders.counts();
    let before = counts(accelerator);
    let decoded = timed(&mut seconds.ingest, || decode_block(&input.bytes));
    let content = decoded.map(|block| {
        let header = block.header.inner();
        let rules = spec.spec_id_at(header.number, header.timestamp);
        let (transactions_root, recovered) = rayon::join(
            || timed_root(&block),
            || {
                let mut seconds = 0.0;
                let recovered =
                    timed(&mut seconds, || senders.recover(accelerator, &block.transactions, rules));
                (recovered, seconds)
            },
        );
        seconds.ingest += transactions_root.1;
        seconds.recover += recovered.1;
        Content { transactions_root: transactions_root.0, recovered: recovered.0, block }
    });
    let kernels = difference(&before, accelerator, |kernel| kernel != TRANSFER_KERNEL);
    let sender_cache = senders.counts() - cached_before;
    Prepared { input, content, seconds, kernels, sender_cache }
}

/// The one kernel that executing a block uses; all others belong to preparing it.
pub(super) const TRANSFER_KERNEL: &str = "transfer";

/// Items done so far, by kernel.
pub(super) fn counts(accelerator: &Accelerator) -> BTreeMap<&'static str, KernelCounts> {
    accelerator.counts().into_iter().collect()
}

/// Items done since `before`. Preparing one block and executing another overlap, so each takes the
/// kernels that are its own.
pub(super) fn difference(
    before: &BTreeMap<&'static str, KernelCounts>,
    accelerator: &Accelerator,
    of_ours: impl Fn(&str) -> bool,
) -> BTreeMap<&'static str, KernelCounts> {
    let mut since = counts(accelerator);
    since.retain(|kernel, _| of_ours(kernel));
    for (kernel, count) in &mut since {
        if let Some(before) = before.get(kernel) {
            count.gpu -= before.gpu;
            count.cpu -= before.cpu;
            count.redone -= before.redone;
        }
    }
    since
}

fn timed_root(block: &DecodedBlock) -> (B256, f64) {
    let mut seconds = 0.0;
    let encoded = block.transactions.encoded();
    let root = timed(&mut seconds, || {
        ordered_root(encoded.len(), &|index, out| out.extend_from_slice(encoded.get(index)))
    });
    (root, seconds)
}
