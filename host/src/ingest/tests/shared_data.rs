//! The shared data: real blocks and execution-spec tests. Skipped, and said so, where it is absent.

use std::path::PathBuf;

use alloy_consensus::{
    Block,
    proofs::{calculate_ommers_root, calculate_withdrawals_root, ordered_trie_root_encoded},
};
use alloy_primitives::{Address, B256, Signature, U256, keccak256};
use alloy_rlp::Decodable;
use rayon::prelude::*;

use crate::ingest::{
    BlockBytes, BlockInput, Case, DecodedBlock, Expectation, Ommers, SenderColumns, Transaction,
    authorizations_of, decode_block, fuzz, open,
};

fn shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")).join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there", path.display());
    None
}

fn cases(name: &str) -> Option<Vec<Case>> {
    Some(open(&shared(name)?).unwrap().map(|case| case.unwrap_or_else(|error| panic!("{error}"))).collect())
}

/// Senders by alloy's own signing hash and recovery from our columns' scalars.
fn senders(columns: &SenderColumns) -> Vec<Option<Address>> {
    let recover = |row: usize| {
        let r = U256::from_be_bytes(columns.r[row]);
        let s = U256::from_be_bytes(columns.s[row]);
        let signature = Signature::new(r, s, columns.recovery_ids[row] == 1);
        let hash = keccak256(columns.payloads.as_payloads().get(row));
        alloy_consensus::crypto::secp256k1::recover_signer_unchecked(&signature, hash).ok()
    };
    (0..columns.len()).into_par_iter().map(recover).collect()
}

fn transactions_root(block: &DecodedBlock) -> B256 {
    let encoded: Vec<&[u8]> = block.transactions.encoded().iter().collect();
    ordered_trie_root_encoded(&encoded)
}

fn check_hashes(block: &DecodedBlock, place: &str) {
    assert_eq!(block.header.hash(), block.header.hash_slow(), "{place}");
    assert_eq!(transactions_root(block), block.header.transactions_root, "{place}");
    let withdrawals_root = block.withdrawals.as_ref().map(|list| calculate_withdrawals_root(list));
    assert_eq!(withdrawals_root, block.header.withdrawals_root, "{place}");
    if let Ommers::Headers(headers) = &block.ommers {
        assert_eq!(calculate_ommers_root(headers), block.header.ommers_hash, "{place}");
    }
}

#[test]
fn mainnet_blocks_have_the_hashes_roots_and_senders_that_they_state() {
    let Some(cases) = cases("mainnet") else { return };
    assert!(cases.len() >= 40);
    let numbers: Vec<u64> = cases.iter().map(|case| number_of(&case.path)).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    for case in cases {
        let place = case.path.display().to_string();
        for input in case.blocks {
            let input = input.unwrap();
            let block = decode_block(&input.bytes).unwrap_or_else(|error| panic!("{place}: {error}"));
            assert_eq!(Some(block.header.hash()), block.stated.hash, "{place}");
            check_hashes(&block, &place);

            let hashes = block.transactions.hashes();
            assert_eq!(Some(hashes), block.stated.transaction_hashes.as_deref(), "{place}");
            let stated = block.stated.senders.clone().unwrap();
            let senders = senders(&SenderColumns::of_transactions(&block.transactions));
            assert_eq!(senders, stated.into_iter().map(Some).collect::<Vec<_>>(), "{place}");

            if block.ommers.is_empty() {
                let rlp = fuzz::encode(&block);
                assert_eq!(rlp.len(), block.rlp_len_bytes, "{place}");
                let again = decode_block(&BlockBytes::Rlp(rlp.into())).unwrap();
                assert_eq!(again.header, block.header, "{place}");
                assert_eq!(again.transactions, block.transactions, "{place}");
                assert_eq!(again.withdrawals, block.withdrawals, "{place}");
            }
        }
        if let Some(prestate) = case.prestate {
            assert!(!prestate.accounts.is_empty(), "{place}");
        }
    }
}

fn number_of(path: &std::path::Path) -> u64 {
    path.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

#[test]
fn execution_spec_tests_decode_as_alloy_decodes_them() {
    for name in ["eest", "eest-amsterdam"] {
        let Some(cases) = cases(name) else { continue };
        assert!(cases.len() > 100);
        let blocks: usize = cases.into_par_iter().map(check_case).sum();
        assert!(blocks > 100);
    }
}

fn check_case(case: Case) -> usize {
    let place = format!("{} {}", case.path.display(), case.name.as_deref().unwrap_or(""));
    let expected = case.expected.unwrap();
    assert!(expected.post_state.is_some(), "{place}");
    let mut hashes = Vec::new();
    let mut count = 0;
    for input in case.blocks {
        let input = input.unwrap();
        count += 1;
        hashes.extend(check_block(&input, &place));
    }
    assert!(hashes.is_empty() || hashes.contains(&expected.last_block_hash), "{place}");
    count
}

/// Returns the block's hash if it is valid.
fn check_block(input: &BlockInput, place: &str) -> Option<B256> {
    let BlockBytes::Rlp(rlp) = &input.bytes else { panic!("{place}: tests hold RLP") };
    let alloy = Block::<Transaction>::decode(&mut rlp.as_ref());
    let block = match decode_block(&input.bytes) {
        Ok(block) => block,
        Err(error) => {
            assert!(alloy.is_err(), "{place}: alloy decodes what we refuse for: {error}");
            assert_ne!(input.expectation, Expectation::Valid, "{place}: {error}");
            return None;
        }
    };
    let alloy = alloy.unwrap_or_else(|error| panic!("{place}: alloy refuses what we decode: {error}"));
    assert_eq!(alloy.header, *block.header, "{place}");
    assert_eq!(alloy.body.transactions, *block.transactions, "{place}");
    assert_eq!(alloy.body.withdrawals, block.withdrawals, "{place}");
    fuzz::block_rlp(rlp);
    if input.expectation != Expectation::Valid {
        return None;
    }
    check_hashes(&block, place);
    assert_eq!(Some(block.header.hash()), input.stated_hash, "{place}");
    let senders = senders(&SenderColumns::of_transactions(&block.transactions));
    let stated = input.stated_senders.iter().flatten().copied().map(Some);
    assert_eq!(senders, stated.collect::<Vec<_>>(), "{place}");
    check_authorities(&block, place);
    Some(block.header.hash())
}

fn check_authorities(block: &DecodedBlock, place: &str) {
    let authorizations: Vec<_> =
        authorizations_of(&block.transactions).into_iter().map(|(_, entry)| entry).collect();
    let columns = SenderColumns::of_authorizations(&authorizations);
    for (row, entry) in authorizations.iter().enumerate() {
        assert_eq!(keccak256(columns.payloads.as_payloads().get(row)), entry.signature_hash(), "{place}");
        assert_eq!(U256::from_be_bytes(columns.s[row]), entry.s(), "{place}");
    }
}
