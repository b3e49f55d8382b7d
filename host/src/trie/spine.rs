//! The branches above a list of entries, and which nodes must be encoded anew when some entries changed.

use super::{
    Key, NodeRef,
    nibbles::{nibble, shared},
};
use outrider_kernels::simd::prefetch;

/// The branch above what hangs below no branch.
const NO_BRANCH: u32 = u32::MAX;

/// Slot of the topmost node.
const TOP: u32 = 0;

/// The branches above entries in the order of their keys, and how all nodes are referred to.
///
/// The references to the children of a branch lie in a row, as they are encoded. Where a node's reference is kept is
/// called its slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Spine {
    /// The lowest branch above each entry.
    above: Vec<u32>,
    /// Each after those below it.
    branches: Vec<Branch>,
    /// The topmost node's reference, then those of each branch's children. Empty if there are no entries.
    slots: Vec<NodeRef>,
}

/// A node of which entries with different nibbles hang.
#[derive(Clone, Copy, Debug)]
struct Branch {
    /// The next branch above.
    parent: u32,
    /// Slot of the first child.
    first: u32,
    /// Nibbles at which there are children.
    mask: u16,
    /// Length of the path to it, in nibbles.
    depth: u8,
}

impl Branch {
    /// Slot of the child below which a key is.
    const fn slot(&self, key: &Key) -> u32 {
        let before = self.mask & ((1 << nibble(key, self.depth as usize)) - 1);
        self.first + before.count_ones()
    }
}

/// An entry whose reference must be worked out anew.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryJob {
    /// Which page, in the order in which they were added.
    pub(super) page: u32,
    pub(super) entry: u32,
    /// Where its reference is kept.
    pub(super) slot: u32,
    /// Nibbles of the path above it.
    pub(super) hang: u8,
}

/// A branch that must be encoded anew, and the extension above it if there is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct BranchJob {
    pub(super) page: u32,
    /// An entry below it.
    pub(super) entry: u32,
    /// Where its reference is kept.
    pub(super) slot: u32,
    /// Slot of its first child.
    first: u32,
    /// Nibbles at which there are children.
    pub(super) mask: u16,
    /// Nibbles of the path above it; if fewer than its depth, an extension spans the rest.
    pub(super) hang: u8,
    pub(super) depth: u8,
}

/// What is to be done for some pages.
#[derive(Debug)]
pub(super) struct Jobs {
    pub(super) entries: Vec<EntryJob>,
    /// By depth.
    pub(super) branches: Vec<Vec<BranchJob>>,
    /// Branches of the page at hand that are among the jobs.
    is_noted: Vec<bool>,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            branches: vec![Vec::new(); super::nibbles::KEY_NIBBLES],
            is_noted: Vec::new(),
        }
    }
}

impl Jobs {
    /// Forgets all jobs and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.branches.iter_mut().for_each(Vec::clear);
    }
}

impl Spine {
    /// The branches above entries with these keys, which are in order. Of nodes that were there before, `entry` and `branch`
    /// say how they were referred to: by the index of an entry, and by a branch's first entry and depth.
    pub(super) fn new(
        keys: &[Key],
        entry: impl Fn(u32) -> NodeRef,
        branch: impl Fn(u32, u8) -> NodeRef,
    ) -> Self {
        if keys.is_empty() {
            return Self::default();
        }
        let mut growing = Growing {
            spine: Self {
                above: vec![NO_BRANCH; keys.len()],
                // Of hashes there are three for each branch.
                branches: Vec::with_capacity(keys.len() / 2),
                slots: Vec::with_capacity(keys.len() + keys.len() / 2 + 1),
            },
            keys,
            branch,
            open: Vec::new(),
            gathered: Vec::new(),
        };
        growing.spine.slots.push(NodeRef::NONE);
        let node = |at| Node { first: at, branch: NO_BRANCH, reference: entry(at) };
        let mut current = node(0);
        for (index, pair) in (1..).zip(keys.windows(2)) {
            let gap = shared(&pair[0], &pair[1]);
            while growing.open.last().is_some_and(|open| open.depth > gap) {
                current = growing.close(current);
            }
            if growing.open.last().is_none_or(|open| open.depth < gap) {
                growing.open.push(Open { depth: gap, start: growing.gathered.len() });
            }
            growing.gathered.push(current);
            current = node(index);
        }
        while !growing.open.is_empty() {
            current = growing.close(current);
        }
        let mut spine = growing.spine;
        spine.slots[TOP as usize] = current.reference;
        // There may be very many.
        spine.branches.shrink_to_fit();
        spine.slots.shrink_to_fit();
        spine
    }

    /// How the topmost node is referred to; [`NodeRef::NONE`] if there are no entries.
    pub(super) fn top(&self) -> NodeRef {
        self.slots.first().copied().unwrap_or(NodeRef::NONE)
    }

