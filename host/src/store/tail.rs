//! Which blocks the store holds after the snapshot, and how far the snapshot may advance.

use super::{Limits, STEP_BYTES, STEP_DEPTHS, WINDOW_BYTES_MAX, record::BlockId};
use alloy_primitives::{
    B256,
    map::{B256Map, B256Set},
};

/// Blocks after the snapshot's, by hash.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    /// The block whose state the snapshot is.
    pub(super) base: BlockId,
    /// The block that was committed last.
    pub(super) head: BlockId,
    blocks: B256Map<TailBlock>,
}

/// A block with changes in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TailBlock {
    pub(super) id: BlockId,
    pub(super) parent: B256,
    pub(super) changes_bytes: u64,
}

impl Tail {
    /// The blocks of a store; of those given, the ones that descend from `base` count.
    pub(super) fn new(base: BlockId, head: BlockId, blocks: impl IntoIterator<Item = TailBlock>) -> Self {
        let blocks = blocks.into_iter().map(|block| (block.id.hash, block)).collect();
        Self { base, head, blocks }
    }

    /// Whether the state after that block can be had.
    pub(super) fn holds(&self, hash: &B256) -> bool {
        *hash == self.base.hash || self.blocks.contains_key(hash)
    }

    /// Adds a block whose parent is held, and stands on it.
    pub(super) fn push(&mut self, block: TailBlock) {
        self.head = block.id;
        self.blocks.insert(block.id.hash, block);
    }

    /// The blocks from the snapshot's (not included) to the head. `None` if they do not connect.
    pub(super) fn path(&self) -> Option<Vec<TailBlock>> {
        let mut path = Vec::new();
        let mut hash = self.head.hash;
        while hash != self.base.hash {
            let block = self.blocks.get(&hash)?;
            // Numbers fall, so that no cycle can be.
            if block.id.number <= self.base.number {
                return None;
            }
            path.push(*block);
            hash = block.parent;
        }
        path.reverse();
        Some(path)
    }

    /// How many blocks of a path are behind those that a reorganisation may take back.
    pub(super) fn settled(path: &[TailBlock], limits: Limits) -> usize {
        let mut bytes = 0;
        let within = path.iter().rev().enumerate().take_while(|(place, block)| {
            bytes += block.changes_bytes;
            *place == 0 || (*place as u64) < limits.reorg_depth && bytes <= WINDOW_BYTES_MAX
        });
        path.len() - within.count()
    }

    /// The blocks by which the snapshot should advance now; none most of the time.
    pub(super) fn due(&self, limits: Limits, snapshot_bytes: u64) -> Vec<TailBlock> {
        let mut path = self.path().unwrap_or_default();
        path.truncate(Self::settled(&path, limits));
        let bytes: u64 = path.iter().map(|block| block.changes_bytes).sum();
        let is_due = bytes >= step_bytes(snapshot_bytes)
            || path.len() as u64 >= STEP_DEPTHS.saturating_mul(limits.reorg_depth);
        if is_due { path } else { Vec::new() }
    }

    /// Makes a block of the path the snapshot's; returns the blocks that are no longer needed.
    pub(super) fn advance(&mut self, base: BlockId) -> Vec<TailBlock> {
        self.base = base;
        let mut by_height: Vec<TailBlock> = self.blocks.values().copied().collect();
        by_height.sort_unstable_by_key(|block| block.id);
        // Parents come before their children.
        let mut held: B256Set = [base.hash].into_iter().collect();
        let is_needed = |block: &TailBlock| {
            let needed = block.id.number > base.number && held.contains(&block.parent);
            if needed {
                held.insert(block.id.hash);
            }
            needed
        };
        let (needed, dropped): (Vec<_>, Vec<_>) = by_height.into_iter().partition(is_needed);
        self.blocks = needed.into_iter().map(|block| (block.id.hash, block)).collect();
        dropped
    }

    /// All blocks, parents before their children.
    pub(super) fn by_height(&self) -> Vec<TailBlock> {
        let mut blocks: Vec<TailBlock> = self.blocks.values().copied().collect();
        blocks.sort_unstable_by_key(|block| block.id);
        blocks
    }

    /// Sum of the lengths of all change records.
    pub(super) fn changes_bytes(&self) -> u64 {
        self.blocks.values().map(|block| block.changes_bytes).sum()
    }
}

/// How long the records are that make the snapshot advance.
pub(super) fn step_bytes(snapshot_bytes: u64) -> u64 {
    snapshot_bytes.clamp(*STEP_BYTES.start(), *STEP_BYTES.end())
}
