//! Random trees of blocks: whatever moves meanwhile, every version reads as it was, and has alloy-trie's root.

use super::*;
use crate::state::{
    Account, AccountChange, StateRead,
    root::tests::{Size, State, change, expected, world},
    tests::Random,
};
use alloy_primitives::{Address, U256, map::IndexEntry};
use std::collections::BTreeMap;

const SIZE: Size = Size { people: 16, changes: 8, slots: 6, written: 4 };

fn hash(block: u64) -> B256 {
    B256::from(U256::from(0xb10c_0000_u64 + block))
}

/// Versions over `genesis`, which is block 0.
fn versions(genesis: &State, limits: VersionLimits) -> Versions {
    let world = world(genesis);
    let trie = StateTrie::new(&world);
    Versions::new(world, Some(trie), hash(0), 0, [(0, hash(0))].into_iter().collect(), limits)
}

fn draw(random: &mut Random, state: &mut State) -> ChangeSet {
    let mut changes = ChangeSet::default();
    for _ in 0..random.below(SIZE.changes + 1) {
        let address = random.person(SIZE.people);
        if let IndexEntry::Vacant(entry) = changes.accounts.entry(address) {
            entry.insert(change(random, state, address, SIZE));
        }
    }
    changes
}

/// A block of the tree.
struct Block {
    parent: u64,
    number: u64,
    state: State,
    changes: ChangeSet,
}

/// What there is to be known of all blocks, those that were dropped included.
struct Model {
    blocks: BTreeMap<u64, Block>,
    held: Vec<u64>,
}

impl Model {
    fn stands_on(&self, mut block: u64, ancestor: u64) -> bool {
        while block > ancestor {
            block = self.blocks[&block].parent;
        }
        block == ancestor
    }

    fn assert_reads(&self, snapshot: &Snapshot, block: u64, what: &str) {
        let (view, state) = (snapshot.view(), &self.blocks[&block].state);
        for person in 0..SIZE.people {
            let address = Address::from_word(alloy_primitives::keccak256(person.to_be_bytes()));
            let known = state.get(&address);
            assert_eq!(view.account(&address), Ok(known.map(|(account, _)| *account)), "{what}");
            for slot in (0..SIZE.slots).map(U256::from) {
                let value = known.and_then(|(_, slots)| slots.get(&slot)).copied().unwrap_or_default();
                assert_eq!(view.storage(&address, &slot), Ok(value), "{what}");
            }
        }
        let mut at = block;
        loop {
            let Block { parent, number, .. } = self.blocks[&at];
            assert_eq!(view.block_hash(number), Ok(hash(at)), "{what}");
            if number == 0 {
                break;
            }
            at = parent;
        }
        assert!(view.block_hash(self.blocks[&block].number + 1).is_err(), "{what}");
    }
}

