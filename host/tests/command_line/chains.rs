//! Chain folders with faults in them.

use alloy_consensus::{Block, proofs::calculate_transaction_root};
use alloy_rlp::Encodable;
use outrider::{
    block::SignedTx,
    generate::{GenerateOptions, Generator, Kind},
};
use std::{fs, path::Path};
use tempfile::TempDir;

pub(crate) type ChainBlock = Block<SignedTx>;

/// A chain of three mixed blocks, its second block as `tamper` leaves it. Also that block as it was.
pub(crate) fn tampered(tamper: impl FnOnce(&mut ChainBlock)) -> (TempDir, ChainBlock) {
    let options = GenerateOptions { kind: Kind::Mixed, txs_per_block: 30, blocks: 3, accounts: 12, seed: 5 };
    let mut generator = Generator::new(&options).unwrap();
    let first = generator.next_block().unwrap().block;
    let truth = generator.next_block().unwrap().block;
    let third = generator.next_block().unwrap().block;
    let mut second = truth.clone();
    tamper(&mut second);
    let folder = tempfile::tempdir().unwrap();
    let genesis = serde_json::to_vec(generator.genesis()).unwrap();
    fs::write(folder.path().join("genesis.json"), genesis).unwrap();
    write_chain(folder.path(), &[first, second, third]);
    (folder, truth)
}

pub(crate) fn write_chain(folder: &Path, blocks: &[ChainBlock]) {
    let mut encoded = Vec::new();
    blocks.iter().for_each(|block| block.encode(&mut encoded));
    fs::write(folder.join("chain.rlp"), encoded).unwrap();
}

/// Makes the header say what transactions there are now.
pub(crate) fn reseal_transactions(block: &mut ChainBlock) {
    block.header.transactions_root = calculate_transaction_root(&block.body.transactions);
}
