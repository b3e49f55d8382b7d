//! A trie of any size: pages of entries, and the few nodes above them.

use super::{
    Blinded, Entry, Key, Missing, NodeRef, forest,
    nibbles::{order, prefix, shared},
    page::{Change, Page},
};
use alloy_primitives::B256;

/// Entries of a page, on average, from which on a trie is cut finer. A page of 244 entries is 25 kB of accounts.
const PAGE_LEN_MAX: usize = 1024;

/// Nibbles by which a trie is cut at most: 65,536 pages.
const CUT_MAX: u32 = 4;

/// The topmost node of a page. What is below is known: there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joint(Blinded);

impl Entry for Joint {
    fn node(&self) -> Option<&Blinded> {
        Some(&self.0)
    }
}

/// A Merkle Patricia trie of entries `V` under hashed keys.
///
/// An entry is whatever its owner can turn into the bytes that the trie stores; the trie asks for them when it hashes.
#[derive(Clone, Debug)]
pub struct Trie<V> {
    /// Entries by the first `cut` nibbles of their keys.
    pages: Vec<Page<V>>,
    cut: u32,
    /// The topmost nodes of all pages that have any, as entries. Unused where there is one page.
    top: Page<Joint>,
    len: usize,
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { pages: vec![Page::default()], cut: 0, top: Page::default(), len: 0 }
    }
}

impl<V: Entry> Trie<V> {
    /// A trie of entries with different keys, in any order. Nothing is hashed yet.
    pub fn from_entries(mut entries: Vec<(Key, V)>) -> Self {
        use rayon::prelude::*;
        entries.par_sort_unstable_by(|(a, _), (b, _)| order(a, b));
        let mut trie = Self::default();
        trie.set_entries(entries);
        trie
    }

