//! Outrider: a transaction execution coprocessor for Ethereum-compatible validators.
//!
//! The rooms of the flow, in the order in which they may know of each other: [`spec`] (the rules
//! of a chain), [`trie`] (roots of tries), [`ingest`] (bytes to typed data), [`rules`] (what makes
//! a block invalid), [`block`] (what execution is given), [`recover`], [`state`], [`store`] (states on
//! disk), [`route`], [`plan`], [`lanes`], [`reconcile`], and [`run`], which leads blocks through all of them. Beside
//! the flow, [`generate`] makes chains to run.

#![forbid(unsafe_code)]

pub mod block;
pub mod generate;
pub mod ingest;
pub mod lanes;
pub mod plan;
pub mod reconcile;
pub mod recover;
pub mod route;
pub mod rules;
pub mod run;
pub mod spec;
pub mod state;
pub mod store;
pub mod trie;
