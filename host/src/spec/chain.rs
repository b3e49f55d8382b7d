//! [`ChainSpec`]: the rules of one chain.

use alloy_consensus::Header;
use alloy_eips::{eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS, eip7840::BlobParams};
use alloy_evm::{EvmEnv, eth::spec::EthExecutorSpec};
use alloy_hardforks::{EthereumChainHardforks, EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::{Address, U256};
use revm::primitives::hardfork::SpecId;

use super::{
    BlobLimits, Fork, SpecError,
    blob::{self},
};

/// The rules of one chain: when each fork activates, and what the forks leave to the chain.
///
/// Cheap to clone (about a kilobyte).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainSpec {
    chain_id: u64,
    /// Indexed by [`Fork::index`].
    activations: [ForkCondition; Fork::ALL.len()],
    dao: Option<DaoFork>,
    /// From when which blob parameters hold, in order of activation.
    blobs: Vec<(u64, BlobParams)>,
    deposit_contract: Address,
}

/// The DAO fork: where it is, and on which side of it the chain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaoFork {
    /// Number of the fork block.
    pub block: u64,
    /// Whether the chain moves the funds; one that does not must not carry the mark either.
    pub support: bool,
}

impl DaoFork {
    /// How many blocks from the fork on must (or must not) carry the mark in their extra data.
    pub const MARKED_BLOCKS: u64 = 10;
}

impl ChainSpec {
    /// Ethereum mainnet, with all forks scheduled so far.
    ///
    /// # Panics
    /// Never: the schedule is a constant, and a test builds it.
    pub fn mainnet() -> Self {
        let forks = EthereumChainHardforks::mainnet();
        let mut draft = Draft::new(1);
        for fork in Fork::ALL {
            if let Some(name) =
                EthereumHardfork::VARIANTS.iter().find(|f| Fork::from_alloy(**f) == Some(fork))
            {
                draft.set(fork, forks.ethereum_fork_activation(*name));
            }
        }
        draft.dao = forks
            .ethereum_fork_activation(EthereumHardfork::Dao)
            .block_number()
            .map(|block| DaoFork { block, support: true });
        draft.build().expect("the schedule of mainnet is in order")
    }

    /// The chain id (EIP-155).
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The contract whose logs are deposits (EIP-6110); mainnet's unless the chain names another.
    pub const fn deposit_contract(&self) -> Address {
        self.deposit_contract
    }

    /// The DAO fork, where the chain has one.
    pub const fn dao(&self) -> Option<DaoFork> {
        self.dao
    }

    /// When `fork` activates.
    pub const fn activation(&self, fork: Fork) -> ForkCondition {
        self.activations[fork.index()]
    }

    /// Whether the rules of `fork` hold in the block.
    pub const fn is_active(&self, fork: Fork, number: u64, timestamp: u64) -> bool {
        self.activation(fork).active_at_timestamp_or_number(timestamp, number)
    }

    /// The latest fork whose rules hold in the block.
    pub fn fork_at(&self, number: u64, timestamp: u64) -> Fork {
        Fork::ALL
            .into_iter()
            .rev()
            .find(|fork| self.is_active(*fork, number, timestamp))
            .unwrap_or(Fork::Frontier)
    }

    /// The latest fork whose rules hold in the block of `header`.
    pub fn fork_of(&self, header: &Header) -> Fork {
        self.fork_at(header.number, header.timestamp)
    }

    /// The rules that revm runs the block under.
    pub fn spec_id_at(&self, number: u64, timestamp: u64) -> SpecId {
        self.fork_at(number, timestamp).spec_id()
    }

    /// Whether the block runs under EIP-1283, which revm does not know: Constantinople before
    /// Petersburg took it out. No public chain has such blocks; some tests do. Their results
    /// cannot be trusted where a storage slot is written twice in one transaction.
    pub fn needs_eip1283(&self, number: u64, timestamp: u64) -> bool {
        self.fork_at(number, timestamp) == Fork::Constantinople
    }

    /// The blob parameters that hold at `timestamp`; `None` before Cancun.
    pub fn blob_params_at(&self, timestamp: u64) -> Option<BlobParams> {
        self.blobs.iter().rev().find(|(from, _)| *from <= timestamp).map(|(_, params)| *params)
    }

    /// revm's configuration and block environment for the block of `header`.
    ///
    /// The header need not have been checked: where a field is absent that its fork demands, the
    /// environment lacks it too, and revm refuses to run.
    pub fn evm_env(&self, header: &Header) -> EvmEnv<SpecId> {
        let blob_params = self.blob_params_at(header.timestamp);
        EvmEnv::for_eth_block(header, self, self.chain_id, blob_params)
    }

    /// The total difficulty that ends proof of work, while the number of the first block after it
    /// is not known yet.
    pub const fn unresolved_merge(&self) -> Option<U256> {
        match self.activation(Fork::Paris) {
            ForkCondition::TTD { activation_block_number: u64::MAX, total_difficulty, .. } => {
                Some(total_difficulty)
            }
            _ => None,
        }
    }

    /// Makes block `number` the first proof-of-stake block, if its parent has reached the terminal total difficulty
    /// (EIP-3675) as the first of its chain: `total_difficulty` is that of the chain up to the parent. Without an
    /// [unresolved merge](Self::unresolved_merge) nothing changes. Returns whether this was the block.
    pub fn resolve_merge(&mut self, number: u64, total_difficulty: U256) -> bool {
        let Some(terminal) = self.unresolved_merge().filter(|terminal| total_difficulty >= *terminal) else {
            return false;
        };
        self.activations[Fork::Paris.index()] = ForkCondition::TTD {
            activation_block_number: number,
            fork_block: None,
            total_difficulty: terminal,
        };
        true
    }
}

