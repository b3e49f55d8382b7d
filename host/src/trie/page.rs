//! Neighbouring entries of a trie, with what is remembered of the nodes above them.

use super::{
    Key, Missing, NodeRef,
    nibbles::{KEY_NIBBLES, order, shared},
    spine::{Jobs, Source},
};

/// What a trie holds under a key.
pub trait Entry: Send + Sync {
    /// The node, if it is one of which only the reference is known; its key is then the path, filled up with
    /// zeros.
    fn blinded(&self) -> Option<&Blinded> {
        None
    }

    /// The node, if the entry is one that needs no encoding.
    fn node(&self) -> Option<&Blinded> {
        self.blinded()
    }

    /// Length of the key in nibbles.
    fn key_len(&self) -> usize {
        KEY_NIBBLES
    }
}

/// A node of which only the reference is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blinded {
    /// How its parent refers to it.
    pub node: NodeRef,
    /// Length of the path to it, in nibbles.
    pub path_len: u8,
    /// Whether it is known to be a branch: then it may come to hang below an extension. Of any other node
    /// the path would become part of its own, which is not known.
    pub is_branch: bool,
}

impl Blinded {
    /// That this node, under a key that begins with its path, must be looked into.
    pub(super) fn missing(&self, key: &Key) -> Missing {
        Missing { key: *key, path_len: self.path_len, hash: self.node.as_hash().unwrap_or_default() }
    }

    fn covers(&self, path: &Key, key: &Key) -> bool {
        shared(path, key) >= self.path_len
    }
}

/// Entries in the order of their keys.
///
/// Index i of `gaps` and `branches` is the gap between entries i and i + 1.
#[derive(Clone, Debug)]
pub(super) struct Page<V> {
    keys: Vec<Key>,
    values: Vec<V>,
    /// How many nibbles the keys beside a gap share.
    gaps: Vec<u8>,
    /// How the entries are referred to.
    entries: Vec<NodeRef>,
    /// How the branches are referred to, each at the first of the gaps at which it stands.
    branches: Vec<NodeRef>,
    /// Entries whose reference is out of date; of no length if none is.
    is_dirty: Vec<bool>,
    /// Nibbles of the path above all of this.
    hang: u8,
    top: Source,
}

/// Entries to each change up to which they are looked through in order: so many keys are 2 KiB, which memory gives in a row.
const SCAN_LEN: usize = 64;

/// What is to become of an entry: `None` removes it. The keys of a list of changes are all different.
pub type Change<V> = (Key, Option<V>);

impl<V> Default for Page<V> {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            values: Vec::new(),
            gaps: Vec::new(),
            entries: Vec::new(),
            branches: Vec::new(),
            is_dirty: Vec::new(),
            hang: 0,
            top: Source::Entry(0),
        }
    }
}

impl<V: Entry> Page<V> {
    /// A page of entries in the order of their keys, below a path of `hang` nibbles.
    pub(super) fn new(keys: Vec<Key>, values: Vec<V>, hang: u8) -> Self {
        debug_assert!(keys.len() == values.len() && keys.is_sorted_by(|a, b| a < b));
        let gaps: Vec<u8> = keys.windows(2).map(|pair| shared(&pair[0], &pair[1])).collect();
        Self {
            entries: vec![NodeRef::NONE; keys.len()],
            branches: vec![NodeRef::NONE; gaps.len()],
            is_dirty: vec![true; keys.len()],
            keys,
            values,
            gaps,
            hang,
            top: Source::Entry(0),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) const fn is_clean(&self) -> bool {
        self.is_dirty.is_empty()
    }

    pub(super) const fn hang(&self) -> u8 {
        self.hang
    }

    /// Says how long the path above is: where that changes, so does the topmost node.
    pub(super) fn set_hang(&mut self, hang: u8) {
        if self.hang != hang {
            self.hang = hang;
            self.mark(0);
        }
    }

    pub(super) fn key(&self, entry: u32) -> &Key {
        &self.keys[entry as usize]
    }

    pub(super) fn value(&self, entry: u32) -> &V {
        &self.values[entry as usize]
    }

    /// All entries in the order of their keys.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&Key, &V)> {
        self.keys.iter().zip(&self.values)
    }

    pub(super) fn into_entries(self) -> impl ExactSizeIterator<Item = (Key, V)> {
        self.keys.into_iter().zip(self.values)
    }

