//! The rules of consensus that make a block valid, as pure functions over its parts.
//!
//! Each function answers with the first rule that is broken, as an [`InvalidBlock`]: a class named
//! as the execution-spec tests name it, the transaction at fault, and the values. A block that
//! breaks one rule gets that rule's class wherever it is checked. For one that breaks several, the
//! order decides, and it is this:
//!
//! 1. The encoding: what cannot be decoded is explained from the raw bytes, header before
//!    transactions before withdrawals ([`explain_undecodable_block`]). Size limit
//!    ([`check_size`]).
//! 2. The header ([`check_header`]): parent, number, timestamp; then what it must be under its fork
//!    (which fields it has, extra data, gas limit and gas used, proof-of-stake constants); then
//!    what follows from the parent (gas limit, difficulty, base fee, excess blob gas).
//! 3. The body ([`check_body`], [`check_transactions_root`], [`check_ommers`]): ommers hash,
//!    withdrawals, blob gas, transactions root; then the ommers themselves. [`check_block`] is
//!    these three steps in one.
//! 4. The transactions, one after another: what is wrong with one on its own
//!    ([`TransactionRules`]) comes before what is wrong with it in the state that the earlier ones
//!    left, which is revm's to say ([`InvalidBlock::of_execution_error`]).
//! 5. The end of the block: layout of deposits ([`check_deposits`]), system contracts
//!    ([`request_contracts`]).
//! 6. What execution made against what the header says ([`Comparison`]).
//!
//! This is the order of geth and reth: from cheap to dear. The execution specs differ where they
//! check the body's roots last, and the transactions' blob gas within step 4.
//!
//! Nothing here reads state or a clock, or executes anything. Proof of work is not checked.

mod block;
mod body;
mod decode;
mod difficulty;
mod exception;
mod execution;
mod fees;
mod header;
mod invalid;
mod ommers;
mod outcome;
mod requests;
mod transaction;

pub use block::{BlockParts, check_block, check_block_alone};
pub use body::{Body, MAXIMUM_BLOCK_BYTES, check_body, check_size, check_transactions_root};
pub use decode::explain_undecodable_block;
pub use difficulty::{MINIMUM_DIFFICULTY, next_difficulty};
pub use exception::Exception;
pub use fees::{next_base_fee, next_excess_blob_gas};
pub use header::{MAXIMUM_GAS_LIMIT, MINIMUM_GAS_LIMIT, check_header, check_header_alone, unknown_parent};
pub use invalid::InvalidBlock;
pub use ommers::{Ancestry, MAXIMUM_OMMER_DEPTH, MAXIMUM_OMMERS, check_ommers};
pub use outcome::{Comparison, Mismatch, Outcome};
pub use requests::{check_deposits, empty_system_contract, request_contracts};
pub use transaction::{TransactionRules, check_form};

#[cfg(test)]
mod tests;
