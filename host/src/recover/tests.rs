//! Senders and authorities in batch, one by one by scalar code, and as they were signed.

use super::*;
use crate::generate::Wallet;
use alloy_consensus::{
    EthereumTypedTransaction, SignableTransaction, TxEip1559, TxEip4844, TxEip7702, TxLegacy,
};
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{B256, Signature, U256};

const ORDER: U256 =
    alloy_primitives::uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);

fn wallet(index: u64) -> Wallet {
    Wallet::derive(5, index)
}

fn signed(tx: impl Into<EthereumTypedTransaction<TxEip4844>>, wallet: &Wallet) -> SignedTx {
    let tx = tx.into();
    let signature = wallet.sign(tx.signature_hash());
    tx.into_envelope(signature)
}

/// The other signature of the same signer: s is mirrored, and so is the parity.
fn mirrored(tx: impl Into<EthereumTypedTransaction<TxEip4844>>, wallet: &Wallet) -> SignedTx {
    let tx = tx.into();
    let signature = wallet.sign(tx.signature_hash());
    tx.into_envelope(Signature::new(signature.r(), ORDER - signature.s(), !signature.v()))
}

fn legacy(nonce: u64) -> TxLegacy {
    TxLegacy { nonce, chain_id: nonce.is_multiple_of(2).then_some(1), ..TxLegacy::default() }
}

fn both(transactions: &[SignedTx], spec: SpecId) -> Result<Recovered, Unrecoverable> {
    let batch = recover(&Accelerator::cpu(), transactions, spec);
    assert_eq!(batch, recover_scalar(transactions, spec), "batch and scalar code");
    batch
}

#[test]
fn senders_are_those_who_signed() {
    let transactions: Vec<SignedTx> = (0..70)
        .map(|index| match index % 2 {
            0 => signed(legacy(index), &wallet(index)),
            _ => signed(TxEip1559 { nonce: index, chain_id: 1, ..TxEip1559::default() }, &wallet(index)),
        })
        .collect();
    for count in [0, 1, 2, 63, 64, 65, 70] {
        let recovered = both(&transactions[..count], SpecId::PRAGUE).unwrap();
        let expected: Vec<Address> = (0..count as u64).map(|index| wallet(index).address()).collect();
        assert_eq!(recovered.senders, expected);
    }
}

#[test]
fn the_first_transaction_without_a_sender_is_named() {
    let mut transactions: Vec<SignedTx> = (0..6).map(|index| signed(legacy(index), &wallet(index))).collect();
    let bad = |r, s| {
        EthereumTypedTransaction::<TxEip4844>::from(legacy(0)).into_envelope(Signature::new(r, s, false))
    };
    // Neither an r that is no coordinate (5 is one of them) nor one that is zero or too large.
    for r in [U256::ZERO, U256::from(5), ORDER, U256::MAX] {
        transactions[2] = bad(r, U256::ONE);
        transactions[4] = bad(U256::ZERO, U256::ZERO);
        assert_eq!(both(&transactions, SpecId::PRAGUE).unwrap_err().index, 2, "r = {r}");
    }
    let error = both(&transactions, SpecId::PRAGUE).unwrap_err();
    assert!(error.to_string().starts_with("transaction 2: signature: "), "{error}");
}

#[test]
fn high_s_is_for_frontier_alone_and_is_flagged() {
    let transactions = [signed(legacy(0), &wallet(0)), mirrored(legacy(1), &wallet(1))];
    assert_eq!(transactions.each_ref().map(is_high_s), [false, true]);
    let recovered = both(&transactions, SpecId::FRONTIER).unwrap();
    assert_eq!(recovered.senders, [wallet(0).address(), wallet(1).address()]);
    for spec in [SpecId::HOMESTEAD, SpecId::LONDON, SpecId::OSAKA] {
        assert_eq!(both(&transactions, spec).unwrap_err().index, 1);
    }
    let each = recover_each(&Accelerator::cpu(), &transactions, SRule::Low);
    assert_eq!(each[0], Ok(wallet(0).address()));
    assert!(matches!(each[1], Err(SignatureFault::Refused(_))));
}

#[test]
fn authorities_are_recovered_and_bad_tuples_have_none() {
    let authorization = |nonce| Authorization { chain_id: U256::ONE, address: Address::ZERO, nonce };
    let good =
        |index| authorization(index).into_signed(wallet(index).sign(authorization(index).signature_hash()));
    let high = {
        let signature = wallet(3).sign(authorization(3).signature_hash());
        authorization(3).into_signed(Signature::new(signature.r(), ORDER - signature.s(), !signature.v()))
    };
    let parity = SignedAuthorization::new_unchecked(authorization(4), 2, U256::ONE, U256::ONE);
    let nobody = authorization(5).into_signed(Signature::new(U256::ZERO, U256::ONE, false));
    let set_code = |list| TxEip7702 { chain_id: 1, authorization_list: list, ..TxEip7702::default() };
    let transactions = [
        signed(legacy(0), &wallet(0)),
        signed(set_code(vec![good(7), high, good(8)]), &wallet(1)),
        signed(legacy(1), &wallet(2)),
        signed(set_code(vec![parity, nobody, good(9)]), &wallet(3)),
    ];
    let recovered = both(&transactions, SpecId::PRAGUE).unwrap();
    let valid = |index| RecoveredAuthority::Valid(wallet(index).address());
    let none = RecoveredAuthority::Invalid;
    assert_eq!(recovered.authorities.len(), 2);
    assert_eq!(recovered.authorities[&1], [valid(7), none.clone(), valid(8)]);
    assert_eq!(recovered.authorities[&3], [none.clone(), none, valid(9)]);
}

#[test]
fn a_transaction_hash_is_that_of_its_encoding() {
    let tx = signed(legacy(1), &wallet(1));
    let mut encoded = Vec::new();
    alloy_eips::Encodable2718::encode_2718(&tx, &mut encoded);
    assert_eq!(*tx.hash(), B256::from(keccak256_one(&encoded)));
}
