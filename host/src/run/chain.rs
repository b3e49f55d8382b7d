//! The chain a case builds up: the state at its head, and what leads there.

use crate::{
    ingest::{GenesisHeader, Ommers, Prestate},
    rules::Ancestry,
    spec::ChainSpec,
    state::{
        BLOCK_HASH_HISTORY, BlockHashes, ChangeSet, Completeness, Snapshot, StateTrie, VersionError,
        VersionLimits, Versions, World,
    },
    store::{KeptHeader, Loaded, Store, StoreError},
};
use alloy_consensus::{Header, Sealed};
use alloy_primitives::{B256, U256, map::B256Map};
use std::sync::{Arc, MutexGuard};

/// The blocks accepted so far and the states after them.
#[derive(Debug)]
pub struct Chain {
    /// The rules.
    pub spec: ChainSpec,
    versions: Versions,
    /// Headers and ommers of the genesis block and of accepted blocks, by hash, as far back as any block can reach.
    headers: B256Map<(Header, Ommers)>,
    head: Option<B256>,
    /// Of the chain up to the head; only needed until the merge, and chains that merge by it have no
    /// siblings.
    total_difficulty: U256,
    last_accepted: Option<B256>,
}

/// Where the state of a chain without a genesis block stands.
const NO_BLOCK: B256 = B256::ZERO;

impl Chain {
    /// The chain of a case before its first block; `genesis` is absent for single blocks.
    ///
    /// # Errors
    /// In words, if the genesis state is not the one that the genesis header names.
    pub fn load(spec: ChainSpec, genesis: Option<GenesisHeader>, prestate: Prestate) -> Result<Self, String> {
        let mut hashes: BlockHashes =
            prestate.block_hashes.iter().map(|(number, hash)| (*number, *hash)).collect();
        let world = World::from_prestate(prestate);
        let trie = (world.completeness() == Completeness::Whole).then(|| StateTrie::new(&world));
        let genesis = genesis.map(|header| seal(header, trie.as_ref())).transpose()?;
        let mut headers = B256Map::default();
        let head = genesis.as_ref().map(Sealed::hash);
        let (mut total_difficulty, mut number) = (U256::ZERO, 0);
        if let Some(genesis) = genesis {
            let (header, hash) = genesis.into_parts();
            (total_difficulty, number) = (header.difficulty, header.number);
            hashes.insert(header.number, hash);
            headers.insert(hash, (header, Ommers::Headers(Vec::new())));
        }
        let limits = VersionLimits::default();
        let versions = Versions::new(world, trie, head.unwrap_or(NO_BLOCK), number, hashes, limits);
        Ok(Self { total_difficulty, spec, versions, headers, head, last_accepted: None })
    }

    /// The chain that a store holds, as it was when its last block was committed.
    ///
    /// # Errors
    /// A store that cannot be read, or whose states do not have the roots that their headers say.
    pub fn resume(spec: ChainSpec, store: &Store) -> Result<Self, StoreError> {
        let Loaded { world, trie, ancestry, blocks, head } = store.load()?;
        let base = ancestry.last();
        let of_head = blocks.iter().chain(base).find(|block| block.hash == head);
        let head_difficulty = of_head.map(|block| block.total_difficulty).unwrap_or_default();
        let hashes = ancestry.iter().map(|block| (block.header.number, block.hash)).collect();
        let (at, number) = base.map_or((NO_BLOCK, 0), |block| (block.hash, block.header.number));
        let versions = Versions::new(world, Some(trie), at, number, hashes, VersionLimits::default());
        let mut chain = Self {
            spec,
            versions,
            headers: B256Map::default(),
            head: base.map(|block| block.hash),
            total_difficulty: base.map_or(U256::ZERO, |block| block.total_difficulty),
            last_accepted: None,
        };
        for block in ancestry {
            chain.spec.resolve_merge(block.header.number + 1, block.total_difficulty);
            chain.headers.insert(block.hash, (block.header, Ommers::Headers(block.ommers)));
        }
        for block in blocks {
            let changes = store.changes(&block)?;
            if !chain.rewind_to(block.header.parent_hash) {
                // Its parent changed so much that it is out of reach already.
                continue;
            }
            chain.spec.resolve_merge(block.header.number, chain.total_difficulty);
            let Ok((root, tried)) = chain.try_changes(block.hash, block.header.number, changes) else {
                // Too far back beside what came before it.
                continue;
            };
            store.check_root(&block, root.unwrap_or_default())?;
            chain.accept(tried, block.header, Ommers::Headers(block.ommers));
            chain.total_difficulty = block.total_difficulty;
        }
        chain.rewind_to(head);
        chain.total_difficulty = head_difficulty;
        Ok(chain)
    }

