//! A chain that continues in a store: what the store holds is skipped, what is accepted is committed.

use super::{Chain, Event, Loaded, Options, RunError, Sink, Times, core_time, report::BlockReport};
use crate::{
    ingest::{self, Blocks, Case, peek_id},
    recover::SenderCache,
    store::{Commit, Identity, Store},
};
use alloy_primitives::B256;
use outrider_kernels::accelerator::Accelerator;
use std::{path::Path, time::Instant};

/// Continues the chain of a folder in a store. A block is reported when it is durable; while it is written the next one
/// executes.
///
/// # Errors
/// A path that is no chain folder, another chain than the store's, a store that fails, and a sink that does. Blocks that were
/// reported are safe in any case.
pub fn run_on_store(
    store: &Store,
    path: &Path,
    accelerator: &Accelerator,
    senders: &SenderCache,
    options: &Options,
    sink: &mut Sink<'_>,
) -> Result<Times, RunError> {
    sink(Event::Loading(path))?;
    let start = Instant::now();
    let case = ingest::open(path)?.next().transpose()?;
    let not_a_chain = || RunError::NotAChain { path: path.to_owned() };
    let case =
        case.filter(|case| case.genesis.is_some() && case.expected.is_none()).ok_or_else(not_a_chain)?;
    let Case { path, spec, genesis, prestate, mut blocks, .. } = case;
    let genesis = Chain::load(spec.clone(), genesis, prestate.unwrap_or_default())
        .map_err(|message| RunError::Genesis { path: path.clone(), message })?;
    let genesis_hash = genesis.head().ok_or_else(not_a_chain)?;
    store.expect(Identity { chain_id: spec.chain_id(), genesis_hash })?;
    drop(genesis);
    let chain = Chain::resume(spec, store)?;
    let (first, skipped) = skip_known(&chain, &mut blocks)?;
    let head_number = chain.head().and_then(|head| chain.header(&head)).map_or(0, |head| head.number);
    sink(Event::Continuing { head_number, skipped })?;
    let journal = Journal { store, last: chain.last_accepted_hash(), begun: None, waiting: None };
    let blocks = Blocks::resumed(first, blocks);
    let loaded = Loaded { path, name: None, chain, blocks, expected: None, executable: true, witness: None };
    let load = start.elapsed();
    let (start, cores) = (Instant::now(), core_time());
    loaded.run_journaled(accelerator, senders, options, Some(journal), sink)?;
    let cores = core_time().zip(cores).map(|(now, then)| now - then);
    Ok(Times { run: start.elapsed(), cores, load })
}

/// Passes over the blocks that the chain holds, known by hash, and those behind all headers that it keeps: the first block
/// that it does keep proves them. Returns the block after them.
fn skip_known(chain: &Chain, blocks: &mut Blocks) -> Result<(Option<ingest::BlockInput>, usize), RunError> {
    let lowest = chain.lowest_header();
    let mut skipped = 0;
    for input in blocks {
        let input = input?;
        let is_known = peek_id(&input.bytes)
            .is_some_and(|(number, hash)| number < lowest || chain.header(&hash).is_some());
        if !is_known {
            return Ok((Some(input), skipped));
        }
        skipped += 1;
    }
    Ok((None, skipped))
}

/// What a run writes down: every block that is accepted, and the report that waits until it is durable.
#[derive(Debug)]
pub(super) struct Journal<'a> {
    store: &'a Store,
    /// The block that was handed over last.
    last: Option<B256>,
    /// Handed over, not reported yet.
    begun: Option<Commit>,
    waiting: Option<(BlockReport, Commit)>,
}

impl Journal<'_> {
    /// Hands over the block that was just accepted, if one was.
    pub(super) fn follow(&mut self, chain: &Chain) {
        if chain.last_accepted_hash() == self.last {
            return;
        }
        self.last = chain.last_accepted_hash();
        self.begun = chain.last_accepted().map(|(block, changes)| self.store.commit(&block, &changes));
    }

    /// Reports a block when it is durable: the one before it now, this one next time.
    pub(super) fn report(&mut self, report: BlockReport, sink: &mut Sink<'_>) -> Result<(), RunError> {
        self.finish(sink)?;
        match self.begun.take() {
            Some(commit) => self.waiting = Some((report, commit)),
            None => sink(Event::Block(&report))?,
        }
        Ok(())
    }

    /// Reports the block that waits.
    pub(super) fn finish(&mut self, sink: &mut Sink<'_>) -> Result<(), RunError> {
        if let Some((report, commit)) = self.waiting.take() {
            commit.wait()?;
            sink(Event::Block(&report))?;
        }
        Ok(())
    }
}
