//! What can be wrong with input: one type for files, one for blocks, one for transactions.
//!
//! Every error prints as one line that says where the fault is (file, field, index) and what it
//! is. Decoding faults are data as well: the rules room turns them into the exception classes of
//! the execution-spec tests, so they keep the field and the kind of fault apart.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::spec::SpecError;

/// Longest piece of foreign text that an error repeats, in characters.
const QUOTED_CHARS_MAX: usize = 160;

/// Input that cannot be taken: which file, where in it, and why.
#[derive(Debug, thiserror::Error)]
pub struct IngestError {
    /// The file or folder.
    pub path: PathBuf,
    /// The place in it (a test case, a field, a block); empty if the whole file is meant.
    pub place: String,
    /// The reason.
    #[source]
    pub fault: IngestFault,
}

impl IngestError {
    pub(super) fn new(path: &Path, place: impl Into<String>, fault: impl Into<IngestFault>) -> Self {
        Self { path: path.to_owned(), place: place.into(), fault: fault.into() }
    }
}

impl fmt::Display for IngestError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ", one_line(&self.path.to_string_lossy(), usize::MAX))?;
        if !self.place.is_empty() {
            write!(out, "{}: ", one_line(&self.place, QUOTED_CHARS_MAX))?;
        }
        write!(out, "{}", self.fault)
    }
}

/// Why input cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestFault {
    /// The operating system refused, or gzip data is damaged.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// More bytes than the format is allowed, after decompression.
    #[error("longer than {limit_bytes} bytes")]
    TooLong {
        /// The limit.
        limit_bytes: u64,
    },
    /// More entries than the limit.
    #[error("more than {limit} {what}")]
    TooMany {
        /// What was counted.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Something that must be there is not.
    #[error("{what} is missing")]
    Missing {
        /// What was looked for.
        what: &'static str,
    },
    /// A file or folder of no known kind.
    #[error("{0}")]
    NotRecognised(String),
    /// Text that is not the JSON it should be; says field, line and column.
    #[error("{0}")]
    Json(String),
    /// A field with a wrong value.
    #[error(transparent)]
    Field(#[from] FieldFault),
    /// A fork or fork schedule that is not known.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Bytes that are no block.
    #[error(transparent)]
    Block(#[from] DecodeError),
    /// A chain file that ends within a block, or holds something else than blocks.
    #[error("at byte {offset}: {fault}")]
    Chain {
        /// Where the block starts, in bytes from the start of the uncompressed file.
        offset: u64,
        /// What is wrong there.
        fault: RlpFault,
    },
}

/// A field of a JSON object with a wrong value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct FieldFault {
    /// The way to the field, such as `transactions[3].gasPrice`.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl FieldFault {
    pub(super) fn new(field: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self { field: field.into(), reason: one_line(&reason.to_string(), QUOTED_CHARS_MAX) }
    }

    /// The same fault, seen from the object that holds this one.
    pub(super) fn within(mut self, outer: impl fmt::Display) -> Self {
        self.field = format!("{outer}.{}", self.field);
        self
    }
}

/// Why a block's bytes are no block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The outer structure: the block's list and the lists in it.
    #[error("block {field}: {fault}")]
    Body {
        /// `rlp` for the block as a whole, else `header`, `transactions`, `ommers`, `withdrawals`.
        field: &'static str,
        /// What is wrong.
        fault: RlpFault,
    },
    /// A field of the header.
    #[error("header {field}: {fault}")]
    Header {
        /// The field's name as in the JSON interface.
        field: &'static str,
        /// What is wrong.
        fault: RlpFault,
    },
    /// A field of an ommer's header.
    #[error("ommer {index} {field}: {fault}")]
    Ommer {
        /// The ommer's place in the block.
        index: usize,
        /// The field's name as in the JSON interface.
        field: &'static str,
        /// What is wrong.
        fault: RlpFault,
    },
    /// A transaction.
    #[error("transaction {index}: {fault}")]
    Transaction {
        /// The transaction's place in the block.
        index: usize,
        /// What is wrong.
        fault: TransactionFault,
    },
    /// A field of a withdrawal.
    #[error("withdrawal {index} {field}: {fault}")]
    Withdrawal {
        /// The withdrawal's place in the block.
        index: usize,
        /// The field's name as in the JSON interface.
        field: &'static str,
        /// What is wrong.
        fault: RlpFault,
    },
    /// A block given as JSON that is not the object it should be; says field, line and column.
    #[error("{0}")]
    Json(String),
}

