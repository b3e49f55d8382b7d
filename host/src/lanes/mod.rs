//! The lanes do what the plan says. The evm lane's answer defines truth; [`sequential`] is that
//! lane in its plainest form, the reference that everything else is compared with.

pub mod evm;
pub mod sequential;
pub mod speculation;
pub mod transfer;

use crate::{
    block::Receipt,
    recover::Unrecoverable,
    state::{ChangeSet, Unknown},
    trie::Unreadable,
};
use alloy_eips::eip7685::Requests;
use alloy_evm::block::{BlockExecutionError, BlockValidationError};
use alloy_primitives::B256;
use revm::{
    context::result::{EVMError, InvalidTransaction},
    database_interface::bal::EvmDatabaseError,
};

/// What executing a block gives, whichever lanes did it.
#[derive(Clone, Debug, PartialEq)]
pub struct Executed {
    /// Receipts in block order.
    pub receipts: Vec<Receipt>,
    /// Gas used as the header counts it.
    pub gas_used: u64,
    /// EIP-7685 requests (empty before Prague).
    pub requests: Requests,
    /// Hash of the block access list (EIP-7928); `None` before Amsterdam.
    pub block_access_list_hash: Option<B256>,
    /// The post-state, as changes to the state before the block.
    pub changes: ChangeSet,
}

/// Why a block could not be executed to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutionError {
    /// A transaction is invalid where it stands.
    #[error("transaction {index}: {error}")]
    InvalidTransaction {
        /// Index in the block.
        index: usize,
        /// revm's verdict.
        error: InvalidTransaction,
    },
    /// A transaction asks for more gas than the block has left.
    #[error("transaction {index}: gas limit {gas_limit} is more than the {available} left in the block")]
    GasPoolExceeded {
        /// Index in the block.
        index: usize,
        /// The transaction's gas limit.
        gas_limit: u64,
        /// Gas left in the block before it.
        available: u64,
    },
    /// A transaction has no sender (a confirming run recovers its own).
    #[error(transparent)]
    Unrecoverable(#[from] Unrecoverable),
    /// A block-level rule (system call, deposit layout) failed.
    #[error(transparent)]
    Block(BlockExecutionError),
    /// A state key that was not supplied is needed.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// The state root after a transaction, which a receipt before Byzantium holds, cannot be computed.
    #[error("transaction {index}: state root: {error}")]
    Unreadable {
        /// Index in the block.
        index: usize,
        /// The trie node that is missing, or is none.
        error: Unreadable,
    },
    /// revm gave up for a reason that is neither of the above.
    #[error("transaction {index}: {message}")]
    Evm {
        /// Index in the block.
        index: usize,
        /// revm's message.
        message: String,
    },
}

impl ExecutionError {
    /// The error of executing transaction `index` through revm.
    pub fn from_evm(index: usize, error: EVMError<Unknown>) -> Self {
        match error {
            EVMError::Transaction(error) => Self::InvalidTransaction { index, error },
            EVMError::Database(unknown) => Self::Unknown(unknown),
            other => Self::Evm { index, message: other.to_string() },
        }
    }

    /// The error of alloy-evm's executor; `index` is the transaction it was at. Returns
    /// block-level errors as they are.
    pub fn from_alloy(index: usize, error: BlockExecutionError) -> Self {
        if let BlockExecutionError::Validation(validation) = &error {
            match validation {
                BlockValidationError::InvalidTx { error, .. } => {
                    if let Some(error) = error.as_invalid_tx_err() {
                        return Self::InvalidTransaction { index, error: error.clone() };
                    }
                }
                BlockValidationError::TransactionGasLimitMoreThanAvailableBlockGas {
                    transaction_gas_limit,
                    block_available_gas,
                } => {
                    return Self::GasPoolExceeded {
                        index,
                        gas_limit: *transaction_gas_limit,
                        available: *block_available_gas,
                    };
                }
                _ => {}
            }
        }
        if let BlockExecutionError::Internal(internal) = &error {
            // revm's own block state wraps what its database says; our own state does not.
            if let Some(EVMError::Database(EvmDatabaseError::Database(unknown))) =
                internal.downcast_evm::<EVMError<EvmDatabaseError<Unknown>>>()
            {
                return Self::Unknown(*unknown);
            }
            if let Some(EVMError::Database(unknown)) = internal.downcast_evm::<EVMError<Unknown>>() {
                return Self::Unknown(*unknown);
            }
        }
        Self::Block(error)
    }
}
