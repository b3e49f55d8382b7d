//! The file of a store: its tables, opening it, and what is said about it.

use super::{
    Identity, KeptHeader, LAYOUT_VERSION, Limits, REORG_DEPTH_MAX, StoreError, StoreFault, WINDOW_BYTES_MAX,
    record::{self, BlockId, Meta},
    snapshot,
    tail::{Tail, TailBlock, step_bytes},
    writer::{Commit, Encoded, Writer},
};
use crate::state::{ChangeSet, World};
use alloy_primitives::B256;
use redb::{
    Builder, Database, ReadTransaction, ReadableDatabase as _, StorageBackend, TableDefinition, TableError,
};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Name of the file in a store's folder.
pub const FILE_NAME: &str = "state.redb";

pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Block id to header record.
pub(super) const HEADERS: TableDefinition<'_, &[u8; BlockId::BYTES], &[u8]> = TableDefinition::new("headers");
/// Block id and number of the part (2 bytes, big-endian) to a part of the block's change record.
pub(super) const CHANGES: TableDefinition<'_, &[u8; BlockId::BYTES + 2], &[u8]> =
    TableDefinition::new("changes");
/// Chunks of account rows.
pub(super) const ACCOUNTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("accounts");
/// Chunks of slot rows.
pub(super) const STORAGE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("storage");
/// Code by hash.
pub(super) const CODES: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("codes");

/// Layout of all else; read first.
pub(super) const VERSION: &str = "version";
pub(super) const IDENTITY: &str = "identity";
/// Id of the block whose state the snapshot is.
pub(super) const BASE: &str = "base";
/// Id of the block that was committed last.
pub(super) const HEAD: &str = "head";
pub(super) const TOTALS: &str = "totals";

/// Longest part of a change record: with its key it fits a page of 64 KiB, where a longer value would waste up to half of
/// its pages, which are powers of two.
pub(super) const PART_BYTES_MAX: usize = 65_000;

/// Memory that the embedded store may use for pages, in bytes.
const CACHE_BYTES: usize = 64 << 20;

/// What a store begins with: a block and the whole state after it.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The chain.
    pub identity: Identity,
    /// What the store keeps.
    pub limits: Limits,
    /// The block.
    pub block: &'a KeptHeader,
    /// Earlier blocks, for `BLOCKHASH`: as many as are known, by ascending number.
    pub ancestors: &'a [KeptHeader],
    /// The state after the block, whose root the header names.
    pub world: &'a World,
}

/// A store that this process has open.
#[derive(Debug)]
pub struct Store {
    pub(super) folder: PathBuf,
    pub(super) identity: Identity,
    pub(super) limits: Limits,
    writer: Writer,
    pub(super) database: Arc<Database>,
}

impl Store {
    /// Makes a store in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`StoreFault::Exists`] if there is one; a folder that cannot be written; a full disk. Then the folder holds no store.
    pub fn create(folder: &Path, origin: &Origin<'_>) -> Result<(), StoreError> {
        let create = || {
            fs::create_dir_all(folder)?;
            let database = builder().create(folder.join(FILE_NAME))?;
            snapshot::begin(&database, origin)?;
            // The name of the file, too, must survive a loss of power.
            Ok(File::open(folder)?.sync_all()?)
        };
        create().map_err(|fault: StoreFault| fault.at(folder))
    }

