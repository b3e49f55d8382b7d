//! States by block hash, siblings side by side.
//!
//! One whole state is held in memory, and its tries; every other version is a path of changes from there, forth
//! along what blocks changed and back along what undoes it. The state follows the block with the highest number
//! while nobody reads it, so that a block on that one reads without layers and a sibling through few. Whoever reads
//! holds a [`Snapshot`], and several may at a time, in several threads; nothing that happens here changes what they
//! read. The tries move apart from the state, under a lock of their own: roots can be hashed while the next block
//! executes.

mod error;
#[cfg(test)]
mod tests;
mod tree;

pub use error::{SupplyError, VersionError};

use self::tree::{Id, Tree};
use super::{BlockHashes, ChangeSet, StateTrie, StateValue, Supplied, View, World};
use alloy_primitives::B256;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much is held beside the state itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionLimits {
    /// Most versions above the oldest.
    pub versions_max: usize,
    /// Most accounts and slots in their changes: about 300 bytes each, with what undoes them. One version is held
    /// however large it is.
    pub entries_max: usize,
}

impl Default for VersionLimits {
    /// 4096 versions, for blocks may change next to nothing, and 2^20 entries: about 300 MB.
    fn default() -> Self {
        Self { versions_max: 4096, entries_max: 1 << 20 }
    }
}

impl VersionLimits {
    /// For states that are [supplied](Versions::on_demand), whose versions are all read through layers: 64 versions.
    pub fn on_demand() -> Self {
        Self { versions_max: 64, ..Self::default() }
    }
}

/// Most keys that are held of a state that is supplied: some 500 MB.
const SUPPLIED_MAX: usize = 1 << 22;

/// From this many layers on even an older version is worth moving the state to.
const LAYERS_MAX: usize = 16;

/// States addressed by the hash of the block that leads to them.
///
/// The results of a block are not cached: executed again it changes the same, which [`Self::insert`] sees to. When a
/// [limit](VersionLimits) is exceeded the oldest version goes, and with it what does not stand on the
/// branch to the highest block; [`Self::finalise`] does so on purpose.
#[derive(Debug)]
pub struct Versions {
    tree: Mutex<Tree>,
    /// Locked before the tree, never after it, but for attempts.
    trie: Option<Mutex<StateTrie>>,
}

impl Versions {
    /// The state `world` after the block `hash`. `trie` is that of the same state, where it is whole; without one there
    /// are no state roots. `hashes` are those of the block and its ancestors.
    pub fn new(
        world: World,
        trie: Option<StateTrie>,
        hash: B256,
        number: u64,
        hashes: BlockHashes,
        limits: VersionLimits,
    ) -> Self {
        let root = trie.as_ref().map(StateTrie::root);
        let tree = Tree::new(Ground::World(Arc::new(world)), hash, number, hashes, root, limits);
        Self { tree: Mutex::new(tree), trie: trie.map(Mutex::new) }
    }

    /// The state after the block `hash`, of which nothing is known yet: keys are [supplied](Self::supply) as they are
    /// needed. It stays where it is, under the changes of all blocks, until [finalised](Self::finalise).
    pub fn on_demand(hash: B256, number: u64, limits: VersionLimits) -> Self {
        let hashes = [(number, hash)].into_iter().collect();
        let ground = Ground::Supplied(Arc::default());
        Self { tree: Mutex::new(Tree::new(ground, hash, number, hashes, None, limits)), trie: None }
    }

    /// Takes in values of the state after the block `hash`. Those that no block has changed since the oldest version
    /// are known of all versions then. What is known already must be equal.
    ///
    /// Best done while no [`Snapshot`] is held: what was supplied before would be copied.
    ///
    /// # Errors
    /// The first value that differs from what is known, or does not fit; those before it are taken in.
    pub fn supply(
        &self,
        hash: &B256,
        values: impl IntoIterator<Item = StateValue>,
    ) -> Result<(), SupplyError> {
        let mut tree = self.tree();
        let id = tree.find(hash)?;
        tree.supply(id, values)
    }

    /// Whether state roots can be had.
    pub const fn is_whole(&self) -> bool {
        self.trie.is_some()
    }

    /// Whether the state after the block `hash` can be had.
    pub fn contains(&self, hash: &B256) -> bool {
        self.tree().find(hash).is_ok()
    }

    /// Number of the oldest block whose state can be had.
    pub fn oldest_number(&self) -> u64 {
        self.tree().oldest_number()
    }

    /// Versions that can be had: one at least.
    #[allow(clippy::len_without_is_empty, reason = "there always is one")]
    pub fn len(&self) -> usize {
        self.tree().len()
    }

    /// The block with the highest number, and of several such the first that came.
    pub fn highest(&self) -> B256 {
        self.tree().highest_hash()
    }

    /// The state after the block `hash`, to be read.
    ///
    /// # Errors
    /// [`VersionError::OutOfReach`].
    pub fn at(&self, hash: &B256) -> Result<Snapshot, VersionError> {
        self.tree().snapshot(hash)
    }

    /// Records what a block changed against the state after its parent. The state follows when it is next asked for, or
    /// when [told to](Self::follow).
    ///
    /// # Errors
    /// A parent that is not held, a block that is held with other changes, and one that does not fit.
    pub fn insert(
        &self,
        parent: &B256,
        hash: B256,
        number: u64,
        changes: ChangeSet,
    ) -> Result<(), VersionError> {
        let mut tree = self.tree();
        tree.insert(parent, hash, number, changes)?;
        while let Some(oldest) = tree.oldest_beyond_limits() {
            if tree.is_on_highest_branch(oldest) {
                self.advance(&mut tree, oldest);
            } else {
                tree.remove(oldest);
            }
        }
        tree.find(&hash).map(drop)
    }