/// Why bytes are no signed transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionFault {
    /// No bytes at all.
    #[error("empty")]
    Empty,
    /// A type that no fork has, or one that is not known here.
    #[error("unknown transaction type {0:#04x}")]
    UnknownType(u8),
    /// A field, or the list of fields (`rlp`).
    #[error("{field}: {fault}")]
    Field {
        /// The field's name as in the JSON interface; `rlp` for the list of fields itself.
        field: &'static str,
        /// What is wrong.
        fault: RlpFault,
    },
    /// A blob (3) or set-code (4) transaction without recipient: these cannot create contracts.
    #[error("a type {0} transaction cannot create a contract")]
    ContractCreation(u8),
    /// A typed transaction's parity that is neither 0 nor 1.
    #[error("yParity is neither 0 nor 1")]
    Parity,
    /// A legacy transaction's `v` that is neither 27, 28 nor 35 and above, or whose chain id
    /// exceeds 64 bits.
    #[error("v is neither 27 nor 28 nor 35 plus twice a chain id plus a parity")]
    LegacyV,
    /// A legacy transaction wrapped into an RLP string: only typed ones are.
    #[error("a legacy transaction in a byte string")]
    WrappedLegacy,
    /// A typed transaction wrapped into an RLP string where its own bytes are expected.
    #[error("a typed transaction in an RLP string; give the bytes within")]
    WrappedTyped,
    /// A blob sidecar that does not fit its transaction.
    #[error("blob sidecar: {0}")]
    Sidecar(SidecarFault),
}

/// Why a blob sidecar does not fit its transaction (EIP-4844, EIP-7594).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SidecarFault {
    /// A wrapper version that no fork has.
    #[error("unknown wrapper version")]
    Version,
    /// Blobs, commitments, proofs and versioned hashes do not match in number.
    #[error("{got} {what} where the transaction needs {expected}")]
    Count {
        /// What was counted.
        what: &'static str,
        /// How many the transaction's versioned hashes call for.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// A commitment whose hash is not the transaction's versioned hash.
    #[error("commitment {index} does not hash to the transaction's versioned hash")]
    VersionedHash {
        /// The commitment's place.
        index: usize,
    },
}

/// What is wrong with an RLP item. Only the one canonical encoding of a value is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RlpFault {
    /// The bytes end within the item.
    #[error("the bytes end within it")]
    UnexpectedEnd,
    /// A list where a string belongs.
    #[error("a list where a string belongs")]
    UnexpectedList,
    /// A string where a list belongs.
    #[error("a string where a list belongs")]
    UnexpectedString,
    /// A number with leading zero bytes.
    #[error("leading zeros")]
    LeadingZeros,
    /// A length that should have been encoded shorter.
    #[error("not the shortest encoding of its length")]
    LongLength,
    /// A number wider than its field.
    #[error("more than {bits} bits")]
    Overflow {
        /// Width of the field.
        bits: u16,
    },
    /// A fixed-width field of another width.
    #[error("{got} bytes instead of {expected}")]
    Width {
        /// Width of the field in bytes.
        expected: usize,
        /// Width found, in bytes.
        got: usize,
    },
    /// A list that ends before its last mandatory item, which is this one.
    #[error("missing")]
    TooFewItems,
    /// A list with more items than it may have.
    #[error("surplus items")]
    TooManyItems,
    /// Bytes after the end.
    #[error("bytes after the end")]
    TrailingBytes,
    /// More entries than any block may have here.
    #[error("more than {limit} entries")]
    TooManyEntries {
        /// The limit.
        limit: usize,
    },
    /// More bytes than any block may have here.
    #[error("longer than {limit_bytes} bytes")]
    TooLong {
        /// The limit.
        limit_bytes: usize,
    },
}

/// `text` without control characters and cut to `chars_max`, so that an error stays one line.
pub(super) fn one_line(text: &str, chars_max: usize) -> String {
    let mut line = String::with_capacity(text.len().min(chars_max));
    for (place, character) in text.chars().enumerate() {
        if place == chars_max {
            line.push('…');
            break;
        }
        line.push(if character.is_control() { ' ' } else { character });
    }
    line
}
