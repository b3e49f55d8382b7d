//! Blocks over states of which nothing is known at first.

use super::{blocks::Case, *};
use crate::state::{StateKey, StateValue, VersionLimits, Versions};
use alloy_primitives::{Address, B256, U256};

/// What the whole state says of a key.
fn answer(case: &Case, key: StateKey) -> StateValue {
    match key {
        StateKey::Account(address) => StateValue::Account(address, case.world.account(&address).unwrap()),
        StateKey::Storage(address, slot) => {
            StateValue::Storage(address, slot, case.world.storage(&address, &slot).unwrap())
        }
        StateKey::Code(hash) => StateValue::Code(case.world.code(&hash).unwrap().original_bytes()),
        // Nobody knows, and the ordinary run would stop there as well.
        StateKey::BlockHash(number) => StateValue::BlockHash(number, B256::from(U256::from(number))),
    }
}

/// Executes from nothing known; returns also the number of rounds.
fn on_demand(case: &Case, what: &str) -> (Result<Reconciled, ExecutionError>, usize) {
    let (block, plan, accelerator) = (case.block(), plan(case), Accelerator::cpu());
    let parent = B256::repeat_byte(1);
    let versions = Versions::on_demand(parent, case.header.number - 1, VersionLimits::on_demand());
    let (mut paused, mut settled) = (Paused::default(), 0);
    for rounds in 0.. {
        let snapshot = versions.at(&parent).unwrap();
        let keys = match proceed(&block, snapshot.view(), &plan, &accelerator, paused) {
            Ok(Progress::Done(done)) => return (Ok(done), rounds),
            Err(error) => return (Err(error), rounds),
            Ok(Progress::Needs(keys, rest)) => {
                paused = rest;
                keys
            }
        };
        assert!(paused.settled() >= settled, "{what}: what was settled stays");
        settled = paused.settled();
        assert!(
            paused.executions() <= settled + rounds + 1,
            "{what}: executed once, and at each stop once more"
        );
        assert!(!keys.is_empty(), "{what}");
        for key in &keys {
            let view = snapshot.view();
            let is_unknown = match key {
                StateKey::Account(address) => view.account(address).is_err(),
                StateKey::Storage(address, slot) => view.storage(address, slot).is_err(),
                StateKey::Code(hash) => view.code(hash).is_err(),
                StateKey::BlockHash(number) => view.block_hash(*number).is_err(),
            };
            assert!(is_unknown, "{what}: {key} is known already");
        }
        drop(snapshot);
        versions.supply(&parent, keys.into_iter().map(|key| answer(case, key))).unwrap();
    }
    unreachable!("a block ends")
}

#[test]
fn blocks_on_demand_come_out_as_on_the_whole_state_and_settle_nothing_twice() {
    let (mut rounds_max, mut rounds_all, mut blocks, mut failed) = (0, 0, 0, 0);
    for fork in forks() {
        for seed in 0..12 {
            let what = format!("{fork:?}, seed {seed}");
            let case = match seed % 3 {
                0 => Case::on_bare_storage(fork, seed, 40),
                1 => Case::on_extremes(fork, seed, 40),
                _ => Case::random(fork, seed, 40),
            };
            let ordinary = execute(&case.block(), &case.world, &plan(&case), &Accelerator::cpu());
            if matches!(ordinary, Err(ExecutionError::Unknown(_))) {
                continue;
            }
            let (ours, rounds) = on_demand(&case, &what);
            (rounds_max, rounds_all, blocks) = (rounds_max.max(rounds), rounds_all + rounds, blocks + 1);
            match (ours, ordinary) {
                (Ok(ours), Ok(theirs)) => {
                    assert_eq!(ours.executed.receipts, theirs.executed.receipts, "{what}");
                    assert_eq!(ours.executed.gas_used, theirs.executed.gas_used, "{what}");
                    assert_eq!(ours.executed.requests, theirs.executed.requests, "{what}");
                    let counts = (ours.lanes.transfer + ours.lanes.evm, case.transactions.len());
                    assert_eq!(counts.0, counts.1, "{what}: each transaction is settled once");
                    // The wipe of a storage that nobody can list is told in another way.
                    let (mut by_ours, mut by_theirs) = (case.world.clone(), case.world.clone());
                    by_ours.apply(&ours.executed.changes);
                    by_theirs.apply(&theirs.executed.changes);
                    assert_eq!(by_ours.first_difference(&by_theirs), None, "{what}");
                }
                (Err(ours), Err(theirs)) => {
                    failed += 1;
                    assert_eq!(ours.to_string(), theirs.to_string(), "{what}");
                }
                (ours, theirs) => panic!("{what}: {ours:?} against {theirs:?}"),
            }
        }
    }
    println!("{blocks} blocks, {failed} of them not valid, {rounds_all} rounds, at most {rounds_max}");
    assert!(blocks > 100 && rounds_max <= 8, "{blocks} blocks, at most {rounds_max} rounds");
}

#[test]
fn what_was_supplied_serves_the_descendants_and_must_not_be_contradicted() {
    let fork = Fork::Prague;
    let case = Case::random(fork, 5, 40);
    let genesis = B256::repeat_byte(1);
    let versions = Versions::on_demand(genesis, case.header.number - 1, VersionLimits::on_demand());
    let (first, second) = (B256::repeat_byte(2), B256::repeat_byte(3));
    let sender = case.senders[0];
    let account = case.world.account(&sender).unwrap();
    versions.supply(&genesis, [StateValue::Account(sender, account)]).unwrap();
    versions.supply(&genesis, [StateValue::Account(sender, account)]).unwrap();
    let other = StateValue::Account(sender, None);
    assert_eq!(
        versions.supply(&genesis, [other]),
        Err(crate::state::SupplyError::Conflict(StateKey::Account(sender)))
    );
    // A block that removes another account; both are known after it, and only one before.
    let gone = Address::repeat_byte(0x77);
    let change = crate::state::AccountChange { storage_wiped: true, ..Default::default() };
    let changes =
        crate::state::ChangeSet { accounts: [(gone, change)].into_iter().collect(), ..Default::default() };
    versions.insert(&genesis, first, case.header.number, changes).unwrap();
    versions.insert(&first, second, case.header.number + 1, Default::default()).unwrap();
    let read = |version: &B256, address: &Address| versions.at(version).unwrap().view().account(address);
    assert_eq!(read(&second, &sender), Ok(account));
    assert_eq!((read(&second, &gone), read(&genesis, &gone).is_err()), (Ok(None), true));
    assert_eq!(versions.at(&first).unwrap().view().storage(&gone, &U256::from(1)), Ok(U256::ZERO));
    // Supplied to a descendant it is known before it, unless a block between has changed it.
    let late = Address::repeat_byte(0x78);
    versions.supply(&second, [StateValue::Account(late, None)]).unwrap();
    assert_eq!(read(&genesis, &late), Ok(None));
    // Finalising keeps what is known, and what the blocks changed.
    versions.finalise(&second).unwrap();
    assert_eq!((read(&second, &sender), read(&second, &gone)), (Ok(account), Ok(None)));
    assert!(!versions.contains(&first));
    let snapshot = versions.at(&second).unwrap();
    assert_eq!(snapshot.layer_count(), 0);
    assert_eq!(snapshot.view().storage(&gone, &U256::from(1)), Ok(U256::ZERO));
}
