//! Neighbouring entries of a trie, with what is remembered of the nodes above them.

use super::{
    Key, Missing, NodeRef,
    nibbles::{KEY_NIBBLES, after, first_word, order, shared},
    spine::{BranchJob, Jobs, Spine},
};
use outrider_kernels::simd::prefetch;
use std::ops::Range;

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

/// Entries in the order of their keys, with the nodes above them.
#[derive(Clone, Debug)]
pub(super) struct Page<V> {
    keys: Vec<Key>,
    values: Vec<V>,
    spine: Spine,
    /// Entries whose reference is out of date, each once.
    dirty: Vec<u32>,
    /// Nibbles of the path above all of this.
    hang: u8,
}

/// Entries that are looked at one by one around the place where a key is expected, before the search goes by halves.
const SCAN_LEN: usize = 16;

/// What is to become of an entry: `None` removes it. The keys of a list of changes are all different.
pub type Change<V> = (Key, Option<V>);

impl<V> Default for Page<V> {
    fn default() -> Self {
        Self { keys: Vec::new(), values: Vec::new(), spine: Spine::default(), dirty: Vec::new(), hang: 0 }
    }
}

impl<V: Entry> Page<V> {
    /// A page of entries in the order of their keys, below a path of `hang` nibbles.
    pub(super) fn new(keys: Vec<Key>, values: Vec<V>, hang: u8) -> Self {
        debug_assert!(keys.len() == values.len() && keys.is_sorted_by(|a, b| a < b));
        let spine = Spine::new(&keys, |_| NodeRef::NONE, |_, _| NodeRef::NONE);
        let dirty = (0..).zip(&keys).map(|(entry, _)| entry).collect();
        Self { keys, values, spine, dirty, hang }
    }

