//! [`InvalidBlock`]: the verdict on a block that breaks a rule.

use super::Exception;

/// A block breaks a rule: which class of rule, which transaction, and the values at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{exception}{}", .transaction.map(|i| format!("transaction {i}: ")).unwrap_or_default(),
    if .detail.is_empty() { String::new() } else { format!(": {detail}") })]
pub struct InvalidBlock {
    /// The class.
    pub exception: Exception,
    /// Index of the transaction at fault, if it is one's fault.
    pub transaction: Option<usize>,
    /// What was found and what the rule demands; may be empty.
    pub detail: String,
}

impl InvalidBlock {
    /// The fault of the block as a whole.
    pub fn block(exception: Exception, detail: impl Into<String>) -> Self {
        Self { exception, transaction: None, detail: detail.into() }
    }

    /// The fault of the transaction at `index`.
    pub fn transaction(exception: Exception, index: usize, detail: impl Into<String>) -> Self {
        Self { exception, transaction: Some(index), detail: detail.into() }
    }

    /// A number or hash that is not what the rule makes of it.
    pub(super) fn differs<T: core::fmt::Display>(exception: Exception, found: T, expected: T) -> Self {
        Self::block(exception, format!("{found}, not {expected}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_reads_as_one_line() {
        let plain = InvalidBlock::block(Exception::UnknownParent, "");
        assert_eq!(plain.to_string(), "the parent is not known (BlockException.UNKNOWN_PARENT)");
        let full = InvalidBlock::transaction(Exception::NonceTooLow, 3, "4, not 5");
        assert_eq!(
            full.to_string(),
            "transaction 3: the nonce is below that of the sender \
             (TransactionException.NONCE_MISMATCH_TOO_LOW): 4, not 5"
        );
    }
}
