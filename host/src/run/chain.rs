//! The chain a case builds up: the state at its head, and what leads there.

use crate::{
    ingest::{GenesisHeader, Ommers, Prestate},
    rules::Ancestry,
    spec::ChainSpec,
    state::{BLOCK_HASH_HISTORY, BlockHashes, ChangeSet, Completeness, StateTrie, View, World},
    store::{KeptHeader, Loaded, Store, StoreError},
};
use alloy_consensus::{Header, Sealed};
use alloy_primitives::{B256, U256, map::B256Map};
use std::collections::VecDeque;

/// The blocks accepted so far and the state after the last of them.
#[derive(Debug)]
pub struct Chain {
    /// The rules.
    pub spec: ChainSpec,
    world: World,
    /// Of the head and its ancestors.
    hashes: BlockHashes,
    /// The trie of the state, where the whole state is known.
    trie: Option<StateTrie>,
    /// Headers and ommers of the genesis block and of accepted blocks, by hash, as far back as any block can reach.
    headers: B256Map<(Header, Ommers)>,
    head: Option<B256>,
    /// Of the chain up to the head; only needed until the merge, and chains that merge by it have no
    /// siblings.
    total_difficulty: U256,
    /// Strides over the last accepted blocks, so that siblings can be tried.
    strides: B256Map<Stride>,
    /// Their hashes in order of acceptance.
    stride_order: VecDeque<B256>,
    stride_accounts: usize,
}

/// How to step over one accepted block, forth and back.
#[derive(Debug)]
struct Stride {
    changes: ChangeSet,
    undo: ChangeSet,
}