    pub(super) const fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) const fn is_clean(&self) -> bool {
        self.dirty.is_empty()
    }

    /// Entries that are out of date.
    pub(super) const fn dirty_len(&self) -> usize {
        self.dirty.len()
    }

    pub(super) const fn hang(&self) -> u8 {
        self.hang
    }

    /// Says how long the path above is: where that changes, so does the topmost node.
    pub(super) fn set_hang(&mut self, hang: u8) {
        if self.hang != hang {
            self.hang = hang;
            // Of a page that is out of date the topmost node will be encoded anyway.
            if self.is_clean() && !self.is_empty() {
                self.dirty.push(0);
            }
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
        let found = self.search(key);
        self.check_seen(key, found)?;
        Ok(found.ok().map(|at| &self.values[at]))
    }

    /// How the topmost node is referred to; [`NodeRef::NONE`] for an empty page. Out of date unless clean.
    pub(super) fn top(&self) -> NodeRef {
        self.spine.top()
    }

    /// References to the children of a branch.
    pub(super) fn children(&self, job: &BranchJob) -> &[NodeRef] {
        self.spine.children(job)
    }

    pub(super) fn set_reference(&mut self, slot: u32, reference: NodeRef) {
        self.spine.set_reference(slot, reference);
    }

    /// Notes down all that must be encoded anew. The page counts as clean from then on.
    pub(super) fn note_dirty(&mut self, page: u32, jobs: &mut Jobs) {
        let dirty = std::mem::take(&mut self.dirty);
        self.note(page, dirty.into_iter(), jobs);
    }

    /// Notes down some entries, which are all different, and the nodes above them.
    pub(super) fn note(&self, page: u32, entries: impl Iterator<Item = u32>, jobs: &mut Jobs) {
        self.spine.note(page, &self.keys, entries, self.hang, jobs);
    }

    /// The entries before, at and after a key.
    pub(super) fn around(&self, key: &Key) -> [Option<usize>; 3] {
        let (before, at, after) = match self.search(key) {
            Ok(at) => (at.checked_sub(1), Some(at), at + 1),
            Err(at) => (at.checked_sub(1), None, at),
        };
        [before, at, (after < self.len()).then_some(after)]
    }

    /// Asks for what [`Self::apply`] and [`Self::note_dirty`] will read, so that it is there when they do.
    pub(super) fn prefetch(&self, changes: &[Change<V>]) {
        for (key, _) in changes {
            let at = self.expected(key);
            // A line holds two keys.
            let near = [at.saturating_sub(3), at.saturating_sub(1), at + 1, at + 3];
            near.into_iter().filter_map(|at| self.keys.get(at)).for_each(prefetch);
            self.values.get(at).into_iter().for_each(prefetch);
            self.spine.prefetch(at);
        }
    }

    /// Where a key is to be looked for. Keys are hashes, so that follows from their first bits.
    #[expect(clippy::cast_possible_truncation, reason = "less than the number of keys")]
    fn expected(&self, key: &Key) -> usize {
        ((u128::from(after(key, self.hang)) * self.keys.len() as u128) >> 64) as usize
    }

    /// Where a key is, or belongs.
    fn search(&self, key: &Key) -> Result<usize, usize> {
        let keys = &self.keys;
        let word = first_word(key);
        let is_before = |at: usize| first_word(&keys[at]) < word;
        let mut at = self.expected(key);
        let begin = at.saturating_sub(SCAN_LEN);
        let end = keys.len().min(at + SCAN_LEN);
        // The first whose beginning is not before the one sought.
        while at < end && is_before(at) {
            at += 1;
        }
        while at > begin && !is_before(at - 1) {
            at -= 1;
        }
        match keys.get(at) {
            _ if at > 0 && !is_before(at - 1) => {}
            None => return Err(at),
            Some(_) if is_before(at) => {}
            Some(found) if found == key => return Ok(at),
            Some(found) if first_word(found) != word => return Err(at),
            Some(_) => {}
        }
        keys.binary_search_by(|other| order(other, key))
    }

    /// Makes changes, which are in the order of their keys. Removing what is not there changes nothing.
    ///
    /// # Errors
    /// [`Missing`] if a change is below a blinded node; nothing is changed then.
    pub(super) fn apply(&mut self, changes: &mut [Change<V>]) -> Result<(), Missing> {
        let mut is_reshaped = false;
        let mut positions = Vec::with_capacity(changes.len());
        for (key, value) in &*changes {
            let found = self.search(key);
            self.check_seen(key, found)?;
            is_reshaped |= found.is_ok() != value.is_some();
            positions.push(found);
        }
        if changes.is_empty() {
            return Ok(());
        }
        // What is out of date already may be changed again.
        if is_reshaped || !self.is_clean() {
            self.reshape(changes, &positions);
            return Ok(());
        }
        self.dirty.reserve_exact(changes.len());
        for ((_, value), position) in changes.iter_mut().zip(positions) {
            if let (Ok(at), Some(value)) = (position, value.take()) {
                self.values[at] = value;
                self.dirty.push(index(at));
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
        let mut was_dirty = vec![false; old.keys.len()];
        old.dirty.iter().for_each(|&entry| was_dirty[entry as usize] = true);
        let mut merged = Merged::with_capacity(len);
        let mut entries = old.keys.iter().copied().zip(old.values);
        let mut next = 0;
        for ((key, value), &position) in changes.iter_mut().zip(positions) {
            let (Ok(until) | Err(until)) = position;
            merged.keep(next..until, &mut entries);
            next = until;
            if position.is_ok() {
                was_dirty[next] = true;
                entries.next();
                next += 1;
            }
            if let Some(value) = value.take() {
                merged.push(*key, value, position.map_or(Origin::NEW, Origin::of));
            }
        }
        merged.keep(next..old.keys.len(), &mut entries);
        let Merged { keys, values, mut origins } = merged;
        debug_assert_eq!(keys.len(), len);
        let origin = |entry: u32| origins[entry as usize + 1].entry().map(|at| (at, &keys[entry as usize]));
        let spine = Spine::new(
            &keys,
            |entry| origin(entry).map_or(NodeRef::NONE, |(at, key)| old.spine.entry(at, key)),
            |first, depth| {
                origin(first).and_then(|(at, key)| old.spine.branch(at, depth, key)).unwrap_or(NodeRef::NONE)
            },
        );
        origins.push(Origin::of(old.keys.len()));
        // What has new neighbours is out of date, for its path may begin elsewhere.
        let is_dirty = |around: &[Origin]| {
            let is_old = |at: u32| was_dirty[at as usize] || !around[1].is_between(around[0], around[2]);
            around[1].entry().is_none_or(is_old)
        };
        let dirty = (0..).zip(origins.windows(3)).filter(|(_, around)| is_dirty(around));
        let dirty = dirty.map(|(entry, _)| entry).collect();
        *self = Self { keys, values, spine, dirty, hang: old.hang };
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

/// Where an entry stood before the page was put together anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Origin(u32);

impl Origin {
    /// Before the first entry.
    const BEGIN: Self = Self(0);
    /// Nowhere.
    const NEW: Self = Self(u32::MAX);

    fn of(at: usize) -> Self {
        Self(index(at + 1))
    }

    /// The index it had.
    fn entry(self) -> Option<u32> {
        if self == Self::NEW { None } else { self.0.checked_sub(1) }
    }

    /// Whether an entry that is not new stood between these two, with nothing else there.
    const fn is_between(self, before: Self, after: Self) -> bool {
        self.0 - 1 == before.0 && self.0 + 1 == after.0
    }
}

/// Entries that are put together anew.
struct Merged<V> {
    keys: Vec<Key>,
    values: Vec<V>,
    /// Of [`Origin::BEGIN`], and each entry.
    origins: Vec<Origin>,
}

impl<V> Merged<V> {
    fn with_capacity(len: usize) -> Self {
        let mut origins = Vec::with_capacity(len + 2);
        origins.push(Origin::BEGIN);
        Self { keys: Vec::with_capacity(len), values: Vec::with_capacity(len), origins }
    }

    /// Adds the next entries of the old page, which are those of a range.
    fn keep(&mut self, range: Range<usize>, entries: &mut impl Iterator<Item = (Key, V)>) {
        for (at, (key, value)) in range.zip(entries) {
            self.push(key, value, Origin::of(at));
        }
    }

    fn push(&mut self, key: Key, value: V, origin: Origin) {
        self.keys.push(key);
        self.values.push(value);
        self.origins.push(origin);
    }
}

/// An index into a page, which has far fewer than 2^32 entries.
fn index(at: usize) -> u32 {
    u32::try_from(at).expect("entries of a page")
}
