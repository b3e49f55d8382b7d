//! Roots of lists: of transactions, receipts and withdrawals, under the RLP of their indices.

use super::{Entry, Key, hashing::hash_pages, nibbles::KEY_NIBBLES, page::Page, spine::Jobs};
use alloy_primitives::B256;

/// An item, and the length of its key in nibbles.
struct Item<'a> {
    bytes: &'a [u8],
    key_len: usize,
}

impl Entry for Item<'_> {
    fn key_len(&self) -> usize {
        self.key_len
    }
}

/// Root of the trie that holds each item under the RLP of its index (Yellow Paper, section 4.3).
pub fn ordered_root<'a>(items: impl ExactSizeIterator<Item = &'a [u8]>) -> B256 {
    let mut entries: Vec<(Key, Item<'a>)> = items
        .enumerate()
        .map(|(index, bytes)| {
            let mut key = [0; KEY_NIBBLES / 2];
            let mut rlp = key.as_mut_slice();
            alloy_rlp::Encodable::encode(&index, &mut rlp);
            let left = rlp.len();
            (key, Item { bytes, key_len: KEY_NIBBLES - 2 * left })
        })
        .collect();
    // No RLP is the beginning of another, so zeros at the end do not change the order.
    entries.sort_unstable_by_key(|(key, _)| *key);
    let (keys, items) = entries.into_iter().unzip();
    let mut page = Page::new(keys, items, 0);
    let hashed =
        hash_pages(&mut [&mut page], &mut Jobs::default(), &|item, out| out.extend_from_slice(item.bytes));
    hashed.expect("no node is blinded");
    page.top().root()
}
