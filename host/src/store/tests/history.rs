//! Random chains to be stored: blocks that change accounts, storage and code in all ways, with siblings.

use crate::{
    state::{Account, AccountChange, ChangeSet, Completeness, StateTrie, World},
    store::{Identity, KeptHeader, Limits, Origin, Store, StoreError},
};
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use revm::state::Bytecode;

/// `SplitMix64`.
#[derive(Clone, Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }
}

/// A chain under construction: the state after its head.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) random: Random,
    pub(super) world: World,
    pub(super) trie: StateTrie,
    pub(super) head: KeptHeader,
    people: u64,
}

impl History {
    /// A genesis state of about as many accounts.
    pub(super) fn new(seed: u64, people: u64) -> Self {
        let mut history = Self {
            random: Random(seed),
            world: World::with_capacity(Completeness::Whole, 0),
            trie: StateTrie::default(),
            head: KeptHeader {
                hash: B256::ZERO,
                header: Header::default(),
                ommers: Vec::new(),
                total_difficulty: U256::ZERO,
            },
            people,
        };
        let changes = history.draw_changes(people);
        history.world.apply(&changes);
        history.trie = StateTrie::new(&history.world);
        history.head.header.state_root = history.trie.root();
        history.head.hash = history.head.header.hash_slow();
        history
    }

    pub(super) fn identity(&self) -> Identity {
        Identity { chain_id: 7, genesis_hash: B256::repeat_byte(7) }
    }

    pub(super) fn origin(&self, reorg_depth: u64) -> Origin<'_> {
        let limits = Limits { reorg_depth };
        Origin { identity: self.identity(), limits, block: &self.head, ancestors: &[], world: &self.world }
    }

    /// Puts a block with some changes on the head.
    pub(super) fn extend(&mut self, accounts: u64) -> (KeptHeader, ChangeSet) {
        let changes = self.draw_changes(accounts);
        self.world.apply(&changes);
        let header = Header {
            number: self.head.header.number + 1,
            parent_hash: self.head.hash,
            state_root: self.trie.update(&changes),
            ..Header::default()
        };
        let ommers = if self.random.below(3) == 0 { vec![self.head.header.clone()] } else { Vec::new() };
        let total_difficulty = self.head.total_difficulty + U256::from(self.random.next());
        self.head = KeptHeader { hash: header.hash_slow(), header, ommers, total_difficulty };
        (self.head.clone(), changes)
    }

    /// Changes of every kind, as a block leaves them: against the state before it, each account once.
    fn draw_changes(&mut self, accounts: u64) -> ChangeSet {
        let mut changes = ChangeSet::default();
        for _ in 0..accounts {
            let address = Address::from_word(keccak256(self.random.below(self.people).to_be_bytes()));
            let exists = self.world.accounts().contains_key(&address);
            let has_slots = self.world.slots(&address).is_some();
            if exists && self.random.below(12) == 0 {
                let gone = AccountChange { storage_wiped: has_slots, ..AccountChange::default() };
                changes.accounts.insert(address, gone);
                continue;
            }
            let mut account = Account {
                balance: U256::from(self.random.next()) << self.random.index(190),
                nonce: 1 + (self.random.next() >> self.random.below(64)),
                ..Account::default()
            };
            let mut change = AccountChange::default();
            if self.random.below(4) == 0 {
                let code = Bytecode::new_legacy(Bytes::from(self.random.below(9).to_be_bytes().repeat(3)));
                account.code_hash = code.hash_slow();
                changes.codes.insert(account.code_hash, code);
                change.storage_wiped = has_slots && self.random.below(4) == 0;
                for _ in 0..self.random.below(20) {
                    let slot = U256::from(self.random.below(60));
                    let value = U256::from(self.random.next() * self.random.below(3).min(1));
                    change.storage.insert(slot, value);
                }
            }
            change.account = Some(account);
            changes.accounts.insert(address, change);
        }
        changes
    }
}

/// The state after the head as the store gives it, and its root, after all roots on the way were compared.
pub(super) fn head_state(store: &Store) -> Result<(World, B256, KeptHeader), StoreError> {
    let loaded = store.load()?;
    let (mut world, mut trie) = (loaded.world, loaded.trie);
    let mut path = Vec::new();
    let mut hash = loaded.head;
    let base = loaded.ancestry.last().unwrap();
    while hash != base.hash {
        let block = loaded.blocks.iter().find(|block| block.hash == hash).unwrap();
        hash = block.header.parent_hash;
        path.push(block);
    }
    for block in path.iter().rev() {
        let changes = store.changes(block)?;
        world.apply(&changes);
        store.check_root(block, trie.update(&changes))?;
    }
    let head = path.first().map_or(base, |head| head);
    Ok((world, trie.root(), head.clone()))
}
