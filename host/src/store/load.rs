//! Loading: the snapshot, the records after it, and proof that what came of them is the state of the head.

use super::{
    KeptHeader, Limits, Store, StoreError, StoreFault,
    chunks::Rows,
    file::{ACCOUNTS, CODES, STORAGE, read_ancestry, read_changes, read_header, read_meta, read_tail},
    record::{self, BlockId, Meta},
    tail::{Tail, TailBlock},
};
use crate::state::{Account, AccountChange, ChangeSet, Completeness, StateTrie, World};
use alloy_primitives::{Address, B256, Bytes, U256, map::B256Map};
use redb::{ReadTransaction, ReadableDatabase as _, ReadableTable as _};
use revm::state::Bytecode;
use std::iter::Peekable;

/// A state of the chain with what leads to it, and the blocks that may be put on it.
#[derive(Debug)]
pub struct Loaded {
    /// The whole state after the last block of [`Self::ancestry`].
    pub world: World,
    /// Its tries, whose root is the one that the block's header names.
    pub trie: StateTrie,
    /// That block, last, and its ancestors as far back as `BLOCKHASH` reaches, by ascending number.
    pub ancestry: Vec<KeptHeader>,
    /// The blocks after it, siblings included, parents before their children. [`Store::changes`] has what they changed.
    pub blocks: Vec<KeptHeader>,
    /// Hash of the block that was committed last.
    pub head: B256,
}

impl Store {
    /// Loads the state behind the blocks that a reorganisation may take back, and says which those are.
    ///
    /// # Errors
    /// [`StoreFault::Damaged`] with what does not fit; a file that cannot be read.
    pub fn load(&self) -> Result<Loaded, StoreError> {
        let settled = |path: &[TailBlock]| Tail::settled(path, self.limits);
        self.load_behind(settled).map_err(|fault| fault.at(&self.folder))
    }

    /// Loads the state of the head; there are then no blocks after it.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_head(&self) -> Result<Loaded, StoreError> {
        self.load_behind(<[TailBlock]>::len).map_err(|fault| fault.at(&self.folder))
    }

    /// Loads the state after as many blocks of the path to the head as `settled` says.
    fn load_behind(&self, settled: impl FnOnce(&[TailBlock]) -> usize) -> Result<Loaded, StoreFault> {
        let transaction = self.database.begin_read()?;
        let meta = read_meta(&transaction)?;
        let mut tail = read_tail(&transaction, &meta)?;
        let mut world = read_snapshot(&transaction, &meta)?;
        let path = tail.path().unwrap_or_default();
        let settled = &path[..settled(&path)];
        for block in settled {
            world.apply(&changes_of(&transaction, block)?);
        }
        if let Some(last) = settled.last() {
            tail.advance(last.id);
        }
        let ancestry = read_ancestry(&transaction, tail.base)?;
        let base =
            ancestry.last().ok_or_else(|| StoreFault::damaged("headers", "no block of the snapshot"))?;
        let trie = StateTrie::new(&world);
        check_root(tail.base, base.header.state_root, trie.root())?;
        let header = |block: &TailBlock| Ok(read_header(&transaction, block.id)?.0);
        let blocks = tail.by_height().iter().map(header).collect::<Result<_, StoreFault>>()?;
        Ok(Loaded { world, trie, ancestry, blocks, head: meta.head.hash })
    }

    /// What a block changed, which the store holds.
    ///
    /// # Errors
    /// [`StoreFault::Damaged`] if it is not there or not readable; a file that cannot be read.
    pub fn changes(&self, block: &KeptHeader) -> Result<ChangeSet, StoreError> {
        let id = BlockId { number: block.header.number, hash: block.hash };
        let read = || {
            let transaction = self.database.begin_read()?;
            let (_, changes_bytes) = read_header(&transaction, id)?;
            changes_of(&transaction, &TailBlock { id, parent: block.header.parent_hash, changes_bytes })
        };
        read().map_err(|fault: StoreFault| fault.at(&self.folder))
    }

    /// The fault of a block after which the state has another root than its header says.
    ///
    /// # Errors
    /// [`StoreFault::Damaged`] if the roots differ.
    pub fn check_root(&self, block: &KeptHeader, found: B256) -> Result<(), StoreError> {
        let id = BlockId { number: block.header.number, hash: block.hash };
        check_root(id, block.header.state_root, found).map_err(|fault| fault.at(&self.folder))
    }

    /// What the store keeps.
    pub const fn limits(&self) -> Limits {
        self.limits
    }
}

