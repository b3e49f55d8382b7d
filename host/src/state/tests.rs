//! Random histories against a plain model, and roots against alloy-trie's own.

use super::*;
use alloy_primitives::{Bytes, map::AddressIndexMap};
use alloy_trie::{
    TrieAccount,
    root::{state_root_unhashed, storage_root_unhashed},
};
use revm::{
    DatabaseCommit,
    state::{Account as RevmAccount, EvmStorageSlot, TransactionId},
};
use std::{collections::BTreeMap, sync::Arc};

/// `SplitMix64`.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A state in the plainest form: no zero slots, no storage without an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model(BTreeMap<Address, (Account, BTreeMap<U256, U256>)>);

impl Model {
    fn random(random: &mut Random) -> Self {
        let mut model = Self::default();
        for id in 0..PEOPLE {
            if random.below(3) > 0 {
                let slots =
                    (0..random.below(4)).map(|slot| (U256::from(slot), U256::from(1 + random.below(3))));
                let slots = slots.collect();
                model.0.insert(person(id), (account(random), slots));
            }
        }
        model
    }

    /// Asserts that `state` reads as this one.
    fn assert_read_from(&self, state: &impl StateRead, what: &str) {
        for person in (0..PEOPLE).map(person) {
            let expected = self.0.get(&person);
            assert_eq!(state.account(&person), Ok(expected.map(|(account, _)| *account)), "{what}");
            for slot in (0..4).map(U256::from) {
                let value = expected.and_then(|(_, slots)| slots.get(&slot)).copied().unwrap_or_default();
                assert_eq!(state.storage(&person, &slot), Ok(value), "{what}");
            }
        }
    }

    fn has_bare_storage(&self, changes: &ChangeSet) -> bool {
        let is_bare_with_storage = |address| {
            self.0.get(address).is_some_and(|(account, slots)| account.is_bare() && !slots.is_empty())
        };
        changes.accounts.keys().any(is_bare_with_storage)
    }

    fn world(&self) -> World {
        let mut world = World::with_capacity(Completeness::Whole, self.0.len());
        for (address, (account, slots)) in &self.0 {
            let slots = slots.iter().map(|(slot, value)| (*slot, *value));
            world.insert(*address, account.balance, account.nonce, Bytes::new(), slots);
        }
        world
    }

    /// The root by alloy-trie alone.
    fn root(&self) -> B256 {
        state_root_unhashed(self.0.iter().map(|(address, (account, slots))| {
            let slots = slots.iter().map(|(slot, value)| (B256::from(*slot), *value));
            let Account { nonce, balance, code_hash } = *account;
            (*address, TrieAccount { nonce, balance, code_hash, storage_root: storage_root_unhashed(slots) })
        }))
    }

    fn remove(&mut self, address: Address) {
        self.0.remove(&address);
    }

    /// The one way to say what lies between two states.
    fn changes_to(&self, after: &Self) -> AddressIndexMap<AccountChange> {
        let mut changes = AddressIndexMap::default();
        for address in self.0.keys().chain(after.0.keys()) {
            let (before, now) = (self.0.get(address), after.0.get(address));
            if before == now {
                continue;
            }
            let none = BTreeMap::new();
            let old = before.map_or(&none, |(_, slots)| slots);
            let change = match now {
                None => AccountChange {
                    account: None,
                    storage_wiped: !old.is_empty(),
                    storage: Default::default(),
                },
                Some((account, new)) => {
                    let value =
                        |slots: &BTreeMap<U256, U256>, slot| slots.get(slot).copied().unwrap_or_default();
                    let slots =
                        old.keys().chain(new.keys()).filter(|slot| value(old, slot) != value(new, slot));
                    let storage = slots.map(|slot| (*slot, value(new, slot))).collect();
                    AccountChange { account: Some(*account), storage_wiped: false, storage }
                }
            };
            changes.insert(*address, change);
        }
        changes
    }
}

const PEOPLE: u64 = 12;

fn person(id: u64) -> Address {
    Address::from_word(alloy_primitives::keccak256(id.to_be_bytes()))
}

fn account(random: &mut Random) -> Account {
    Account { balance: U256::from(1 + random.below(2)), nonce: random.below(3), ..Account::default() }
}

/// One change of one account, as lanes and revm make them, to the block's state and to the model.
fn change(random: &mut Random, state: &mut BlockState<'_>, model: &mut Model) {
    let address = person(random.below(PEOPLE));
    match random.below(5) {
        0 => {
            let account = account(random);
            state.set_account(address, Some(account));
            model.0.entry(address).or_default().0 = account;
        }
        1 => {
            state.set_account(address, None);
            model.remove(address);
        }
        2 => {
            let amount = U256::from(random.below(2));
            state.credit(address, amount, true).unwrap();
            if !amount.is_zero() || model.0.contains_key(&address) {
                model.0.entry(address).or_default().0.balance += amount;
            }
        }
        _ => commit(random, address, state, model),
    }
}

/// A transaction's end as revm tells it.
fn commit(random: &mut Random, address: Address, state: &mut BlockState<'_>, model: &mut Model) {
    let account = account(random);
    let mut touched = RevmAccount::default().with_info(account.into()).with_touched_mark();
    if random.below(5) == 0 {
        touched.mark_selfdestruct();
        model.remove(address);
        state.commit([(address, touched)].into_iter().collect());
        return;
    }
    let entry = model.0.entry(address).or_default();
    entry.0 = account;
    if random.below(3) == 0 {
        touched.mark_created();
        entry.1.clear();
    }
    for slot in (0..random.below(4)).map(U256::from) {
        let value = U256::from(random.below(3));
        let before = entry.1.get(&slot).copied().unwrap_or_default();
        touched.storage.insert(slot, EvmStorageSlot::new_changed(before, value, TransactionId::default()));
        if value.is_zero() {
            entry.1.remove(&slot);
        } else {
            entry.1.insert(slot, value);
        }
    }
    state.commit([(address, touched)].into_iter().collect());
}

