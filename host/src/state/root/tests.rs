//! Histories of whole states: every root against alloy-trie's from scratch, forth and back to any ancestor.

use super::*;
use crate::state::{Account, Completeness, tests::Random};
use alloy_primitives::{
    Address, Bytes, KECCAK256_EMPTY, keccak256,
    map::{HashMap, IndexEntry},
};
use alloy_trie::{
    TrieAccount,
    root::{state_root_unhashed, storage_root_unhashed},
};
use std::collections::BTreeMap;

impl Random {
    /// Lengths of all kinds; balances on both sides of 2^128.
    fn word(&mut self) -> U256 {
        let word = U256::from_limbs([self.next(), self.next(), self.next(), self.next()]);
        word >> self.below(256)
    }

    fn account(&mut self) -> Account {
        let code_hash =
            if self.below(4) == 0 { keccak256(self.below(5).to_be_bytes()) } else { KECCAK256_EMPTY };
        Account { balance: self.word(), nonce: self.next() >> self.below(64), code_hash }
    }

    pub(in crate::state) fn person(&mut self, people: u64) -> Address {
        Address::from_word(keccak256(self.below(people).to_be_bytes()))
    }
}

/// Accounts with their slots, none of them zero.
pub(in crate::state) type State = BTreeMap<Address, (Account, BTreeMap<U256, U256>)>;

/// The root by alloy-trie, from nothing.
pub(in crate::state) fn expected(state: &State) -> B256 {
    state_root_unhashed(state.iter().map(|(address, (account, slots))| {
        let slots = slots.iter().map(|(slot, value)| (B256::from(*slot), *value));
        let Account { nonce, balance, code_hash } = *account;
        (*address, TrieAccount { nonce, balance, code_hash, storage_root: storage_root_unhashed(slots) })
    }))
}

pub(in crate::state) fn world(state: &State) -> World {
    let mut world = World::with_capacity(Completeness::Whole, state.len());
    for (address, (account, slots)) in state {
        let slots = slots.iter().map(|(slot, value)| (*slot, *value));
        world.insert(*address, account.balance, account.nonce, Bytes::new(), slots);
    }
    // Codes alone are not part of the state.
    let accounts = state.iter().map(|(address, (account, _))| {
        (*address, AccountChange { account: Some(*account), ..AccountChange::default() })
    });
    world.apply(&ChangeSet { accounts: accounts.collect(), ..ChangeSet::default() });
    world
}

/// How large a history is.
#[derive(Clone, Copy)]
pub(in crate::state) struct Size {
    pub(in crate::state) people: u64,
    /// Most accounts that a block changes.
    pub(in crate::state) changes: u64,
    /// Slots that there can be in one storage, and most that a block writes there.
    pub(in crate::state) slots: u64,
    pub(in crate::state) written: u64,
}

/// One change to an account of `state`, which is made there as well.
pub(in crate::state) fn change(
    random: &mut Random,
    state: &mut State,
    address: Address,
    size: Size,
) -> AccountChange {
    let before = state.remove(&address);
    let kind = random.below(10);
    if kind == 0 {
        // Gone; perhaps never there.
        let storage_wiped = random.below(2) == 0;
        return AccountChange { account: None, storage_wiped, ..AccountChange::default() };
    }
    // Made again over one that was destroyed, or made, or changed.
    let storage_wiped = kind == 1;
    let (old, mut slots) = before.unwrap_or_default();
    let account = if random.below(4) == 0 { old } else { random.account() };
    if storage_wiped {
        slots.clear();
    }
    let mut storage = HashMap::default();
    if random.below(2) == 0 {
        for _ in 0..random.below(size.written + 1) {
            let slot = U256::from(random.below(size.slots));
            // Zero over nothing and the old value again are changes, too.
            let value = match random.below(4) {
                0 => U256::ZERO,
                1 => slots.get(&slot).copied().unwrap_or_default(),
                _ => random.word(),
            };
            storage.insert(slot, value);
        }
    } else if random.below(4) == 0 {
        // All of it cleared, one by one.
        storage.extend(slots.keys().map(|slot| (*slot, U256::ZERO)));
    }
    slots.extend(&storage);
    slots.retain(|_, value| !value.is_zero());
    state.insert(address, (account, slots));
    AccountChange { account: Some(account), storage_wiped, storage }
}