    /// The entry under a key.
    ///
    /// # Errors
    /// [`Missing`] if it would be below a blinded node.
    pub(super) fn get(&self, key: &Key) -> Result<Option<&V>, Missing> {
        let found = self.keys.binary_search_by(|other| order(other, key));
        self.check_seen(key, found)?;
        Ok(found.ok().map(|at| &self.values[at]))
    }

    /// How the topmost node is referred to; [`NodeRef::NONE`] for an empty page. Out of date unless clean.
    pub(super) fn top(&self) -> NodeRef {
        if self.is_empty() { NodeRef::NONE } else { *self.reference(self.top) }
    }

    pub(super) fn reference(&self, source: Source) -> &NodeRef {
        match source {
            Source::Entry(entry) => &self.entries[entry as usize],
            Source::Branch(gap) => &self.branches[gap as usize],
        }
    }

    pub(super) fn set_reference(&mut self, source: Source, reference: NodeRef) {
        match source {
            Source::Entry(entry) => self.entries[entry as usize] = reference,
            Source::Branch(gap) => self.branches[gap as usize] = reference,
        }
    }

    /// Notes down all that must be encoded anew. The page counts as clean from then on.
    pub(super) fn walk(&mut self, page: u32, jobs: &mut Jobs) {
        let is_dirty = std::mem::take(&mut self.is_dirty);
        if !is_dirty.is_empty() {
            self.top = self.walk_over(page, &is_dirty, jobs);
        }
    }

    /// Notes down the nodes above some entries.
    ///
    /// # Panics
    /// If there are no entries, or not as many marks.
    pub(super) fn walk_over(&self, page: u32, is_marked: &[bool], jobs: &mut Jobs) -> Source {
        jobs.walk(page, (&self.keys, &self.gaps), is_marked, self.hang)
    }

    /// The entries before, at and after a key.
    pub(super) fn around(&self, key: &Key) -> [Option<usize>; 3] {
        let found = self.keys.binary_search_by(|other| order(other, key));
        let (before, at, after) = match found {
            Ok(at) => (at.checked_sub(1), Some(at), at + 1),
            Err(at) => (at.checked_sub(1), None, at),
        };
        [before, at, (after < self.len()).then_some(after)]
    }

    /// Makes changes, which are in the order of their keys. Removing what is not there changes nothing.
    ///
    /// # Errors
    /// [`Missing`] if a change is below a blinded node; nothing is changed then.
    pub(super) fn apply(&mut self, changes: &mut [Change<V>]) -> Result<(), Missing> {
        let mut is_reshaped = false;
        let mut positions = Vec::with_capacity(changes.len());
        let mut from = 0;
        // One after the other is quicker than by halves, each of which is far from the one before, if many are passed.
        let is_dense = self.len() < SCAN_LEN * changes.len();
        for (key, value) in &*changes {
            let rest = &self.keys[from..];
            let found = if is_dense {
                let at = rest.iter().position(|other| order(other, key).is_ge()).unwrap_or(rest.len());
                if rest.get(at) == Some(key) { Ok(from + at) } else { Err(from + at) }
            } else {
                let found = rest.binary_search_by(|other| order(other, key));
                found.map(|at| from + at).map_err(|at| from + at)
            };
            self.check_seen(key, found)?;
            is_reshaped |= found.is_ok() != value.is_some();
            positions.push(found);
            from = found.map_or_else(|at| at, |at| at + 1);
        }
        if is_reshaped {
            self.reshape(changes, &positions);
        } else {
            for ((_, value), position) in changes.iter_mut().zip(positions) {
                if let (Ok(at), Some(value)) = (position, value.take()) {
                    self.values[at] = value;
                    self.mark(at);
                }
            }
        }
        Ok(())
    }