fn history(seed: u64, blocks: u64) {
    println!("seed {seed}");
    let random = &mut Random(seed);
    let mut genesis = State::new();
    draw(random, &mut genesis);
    let versions = versions(&genesis, VersionLimits::default());
    let first = Block { parent: 0, number: 0, state: genesis, changes: ChangeSet::default() };
    let mut model = Model { blocks: [(0, first)].into(), held: vec![0] };
    let mut readers: Vec<(u64, Snapshot)> = Vec::new();
    for block in 1..=blocks {
        let what = format!("seed {seed}, block {block}");
        let pick = |random: &mut Random, held: &[u64]| {
            held[usize::try_from(random.below(held.len() as u64)).unwrap()]
        };
        // Most often on the last one.
        let parent =
            if random.below(3) == 0 { pick(random, &model.held) } else { *model.held.last().unwrap() };
        let snapshot = versions.at(&hash(parent)).unwrap();
        model.assert_reads(&snapshot, parent, &what);
        let mut state = model.blocks[&parent].state.clone();
        let changes = draw(random, &mut state);
        if random.below(3) == 0 {
            readers.push((parent, snapshot));
        }
        let number = model.blocks[&parent].number + 1;
        versions.insert(&hash(parent), hash(block), number, changes.clone()).unwrap();
        model.blocks.insert(block, Block { parent, number, state, changes });
        model.held.push(block);
        match random.below(6) {
            0 => drop(versions.follow(&hash(pick(random, &model.held))).unwrap()),
            1 | 2 => {
                let block = pick(random, &model.held);
                let root = versions.root(&hash(block)).unwrap();
                assert_eq!(root, Some(expected(&model.blocks[&block].state)), "{what}: root of {block}");
            }
            3 => {
                let gone = pick(random, &model.held);
                let is_oldest = model.held.iter().min() == Some(&gone);
                assert_eq!(versions.remove(&hash(gone)).is_err(), is_oldest, "{what}");
                if !is_oldest {
                    model.held = model.held.iter().copied().filter(|b| !model.stands_on(*b, gone)).collect();
                }
            }
            4 if random.below(4) == 0 => {
                let last = pick(random, &model.held);
                versions.finalise(&hash(last)).unwrap();
                model.held = model.held.iter().copied().filter(|b| model.stands_on(*b, last)).collect();
                assert_eq!(versions.oldest_number(), model.blocks[&last].number);
            }
            _ => {}
        }
        for block in model.blocks.keys() {
            assert_eq!(versions.contains(&hash(*block)), model.held.contains(block), "{what}: {block}");
        }
        for (block, snapshot) in &readers {
            model.assert_reads(snapshot, *block, &what);
        }
        if random.below(3) == 0 {
            readers.clear();
        }
    }
    readers.clear();
    for block in &model.held {
        let Block { parent, number, state, changes } = &model.blocks[block];
        let root = versions.root(&hash(*block)).unwrap().unwrap();
        assert_eq!(root, expected(state), "seed {seed}: root of {block} in the end");
        assert_eq!(versions.trie(&hash(*block)).unwrap().unwrap().root(), root);
        // The same block again is the same version.
        if model.held.contains(parent) && parent != block {
            versions.insert(&hash(*parent), hash(*block), *number, changes.clone()).unwrap();
        }
        let whole = versions.at(&hash(*block)).unwrap().into_world().unwrap();
        assert_eq!(whole.first_difference(&world(state)), None, "seed {seed}: {block} in the end");
    }
    assert_eq!(versions.tree().dropped_len(), 0, "nothing that nobody needs is kept");
}

#[test]
fn every_version_reads_as_it_was_and_has_its_root() {
    for seed in 0..30 {
        history(seed, 60);
    }
}

fn rich(balance: u64) -> ChangeSet {
    let account = Account { balance: U256::from(balance), ..Account::default() };
    let change = AccountChange { account: Some(account), ..AccountChange::default() };
    let address = Address::repeat_byte(u8::try_from(balance % 251).unwrap());
    ChangeSet { accounts: [(address, change)].into_iter().collect(), ..ChangeSet::default() }
}

#[test]
fn a_block_that_comes_twice_must_change_the_same() {
    let versions = versions(&State::new(), VersionLimits::default());
    versions.insert(&hash(0), hash(1), 1, rich(1)).unwrap();
    let root = versions.root(&hash(1)).unwrap();
    versions.insert(&hash(0), hash(1), 1, rich(1)).unwrap();
    assert_eq!(versions.insert(&hash(0), hash(1), 1, rich(2)), Err(VersionError::Differs(hash(1))));
    assert_eq!(versions.root(&hash(1)).unwrap(), root);
    // Taken back, it is a new one, with what it changes then.
    versions.remove(&hash(1)).unwrap();
    versions.insert(&hash(0), hash(1), 1, rich(2)).unwrap();
    assert_ne!(versions.root(&hash(1)).unwrap(), root);
    let error = versions.insert(&hash(7), hash(8), 2, rich(1)).unwrap_err();
    assert!(error.to_string().contains(&hash(7).to_string()), "{error}");
    assert_eq!(versions.remove(&hash(0)), Err(VersionError::Oldest(hash(0))));
}

#[test]
fn children_of_the_last_block_are_read_without_layers_and_siblings_with_few() {
    let versions = versions(&State::new(), VersionLimits::default());
    for block in 1..=20 {
        assert_eq!(versions.at(&hash(block - 1)).unwrap().layer_count(), 0);
        versions.insert(&hash(block - 1), hash(block), block, rich(block)).unwrap();
    }
    assert_eq!(versions.at(&hash(20)).unwrap().layer_count(), 0);
    assert_eq!(versions.at(&hash(18)).unwrap().layer_count(), 2, "back over two blocks");
    versions.insert(&hash(18), hash(21), 19, rich(99)).unwrap();
    assert_eq!(versions.at(&hash(21)).unwrap().layer_count(), 3);
    // A reader of the last block keeps the state there, and others read through layers.
    let reader = versions.at(&hash(20)).unwrap();
    versions.insert(&hash(20), hash(22), 21, rich(22)).unwrap();
    assert_eq!(versions.follow(&hash(22)), Ok(false));
    assert_eq!(versions.at(&hash(22)).unwrap().layer_count(), 1);
    drop(reader);
    assert_eq!(versions.follow(&hash(22)), Ok(true));
    assert_eq!(versions.at(&hash(22)).unwrap().layer_count(), 0);
}