    /// The block that was accepted last, as a store takes it; `None` before the first.
    pub fn last_accepted(&self) -> Option<(KeptHeader, Arc<ChangeSet>)> {
        let hash = self.last_accepted?;
        let (header, ommers) = self.headers.get(&hash)?;
        let ommers = ommers.headers().unwrap_or_default().to_vec();
        let total_difficulty = self.total_difficulty;
        let kept = KeptHeader { hash, header: header.clone(), ommers, total_difficulty };
        Some((kept, self.versions.changes(&hash).ok()?))
    }

    /// Hash of the block that was accepted last, wherever the head has gone since.
    pub const fn last_accepted_hash(&self) -> Option<B256> {
        self.last_accepted
    }

    /// Where the chain merges at a total difficulty, a block on the head may be the first behind it.
    pub fn resolve_merge(&mut self, header: &Header) {
        if self.head == Some(header.parent_hash) {
            self.spec.resolve_merge(header.number, self.total_difficulty);
        }
    }

    /// The states after accepted blocks, by their hashes.
    pub const fn versions(&self) -> &Versions {
        &self.versions
    }

    /// The state after the head, to be executed on; best let go of before a block is [tried](Self::try_changes).
    ///
    /// # Panics
    /// Never: the head's state is held.
    pub fn snapshot(&self) -> Snapshot {
        self.versions.at(&self.stand()).expect("the head's state is held")
    }

    /// The whole of that state.
    pub fn world(&self) -> Arc<World> {
        // Without the state there it would have to be copied.
        let _ = self.versions.follow(&self.stand());
        self.snapshot().into_world().expect("the state was loaded")
    }

    /// Whether the whole state is known, and with it the state root.
    pub const fn is_whole(&self) -> bool {
        self.versions.is_whole()
    }

    /// The state root after the head, where the whole state is known.
    pub fn state_root(&self) -> Option<B256> {
        self.versions.root(&self.stand()).ok().flatten()
    }