#[test]
fn a_random_history_is_told_in_one_way_and_can_be_walked_forth_and_back() {
    for seed in 0..60 {
        let random = &mut Random(seed);
        let mut model = Model::random(random);
        let (mut world, mut history) = (model.world(), Vec::new());
        let genesis = world.clone();
        let mut layers: Vec<Arc<ChangeSet>> = Vec::new();
        let mut trie = StateTrie::new(&world);
        assert_eq!(trie.root(), model.root(), "seed {seed}: genesis");
        for block in 0..12 {
            let what = format!("seed {seed}, block {block}");
            let before = model.clone();
            // The same state, with all that happened applied, or in layers.
            let layered = View::from(&genesis).with_layers(&layers);
            before.assert_read_from(&layered, &what);
            let view = if seed % 2 == 0 { View::from(&world) } else { layered };
            let mut state = BlockState::new(view);
            for _ in 0..random.below(24) {
                change(random, &mut state, &mut model);
            }
            model.assert_read_from(&state, &what);
            let changes = state.into_changes();
            assert_eq!(changes.accounts, before.changes_to(&model), "{what}");
            let undo = world.undo(&changes);
            assert_eq!(layered.undo(&changes), Ok(undo.clone()), "{what}");
            assert_eq!(layered.changes_bare_storage(&changes), before.has_bare_storage(&changes), "{what}");
            layers.insert(0, Arc::new(changes.clone()));
            assert_eq!(world.apply_undoably(&changes), undo, "{what}");
            assert_eq!(world.first_difference(&model.world()), None, "{what}");
            assert_eq!(trie.update(&changes), model.root(), "{what}");
            history.push((before, changes, undo));
        }
        let (end, mut undone) = (world.clone(), Vec::new());
        for (block, (before, changes, undo)) in history.iter().enumerate().rev() {
            let after = trie.root();
            undone.insert(0, Arc::new(undo.clone()));
            let layered = View::from(&end).with_layers(&undone);
            before.assert_read_from(&layered, &format!("seed {seed}: undone before {block}"));
            world.apply(undo);
            trie.update(undo);
            assert_eq!(world.first_difference(&before.world()), None, "seed {seed}: back before {block}");
            assert_eq!(trie.root(), before.root(), "seed {seed}: back before {block}");
            // There and back again.
            world.apply(changes);
            assert_eq!(trie.update(changes), after, "seed {seed}: block {block} again");
            world.apply(undo);
            trie.update(undo);
        }
    }
}

#[test]
fn equal_ends_have_equal_changes_whatever_happened_between() {
    let mut random = Random(1);
    let model = Model(
        [(person(0), (account(&mut random), [(U256::from(1), U256::from(7))].into_iter().collect()))].into(),
    );
    let world = model.world();
    let kept = model.0[&person(0)].0;
    let rewritten = |slots: &[(u64, u64)]| {
        let mut state = BlockState::new(&world);
        state.set_account(person(0), None);
        let mut again = RevmAccount::default().with_info(kept.into()).with_touched_mark().with_created_mark();
        for (slot, value) in slots {
            let slot_value =
                EvmStorageSlot::new_changed(U256::ZERO, U256::from(*value), TransactionId::default());
            again.storage.insert(U256::from(*slot), slot_value);
        }
        state.commit([(person(0), again)].into_iter().collect());
        state.into_changes()
    };
    assert_eq!(rewritten(&[(1, 7)]), ChangeSet::default(), "destroyed and made again as it was");
    let changes = rewritten(&[(2, 9)]).accounts.swap_remove(&person(0)).unwrap();
    let storage = [(U256::from(1), U256::ZERO), (U256::from(2), U256::from(9))].into_iter().collect();
    assert_eq!(changes, AccountChange { account: Some(kept), storage_wiped: false, storage });
    let difference = rewritten(&[(2, 9)]).first_difference(&rewritten(&[(1, 7)]), &world);
    assert!(difference.is_some_and(|words| words.contains(&person(0).to_string())));
}

#[test]
fn what_was_not_supplied_is_unknown_and_names_itself() {
    let world = World::with_capacity(Completeness::TouchedOnly, 0);
    let hash = B256::repeat_byte(3);
    assert_eq!(world.code(&hash), Err(Unknown(StateKey::Code(hash))));
    let unknown = world.block_hash(17).unwrap_err();
    assert_eq!(unknown.to_string(), "state is not known: hash of block 17");
    assert_eq!(world.account(&person(0)), Ok(None));
    assert_eq!(world.storage(&person(0), &U256::ZERO), Ok(U256::ZERO));
}

#[test]
fn hashes_of_the_last_256_blocks_are_kept() {
    let hashes: BlockHashes = (0..300).map(|number| (number, B256::with_last_byte(1))).collect();
    assert!(hashes.get(43).is_none() && hashes.get(44).is_some() && hashes.get(299).is_some());
    let world = World::with_capacity(Completeness::Whole, 0);
    let view = View::from(&world).with_hashes(&hashes);
    assert_eq!(view.block_hash(299), Ok(B256::with_last_byte(1)));
    assert_eq!(view.block_hash(300), Err(Unknown(StateKey::BlockHash(300))));
}
