//! States that witnesses tell of, with nodes of all kinds put together in ways that no trie would have.
//!
//! Random bytes are never found by a hash, so that an input is a list of commands, each of which makes a node of those
//! before it. The last is the root.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use outrider::{
    ingest::fuzz::Target,
    state::{Account, AccountChange, ChangeSet, StateRead, WitnessState},
};

/// The targets of this module.
pub const TARGETS: &[Target] = &[Target { name: "witness_state", run: witness_state }];

/// Most nodes of an input.
const NODES_MAX: usize = 96;
/// Accounts, and slots of each, that are read and changed.
const PEOPLE: u8 = 4;
const SLOTS: u8 = 3;

/// Reads commands; 0 beyond the end.
struct Commands<'a>(&'a [u8]);

impl Commands<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    /// An earlier node as its parent refers to it; nothing if there is none.
    fn child(&mut self, nodes: &[Bytes]) -> Vec<u8> {
        let index = usize::from(self.byte());
        let Some(node) = nodes.len().checked_sub(1 + index % 8).and_then(|at| nodes.get(at)) else {
            return vec![alloy_rlp::EMPTY_STRING_CODE];
        };
        if node.len() < 32 { node.to_vec() } else { alloy_rlp::encode(keccak256(node)) }
    }

    fn node(&mut self, nodes: &[Bytes]) -> Vec<u8> {
        match self.byte() % 5 {
            // Anything.
            0 => {
                let len = usize::from(self.byte()).min(self.0.len());
                let (node, rest) = self.0.split_at(len);
                self.0 = rest;
                node.to_vec()
            }
            1 => {
                let mask = u16::from_be_bytes([self.byte(), self.byte()]);
                let child = |nibble: u16, commands: &mut Self| match mask >> nibble & 1 {
                    1 => commands.child(nodes),
                    _ => vec![alloy_rlp::EMPTY_STRING_CODE],
                };
                let mut items: Vec<Vec<u8>> = (0..16).map(|nibble| child(nibble, self)).collect();
                items.push(vec![alloy_rlp::EMPTY_STRING_CODE]);
                list(&items)
            }
            2 => {
                let path = [&[self.byte()][..], &self.0[..self.0.len().min(usize::from(mask(self.byte())))]]
                    .concat();
                list(&[alloy_rlp::encode(path.as_slice()), self.child(nodes)])
            }
            // A leaf where a trie would have it: of an account, or of a slot.
            kind => {
                let (whose, depth) = (self.byte(), usize::from(self.byte()) % 65);
                let (key, value) = if kind == 3 {
                    let storage_root = self.child(nodes);
                    let account =
                        [&[0x07, 0x64][..], &storage_root, &alloy_rlp::encode(keccak256([]))].concat();
                    let mut leaf = Vec::new();
                    alloy_rlp::Header { list: true, payload_length: account.len() }.encode(&mut leaf);
                    leaf.extend(account);
                    (keccak256(person(whose % PEOPLE)), leaf)
                } else {
                    (
                        keccak256(slot(whose % SLOTS).to_be_bytes::<32>()),
                        alloy_rlp::encode(u64::from(self.byte())),
                    )
                };
                list(&[
                    alloy_rlp::encode(compact(&key, depth).as_slice()),
                    alloy_rlp::encode(value.as_slice()),
                ])
            }
        }
    }
}

const fn mask(byte: u8) -> u8 {
    byte & 0x1f
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let payload = items.concat();
    let mut out = Vec::new();
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out
}

/// The path of a leaf: the nibbles of a key from `start` on.
fn compact(key: &B256, start: usize) -> Vec<u8> {
    let nibbles: Vec<u8> = key.iter().flat_map(|byte| [byte >> 4, byte & 15]).skip(start).collect();
    let (flag, rest) = match nibbles.len() % 2 {
        1 => (0x30 | nibbles[0], &nibbles[1..]),
        _ => (0x20, &nibbles[..]),
    };
    [flag].into_iter().chain(rest.chunks(2).map(|pair| pair[0] << 4 | pair[1])).collect()
}

fn person(id: u8) -> Address {
    Address::repeat_byte(id + 1)
}

fn slot(id: u8) -> U256 {
    U256::from(id)
}

/// Panics if a state takes what is not known for nothing.
fn witness_state(bytes: &[u8]) {
    let mut commands = Commands(bytes);
    let mut nodes: Vec<Bytes> = Vec::new();
    while nodes.len() < NODES_MAX && !commands.0.is_empty() {
        let node = commands.node(&nodes);
        nodes.push(node.into());
    }
    let Some(root) = nodes.last().map(keccak256) else { return };
    let dropped = usize::from(commands.byte());
    let fewer =
        nodes.iter().enumerate().filter(|(index, _)| index + 1 != dropped).map(|(_, node)| node.clone());
    for state in
        [WitnessState::new(root, fewer.collect(), Vec::new()), WitnessState::new(root, nodes, Vec::new())]
    {
        for id in 0..PEOPLE {
            let address = person(id);
            let known = state.account(&address);
            let same = |account, storage| {
                let change = AccountChange { account, storage_wiped: false, storage };
                let changes = [(address, change)].into_iter().collect();
                state.root_after(&ChangeSet { accounts: changes, ..ChangeSet::default() })
            };
            match known {
                Err(unknown) => {
                    assert!(state.explain(&unknown.0).is_some());
                    assert!(same(Some(Account::default()), Default::default()).is_err());
                    assert!(same(None, Default::default()).is_err());
                }
                Ok(account) => {
                    let slots = (0..SLOTS).map(slot);
                    let slots = slots.filter_map(|slot| Some((slot, state.storage(&address, &slot).ok()?)));
                    let storage = if account.is_some() { slots.collect() } else { Default::default() };
                    // Its root is that of a trie, and these nodes may be those of none: they are encoded as a trie has them.
                    drop(same(account, storage));
                }
            }
        }
    }
}
