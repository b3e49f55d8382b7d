//! Looking an entry up in the nodes of a trie, from its root on.

use super::{
    Key, MalformedTrie, Missing, Unreadable,
    decode::{ChildItem, Encoded},
    nibbles::{nibble, set_nibble},
};
use alloy_primitives::B256;
use alloy_trie::EMPTY_ROOT_HASH;

/// What the trie with a root stores under a key; `None` if there is nothing. `node` finds a node by its hash.
///
/// Only the nodes on the path to the key are looked at, so that the cost is bounded by the length of a key,
/// whatever the nodes say.
///
/// # Errors
/// A node on the path is missing, or is none.
pub fn lookup<'a>(
    root: B256,
    key: &Key,
    node: &impl Fn(&B256) -> Option<&'a [u8]>,
) -> Result<Option<&'a [u8]>, Unreadable> {
    if root == EMPTY_ROOT_HASH {
        return Ok(None);
    }
    let (mut hash, mut above) = (root, 0);
    let find = |hash: &B256, above| node(hash).ok_or_else(|| missing(key, above, *hash));
    let mut bytes = find(&hash, above)?;
    loop {
        let node = Encoded::read(bytes, above)
            .map_err(|reason| MalformedTrie::Node { hash, reason: reason.to_owned() })?;
        let child = match node {
            Encoded::Leaf { path, value } => return Ok(path.leads_to(key, above).then_some(value)),
            Encoded::Extension { path, child } => {
                if !path.leads_to(key, above) {
                    return Ok(None);
                }
                above += path.len();
                child
            }
            Encoded::Branch(children) => {
                let Some(child) = children[usize::from(nibble(key, above))] else { return Ok(None) };
                above += 1;
                child
            }
        };
        bytes = match child {
            ChildItem::Embedded(bytes) => bytes,
            ChildItem::Hash(of_child) => {
                hash = B256::from(of_child);
                find(&hash, above)?
            }
        };
    }
}

/// That the node at the first nibbles of a key is missing.
#[expect(clippy::cast_possible_truncation, reason = "a path has 64 nibbles at most")]
fn missing(key: &Key, path_len: usize, hash: B256) -> Missing {
    let mut path = [0; 32];
    (0..path_len).for_each(|at| set_nibble(&mut path, at, nibble(key, at)));
    Missing { key: path, path_len: path_len as u8, hash }
}
