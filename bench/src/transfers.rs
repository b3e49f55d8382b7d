//! Blocks of plain transfers among funded accounts. Senders are given, so signatures are not real.

use crate::Random;
use alloy_consensus::{Header, Signed, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256, map::HashMap};
use outrider::{
    block::{BlockContext, SignedTx},
    spec::ChainSpec,
    state::{Completeness, World},
};

/// Who pays whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parties {
    /// Sender and recipient of each transfer are drawn from all accounts.
    Uniform,
    /// Every other transfer leaves one payout wallet, and the rest goes to one sweep address.
    Hot,
}

/// A block of transfers, and the state before it.
#[derive(Debug)]
pub struct Transfers {
    spec: ChainSpec,
    header: Header,
    transactions: Vec<SignedTx>,
    senders: Vec<Address>,
    /// The state before the block: all accounts, with 10^24 wei each.
    pub world: World,
}

/// The address of an account, spread like real ones.
fn address(account: usize) -> Address {
    Address::from_slice(&keccak256(account.to_be_bytes())[12..])
}

impl Transfers {
    /// `len` transfers among `accounts` accounts (at least 2); the same for the same seed.
    #[must_use]
    pub fn new(parties: Parties, len: usize, accounts: usize, seed: u64) -> Self {
        let mut random = Random(seed);
        let addresses: Vec<Address> = (0..accounts).map(address).collect();
        let mut world = World::with_capacity(Completeness::Whole, accounts);
        for address in &addresses {
            world.insert(*address, U256::from(10).pow(U256::from(24)), 0, Bytes::new(), []);
        }
        let mut draw = |accounts: usize| {
            usize::try_from(random.below(accounts as u64)).expect("below a number of accounts")
        };
        let mut nonces = vec![0; accounts];
        let (mut transactions, mut senders) = (Vec::with_capacity(len), Vec::with_capacity(len));
        for index in 0..len {
            let hot = parties == Parties::Hot;
            let sender = if hot && index % 2 == 0 { 0 } else { draw(accounts) };
            let recipient = if hot && index % 2 == 1 { 1 } else { draw(accounts) };
            let tx = TxEip1559 {
                chain_id: 1,
                nonce: nonces[sender],
                gas_limit: 21_000,
                max_fee_per_gas: 30_000_000_000,
                max_priority_fee_per_gas: 1_000_000_000 + draw(1_000) as u128,
                to: TxKind::Call(addresses[recipient]),
                value: U256::from(draw(1 << 44)),
                ..TxEip1559::default()
            };
            nonces[sender] += 1;
            senders.push(addresses[sender]);
            let hash = B256::from(U256::from(index));
            transactions.push(Signed::new_unchecked(tx, Signature::test_signature(), hash).into());
        }
        // A Cancun block of mainnet, with room for all of them.
        let header = Header {
            number: 19_500_000,
            timestamp: 1_710_400_000,
            gas_limit: 1 << 40,
            base_fee_per_gas: Some(7_000_000_000),
            beneficiary: address(usize::MAX),
            excess_blob_gas: Some(0),
            blob_gas_used: Some(0),
            parent_beacon_block_root: Some(B256::ZERO),
            ..Header::default()
        };
        Self { spec: ChainSpec::mainnet(), header, transactions, senders, world }
    }

    /// The block. `authorities` is the empty map that it borrows.
    #[must_use]
    pub fn block<'a>(&'a self, authorities: &'a Authorities) -> BlockContext<'a> {
        BlockContext {
            spec: &self.spec,
            header: &self.header,
            transactions: &self.transactions,
            senders: &self.senders,
            authorities,
            ommers: &[],
            withdrawals: None,
        }
    }
}

/// Authorities of a block: transfers have none.
pub type Authorities = HashMap<usize, Vec<alloy_eips::eip7702::RecoveredAuthority>>;
