//! The tree of versions: who stands on whom, and where state and tries are.
//!
//! Versions are numbered as they come, so that a parent's id is below those of its children. One that was dropped is
//! no longer found by its hash; its changes stay as long as the state or the tries stand on it, or must cross it to get
//! away.

use super::{Ground, LAYERS_MAX, SUPPLIED_MAX, Snapshot, SupplyError, VersionError, VersionLimits};
use crate::state::{BLOCK_HASH_HISTORY, BlockHashes, ChangeSet, StateKey, StateRead, StateValue};
use alloy_primitives::{B256, keccak256, map::B256Map};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Number of a version, in order of insertion.
pub(super) type Id = u64;

#[derive(Debug)]
struct Version {
    /// Not held any more if this is the oldest version.
    parent: Id,
    children: Vec<Id>,
    hash: B256,
    number: u64,
    /// Against the parent.
    changes: Arc<ChangeSet>,
    /// Back to the parent, once that was needed.
    undo: Option<Arc<ChangeSet>>,
    /// State root, once that was hashed.
    root: Option<B256>,
    /// Accounts and slots in `changes`.
    entries: usize,
    /// Whether it can be had no more.
    is_dropped: bool,
}

#[derive(Debug)]
pub(super) struct Tree {
    limits: VersionLimits,
    versions: BTreeMap<Id, Version>,
    /// Those that can be had.
    by_hash: B256Map<Id>,
    /// Accounts and slots in the changes of those above the oldest.
    entries: usize,
    /// Those that were dropped, and whose changes are still needed.
    dropped: Vec<Id>,
    next: Id,
    oldest: Id,
    ground: Ground,
    world_at: Id,
    /// `None` where there are no tries.
    trie_at: Option<Id>,
    /// Of the oldest version and its ancestors.
    hashes: BlockHashes,
    /// Of the version that was last asked for.
    latest_hashes: (Id, Arc<BlockHashes>),
}

/// From one version to another: those to take back, and then those to apply, in order.
struct Path {
    back: Vec<Id>,
    forth: Vec<Id>,
}

impl Tree {
    pub(super) fn new(
        ground: Ground,
        hash: B256,
        number: u64,
        hashes: BlockHashes,
        root: Option<B256>,
        limits: VersionLimits,
    ) -> Self {
        let first = Version::new(0, hash, number, ChangeSet::default(), root);
        Self {
            limits,
            versions: [(1, first)].into(),
            by_hash: [(hash, 1)].into_iter().collect(),
            entries: 0,
            dropped: Vec::new(),
            next: 2,
            oldest: 1,
            ground,
            world_at: 1,
            trie_at: root.map(|_| 1),
            latest_hashes: (1, Arc::new(hashes.clone())),
            hashes,
        }
    }

    pub(super) fn find(&self, hash: &B256) -> Result<Id, VersionError> {
        self.by_hash.get(hash).copied().ok_or(VersionError::OutOfReach(*hash))
    }

    pub(super) const fn oldest(&self) -> Id {
        self.oldest
    }

    pub(super) fn oldest_number(&self) -> u64 {
        self.versions[&self.oldest].number
    }

    pub(super) fn changes(&self, id: Id) -> Arc<ChangeSet> {
        Arc::clone(&self.versions[&id].changes)
    }

    pub(super) fn root(&self, id: Id) -> Option<B256> {
        self.versions[&id].root
    }

    pub(super) fn note_root(&mut self, id: Id, root: B256) {
        // It may have been dropped while it was hashed.
        if let Some(version) = self.versions.get_mut(&id) {
            version.root = Some(root);
        }
    }

    pub(super) fn note_block_hash(&mut self, number: u64, hash: B256) {
        self.hashes.insert(number, hash);
        // Whatever was gathered before lacks it.
        self.latest_hashes = (self.oldest, Arc::new(self.hashes.clone()));
    }

