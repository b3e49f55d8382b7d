//! Bytes to typed data: files and folders in, cases of blocks with their pre-states out.
//!
//! Past this room an ill-formed transaction, header or account cannot be expressed. Everything is
//! bounded (file sizes after decompression, list lengths, nesting), and no input makes it panic:
//! what cannot be read becomes an error of one line that says where and why. Blocks stay encoded
//! until [`decode_block`], because decoding them is part of the measured work.
//!
//! What counts as well-formed is the encoding alone. Whether a block is *valid* (types allowed by
//! the fork, roots, gas), the rules room says.

mod block;
mod blockchain_test;
mod case;
mod chain;
mod columns;
mod error;
mod files;
pub mod fuzz;
mod genesis;
mod json;
mod prestate;
mod raw_lines;
mod rlp;
mod rpc_block;
mod rpc_transaction;
mod source;
mod test_header;
#[cfg(test)]
mod tests;
mod transaction;
mod transactions;
mod witness;

pub use block::{
    BLOCK_BYTES_MAX, DecodedBlock, OMMERS_PER_BLOCK_MAX, Ommers, Stated, TRANSACTIONS_PER_BLOCK_MAX,
    WITHDRAWALS_PER_BLOCK_MAX, decode_block, peek_id,
};
pub use case::{
    BlockBytes, BlockInput, Blocks, Case, Completeness, Expectation, ExpectedEnd, GenesisHeader, PostState,
    Prestate, PrestateAccount,
};
pub use columns::{RECOVERY_ID_NONE, SenderColumns, authorizations_of};
pub use error::{
    DecodeError, FieldFault, IngestError, IngestFault, RlpFault, SidecarFault, TransactionFault,
};
pub use files::JSON_FILE_BYTES_MAX;
pub use genesis::{Genesis, mainnet_genesis, read_genesis};
pub use prestate::read_accounts;
pub use raw_lines::{LineFault, RAW_LINE_BYTES_MAX, RawLine, RawLines, decode_line};
pub use source::{Source, open, open_genesis};
pub use transaction::{RawTransaction, Sidecar, Transaction, decode_raw_transaction, decode_transaction};
pub use transactions::{EncodedTransactions, Transactions};
pub use witness::{
    WITNESS_CODES_MAX, WITNESS_FILE_BYTES_MAX, WITNESS_HEADERS_MAX, WITNESS_NODES_MAX, Witness,
};
