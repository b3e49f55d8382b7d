//! Plan: what is done in which order, as plain data.
//!
//! Guarantees: pure (no clock, no device, no thread, no I/O; the same block gives the same plan);
//! the steps cover every transaction once, in block order; a transaction is marked as fit for
//! speculation only behind the last transaction of the same sender.

use crate::route::Lane;
use alloy_primitives::{Address, map::AddressMap};
use std::ops::Range;

/// A run of neighbouring transactions for one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The lane.
    pub lane: Lane,
    /// Indices in the block.
    pub range: Range<usize>,
}

/// The plan of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    steps: Vec<Step>,
    /// For each transaction of the evm lane, one more than the index of its sender's previous
    /// transaction, or 0; empty where nothing is to be speculated on.
    after: Vec<usize>,
    len: usize,
    evm_count: usize,
}

/// Marks transactions that are no work for speculation.
const NEVER: usize = usize::MAX;

impl Plan {
    /// Plans a block from the lanes and senders of its transactions.
    pub fn new(lanes: &[Lane], senders: &[Address]) -> Self {
        let mut steps: Vec<Step> = Vec::new();
        for (index, lane) in lanes.iter().enumerate() {
            match steps.last_mut() {
                Some(step) if step.lane == *lane => step.range.end = index + 1,
                _ => steps.push(Step { lane: *lane, range: index..index + 1 }),
            }
        }
        let evm_count = lanes.iter().filter(|lane| **lane == Lane::Evm).count();
        let after = if evm_count < 2 { Vec::new() } else { Self::dependencies(lanes, senders) };
        Self { steps, after, len: lanes.len(), evm_count }
    }

    fn dependencies(lanes: &[Lane], senders: &[Address]) -> Vec<usize> {
        let mut latest: AddressMap<usize> = AddressMap::default();
        lanes
            .iter()
            .zip(senders)
            .enumerate()
            .map(|(index, (lane, sender))| {
                let previous = latest.insert(*sender, index + 1).unwrap_or(0);
                if *lane == Lane::Evm { previous } else { NEVER }
            })
            .collect()
    }

    /// Runs in block order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Number of transactions.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether the block has no transactions.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of transactions meant for the evm lane.
    pub const fn evm_count(&self) -> usize {
        self.evm_count
    }

    /// Whether a transaction may be executed ahead of its turn, when all before `settled` are done.
    pub fn may_speculate(&self, index: usize, settled: usize) -> bool {
        self.after.get(index).is_some_and(|after| *after <= settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Lane::{Evm, Transfer};

    fn senders(ids: &[u8]) -> Vec<Address> {
        ids.iter().map(|id| Address::with_last_byte(*id)).collect()
    }

    #[test]
    fn steps_cover_every_transaction_once_in_order() {
        let lanes = [Transfer, Transfer, Evm, Transfer, Evm, Evm];
        let plan = Plan::new(&lanes, &senders(&[1, 2, 3, 4, 5, 6]));
        let covered: Vec<usize> = plan.steps().iter().flat_map(|step| step.range.clone()).collect();
        assert_eq!(covered, (0..lanes.len()).collect::<Vec<_>>());
        assert!(plan.steps().windows(2).all(|pair| pair[0].lane != pair[1].lane));
        assert_eq!((plan.len(), plan.evm_count()), (6, 3));
    }

    #[test]
    fn speculation_waits_for_the_senders_previous_transaction() {
        let plan = Plan::new(&[Evm, Transfer, Evm, Evm], &senders(&[7, 8, 7, 8]));
        assert!(plan.may_speculate(0, 0));
        assert!(!plan.may_speculate(1, 4), "transfers are never speculated on");
        assert!(!plan.may_speculate(2, 0) && plan.may_speculate(2, 1));
        assert!(!plan.may_speculate(3, 1) && plan.may_speculate(3, 2));
    }

    #[test]
    fn an_empty_block_has_an_empty_plan() {
        let plan = Plan::new(&[], &[]);
        assert!(plan.is_empty() && plan.steps().is_empty());
    }
}
