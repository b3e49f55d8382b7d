//! What the errors of revm and alloy-evm say about a block.

use alloy_evm::block::{BlockExecutionError, BlockValidationError};
use revm::context_interface::result::InvalidTransaction;

use super::{Exception, InvalidBlock};

impl Exception {
    /// The class of revm's reason for not executing a transaction.
    ///
    /// `None` for reasons outside the protocol (a custom message).
    pub fn of_invalid_transaction(reason: &InvalidTransaction) -> Option<Self> {
        use InvalidTransaction as Invalid;
        Some(match reason {
            Invalid::PriorityFeeGreaterThanMaxFee => Self::PriorityFeeAboveMaxFee,
            Invalid::GasPriceLessThanBasefee => Self::InsufficientMaxFeePerGas,
            Invalid::CallerGasLimitMoreThanBlock => Self::GasAllowanceExceeded,
            Invalid::CallGasCostMoreThanGasLimit { .. } => Self::IntrinsicGasTooLow,
            Invalid::GasFloorMoreThanGasLimit { .. } => Self::IntrinsicGasBelowFloor,
            Invalid::RejectCallerWithCode => Self::SenderNotEoa,
            Invalid::LackOfFundForMaxFee { .. } => Self::InsufficientAccountFunds,
            // revm counts in 128 bits where the rules have 256; no account holds as much.
            Invalid::OverflowPaymentInTransaction => Self::PriceProductOverflow,
            Invalid::NonceOverflowInTransaction => Self::NonceIsMax,
            Invalid::NonceTooHigh { .. } => Self::NonceTooHigh,
            Invalid::NonceTooLow { .. } => Self::NonceTooLow,
            Invalid::CreateInitCodeSizeLimit => Self::InitcodeSizeExceeded,
            Invalid::InvalidChainId | Invalid::MissingChainId => Self::InvalidChainId,
            Invalid::TxGasLimitGreaterThanCap { .. } => Self::GasLimitExceedsMaximum,
            Invalid::AccessListNotSupported | Invalid::Eip2930NotSupported => Self::AccessListTxPreFork,
            Invalid::Eip1559NotSupported => Self::DynamicFeeTxPreFork,
            Invalid::MaxFeePerBlobGasNotSupported
            | Invalid::BlobVersionedHashesNotSupported
            | Invalid::Eip4844NotSupported => Self::BlobTxPreFork,
            Invalid::BlobGasPriceGreaterThanMax { .. } => Self::InsufficientMaxFeePerBlobGas,
            Invalid::EmptyBlobs => Self::BlobTxZeroBlobs,
            Invalid::BlobCreateTransaction => Self::BlobTxContractCreation,
            Invalid::TooManyBlobs { .. } => Self::BlobTxBlobCountExceeded,
            Invalid::BlobVersionNotSupported => Self::BlobTxInvalidVersionedHash,
            Invalid::AuthorizationListNotSupported | Invalid::Eip7702NotSupported => Self::SetCodeTxPreFork,
            Invalid::AuthorizationListInvalidFields => Self::InvalidAuthorizationFormat,
            Invalid::EmptyAuthorizationList => Self::SetCodeTxEmptyAuthorizationList,
            Invalid::Eip7873NotSupported | Invalid::Eip7873MissingTarget => Self::TypeNotSupported,
            Invalid::Str(_) => return None,
        })
    }
}

impl InvalidBlock {
    /// The verdict that revm's refusal of the transaction at `index` amounts to; `None` if it is
    /// not for a reason of the protocol.
    pub fn of_invalid_transaction(reason: &InvalidTransaction, index: usize) -> Option<Self> {
        let exception = Exception::of_invalid_transaction(reason)?;
        Some(Self::transaction(exception, index, reason.to_string()))
    }

    /// The verdict that an error of alloy-evm's block execution amounts to; `index` is that of the
    /// transaction being executed, `None` before the first and after the last.
    ///
    /// `None` is a fault of ours, such as a state key that was not supplied, and says nothing
    /// about the block.
    pub fn of_execution_error(error: &BlockExecutionError, index: Option<usize>) -> Option<Self> {
        let validation = error.as_validation()?;
        let (exception, transaction) = match validation {
            BlockValidationError::InvalidTx { error, .. } => {
                (Exception::of_invalid_transaction(error.as_invalid_tx_err()?)?, index)
            }
            BlockValidationError::TransactionGasLimitMoreThanAvailableBlockGas { .. } => {
                (Exception::GasAllowanceExceeded, index)
            }
            BlockValidationError::BlockGasExceeded => (Exception::GasUsedOverflow, None),
            BlockValidationError::MissingParentBeaconBlockRoot
            | BlockValidationError::CancunGenesisParentBeaconBlockRootNotZero { .. } => {
                (Exception::IncorrectBlockFormat, None)
            }
            BlockValidationError::WithdrawalRequestsContractCall { message }
            | BlockValidationError::ConsolidationRequestsContractCall { message }
            | BlockValidationError::BuilderDepositRequestsContractCall { message }
            | BlockValidationError::BuilderExitRequestsContractCall { message } => {
                // alloy-evm has one error for a contract that reverts or halts, which condemns the
                // block, and for an EVM that could not run, which does not.
                if message.starts_with("execution failed") {
                    return None;
                }
                (Exception::SystemContractCallFailed, None)
            }
            BlockValidationError::DepositRequestDecode(_) => (Exception::InvalidDepositEventLayout, None),
            // The other two system calls condemn no block: their only error is the EVM's.
            BlockValidationError::BeaconRootContractCall { .. }
            | BlockValidationError::BlockHashContractCall { .. }
            | BlockValidationError::EVM { .. }
            | BlockValidationError::IncrementBalanceFailed
            | BlockValidationError::Other(_) => return None,
        };
        Some(Self { exception, transaction, detail: validation.to_string() })
    }
}

#[cfg(test)]
mod tests;
