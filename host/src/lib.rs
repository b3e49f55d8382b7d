//! Outrider: a transaction execution coprocessor for Ethereum-compatible validators.

pub mod rules;
pub mod spec;