    /// Opens the store in a folder, and checks the checksum of every page.
    ///
    /// # Errors
    /// Each [`StoreFault`] but those of creating and committing.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let open = || Self::of_database(folder, builder().open(folder.join(FILE_NAME))?);
        open().map_err(|fault: StoreFault| fault.at(folder))
    }

    /// Opens a store that does not lie in a file of its own: `name` stands for the folder in errors.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_backend(name: &Path, backend: impl StorageBackend) -> Result<Self, StoreError> {
        let open = || Self::of_database(name, builder().create_with_backend(backend)?);
        open().map_err(|fault: StoreFault| fault.at(name))
    }

    fn of_database(folder: &Path, database: Database) -> Result<Self, StoreFault> {
        let transaction = database.begin_read()?;
        let meta = read_meta(&transaction)?;
        let tail = read_tail(&transaction, &meta)?;
        transaction.close()?;
        let Meta { identity, limits, .. } = meta;
        let database = Arc::new(database);
        let writer = Writer::start(Arc::clone(&database), folder, limits, tail);
        Ok(Self { folder: folder.to_owned(), identity, limits, writer, database })
    }

    /// Which chain it holds.
    pub const fn identity(&self) -> Identity {
        self.identity
    }

    /// Refuses another chain.
    ///
    /// # Errors
    /// [`StoreFault::OtherChain`].
    pub fn expect(&self, given: Identity) -> Result<(), StoreError> {
        if self.identity == given {
            return Ok(());
        }
        Err(StoreFault::OtherChain { stored: self.identity, given }.at(&self.folder))
    }

    /// Hands a block over to be written. It is durable once the answer's [`wait`](Commit::wait) says so, and so are then all
    /// that were handed over before; it is then the head. Blocks that wait are written together.
    ///
    /// Blocks if several wait already.
    pub fn commit(&self, block: &KeptHeader, changes: &ChangeSet) -> Commit {
        self.writer.commit(Encoded::new(block, changes))
    }

    /// What the store holds, without loading it.
    ///
    /// # Errors
    /// A file that cannot be read, or is damaged.
    pub fn info(&self) -> Result<Info, StoreError> {
        self.read_info().map_err(|fault| fault.at(&self.folder))
    }

    fn read_info(&self) -> Result<Info, StoreFault> {
        let transaction = self.database.begin_read()?;
        let meta = read_meta(&transaction)?;
        let tail = read_tail(&transaction, &meta)?;
        let (head, _) = read_header(&transaction, meta.head)?;
        let snapshot_bytes = meta.accounts.bytes + meta.slots.bytes;
        let file_bytes = fs::metadata(self.folder.join(FILE_NAME)).map_or(0, |file| file.len());
        let records_bytes_max = WINDOW_BYTES_MAX + step_bytes(snapshot_bytes);
        Ok(Info {
            version: LAYOUT_VERSION,
            chain_id: meta.identity.chain_id,
            genesis_hash: meta.identity.genesis_hash,
            reorg_depth: meta.limits.reorg_depth,
            head_number: head.header.number,
            head_hash: head.hash,
            state_root: head.header.state_root,
            snapshot_number: meta.base.number,
            blocks: tail.by_height().len(),
            accounts: meta.accounts.rows,
            slots: meta.slots.rows,
            snapshot_bytes,
            records_bytes: tail.changes_bytes(),
            file_bytes,
            load_bytes_max: snapshot_bytes + records_bytes_max,
            // Pages are powers of two, and a step writes new ones before it gives the old ones back.
            file_bytes_max: FILE_BYTES_MIN + 4 * snapshot_bytes + 2 * records_bytes_max,
        })
    }
}

/// What an empty file of the embedded store may take.
const FILE_BYTES_MIN: u64 = 16 << 20;

/// What is known of a store without loading it. All lengths in bytes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Info {
    /// Layout of the file.
    pub version: u64,
    /// The chain's id.
    pub chain_id: u64,
    /// Hash of its first block.
    pub genesis_hash: B256,
    /// Blocks that a reorganisation after a restart can take back.
    pub reorg_depth: u64,
    /// Number of the last block.
    pub head_number: u64,
    /// Its hash.
    pub head_hash: B256,
    /// Root of the state after it.
    pub state_root: B256,
    /// Number of the block whose state the snapshot is.
    pub snapshot_number: u64,
    /// Blocks after that, siblings included.
    pub blocks: usize,
    /// Accounts in the snapshot.
    pub accounts: u64,
    /// Slots in the snapshot.
    pub slots: u64,
    /// Length of all rows of the snapshot.
    pub snapshot_bytes: u64,
    /// Length of the change records after it.
    pub records_bytes: u64,
    /// Length of the file.
    pub file_bytes: u64,
    /// Most that a start reads, codes and headers apart: the snapshot, and the longest records that may be after it.
    pub load_bytes_max: u64,
    /// Longest that the file gets while the snapshot stays as long as it is, codes apart.
    pub file_bytes_max: u64,
}

pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

/// Reads what the store says of itself.
pub(super) fn read_meta(transaction: &ReadTransaction) -> Result<Meta, StoreFault> {
    let table = match transaction.open_table(META) {
        // A file in which nothing was committed yet.
        Err(TableError::TableDoesNotExist(_)) => return Err(StoreFault::Missing),
        table => table?,
    };
    let version = table.get(VERSION)?.ok_or(StoreFault::Missing)?;
    let found = record::decode_version(version.value())?;
    if found != LAYOUT_VERSION {
        return Err(StoreFault::Version { found, expected: LAYOUT_VERSION });
    }
    let read = |key: &'static str| {
        let value = table.get(key)?.map(|value| value.value().to_vec());
        value.ok_or_else(|| StoreFault::damaged(key, "missing"))
    };
    let id = |key| {
        BlockId::from_bytes(&read(key)?).ok_or_else(|| StoreFault::damaged(key, "not a number and a hash"))
    };
    let (identity, limits) = record::decode_identity(&read(IDENTITY)?)?;
    let (accounts, slots) = record::decode_totals(&read(TOTALS)?)?;
    if !(1..=REORG_DEPTH_MAX).contains(&limits.reorg_depth) {
        return Err(StoreFault::damaged(IDENTITY, "reorg depth out of bounds"));
    }
    Ok(Meta { identity, limits, base: id(BASE)?, head: id(HEAD)?, accounts, slots })
}

