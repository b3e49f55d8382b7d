//! Tries of which only some nodes are known, as an execution witness gives them.

use super::{
    Blinded, Entry, Key, Missing, NodeRef, Trie,
    decode::{ChildItem, Encoded},
    forest::commit_all,
    nibbles::{nibble, set_nibble},
    page::Change,
};
use alloy_primitives::B256;
use alloy_trie::EMPTY_ROOT_HASH;
use rayon::prelude::*;

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
        /// The root of a trie with these entries; zero if there is none.
        found: B256,
    },
}

/// Why nodes do not tell what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A node is missing.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// They are those of no trie.
    #[error(transparent)]
    Malformed(#[from] MalformedTrie),
}

impl<V: Send + Sync> Trie<Known<V>> {
    /// The part of the trie with a root that some changes have to do with, up to date and ready for them: as [`open_all`]
    /// of one trie.
    ///
    /// # Errors
    /// As [`open_all`].
    pub fn open_for<'a>(
        root: B256,
        changes: &[Change<Known<V>>],
        node: &(impl Fn(&B256) -> Option<&'a [u8]> + Sync),
        decode: &(impl Fn(&[u8]) -> Result<V, String> + Sync),
        encode: &(impl Fn(&V, &mut Vec<u8>) + Sync),
    ) -> Result<Self, Unreadable> {
        let mut tries = open_all(&[(root, changes)], node, decode, encode)?;
        Ok(tries.pop().expect("one was opened"))
    }
}

/// For some roots, the part of the trie with that root that some changes have to do with, up to date and ready for
/// [`commit_all`] of them. `node` finds a node by its hash, `decode` reads what a trie stores for an entry, `encode` appends it.
///
/// Only those nodes are looked at that the changes need: on the paths to their keys, and the last child of a branch that
/// loses all others. All else stays blinded. So the cost is bounded by the number of changes, whatever
/// the nodes say.
///
/// # Errors
/// The first node that is needed and missing, or [`MalformedTrie`]: a node whose hash is right can still be that of no
/// trie.
pub fn open_all<'a, V: Send + Sync>(
    tries: &[(B256, &[Change<Known<V>>])],
    node: &(impl Fn(&B256) -> Option<&'a [u8]> + Sync),
    decode: &(impl Fn(&[u8]) -> Result<V, String> + Sync),
    encode: &(impl Fn(&V, &mut Vec<u8>) + Sync),
) -> Result<Vec<Trie<Known<V>>>, Unreadable> {
    let open = |(root, changes): &(B256, &[Change<Known<V>>])| {
        let mut fates: Vec<Fate> = changes.iter().map(|(key, value)| (*key, value.is_some())).collect();
        fates.sort_unstable();
        let mut opening = Opening { node, decode, entries: Vec::new() };
        if *root != EMPTY_ROOT_HASH {
            opening.root(root, &fates)?;
        }
        Ok(Trie::from_entries(opening.entries))
    };
    let mut opened: Vec<Trie<Known<V>>> = tries.par_iter().map(open).collect::<Result<_, Unreadable>>()?;
    let found = commit_all(opened.iter_mut().map(|trie| (trie, Vec::new())).collect(), &encode_known(encode));
    let expected = tries.iter().map(|(root, _)| *root);
    match found {
        Ok(found) => match expected.zip(found).find(|(expected, found)| expected != found) {
            None => Ok(opened),
            Some((expected, found)) => Err(MalformedTrie::NotCanonical { expected, found }.into()),
        },
        // A blinded node in the wrong place is one that hangs higher than a trie would have it.
        Err(_) => {
            let expected = tries.first().map_or(B256::ZERO, |(root, _)| *root);
            Err(MalformedTrie::NotCanonical { expected, found: B256::ZERO }.into())
        }
    }
}

/// `encode` for entries that may be blinded, of which nothing is encoded.
pub fn encode_known<V>(
    encode: &(impl Fn(&V, &mut Vec<u8>) + Sync),
) -> impl Fn(&Known<V>, &mut Vec<u8>) + Sync {
    move |known, out| {
        if let Known::Value(value) = known {
            encode(value, out);
        }
    }
}

/// A key, and whether there is to be an entry under it.
type Fate = (Key, bool);

struct Opening<'b, V, N, D> {
    node: &'b N,
    decode: &'b D,
    entries: Vec<(Key, Known<V>)>,
}

/// A node that is about to be opened: where it hangs, and the node with a hash in which it is found.
#[derive(Clone, Copy)]
struct Place<'a> {
    item: ChildItem<'a>,
    /// The path, filled up with zeros.
    path: Key,
    path_len: usize,
    is_below_extension: bool,
    hash: B256,
}

impl<'a> Place<'a> {
    /// A child of this place's node, at a longer path.
    fn child(&self, item: ChildItem<'a>, path: Key, path_len: usize, is_below_extension: bool) -> Self {
        let hash = match item {
            ChildItem::Hash(hash) => B256::from(hash),
            ChildItem::Embedded(_) => self.hash,
        };
        Self { item, path, path_len, is_below_extension, hash }
    }

