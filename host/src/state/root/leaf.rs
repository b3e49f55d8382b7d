//! What the tries of a state hold.

use super::super::Account;
use crate::trie::Entry;
use alloy_primitives::{B256, KECCAK256_EMPTY, U256};
use alloy_rlp::Encodable;
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};

/// An account with the root of its storage. Most have neither code nor storage, and less than 2^128 wei: those take 32 bytes.
#[derive(Clone, Debug)]
pub(in crate::state) struct AccountLeaf {
    nonce: u64,
    /// The low half of the balance, in wei.
    balance: [u64; 2],
    /// Absent where it has nothing to say.
    rest: Option<Box<Rest>>,
}

/// What most accounts do not have.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rest {
    /// The high half of the balance.
    balance: [u64; 2],
    storage_root: B256,
    code_hash: B256,
}

impl Rest {
    const NOTHING: Self = Self { balance: [0; 2], storage_root: EMPTY_ROOT_HASH, code_hash: KECCAK256_EMPTY };
}

impl AccountLeaf {
    pub(in crate::state) fn new(account: &Account, storage_root: B256) -> Self {
        let [a, b, c, d] = account.balance.into_limbs();
        let rest = Rest { balance: [c, d], storage_root, code_hash: account.code_hash };
        let rest = (rest != Rest::NOTHING).then(|| Box::new(rest));
        Self { nonce: account.nonce, balance: [a, b], rest }
    }

    /// Appends the bytes that the trie stores (Yellow Paper, section 4.1).
    pub(in crate::state) fn encode(&self, out: &mut Vec<u8>) {
        let [a, b] = self.balance;
        let Rest { balance: [c, d], storage_root, code_hash } =
            *self.rest.as_deref().unwrap_or(&Rest::NOTHING);
        let balance = U256::from_limbs([a, b, c, d]);
        TrieAccount { nonce: self.nonce, balance, storage_root, code_hash }.encode(out);
    }
}

impl Entry for AccountLeaf {}

/// The value of a slot, which is not zero.
#[derive(Clone, Copy, Debug)]
pub(in crate::state) struct SlotLeaf(pub(in crate::state) U256);

impl SlotLeaf {
    /// Appends the bytes that the trie stores.
    pub(in crate::state) fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Entry for SlotLeaf {}

const _: () = assert!(size_of::<AccountLeaf>() == 32, "there are many of them");
