//! The thread that writes: blocks in the order in which they come, those that wait in one go, then what the snapshot is due.

use super::{
    KeptHeader, Limits, StoreError, StoreFault,
    file::{CHANGES, HEAD, HEADERS, META, PART_BYTES_MAX, part_key},
    record::{self, BlockId},
    snapshot,
    tail::{Tail, TailBlock},
};
use crate::state::ChangeSet;
use redb::Database;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender},
    },
    thread::{self, JoinHandle},
};

/// Blocks that may wait to be written. A step of the snapshot makes them wait.
const WAITING_MAX: usize = 8;

/// A block as it is written.
#[derive(Debug)]
pub(super) struct Encoded {
    block: TailBlock,
    header: Vec<u8>,
    changes: Vec<u8>,
}

impl Encoded {
    pub(super) fn new(block: &KeptHeader, changes: &ChangeSet) -> Self {
        let changes = record::encode_changes(changes);
        let id = BlockId { number: block.header.number, hash: block.hash };
        let changes_bytes = changes.len() as u64;
        let header = record::encode_header(block, changes_bytes);
        Self { block: TailBlock { id, parent: block.header.parent_hash, changes_bytes }, header, changes }
    }
}

/// A block that was handed over.
#[derive(Debug)]
#[must_use = "a block is durable only when `wait` has returned"]
pub struct Commit {
    answer: Receiver<Result<(), StoreFault>>,
    folder: PathBuf,
}

impl Commit {
    /// Waits until the block is durable.
    ///
    /// # Errors
    /// [`StoreFault::UnknownParent`], a full disk, or another failure of the file. After a failure of the file no block can be
    /// committed any more: the store must be opened again.
    pub fn wait(self) -> Result<(), StoreError> {
        let gone = || Err(StoreFault::Io("the thread that writes is gone".to_owned()));
        self.answer.recv().unwrap_or_else(|_| gone()).map_err(|fault| fault.at(&self.folder))
    }
}

type Request = (Encoded, SyncSender<Result<(), StoreFault>>);

/// Hands blocks to the thread. Dropped, it waits until all are written.
#[derive(Debug)]
pub(super) struct Writer {
    requests: Option<SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
    folder: PathBuf,
}

impl Writer {
    pub(super) fn start(database: Arc<Database>, folder: &Path, limits: Limits, tail: Tail) -> Self {
        let (requests, received) = mpsc::sync_channel(WAITING_MAX);
        let mut file = File { database, limits, tail, failed: None };
        let thread = thread::spawn(move || file.serve(&received));
        Self { requests: Some(requests), thread: Some(thread), folder: folder.to_owned() }
    }

    pub(super) fn commit(&self, block: Encoded) -> Commit {
        let (answer, answered) = mpsc::sync_channel(1);
        if let Some(requests) = &self.requests {
            // If nobody receives, the answer's sender is dropped with it, which `wait` sees.
            let _ = requests.send((block, answer));
        }
        Commit { answer: answered, folder: self.folder.clone() }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has reached whoever waited.
            let _ = thread.join();
        }
    }
}

/// What the thread has.
struct File {
    database: Arc<Database>,
    limits: Limits,
    tail: Tail,
    /// Set by the first failure, after which nothing is written.
    failed: Option<StoreFault>,
}

impl File {
    fn serve(&mut self, requests: &Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let batch: Vec<Request> =
                [first].into_iter().chain(requests.try_iter().take(WAITING_MAX)).collect();
            let answers = self.write_batch(&batch);
            for ((_, answer), result) in batch.iter().zip(answers) {
                // Whoever does not wait does not want to know.
                let _ = answer.try_send(result);
            }
            self.advance();
        }
    }

    /// Writes blocks in one transaction; those whose parent is not held are left out.
    fn write_batch(&mut self, batch: &[Request]) -> Vec<Result<(), StoreFault>> {
        let mut tail = self.tail.clone();
        let accepted: Vec<bool> = batch
            .iter()
            .map(|(encoded, _)| {
                let held = tail.holds(&encoded.block.parent);
                if held {
                    tail.push(encoded.block);
                }
                held
            })
            .collect();
        let of_ours = batch.iter().zip(&accepted).filter(|(_, accepted)| **accepted);
        let written = match &self.failed {
            Some(fault) => Err(fault.clone()),
            None => write(&self.database, of_ours.map(|((encoded, _), _)| encoded)),
        };
        match &written {
            Ok(()) => self.tail = tail,
            Err(fault) => self.failed = Some(fault.clone()),
        }
        let answer = |((encoded, _), accepted): (&Request, bool)| match accepted {
            true => written.clone(),
            false => Err(StoreFault::UnknownParent(encoded.block.id.to_string())),
        };
        batch.iter().zip(accepted).map(answer).collect()
    }

    /// Advances the snapshot if that is due. A failure concerns no block that was acknowledged: it is told to the next.
    fn advance(&mut self) {
        if self.failed.is_none()
            && let Err(fault) = snapshot::advance(&self.database, &mut self.tail, self.limits)
        {
            log::warn!("the store's snapshot cannot advance: {fault}");
            self.failed = Some(fault);
        }
    }
}

fn write<'a>(database: &Database, blocks: impl Iterator<Item = &'a Encoded>) -> Result<(), StoreFault> {
    let transaction = database.begin_write()?;
    {
        let mut headers = transaction.open_table(HEADERS)?;
        let mut changes = transaction.open_table(CHANGES)?;
        let mut meta = transaction.open_table(META)?;
        for Encoded { block, header, changes: record } in blocks {
            headers.insert(&block.id.to_bytes(), &header[..])?;
            for (part, bytes) in (0..=u16::MAX).zip(record.chunks(PART_BYTES_MAX)) {
                changes.insert(&part_key(block.id, part), bytes)?;
            }
            meta.insert(HEAD, &block.id.to_bytes()[..])?;
        }
    }
    Ok(transaction.commit()?)
}
