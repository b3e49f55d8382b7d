//! Merkle Patricia tries (Yellow Paper, appendix D) that stay in memory and re-hash only what changed.
//!
//! A trie is kept as what it says: its entries in the order of their keys. The nodes follow from how many nibbles
//! neighbours share: a branch stands wherever the number is lowest within a range, an extension wherever a
//! branch hangs higher than it stands. They are worked out so for a whole page whenever one of its entries comes or
//! goes, so insertion, deletion and collapse are insertion and deletion in a sorted list, and no history can
//! lead to a wrong shape. What is remembered of each node is how its parent refers to it ([`NodeRef`]); that is
//! worked out anew where an entry below changed. The references to a branch's children lie in a row, as they are
//! encoded, and each branch knows the one above it, so that a change looks at what is above it and at nothing else.
//!
//! Keys are hashes, so a large trie is cut evenly by their first nibbles into pages of some hundred
//! entries. A page and what it remembers fit the fastest caches, and pages are changed and hashed side by
//! side on all cores. All hashing goes through the batch Keccak of `outrider-kernels`: of all pages that a
//! task has in hand, and of all the tries among them, the nodes of one depth are hashed at once.
//!
//! What it promises:
//!
//! - **The root is the one that the Yellow Paper defines**, whatever led to the entries.
//! - **What is not known is never taken for absent.** A trie may hold blinded nodes, of which only the
//!   hash is known; whatever would need to look into one is answered with [`Missing`], which names it.

mod decode;
mod forest;
mod hashing;
mod lookup;
mod nibbles;
mod node;
mod ordered;
mod page;
mod partial;
mod proof;
mod spine;
#[cfg(test)]
mod tests;
mod tree;

pub use forest::commit_all;
pub use lookup::lookup;
pub use node::NodeRef;
pub use ordered::ordered_root;
pub use page::{Blinded, Change, Entry};
pub use partial::{Known, MalformedTrie, Unreadable, encode_known, open_all};
pub use tree::Trie;

use alloy_primitives::B256;

/// A key: the hash of an address or of a slot.
pub type Key = [u8; 32];

/// A node that would have to be looked into, and of which only the hash is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("trie node {hash} at path {} is not known", nibbles::Hex(.key, *.path_len))]
pub struct Missing {
    /// A key that begins with the path of the node; what follows is zero.
    pub key: Key,
    /// Length of the path, in nibbles.
    pub path_len: u8,
    /// Its hash; zero where the node is so short that it would stand in its parent.
    pub hash: B256,
}
