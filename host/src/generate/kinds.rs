//! The kinds of chain, and what each fills its blocks with.

use super::{
    drafting::{Desk, Intent, TRANSFER_GAS},
    mixed::Mixed,
};
use alloy_eips::eip4895::Withdrawal;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, U256};
use std::{fmt, str::FromStr};

/// What fills the blocks of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Plain transfers between accounts drawn at random.
    Transfers,
    /// Plain transfers of two hot accounts: the first half of a block is one payout wallet's, nonce
    /// by nonce, and the second half goes to one address that sweeps deposits.
    Hot,
    /// All transaction types, contracts, creations and failures.
    Mixed,
}

impl Kind {
    /// All kinds, in the order in which help lists them.
    pub const ALL: [Self; 3] = [Self::Transfers, Self::Hot, Self::Mixed];

    /// The name that the command line takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transfers => "transfers",
            Self::Hot => "hot",
            Self::Mixed => "mixed",
        }
    }

    /// The fewest accounts that give the kind its shape.
    pub const fn account_count_min(self) -> usize {
        match self {
            Self::Transfers => 2,
            Self::Hot => 3,
            Self::Mixed => 8,
        }
    }

    pub(super) fn workload(self) -> Box<dyn Workload> {
        match self {
            Self::Transfers => Box::new(Transfers),
            Self::Hot => Box::new(Hot),
            Self::Mixed => Box::new(Mixed),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

/// A name that is no [`Kind`]'s.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of chain {0:?}: there are {kinds}", kinds = Kind::ALL.map(Kind::name).join(", "))]
pub struct UnknownKind(pub String);

/// Fills blocks.
pub(super) trait Workload: fmt::Debug + Send {
    /// The block gas limit's share of a transaction. Blocks must come out at most half full, so
    /// that the base fee never rises above what transactions offer.
    fn gas_per_transaction(&self) -> u64;

    /// Accounts of the genesis besides the funded wallets.
    fn contracts(&self, _desk: &Desk) -> Vec<(Address, GenesisAccount)> {
        Vec::new()
    }

    /// Who gets the fees.
    fn beneficiary(&self, _desk: &Desk) -> Address {
        Address::repeat_byte(0xfe)
    }

    /// Writes `count` transactions.
    fn write_block(&self, desk: &mut Desk, accounts: usize, count: usize);

    /// The withdrawals of a block.
    fn withdrawals(&self, _desk: &mut Desk, _accounts: usize) -> Vec<Withdrawal> {
        Vec::new()
    }
}

/// The wallet that pays out in a hot chain.
const PAYOUT_WALLET: usize = 0;
/// The wallet that deposits are swept to in a hot chain.
const SWEEP_WALLET: usize = 1;

/// What a wallet holds at genesis: a billion ether and some wei, which lasts for the largest chain
/// there can be, even if one wallet pays for all of it.
pub(super) fn funds(desk: &mut Desk) -> U256 {
    const BILLION: u64 = 1_000_000_000;
    U256::from(BILLION) * U256::from(BILLION) * U256::from(BILLION) + U256::from(desk.random.amount())
}

#[derive(Debug)]
struct Transfers;

impl Workload for Transfers {
    fn gas_per_transaction(&self) -> u64 {
        2 * TRANSFER_GAS
    }

    fn write_block(&self, desk: &mut Desk, accounts: usize, count: usize) {
        for _ in 0..count {
            let (sender, recipient) = pair(desk, accounts);
            write_transfer(desk, sender, recipient);
        }
    }
}

#[derive(Debug)]
struct Hot;

impl Workload for Hot {
    fn gas_per_transaction(&self) -> u64 {
        2 * TRANSFER_GAS
    }

    fn write_block(&self, desk: &mut Desk, accounts: usize, count: usize) {
        let others = accounts - 2;
        for index in 0..count {
            let other = 2 + desk.random.index(others);
            if index < count / 2 {
                write_transfer(desk, PAYOUT_WALLET, other);
            } else {
                write_transfer(desk, other, SWEEP_WALLET);
            }
        }
    }
}

/// Two different wallets.
pub(super) fn pair(desk: &mut Desk, accounts: usize) -> (usize, usize) {
    let sender = desk.random.index(accounts);
    let step = 1 + desk.random.index(accounts - 1);
    (sender, (sender + step) % accounts)
}

fn write_transfer(desk: &mut Desk, sender: usize, recipient: usize) {
    let (tx_type, value) = (desk.plain_type(), desk.random.amount());
    let to = desk.address(recipient);
    desk.write(sender, Intent::transfer(tx_type, to, value));
}
