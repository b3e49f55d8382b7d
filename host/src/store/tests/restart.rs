//! Restarts: the same state, siblings, bounds, and what is refused.

use super::history::{History, head_state};
use crate::{
    state::World,
    store::{
        FILE_NAME, Identity, Progress, Store, StoreFault,
        file::{META, VERSION, builder},
    },
};
use std::{fs, path::Path};

fn equal(ours: &World, theirs: &World) {
    assert_eq!(ours.first_difference(theirs), None);
}

#[test]
fn a_chain_comes_back_after_every_restart_as_it_was() {
    for (seed, people, depth) in [(1, 40, 1), (2, 3_000, 2), (3, 300, 64)] {
        println!("seed {seed}");
        let folder = tempfile::tempdir().unwrap();
        let mut history = History::new(seed, people);
        Store::create(folder.path(), &history.origin(depth)).unwrap();
        for restart in 0..8 {
            let store = Store::open(folder.path()).unwrap();
            let (world, root, head) = head_state(&store).unwrap();
            equal(&world, &history.world);
            assert_eq!((root, &head), (history.trie.root(), &history.head));
            let commits: Vec<_> = (0..10)
                .map(|_| {
                    let (block, changes) = history.extend(people / 10);
                    store.commit(&block, &changes)
                })
                .collect();
            commits.into_iter().for_each(|commit| commit.wait().unwrap());
            let verified = store.verify(&mut |_| {}).unwrap();
            assert_eq!(
                (verified.head_number, verified.head_hash),
                (history.head.header.number, history.head.hash)
            );
            assert_eq!(verified.accounts, history.world.accounts().len(), "restart {restart}");
        }
        let info = Store::open(folder.path()).unwrap().info().unwrap();
        assert_eq!((info.head_number, info.state_root), (80, history.trie.root()));
        assert_eq!(info.snapshot_number > 0, depth < 64, "{info:?}");
    }
}

#[test]
fn siblings_within_reach_survive_a_restart_and_the_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new(4, 200);
    Store::create(folder.path(), &history.origin(3)).unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut forks = Vec::new();
    for _ in 0..100 {
        let mut sibling = history.clone();
        sibling.random.0 ^= 0x5a5a;
        let (block, changes) = sibling.extend(20);
        store.commit(&block, &changes).wait().unwrap();
        forks.push(sibling);
        let (block, changes) = history.extend(20);
        store.commit(&block, &changes).wait().unwrap();
    }
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    let info = store.info().unwrap();
    assert!(info.snapshot_number > 30, "{info:?}");
    let mut steps = Vec::new();
    let verified = store.verify(&mut |step| steps.push(step)).unwrap();
    assert_eq!(verified.state_roots, info.blocks + 1);
    assert!(matches!(steps[0], Progress::Snapshot { .. }) && steps.len() == verified.state_roots);
    // The chain goes on from a sibling two blocks back.
    let mut sibling = forks.swap_remove(98);
    assert!(store.load().unwrap().blocks.iter().any(|block| block.hash == sibling.head.hash));
    for _ in 0..3 {
        let (block, changes) = sibling.extend(20);
        store.commit(&block, &changes).wait().unwrap();
    }
    let (world, root, head) = head_state(&store).unwrap();
    equal(&world, &sibling.world);
    assert_eq!((root, head), (sibling.trie.root(), sibling.head.clone()));
    // One whose parent is gone cannot be had.
    let (orphan, changes) = forks[10].extend(5);
    let refused = store.commit(&orphan, &changes).wait().unwrap_err();
    assert!(matches!(refused.fault, StoreFault::UnknownParent(_)), "{refused}");
    assert_eq!(head_state(&store).unwrap().1, sibling.trie.root());
}

#[test]
fn the_file_stays_within_the_bound_that_info_states() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new(6, 20_000);
    Store::create(folder.path(), &history.origin(1)).unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut longest = 0;
    for _ in 0..200 {
        let (block, changes) = history.extend(2_000);
        store.commit(&block, &changes).wait().unwrap();
        longest = longest.max(fs::metadata(folder.path().join(FILE_NAME)).unwrap().len());
    }
    let info = store.info().unwrap();
    println!("longest {longest}: {info:?}");
    assert!(info.snapshot_number > 100 && longest <= info.file_bytes_max);
    assert!(info.snapshot_bytes + info.records_bytes <= info.load_bytes_max);
}

#[test]
fn what_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let fault = |path: &Path| Store::open(path).unwrap_err().fault;
    assert_eq!(fault(&folder.path().join("nowhere")), StoreFault::Missing);
    assert_eq!(fault(folder.path()), StoreFault::Missing);
    let history = History::new(8, 10);
    Store::create(folder.path(), &history.origin(1)).unwrap();
    assert_eq!(Store::create(folder.path(), &history.origin(1)).unwrap_err().fault, StoreFault::Exists);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(fault(folder.path()), StoreFault::InUse);
    assert!(store.expect(history.identity()).is_ok());
    let given = Identity { chain_id: 8, ..history.identity() };
    assert!(matches!(store.expect(given).unwrap_err().fault, StoreFault::OtherChain { .. }));
    drop(store);
    let database = builder().open(folder.path().join(FILE_NAME)).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert(VERSION, &alloy_rlp::encode(2_u64)[..]).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert_eq!(fault(folder.path()), StoreFault::Version { found: 2, expected: 1 });
    fs::write(folder.path().join(FILE_NAME), vec![7; 100_000]).unwrap();
    assert!(matches!(fault(folder.path()), StoreFault::Damaged(_)));
    fs::write(folder.path().join(FILE_NAME), []).unwrap();
    assert!(matches!(fault(folder.path()), StoreFault::Damaged(_) | StoreFault::Missing));
}