#[test]
fn two_threads_execute_on_one_parent_and_both_blocks_stand() {
    let versions = versions(&State::new(), VersionLimits::default());
    let barrier = std::sync::Barrier::new(2);
    for round in 0..50 {
        let parent = hash(3 * round);
        let run = |sibling: u64| {
            let snapshot = versions.at(&parent).unwrap();
            barrier.wait();
            assert_eq!(snapshot.view().account(&Address::repeat_byte(250)), Ok(None));
            versions
                .insert(&parent, hash(3 * round + sibling), round + 1, rich(3 * round + sibling))
                .unwrap();
            versions.root(&hash(3 * round + sibling)).unwrap().unwrap()
        };
        let (ours, theirs) = std::thread::scope(|scope| {
            let theirs = scope.spawn(|| run(2));
            (run(1), theirs.join().unwrap())
        });
        assert_ne!(ours, theirs, "round {round}");
        let whole = |sibling| versions.at(&hash(3 * round + sibling)).unwrap().into_world().unwrap();
        assert_eq!(StateTrie::new(&whole(1)).root(), ours, "round {round}");
        assert_eq!(StateTrie::new(&whole(2)).root(), theirs, "round {round}");
        versions.insert(&hash(3 * round + 1), hash(3 * round + 3), round + 1, ChangeSet::default()).unwrap();
    }
}

#[test]
fn the_oldest_goes_when_there_are_too_many_versions_or_entries() {
    let limits = VersionLimits { versions_max: 8, entries_max: 1_000 };
    let versions = versions(&State::new(), limits);
    for block in 1..=40 {
        versions.insert(&hash(block - 1), hash(block), block, rich(block)).unwrap();
        // Nobody ever asks for a root, and the tries still follow.
        assert_eq!(versions.oldest_number(), block.saturating_sub(8));
        assert!(versions.tree().dropped_len() == 0);
    }
    assert!(versions.contains(&hash(32)) && !versions.contains(&hash(31)));
    // A late sibling takes the oldest's place among the held, and cannot push the branch out.
    let late = versions.insert(&hash(32), hash(100), 33, rich(7));
    assert_eq!(late, Err(VersionError::OutOfReach(hash(100))));
    assert!(versions.contains(&hash(40)));
    assert_eq!(versions.oldest_number(), 33);
    // Large blocks: one is held, however large.
    let large = |seed: u64| {
        let change = AccountChange { account: Some(Account::default()), ..AccountChange::default() };
        let mut random = Random(seed);
        let accounts = (0..1_500).map(|_| (random.person(1 << 40), change.clone()));
        ChangeSet { accounts: accounts.collect(), ..ChangeSet::default() }
    };
    for block in 41..45 {
        versions.insert(&hash(block - 1), hash(block), block, large(block)).unwrap();
        assert_eq!(versions.oldest_number(), block - 1);
    }
}

#[test]
fn a_reader_that_never_ends_is_no_leak() {
    let limits = VersionLimits { versions_max: 8, entries_max: 1_000 };
    let versions = versions(&State::new(), limits);
    let reader = versions.at(&hash(0)).unwrap();
    let full = (1..100).find_map(|block| {
        versions.insert(&hash(block - 1), hash(block), block, rich(block)).err().map(|error| (block, error))
    });
    let (block, error) = full.unwrap();
    assert_eq!(error, VersionError::Full(hash(block)));
    assert!((16..20).contains(&block), "{block}");
    assert_eq!(reader.view().account(&Address::repeat_byte(1)), Ok(None));
    drop(reader);
    // The next version that is asked for takes the state along.
    drop(versions.at(&hash(block - 1)).unwrap());
    versions.finalise(&hash(block - 1)).unwrap();
    versions.insert(&hash(block - 1), hash(block), block, rich(block)).unwrap();
    assert_eq!(versions.tree().dropped_len(), 0);
}
