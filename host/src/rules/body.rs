//! The body of a block against its header.

use alloy_consensus::{BlockBody, Header, Transaction, proofs::calculate_ommers_root};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::B256;
use alloy_rlp::Encodable;

use super::{Exception, InvalidBlock};
use crate::{
    spec::{ChainSpec, Fork},
    trie::ordered_root,
};

/// Largest RLP of a block from Osaka on, in bytes (EIP-7934: 10 MiB less 2 MiB for the consensus
/// layer's part).
pub const MAXIMUM_BLOCK_BYTES: usize = 8_388_608;

/// Checks how long the RLP of the block of `header` is.
///
/// # Errors
/// [`Exception::RlpBlockLimitExceeded`].
pub fn check_size(spec: &ChainSpec, header: &Header, rlp_bytes: usize) -> Result<(), InvalidBlock> {
    if spec.fork_of(header) >= Fork::Osaka && rlp_bytes > MAXIMUM_BLOCK_BYTES {
        let detail = format!("{rlp_bytes} bytes of {MAXIMUM_BLOCK_BYTES}");
        return Err(InvalidBlock::block(Exception::RlpBlockLimitExceeded, detail));
    }
    Ok(())
}

/// The parts of a block's body, borrowed from whatever holds them.
#[derive(Debug)]
pub struct Body<'a, T> {
    /// The transactions.
    pub transactions: &'a [T],
    /// The headers of the ommers; `None` where only their hashes are known, as in a node's JSON.
    pub ommers: Option<&'a [Header]>,
    /// The withdrawals; `None` if the block has no list of them, which is not an empty one.
    pub withdrawals: Option<&'a [Withdrawal]>,
}

// Derived, these would demand the same of the transactions.
impl<T> Clone for Body<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Body<'_, T> {}

impl<'a, T> From<&'a BlockBody<T>> for Body<'a, T> {
    fn from(body: &'a BlockBody<T>) -> Self {
        Self {
            transactions: &body.transactions,
            ommers: Some(&body.ommers),
            withdrawals: body.withdrawals.as_ref().map(|list| list.as_slice()),
        }
    }
}

/// Checks that the header commits to this body, but for the transactions root
/// ([`check_transactions_root`]), and the blob gas that the body uses.
///
/// # Errors
/// The first of: ommers hash, withdrawals (presence, then root), blob gas.
pub fn check_body<T: Transaction>(
    spec: &ChainSpec,
    header: &Header,
    body: Body<'_, T>,
) -> Result<(), InvalidBlock> {
    if let Some(ommers) = body.ommers {
        check_ommers_hash(spec, header, ommers)?;
    }
    check_withdrawals(header, body.withdrawals)?;
    check_blob_gas(spec, header, body.transactions)
}

/// Checks the transactions root against the computed one.
///
/// # Errors
/// [`Exception::InvalidTransactionsRoot`].
pub fn check_transactions_root(header: &Header, computed: B256) -> Result<(), InvalidBlock> {
    if header.transactions_root != computed {
        return Err(InvalidBlock::differs(
            Exception::InvalidTransactionsRoot,
            header.transactions_root,
            computed,
        ));
    }
    Ok(())
}

fn check_ommers_hash(spec: &ChainSpec, header: &Header, ommers: &[Header]) -> Result<(), InvalidBlock> {
    if spec.fork_of(header) >= Fork::Paris && !ommers.is_empty() {
        let detail = format!("{} ommers", ommers.len());
        return Err(InvalidBlock::block(Exception::UnclesOverParis, detail));
    }
    let computed = calculate_ommers_root(ommers);
    if header.ommers_hash != computed {
        return Err(InvalidBlock::differs(Exception::InvalidUnclesHash, header.ommers_hash, computed));
    }
    Ok(())
}

fn check_withdrawals(header: &Header, withdrawals: Option<&[Withdrawal]>) -> Result<(), InvalidBlock> {
    match (header.withdrawals_root, withdrawals) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(InvalidBlock::block(
            Exception::ShanghaiHeaderTooEarly,
            "withdrawals without a withdrawals root",
        )),
        (Some(_), None) => Err(InvalidBlock::block(Exception::RlpWithdrawalsNotRead, "")),
        (Some(root), Some(withdrawals)) => {
            let computed = ordered_root(withdrawals.len(), &|index, out| withdrawals[index].encode(out));
            if root == computed {
                return Ok(());
            }
            Err(InvalidBlock::differs(Exception::InvalidWithdrawalsRoot, root, computed))
        }
    }
}

/// Blob gas: first what the block allows, which is the fault of the transaction that exceeds it;
/// then what the header says.
fn check_blob_gas<T: Transaction>(
    spec: &ChainSpec,
    header: &Header,
    transactions: &[T],
) -> Result<(), InvalidBlock> {
    let (Some(stated), Some(params)) = (header.blob_gas_used, spec.blob_params_at(header.timestamp)) else {
        return Ok(());
    };
    let limit = params.max_blob_gas_per_block();
    let mut used = 0u64;
    for (index, transaction) in transactions.iter().enumerate() {
        used = used.saturating_add(transaction.blob_gas_used().unwrap_or(0));
        if used > limit {
            let detail = format!("{used} of {limit}");
            return Err(InvalidBlock::transaction(Exception::BlobGasAllowanceExceeded, index, detail));
        }
    }
    if stated > limit {
        let detail = format!("{stated} of {limit}");
        return Err(InvalidBlock::block(Exception::BlobGasUsedAboveLimit, detail));
    }
    if stated != used {
        return Err(InvalidBlock::differs(Exception::IncorrectBlobGasUsed, stated, used));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
