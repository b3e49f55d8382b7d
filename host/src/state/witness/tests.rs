//! Witnesses of random states: they tell what the whole state tells, or what they lack.

use super::*;
use crate::state::{
    ChangeSet, Completeness, StateTrie, View, World,
    root::tests::{Size, change, state_of, world},
    tests::Random,
};
use std::collections::BTreeSet;

const SIZE: Size = Size { people: 60, changes: 12, slots: 12, written: 6 };

/// All that a block reads which makes these changes.
fn reads_of(changes: &ChangeSet) -> Reads {
    let slots =
        |change: &crate::state::AccountChange| change.storage.keys().copied().collect::<BTreeSet<_>>();
    let accounts = changes.accounts.iter().map(|(address, change)| (*address, slots(change)));
    Reads { accounts: accounts.collect(), ..Reads::default() }
}

/// A state, some changes to it, and what the whole says of both.
struct Scene {
    world: World,
    trie: StateTrie,
    changes: ChangeSet,
    root_after: B256,
}

impl Scene {
    fn new(seed: u64) -> Self {
        println!("seed {seed}");
        let random = &mut Random(seed);
        let mut state = state_of(random, SIZE);
        let world = world(&state);
        let mut changes = ChangeSet::default();
        for _ in 0..=random.below(SIZE.changes) {
            let address = random.person(SIZE.people);
            if !changes.accounts.contains_key(&address) {
                changes.accounts.insert(address, change(random, &mut state, address, SIZE));
            }
        }
        let trie = StateTrie::new(&world);
        let root_after = trie.clone().update(&changes);
        Self { world, trie, changes, root_after }
    }

    fn witness(&self, nodes: Vec<Bytes>) -> WitnessState {
        WitnessState::new(self.trie.root(), nodes, Vec::new())
    }

    /// Whether a witness tells what the whole state does; else what it lacks.
    fn check(&self, witness: &WitnessState) -> Result<(), Vec<Unreadable>> {
        let mut lacking = Vec::new();
        for (address, slots) in reads_of(&self.changes).accounts {
            match witness.account(&address) {
                Ok(account) => assert_eq!(Ok(account), self.world.account(&address)),
                Err(Unknown(key)) => lacking.push(witness.explain(&key).unwrap()),
            }
            for slot in slots {
                match witness.storage(&address, &slot) {
                    Ok(value) => assert_eq!(Ok(value), self.world.storage(&address, &slot)),
                    Err(Unknown(key)) => lacking.push(witness.explain(&key).unwrap()),
                }
            }
        }
        match witness.root_after(&self.changes) {
            Ok(root) => assert_eq!(root, self.root_after),
            Err(error) => lacking.push(error),
        }
        if lacking.is_empty() { Ok(()) } else { Err(lacking) }
    }
}

#[test]
fn a_witness_tells_what_the_whole_state_tells_and_needs_each_node_that_was_used() {
    for seed in 0..60 {
        let scene = Scene::new(seed);
        let whole = scene.witness(scene.trie.nodes_for(&reads_of(&scene.changes)));
        assert_eq!(scene.check(&whole), Ok(()), "seed {seed}");
        let (nodes, _) = whole.used();
        assert_eq!(scene.check(&scene.witness(nodes.clone())), Ok(()), "seed {seed}");
        for dropped in 0..nodes.len() {
            let mut fewer = nodes.clone();
            let hash = keccak256(fewer.remove(dropped));
            let lacking = scene.check(&scene.witness(fewer)).unwrap_err();
            let is_named = |error: &Unreadable| matches!(error, Unreadable::Missing(m) if m.hash == hash);
            assert!(lacking.iter().all(is_named), "seed {seed}: {hash} is missing, but {lacking:?}");
        }
    }
}

#[test]
fn spoilt_nodes_are_missing_nodes() {
    for seed in 100..130 {
        let scene = Scene::new(seed);
        let random = &mut Random(seed);
        let whole = scene.witness(scene.trie.nodes_for(&reads_of(&scene.changes)));
        scene.check(&whole).unwrap();
        let (nodes, _) = whole.used();
        for _ in 0..20 {
            let mut spoilt: Vec<Vec<u8>> = nodes.iter().map(|node| node.to_vec()).collect();
            let at = usize::try_from(random.below(spoilt.len() as u64)).unwrap();
            let bit = usize::try_from(random.below(8 * spoilt[at].len() as u64)).unwrap();
            spoilt[at][bit / 8] ^= 1 << (bit % 8);
            let hash = keccak256(&nodes[at]);
            let spoilt = spoilt.into_iter().map(Bytes::from).collect();
            let lacking = scene.check(&scene.witness(spoilt)).unwrap_err();
            let is_named = |error: &Unreadable| matches!(error, Unreadable::Missing(m) if m.hash == hash);
            assert!(lacking.iter().all(is_named), "seed {seed}: {lacking:?}");
        }
    }
}

