//! Ordered plain transfers over dense account ids: the transfer lane's kernel.
//!
//! What it promises: the result of a batch equals executing its transfers one after the other, up to
//! the first that cannot be executed, whose index and reason it names. That holds for accounts that
//! occur any number of times, for transfers to oneself, and for a fee recipient that is itself a party.
//!
//! Why it can be done in parallel: a valid plain transfer moves amounts that are known before it runs,
//! so each is a handful of constant additions, and addition is associative. Sorted by account, all
//! balances "before transfer i" are one segmented scan; so are nonces, and gas is a scan of its own.
//! By induction the scanned values equal the serial ones up to and including the first failure.
//!
//! Three ways, which agree bit for bit on whatever they accept:
//! * [`serial`]: a table of accounts walked in order, for all widths. The production CPU form.
//! * [`scan`]: the device's algorithm on the CPU, stage by stage in the device's layout. It finds
//!   which stage is at fault when a device disagrees; it is not meant to be fast.
//! * [`gpu`]: the same stages as WGSL.
//!
//! The last two hold amounts in 160 bits of two's complement, which suffices if every amount and
//! balance is below 2^128 and a batch holds fewer than 2^24 transfers: see [`scan::fits`]. Whatever is
//! wider takes the serial form.
//!
//! The caller owns the accounts and passes them in; each way updates them in place. To go on after a
//! failure, decide about `transfers[done]` elsewhere, write what came of it to `accounts`, and call
//! again with `&transfers[done + 1..]` and the gas that is left.

pub mod amount;
pub mod gpu;
#[cfg(test)]
mod gpu_tests;
mod known;
pub(crate) mod recheck;
pub mod scan;
pub mod serial;
#[cfg(test)]
mod tests;

use bytemuck::{Pod, Zeroable};

/// An account as the batch sees it. The id of an account is its index in the slice of accounts.
///
/// 40 bytes, read by the device as ten little-endian words.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Account {
    /// Balance in wei: 256 bits, least significant limb first.
    pub balance: [u64; 4],
    /// Nonce: the number of transactions sent.
    pub nonce: u64,
}

/// A plain transfer, with all amounts in wei worked out beforehand.
///
/// The caller has made sure that `tip <= charge <= fee_max`, `gas_used <= gas_limit`,
/// `nonce < u64::MAX` (EIP-2681) and that both ids are in range. A transfer whose `fee_max` does not fit
/// 128 bits must not be submitted: no rule set lets it pass.
///
/// 112 bytes, read by the device as 28 little-endian words. Rows rather than a column for each
/// field: every way reads each transfer once and whole.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Transfer {
    /// The amount moved to the recipient: 256 bits, least significant limb first.
    pub value: [u64; 4],
    /// `gas_limit` times the highest price per gas the sender accepts. The sender must own this and the
    /// value, whatever is charged in the end.
    pub fee_max: u128,
    /// The fee paid: gas used times the effective price.
    pub charge: u128,
    /// The part of `charge` that the fee recipient gets: all of it before London (EIP-1559), what is
    /// above the base fee since.
    pub tip: u128,
    /// The sender's nonce as the transaction states it.
    pub nonce: u64,
    /// Gas the block must still have to offer.
    pub gas_limit: u64,
    /// Gas really used.
    pub gas_used: u64,
    /// Id of the sender.
    pub sender: u32,
    /// Id of the recipient.
    pub recipient: u32,
}

/// What holds for all transfers of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Id of the account that gets the tips, if it is a party of the batch. If it is not, tips are only
    /// summed, and the caller checks that the sum does not overflow that account's balance.
    pub fee_recipient: Option<u32>,
    /// Gas that the block has left for the batch.
    pub gas_available: u64,
}

/// Why a transfer cannot be executed, in the order in which the reasons are looked for.
///
/// The discriminants are the codes that the device reports.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// `gas_limit` exceeds what the block has left.
    GasPool = 0,
    /// The nonce was used already.
    NonceTooLow = 1,
    /// The nonce lies ahead of the sender's.
    NonceTooHigh = 2,
    /// The sender's balance does not cover `fee_max + value`.
    InsufficientFunds = 3,
    /// The recipient's balance would exceed 256 bits. Such a transaction is valid, but halts.
    RecipientOverflow = 4,
    /// The fee recipient's balance would exceed 256 bits.
    FeeRecipientOverflow = 5,
}

impl Reason {
    /// All reasons, each at the index of its code.
    pub const ALL: [Self; 6] = [
        Self::GasPool,
        Self::NonceTooLow,
        Self::NonceTooHigh,
        Self::InsufficientFunds,
        Self::RecipientOverflow,
        Self::FeeRecipientOverflow,
    ];
}

/// The first transfer that could not be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its index in the batch.
    pub index: usize,
    /// Its first reason.
    pub reason: Reason,
}

/// What came of a batch, besides the accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The number of transfers executed: all before the failure.
    pub done: usize,
    /// Why not all were.
    pub failure: Option<Failure>,
    /// Sum of the tips of the executed transfers (256 bits), whether or not the fee recipient is a party.
    pub tips: [u64; 4],
    /// Sum of the gas used by the executed transfers.
    pub gas_used: u64,
}
