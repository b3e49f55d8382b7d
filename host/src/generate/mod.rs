//! Chains made to measure: signed transactions of a chosen kind in blocks whose headers, roots
//! included, come from sequential revm.
//!
//! Promises: the same [`GenerateOptions`] give the same bytes, on any machine and with any number
//! of threads; every block is valid; and the folder that [`generate`] writes is one that geth and
//! hive know: `genesis.json` with the fork schedule, `chain.rlp` as `geth export` writes it.
//!
//! What a block holds is drawn from the seed on one thread; only the signatures, which are
//! deterministic (RFC 6979), are made on all of them.

mod chain;
mod contracts;
mod drafting;
mod folder;
mod genesis;
mod kinds;
mod mixed;
mod random;
mod wallet;

#[cfg(test)]
mod tests;

pub use chain::{BlockDraft, ChainBuilder, SealedBlock};
pub use folder::{Generated, Progress, generate};
pub use genesis::CHAIN_ID;
pub use kinds::{Kind, UnknownKind};
pub use wallet::Wallet;

use crate::{lanes::ExecutionError, spec::SpecError, state::World};
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Bytes, keccak256};
use drafting::Desk;
use kinds::Workload;
use std::path::PathBuf;

/// What to generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenerateOptions {
    /// What fills the blocks.
    pub kind: Kind,
    /// Transactions in each block.
    pub txs_per_block: usize,
    /// Number of blocks.
    pub blocks: usize,
    /// Number of accounts that hold ether at genesis.
    pub accounts: usize,
    /// Seed of everything that is drawn: keys, amounts, pairs.
    pub seed: u64,
}

impl GenerateOptions {
    /// Transactions in a block at most.
    pub const TXS_PER_BLOCK_MAX: usize = 1_000_000;
    /// Blocks of a chain at most.
    pub const BLOCKS_MAX: usize = 1_000_000;
    /// Transactions of a chain at most.
    pub const TXS_MAX: usize = 100_000_000;
    /// Accounts at genesis at most.
    pub const ACCOUNTS_MAX: usize = 10_000_000;

    /// # Errors
    /// Numbers that make no chain, or one beyond bounds.
    fn check(&self) -> Result<(), GenerateError> {
        let within = |name, value, min, max| {
            if (min..=max).contains(&value) {
                return Ok(());
            }
            Err(GenerateError::OutOfBounds { name, kind: self.kind, value, min, max })
        };
        within("transactions in a block", self.txs_per_block, 1, Self::TXS_PER_BLOCK_MAX)?;
        within("blocks", self.blocks, 1, Self::BLOCKS_MAX)?;
        within("accounts", self.accounts, self.kind.account_count_min(), Self::ACCOUNTS_MAX)?;
        within("transactions", self.txs_per_block.saturating_mul(self.blocks), 1, Self::TXS_MAX)
    }
}

/// Why a chain was not generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// An option out of its bounds.
    #[error("a chain of kind {kind} cannot have {value} {name}: it takes {min} to {max}")]
    OutOfBounds {
        /// What the option counts.
        name: &'static str,
        /// The kind asked for.
        kind: Kind,
        /// What was asked for.
        value: usize,
        /// The least that makes sense.
        min: usize,
        /// The most that is supported.
        max: usize,
    },
    /// The folder holds something else.
    #[error("{path}: the folder holds {found:?}, which is not part of a generated chain; choose another")]
    FolderInUse {
        /// The folder.
        path: PathBuf,
        /// Name of the first file that does not belong.
        found: String,
    },
    /// A file cannot be written.
    #[error("{path}: {error}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The genesis file cannot be written as JSON.
    #[error("{path}: {error}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// The fork schedule is refused.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A block that was drawn is not valid.
    #[error("block {number}: {error}")]
    Execution {
        /// Number of the block.
        number: u64,
        /// Why.
        error: ExecutionError,
    },
}

/// A chain in the making, block by block, in memory.
#[derive(Debug)]
pub struct Generator {
    options: GenerateOptions,
    workload: Box<dyn Workload>,
    desk: Desk,
    genesis: Genesis,
    chain: ChainBuilder,
}

/// Block gas limit of small chains.
const GAS_LIMIT_MIN: u64 = 30_000_000;
/// Seconds between blocks.
const SLOT_SECONDS: u64 = 12;

impl Generator {
    /// The chain at its genesis.
    ///
    /// # Errors
    /// Options out of bounds.
    pub fn new(options: &GenerateOptions) -> Result<Self, GenerateError> {
        options.check()?;
        let workload = options.kind.workload();
        let mut desk = Desk::new(options.seed, options.accounts);
        let addresses: Vec<_> = desk.addresses().collect();
        let mut accounts = workload.contracts(&desk);
        accounts.extend(
            addresses
                .into_iter()
                .map(|address| (address, GenesisAccount::default().with_balance(kinds::funds(&mut desk)))),
        );
        let gas_limit = workload.gas_per_transaction() * options.txs_per_block as u64;
        let genesis = genesis::prague_genesis(gas_limit.max(GAS_LIMIT_MIN), accounts);
        let chain = ChainBuilder::new(&genesis)?;
        Ok(Self { options: *options, workload, desk, genesis, chain })
    }

    /// The genesis file.
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The state after the last block.
    pub const fn world(&self) -> &World {
        self.chain.world()
    }

    /// The chain so far.
    pub const fn chain(&self) -> &ChainBuilder {
        &self.chain
    }

    /// Makes the next block. It may go on after [`GenerateOptions::blocks`].
    ///
    /// # Errors
    /// None for the kinds there are, unless a chain outgrows its accounts' funds.
    pub fn next_block(&mut self) -> Result<SealedBlock, GenerateError> {
        let number = self.chain.head().number + 1;
        let Self { options, workload, desk, chain, .. } = self;
        workload.write_block(desk, options.accounts, options.txs_per_block);
        let (transactions, senders) = desk.sign_all();
        let drawn = |desk: &mut Desk| keccak256(desk.random.next().to_be_bytes());
        let draft = BlockDraft {
            transactions,
            senders,
            withdrawals: workload.withdrawals(desk, options.accounts),
            beneficiary: workload.beneficiary(desk),
            seconds: SLOT_SECONDS,
            prev_randao: drawn(desk),
            parent_beacon_block_root: drawn(desk),
            extra_data: Bytes::from_static(b"outrider"),
            ..BlockDraft::default()
        };
        chain.append(draft).map_err(|error| GenerateError::Execution { number, error })
    }
}