    fn malformed(&self, reason: impl Into<String>) -> Unreadable {
        MalformedTrie::Node { hash: self.hash, reason: reason.into() }.into()
    }
}

impl<'a, V, N, D> Opening<'_, V, N, D>
where
    N: Fn(&B256) -> Option<&'a [u8]>,
    D: Fn(&[u8]) -> Result<V, String>,
{
    fn root(&mut self, root: &B256, fates: &[Fate]) -> Result<(), Unreadable> {
        if fates.is_empty() {
            let blinded = Blinded { node: NodeRef::hash(&root.0), path_len: 0, is_branch: false };
            self.entries.push(([0; 32], Known::Blinded(blinded)));
            return Ok(());
        }
        let bytes = (self.node)(root).ok_or(Missing { key: [0; 32], path_len: 0, hash: *root })?;
        // It has no parent in which its hash could stand.
        let item = ChildItem::Embedded(bytes);
        let place = Place { item, path: [0; 32], path_len: 0, is_below_extension: false, hash: *root };
        self.open(place, bytes, fates).map(drop)
    }

    /// Leaves a node closed.
    #[expect(clippy::cast_possible_truncation, reason = "a path has 64 nibbles at most")]
    fn leave(&mut self, place: &Place<'a>) {
        let node = match place.item {
            ChildItem::Hash(hash) => NodeRef::hash(hash),
            ChildItem::Embedded(bytes) => NodeRef::embedded(bytes),
        };
        let path_len = place.path_len as u8;
        let blinded = Blinded { node, path_len, is_branch: place.is_below_extension };
        self.entries.push((place.path, Known::Blinded(blinded)));
    }

    /// Notes down what is at and below a node as far as keys lead there. Returns whether anything will be left of it. No
    /// deeper than a key is long: each step takes a nibble at least.
    #[expect(clippy::cast_possible_truncation, reason = "a path has 64 nibbles at most")]
    fn visit(&mut self, place: Place<'a>, fates: &[Fate]) -> Result<bool, Unreadable> {
        let bytes = match place.item {
            ChildItem::Embedded(bytes) => bytes,
            ChildItem::Hash(hash) => {
                let hash = B256::from(hash);
                let missing = Missing { key: place.path, path_len: place.path_len as u8, hash };
                (self.node)(&hash).ok_or(missing)?
            }
        };
        self.open(place, bytes, fates)
    }

    fn open(&mut self, place: Place<'a>, bytes: &'a [u8], fates: &[Fate]) -> Result<bool, Unreadable> {
        let len = place.path_len;
        match Encoded::read(bytes, len).map_err(|reason| place.malformed(reason))? {
            Encoded::Leaf { path, value } => {
                let mut key = place.path;
                (0..path.len()).for_each(|at| set_nibble(&mut key, len + at, path.nibble(at)));
                let value = (self.decode)(value).map_err(|reason| place.malformed(reason))?;
                self.entries.push((key, Known::Value(value)));
                let is_removed = fates.contains(&(key, false));
                Ok(!is_removed || any_set(fates))
            }
            Encoded::Extension { path, child } => {
                let mut below = place.path;
                (0..path.len()).for_each(|at| set_nibble(&mut below, len + at, path.nibble(at)));
                let child = place.child(child, below, len + path.len(), true);
                // Keys are in order, so those that share the path are neighbours.
                let from = fates.partition_point(|(key, _)| *key < below);
                let on_path = fates[from..].iter().take_while(|(key, _)| path.leads_to(key, len)).count();
                let on_path = &fates[from..from + on_path];
                let is_left = if on_path.is_empty() {
                    self.leave(&child);
                    true
                } else {
                    self.visit(child, on_path)?
                };
                Ok(is_left || any_set(fates))
            }
            Encoded::Branch(children) => self.open_branch(&place, &children, fates),
        }
    }

    fn open_branch(
        &mut self,
        place: &Place<'a>,
        children: &[Option<ChildItem<'a>>; 16],
        mut fates: &[Fate],
    ) -> Result<bool, Unreadable> {
        let len = place.path_len;
        let mut left = 0;
        let mut closed: Option<Place<'a>> = None;
        for (digit, child) in (0..).zip(children) {
            let (ours, others) = fates.split_at(fates.partition_point(|(key, _)| nibble(key, len) <= digit));
            fates = others;
            let Some(child) = child else {
                left += usize::from(any_set(ours));
                continue;
            };
            let mut path = place.path;
            set_nibble(&mut path, len, digit);
            let child = place.child(*child, path, len + 1, false);
            if !ours.is_empty() {
                left += usize::from(self.visit(child, ours)?);
                continue;
            }
            left += 1;
            if let Some(before) = closed.replace(child) {
                self.leave(&before);
            }
        }
        match closed {
            // The branch will go, and what is left of it take up its path: for that it must be known.
            Some(last) if left == 1 => self.visit(last, &[]).map(drop)?,
            Some(last) => self.leave(&last),
            None => {}
        }
        Ok(left > 0)
    }
}

fn any_set(fates: &[Fate]) -> bool {
    fates.iter().any(|(_, is_set)| *is_set)
}
