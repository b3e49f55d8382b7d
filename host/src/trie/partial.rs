//! Tries of which only some nodes are known, as an execution witness gives them.

use super::{
    Blinded, Entry, Key, NodeRef, Trie,
    nibbles::{KEY_NIBBLES, set_nibble},
};
use alloy_primitives::B256;
use alloy_rlp::Decodable;
use alloy_trie::{EMPTY_ROOT_HASH, nodes::TrieNode};

/// An entry of a trie that is known in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known<V> {
    /// A value under its key.
    Value(V),
    /// All that is below a path.
    Blinded(Blinded),
}

impl<V: Send + Sync> Entry for Known<V> {
    fn blinded(&self) -> Option<&Blinded> {
        match self {
            Self::Value(_) => None,
            Self::Blinded(blinded) => Some(blinded),
        }
    }
}

impl<V> Known<V> {
    /// The value, if it is one.
    pub const fn value(&self) -> Option<&V> {
        match self {
            Self::Value(value) => Some(value),
            Self::Blinded(_) => None,
        }
    }
}

/// Nodes that are those of no trie under hashed keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedTrie {
    /// A node that is none.
    #[error("trie node {hash}: {reason}")]
    Node {
        /// Hash of the node, or of the one in which it is embedded.
        hash: B256,
        /// What is wrong with it.
        reason: String,
    },
    /// Nodes that are well formed each, but say what is there in another way than tries do.
    #[error(
        "the nodes below {expected} are not those of a trie: with the same entries it has the root {found}"
    )]
    NotCanonical {
        /// The root that was asked for.
        expected: B256,
        /// The root of a trie with these entries.
        found: B256,
    },
}

impl<V: Send + Sync> Trie<Known<V>> {
    /// The trie with a root, as far as its nodes are known. `node` finds a node by its hash; what it does not find stays
    /// blinded. `decode` reads what the trie stores for an entry, `encode` appends it.
    ///
    /// # Errors
    /// [`MalformedTrie`]. A node whose hash is right can still be that of no trie.
    pub fn open<'a>(
        root: B256,
        node: &impl Fn(&B256) -> Option<&'a [u8]>,
        decode: &impl Fn(&[u8]) -> Result<V, String>,
        encode: &(impl Fn(&V, &mut Vec<u8>) + Sync),
    ) -> Result<Self, MalformedTrie> {
        let mut entries = Vec::new();
        if root != EMPTY_ROOT_HASH {
            let mut opening = Opening { node, decode, entries: &mut entries };
            opening.visit(&mut [0; 32], 0, NodeRef::hash(&root.0), false, root)?;
        }
        let mut trie = Self::from_entries(entries);
        let encode_known = |known: &Known<V>, out: &mut Vec<u8>| {
            if let Known::Value(value) = known {
                encode(value, out);
            }
        };
        match trie.commit(Vec::new(), &encode_known) {
            Ok(found) if found == root => Ok(trie),
            // A blinded node in the wrong place is one that hangs higher than a trie would have it.
            Ok(found) => Err(MalformedTrie::NotCanonical { expected: root, found }),
            Err(_) => Err(MalformedTrie::NotCanonical { expected: root, found: B256::ZERO }),
        }
    }
}

struct Opening<'b, V, N, D> {
    node: &'b N,
    decode: &'b D,
    entries: &'b mut Vec<(Key, Known<V>)>,
}

impl<'a, V, N, D> Opening<'_, V, N, D>
where
    N: Fn(&B256) -> Option<&'a [u8]>,
    D: Fn(&[u8]) -> Result<V, String>,
{
    /// Notes down what is at and below a node at a path, which is filled up with zeros. No deeper than a key is long: each
    /// step takes a nibble at least.
    #[expect(clippy::cast_possible_truncation, reason = "a path has 64 nibbles at most")]
    fn visit(
        &mut self,
        path: &mut Key,
        len: usize,
        reference: NodeRef,
        is_below_extension: bool,
        above: B256,
    ) -> Result<(), MalformedTrie> {
        let hash = reference.as_hash();
        let above = hash.unwrap_or(above);
        let malformed = |reason: &str| MalformedTrie::Node { hash: above, reason: reason.to_owned() };
        let mut bytes = match &hash {
            None => reference.as_rlp(),
            Some(hash) => match (self.node)(hash) {
                Some(bytes) => bytes,
                None => {
                    let path_len = len as u8;
                    let blinded = Blinded { node: reference, path_len, is_branch: is_below_extension };
                    self.entries.push((*path, Known::Blinded(blinded)));
                    return Ok(());
                }
            },
        };
        let node = TrieNode::decode(&mut bytes).map_err(|error| malformed(&error.to_string()))?;
        if !bytes.is_empty() {
            return Err(malformed("bytes after its end"));
        }
        match node {
            TrieNode::EmptyRoot => Err(malformed("empty, within a trie")),
            TrieNode::Leaf(leaf) => {
                if len + leaf.key.len() != KEY_NIBBLES {
                    return Err(malformed("a leaf with a key of other than 64 nibbles"));
                }
                let mut key = *path;
                (len..).zip(leaf.key.iter()).for_each(|(at, nibble)| set_nibble(&mut key, at, nibble));
                let value = (self.decode)(&leaf.value).map_err(|reason| malformed(&reason))?;
                self.entries.push((key, Known::Value(value)));
                Ok(())
            }
            TrieNode::Extension(extension) => {
                let end = len + extension.key.len();
                if extension.key.is_empty() || end >= KEY_NIBBLES {
                    return Err(malformed("an extension by no nibble, or beyond a key's length"));
                }
                (len..).zip(extension.key.iter()).for_each(|(at, nibble)| set_nibble(path, at, nibble));
                let child = child(&extension.child).ok_or_else(|| malformed("a child that is no node"))?;
                let visited = self.visit(path, end, child, true, above);
                (len..end).for_each(|at| set_nibble(path, at, 0));
                visited
            }
            TrieNode::Branch(branch) => {
                if len == KEY_NIBBLES {
                    return Err(malformed("a branch at a key's end"));
                }
                let nibbles = (0..16).filter(|nibble| branch.state_mask.is_bit_set(*nibble));
                for (nibble, rlp) in nibbles.zip(&branch.stack) {
                    set_nibble(path, len, nibble);
                    let child = child(rlp).ok_or_else(|| malformed("a child that is no node"))?;
                    self.visit(path, len + 1, child, false, above)?;
                }
                set_nibble(path, len, 0);
                Ok(())
            }
        }
    }
}

/// The reference to a child: a hash, or a list of less than 32 bytes.
fn child(rlp: &[u8]) -> Option<NodeRef> {
    match rlp {
        [0xa0, hash @ ..] => hash.try_into().ok().map(NodeRef::hash),
        [0xc0..=0xde, ..] if rlp.len() < 32 => Some(NodeRef::embedded(rlp)),
        _ => None,
    }
}
