//! Roots of lists: of transactions, receipts and withdrawals, under the RLP of their indices.

use super::{Entry, Key, hashing::hash_pages, nibbles::KEY_NIBBLES, page::Page, spine::Jobs};
use alloy_primitives::B256;

/// An item, and the length of its key in nibbles.
struct Item {
    index: usize,
    key_len: usize,
}

impl Entry for Item {
    fn key_len(&self) -> usize {
        self.key_len
    }
}

/// Root of the trie that holds each of `len` items under the RLP of its index (Yellow Paper, section 4.3).
/// `encode` appends the bytes of the item at an index; it may be asked on any thread.
pub fn ordered_root(len: usize, encode: &(impl Fn(usize, &mut Vec<u8>) + Sync)) -> B256 {
    let (keys, items) = in_order(len).map(entry).unzip();
    let mut page = Page::new(keys, items, 0);
    let hashed =
        hash_pages(&mut [&mut page], &mut Jobs::default(), &|item: &Item, out| encode(item.index, out));
    hashed.expect("no node is blinded");
    page.top().root()
}

/// Indices in the order of their RLP: 0 is written as 0x80, behind those that are bytes themselves.
fn in_order(len: usize) -> impl Iterator<Item = usize> {
    let bytes = len.min(0x80);
    (1..bytes).chain(0..len.min(1)).chain(bytes.max(1)..len)
}

fn entry(index: usize) -> (Key, Item) {
    let mut key = [0; KEY_NIBBLES / 2];
    let mut rlp = key.as_mut_slice();
    alloy_rlp::Encodable::encode(&index, &mut rlp);
    let left = rlp.len();
    (key, Item { index, key_len: KEY_NIBBLES - 2 * left })
}
