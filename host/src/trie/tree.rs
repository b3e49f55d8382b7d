//! A trie of any size: pages of entries, and the few nodes above them.

use super::{
    Blinded, Entry, Key, Missing, NodeRef, forest,
    nibbles::{order, prefix, shared},
    page::{Change, Page},
};
use alloy_primitives::B256;
use rayon::prelude::*;

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
    /// Whether no page is out of date, so that none needs to be looked at for that.
    is_clean: bool,
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { pages: vec![Page::default()], cut: 0, top: Page::default(), len: 0, is_clean: true }
    }
}

impl<V: Entry> Trie<V> {
    /// A trie of entries with different keys, in any order. Nothing is hashed yet.
    pub fn from_entries(entries: Vec<(Key, V)>) -> Self {
        let mut trie = Self::default();
        trie.set_entries(entries.len(), entries.into_iter());
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
        changes: Vec<Change<V>>,
        encode: &(impl Fn(&V, &mut Vec<u8>) + Sync),
    ) -> Result<B256, Missing> {
        let roots = forest::commit_all(vec![(self, changes)], encode)?;
        Ok(roots[0])
    }

    /// The root as of the last commit.
    pub fn root(&self) -> B256 {
        if self.cut > 0 && self.top.len() > 1 {
            return self.top.top().root();
        }
        self.pages.iter().find(|page| !page.is_empty()).map_or(NodeRef::NONE, Page::top).root()
    }

    /// Deals entries out to pages, where they are sorted: no list of all of them ever is.
    fn set_entries(&mut self, len: usize, entries: impl Iterator<Item = (Key, V)>) {
        let cut = cut_for(len, self.cut);
        let pages = 1 << (4 * cut);
        // Keys are hashes, so shares are about alike.
        let room = len / pages + len / pages / 8;
        let mut shares: Vec<Vec<(Key, V)>> = (0..pages).map(|_| Vec::with_capacity(room)).collect();
        entries.for_each(|(key, value)| shares[prefix(&key, cut)].push((key, value)));
        let pages = shares.into_par_iter().map(|mut share| {
            share.sort_unstable_by(|(a, _), (b, _)| order(a, b));
            // With no room to spare, for there may be very many tries.
            let (mut keys, mut values) = (Vec::with_capacity(share.len()), Vec::with_capacity(share.len()));
            share.into_iter().for_each(|(key, value)| {
                keys.push(key);
                values.push(value);
            });
            Page::new(keys, values, page_hang(cut))
        });
        let mut pages: Vec<_> = pages.collect();
        pages.shrink_to_fit();
        // Before anything is hashed: of a blinded node it must be right where it hangs.
        let filled: Vec<usize> = (0..pages.len()).filter(|&index| !pages[index].is_empty()).collect();
        for (&index, hang) in filled.iter().zip(hangs(&filled, cut)) {
            pages[index].set_hang(hang);
        }
        *self = Self { pages, cut, top: Page::default(), len, is_clean: len == 0 };
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
        let (cut, is_clean) = (self.cut, self.is_clean);
        let mut rest = changes;
        self.pages.iter_mut().enumerate().filter_map(move |(index, page)| {
            let len = rest.iter().take_while(|(key, _)| prefix(key, cut) == index).count();
            let (share, after) = std::mem::take(&mut rest).split_at_mut(len);
            rest = after;
            (len > 0 || !is_clean && !page.is_clean()).then_some((index, page, share))
        })
    }

    /// After some pages were changed and hashed (indices, and how many entries there were before): puts their topmost
    /// nodes under the nodes above them, and cuts the trie as its size asks for. Pages can come to hang elsewhere
    /// by that, if one came or went, which is rare. It says whether all pages still are up to date; else they
    /// must be hashed and joined again.
    pub(super) fn join(&mut self, touched: impl Iterator<Item = (usize, usize)>) -> Result<bool, Missing> {
        // Whatever was out of date was touched.
        self.is_clean = true;
        let mut is_reshaped = self.top.is_empty();
        let mut changes = Vec::new();
        for (index, len_before) in touched {
            let page = &self.pages[index];
            self.len = self.len + page.len() - len_before;
            if self.cut > 0 {
                let blinded = Blinded { node: page.top(), path_len: page.hang(), is_branch: false };
                is_reshaped |= (len_before == 0) != page.is_empty();
                changes.push((path(index, self.cut), (!page.is_empty()).then_some(Joint(blinded))));
            }
        }
        if cut_for(self.len, self.cut) != self.cut {
            let pages = std::mem::take(&mut self.pages);
            self.set_entries(self.len, pages.into_iter().flat_map(Page::into_entries));
            return Ok(self.is_clean);
        }
        if self.cut == 0 {
            return Ok(true);
        }
        self.top.apply(&mut changes)?;
        if is_reshaped {
            let filled: Vec<usize> =
                (0..self.pages.len()).filter(|&index| !self.pages[index].is_empty()).collect();
            for (&index, hang) in filled.iter().zip(hangs(&filled, self.cut)) {
                let page = &mut self.pages[index];
                page.set_hang(hang);
                self.is_clean &= page.is_clean();
            }
        }
        Ok(self.is_clean)
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
    let first = u16::try_from(index << (16 - 4 * cut)).expect("there are 2^(4 cut) pages");
    key[..2].copy_from_slice(&first.to_be_bytes());
    key
}

/// Where a page hangs that has entries on both sides which differ in the last nibble of the cut, as nearly all have.
#[expect(clippy::cast_possible_truncation, reason = "a cut is at most CUT_MAX")]
const fn page_hang(cut: u32) -> u8 {
    cut as u8
}

/// Where pages hang of which these, in order, have entries.
fn hangs(filled: &[usize], cut: u32) -> Vec<u8> {
    let gaps: Vec<u8> =
        filled.windows(2).map(|pair| shared(&path(pair[0], cut), &path(pair[1], cut)) + 1).collect();
    let gap = |at: Option<usize>| at.and_then(|at| gaps.get(at)).copied().unwrap_or(0);
    (0..filled.len()).map(|at| gap(at.checked_sub(1)).max(gap(Some(at)))).collect()
}
