//! Entry points for fuzzing: each takes any bytes at all, must not panic, and must not need much
//! more memory than the bytes.
//!
//! What decodes must also be what it was decoded from: a target panics (that is, finds a bug) if a
//! decoded block or transaction does not encode to the very bytes it came from.

use std::{io, path::Path};

use alloy_consensus::{Block, BlockBody};
use alloy_eips::Encodable2718;
use alloy_rlp::Encodable;

use super::{
    block::{DecodedBlock, Ommers, decode_block},
    blockchain_test,
    case::BlockBytes,
    chain::ChainReader,
    columns::{SenderColumns, authorizations_of},
    files, genesis, prestate,
    raw_lines::RawLines,
    transaction::decode_raw_transaction,
    witness::Witness,
};

/// Most bytes that the gzip target decompresses.
const GUNZIP_BYTES_MAX: u64 = 1 << 20;

/// A fuzz target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, also that of its seeds.
    pub name: &'static str,
    /// Takes any bytes; a panic is a finding.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "block_rlp", run: block_rlp },
    Target { name: "block_json", run: block_json },
    Target { name: "prestate_json", run: prestate_json },
    Target { name: "block_hashes_json", run: block_hashes_json },
    Target { name: "genesis_json", run: genesis_json },
    Target { name: "witness_json", run: witness_json },
    Target { name: "chain_rlp", run: chain_rlp },
    Target { name: "blockchain_test", run: blockchain_test },
    Target { name: "raw_transaction", run: raw_transaction },
    Target { name: "raw_lines", run: raw_lines },
    Target { name: "gzip", run: gzip },
];

/// A block's RLP.
pub fn block_rlp(bytes: &[u8]) {
    if let Ok(block) = decode_block(&BlockBytes::Rlp(bytes.to_vec().into())) {
        assert!(encode(&block) == bytes, "a decoded block must encode to what it came from");
        check(&block);
    }
}

/// A node's answer.
pub fn block_json(bytes: &[u8]) {
    let Ok(block) = decode_block(&BlockBytes::RpcJson(bytes.to_vec().into())) else { return };
    check(&block);
    if block.ommers.is_empty() {
        let rlp = encode(&block);
        assert_eq!(rlp.len(), block.rlp_len_bytes);
        let again = decode_block(&BlockBytes::Rlp(rlp.into()));
        assert!(again.is_ok_and(|again| again.header == block.header), "what JSON can say, RLP can");
    }
}

/// A pre-state.
pub fn prestate_json(bytes: &[u8]) {
    if let Ok(prestate) = prestate::parse_touched_prestate(bytes) {
        assert!(prestate.accounts.is_sorted_by(|a, b| a.0 < b.0));
    }
}

/// Hashes of earlier blocks.
pub fn block_hashes_json(bytes: &[u8]) {
    let _ = prestate::parse_block_hashes(bytes);
}

/// A genesis file.
pub fn genesis_json(bytes: &[u8]) {
    if let Ok(genesis) = genesis::parse(bytes) {
        assert!(genesis.accounts.is_sorted_by(|a, b| a.0 < b.0));
    }
}

/// A witness file.
pub fn witness_json(bytes: &[u8]) {
    if let Ok(witness) = Witness::parse(bytes) {
        let mut json = Vec::new();
        witness.write_json(&mut json).expect("memory takes it");
        assert!(Witness::parse(&json) == Ok(witness), "what is written is what is read");
    }
}

/// A chain file.
pub fn chain_rlp(bytes: &[u8]) {
    let mut chain = ChainReader::new(Path::new("chain.rlp"), Box::new(io::Cursor::new(bytes.to_vec())));
    let Ok(genesis) = chain.take_genesis() else { return };
    let mut read = genesis.map_or(0, |block| block.len());
    let mut whole = true;
    for block in chain {
        match block {
            Ok(block) => {
                read += block.bytes.len();
                let _ = decode_block(&block.bytes);
            }
            Err(_) => whole = false,
        }
    }
    assert!(!whole || read == bytes.len(), "blocks must cover a chain file without fault");
}

/// A blockchain test file.
pub fn blockchain_test(bytes: &[u8]) {
    let Ok(cases) = blockchain_test::parse(Path::new("test.json"), bytes) else { return };
    for case in cases.into_iter().flatten() {
        for block in case.blocks.flatten() {
            let _ = decode_block(&block.bytes);
        }
    }
}

/// A transaction as wallets send it.
pub fn raw_transaction(bytes: &[u8]) {
    if let Ok(raw) = decode_raw_transaction(bytes) {
        if raw.sidecar.is_none() {
            assert!(raw.transaction.encoded_2718() == bytes, "one transaction has one encoding");
        }
        let columns = SenderColumns::of_transactions(std::slice::from_ref(&raw.transaction));
        assert_eq!(columns.payloads.as_payloads().len(), 1);
    }
}

/// Lines of raw transactions.
pub fn raw_lines(bytes: &[u8]) {
    let mut last = 0;
    for line in RawLines::new(bytes).flatten() {
        assert!(line.number > last, "lines keep their order");
        last = line.number;
    }
}

/// Compressed data.
pub fn gzip(bytes: &[u8]) {
    if let Ok(plain) = files::gunzip(bytes, GUNZIP_BYTES_MAX) {
        assert!(plain.len() as u64 <= GUNZIP_BYTES_MAX);
    }
}

fn check(block: &DecodedBlock) {
    assert_eq!(block.header.hash(), block.header.hash_slow());
    assert_eq!(block.transactions.encoded().len(), block.transactions.len());
    let (encodings, hashes) = (block.transactions.encoded().iter(), block.transactions.hashes());
    for ((transaction, encoded), hash) in block.transactions.iter().zip(encodings).zip(hashes) {
        assert!(transaction.encoded_2718() == encoded, "one transaction has one encoding");
        assert_eq!(transaction.hash(), hash, "one encoding has one hash");
    }
    assert_eq!(SenderColumns::of_transactions(&block.transactions).len(), block.transactions.len());
    let authorizations: Vec<_> =
        authorizations_of(&block.transactions).into_iter().map(|(_, entry)| entry).collect();
    assert_eq!(SenderColumns::of_authorizations(&authorizations).len(), authorizations.len());
}

/// The block's RLP by alloy's encoder.
pub(super) fn encode(block: &DecodedBlock) -> Vec<u8> {
    let ommers = match &block.ommers {
        Ommers::Headers(headers) => headers.clone(),
        Ommers::HashesOnly(_) => Vec::new(),
    };
    let body = BlockBody {
        transactions: block.transactions.to_vec(),
        ommers,
        withdrawals: block.withdrawals.clone(),
    };
    let mut rlp = Vec::new();
    Block::new(block.header.inner().clone(), body).encode(&mut rlp);
    rlp
}