/// Damage, if the roots differ.
pub(super) fn check_root(block: BlockId, expected: B256, found: B256) -> Result<(), StoreFault> {
    if expected == found {
        return Ok(());
    }
    let what = format_args!("state after block {block}");
    Err(StoreFault::damaged(what, format_args!("root {found}, its header says {expected}")))
}

/// Reads what a block changed.
pub(super) fn changes_of(transaction: &ReadTransaction, block: &TailBlock) -> Result<ChangeSet, StoreFault> {
    record::decode_changes(&read_changes(transaction, block)?)
        .map_err(|error| StoreFault::damaged(format_args!("changes of block {}", block.id), error))
}

/// Accounts that room is made for ahead.
const ROOM_MAX: usize = 1 << 24;

/// Reads the snapshot.
pub(super) fn read_snapshot(transaction: &ReadTransaction, meta: &Meta) -> Result<World, StoreFault> {
    let codes = read_codes(transaction)?;
    let accounts = usize::try_from(meta.accounts.rows).unwrap_or_default();
    // What a file claims is no reason to allocate without bounds.
    let mut world = World::with_capacity(Completeness::Whole, accounts.min(ROOM_MAX));
    let slot_table = transaction.open_table(STORAGE)?;
    let mut slot_chunks = slot_table.range::<&[u8]>(..)?;
    let mut slots = Slots { chunk: Vec::new().into_iter().peekable() };
    for chunk in transaction.open_table(ACCOUNTS)?.range::<&[u8]>(..)? {
        let (_, chunk) = chunk?;
        let mut others = ChangeSet::default();
        for row in Rows::<20>(chunk.value()) {
            let (address, account) = record::decode_account(row?.1)?;
            if account.has_code() && !codes.contains_key(&account.code_hash) {
                let what = format_args!("code {} of account {address}", account.code_hash);
                return Err(StoreFault::damaged(what, "missing"));
            }
            let mut storage = Vec::new();
            while let Some((owner, slot, value)) = slots.peek(&mut slot_chunks)? {
                if owner != address {
                    break;
                }
                storage.push((slot, value));
                slots.chunk.next();
            }
            if storage.is_empty() && !account.has_code() {
                let Account { balance, nonce, .. } = account;
                world.insert(address, balance, nonce, Bytes::new(), []);
            } else {
                let storage = storage.into_iter().collect();
                let change = AccountChange { account: Some(account), storage_wiped: false, storage };
                others.accounts.insert(address, change);
            }
        }
        world.apply(&others);
    }
    if let Some((owner, ..)) = slots.peek(&mut slot_chunks)? {
        return Err(StoreFault::damaged(
            format_args!("storage of {owner}"),
            "its account is not in its place",
        ));
    }
    world.apply(&ChangeSet { codes, ..ChangeSet::default() });
    Ok(world)
}

fn read_codes(transaction: &ReadTransaction) -> Result<B256Map<Bytecode>, StoreFault> {
    let mut codes = B256Map::default();
    for entry in transaction.open_table(CODES)?.iter()? {
        let (hash, code) = entry?;
        let hash = B256::new(*hash.value());
        let code = record::bytecode(Bytes::copy_from_slice(code.value()));
        let found = code.hash_slow();
        if found != hash {
            return Err(StoreFault::damaged(format_args!("code {hash}"), format_args!("hashes to {found}")));
        }
        codes.insert(hash, code);
    }
    Ok(codes)
}

/// Slots in order of their accounts, a chunk at a time.
struct Slots {
    chunk: Peekable<std::vec::IntoIter<(Address, U256, U256)>>,
}

impl Slots {
    fn peek(
        &mut self,
        chunks: &mut redb::Range<'_, &'static [u8], &'static [u8]>,
    ) -> Result<Option<(Address, U256, U256)>, StoreFault> {
        while self.chunk.peek().is_none() {
            let Some(chunk) = chunks.next() else { return Ok(None) };
            let (_, chunk) = chunk?;
            let rows = Rows::<52>(chunk.value()).map(|row| Ok(record::decode_slot(row?.1)?));
            self.chunk = rows.collect::<Result<Vec<_>, StoreFault>>()?.into_iter().peekable();
        }
        Ok(self.chunk.peek().copied())
    }
}
