//! All that can be said of a block before it is executed, in one call.

use alloy_consensus::{Header, Transaction};
use alloy_primitives::B256;

use super::{
    Ancestry, Body, InvalidBlock, check_body, check_header, check_header_alone, check_ommers, check_size,
    check_transactions_root, unknown_parent,
};
use crate::spec::ChainSpec;

/// A decoded block, and what its encoding says that the decoded form does not.
#[derive(Debug)]
pub struct BlockParts<'a, T> {
    /// The header.
    pub header: &'a Header,
    /// The body.
    pub body: Body<'a, T>,
    /// The transactions root, computed.
    pub transactions_root: B256,
    /// Length of the RLP of the block, in bytes.
    pub rlp_bytes: usize,
}

/// Checks a block against its parent and its own body: steps 1 to 3 of the [module's order](super).
///
/// Its transactions remain, because each is judged after the ones before it have been executed:
/// [`TransactionRules`](super::TransactionRules).
///
/// # Errors
/// The first rule that is broken. An unknown parent is one.
pub fn check_block<T: Transaction>(
    spec: &ChainSpec,
    block: &BlockParts<'_, T>,
    ancestry: &impl Ancestry,
) -> Result<(), InvalidBlock> {
    let BlockParts { header, body, transactions_root, rlp_bytes } = *block;
    let (parent, _) = ancestry.block(&header.parent_hash).ok_or_else(|| unknown_parent(header))?;
    check_size(spec, header, rlp_bytes)?;
    check_header(spec, header, header.parent_hash, parent)?;
    check_body(spec, header, body)?;
    check_transactions_root(header, transactions_root)?;
    check_ommers(spec, header, body.ommers.unwrap_or_default(), ancestry)
}

/// The same for a block whose parent is not known: what its header and body must be by themselves.
///
/// # Errors
/// The first rule that is broken.
pub fn check_block_alone<T: Transaction>(
    spec: &ChainSpec,
    block: &BlockParts<'_, T>,
) -> Result<(), InvalidBlock> {
    let BlockParts { header, body, transactions_root, rlp_bytes } = *block;
    check_size(spec, header, rlp_bytes)?;
    check_header_alone(spec, header)?;
    check_body(spec, header, body)?;
    check_transactions_root(header, transactions_root)
}
