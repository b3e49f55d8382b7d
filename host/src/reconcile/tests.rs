//! Whatever the lanes did, in whatever order, the block comes out as sequential revm leaves it.

mod blocks;
mod contracts;
mod on_demand;

use super::*;
use crate::{route::route, spec::Fork, state::StateRead};
use blocks::{Case, Random};
use rayon::prelude::*;

/// Frontier to Osaka; forks that change blob parameters only have no rules of their own.
fn forks() -> impl Iterator<Item = Fork> {
    Fork::ALL.into_iter().filter(|fork| *fork <= Fork::Osaka)
}

fn plan(case: &Case) -> Plan {
    let rules = case.fork().spec_id();
    let has_code =
        |address: &_| case.world.account(address).is_ok_and(|account| account.is_some_and(|a| a.has_code()));
    let lanes: Vec<_> = case.transactions.iter().map(|tx| route(tx, rules, has_code)).collect();
    Plan::new(&lanes, &case.senders)
}

/// The lanes with a schedule that is laid down: before each step that is settled, `ahead` says how
/// many transactions are speculated on with what is settled then.
fn execute_scheduled(case: &Case, mut ahead: impl FnMut() -> usize) -> Result<Reconciled, ExecutionError> {
    let (block, accelerator, plan) = (&case.block(), &Accelerator::cpu(), &plan(case));
    let env = block.spec.evm_env(block.header);
    let mut state = BlockState::new(&case.world);
    begin_block(block, &env, &mut state)?;
    let shared = SharedState::new(state);
    let board = Board::new(plan);
    let mut worker = LaneEvm::new(&shared, &env);
    let mut settling = Settling::new(block, &env, &shared, accelerator, false);
    let mut speculate = || {
        for _ in 0..ahead() {
            if !board.speculate_next(&mut worker, &|index| tx_env(block, index)) {
                break;
            }
        }
    };
    for step in plan.steps() {
        for index in step.range.clone() {
            speculate();
            match step.lane {
                Lane::Transfer => settling.run_transfers(index..index + 1, Some(&board))?,
                Lane::Evm => settling.run_evm(index, Some(&board))?,
            }
        }
    }
    let Standing { receipts, gas_used, lanes, reexecuted, .. } = settling.finish();
    drop(worker);
    let executed = end_block(block, env, shared.into_inner(), receipts, gas_used)?;
    Ok(Reconciled { executed, lanes, reexecuted })
}

/// On a pool of that many threads.
fn execute_on(threads: usize, case: &Case) -> Result<Reconciled, ExecutionError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| execute(&case.block(), &case.world, &plan(case), &Accelerator::cpu()))
}

/// Totals that show that a test is not vacuous.
#[derive(Debug, Default)]
struct Seen {
    transactions: usize,
    transfers: usize,
    reexecuted: usize,
    succeeded: usize,
    failed_blocks: usize,
    /// Contracts that a block left behind, delegations, and accounts that went.
    deployed: usize,
    delegated: usize,
    removed: usize,
}

impl Seen {
    fn count_ends(&mut self, executed: &Executed) {
        for change in executed.changes.accounts.values() {
            let Some(account) = change.account else {
                self.removed += 1;
                continue;
            };
            if let Some(code) = executed.changes.codes.get(&account.code_hash) {
                let count = if code.is_eip7702() { &mut self.delegated } else { &mut self.deployed };
                *count += 1;
            }
        }
    }

    fn assert_equal(
        &mut self,
        case: &Case,
        what: &str,
        ours: &Result<Reconciled, ExecutionError>,
        theirs: &Result<Executed, ExecutionError>,
    ) {
        match (ours, theirs) {
            (Ok(Reconciled { executed: ours, lanes, reexecuted }), Ok(theirs)) => {
                for (index, (a, b)) in ours.receipts.iter().zip(&theirs.receipts).enumerate() {
                    assert_eq!(a, b, "{what}: receipt {index} of {:?}", case.transactions[index]);
                }
                assert_eq!(ours.changes.first_difference(&theirs.changes, &case.world), None, "{what}");
                assert_eq!(ours, theirs, "{what}");
                assert_eq!(lanes.transfer + lanes.evm, case.transactions.len(), "{what}");
                self.transfers += lanes.transfer;
                self.reexecuted += reexecuted;
                self.transactions += case.transactions.len();
                let succeeded = |receipt: &&Receipt| matches!(receipt.status, Eip658Value::Eip658(true));
                self.succeeded += theirs.receipts.iter().filter(succeeded).count();
                self.count_ends(theirs);
            }
            (Err(ours), Err(theirs)) => {
                assert_eq!(ours.to_string(), theirs.to_string(), "{what}");
                self.failed_blocks += 1;
            }
            (ours, theirs) => panic!("{what}: {ours:?} against {theirs:?}"),
        }
    }
}

