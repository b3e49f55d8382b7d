//! Nodes from their bytes, in the one encoding that they have, without copying.

use super::{
    Key,
    nibbles::{KEY_NIBBLES, nibble},
};
use alloy_rlp::{EMPTY_STRING_CODE, Header};

/// A node as it is encoded.
#[expect(clippy::large_enum_variant, reason = "most nodes are branches, and none is kept")]
#[derive(Clone, Copy, Debug)]
pub(super) enum Encoded<'a> {
    Leaf { path: CompactPath<'a>, value: &'a [u8] },
    Extension { path: CompactPath<'a>, child: ChildItem<'a> },
    Branch([Option<ChildItem<'a>>; 16]),
}

/// A child as it stands in its parent: its hash, or the whole child if that is shorter than 32 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum ChildItem<'a> {
    Hash(&'a [u8; 32]),
    Embedded(&'a [u8]),
}

/// Some nibbles in the compact encoding (Yellow Paper, appendix C).
#[derive(Clone, Copy, Debug)]
pub(super) struct CompactPath<'a>(&'a [u8]);

impl<'a> Encoded<'a> {
    /// Reads a node, whose path from the root has `above` nibbles.
    ///
    /// # Errors
    /// Why these bytes are no node of a trie with keys of 64 nibbles, in words.
    pub(super) fn read(bytes: &'a [u8], above: usize) -> Result<Self, &'static str> {
        let mut rest = bytes;
        let list = Header::decode(&mut rest).map_err(|_| "not RLP")?;
        if !list.list || rest.len() < list.payload_length {
            return Err("not a list");
        }
        if rest.len() > list.payload_length {
            return Err("bytes after its end");
        }
        let mut items = [Item::EMPTY; 17];
        let mut len = 0;
        while !rest.is_empty() {
            *items.get_mut(len).ok_or("more than 17 items")? = Item::take(&mut rest)?;
            len += 1;
        }
        match len {
            2 => Self::short(items[0], items[1], above),
            17 if above >= KEY_NIBBLES => Err("a branch at a key's end"),
            17 if items[16].encoded != [EMPTY_STRING_CODE] => Err("a branch with a value"),
            17 => {
                let mut children = [None; 16];
                for (child, item) in children.iter_mut().zip(&items) {
                    *child = item.child()?;
                }
                Ok(Self::Branch(children))
            }
            _ => Err("neither 2 nor 17 items"),
        }
    }

    /// A leaf or an extension.
    fn short(path: Item<'a>, item: Item<'a>, above: usize) -> Result<Self, &'static str> {
        let flags = *path.payload.first().ok_or("a path without flags")?;
        let is_odd = flags & 0x10 != 0;
        if path.is_list || flags >= 0x40 || !is_odd && flags & 0x0f != 0 {
            return Err("a path that is not in the compact encoding");
        }
        let path = CompactPath(path.payload);
        if flags & 0x20 != 0 {
            if above + path.len() != KEY_NIBBLES {
                return Err("a leaf with a key of other than 64 nibbles");
            }
            if item.is_list {
                return Err("a leaf whose value is a list");
            }
            return Ok(Self::Leaf { path, value: item.payload });
        }
        if path.len() == 0 || above + path.len() >= KEY_NIBBLES {
            return Err("an extension by no nibble, or beyond a key's length");
        }
        let child = item.child()?.ok_or("an extension to nothing")?;
        Ok(Self::Extension { path, child })
    }
}

impl CompactPath<'_> {
    const fn is_odd(&self) -> bool {
        self.0[0] & 0x10 != 0
    }

    /// Number of nibbles.
    pub(super) const fn len(&self) -> usize {
        2 * (self.0.len() - 1) + self.is_odd() as usize
    }

    /// The nibble at an index below [`Self::len`].
    pub(super) const fn nibble(&self, index: usize) -> u8 {
        let at = index + 2 - self.is_odd() as usize;
        let byte = self.0[at / 2];
        if at.is_multiple_of(2) { byte >> 4 } else { byte & 15 }
    }

    /// Whether a key goes on with these nibbles after its first `above`.
    pub(super) fn leads_to(&self, key: &Key, above: usize) -> bool {
        (0..self.len()).all(|index| self.nibble(index) == nibble(key, above + index))
    }
}

/// An item of a node's list.
#[derive(Clone, Copy)]
struct Item<'a> {
    encoded: &'a [u8],
    payload: &'a [u8],
    is_list: bool,
}

impl<'a> Item<'a> {
    const EMPTY: Self = Self { encoded: &[EMPTY_STRING_CODE], payload: &[], is_list: false };

    fn take(rest: &mut &'a [u8]) -> Result<Self, &'static str> {
        let start = *rest;
        let header = Header::decode(rest).map_err(|_| "not RLP")?;
        let payload = rest.get(..header.payload_length).ok_or("an item that is cut off")?;
        *rest = &rest[header.payload_length..];
        Ok(Self { encoded: &start[..start.len() - rest.len()], payload, is_list: header.list })
    }

    /// The child that the item refers to; `None` if it is the empty string.
    fn child(&self) -> Result<Option<ChildItem<'a>>, &'static str> {
        match (self.is_list, self.payload) {
            (false, []) => Ok(None),
            (false, hash) => {
                hash.try_into().map(|hash| Some(ChildItem::Hash(hash))).map_err(|_| "a child that is no node")
            }
            (true, _) if self.encoded.len() < 32 => Ok(Some(ChildItem::Embedded(self.encoded))),
            (true, _) => Err("a child that should be referred to by its hash"),
        }
    }
}
