//! Nodes as they are encoded, and how a parent refers to a child.

use super::{
    Key,
    nibbles::{compact_len, nibble, push_compact},
};
use alloy_primitives::{B256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use std::fmt;

/// First byte of a reference that is a hash: the RLP of a string of 32 bytes.
const HASH: u8 = 0xa0;

/// RLP of the empty string.
const EMPTY: u8 = 0x80;

/// RLP of a list of no bytes.
const LIST: u8 = 0xc0;

/// How a parent refers to a child: the child's own encoding if that is shorter than 32 bytes, else its hash,
/// as the RLP item that stands in the parent. The item says its own length.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NodeRef([u8; 33]);

impl NodeRef {
    /// No child: the empty string.
    pub const NONE: Self = {
        let mut item = [0; 33];
        item[0] = EMPTY;
        Self(item)
    };

    /// A child by its hash.
    pub fn hash(hash: &[u8; 32]) -> Self {
        let mut item = [HASH; 33];
        item[1..].copy_from_slice(hash);
        Self(item)
    }

    /// A child whose encoding is shorter than 32 bytes, which then stands for itself.
    ///
    /// # Panics
    /// If it is longer.
    pub(super) fn embedded(encoding: &[u8]) -> Self {
        assert!(encoding.len() < 32, "a node of {} bytes is referred to by its hash", encoding.len());
        let mut item = [0; 33];
        item[..encoding.len()].copy_from_slice(encoding);
        Self(item)
    }

    /// The reference to a node by its encoding.
    pub(super) fn to(encoding: &[u8]) -> Self {
        if encoding.len() < 32 { Self::embedded(encoding) } else { Self::hash(&keccak256(encoding).0) }
    }

    /// The RLP item.
    #[inline]
    pub fn as_rlp(&self) -> &[u8] {
        let len = match self.0[0] {
            HASH => 33,
            EMPTY => 1,
            // A node is a list.
            first => usize::from(first - LIST) + 1,
        };
        &self.0[..len]
    }

    /// The child's hash, if that is how it is referred to.
    pub fn as_hash(&self) -> Option<B256> {
        (self.0[0] == HASH).then(|| B256::from_slice(&self.0[1..]))
    }

    /// The root of a trie of which this is the topmost node. There the hash is used, however short the node.
    pub fn root(&self) -> B256 {
        match self.0[0] {
            EMPTY => EMPTY_ROOT_HASH,
            HASH => B256::from_slice(&self.0[1..]),
            _ => keccak256(self.as_rlp()),
        }
    }
}

impl fmt::Debug for NodeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", alloy_primitives::hex::encode(self.as_rlp()))
    }
}

/// Appends a leaf: the nibbles of its key from `start` on to `end`, which is even, and its value, which is given as the
/// bytes that the trie stores.
#[expect(clippy::cast_possible_truncation, reason = "a path has 33 bytes at most")]
pub(super) fn push_leaf(key: &Key, [start, end]: [usize; 2], value: &[u8], out: &mut Vec<u8>) {
    debug_assert!(end.is_multiple_of(2), "keys are whole bytes");
    let path_len = compact_len(end - start);
    // A compact leaf path begins with 0x20 to 0x3f: alone it is its own RLP.
    let path_rlp_len = if path_len == 1 { 1 } else { 1 + path_len };
    push_header(LIST, path_rlp_len + string_len(value), out);
    // The key is copied whole, which has a length known ahead, and its beginning is overwritten.
    const ROOM: usize = 2 + size_of::<Key>();
    let mut path = [0; 2 * ROOM];
    path[2..ROOM].copy_from_slice(key);
    let whole = start.div_ceil(2);
    path[whole + 1] = if start.is_multiple_of(2) { 0x20 } else { 0x30 | nibble(key, start) };
    path[whole] = EMPTY + path_len as u8;
    let begin = if path_len == 1 { whole + 1 } else { whole };
    let len = out.len() + 2 + end / 2 - begin;
    out.extend_from_slice(&path[begin..begin + ROOM]);
    out.truncate(len);
    if !is_own_rlp(value) {
        push_header(EMPTY, value.len(), out);
    }
    out.extend_from_slice(value);
}

/// Appends an extension: the nibbles from `start` to `end`, and what hangs there.
#[expect(clippy::cast_possible_truncation, reason = "a path has 33 bytes at most")]
pub(super) fn push_extension(key: &Key, [start, end]: [usize; 2], child: &NodeRef, out: &mut Vec<u8>) {
    let path_len = compact_len(end - start);
    let path_rlp_len = if path_len == 1 { 1 } else { 1 + path_len };
    push_header(LIST, path_rlp_len + child.as_rlp().len(), out);
    if path_len > 1 {
        out.push(EMPTY + path_len as u8);
    }
    push_compact(key, start, end, out);
    out.extend_from_slice(child.as_rlp());
}

/// Appends a branch without a value, with what hangs at the nibbles of a mask.
pub(super) fn push_branch(mask: u16, children: &[NodeRef], out: &mut Vec<u8>) {
    let mut len = 17;
    for child in children {
        len += child.as_rlp().len() - 1;
    }
    push_header(LIST, len, out);
    let start = out.len();
    out.resize(start + len, EMPTY);
    let items = &mut out[start..];
    let (mut at, mut rest) = (0, mask);
    for child in children {
        // So many empty items since the last.
        let empty = rest.trailing_zeros();
        rest = rest >> empty >> 1;
        at += empty as usize;
        if child.0[0] == HASH {
            // Of a length that is known ahead, which spares a call.
            items[at..at + child.0.len()].copy_from_slice(&child.0);
            at += child.0.len();
        } else {
            let item = child.as_rlp();
            items[at..at + item.len()].copy_from_slice(item);
            at += item.len();
        }
    }
}

/// Appends the head of a string (`offset` 0x80) or a list (0xc0) of so many bytes.
#[expect(clippy::cast_possible_truncation, reason = "a short length, or the length of a length")]
pub(super) fn push_header(offset: u8, len: usize, out: &mut Vec<u8>) {
    if len < 56 {
        out.push(offset + len as u8);
        return;
    }
    let bytes = len.to_be_bytes();
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    out.push(offset + 55 + (bytes.len() - zeros) as u8);
    out.extend_from_slice(&bytes[zeros..]);
}

const fn is_own_rlp(value: &[u8]) -> bool {
    matches!(value, [byte] if *byte < EMPTY)
}

fn string_len(value: &[u8]) -> usize {
    if is_own_rlp(value) {
        return 1;
    }
    let len_len = if value.len() < 56 { 0 } else { (usize::BITS - value.len().leading_zeros()).div_ceil(8) };
    1 + len_len as usize + value.len()
}