    pub(super) fn insert(
        &mut self,
        parent: &B256,
        hash: B256,
        number: u64,
        changes: ChangeSet,
    ) -> Result<(), VersionError> {
        let parent = self.find(parent)?;
        if let Some(id) = self.by_hash.get(&hash) {
            let held = &self.versions[id];
            let is_same = held.parent == parent && *held.changes == changes;
            return if is_same { Ok(()) } else { Err(VersionError::Differs(hash)) };
        }
        let dropped: usize = self.dropped.iter().map(|id| self.versions[id].entries).sum();
        if self.dropped.len() > self.limits.versions_max || dropped > self.limits.entries_max {
            return Err(VersionError::Full(hash));
        }
        let version = Version::new(parent, hash, number, changes, None);
        self.entries += version.entries;
        let id = self.next;
        self.version_mut(parent).children.push(id);
        self.versions.insert(id, version);
        self.by_hash.insert(hash, id);
        self.next += 1;
        Ok(())
    }

    /// The version above the oldest that has to go, or to become the oldest, for the limits to be kept.
    pub(super) fn oldest_beyond_limits(&self) -> Option<Id> {
        let above = self.by_hash.len() - 1;
        let is_beyond =
            above > self.limits.versions_max || (above > 1 && self.entries > self.limits.entries_max);
        // Parents come before children, so of all but the oldest the first that came stands on the oldest.
        is_beyond.then(|| self.versions[&self.oldest].children.first().copied()).flatten()
    }

    /// Whether the block with the highest number (the first that came, if there are several) is `id`, which stands on
    /// the oldest, or stands on it.
    pub(super) fn is_on_highest_branch(&self, id: Id) -> bool {
        self.versions[&self.oldest].children == [id] || self.stands_on(self.highest(), id)
    }

    fn highest(&self) -> Id {
        let order = |id: &&Id| (self.versions[*id].number, u64::MAX - **id);
        self.by_hash.values().max_by_key(order).copied().unwrap_or(self.oldest)
    }

    pub(super) fn highest_hash(&self) -> B256 {
        self.versions[&self.highest()].hash
    }

    pub(super) fn len(&self) -> usize {
        self.by_hash.len()
    }

    fn stands_on(&self, mut id: Id, ancestor: Id) -> bool {
        while id > ancestor {
            let Some(version) = self.versions.get(&id) else { return false };
            id = version.parent;
        }
        id == ancestor
    }

    /// Whether the tries stand on a version that was dropped.
    pub(super) fn has_trie_astray(&self) -> bool {
        self.trie_at.is_some_and(|at| self.versions[&at].is_dropped)
    }

    /// Versions that can be had no more, and whose changes are still needed.
    #[cfg(test)]
    pub(super) const fn dropped_len(&self) -> usize {
        self.dropped.len()
    }

    fn version_mut(&mut self, id: Id) -> &mut Version {
        self.versions.get_mut(&id).expect("a version that is held")
    }

    fn path(&self, from: Id, to: Id) -> Path {
        let (mut back, mut forth, mut at, mut end) = (Vec::new(), Vec::new(), from, to);
        while at != end {
            let (steps, step) = if at > end { (&mut back, &mut at) } else { (&mut forth, &mut end) };
            steps.push(*step);
            *step = self.versions[step].parent;
        }
        forth.reverse();
        Path { back, forth }
    }

    /// What leads from the state in memory to the version, in order.
    fn layers(&self, to: Id) -> Vec<Arc<ChangeSet>> {
        let Path { back, forth } = self.path(self.world_at, to);
        // The state has been there, so it is known how to get back.
        let undone = back.iter().filter_map(|id| self.versions[id].undo.as_ref());
        undone.chain(forth.iter().map(|id| &self.versions[id].changes)).cloned().collect()
    }

    /// Moves the state, unless somebody reads it. What was supplied moves to the oldest version alone, for it does not
    /// know the way back.
    pub(super) fn move_world(&mut self, to: Id) -> bool {
        if self.world_at == to {
            return true;
        }
        match self.ground {
            Ground::World(_) => self.move_loaded(to),
            Ground::Supplied(_) => self.move_supplied(),
        }
        self.world_at == to
    }

