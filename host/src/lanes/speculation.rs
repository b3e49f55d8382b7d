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
            let mut delivery = Delivery { slot, found: None };
            delivery.found = evm.speculate(tx_env(index)).map(Box::new);
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

/// Closes a claimed slot, also when the execution panics: the reconciler waits for it.
struct Delivery<'s> {
    slot: &'s Slot,
    found: Option<Box<Speculated>>,
}

impl Drop for Delivery<'_> {
    fn drop(&mut self) {
        *self.slot.found.lock().unwrap_or_else(PoisonError::into_inner) = self.found.take();
        self.slot.stage.store(DONE, Ordering::Release);
    }
}

impl Slot {
    fn claim(&self) -> bool {
        self.stage.compare_exchange(FREE, CLAIMED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        lanes::evm::SharedState,
        route::Lane,
        spec::ChainSpec,
        state::{BlockState, Completeness, World},
    };
    use alloy_consensus::Header;
    use alloy_primitives::{Address, U256};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn sender(index: usize) -> Address {
        Address::with_last_byte(u8::try_from(index + 1).unwrap())
    }

    fn tx_env(index: usize) -> TxEnv {
        TxEnv { caller: sender(index), kind: Address::ZERO.into(), gas_limit: 21_000, ..TxEnv::default() }
    }

    /// A board of four transactions of four senders, and what is needed to execute them.
    fn with_board(test: impl FnOnce(&Board<'_>, &mut LaneEvm<'_, '_>)) {
        let mut world = World::with_capacity(Completeness::Whole, 4);
        for index in 0..4 {
            world.insert(sender(index), U256::from(1), 0, Default::default(), []);
        }
        let header = Header { number: 1, gas_limit: 1_000_000, ..Header::default() };
        let env = ChainSpec::from_network("Berlin", 1, []).unwrap().evm_env(&header);
        let plan = Plan::new(&[Lane::Evm; 4], &[0, 1, 2, 3].map(sender));
        let state = SharedState::new(BlockState::new(&world));
        test(&Board::new(&plan), &mut LaneEvm::new(&state, &env));
    }

    #[test]
    fn the_first_transaction_is_the_reconcilers_and_the_others_are_workers() {
        with_board(|board, evm| {
            board.work(evm, &tx_env);
            assert!(matches!(board.turn(0, evm, &tx_env), Turn::Direct));
            for index in 1..4 {
                let Turn::Speculated(Some(found)) = board.turn(index, evm, &tx_env) else {
                    panic!("transaction {index} was not speculated on");
                };
                assert!(found.result.is_success() && found.state.contains_key(&sender(index)));
            }
        });
    }

    #[test]
    fn a_closed_board_gives_no_more_work() {
        with_board(|board, evm| {
            board.close();
            board.work(evm, &tx_env);
            assert!((0..4).all(|index| matches!(board.turn(index, evm, &tx_env), Turn::Direct)));
        });
    }

    #[test]
    fn a_worker_that_panics_does_not_keep_the_reconciler_waiting() {
        with_board(|board, evm| {
            let panics = |_: usize| -> TxEnv { panic!("a planted panic") };
            let work = catch_unwind(AssertUnwindSafe(|| board.work(evm, &panics)));
            assert!(work.is_err());
            assert!(matches!(board.turn(1, evm, &tx_env), Turn::Speculated(None)));
            assert!(matches!(board.turn(2, evm, &tx_env), Turn::Direct));
        });
    }
}