    /// Moves the state to the block `hash`, unless somebody reads it: applies changes, or takes them back. True if it
    /// is there.
    ///
    /// # Errors
    /// [`VersionError::OutOfReach`].
    pub fn follow(&self, hash: &B256) -> Result<bool, VersionError> {
        let mut tree = self.tree();
        let id = tree.find(hash)?;
        let is_there = tree.move_world(id);
        tree.sweep();
        Ok(is_there)
    }

    /// The state root after the block `hash`, hashed now if it was not before; `None` where the state is not whole.
    ///
    /// # Errors
    /// [`VersionError::OutOfReach`].
    pub fn root(&self, hash: &B256) -> Result<Option<B256>, VersionError> {
        if !self.is_whole() {
            return Ok(None);
        }
        let known = {
            let tree = self.tree();
            tree.root(tree.find(hash)?)
        };
        match known {
            Some(root) => Ok(Some(root)),
            None => Ok(self.trie(hash)?.map(|trie| trie.root())),
        }
    }

    /// The tries of the state after the block `hash`, to themselves; `None` where the state is not whole.
    ///
    /// # Errors
    /// [`VersionError::OutOfReach`].
    ///
    /// # Panics
    /// If a thread panicked while it changed the tries.
    pub fn trie(&self, hash: &B256) -> Result<Option<MutexGuard<'_, StateTrie>>, VersionError> {
        let Some(trie) = &self.trie else { return Ok(None) };
        let mut trie = trie.lock().expect("tries are whole");
        let (id, steps) = {
            let mut tree = self.tree();
            let id = tree.find(hash)?;
            (id, tree.move_trie(id))
        };
        for step in steps {
            trie.update(&step);
        }
        let mut tree = self.tree();
        tree.note_root(id, trie.root());
        tree.sweep();
        drop(tree);
        Ok(Some(trie))
    }

    /// What the block `hash` changed, against the state after its parent; nothing of the oldest version.
    ///
    /// # Errors
    /// [`VersionError::OutOfReach`].
    pub fn changes(&self, hash: &B256) -> Result<Arc<ChangeSet>, VersionError> {
        let tree = self.tree();
        Ok(tree.changes(tree.find(hash)?))
    }

    /// Takes a block back, with all that stand on it.
    ///
    /// # Errors
    /// [`VersionError::OutOfReach`], and [`VersionError::Oldest`], below which there is nothing.
    pub fn remove(&self, hash: &B256) -> Result<(), VersionError> {
        let mut tree = self.tree();
        let id = tree.find(hash)?;
        if id == tree.oldest() {
            return Err(VersionError::Oldest(*hash));
        }
        tree.remove(id);
        Ok(())
    }

    /// Makes the block `hash` the oldest: drops what does not stand on it, and what would undo it.
    ///
    /// # Errors
    /// [`VersionError::OutOfReach`].
    pub fn finalise(&self, hash: &B256) -> Result<(), VersionError> {
        let mut tree = self.tree();
        let id = tree.find(hash)?;
        self.advance(&mut tree, id);
        Ok(())
    }

    /// Records the hash of a block before the oldest version, or of that block itself.
    pub fn note_block_hash(&self, number: u64, hash: B256) {
        self.tree().note_block_hash(number, hash);
    }

    /// Makes `id` the oldest version. Tries that someone is hashing stay where they are, and the changes that lead from
    /// there, until the next time.
    fn advance(&self, tree: &mut Tree, id: Id) {
        tree.advance(id);
        if tree.has_trie_astray()
            && let Some(Ok(mut trie)) = self.trie.as_ref().map(Mutex::try_lock)
        {
            for step in tree.move_trie(id) {
                trie.update(&step);
            }
            tree.note_root(id, trie.root());
        }
        tree.sweep();
    }

    /// No operation leaves the tree half changed, so a poisoned lock is passed through.
    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is in memory, under all changes.
#[derive(Clone, Debug)]
enum Ground {
    /// A state that was loaded, and follows the highest block.
    World(Arc<World>),
    /// What was supplied of the state after the oldest block.
    Supplied(Arc<Supplied>),
}

impl Ground {
    fn view(&self) -> View<'_> {
        match self {
            Self::World(world) => View::from(&**world),
            Self::Supplied(supplied) => View::from(&**supplied),
        }
    }
}

/// The state after one block, whatever becomes of the [`Versions`] meanwhile. While it is held the state in memory
/// stays where it is, so it is best let go of soon.
#[derive(Clone, Debug)]
pub struct Snapshot {
    ground: Ground,
    /// The newest first.
    layers: Vec<Arc<ChangeSet>>,
    hashes: Arc<BlockHashes>,
}

impl Snapshot {
    /// The state, as execution reads it.
    pub fn view(&self) -> View<'_> {
        self.ground.view().with_layers(&self.layers).with_hashes(&self.hashes)
    }

    /// Changes between the state in memory and this one.
    pub const fn layer_count(&self) -> usize {
        self.layers.len()
    }

    /// The whole state: copied, unless it is the one in memory. `None` where it is supplied key by key.
    pub fn into_world(self) -> Option<Arc<World>> {
        let Ground::World(mut world) = self.ground else { return None };
        if !self.layers.is_empty() {
            let world = Arc::make_mut(&mut world);
            for layer in self.layers.iter().rev() {
                world.apply(layer);
            }
        }
        Some(world)
    }
}
