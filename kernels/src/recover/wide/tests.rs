//! The engine against [`recover_one`] and the oracle.

use k256::elliptic_curve::PrimeField as _;
use k256::elliptic_curve::bigint::U256;
use k256::elliptic_curve::ops::Reduce as _;
use k256::{ProjectivePoint, Scalar as KScalar};

use super::super::cpu::recover_one;
use super::super::tests::{Numbers, assert_oracle, edge_cases, random_batch, reduced};
use super::super::{Signature, Verdict};
use super::blinding::Blinding;
use super::*;
use crate::simd::lanes::test_on_all_lanes;

test_on_all_lanes! {
    lanes_match_libsecp256k1_at_every_small_length;
    lanes_match_the_oracle_on_every_edge;
    lanes_match_libsecp256k1_at_chunk_boundaries;
    payloads_are_hashed_in_lanes_first;
    equal_and_opposite_terms_take_no_slow_path;
    exceptions_that_know_the_blinding_are_redone_alone;
    lanes_match_libsecp256k1_in_a_batch_of_16384;
    #[ignore = "takes ten seconds"] lanes_match_libsecp256k1_in_a_batch_of_100000;
}

/// Runs batches through an engine and compares each verdict with that of libsecp256k1; says how many were redone.
fn assert_matches<L: Multiplier>(
    engine: &Engine<L>,
    what: &str,
    hashes: &[Word],
    signatures: &[Signature],
) -> usize {
    let mut verdicts: Vec<Verdict> = vec![Err(Rejection::RecoveryIdOutOfRange); signatures.len()];
    let redone = engine.recover(&mut Workspace::default(), hashes, signatures, &mut verdicts);
    for (i, (hash, signature)) in hashes.iter().zip(signatures).enumerate() {
        assert_eq!(
            verdicts[i],
            recover_one(hash, signature),
            "{what}: item {i}, {hash:02x?}, {signature:02x?}"
        );
    }
    redone
}

fn lanes_match_libsecp256k1_at_every_small_length<L: Resident>(proof: L::Proof) {
    let engine = L::engine(proof);
    let (hashes, signatures) = random_batch(37, 80);
    for len in (0..=20).chain([31, 32, 33, 63, 64, 65, 80]) {
        // Each length starts elsewhere, so that each spoilt signature meets many lanes.
        let start = len % (80 - len + 1);
        let what = format!("seed 37, {start} + {len}");
        let range = start..start + len;
        assert_eq!(assert_matches(engine, &what, &hashes[range.clone()], &signatures[range]), 0, "{what}");
    }
}

fn lanes_match_the_oracle_on_every_edge<L: Resident>(proof: L::Proof) {
    let engine = L::engine(proof);
    let (hashes, signatures): (Vec<_>, Vec<_>) = edge_cases().into_iter().unzip();
    assert_eq!(assert_matches(engine, "edges", &hashes, &signatures), 0);
    let batch = Batch::new(Messages::Hashes(&hashes), &signatures).unwrap();
    assert_oracle("edges", &hashes, &signatures, &recover_with(engine, &batch));
}

fn lanes_match_libsecp256k1_at_chunk_boundaries<L: Resident>(proof: L::Proof) {
    let engine = L::engine(proof);
    let (hashes, signatures) = random_batch(38, 4097);
    let expected: Vec<_> =
        hashes.par_iter().zip(&signatures).map(|(hash, signature)| recover_one(hash, signature)).collect();
    for len in [255, 256, 257, 511, 512, 513, 1000, 4095, 4096, 4097] {
        let batch = Batch::new(Messages::Hashes(&hashes[..len]), &signatures[..len]).unwrap();
        let verdicts = recover_with(engine, &batch);
        assert_eq!(verdicts.len(), len);
        let wrong = (0..len).find(|&i| verdicts[i] != expected[i]);
        assert_eq!(wrong, None, "seed 38, batch of {len}");
    }
}

/// Signatures with hashes that they do not sign: they recover to keys that nobody has.
fn mismatched(seed: u64, len: usize) -> (Vec<Word>, Vec<Signature>) {
    let (_, signatures) = random_batch(seed, 512);
    let mut numbers = Numbers::new(seed + 1);
    ((0..len).map(|_| numbers.word()).collect(), signatures.into_iter().cycle().take(len).collect())
}

fn assert_large_batch<L: Resident>(proof: L::Proof, seed: u64, len: usize) {
    let engine = L::engine(proof);
    let (hashes, signatures) = mismatched(seed, len);
    let batch = Batch::new(Messages::Hashes(&hashes), &signatures).unwrap();
    let verdicts = recover_with(engine, &batch);
    let wrong =
        (0..len).into_par_iter().find_first(|&i| verdicts[i] != recover_one(&hashes[i], &signatures[i]));
    assert_eq!(wrong, None, "seed {seed}, batch of {len}");
}