#[test]
fn speculation_on_stale_state_equals_sequential_execution_in_every_fork() {
    for fork in forks() {
        let mut seen = Seen::default();
        for seed in 0..24 {
            let case = Case::random(fork, seed, 60);
            let expected = case.sequentially();
            let what = |schedule: &str| format!("{fork}, seed {seed}, {schedule}");
            // All ahead on the state before the block; none ahead; and anything between.
            let ours = execute_scheduled(&case, || usize::MAX);
            seen.assert_equal(&case, &what("all ahead"), &ours, &expected);
            let ours = execute_scheduled(&case, || 0);
            assert_eq!(ours.as_ref().map_or(0, |done| done.reexecuted), 0, "{}", what("none ahead"));
            seen.assert_equal(&case, &what("none ahead"), &ours, &expected);
            let mut random = Random(seed);
            let ours = execute_scheduled(&case, || usize::try_from(random.below(3)).unwrap());
            seen.assert_equal(&case, &what("some ahead"), &ours, &expected);
        }
        eprintln!("{fork}: {seen:?}");
        assert!(seen.reexecuted > 100 && seen.transfers > 100, "{fork}: {seen:?}");
        assert!(2 * seen.succeeded > seen.transactions && seen.deployed > 50, "{fork}: {seen:?}");
        // Since Cancun a contract goes only in the transaction that made it (EIP-6780).
        assert!(fork >= Fork::Cancun || seen.removed > 10, "{fork}: {seen:?}");
        assert!(fork < Fork::Prague || seen.delegated > 50, "{fork}: {seen:?}");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_block() {
    for fork in forks() {
        let mut seen = Seen::default();
        for seed in 100..106 {
            let case = Case::random(fork, seed, 80);
            let expected = case.sequentially();
            for threads in [1, 2, 4] {
                let ours = execute_on(threads, &case);
                seen.assert_equal(
                    &case,
                    &format!("{fork}, seed {seed}, {threads} threads"),
                    &ours,
                    &expected,
                );
            }
        }
    }
}

#[test]
fn pre_states_at_the_ends_of_numbers_give_the_same_block() {
    for fork in forks() {
        let mut seen = Seen::default();
        for seed in 500..512 {
            let case = Case::on_extremes(fork, seed, 60);
            let expected = case.sequentially();
            seen.assert_equal(&case, &format!("{fork}, seed {seed}"), &execute_on(2, &case), &expected);
            let ours = execute_scheduled(&case, || usize::MAX);
            seen.assert_equal(&case, &format!("{fork}, seed {seed}, all ahead"), &ours, &expected);
        }
        assert!(seen.transactions > 300, "{fork}: {seen:?}");
    }
}

/// revm takes such storage for empty once its account has changed; found by a pre-state that has it
/// where contracts are made.
#[test]
fn storage_without_code_or_nonce_is_left_to_sequential_revm() {
    for fork in forks() {
        let mut seen = Seen::default();
        let mut given_up = 0;
        for seed in 400..412 {
            let case = Case::on_bare_storage(fork, seed, 60);
            let ours = execute_on(2, &case);
            given_up += usize::from(ours.as_ref().is_ok_and(|done| done.lanes.transfer == 0));
            seen.assert_equal(&case, &format!("{fork}, seed {seed}"), &ours, &case.sequentially());
        }
        assert!(given_up > 0, "{fork}: {seen:?}");
    }
}

/// A validator may run blocks side by side: no thread may wait for one that waits for it.
#[test]
fn blocks_side_by_side_on_one_pool_come_to_an_end() {
    let cases: Vec<Case> = (300..316).map(|seed| Case::random(Fork::Prague, seed, 60)).collect();
    for threads in [2, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let done: Vec<_> = pool.install(|| {
            let execute = |case: &Case| execute(&case.block(), &case.world, &plan(case), &Accelerator::cpu());
            cases.par_iter().map(execute).collect()
        });
        let mut seen = Seen::default();
        for (case, ours) in cases.iter().zip(&done) {
            seen.assert_equal(case, &format!("{threads} threads"), ours, &case.sequentially());
        }
    }
}

#[test]
fn an_invalid_transaction_ends_the_block_at_the_same_index_for_the_same_reason() {
    for fork in forks() {
        let mut seen = Seen::default();
        for seed in 200..224 {
            let mut random = Random(seed);
            let mut case = Case::random(fork, seed, 40);
            let index = case.insert_invalid(&mut random);
            let expected = case.sequentially();
            let what = format!("{fork}, seed {seed}, invalid at {index}");
            seen.assert_equal(&case, &what, &execute_scheduled(&case, || usize::MAX), &expected);
            seen.assert_equal(&case, &what, &execute_scheduled(&case, || 0), &expected);
            seen.assert_equal(&case, &what, &execute_on(2, &case), &expected);
        }
        assert!(seen.failed_blocks > 20, "{fork}: {seen:?}");
    }
}