/// A state that may have as many people as half of them.
pub(in crate::state) fn state_of(random: &mut Random, size: Size) -> State {
    let mut state = State::new();
    for _ in 0..size.people / 2 {
        let address = random.person(size.people);
        change(random, &mut state, address, size);
    }
    state
}

/// A state of the history, and the way from and to the one before it.
struct Step {
    parent: usize,
    state: State,
    root: B256,
    changes: ChangeSet,
    undo: ChangeSet,
}

fn history(seed: u64, blocks: usize, size: Size) {
    println!("seed {seed}");
    let random = &mut Random(seed);
    let genesis = state_of(random, size);
    let mut world = world(&genesis);
    let mut trie = StateTrie::new(&world);
    let root = expected(&genesis);
    assert_eq!(trie.root(), root, "seed {seed}: genesis");
    let (changes, undo) = (ChangeSet::default(), ChangeSet::default());
    let mut steps = vec![Step { parent: 0, state: genesis, root, changes, undo }];
    let mut at = 0;
    for block in 1..=blocks {
        // Now and then back to some ancestor, from where another branch goes on.
        if random.below(4) == 0 {
            for _ in 0..random.below(8) {
                let undone = at;
                world.apply(&steps[undone].undo);
                assert_eq!(trie.update(&steps[undone].undo), steps[steps[undone].parent].root, "seed {seed}");
                at = steps[undone].parent;
            }
        }
        let mut state = steps[at].state.clone();
        let mut changes = ChangeSet::default();
        for _ in 0..random.below(size.changes + 1) {
            let address = random.person(size.people);
            // Each account changes once.
            if let IndexEntry::Vacant(entry) = changes.accounts.entry(address) {
                entry.insert(change(random, &mut state, address, size));
            }
        }
        let root = expected(&state);
        let undo = world.undo(&changes);
        world.apply(&changes);
        assert_eq!(trie.update(&changes), root, "seed {seed}, block {block}, {} accounts", state.len());
        steps.push(Step { parent: at, state, root, changes, undo });
        at = block;
    }
    assert_eq!(StateTrie::new(&world).root(), trie.root(), "seed {seed}: from scratch");
    // All the way back, and forth again.
    let mut path = vec![at];
    while at != 0 {
        world.apply(&steps[at].undo);
        trie.update(&steps[at].undo);
        at = steps[at].parent;
        assert_eq!(trie.root(), steps[at].root, "seed {seed}: back at {at}");
        path.push(at);
    }
    for step in path.into_iter().rev().skip(1) {
        assert_eq!(trie.update(&steps[step].changes), steps[step].root, "seed {seed}: again at {step}");
    }
}

#[test]
fn roots_are_those_of_alloy_trie_after_any_history() {
    for seed in 0..12 {
        history(seed, 80, Size { people: 16, changes: 8, slots: 6, written: 4 });
    }
    for seed in 12..18 {
        history(seed, 24, Size { people: 400, changes: 150, slots: 40, written: 20 });
    }
}

#[test]
fn large_states_and_storages_have_the_roots_of_alloy_trie() {
    history(100, 6, Size { people: 60_000, changes: 3_000, slots: 4, written: 2 });
    history(101, 10, Size { people: 6, changes: 4, slots: 30_000, written: 6_000 });
}

#[test]
fn a_state_of_nothing_has_the_empty_root() {
    let mut trie = StateTrie::new(&world(&State::new()));
    assert_eq!(trie.root(), EMPTY_ROOT_HASH);
    let mut random = Random(1);
    let (mut state, address) = (State::new(), random.person(1));
    let account = random.account();
    state.insert(address, (account, [(U256::from(1), U256::from(2))].into()));
    let storage = [(U256::from(1), U256::from(2))].into_iter().collect();
    let made = AccountChange { account: Some(account), storage_wiped: false, storage };
    let gone = AccountChange { account: None, storage_wiped: true, ..AccountChange::default() };
    let only =
        |change| ChangeSet { accounts: [(address, change)].into_iter().collect(), ..ChangeSet::default() };
    assert_eq!(trie.update(&only(made)), expected(&state));
    assert_eq!(trie.update(&only(gone)), EMPTY_ROOT_HASH);
    assert!(trie.storages.is_empty());
}
