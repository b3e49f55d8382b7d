//! Loss of power at every moment, full disks, damaged files.

use super::{
    disk::{Disk, Event, Loss, after_loss},
    history::{History, Random, head_state},
};
use crate::store::{Store, StoreFault, file::builder, snapshot};
use alloy_primitives::B256;
use std::path::Path;

fn open(disk: &Disk) -> Result<Store, crate::store::StoreError> {
    Store::open_backend(Path::new("disk"), disk.clone())
}

/// A store with a genesis state on a disk, closed.
fn begun(history: &History, reorg_depth: u64) -> Disk {
    let disk = Disk::default();
    snapshot::begin(&builder().create_with_backend(disk.clone()).unwrap(), &history.origin(reorg_depth))
        .unwrap();
    disk
}

/// A history of blocks on a disk, with roots by number.
fn filled(seed: u64, blocks: u64, reorg_depth: u64) -> (Disk, Vec<B256>) {
    let mut history = History::new(seed, 120);
    let disk = begun(&history, reorg_depth);
    let store = open(&disk).unwrap();
    let mut roots = vec![history.trie.root()];
    for _ in 0..blocks {
        let (block, changes) = history.extend(12);
        roots.push(block.header.state_root);
        store.commit(&block, &changes).wait().unwrap();
    }
    (disk, roots)
}

#[test]
fn a_loss_of_power_at_any_moment_leaves_a_whole_block_and_all_that_was_acknowledged() {
    let seed = 11;
    println!("seed {seed}");
    let mut history = History::new(seed, 120);
    let disk = begun(&history, 1);
    let start = disk.bytes();
    disk.take_events();
    let mut roots = vec![history.trie.root()];
    let store = open(&disk).unwrap();
    // Enough for the snapshot to advance once, and some to be written together.
    for number in 1..=20 {
        let (block, changes) = history.extend(12);
        roots.push(block.header.state_root);
        let commit = store.commit(&block, &changes);
        if number % 3 != 0 {
            commit.wait().unwrap();
            disk.acknowledge(number);
        }
    }
    drop(store);
    disk.acknowledge(20);
    let events = disk.take_events();
    assert!(events.iter().filter(|event| matches!(event, Event::Sync)).count() > 15);
    let random = &mut Random(seed);
    let mut heads = std::collections::BTreeSet::new();
    for cut in 0..=events.len() {
        for loss in [Loss::All, Loss::Nothing, Loss::Some, Loss::Some] {
            let (bytes, acknowledged) = after_loss(&start, &events[..cut], loss, random);
            let place = format!("seed {seed}, {loss:?} after {cut} of {} events", events.len());
            let store = open(&Disk::holding(bytes)).unwrap_or_else(|error| panic!("{place}: {error}"));
            let (_, root, head) = head_state(&store).unwrap_or_else(|error| panic!("{place}: {error}"));
            let number = head.header.number;
            assert!(number >= acknowledged.unwrap_or(0), "{place}: {number} of {acknowledged:?}");
            assert_eq!(root, roots[usize::try_from(number).unwrap()], "{place}");
            heads.insert(number);
        }
    }
    assert!(heads.len() > 10, "{heads:?}");
}

#[test]
fn a_full_disk_is_named_and_loses_nothing_that_was_acknowledged() {
    for seed in 0..6 {
        println!("seed {seed}");
        let mut history = History::new(seed, 120);
        let disk = begun(&history, 1);
        let store = open(&disk).unwrap();
        disk.set_capacity(Some(disk.bytes().len() + 1000 * usize::try_from(seed).unwrap()));
        let mut acknowledged = (0, history.trie.root());
        let mut blocks = Vec::new();
        let fault = loop {
            let (block, changes) = history.extend(120);
            blocks.push((block.clone(), changes.clone()));
            match store.commit(&block, &changes).wait() {
                Ok(()) => acknowledged = (block.header.number, block.header.state_root),
                Err(error) => break error.fault,
            }
            assert!(blocks.len() < 10_000, "the disk never fills");
        };
        assert_eq!(fault, StoreFault::Full);
        let (block, changes) = blocks.last().unwrap();
        assert_eq!(store.commit(block, changes).wait().unwrap_err().fault, StoreFault::Full, "it stays so");
        drop(store);
        // As it is, with the disk still full, and after room was made.
        for capacity in [Some(disk.bytes().len()), None] {
            disk.set_capacity(capacity);
            let store = match open(&disk) {
                Ok(store) => store,
                Err(error) => {
                    assert!(capacity.is_some() && error.fault == StoreFault::Full, "{error}");
                    continue;
                }
            };
            let (_, root, head) = head_state(&store).unwrap();
            assert!(head.header.number >= acknowledged.0);
            if head.header.number == acknowledged.0 {
                assert_eq!(root, acknowledged.1);
            }
            if capacity.is_none() {
                let left = blocks.iter().filter(|(block, _)| block.header.number > head.header.number);
                left.for_each(|(block, changes)| store.commit(block, changes).wait().unwrap());
            }
        }
        let (_, root, _) = head_state(&open(&disk).unwrap()).unwrap();
        assert_eq!(root, history.trie.root());
    }
}

#[test]
fn a_damaged_file_is_named_or_makes_no_difference() {
    let seed = 5;
    println!("seed {seed}");
    let (disk, roots) = filled(seed, 20, 2);
    let bytes = disk.bytes();
    let mut random = Random(seed);
    let used: Vec<usize> = (0..bytes.len()).filter(|place| bytes[*place] != 0).collect();
    let (mut named, mut harmless) = (0, 0);
    for round in 0..400 {
        let mut damaged = bytes.clone();
        match round % 4 {
            // A bit of what is used, a bit anywhere, a sector of zeros, a file that ends too soon.
            0 => damaged[used[random.index(used.len())]] ^= 1 << random.below(8),
            1 => damaged[random.index(bytes.len())] ^= 1 << random.below(8),
            2 => {
                let start = used[random.index(used.len())] / 512 * 512;
                damaged[start..start + 512].fill(0);
            }
            _ => damaged.truncate(random.index(bytes.len())),
        }
        let opened = open(&Disk::holding(damaged));
        match opened.and_then(|store| head_state(&store)) {
            Ok((_, root, head)) => {
                assert_eq!((head.header.number, Some(&root)), (20, roots.last()), "round {round}");
                harmless += 1;
            }
            Err(error) => {
                let expected = matches!(
                    error.fault,
                    StoreFault::Damaged(_) | StoreFault::Version { .. } | StoreFault::Missing
                );
                assert!(expected, "round {round}: {error}");
                named += 1;
            }
        }
    }
    println!("{named} named, {harmless} harmless");
    assert!(named > 100, "{named} named, {harmless} harmless");
}