#[test]
fn nodes_that_are_none_are_named_and_never_taken_for_nothing() {
    let address = Address::repeat_byte(1);
    // Any bytes have a hash, so any of them can be the root.
    for bytes in [&[][..], &[0x80], &[0xc0], &[0xc2, 0x20, 0x80], &[0xff; 40], &[0xc1; 33]] {
        let root = keccak256(bytes);
        let witness = WitnessState::new(root, vec![Bytes::copy_from_slice(bytes)], Vec::new());
        let unknown = witness.account(&address);
        if root == EMPTY_ROOT_HASH {
            assert_eq!(unknown, Ok(None));
            continue;
        }
        assert_eq!(unknown, Err(Unknown(StateKey::Account(address))), "{bytes:02x?}");
        assert!(witness.storage(&address, &U256::ZERO).is_err());
        let Some(Unreadable::Malformed(error)) = witness.explain(&StateKey::Account(address)) else {
            panic!("{bytes:02x?}")
        };
        assert!(error.to_string().contains(&root.to_string()), "{error}");
        let changes = ChangeSet {
            accounts: [(address, Default::default())].into_iter().collect(),
            ..ChangeSet::default()
        };
        assert!(matches!(witness.root_after(&changes), Err(Unreadable::Malformed(_))), "{bytes:02x?}");
        assert_eq!(witness.root_after(&ChangeSet::default()), Ok(root), "nothing is asked of it");
    }
    let lacking = WitnessState::default();
    assert!(matches!(lacking.explain(&StateKey::Account(address)), Some(Unreadable::Missing(_))));
}

#[test]
fn codes_count_for_what_they_hash_to() {
    let code = Bytes::from_static(&[0x60, 0x00, 0xef]);
    let eip7702 = Bytes::from([&[0xef, 0x01, 0x00][..], &[7; 20]].concat());
    let odd = Bytes::from_static(&[0xef, 0x00, 0x01]);
    let codes = vec![code.clone(), eip7702.clone(), odd.clone()];
    let witness = WitnessState::new(EMPTY_ROOT_HASH, Vec::new(), codes.clone());
    assert_eq!(witness.used().1, Vec::<Bytes>::new());
    for code in &codes {
        assert_eq!(witness.code(&keccak256(code)).unwrap().original_bytes(), *code);
    }
    assert_eq!(witness.code(&KECCAK256_EMPTY), Ok(Bytecode::default()));
    assert_eq!(witness.code(&B256::ZERO), Err(Unknown(StateKey::Code(B256::ZERO))));
    let used: BTreeSet<Bytes> = witness.used().1.into_iter().collect();
    assert_eq!(used, codes.into_iter().collect());
}

#[test]
fn what_is_read_is_noted_down_and_answered_as_without() {
    let scene = Scene::new(7);
    let hashes = [(5, B256::repeat_byte(5))].into_iter().collect();
    let recorder = Recorder::new(View::from(&scene.world).with_hashes(&hashes));
    let view = View::from(&recorder);
    let (person, code) = (Address::repeat_byte(9), B256::repeat_byte(3));
    let (&known, _) = scene.world.accounts().iter().next().unwrap();
    assert_eq!(view.account(&known), scene.world.account(&known));
    assert_eq!(view.storage(&person, &U256::from(2)), Ok(U256::ZERO));
    assert_eq!(view.code(&code), scene.world.code(&code));
    assert_eq!(view.block_hash(5), Ok(B256::repeat_byte(5)));
    assert!(view.block_hash(6).is_err());
    let accounts = [(known, BTreeSet::new()), (person, [U256::from(2)].into())].into();
    assert_eq!(recorder.into_reads(), Reads { accounts, codes: [code].into(), block_hashes: [5, 6].into() });
    assert_eq!(scene.world.completeness(), Completeness::Whole);
}