    fn move_loaded(&mut self, to: Id) {
        let Path { back, forth } = self.path(self.world_at, to);
        let Ground::World(world) = &mut self.ground else { return };
        let Some(world) = Arc::get_mut(world) else { return };
        for id in back {
            let version = &self.versions[&id];
            world.apply(version.undo.as_ref().expect("the state came over this version"));
            self.world_at = version.parent;
        }
        for id in forth {
            let version = self.versions.get_mut(&id).expect("a version on a path");
            match &version.undo {
                Some(_) => world.apply(&version.changes),
                None => version.undo = Some(Arc::new(world.apply_undoably(&version.changes))),
            }
            self.world_at = id;
        }
    }

    fn move_supplied(&mut self) {
        let Path { forth, .. } = self.path(self.world_at, self.oldest);
        let Ground::Supplied(supplied) = &mut self.ground else { return };
        let Some(supplied) = Arc::get_mut(supplied) else { return };
        for id in forth {
            supplied.apply(&self.versions[&id].changes);
            self.world_at = id;
        }
    }

    pub(super) fn supply(
        &mut self,
        id: Id,
        values: impl IntoIterator<Item = StateValue>,
    ) -> Result<(), SupplyError> {
        let mut layers = self.layers(id);
        layers.reverse();
        for value in values {
            let key = value.key();
            let view = self.ground.view().with_layers(&layers);
            let equals = match &value {
                StateValue::Account(address, account) => view.account(address).map(|known| known == *account),
                StateValue::Storage(address, slot, value) => {
                    view.storage(address, slot).map(|known| known == *value)
                }
                StateValue::Code(code) => {
                    view.code(&keccak256(code)).map(|known| known.original_bytes() == *code)
                }
                StateValue::BlockHash(number, hash) => {
                    self.supply_block_hash(id, *number, *hash)?;
                    continue;
                }
            };
            match (equals, &mut self.ground) {
                (Ok(true), _) => {}
                (Ok(false), _) => return Err(SupplyError::Conflict(key)),
                (Err(_), Ground::World(_)) => return Err(SupplyError::Loaded(key)),
                (Err(_), Ground::Supplied(supplied)) if supplied.len() >= SUPPLIED_MAX => {
                    return Err(SupplyError::Full(key));
                }
                (Err(_), Ground::Supplied(supplied)) => Arc::make_mut(supplied).insert(value),
            }
        }
        Ok(())
    }

    fn supply_block_hash(&mut self, id: Id, number: u64, hash: B256) -> Result<(), SupplyError> {
        match self.hashes_at(id).get(number) {
            Some(known) if known == hash => {}
            // From the oldest version on all are known.
            None if number < self.oldest_number() => self.note_block_hash(number, hash),
            _ => return Err(SupplyError::Conflict(StateKey::BlockHash(number))),
        }
        Ok(())
    }

    /// Says that the tries are at `to`; returns what must be done to them, in order.
    pub(super) fn move_trie(&mut self, to: Id) -> Vec<Arc<ChangeSet>> {
        let Path { back, forth } = self.path(self.trie_at.unwrap_or(to), to);
        let mut steps: Vec<_> = back.into_iter().map(|id| self.undo(id)).collect();
        steps.extend(forth.iter().map(|id| self.versions[id].changes.clone()));
        self.trie_at = self.trie_at.and(Some(to));
        steps
    }

    /// What takes a version back; the state need not have been there.
    fn undo(&mut self, id: Id) -> Arc<ChangeSet> {
        if let Some(undo) = &self.versions[&id].undo {
            return undo.clone();
        }
        let mut before = self.layers(self.versions[&id].parent);
        before.reverse();
        let before = self.ground.view().with_layers(&before);
        let undo = before.undo(&self.versions[&id].changes).expect("a world has no unknown keys");
        let undo = Arc::new(undo);
        self.version_mut(id).undo = Some(undo.clone());
        undo
    }