/// Reads which blocks there are after the snapshot.
pub(super) fn read_tail(transaction: &ReadTransaction, meta: &Meta) -> Result<Tail, StoreFault> {
    let headers = transaction.open_table(HEADERS)?;
    let after = BlockId { number: meta.base.number.saturating_add(1), hash: B256::ZERO }.to_bytes();
    let mut blocks = Vec::new();
    for entry in headers.range::<&[u8; BlockId::BYTES]>(&after..)? {
        let (key, header) = entry?;
        let (id, header, changes_bytes) = header_of(key.value(), header.value())?;
        blocks.push(TailBlock { id, parent: header.header.parent_hash, changes_bytes });
    }
    let tail = Tail::new(meta.base, meta.head, blocks);
    match tail.path() {
        Some(_) => Ok(tail),
        None => Err(StoreFault::damaged("headers", "the head does not descend from the snapshot")),
    }
}

fn header_of(key: &[u8], record: &[u8]) -> Result<(BlockId, KeptHeader, u64), StoreFault> {
    let id =
        BlockId::from_bytes(key).ok_or_else(|| StoreFault::damaged("headers", "a key of another length"))?;
    let (header, changes_bytes) = record::decode_header(id, record)
        .map_err(|error| StoreFault::damaged(format_args!("header of block {id}"), error))?;
    Ok((id, header, changes_bytes))
}

/// Reads a header, and the length of the block's change record.
pub(super) fn read_header(
    transaction: &ReadTransaction,
    id: BlockId,
) -> Result<(KeptHeader, u64), StoreFault> {
    let headers = transaction.open_table(HEADERS)?;
    let record = headers.get(&id.to_bytes())?;
    let record =
        record.ok_or_else(|| StoreFault::damaged(format_args!("header of block {id}"), "missing"))?;
    let (_, header, changes_bytes) = header_of(&id.to_bytes(), record.value())?;
    Ok((header, changes_bytes))
}

/// Reads the headers of a block and its ancestors as far back as there are any, the block's last.
pub(super) fn read_ancestry(
    transaction: &ReadTransaction,
    block: BlockId,
) -> Result<Vec<KeptHeader>, StoreFault> {
    let headers = transaction.open_table(HEADERS)?;
    let mut ancestry = Vec::new();
    let mut next = Some(block);
    while let Some(id) = next {
        let Some(record) = headers.get(&id.to_bytes())? else { break };
        let (_, header, _) = header_of(&id.to_bytes(), record.value())?;
        next = id.number.checked_sub(1).map(|number| BlockId { number, hash: header.header.parent_hash });
        ancestry.push(header);
    }
    ancestry.reverse();
    Ok(ancestry)
}

/// Key of a part of a block's change record.
pub(super) fn part_key(id: BlockId, part: u16) -> [u8; BlockId::BYTES + 2] {
    let mut key = [0; BlockId::BYTES + 2];
    key[..BlockId::BYTES].copy_from_slice(&id.to_bytes());
    key[BlockId::BYTES..].copy_from_slice(&part.to_be_bytes());
    key
}

/// Reads the change record of a block.
pub(super) fn read_changes(transaction: &ReadTransaction, block: &TailBlock) -> Result<Vec<u8>, StoreFault> {
    let table = transaction.open_table(CHANGES)?;
    let mut record = Vec::new();
    for part in
        table.range::<&[u8; BlockId::BYTES + 2]>(&part_key(block.id, 0)..=&part_key(block.id, u16::MAX))?
    {
        record.extend_from_slice(part?.1.value());
    }
    if record.len() as u64 != block.changes_bytes {
        let what = format_args!("changes of block {}", block.id);
        let lengths = format_args!("{} bytes instead of {}", record.len(), block.changes_bytes);
        return Err(StoreFault::damaged(what, lengths));
    }
    Ok(record)
}