    /// Makes changes of which some insert or remove entries; `positions` says where their keys are or belong.
    fn reshape(&mut self, changes: &mut [Change<V>], positions: &[Result<usize, usize>]) {
        let inserted =
            changes.iter().zip(positions).filter(|((_, value), at)| value.is_some() && at.is_err());
        let removed = changes.iter().zip(positions).filter(|((_, value), at)| value.is_none() && at.is_ok());
        let len = self.len() + inserted.count() - removed.count();
        let old = std::mem::take(self);
        let mut new = Rebuilt::with_capacity(len);
        let mut entries = old.keys.into_iter().zip(old.values);
        let was_dirty = |at: usize| old.is_dirty.get(at).is_some_and(|&dirty| dirty);
        let mut next = 0;
        for ((key, value), &position) in changes.iter_mut().zip(positions) {
            let (Ok(until) | Err(until)) = position;
            for (at, (key, value)) in (next..until).zip(entries.by_ref()) {
                new.keep(key, value, at, (&old.entries, &old.gaps, &old.branches), was_dirty(at));
            }
            next = until;
            if position.is_ok() {
                entries.next();
                next += 1;
            }
            if let Some(value) = value.take() {
                new.insert(*key, value);
            }
        }
        for (at, (key, value)) in (next..).zip(entries) {
            new.keep(key, value, at, (&old.entries, &old.gaps, &old.branches), was_dirty(at));
        }
        *self = new.finish(old.gaps.len());
        self.hang = old.hang;
        debug_assert_eq!(self.len(), len);
    }

    fn mark(&mut self, entry: usize) {
        if !self.is_empty() {
            self.is_dirty.resize(self.keys.len(), false);
            self.is_dirty[entry] = true;
        }
    }

    /// Whether a key that was looked up is below a blinded node.
    fn check_seen(&self, key: &Key, found: Result<usize, usize>) -> Result<(), Missing> {
        // Paths are filled up with zeros: so what covers a key stands before it, or at it.
        let at = match found {
            Ok(at) => at,
            Err(at) => match at.checked_sub(1) {
                Some(before) => before,
                None => return Ok(()),
            },
        };
        match self.values[at].blinded() {
            Some(blinded) if blinded.covers(&self.keys[at], key) => Err(blinded.missing(&self.keys[at])),
            _ => Ok(()),
        }
    }
}

/// A page that is put together anew. Entries that get new neighbours are dirty, for their path may begin elsewhere.
struct Rebuilt<V> {
    page: Page<V>,
    /// Index in the old page of the entry added last, if it came from there.
    last_at: Option<usize>,
}

impl<V: Entry> Rebuilt<V> {
    fn with_capacity(len: usize) -> Self {
        let page = Page {
            keys: Vec::with_capacity(len),
            values: Vec::with_capacity(len),
            gaps: Vec::with_capacity(len.saturating_sub(1)),
            entries: Vec::with_capacity(len),
            branches: Vec::with_capacity(len.saturating_sub(1)),
            is_dirty: Vec::with_capacity(len),
            ..Page::default()
        };
        Self { page, last_at: None }
    }

    /// Adds the entry that was at index `at`.
    fn keep(
        &mut self,
        key: Key,
        value: V,
        at: usize,
        (entries, gaps, branches): (&[NodeRef], &[u8], &[NodeRef]),
        was_dirty: bool,
    ) {
        let was_neighbour = at.checked_sub(1) == self.last_at;
        if was_neighbour && at > 0 {
            self.page.gaps.push(gaps[at - 1]);
            self.page.branches.push(branches[at - 1]);
        } else {
            self.join(&key);
        }
        let is_dirty = was_dirty || !was_neighbour;
        self.push(key, value, entries[at], is_dirty);
        self.last_at = Some(at);
    }

    fn insert(&mut self, key: Key, value: V) {
        self.join(&key);
        self.push(key, value, NodeRef::NONE, true);
        // No index is two less than none: whatever follows has a new neighbour.
        self.last_at = Some(usize::MAX);
    }

    /// `old_last` is the index of the last entry of the old page, which had nothing after it.
    fn finish(mut self, old_last: usize) -> Page<V> {
        if self.last_at != Some(old_last)
            && let Some(is_dirty) = self.page.is_dirty.last_mut()
        {
            *is_dirty = true;
        }
        if !self.page.is_dirty.contains(&true) {
            self.page.is_dirty.clear();
        }
        self.page
    }

    /// Opens a gap between the last entry and `key` that was not there before.
    fn join(&mut self, key: &Key) {
        if let Some(last) = self.page.keys.last() {
            self.page.gaps.push(shared(last, key));
            self.page.branches.push(NodeRef::NONE);
            if let Some(is_dirty) = self.page.is_dirty.last_mut() {
                *is_dirty = true;
            }
        }
    }

    fn push(&mut self, key: Key, value: V, entry: NodeRef, is_dirty: bool) {
        self.page.keys.push(key);
        self.page.values.push(value);
        self.page.entries.push(entry);
        self.page.is_dirty.push(is_dirty);
    }
}