/// Strides are dropped, oldest first, once they hold more changed accounts than this: about 300 MB.
const STRIDE_ACCOUNTS_MAX: usize = 1 << 20;
/// Strides are dropped, oldest first, once there are more than this: blocks may change next to nothing.
const STRIDES_MAX: usize = 4096;

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
        let mut total_difficulty = U256::ZERO;
        if let Some(genesis) = genesis {
            let (header, hash) = genesis.into_parts();
            total_difficulty = header.difficulty;
            hashes.insert(header.number, hash);
            headers.insert(hash, (header, Ommers::Headers(Vec::new())));
        }
        Ok(Self {
            total_difficulty,
            spec,
            world,
            hashes,
            trie,
            headers,
            head,
            strides: B256Map::default(),
            stride_order: VecDeque::new(),
            stride_accounts: 0,
        })
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
        let mut chain = Self {
            spec,
            world,
            hashes: ancestry.iter().map(|block| (block.header.number, block.hash)).collect(),
            trie: Some(trie),
            head: base.map(|block| block.hash),
            total_difficulty: base.map_or(U256::ZERO, |block| block.total_difficulty),
            headers: B256Map::default(),
            strides: B256Map::default(),
            stride_order: VecDeque::new(),
            stride_accounts: 0,
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
            let (root, tried) = chain.try_changes(changes);
            store.check_root(&block, root.unwrap_or_default())?;
            chain.accept(tried, block.hash, block.header, Ommers::Headers(block.ommers));
            chain.total_difficulty = block.total_difficulty;
        }
        chain.rewind_to(head);
        chain.total_difficulty = head_difficulty;
        Ok(chain)
    }

    /// The block that was accepted last, as a store takes it; `None` before the first.
    pub fn last_accepted(&self) -> Option<(KeptHeader, &ChangeSet)> {
        let hash = self.stride_order.back()?;
        let (header, ommers) = self.headers.get(hash)?;
        let ommers = ommers.headers().unwrap_or_default().to_vec();
        let total_difficulty = self.total_difficulty;
        let kept = KeptHeader { hash: *hash, header: header.clone(), ommers, total_difficulty };
        Some((kept, &self.strides.get(hash)?.changes))
    }

    /// Hash of the block that was accepted last, wherever the head has gone since.
    pub fn last_accepted_hash(&self) -> Option<B256> {
        self.stride_order.back().copied()
    }

    /// Where the chain merges at a total difficulty, a block on the head may be the first behind it.
    pub fn resolve_merge(&mut self, header: &Header) {
        if self.head == Some(header.parent_hash) {
            self.spec.resolve_merge(header.number, self.total_difficulty);
        }
    }

    /// The state after the head, as execution reads it.
    pub fn view(&self) -> View<'_> {
        View::from(&self.world).with_hashes(&self.hashes)
    }

    /// The whole of that state.
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// The trie of that state, where the whole state is known.
    pub const fn trie(&self) -> Option<&StateTrie> {
        self.trie.as_ref()
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
    pub fn note_parent(&mut self, header: &Header) {
        if let Some(number) = header.number.checked_sub(1) {
            self.hashes.insert(number, header.parent_hash);
        }
    }

    /// Makes the state after the block `parent` current, so that a block can be put on it; false if
    /// that state cannot be had (unknown, or too far back).
    pub fn rewind_to(&mut self, parent: B256) -> bool {
        let Some(head) = self.head else { return false };
        if head == parent {
            return true;
        }
        // Both branches down to where they meet.
        let (mut back, mut forth) = (Vec::new(), Vec::new());
        let (mut ours, mut theirs) = (head, parent);
        while ours != theirs {
            let (Some(a), Some(b)) = (self.header(&ours), self.header(&theirs)) else { return false };
            let step_ours = a.number >= b.number;
            let (hash, path, next) = if step_ours {
                (&mut ours, &mut back, a.parent_hash)
            } else {
                (&mut theirs, &mut forth, b.parent_hash)
            };
            if !self.strides.contains_key(hash) {
                return false;
            }
            path.push(*hash);
            *hash = next;
        }
        for hash in back {
            Self::step(&mut self.world, &mut self.trie, &self.strides[&hash].undo);
        }
        for hash in forth.into_iter().rev() {
            Self::step(&mut self.world, &mut self.trie, &self.strides[&hash].changes);
        }
        self.head = Some(parent);
        self.take_block_hashes();
        true
    }

    /// Makes the hashes that `BLOCKHASH` gives those of the head and its ancestors.
    fn take_block_hashes(&mut self) {
        self.hashes = BlockHashes::new();
        let mut next = self.head;
        for _ in 0..BLOCK_HASH_HISTORY {
            let Some((hash, (header, _))) = next.and_then(|hash| self.headers.get_key_value(&hash)) else {
                break;
            };
            self.hashes.insert(header.number, *hash);
            next = Some(header.parent_hash);
        }
    }

    /// Drops the headers that no block can reach any more, neither by `BLOCKHASH` nor as an ancestor, whichever held state
    /// it stands on. Done now and then, so that its cost is that of accepting the blocks.
    fn drop_old_headers(&mut self) {
        if self.headers.len() <= 2 * (self.strides.len() + BLOCK_HASH_HISTORY) {
            return;
        }
        let held = self.strides.keys().filter_map(|hash| self.headers.get(hash));
        let Some(lowest) = held.map(|(header, _)| header.number).min() else { return };
        // The state before the lowest block is held as well.
        let reach = BLOCK_HASH_HISTORY as u64 + 1;
        self.headers.retain(|_, (header, _)| header.number + reach >= lowest);
    }

    fn step(world: &mut World, trie: &mut Option<StateTrie>, changes: &ChangeSet) {
        rayon::join(|| world.apply(changes), || trie.as_mut().map(|trie| trie.update(changes)));
    }

    /// Tries a block on the head: applies `changes` and computes the state root (`None` where the
    /// state is not whole). It is then [accepted](Self::accept) or [rejected](Self::reject).
    pub fn try_changes(&mut self, changes: ChangeSet) -> (Option<B256>, Tried) {
        let (world, trie) = (&mut self.world, &mut self.trie);
        let (undo, root) = rayon::join(
            || world.apply_undoably(&changes),
            || trie.as_mut().map(|trie| trie.update(&changes)),
        );
        (root, Tried(Stride { changes, undo }))
    }

    /// Keeps the tried block.
    pub fn accept(&mut self, tried: Tried, hash: B256, header: Header, ommers: Ommers) {
        self.hashes.insert(header.number, hash);
        self.total_difficulty = self.total_difficulty.saturating_add(header.difficulty);
        self.headers.insert(hash, (header, ommers));
        self.head = Some(hash);
        self.stride_accounts += tried.0.changes.accounts.len();
        match self.strides.insert(hash, tried.0) {
            None => self.stride_order.push_back(hash),
            Some(again) => self.stride_accounts -= again.changes.accounts.len(),
        }
        while (self.stride_accounts > STRIDE_ACCOUNTS_MAX && self.stride_order.len() > 1)
            || self.stride_order.len() > STRIDES_MAX
        {
            let oldest = self.stride_order.pop_front().and_then(|hash| self.strides.remove(&hash));
            self.stride_accounts -= oldest.map_or(0, |stride| stride.changes.accounts.len());
        }
        self.drop_old_headers();
    }

    /// Takes the tried block back.
    pub fn reject(&mut self, tried: &Tried) {
        Self::step(&mut self.world, &mut self.trie, &tried.0.undo);
    }
}

impl Ancestry for Chain {
    fn block(&self, hash: &B256) -> Option<(&Header, &[Header])> {
        let (header, ommers) = self.headers.get(hash)?;
        Some((header, ommers.headers().unwrap_or_default()))
    }
}

/// A block whose changes are applied, but which is not accepted yet.
#[derive(Debug)]
#[must_use]
pub struct Tried(Stride);

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
