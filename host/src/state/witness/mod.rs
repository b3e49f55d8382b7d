//! A state of which a witness tells a part: some trie nodes and codes, found by their hashes.
//!
//! A read walks down from the state root, so that what it finds is proven by the root; a node that the witness lacks
//! makes the key unknown, and [`WitnessState::explain`] names the node. Nothing is decoded before it is asked
//! for, and what is asked for costs no more than a path, whatever else the nodes say.

mod record;
mod root;
#[cfg(test)]
mod tests;

pub use record::{Reads, Recorder};

use super::{Account, StateKey, StateRead, Unknown, root::keys::hash_keys};
use crate::trie::{Key, MalformedTrie, Unreadable, lookup};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256, map::B256Map};
use alloy_rlp::Decodable;
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use rayon::prelude::*;
use revm::state::Bytecode;
use std::sync::atomic::{AtomicBool, Ordering};

/// The state with a root, as far as a witness tells.
#[derive(Debug, Default)]
pub struct WitnessState {
    root: B256,
    nodes: B256Map<Used<Bytes>>,
    codes: B256Map<Used<Bytecode>>,
}

/// Something that a witness holds, and whether it was of use.
#[derive(Debug)]
struct Used<T> {
    value: T,
    is_used: AtomicBool,
}

impl<T> Used<T> {
    const fn new(value: T) -> Self {
        Self { value, is_used: AtomicBool::new(false) }
    }

    fn take(&self) -> &T {
        // Most are read again and again, by all threads: then nothing is written.
        if !self.is_used.load(Ordering::Relaxed) {
            self.is_used.store(true, Ordering::Relaxed);
        }
        &self.value
    }

    fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }
}

impl WitnessState {
    /// The state with a root. Nodes and codes can be any bytes: they count for what they hash to.
    pub fn new(root: B256, nodes: Vec<Bytes>, codes: Vec<Bytes>) -> Self {
        let hashed = |items: Vec<Bytes>| {
            let hashes = hash_keys(&items, |bytes| bytes.as_ref());
            hashes.into_iter().map(B256::from).zip(items)
        };
        let codes: Vec<(B256, Bytes)> = hashed(codes).collect();
        let bytecode = |(hash, code): (B256, Bytes)| {
            // Unchecked by intent: a state may hold 0xef.. code that today's rules refuse.
            let code = Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code));
            (hash, Used::new(code))
        };
        let codes: Vec<_> = codes.into_par_iter().map(bytecode).collect();
        let nodes = hashed(nodes).map(|(hash, node)| (hash, Used::new(node))).collect();
        Self { root, nodes, codes: codes.into_iter().collect() }
    }

    /// The root.
    pub const fn root(&self) -> B256 {
        self.root
    }

    /// Why a key is unknown: the node on the path to it that is missing, or is none. `None` where it is known, and for keys
    /// that have no path.
    pub fn explain(&self, key: &StateKey) -> Option<Unreadable> {
        match key {
            StateKey::Account(address) => self.leaf(&keccak256(address)).err(),
            StateKey::Storage(address, slot) => self.slot(address, slot).err(),
            StateKey::Code(_) | StateKey::BlockHash(_) => None,
        }
    }

    /// The nodes that were of use so far, and the codes, in the order of their hashes.
    pub fn used(&self) -> (Vec<Bytes>, Vec<Bytes>) {
        let mut nodes: Vec<_> = self.nodes.iter().filter(|(_, node)| node.is_used()).collect();
        nodes.sort_unstable_by_key(|(hash, _)| **hash);
        let mut codes: Vec<_> = self.codes.iter().filter(|(_, code)| code.is_used()).collect();
        codes.sort_unstable_by_key(|(hash, _)| **hash);
        let nodes = nodes.into_iter().map(|(_, node)| node.value.clone());
        (nodes.collect(), codes.into_iter().map(|(_, code)| code.value.original_bytes()).collect())
    }

    /// Whether the account is known to have no storage.
    pub(super) fn has_no_storage(&self, address: &Address) -> bool {
        let leaf = self.leaf(&keccak256(address));
        leaf.is_ok_and(|leaf| leaf.is_none_or(|leaf| leaf.storage_root == EMPTY_ROOT_HASH))
    }

    fn node(&self, hash: &B256) -> Option<&[u8]> {
        self.nodes.get(hash).map(|node| node.take().as_ref())
    }

    /// What the trie of accounts stores under a key.
    fn leaf(&self, key: &Key) -> Result<Option<TrieAccount>, Unreadable> {
        let Some(bytes) = lookup(self.root, key, &|hash| self.node(hash))? else { return Ok(None) };
        decode(bytes).map(Some).map_err(|reason| malformed(self.root, key, &reason))
    }

    fn slot(&self, address: &Address, slot: &U256) -> Result<U256, Unreadable> {
        let Some(leaf) = self.leaf(&keccak256(address))? else { return Ok(U256::ZERO) };
        let key = keccak256(slot.to_be_bytes::<32>());
        let Some(bytes) = lookup(leaf.storage_root, &key, &|hash| self.node(hash))? else {
            return Ok(U256::ZERO);
        };
        decode(bytes).map_err(|reason| malformed(leaf.storage_root, &key, &reason))
    }
}

impl StateRead for WitnessState {
    fn account(&self, address: &Address) -> Result<Option<Account>, Unknown> {
        match self.leaf(&keccak256(address)) {
            Ok(leaf) => Ok(leaf.map(|leaf| Account {
                balance: leaf.balance,
                nonce: leaf.nonce,
                code_hash: leaf.code_hash,
            })),
            Err(_) => Err(Unknown(StateKey::Account(*address))),
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Unknown> {
        self.slot(address, slot).map_err(|_| Unknown(StateKey::Storage(*address, *slot)))
    }

    fn code(&self, hash: &B256) -> Result<Bytecode, Unknown> {
        if *hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        self.codes.get(hash).map(|code| code.take().clone()).ok_or(Unknown(StateKey::Code(*hash)))
    }

    /// Always unknown: these hashes belong to the chain, and a state does not tell which it is of.
    fn block_hash(&self, number: u64) -> Result<B256, Unknown> {
        Err(Unknown(StateKey::BlockHash(number)))
    }
}

/// A value as a trie stores it, from the first byte to the last.
fn decode<T: Decodable>(mut bytes: &[u8]) -> Result<T, String> {
    let value = T::decode(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.is_empty() { Ok(value) } else { Err("bytes after its end".to_owned()) }
}

fn malformed(root: B256, key: &Key, reason: &str) -> Unreadable {
    let reason = format!("what the trie with this root stores under {}: {reason}", B256::from(*key));
    MalformedTrie::Node { hash: root, reason }.into()
}
