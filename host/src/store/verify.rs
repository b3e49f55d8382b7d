//! Verifying everything, aloud: each state that can be had, not only the head's.

use super::{
    Store, StoreError, StoreFault,
    file::{read_ancestry, read_header, read_meta, read_tail},
    load::{changes_of, check_root, read_snapshot},
};
use crate::state::{ChangeSet, StateTrie};
use alloy_primitives::{
    B256,
    map::{B256Map, HashMap},
};
use redb::ReadableDatabase as _;

/// What verifying is about to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The snapshot, whose state root is computed from nothing.
    Snapshot {
        /// Number of its block.
        number: u64,
        /// Accounts in it.
        accounts: u64,
    },
    /// A block after it.
    Block {
        /// Its number.
        number: u64,
        /// Blocks before this one.
        done: usize,
        /// Blocks in all.
        blocks: usize,
    },
}

/// What was found in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    /// Accounts of the head's state.
    pub accounts: usize,
    /// State roots that were computed and are those of their headers.
    pub state_roots: usize,
    /// Headers that have the hash under which they are found, and connect.
    pub headers: usize,
    /// Number of the last block.
    pub head_number: u64,
    /// Its hash.
    pub head_hash: B256,
}

impl Store {
    /// Computes the state root after every block whose state can be had, siblings included, and compares it with the header.
    /// (Checksums of all pages were compared when the store was opened.)
    ///
    /// # Errors
    /// [`StoreFault::Damaged`] with what does not fit; a file that cannot be read.
    pub fn verify(&self, progress: &mut dyn FnMut(Progress)) -> Result<Verified, StoreError> {
        self.verify_all(progress).map_err(|fault| fault.at(&self.folder))
    }

    fn verify_all(&self, progress: &mut dyn FnMut(Progress)) -> Result<Verified, StoreFault> {
        let transaction = self.database.begin_read()?;
        let meta = read_meta(&transaction)?;
        let tail = read_tail(&transaction, &meta)?;
        progress(Progress::Snapshot { number: meta.base.number, accounts: meta.accounts.rows });
        let mut world = read_snapshot(&transaction, &meta)?;
        let mut trie = StateTrie::new(&world);
        let ancestry = read_ancestry(&transaction, meta.base)?;
        let base =
            ancestry.last().ok_or_else(|| StoreFault::damaged("headers", "no block of the snapshot"))?;
        check_root(meta.base, base.header.state_root, trie.root())?;
        let mut children: B256Map<Vec<_>> = HashMap::default();
        let blocks = tail.by_height();
        for block in &blocks {
            children.entry(block.parent).or_default().push(*block);
        }
        let mut verified = Verified {
            accounts: world.accounts().len(),
            state_roots: 1,
            headers: ancestry.len(),
            head_number: meta.head.number,
            head_hash: meta.head.hash,
        };
        // Down into every branch, and back up by what undoes each block. The next block is the last of the list.
        let mut next = children.remove(&meta.base.hash).unwrap_or_default();
        let mut above: Vec<(B256, ChangeSet)> = Vec::new();
        while let Some(block) = next.pop() {
            progress(Progress::Block {
                number: block.id.number,
                done: verified.state_roots - 1,
                blocks: blocks.len(),
            });
            while let Some((_, undo)) = above.pop_if(|(hash, _)| *hash != block.parent) {
                world.apply(&undo);
                trie.update(&undo);
            }
            let (kept, _) = read_header(&transaction, block.id)?;
            let changes = changes_of(&transaction, &block)?;
            let undo = world.undo(&changes);
            world.apply(&changes);
            check_root(block.id, kept.header.state_root, trie.update(&changes))?;
            if block.id == meta.head {
                verified.accounts = world.accounts().len();
            }
            above.push((block.id.hash, undo));
            next.extend(children.remove(&block.id.hash).unwrap_or_default());
            verified.state_roots += 1;
            verified.headers += 1;
        }
        if verified.state_roots != blocks.len() + 1 {
            return Err(StoreFault::damaged("headers", "blocks that do not descend from the snapshot"));
        }
        Ok(verified)
    }
}
