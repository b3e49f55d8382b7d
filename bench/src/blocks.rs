//! Whole blocks with the states that they start from.

use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, map::HashMap};
use outrider::{
    block::BlockContext,
    generate::{GenerateOptions, Generator, Kind},
    ingest::{self, Transactions, decode_block},
    recover::Recovered,
    spec::ChainSpec,
    state::{BlockHashes, View, World},
};
use std::path::{Path, PathBuf};

/// A block, and the state before it.
#[derive(Debug)]
pub struct Block {
    /// The rules of its chain.
    pub spec: ChainSpec,
    /// Its header.
    pub header: Header,
    /// Its transactions.
    pub transactions: Transactions,
    /// Ommer headers, where they are known.
    pub ommers: Vec<Header>,
    /// Its withdrawals.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// The state before it.
    pub world: World,
    /// Hashes of earlier blocks, as far as they are known.
    pub hashes: BlockHashes,
}

impl Block {
    /// The state before it, as execution reads it.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View::from(&self.world).with_hashes(&self.hashes)
    }

    /// What execution needs to know, with senders and authorities from elsewhere.
    #[must_use]
    pub fn context<'a>(&'a self, recovered: &'a Recovered) -> BlockContext<'a> {
        self.context_of(&recovered.senders, &recovered.authorities)
    }

    /// The same, from the parts.
    #[must_use]
    pub fn context_of<'a>(
        &'a self,
        senders: &'a [Address],
        authorities: &'a HashMap<usize, Vec<alloy_eips::eip7702::RecoveredAuthority>>,
    ) -> BlockContext<'a> {
        BlockContext {
            spec: &self.spec,
            header: &self.header,
            transactions: &self.transactions,
            senders,
            authorities,
            ommers: &self.ommers,
            withdrawals: self.withdrawals.as_deref(),
        }
    }
}

/// The first block of a generated chain, with a fifth as many accounts as transactions.
///
/// # Panics
/// Never for lengths that [`GenerateOptions`] allows.
#[must_use]
pub fn generated(kind: Kind, len: usize, seed: u64) -> Block {
    let accounts = (len / 5).max(16);
    let options = GenerateOptions { kind, txs_per_block: len, blocks: 1, accounts, seed };
    let mut generator = Generator::new(&options).expect("options within bounds");
    let world = generator.world().clone();
    let sealed = generator.next_block().expect("generated blocks are valid");
    let hashes = [(sealed.block.header.number - 1, sealed.block.header.parent_hash)].into_iter().collect();
    Block {
        spec: generator.chain().spec().clone(),
        header: sealed.block.header,
        transactions: Transactions::encode(sealed.block.body.transactions),
        ommers: Vec::new(),
        withdrawals: sealed.block.body.withdrawals.map(|withdrawals| withdrawals.into_inner()),
        world,
        hashes,
    }
}

/// The mainnet blocks beside the checkout that come with their pre-states; none if they are absent.
///
/// # Panics
/// If they are there but cannot be read.
#[must_use]
pub fn mainnet() -> Vec<Block> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/mainnet");
    if !folder.is_dir() {
        eprintln!("skipped: {} is absent", folder.display());
        return Vec::new();
    }
    let source = ingest::open(&folder).expect("a folder of blocks");
    let mut blocks = Vec::new();
    for case in source {
        let mut case = case.expect("a block folder");
        let Some(prestate) = case.prestate else { continue };
        let input = case.blocks.next().expect("a block").expect("a readable block");
        let block = decode_block(&input.bytes).expect("a well-formed block");
        let header = block.header.into_inner();
        let known = prestate.block_hashes.iter().map(|(number, hash)| (*number, *hash));
        let hashes = known.chain([(header.number - 1, header.parent_hash)]).collect();
        let world = World::from_prestate(prestate);
        blocks.push(Block {
            spec: case.spec,
            header,
            transactions: block.transactions,
            ommers: block.ommers.headers().unwrap_or_default().to_vec(),
            withdrawals: block.withdrawals.map(|withdrawals| withdrawals.into_inner()),
            world,
            hashes,
        });
    }
    blocks
}
