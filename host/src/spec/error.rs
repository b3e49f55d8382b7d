//! What can be wrong with a description of a chain.

use super::Fork;

/// A fork schedule that cannot be understood or obeyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A network name of a test, or a part of one, that names no fork.
    #[error("unknown network {network:?}: no fork is called {fork:?}")]
    UnknownNetwork {
        /// The whole name.
        network: String,
        /// The part that was not understood.
        fork: String,
    },
    /// A transition whose moment cannot be read, or which does not suit its fork.
    #[error("unknown network {network:?}: bad transition {transition:?}")]
    BadTransition {
        /// The whole name.
        network: String,
        /// The part that was not understood.
        transition: String,
    },
    /// A fork activates though one that it builds on does not, or does so later.
    #[error("fork schedule: {later} activates at {later_at} but {earlier} at {earlier_at}")]
    OutOfOrder {
        /// The fork built upon.
        earlier: Fork,
        /// When it activates.
        earlier_at: String,
        /// The fork that builds on it.
        later: Fork,
        /// When that activates.
        later_at: String,
    },
    /// EIP-155 and EIP-158 at different blocks: no rule set has one without the other.
    #[error("fork schedule: eip155Block {eip155:?} differs from eip158Block {eip158:?}")]
    SplitSpuriousDragon {
        /// Activation of EIP-155.
        eip155: Option<u64>,
        /// Activation of EIP-158.
        eip158: Option<u64>,
    },
    /// Forks by timestamp without a merge to build upon.
    #[error(
        "fork schedule: {fork} is scheduled by time, but there is no terminalTotalDifficulty and \
         the genesis difficulty is not zero"
    )]
    NoMerge {
        /// The first fork by timestamp.
        fork: Fork,
    },
    /// A fork of which nothing is known but its name.
    #[error("fork schedule: {fork} is not supported")]
    UnsupportedFork {
        /// Its name.
        fork: String,
    },
    /// A consensus engine other than proof of work and proof of stake.
    #[error("consensus engine {engine} is not supported")]
    UnsupportedEngine {
        /// Its name.
        engine: &'static str,
    },
    /// A fork that changes blob parameters is scheduled but the blob schedule lacks them.
    #[error("blob schedule: no entry for {fork}")]
    MissingBlobParams {
        /// The fork without parameters.
        fork: Fork,
    },
    /// Blob parameters that no block could obey.
    #[error("blob schedule: {fork} has target {target}, max {max}, update fraction {fraction}")]
    BadBlobParams {
        /// The fork they belong to.
        fork: Fork,
        /// Target number of blobs in a block.
        target: u64,
        /// Maximum number of blobs in a block.
        max: u64,
        /// Update fraction of the blob base fee.
        fraction: u128,
    },
    /// A fork in the blob schedule that is not known or carries no blobs.
    #[error("blob schedule: unknown fork {fork:?}")]
    UnknownBlobFork {
        /// The key.
        fork: String,
    },
}
