//! What a chain's rules are at each block: fork schedule, blob parameters, contract addresses.
//!
//! A [`ChainSpec`] is complete and consistent once made: its constructors refuse unknown forks,
//! schedules out of order and blob parameters that no block could obey, so nothing later has to.
//! It answers for a block number and a timestamp, and it is what alloy-evm's block rules (system
//! calls, rewards, the DAO drain, deposits) take as their specification.
//!
//! One thing a schedule may not know at first: the number of the first proof-of-stake block, when
//! only a terminal total difficulty is given. Whoever holds the headers says it with
//! [`ChainSpec::resolve_merge`].

mod blob;
mod chain;
mod config;
mod error;
mod fork;
mod genesis;
mod network;

pub use blob::BlobLimits;
pub use chain::{ChainSpec, DaoFork};
pub use error::SpecError;
pub use fork::Fork;