impl EthereumHardforks for ChainSpec {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        match Fork::from_alloy(fork) {
            Some(fork) => self.activation(fork),
            None => match self.dao {
                Some(DaoFork { block, support: true }) if fork == EthereumHardfork::Dao => {
                    ForkCondition::Block(block)
                }
                _ => ForkCondition::Never,
            },
        }
    }
}

impl EthExecutorSpec for ChainSpec {
    fn deposit_contract_address(&self) -> Option<Address> {
        Some(self.deposit_contract)
    }
}

/// A chain being described; [`Draft::build`] checks it and makes the [`ChainSpec`].
#[derive(Debug)]
pub(super) struct Draft {
    chain_id: u64,
    activations: [ForkCondition; Fork::ALL.len()],
    pub(super) dao: Option<DaoFork>,
    pub(super) deposit_contract: Option<Address>,
    blob_limits: [Option<BlobLimits>; Fork::ALL.len()],
}

impl Draft {
    pub(super) fn new(chain_id: u64) -> Self {
        let mut activations = [ForkCondition::Never; Fork::ALL.len()];
        activations[Fork::Frontier.index()] = ForkCondition::ZERO_BLOCK;
        Self {
            chain_id,
            activations,
            dao: None,
            deposit_contract: None,
            blob_limits: [None; Fork::ALL.len()],
        }
    }

    pub(super) const fn set(&mut self, fork: Fork, condition: ForkCondition) {
        self.activations[fork.index()] = condition;
    }

    pub(super) const fn get(&self, fork: Fork) -> ForkCondition {
        self.activations[fork.index()]
    }

    /// Takes the entry that a blob schedule has under `name`.
    pub(super) fn set_blob_limits(&mut self, name: &str, limits: BlobLimits) -> Result<(), SpecError> {
        match Fork::from_name(name) {
            Some(fork) if fork >= Fork::Cancun => self.blob_limits[fork.index()] = Some(limits),
            _ => return Err(SpecError::UnknownBlobFork { fork: name.to_owned() }),
        }
        Ok(())
    }

    pub(super) const fn has_blob_limits(&self, fork: Fork) -> bool {
        self.blob_limits[fork.index()].is_some()
    }

    pub(super) fn build(self) -> Result<ChainSpec, SpecError> {
        self.check_order()?;
        let blobs = self.blob_schedule()?;
        Ok(ChainSpec {
            chain_id: self.chain_id,
            activations: self.activations,
            dao: self.dao,
            blobs,
            deposit_contract: self.deposit_contract.unwrap_or(MAINNET_DEPOSIT_CONTRACT_ADDRESS),
        })
    }

    /// Each fork needs those it builds upon; the optional ones are built upon by none.
    fn check_order(&self) -> Result<(), SpecError> {
        let mut base = Fork::Frontier;
        let mut blob_base = Fork::Osaka;
        for fork in Fork::ALL {
            if self.get(fork) == ForkCondition::Never && fork.is_optional() {
                continue;
            }
            if fork.is_blob_parameters_only() {
                self.check_pair(blob_base, fork)?;
                blob_base = fork;
                continue;
            }
            self.check_pair(base, fork)?;
            if !fork.is_optional() {
                base = fork;
            }
        }
        Ok(())
    }

    fn check_pair(&self, earlier: Fork, later: Fork) -> Result<(), SpecError> {
        let (before, after) = (self.get(earlier), self.get(later));
        let in_order = match (before, after) {
            (_, ForkCondition::Never) => true,
            (ForkCondition::Never, _) => false,
            (ForkCondition::Timestamp(a), ForkCondition::Timestamp(b)) => a <= b,
            // A block number and a timestamp cannot be compared without the headers.
            (_, ForkCondition::Timestamp(_)) | (ForkCondition::Timestamp(_), _) => true,
            (a, b) => a.block_number() <= b.block_number(),
        };
        if in_order {
            return Ok(());
        }
        Err(SpecError::OutOfOrder { earlier, earlier_at: describe(before), later, later_at: describe(after) })
    }

    fn blob_schedule(&self) -> Result<Vec<(u64, BlobParams)>, SpecError> {
        let mut schedule: Vec<(u64, BlobParams)> = Vec::new();
        for fork in Fork::ALL {
            let ForkCondition::Timestamp(from) = self.get(fork) else { continue };
            let limits = self.blob_limits[fork.index()].or_else(|| blob::mainnet_limits(fork));
            match limits {
                Some(limits) => schedule.push((from, limits.params_under(fork)?)),
                None if fork.is_blob_parameters_only() => {
                    return Err(SpecError::MissingBlobParams { fork });
                }
                // A fork that says nothing of blobs keeps what was.
                None => {}
            }
        }
        // Stable: of forks that activate together the later one has the last word.
        schedule.sort_by_key(|(from, _)| *from);
        Ok(schedule)
    }
}

/// An activation in words.
fn describe(condition: ForkCondition) -> String {
    match condition {
        ForkCondition::Block(number) => format!("block {number}"),
        ForkCondition::Timestamp(time) => format!("time {time}"),
        ForkCondition::TTD { activation_block_number: u64::MAX, total_difficulty, .. } => {
            format!("total difficulty {total_difficulty}")
        }
        ForkCondition::TTD { activation_block_number, .. } => {
            format!("block {activation_block_number}")
        }
        ForkCondition::Never => "never".to_owned(),
    }
}

#[cfg(test)]
mod tests;