    /// How an entry is referred to.
    pub(super) fn entry(&self, entry: u32, key: &Key) -> NodeRef {
        let slot = match self.above[entry as usize] {
            NO_BRANCH => TOP,
            above => self.branches[above as usize].slot(key),
        };
        self.slots[slot as usize]
    }

    /// How the branch of a depth above an entry is referred to, if there is one.
    pub(super) fn branch(&self, entry: u32, depth: u8, key: &Key) -> Option<NodeRef> {
        let mut above = self.above[entry as usize];
        loop {
            let branch = self.branches.get(above as usize).filter(|branch| branch.depth >= depth)?;
            if branch.depth == depth {
                return Some(self.slots[self.place(branch, key, 0).0 as usize]);
            }
            above = branch.parent;
        }
    }

    pub(super) fn set_reference(&mut self, slot: u32, reference: NodeRef) {
        self.slots[slot as usize] = reference;
    }

    /// References to the children of a branch.
    pub(super) fn children(&self, job: &BranchJob) -> &[NodeRef] {
        &self.slots[job.first as usize..][..job.mask.count_ones() as usize]
    }

    /// Notes down some entries and the nodes above them, each once if the entries are all different. `hang` is the length
    /// of the path above all of this.
    pub(super) fn note(
        &self,
        page: u32,
        keys: &[Key],
        entries: impl Iterator<Item = u32>,
        hang: u8,
        jobs: &mut Jobs,
    ) {
        jobs.is_noted.clear();
        jobs.is_noted.resize(self.branches.len(), false);
        for entry in entries {
            let key = &keys[entry as usize];
            let mut above = self.above[entry as usize];
            let (slot, entry_hang) = match self.branches.get(above as usize) {
                None => (TOP, hang),
                Some(branch) => (branch.slot(key), branch.depth + 1),
            };
            jobs.entries.push(EntryJob { page, entry, slot, hang: entry_hang });
            while let Some(is_noted) = jobs.is_noted.get_mut(above as usize).filter(|is_noted| !**is_noted) {
                *is_noted = true;
                let branch = &self.branches[above as usize];
                let (slot, hang) = self.place(branch, key, hang);
                let Branch { first, mask, depth, parent } = *branch;
                let job = BranchJob { page, entry, slot, first, mask, hang, depth };
                jobs.branches[usize::from(depth)].push(job);
                // They are encoded when the nodes below have been hashed.
                self.children(&job).iter().step_by(2).for_each(prefetch);
                above = parent;
            }
        }
    }

    /// Asks for what [`Self::note`] will read for an entry.
    pub(super) fn prefetch(&self, entry: usize) {
        self.above.get(entry).into_iter().for_each(prefetch);
        let branch = self.branches.len() * entry / self.above.len().max(1);
        self.branches.get(branch).into_iter().for_each(prefetch);
    }

    /// The slot of a branch, which is above a key, and where it hangs.
    fn place(&self, branch: &Branch, key: &Key, hang: u8) -> (u32, u8) {
        match self.branches.get(branch.parent as usize) {
            None => (TOP, hang),
            Some(parent) => (parent.slot(key), parent.depth + 1),
        }
    }
}

/// A spine that is put together from its first entry to its last.
struct Growing<'a, B> {
    spine: Spine,
    keys: &'a [Key],
    branch: B,
    /// Branches of which not all children have been seen, from the topmost down.
    open: Vec<Open>,
    /// Their children.
    gathered: Vec<Node>,
}

/// A branch of which not all children have been seen.
struct Open {
    depth: u8,
    /// Where its children begin among those gathered.
    start: usize,
}

/// An entry, or a branch with all that is below it.
struct Node {
    /// Its first entry.
    first: u32,
    /// [`NO_BRANCH`] if it is an entry.
    branch: u32,
    reference: NodeRef,
}

impl<B: Fn(u32, u8) -> NodeRef> Growing<'_, B> {
    /// Ends the lowest open branch with its last child.
    #[expect(clippy::cast_possible_truncation, reason = "a page has far fewer than 2^32 entries")]
    fn close(&mut self, last: Node) -> Node {
        let Some(Open { depth, start }) = self.open.pop() else { return last };
        self.gathered.push(last);
        let Spine { above, branches, slots } = &mut self.spine;
        let branch = branches.len() as u32;
        let first = self.gathered[start].first;
        let mut mask = 0;
        let first_slot = slots.len() as u32;
        for node in self.gathered.drain(start..) {
            mask |= 1 << nibble(&self.keys[node.first as usize], depth.into());
            slots.push(node.reference);
            match branches.get_mut(node.branch as usize) {
                None => above[node.first as usize] = branch,
                Some(below) => below.parent = branch,
            }
        }
        branches.push(Branch { parent: NO_BRANCH, first: first_slot, mask, depth });
        Node { first, branch, reference: (self.branch)(first, depth) }
    }
}
