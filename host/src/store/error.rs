//! What can be wrong with a store, each kind apart: people do different things about them.

use super::Identity;
use std::{
    fmt::Display,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

/// A store that cannot be used, or cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {fault}", path.display())]
pub struct StoreError {
    /// The store's folder.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub fault: StoreFault,
}

/// Why a store cannot be used, or cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreFault {
    /// There is no folder, or no store in it.
    #[error("holds no store; `outrider state init` makes one")]
    Missing,
    /// There is a store where a new one was to be made.
    #[error("holds a store already")]
    Exists,
    /// Another process has it open.
    #[error("in use by another process")]
    InUse,
    /// It cannot be opened for writing.
    #[error("cannot be written: {0}")]
    Unwritable(String),
    /// The disk is full. What was acknowledged before is safe.
    #[error("the disk is full; every block that was acknowledged is safe")]
    Full,
    /// What the file holds is not what was written to it. Says what does not fit.
    #[error("damaged: {0}")]
    Damaged(String),
    /// Made by a program with another layout.
    #[error("has layout version {found}, this program knows {expected}")]
    Version {
        /// What the store says.
        found: u64,
        /// What is known here.
        expected: u64,
    },
    /// It holds another chain.
    #[error("holds {stored}, not {given}")]
    OtherChain {
        /// The chain in the store.
        stored: Identity,
        /// The chain that was asked for.
        given: Identity,
    },
    /// A block whose parent the store does not hold.
    #[error("block {0}: the parent is not in the store")]
    UnknownParent(String),
    /// The operating system failed in another way.
    #[error("{0}")]
    Io(String),
}

impl StoreFault {
    /// A fault of the file's contents: what, and what is wrong with it.
    pub(super) fn damaged(what: impl Display, fault: impl Display) -> Self {
        Self::Damaged(format!("{what}: {fault}"))
    }

    /// The error of the store in that folder.
    pub(super) fn at(self, path: &Path) -> StoreError {
        StoreError { path: path.to_owned(), fault: self }
    }
}

impl From<io::Error> for StoreFault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::Missing,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                Self::Unwritable(error.to_string())
            }
            // A file that is shorter than it says, and one that redb does not know as its own.
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData => Self::Damaged(error.to_string()),
            _ => Self::Io(error.to_string()),
        }
    }
}

impl From<redb::Error> for StoreFault {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => error.into(),
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::PreviousIo | redb::Error::DatabaseClosed | redb::Error::LockPoisoned(_) => {
                Self::Io(error.to_string())
            }
            error => Self::Damaged(error.to_string()),
        }
    }
}

/// By way of redb's union of all errors.
macro_rules! from_redb {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for StoreFault {
            fn from(error: redb::$error) -> Self {
                redb::Error::from(error).into()
            }
        }
    )*};
}

from_redb!(StorageError, DatabaseError, TransactionError, TableError, CommitError);

impl From<alloy_rlp::Error> for StoreFault {
    fn from(error: alloy_rlp::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}
