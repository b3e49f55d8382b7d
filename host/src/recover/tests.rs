//! Senders and authorities in batch, one by one by scalar code, and as they were signed.

use super::*;
use crate::{generate::Wallet, spec::Fork};
use alloy_consensus::{
    EthereumTypedTransaction, SignableTransaction, Signed, TxEip1559, TxEip4844, TxEip7702, TxLegacy,
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

/// What all ways of recovering say: in batch, one by one, and through a cache that knows none or all of them.
fn both(transactions: &[SignedTx], spec: SpecId) -> Result<Recovered, Unrecoverable> {
    let batch = recover(&Accelerator::cpu(), transactions, spec);
    assert_eq!(batch, recover_scalar(transactions, spec), "batch and scalar code");
    let cache = SenderCache::with_capacity(transactions.len());
    let encoded = Transactions::encode(transactions.to_vec());
    for knows in ["nothing", "all"] {
        let cached = cache.recover(&Accelerator::cpu(), &encoded, spec);
        assert_eq!(batch, cached, "through a cache that knows {knows}");
    }
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
    for fork in Fork::ALL {
        let rule = if fork == Fork::Frontier { SRule::Any } else { SRule::Low };
        assert_eq!(s_rule(fork.spec_id()), rule, "{fork:?}");
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
fn senders_and_authorities_share_one_batch_even_if_tuples_outnumber_transactions() {
    let authorization = |nonce| Authorization { chain_id: U256::ONE, address: Address::ZERO, nonce };
    let tuple =
        |index| authorization(index).into_signed(wallet(index).sign(authorization(index).signature_hash()));
    let list: Vec<_> = (100..400).map(tuple).collect();
    let tx = TxEip7702 { chain_id: 1, authorization_list: list, ..TxEip7702::default() };
    let transactions = [signed(legacy(0), &wallet(0)), signed(tx, &wallet(1)), signed(legacy(2), &wallet(2))];
    let tuples = authorizations_of(&transactions);
    let mut batches = Vec::new();
    let found = find(&transactions, &[None, Some(wallet(1).address())], &tuples, |columns| {
        batches.push(columns.len());
        in_batch(&Accelerator::cpu(), columns)
    });
    // Two senders that are not known, and all tuples.
    assert_eq!(batches, [302]);
    let recovered = found.accept(&transactions, &tuples, SpecId::PRAGUE).unwrap();
    assert_eq!(recovered, both(&transactions, SpecId::PRAGUE).unwrap());
    let expected: Vec<_> =
        (100..400).map(|index| RecoveredAuthority::Valid(wallet(index).address())).collect();
    assert_eq!(recovered.authorities[&1], expected);
}

/// Through a cache, and how many of the transactions were recovered for it.
fn cached(cache: &SenderCache, transactions: &[SignedTx]) -> (Vec<Result<Address, SignatureFault>>, u64) {
    let accelerator = Accelerator::cpu();
    let encoded = Transactions::encode(transactions.to_vec());
    let senders = cache.recover_each(&accelerator, &encoded, SRule::Any);
    let (_, counts) = accelerator.counts().into_iter().find(|(kernel, _)| *kernel == "recover").unwrap();
    (senders, counts.cpu)
}

#[test]
fn what_the_pool_recovered_is_free_in_the_block() {
    let cache = SenderCache::with_capacity(1_000);
    let transactions: Vec<SignedTx> = (0..100).map(|index| signed(legacy(index), &wallet(index))).collect();
    assert_eq!(cached(&cache, &transactions[..60]).1, 60);
    // The block has some that the pool has not seen.
    let (senders, recovered) = cached(&cache, &transactions);
    assert_eq!(recovered, 40);
    let expected: Vec<_> = (0..100).map(|index| Ok(wallet(index).address())).collect();
    assert_eq!(senders, expected);
    assert_eq!(cached(&cache, &transactions), (expected, 0));
    let counts = cache.counts();
    assert_eq!((counts.hits, counts.misses, counts.insertions), (160, 100, 100));
}

#[test]
fn a_changed_transaction_is_another_whatever_hash_it_carries() {
    let cache = SenderCache::with_capacity(1_000);
    let original = signed(legacy(0), &wallet(0));
    assert_eq!(cached(&cache, std::slice::from_ref(&original)), (vec![Ok(wallet(0).address())], 1));
    let signature = *original.signature();
    let (r, s, v) = (signature.r(), signature.s(), signature.v());
    let with =
        |tx: TxLegacy, signature| SignedTx::from(Signed::new_unchecked(tx, signature, *original.hash()));
    let changed = [
        // The twin, and the halves of it.
        with(legacy(0), Signature::new(r, ORDER - s, !v)),
        with(legacy(0), Signature::new(r, ORDER - s, v)),
        with(legacy(0), Signature::new(r, s, !v)),
        with(legacy(0), Signature::new(r, s + U256::ONE, v)),
        // Another signature of the same payload.
        with(legacy(0), wallet(1).sign(legacy(0).signature_hash())),
        // The same signature of other payloads: another field, and no chain id (EIP-155).
        with(TxLegacy { nonce: 1, ..legacy(0) }, signature),
        with(TxLegacy { chain_id: None, ..legacy(0) }, signature),
    ];
    let (senders, recovered) = cached(&cache, &changed);
    assert_eq!(recovered, 7, "none is the original, though each carries its hash");
    let alone: Vec<_> = changed.iter().map(sender_alone).collect();
    assert_eq!(senders, alone);
    assert_eq!((senders[0], senders[4]), (Ok(wallet(0).address()), Ok(wallet(1).address())));
    assert!(senders[1..=3].iter().chain(&senders[5..]).all(|sender| *sender != Ok(wallet(0).address())));
    // And the original is what it was.
    assert_eq!(cached(&cache, &[original]), (vec![Ok(wallet(0).address())], 0));
}

fn sender_alone(tx: &SignedTx) -> Result<Address, SignatureFault> {
    recover_scalar(std::slice::from_ref(tx), SpecId::FRONTIER)
        .map_or_else(|error| Err(error.fault), |all| Ok(all.senders[0]))
}

#[test]
fn a_known_sender_is_refused_where_the_fork_refuses_it() {
    let cache = SenderCache::with_capacity(1_000);
    let transactions = Transactions::encode(vec![mirrored(legacy(1), &wallet(1))]);
    let recover = |spec| cache.recover(&Accelerator::cpu(), &transactions, spec);
    for round in 0..2 {
        assert_eq!(recover(SpecId::FRONTIER).unwrap().senders, [wallet(1).address()], "round {round}");
        for spec in [SpecId::HOMESTEAD, SpecId::OSAKA] {
            let refused = SignatureFault::Refused(Refusal::HighS);
            assert_eq!(recover(spec), Err(Unrecoverable { index: 0, fault: refused }), "round {round}");
        }
    }
    // The raw answer was found once and asked for six times.
    assert_eq!((cache.counts().hits, cache.counts().insertions), (5, 1));
}

#[test]
fn one_transaction_twice_in_a_batch_is_one_entry() {
    let cache = SenderCache::with_capacity(1_000);
    let tx = signed(legacy(0), &wallet(0));
    let (senders, recovered) = cached(&cache, &[tx.clone(), tx.clone(), tx]);
    assert_eq!((senders, recovered), (vec![Ok(wallet(0).address()); 3], 3));
    assert_eq!(cache.counts().insertions, 1);
}

#[test]
fn what_has_no_signer_is_not_remembered() {
    let cache = SenderCache::with_capacity(1_000);
    let nobody = EthereumTypedTransaction::<TxEip4844>::from(legacy(0)).into_envelope(Signature::new(
        U256::from(5),
        U256::ONE,
        false,
    ));
    for _ in 0..2 {
        let (senders, recovered) = cached(&cache, &[nobody.clone(), signed(legacy(1), &wallet(1))]);
        assert!(senders[0].is_err() && recovered >= 1);
        assert_eq!(senders[1], Ok(wallet(1).address()));
    }
    assert_eq!((cache.counts().insertions, cache.counts().hits), (1, 1));
}

#[test]
fn a_transaction_hash_is_that_of_its_encoding() {
    let tx = signed(legacy(1), &wallet(1));
    let mut encoded = Vec::new();
    alloy_eips::Encodable2718::encode_2718(&tx, &mut encoded);
    assert_eq!(*tx.hash(), B256::from(keccak256_one(&encoded)));
    // Over more than one task, and of all lengths of encodings.
    let input = |len: usize| TxLegacy { input: vec![1; len].into(), ..legacy(len as u64) };
    let many: Vec<SignedTx> = (0..2_100).map(|len| signed(input(len), &wallet(1))).collect();
    let expected: Vec<B256> = many.iter().map(|tx| *tx.hash()).collect();
    assert_eq!(Transactions::encode(many).hashes(), expected);
}
