//! Which nodes stand above a list of entries, and which of them must be encoded anew.

use super::{Key, nibbles::nibble};

/// Where a child's [`NodeRef`](super::NodeRef) is kept: with an entry, or with the branch that begins at a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Entry(u32),
    Branch(u32),
}

/// A child of a branch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Child {
    pub(super) nibble: u8,
    pub(super) source: Source,
}

/// An entry whose reference must be worked out anew.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryJob {
    /// Which page, in the order of the walks.
    pub(super) page: u32,
    pub(super) entry: u32,
    /// Nibbles of the path above it.
    pub(super) hang: u8,
}

/// A branch that must be encoded anew, and the extension above it if there is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct BranchJob {
    pub(super) page: u32,
    /// The first of the gaps at which the branch stands: there its reference is kept.
    pub(super) gap: u32,
    /// Any entry below it.
    pub(super) entry: u32,
    /// Nibbles of the path above it; if fewer than its depth, an extension spans the rest.
    pub(super) hang: u8,
    pub(super) depth: u8,
    /// Its children in [`Jobs::children`].
    pub(super) children: [u32; 2],
}

/// What walks over some pages found to be done.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    pub(super) entries: Vec<EntryJob>,
    pub(super) branches: Vec<BranchJob>,
    pub(super) children: Vec<Child>,
    open: Vec<Open>,
    gathered: Vec<Child>,
}

/// A branch of which not all children have been seen.
#[derive(Clone, Copy, Debug)]
struct Open {
    depth: u8,
    gap: u32,
    entry: u32,
    /// Where its children begin in [`Jobs::gathered`].
    start: u32,
    is_dirty: bool,
}

/// The node walked over last.
#[derive(Clone, Copy)]
struct Current {
    source: Source,
    entry: u32,
    is_dirty: bool,
}

impl Jobs {
    /// Walks over the entries of a page, and notes down what is dirty: entries that are marked so, and each branch
    /// with such an entry below it. Children come before their parents. Returns where the topmost node is kept.
    ///
    /// `gaps[i]` is how many nibbles keys `i` and `i + 1` share, `hang` the length of the path above all of them.
    ///
    /// # Panics
    /// If there are no entries.
    #[expect(clippy::cast_possible_truncation, reason = "a page has far fewer than 2^32 entries")]
    pub(super) fn walk(
        &mut self,
        page: u32,
        (keys, gaps): (&[Key], &[u8]),
        is_dirty: &[bool],
        hang: u8,
    ) -> Source {
        debug_assert!(keys.len() == gaps.len() + 1 && keys.len() == is_dirty.len());
        let mut current = self.entry(page, is_dirty, 0, gaps.first().map_or(hang, |gap| gap + 1));
        for (index, &gap) in (0..).zip(gaps) {
            while let Some(&top) = self.open.last().filter(|top| top.depth > gap) {
                self.open.pop();
                let above = self.open.last().map_or(gap, |above| above.depth.max(gap));
                current = self.close(page, keys, top, current, above + 1);
            }
            if self.open.last().is_none_or(|top| top.depth < gap) {
                let start = self.gathered.len() as u32;
                self.open.push(Open { depth: gap, gap: index, entry: current.entry, start, is_dirty: false });
            }
            self.add(keys, current);
            let after = gaps.get(index as usize + 1).map_or(gap, |&after| after.max(gap));
            current = self.entry(page, is_dirty, index + 1, after + 1);
        }
        while let Some(top) = self.open.pop() {
            let hang = self.open.last().map_or(hang, |above| above.depth + 1);
            current = self.close(page, keys, top, current, hang);
        }
        current.source
    }

    /// Forgets all jobs and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.branches.clear();
        self.children.clear();
    }

    fn entry(&mut self, page: u32, is_dirty: &[bool], entry: u32, hang: u8) -> Current {
        let is_dirty = is_dirty[entry as usize];
        if is_dirty {
            self.entries.push(EntryJob { page, entry, hang });
        }
        Current { source: Source::Entry(entry), entry, is_dirty }
    }

    /// Adds a child to the branch that is open.
    fn add(&mut self, keys: &[Key], child: Current) {
        let Some(top) = self.open.last_mut() else { return };
        top.is_dirty |= child.is_dirty;
        let nibble = nibble(&keys[child.entry as usize], top.depth.into());
        self.gathered.push(Child { nibble, source: child.source });
    }

    /// Ends a branch with its last child.
    #[expect(clippy::cast_possible_truncation, reason = "some pages have far fewer than 2^32 entries")]
    fn close(&mut self, page: u32, keys: &[Key], branch: Open, last: Current, hang: u8) -> Current {
        let Open { depth, gap, entry, start, is_dirty } = branch;
        let is_dirty = is_dirty | last.is_dirty;
        if is_dirty {
            let begin = self.children.len() as u32;
            self.children.extend_from_slice(&self.gathered[start as usize..]);
            let nibble = nibble(&keys[last.entry as usize], depth.into());
            self.children.push(Child { nibble, source: last.source });
            let children = [begin, self.children.len() as u32];
            self.branches.push(BranchJob { page, gap, entry, hang, depth, children });
        }
        self.gathered.truncate(start as usize);
        Current { source: Source::Branch(gap), entry, is_dirty }
    }
}