fn lanes_match_libsecp256k1_in_a_batch_of_16384<L: Resident>(proof: L::Proof) {
    assert_large_batch::<L>(proof, 44, 16_384);
}

fn lanes_match_libsecp256k1_in_a_batch_of_100000<L: Resident>(proof: L::Proof) {
    assert_large_batch::<L>(proof, 45, 100_000);
}

fn payloads_are_hashed_in_lanes_first<L: Resident>(proof: L::Proof) {
    let engine = L::engine(proof);
    let mut payloads = crate::keccak::PayloadsBuf::default();
    let (_, signatures) = random_batch(39, 70);
    for i in 0..signatures.len() {
        payloads.push(&vec![i.to_le_bytes()[0]; i * 13]).unwrap();
    }
    let payloads = payloads.as_payloads();
    let hashes: Vec<_> = payloads.iter().map(keccak::keccak256_one).collect();
    let batch = Batch::new(Messages::Payloads(payloads), &signatures).unwrap();
    let hashed = Batch::new(Messages::Hashes(&hashes), &signatures).unwrap();
    assert_eq!(recover_with(engine, &batch), recover_with(engine, &hashed));
}

/// Valid signatures of which the last addition is exceptional for an engine with a blinding of β: u2·R + 2^d·β·G and
/// what the comb takes off are opposite. With R = kG that is u2 k + 2^d β = −(−u1) − 2^d β.
fn aimed_at(beta: &KScalar, seed: u64, len: usize) -> (Vec<Word>, Vec<Signature>) {
    let mut numbers = Numbers::new(seed);
    let end = (0..table::DOUBLINGS).fold(*beta, |scalar, _| scalar + scalar);
    (0..len)
        .map(|_| {
            let (nonce, hash) = (numbers.scalar(), numbers.word());
            let [x, y] = comb::words(&(ProjectivePoint::GENERATOR * nonce).to_affine());
            let r = KScalar::reduce(&U256::from_words(x));
            // s k / r + 2^d β = −(z / r + 2^d β).
            let s = -(reduced(&hash) + (end + end) * r) * nonce.invert().unwrap();
            let recovery_id = u8::from(y[0] & 1 == 1);
            (hash, Signature { r: r.to_repr().into(), s: s.to_repr().into(), recovery_id })
        })
        .unzip()
}

fn exceptions_that_know_the_blinding_are_redone_alone<L: Resident>(proof: L::Proof) {
    let beta = Numbers::new(40).scalar();
    let known = Engine::<L>::with_blinding(proof, Blinding::new(&beta, table::DOUBLINGS));
    let (aimed_hashes, aimed) = aimed_at(&beta, 41, 40);
    assert_eq!(assert_matches(&known, "aimed", &aimed_hashes, &aimed), 40);
    // Their neighbours are not disturbed, and not redone.
    let (mut hashes, mut signatures) = random_batch(42, 100);
    for i in 0..40 {
        hashes[(i * i) % 100] = aimed_hashes[i];
        signatures[(i * i) % 100] = aimed[i];
    }
    let exceptions = signatures.iter().filter(|signature| aimed.contains(signature)).count();
    assert_eq!(assert_matches(&known, "mixed", &hashes, &signatures), exceptions);
    // Without the knowledge they are signatures like any.
    let engine = L::engine(proof);
    assert_eq!(assert_matches(engine, "aimed at another", &aimed_hashes, &aimed), 0);
}

fn equal_and_opposite_terms_take_no_slow_path<L: Resident>(proof: L::Proof) {
    let engine = L::engine(proof);
    let mut numbers = Numbers::new(43);
    let (hashes, signatures): (Vec<_>, Vec<_>) = (0..64)
        .map(|i| {
            let (nonce, hash) = (numbers.scalar(), numbers.word());
            let [x, y] = comb::words(&(ProjectivePoint::GENERATOR * nonce).to_affine());
            let ratio = reduced(&hash) * nonce.invert().unwrap();
            let s = if i % 2 == 0 { ratio } else { -ratio };
            let r = U256::from_words(x).to_be_bytes().into();
            (hash, Signature { r, s: s.to_repr().into(), recovery_id: u8::from(y[0] & 1 == 1) })
        })
        .unzip();
    assert_eq!(assert_matches(engine, "s = ±z/k", &hashes, &signatures), 0);
    assert_eq!(recover_one(&hashes[0], &signatures[0]), Err(Rejection::Infinity));
    assert!(recover_one(&hashes[1], &signatures[1]).is_ok());
}

#[test]
fn chunks_are_equal_and_full() {
    assert_eq!(chunk_len(1, 2), 16);
    assert_eq!(chunk_len(33, 2), 32);
    assert_eq!(chunk_len(10_000, 1), 256);
    for len in 1..3000 {
        for threads in [1, 2, 3, 16] {
            let chunk = chunk_len(len, threads);
            assert!(chunk.is_multiple_of(CHUNK_LEN_STEP) && chunk <= CHUNK_LEN_MAX, "{len} on {threads}");
        }
    }
}
