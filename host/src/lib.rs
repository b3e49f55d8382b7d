//! Outrider: a transaction execution coprocessor for Ethereum-compatible validators.
//!
//! The rooms of the flow, in the order in which they may know of each other: [`spec`] (the rules
//! of a chain), [`ingest`] (bytes to typed data), [`block`] (what execution is given), [`state`],
//! [`route`], [`plan`], [`lanes`], [`reconcile`].

pub mod block;
pub mod ingest;
pub mod lanes;
pub mod plan;
pub mod reconcile;
pub mod route;
pub mod spec;
pub mod state;
