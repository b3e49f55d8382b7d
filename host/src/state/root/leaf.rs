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
        if c != 0 || d != 0 {
            let balance = U256::from_limbs([a, b, c, d]);
            TrieAccount { nonce: self.nonce, balance, storage_root, code_hash }.encode(out);
            return;
        }
        // All lengths but those of the two numbers are known: this is many times as quick.
        let mut item = [0; ITEM_LEN_MAX];
        let mut len = put_number(self.nonce.into(), &mut item, 2);
        len = put_number(u128::from(b) << 64 | u128::from(a), &mut item, len);
        for hash in [storage_root, code_hash] {
            item[len] = 0xa0;
            item[len + 1..len + 33].copy_from_slice(hash.as_slice());
            len += 33;
        }
        // A list of 68 to 92 bytes.
        #[expect(clippy::cast_possible_truncation, reason = "as said")]
        let header = [0xf8, (len - 2) as u8];
        item[..2].copy_from_slice(&header);
        out.extend_from_slice(&item[..len]);
    }
}

impl Entry for AccountLeaf {}

/// Bytes of an account whose balance is below 2^128, and what is written beyond a number.
const ITEM_LEN_MAX: usize = 2 + 9 + 17 + 66 + 16;

/// Puts the RLP of a number at a place; what follows is overwritten up to 17 bytes from there. Returns where it ends.
#[expect(clippy::cast_possible_truncation, reason = "less than 128, and a length of at most 16")]
fn put_number(number: u128, item: &mut [u8; ITEM_LEN_MAX], at: usize) -> usize {
    let zeros = number.leading_zeros() / 8;
    let len = 16 - zeros as usize;
    if number < 0x80 {
        item[at] = if number == 0 { 0x80 } else { number as u8 };
        return at + 1;
    }
    item[at] = 0x80 + len as u8;
    let bytes = (number << (8 * zeros)).to_be_bytes();
    item[at + 1..at + 17].copy_from_slice(&bytes);
    at + 1 + len
}

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