    /// The tries of the state after the head, where the whole state is known.
    pub fn trie(&self) -> Option<MutexGuard<'_, StateTrie>> {
        self.versions.trie(&self.stand()).ok().flatten()
    }

    /// The version that blocks are executed on.
    fn stand(&self) -> B256 {
        self.head.unwrap_or(NO_BLOCK)
    }

    /// Hash of the last accepted block.
    pub const fn head(&self) -> Option<B256> {
        self.head
    }

    /// The header of an accepted block, unless it is too far back to matter.
    pub fn header(&self, hash: &B256) -> Option<&Header> {
        self.headers.get(hash).map(|(header, _)| header)
    }

    /// Number of the lowest block whose header is held.
    pub fn lowest_header(&self) -> u64 {
        self.headers.values().map(|(header, _)| header.number).min().unwrap_or_default()
    }

    /// Whether any header is known that a block could have as its parent.
    pub fn has_genesis(&self) -> bool {
        !self.headers.is_empty()
    }

    /// Takes the hash of a single block's parent from its header, for `BLOCKHASH`.
    pub fn note_parent(&self, header: &Header) {
        if let Some(number) = header.number.checked_sub(1) {
            self.versions.note_block_hash(number, header.parent_hash);
        }
    }

    /// Makes the block `parent` the head, so that a block can be put on it; false if the state after it cannot be had
    /// (unknown, or too far back).
    pub fn rewind_to(&mut self, parent: B256) -> bool {
        if self.head.is_none() || !self.versions.contains(&parent) {
            return false;
        }
        self.head = Some(parent);
        true
    }

    /// Drops the headers that no block can reach any more, neither by `BLOCKHASH` nor as an ancestor, whichever held state
    /// it stands on. Done now and then, so that its cost is that of accepting the blocks.
    fn drop_old_headers(&mut self) {
        if self.headers.len() <= 2 * (self.versions.len() + BLOCK_HASH_HISTORY) {
            return;
        }
        let (lowest, reach) = (self.versions.oldest_number(), BLOCK_HASH_HISTORY as u64);
        self.headers.retain(|_, (header, _)| header.number + reach >= lowest);
    }

    /// Tries a block on the head: takes in its `changes` and computes the state root (`None` where the
    /// state is not whole). It is then [accepted](Self::accept) or [rejected](Self::reject).
    ///
    /// # Errors
    /// The block was accepted before with other changes, or is too far back to be held.
    pub fn try_changes(
        &mut self,
        hash: B256,
        number: u64,
        changes: ChangeSet,
    ) -> Result<(Option<B256>, Tried), VersionError> {
        let tried = self.take_in(hash, number, changes)?;
        // Who hashes needs a look at the versions first, and who applies keeps them.
        let (root, _) = rayon::join(|| self.versions.root(&hash), || self.versions.follow(&hash));
        Ok((root?, tried))
    }

    /// The first half of it: the block can be built upon, and its state root be had from [`Self::versions`].
    ///
    /// # Errors
    /// As for [`Self::try_changes`].
    pub fn take_in(&mut self, hash: B256, number: u64, changes: ChangeSet) -> Result<Tried, VersionError> {
        let was_held = self.versions.contains(&hash);
        let taken = self.versions.insert(&self.stand(), hash, number, changes);
        if self.head.is_some_and(|head| !self.versions.contains(&head)) {
            self.head = Some(self.versions.highest());
        }
        taken.map(|()| Tried { hash, was_held })
    }

    /// Keeps the tried block.
    pub fn accept(&mut self, tried: Tried, header: Header, ommers: Ommers) {
        self.total_difficulty = self.total_difficulty.saturating_add(header.difficulty);
        self.headers.insert(tried.hash, (header, ommers));
        self.head = Some(tried.hash);
        self.last_accepted = self.head;
        self.drop_old_headers();
    }

    /// Takes the tried block back.
    pub fn reject(&mut self, tried: &Tried) {
        // What was accepted before stays.
        if !tried.was_held {
            // It is gone already if it was too far back.
            let _ = self.versions.remove(&tried.hash);
        }
    }
}

impl Ancestry for Chain {
    fn block(&self, hash: &B256) -> Option<(&Header, &[Header])> {
        let (header, ommers) = self.headers.get(hash)?;
        Some((header, ommers.headers().unwrap_or_default()))
    }
}

/// A block whose changes are taken in, but which is not accepted yet.
#[derive(Debug)]
#[must_use]
pub struct Tried {
    hash: B256,
    was_held: bool,
}

/// The genesis header with its hash.
fn seal(header: GenesisHeader, trie: Option<&StateTrie>) -> Result<Sealed<Header>, String> {
    let root = trie.map(StateTrie::root);
    match header {
        GenesisHeader::Sealed(header) => match root {
            Some(root) if root != header.state_root => {
                Err(format!("state root: expected {}, found {root}", header.state_root))
            }
            _ => Ok(*header),
        },
        GenesisHeader::Unrooted { mut header, exported_hash } => {
            header.state_root = root.ok_or("the whole state is needed")?;
            let sealed = Sealed::new(*header);
            match exported_hash {
                Some(hash) if hash != sealed.hash() => {
                    Err(format!("hash: expected {hash}, found {}", sealed.hash()))
                }
                _ => Ok(sealed),
            }
        }
    }
}

#[cfg(test)]
mod tests;