    /// Number of entries, blinded nodes included.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All entries in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &V)> {
        self.pages.iter().flat_map(Page::iter)
    }

    /// The entry under a key.
    ///
    /// # Errors
    /// [`Missing`] if it would be below a blinded node.
    pub fn get(&self, key: &Key) -> Result<Option<&V>, Missing> {
        self.pages[self.home(key)].get(key)
    }

    /// Sets (`Some`) or removes (`None`) entries, whose keys are all different, and returns the root afterwards.
    /// `encode` appends the bytes that the trie stores for an entry.
    ///
    /// # Errors
    /// [`Missing`] if a change needs to look into a blinded node. The trie is then good for nothing but
    /// to be dropped.
    pub fn commit(
        &mut self,
        changes: Vec<(Key, Option<V>)>,
        encode: &(impl Fn(&V, &mut Vec<u8>) + Sync),
    ) -> Result<B256, Missing> {
        let roots = forest::commit(vec![(self, changes)], encode)?;
        Ok(roots[0])
    }

    /// The root as of the last commit.
    pub fn root(&self) -> B256 {
        if self.cut > 0 && self.top.len() > 1 {
            return self.top.top().root();
        }
        self.pages.iter().find(|page| !page.is_empty()).map_or(NodeRef::NONE, Page::top).root()
    }

    /// `entries` are in the order of their keys.
    fn set_entries(&mut self, entries: Vec<(Key, V)>) {
        self.len = entries.len();
        self.cut = cut_for(entries.len(), self.cut);
        self.top = Page::default();
        self.pages = Vec::with_capacity(1 << (4 * self.cut));
        let mut rest = entries.into_iter().peekable();
        for index in 0..1 << (4 * self.cut) {
            let (mut keys, mut values) = (Vec::new(), Vec::new());
            while let Some((key, value)) = rest.next_if(|(key, _)| prefix(key, self.cut) == index) {
                keys.push(key);
                values.push(value);
            }
            keys.shrink_to_fit();
            values.shrink_to_fit();
            self.pages.push(Page::new(keys, values, self.cut as u8));
        }
    }

    pub(super) fn pages(&self) -> &[Page<V>] {
        &self.pages
    }

    pub(super) const fn top(&self) -> &Page<Joint> {
        &self.top
    }

    /// Index of the page of a key.
    pub(super) fn home(&self, key: &Key) -> usize {
        prefix(key, self.cut)
    }

    /// Each page that has a share in the changes (which are in the order of their keys) or is out of date, with its index
    /// and that share.
    pub(super) fn shares<'a>(
        &'a mut self,
        changes: &'a mut [Change<V>],
    ) -> impl Iterator<Item = (usize, &'a mut Page<V>, &'a mut [Change<V>])> {
        let cut = self.cut;
        let mut rest = changes;
        self.pages.iter_mut().enumerate().filter_map(move |(index, page)| {
            let len = rest.iter().take_while(|(key, _)| prefix(key, cut) == index).count();
            let (share, after) = std::mem::take(&mut rest).split_at_mut(len);
            rest = after;
            (len > 0 || !page.is_clean()).then_some((index, page, share))
        })
    }

    /// After some pages were changed and hashed: puts their topmost nodes under the nodes above them, and cuts the trie
    /// as its size asks for. Pages can come to hang elsewhere by that, if one came or went, which is rare. It
    /// says whether all pages still are up to date; else they must be hashed and joined again.
    pub(super) fn join(&mut self, touched: impl Iterator<Item = usize>) -> Result<bool, Missing> {
        self.len = self.pages.iter().map(Page::len).sum();
        if cut_for(self.len, self.cut) != self.cut {
            let pages = std::mem::take(&mut self.pages);
            self.set_entries(pages.into_iter().flat_map(Page::into_entries).collect());
            return Ok(self.len == 0);
        }
        if self.cut == 0 {
            return Ok(true);
        }
        let mut is_reshaped = false;
        let mut changes = Vec::new();
        for index in touched {
            let (key, page) = (path(index, self.cut), &self.pages[index]);
            let blinded = Blinded { node: page.top(), path_len: page.hang(), is_branch: false };
            is_reshaped |= self.top.contains(&key) == page.is_empty();
            changes.push((key, (!page.is_empty()).then_some(Joint(blinded))));
        }
        self.top.apply(&mut changes)?;
        let mut is_settled = true;
        if is_reshaped {
            let filled: Vec<usize> =
                (0..self.pages.len()).filter(|&index| !self.pages[index].is_empty()).collect();
            for (&index, hang) in filled.iter().zip(hangs(&filled, self.cut)) {
                let page = &mut self.pages[index];
                page.set_hang(hang);
                is_settled &= page.is_clean();
            }
        }
        Ok(is_settled)
    }

    /// The nodes above the pages, if there are any and they are out of date.
    pub(super) fn dirty_top(&mut self) -> Option<&mut Page<Joint>> {
        (self.top.len() > 1 && !self.top.is_clean()).then_some(&mut self.top)
    }
}

/// Nibbles by which a trie of so many entries is cut, if it is cut by `now` of them. It is not cut anew at each entry
/// that comes or goes.
const fn cut_for(len: usize, now: u32) -> u32 {
    let mut cut = now;
    while cut < CUT_MAX && len > PAGE_LEN_MAX << (4 * cut) {
        cut += 1;
    }
    // By half the size at which it was cut finer, at the next coarser cut.
    while cut > 0 && len < PAGE_LEN_MAX << (4 * (cut - 1)) >> 1 {
        cut -= 1;
    }
    cut
}

/// The path of a page, filled up with zeros.
fn path(index: usize, cut: u32) -> Key {
    let mut key = [0; 32];
    let first = (index as u64) << (32 - 4 * cut);
    key[..4].copy_from_slice(&(first as u32).to_be_bytes());
    key
}

/// Where pages hang of which these, in order, have entries.
fn hangs(filled: &[usize], cut: u32) -> Vec<u8> {
    let gaps: Vec<u8> =
        filled.windows(2).map(|pair| shared(&path(pair[0], cut), &path(pair[1], cut)) + 1).collect();
    let gap = |at: Option<usize>| at.and_then(|at| gaps.get(at)).copied().unwrap_or(0);
    (0..filled.len()).map(|at| gap(at.checked_sub(1)).max(gap(Some(at)))).collect()
}