    pub(super) fn snapshot(&mut self, hash: &B256) -> Result<Snapshot, VersionError> {
        let id = self.find(hash)?;
        let mut layers = self.layers(id);
        let at = &self.versions[&self.world_at];
        let is_ahead = self.versions[&id].number > at.number;
        if is_ahead || at.is_dropped || layers.len() > LAYERS_MAX {
            self.move_world(id);
            layers = self.layers(id);
        }
        self.sweep();
        layers.reverse();
        Ok(Snapshot { layers, hashes: self.hashes_at(id), ground: self.ground.clone() })
    }

    fn hashes_at(&mut self, id: Id) -> Arc<BlockHashes> {
        let (latest, hashes) = &mut self.latest_hashes;
        if *latest != id {
            let version = &self.versions[&id];
            if version.parent == *latest && id != self.oldest {
                Arc::make_mut(hashes).insert(version.number, version.hash);
            } else {
                let mut all = self.hashes.clone();
                let path = self.path(self.oldest, id).forth;
                let reach = path.len().saturating_sub(BLOCK_HASH_HISTORY);
                for version in path[reach..].iter().map(|id| &self.versions[id]) {
                    all.insert(version.number, version.hash);
                }
                self.latest_hashes.1 = Arc::new(all);
            }
            self.latest_hashes.0 = id;
        }
        self.latest_hashes.1.clone()
    }

    /// Drops a version above the oldest, with all that stand on it.
    pub(super) fn remove(&mut self, id: Id) {
        let parent = self.versions[&id].parent;
        self.version_mut(parent).children.retain(|child| *child != id);
        self.drop_branch(id);
        self.leave_dropped(parent);
        self.sweep();
    }

    /// Makes `id` the oldest version; [`Self::sweep`] must follow.
    pub(super) fn advance(&mut self, id: Id) {
        for step in self.path(self.oldest, id).forth {
            for child in std::mem::take(&mut self.version_mut(self.oldest).children) {
                if child != step {
                    self.drop_branch(child);
                }
            }
            self.drop_one(self.oldest);
            let version = &self.versions[&step];
            self.entries -= version.entries;
            self.hashes.insert(version.number, version.hash);
            self.oldest = step;
        }
        self.leave_dropped(id);
    }

    fn drop_branch(&mut self, id: Id) {
        let mut branch = vec![id];
        while let Some(id) = branch.pop() {
            branch.append(&mut self.version_mut(id).children);
            self.entries -= self.versions[&id].entries;
            self.drop_one(id);
        }
    }

    fn drop_one(&mut self, id: Id) {
        let version = self.version_mut(id);
        version.is_dropped = true;
        let hash = version.hash;
        self.by_hash.remove(&hash);
        self.dropped.push(id);
    }

    /// Moves the state away from a version that was dropped, unless somebody reads it.
    fn leave_dropped(&mut self, to: Id) {
        if self.versions[&self.world_at].is_dropped {
            self.move_world(to);
        }
    }

    /// Forgets the changes of versions that were dropped, but for those that the state or the tries must cross.
    pub(super) fn sweep(&mut self) {
        if self.dropped.is_empty() {
            return;
        }
        let mut needed = BTreeSet::new();
        for at in self.trie_at.into_iter().chain([self.world_at]) {
            if self.versions[&at].is_dropped {
                let Path { back, forth } = self.path(at, self.oldest);
                needed.extend(back.into_iter().chain(forth).chain([at]));
            }
        }
        for id in std::mem::take(&mut self.dropped) {
            if needed.contains(&id) {
                self.dropped.push(id);
            } else {
                self.versions.remove(&id);
            }
        }
        if needed.is_empty() {
            let oldest = self.version_mut(self.oldest);
            (oldest.changes, oldest.undo, oldest.entries) = (Arc::default(), None, 0);
        }
    }
}

impl Version {
    fn new(parent: Id, hash: B256, number: u64, changes: ChangeSet, root: Option<B256>) -> Self {
        let slots = changes.accounts.values().map(|change| change.storage.len());
        let entries = changes.accounts.len() + slots.sum::<usize>();
        let changes = Arc::new(changes);
        let children = Vec::new();
        Self { parent, children, hash, number, changes, undo: None, root, entries, is_dropped: false }
    }
}
