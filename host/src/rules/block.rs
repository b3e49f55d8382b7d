//! All that can be said of a block before it is executed, in one call.

use alloy_consensus::{Block, Transaction};
use alloy_eips::Encodable2718;

use super::{Ancestry, InvalidBlock, check_body, check_header, check_ommers, check_size, unknown_parent};
use crate::spec::ChainSpec;

/// Checks a decoded block against its parent and its own body: steps 1 to 3 of the
/// [module's order](super). `rlp_bytes` is the length of its encoding.
///
/// Its transactions remain, because each is judged after the ones before it have been executed:
/// [`TransactionRules`](super::TransactionRules).
///
/// # Errors
/// The first rule that is broken. An unknown parent is one.
pub fn check_block<T>(
    spec: &ChainSpec,
    block: &Block<T>,
    rlp_bytes: usize,
    ancestry: &impl Ancestry,
) -> Result<(), InvalidBlock>
where
    T: Transaction + Encodable2718,
{
    let Block { header, body } = block;
    let (parent, _) = ancestry.block(&header.parent_hash).ok_or_else(|| unknown_parent(header))?;
    check_size(spec, header, rlp_bytes)?;
    check_header(spec, header, header.parent_hash, parent)?;
    check_body(spec, header, body)?;
    check_ommers(spec, header, &body.ommers, ancestry)
}
