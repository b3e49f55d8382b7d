//! Tries and the roots of whole states, after any operations, against alloy-trie's from scratch.
//!
//! An input is a list of commands of a few bytes. All keys, addresses and slots are among few, so that they meet again.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{
    HashBuilder, Nibbles, TrieAccount,
    root::{state_root_unhashed, storage_root_unhashed},
};
use outrider::{
    ingest::fuzz::Target,
    state::{Account, AccountChange, ChangeSet, Completeness, StateTrie, World},
    trie::{Entry, Key, Trie},
};
use std::collections::BTreeMap;

/// The targets of this module.
pub const TARGETS: &[Target] =
    &[Target { name: "trie_changes", run: trie_changes }, Target { name: "state_roots", run: state_roots }];

/// Most commands of an input: the reference begins anew at every commit.
const COMMANDS_MAX: usize = 400;

/// Commands of four bytes.
fn commands(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    bytes.as_chunks().0.iter().copied().take(COMMANDS_MAX)
}

/// Bytes as they are.
#[derive(Clone, Debug)]
struct Value(Vec<u8>);

impl Entry for Value {}

fn encode(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.0);
}

fn trie_root(entries: &BTreeMap<Key, Vec<u8>>) -> B256 {
    let mut builder = HashBuilder::default();
    entries.iter().for_each(|(key, value)| builder.add_leaf(Nibbles::unpack(key), value));
    builder.root()
}

/// Panics if a trie comes to another root than alloy-trie. Keys differ from one of few in one byte, so that branches stand at all
/// depths and nodes are short enough to be embedded; many keys at once make tries that are cut into pages.
fn trie_changes(bytes: &[u8]) {
    let mut trie = Trie::default();
    let mut entries: BTreeMap<Key, Vec<u8>> = BTreeMap::new();
    let mut changes: BTreeMap<Key, Option<Vec<u8>>> = BTreeMap::new();
    // What takes back each commit.
    let mut undo: Vec<BTreeMap<Key, Option<Vec<u8>>>> = Vec::new();
    let mut commit = |changes: BTreeMap<Key, Option<Vec<u8>>>| {
        let mut before = BTreeMap::new();
        for (key, value) in &changes {
            let old = match value {
                Some(value) => entries.insert(*key, value.clone()),
                None => entries.remove(key),
            };
            before.insert(*key, old);
        }
        // In no order.
        let changes = changes.into_iter().rev().map(|(key, value)| (key, value.map(Value))).collect();
        let root = trie.commit(changes, &encode).expect("nothing is blinded");
        assert_eq!(root, trie_root(&entries), "{} entries", entries.len());
        assert!(trie.iter().map(|(key, value)| (key, &value.0)).eq(&entries));
        before
    };
    for [kind, base, place, byte] in commands(bytes) {
        let mut key = [base & 3; 32];
        key[usize::from(place % 32)] = byte;
        match kind % 8 {
            0..=2 => _ = changes.insert(key, Some(vec![kind; 1 + usize::from(kind / 8)])),
            3 | 4 => _ = changes.insert(key, None),
            5 => {
                // Hashes of which there are as many as it takes to be cut, set or removed.
                let value = (byte > 127).then(|| vec![byte; 40]);
                let numbers = 0..u64::from(place) * 8;
                changes.extend(numbers.map(|number| (keccak256(number.to_be_bytes()).0, value.clone())));
            }
            6 => undo.push(commit(std::mem::take(&mut changes))),
            _ => {
                changes.clear();
                if let Some(back) = undo.pop() {
                    commit(back);
                }
            }
        }
    }
    commit(changes);
    // All the way back, to nothing.
    while let Some(back) = undo.pop() {
        commit(back);
    }
}

type State = BTreeMap<Address, (Account, BTreeMap<U256, U256>)>;

fn state_root(state: &State) -> B256 {
    state_root_unhashed(state.iter().map(|(address, (account, slots))| {
        let slots = slots.iter().map(|(slot, value)| (B256::from(*slot), *value));
        let Account { nonce, balance, code_hash } = *account;
        (*address, TrieAccount { nonce, balance, code_hash, storage_root: storage_root_unhashed(slots) })
    }))
}

/// Panics if the tries of a state come to another root than alloy-trie: accounts are made, changed, removed, and made again over
/// one that was destroyed, slots are set and cleared, and blocks are taken back.
fn state_roots(bytes: &[u8]) {
    let mut state = State::new();
    let mut world = World::with_capacity(Completeness::Whole, 0);
    world.insert(Address::ZERO, U256::ONE, 1, Bytes::new(), [(U256::ONE, U256::ONE)]);
    state.insert(Address::ZERO, (account(0), [(U256::ONE, U256::ONE)].into()));
    let mut trie = StateTrie::new(&world);
    assert_eq!(trie.root(), state_root(&state));
    let mut changes = ChangeSet::default();
    let mut ancestors: Vec<(State, ChangeSet)> = Vec::new();
    let mut parent = state.clone();
    for [kind, address, slot, value] in commands(bytes) {
        let address = Address::with_last_byte(address % 24);
        let change = changes.accounts.get(&address).cloned();
        let is_there = state.contains_key(&address);
        let mut change = change.unwrap_or_else(|| AccountChange {
            account: state.get(&address).map(|(account, _)| *account),
            ..AccountChange::default()
        });
        match kind % 8 {
            // The account, which is made if it is not there.
            0 | 1 => {
                change.account = Some(account(value));
                state.entry(address).or_default().0 = account(value);
            }
            // A slot; zero clears it.
            2 | 3 if is_there => {
                let (slot, value) = (U256::from(slot % 32), U256::from(value % 4) << usize::from(value));
                change.storage.insert(slot, value);
                let slots = &mut state.entry(address).or_default().1;
                if value.is_zero() {
                    slots.remove(&slot)
                } else {
                    slots.insert(slot, value)
                };
            }
            4 => {
                change = AccountChange { storage_wiped: true, ..AccountChange::default() };
                state.remove(&address);
            }
            // Over one that was destroyed.
            5 => {
                change = AccountChange {
                    account: Some(account(value)),
                    storage_wiped: true,
                    ..AccountChange::default()
                };
                state.insert(address, (account(value), BTreeMap::new()));
            }
            6 => {
                let changes = std::mem::take(&mut changes);
                let undo = world.undo(&changes);
                world.apply(&changes);
                assert_eq!(trie.update(&changes), state_root(&state));
                ancestors.push((std::mem::replace(&mut parent, state.clone()), undo));
                continue;
            }
            7 => {
                changes = ChangeSet::default();
                if let Some((ancestor, undo)) = ancestors.pop() {
                    world.apply(&undo);
                    assert_eq!(trie.update(&undo), state_root(&ancestor), "an ancestor");
                    parent = ancestor;
                }
                state.clone_from(&parent);
                continue;
            }
            _ => continue,
        }
        changes.accounts.insert(address, change);
    }
    assert_eq!(StateTrie::new(&world).root(), trie.root(), "from scratch");
    assert_eq!(trie.root(), state_root(&parent));
}

/// An account; some have code, some more than 2^128 wei.
fn account(kind: u8) -> Account {
    if kind == 0 {
        return Account { balance: U256::ONE, nonce: 1, ..Account::default() };
    }
    let code_hash = if kind.is_multiple_of(3) { keccak256([kind]) } else { Account::default().code_hash };
    Account {
        balance: U256::from(kind) << usize::from(kind),
        nonce: u64::from(kind) << (kind % 56),
        code_hash,
    }
}
