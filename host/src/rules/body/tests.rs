use alloy_consensus::{
    Signed, TxEip4844, TxEip4844Variant, TxEnvelope, constants::EMPTY_ROOT_HASH,
    proofs::calculate_withdrawals_root,
};
use alloy_eips::{
    eip4844::DATA_GAS_PER_BLOB,
    eip4895::{Withdrawal, Withdrawals},
};
use alloy_primitives::{B256, Signature, U256};

use super::*;

fn blob_transaction(blobs: usize) -> TxEnvelope {
    let tx = TxEip4844 { blob_versioned_hashes: vec![B256::ZERO; blobs], ..TxEip4844::default() };
    let signature = Signature::new(U256::ONE, U256::ONE, false);
    TxEnvelope::Eip4844(Signed::new_unhashed(TxEip4844Variant::TxEip4844(tx), signature))
}

/// A Prague block (at most nine blobs) with these blobs, and a header that agrees.
fn block(blobs: &[usize]) -> (ChainSpec, Header, BlockBody<TxEnvelope>) {
    let spec = ChainSpec::from_network("Prague", 1, []).unwrap();
    let transactions: Vec<_> = blobs.iter().map(|blobs| blob_transaction(*blobs)).collect();
    let withdrawals = vec![Withdrawal { index: 1, ..Withdrawal::default() }];
    let header = Header {
        withdrawals_root: Some(calculate_withdrawals_root(&withdrawals)),
        blob_gas_used: Some(blobs.iter().sum::<usize>() as u64 * DATA_GAS_PER_BLOB),
        ..Header::default()
    };
    let body = BlockBody { transactions, ommers: vec![], withdrawals: Some(Withdrawals::new(withdrawals)) };
    (spec, header, body)
}

fn verdict(
    blobs: &[usize],
    spoil: impl FnOnce(&mut Header, &mut BlockBody<TxEnvelope>),
) -> Option<InvalidBlock> {
    let (spec, mut header, mut body) = block(blobs);
    spoil(&mut header, &mut body);
    check_body(&spec, &header, Body::from(&body)).err()
}

fn class(blobs: &[usize], spoil: impl FnOnce(&mut Header, &mut BlockBody<TxEnvelope>)) -> Option<Exception> {
    verdict(blobs, spoil).map(|v| v.exception)
}

#[test]
fn a_body_is_held_against_each_commitment() {
    assert_eq!(class(&[1, 2], |_, _| ()), None);
    assert_eq!(
        class(&[1], |h, _| h.withdrawals_root = Some(B256::ZERO)),
        Some(Exception::InvalidWithdrawalsRoot)
    );
    assert_eq!(class(&[1], |_, b| b.withdrawals = None), Some(Exception::RlpWithdrawalsNotRead));
    assert_eq!(class(&[1], |h, _| h.withdrawals_root = None), Some(Exception::ShanghaiHeaderTooEarly));
    assert_eq!(class(&[1], |_, b| b.ommers.push(Header::default())), Some(Exception::UnclesOverParis));
}

#[test]
fn ommers_are_held_against_their_hash_before_the_merge() {
    let spec = ChainSpec::from_network("Berlin", 1, []).unwrap();
    let mut body = BlockBody::<TxEnvelope> { withdrawals: None, ..BlockBody::default() };
    let header = Header { transactions_root: EMPTY_ROOT_HASH, ..Header::default() };
    assert_eq!(check_body(&spec, &header, Body::from(&body)), Ok(()));
    body.ommers.push(Header::default());
    let verdict = check_body(&spec, &header, Body::from(&body)).unwrap_err();
    assert_eq!(verdict.exception, Exception::InvalidUnclesHash);
}

#[test]
fn blob_gas_is_judged_around_its_limit() {
    assert_eq!(class(&[9], |_, _| ()), None);
    assert_eq!(class(&[4, 5], |_, _| ()), None);
    let over = verdict(&[4, 5, 1, 1], |_, _| ()).unwrap();
    assert_eq!(over.exception, Exception::BlobGasAllowanceExceeded);
    assert_eq!(over.transaction, Some(2));
    assert_eq!(
        class(&[1], |h, _| h.blob_gas_used = Some(2 * DATA_GAS_PER_BLOB)),
        Some(Exception::IncorrectBlobGasUsed)
    );
    assert_eq!(
        class(&[1], |h, _| h.blob_gas_used = Some(10 * DATA_GAS_PER_BLOB)),
        Some(Exception::BlobGasUsedAboveLimit)
    );
    assert_eq!(class(&[1], |h, _| h.blob_gas_used = Some(0)), Some(Exception::IncorrectBlobGasUsed));
}

#[test]
fn blocks_have_a_size_from_osaka_on() {
    for (network, expected) in [("Prague", true), ("Osaka", false)] {
        let spec = ChainSpec::from_network(network, 1, []).unwrap();
        let header = Header::default();
        assert!(check_size(&spec, &header, MAXIMUM_BLOCK_BYTES).is_ok());
        assert_eq!(check_size(&spec, &header, MAXIMUM_BLOCK_BYTES + 1).is_ok(), expected);
    }
}

#[test]
fn the_transactions_root_is_the_computed_one() {
    let header = Header::default();
    assert_eq!(check_transactions_root(&header, EMPTY_ROOT_HASH), Ok(()));
    let verdict = check_transactions_root(&header, B256::ZERO).unwrap_err();
    assert_eq!(verdict.exception, Exception::InvalidTransactionsRoot);
}
