//! Optimistic execution ahead of the reconciler.
//!
//! Each transaction has a slot. Whoever claims it first executes it: a worker speculatively, or
//! the reconciler directly when it gets there before any worker. A claim is final, so nothing is
//! executed twice but what a stale read forces. No slot is ever waited for without doing other
//! work first.

use super::evm::{LaneEvm, Speculated};
use crate::plan::Plan;
use revm::context::TxEnv;
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
};

const FREE: u8 = 0;
const CLAIMED: u8 = 1;
const DONE: u8 = 2;

#[derive(Debug, Default)]
struct Slot {
    stage: AtomicU8,
    found: Mutex<Option<Box<Speculated>>>,
}

/// The slots of one block and how far the reconciler has come.
#[derive(Debug)]
pub struct Board<'p> {
    plan: &'p Plan,
    slots: Vec<Slot>,
    /// The next transaction that a worker looks at.
    cursor: AtomicUsize,
    /// How many transactions are settled.
    settled: AtomicUsize,
    closed: AtomicBool,
}

/// Who executes a transaction the reconciler has come to.
#[derive(Debug)]
pub enum Turn {
    /// Nobody began it: the reconciler executes it directly.
    Direct,
    /// A worker executed it; `None` if it could not be executed on what was settled then.
    Speculated(Option<Box<Speculated>>),
}

impl<'p> Board<'p> {
    /// A board for the transactions of `plan`.
    pub fn new(plan: &'p Plan) -> Self {
        let mut slots = Vec::new();
        slots.resize_with(plan.len(), Slot::default);
        Self {
            plan,
            slots,
            cursor: AtomicUsize::new(0),
            settled: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// Says that every transaction before `index` is settled.
    pub fn settle(&self, index: usize) {
        self.settled.store(index, Ordering::Release);
    }

    /// Ends all workers, after the transaction each is at.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// A worker's life: speculate until nothing is left or the board is closed.
    pub fn work(&self, evm: &mut LaneEvm<'_, '_>, tx_env: &(dyn Fn(usize) -> TxEnv + Sync)) {
        let mut is_left = true;
        while is_left && !self.closed.load(Ordering::Acquire) {
            is_left = self.speculate_next(evm, tx_env);
        }
    }

    /// Speculates on one transaction; false if none is left.
    pub(crate) fn speculate_next(
        &self,
        evm: &mut LaneEvm<'_, '_>,
        tx_env: &(dyn Fn(usize) -> TxEnv + Sync),
    ) -> bool {
        loop {
            // The transaction after the settled ones is the reconciler's own.
            let settled = self.settled.load(Ordering::Acquire);
            self.cursor.fetch_max(settled + 1, Ordering::AcqRel);
            let index = self.cursor.fetch_add(1, Ordering::AcqRel);
            let Some(slot) = self.slots.get(index) else { return false };
            // A transaction whose sender has an unsettled one before it would read a stale nonce.
            if !self.plan.may_speculate(index, settled) || !slot.claim() {
                continue;
            }
            let found = evm.speculate(tx_env(index)).map(Box::new);
            *slot.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
            slot.stage.store(DONE, Ordering::Release);
            return true;
        }
    }

    /// The reconciler's turn at `index`. While a worker is busy with it, the reconciler speculates
    /// on later transactions.
    pub fn turn(
        &self,
        index: usize,
        evm: &mut LaneEvm<'_, '_>,
        tx_env: &(dyn Fn(usize) -> TxEnv + Sync),
    ) -> Turn {
        let slot = &self.slots[index];
        if slot.claim() {
            return Turn::Direct;
        }
        while slot.stage.load(Ordering::Acquire) != DONE {
            if !self.speculate_next(evm, tx_env) {
                std::thread::yield_now();
            }
        }
        Turn::Speculated(slot.found.lock().unwrap_or_else(PoisonError::into_inner).take())
    }
}

impl Slot {
    fn claim(&self) -> bool {
        self.stage.compare_exchange(FREE, CLAIMED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
