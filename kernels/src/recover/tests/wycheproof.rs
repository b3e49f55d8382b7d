//! All ECDSA vectors for secp256k1 of Project Wycheproof in the fixed-width encoding (IEEE P1363).
//!
//! A vector has a key, a message and a signature. Valid means that exactly one recovery id gives the key back,
//! invalid that none does. Vectors for other hash functions serve as well: recovery takes the hash, of which ECDSA
//! uses the first 256 bits. The files in DER encoding hold the same numbers and try parsers, which there is none of.

use ::wycheproof::TestResult;
use ::wycheproof::ecdsa::{TestName, TestSet};
use sha2::Digest as _;
use shake::digest::XofReader as _;

use super::device::bench;
use super::*;
use crate::gpu::IntegerForm;

const FILES: [TestName; 4] = [
    TestName::EcdsaSecp256k1Sha256P1363,
    TestName::EcdsaSecp256k1Sha512P1363,
    TestName::EcdsaSecp256k1Shake128P1363,
    TestName::EcdsaSecp256k1Shake256P1363,
];

struct Vector {
    file: TestName,
    id: usize,
    key: [u8; 64],
    hash: Word,
    r: Word,
    s: Word,
    is_valid: bool,
}

/// The first 256 bits of the hash that a file asks for.
fn hash(file: TestName, message: &[u8]) -> Word {
    fn shake(mut hasher: impl shake::digest::ExtendableOutput, message: &[u8]) -> Word {
        let mut hash = [0; 32];
        hasher.update(message);
        hasher.finalize_xof().read(&mut hash);
        hash
    }
    match file {
        TestName::EcdsaSecp256k1Sha256P1363 => sha2::Sha256::digest(message).into(),
        TestName::EcdsaSecp256k1Sha512P1363 => sha2::Sha512::digest(message)[..32].try_into().unwrap(),
        TestName::EcdsaSecp256k1Shake128P1363 => shake(shake::Shake128::default(), message),
        TestName::EcdsaSecp256k1Shake256P1363 => shake(shake::Shake256::default(), message),
        _ => unreachable!("not in the list"),
    }
}

/// All vectors whose signature has the size of one. Of the others, which must be invalid, the number.
fn vectors() -> (Vec<Vector>, usize) {
    let mut vectors = Vec::new();
    let mut malformed = 0;
    for file in FILES {
        let set = TestSet::load(file).unwrap();
        let before = vectors.len() + malformed;
        for group in &set.test_groups {
            let key: [u8; 64] = group.key.key[1..].try_into().unwrap();
            for test in &group.tests {
                if test.sig.len() != 64 {
                    assert_ne!(test.result, TestResult::Valid, "{file:?} {}", test.tc_id);
                    malformed += 1;
                    continue;
                }
                let half = |start| test.sig[start..start + 32].try_into().unwrap();
                let is_valid = test.result == TestResult::Valid;
                assert_ne!(test.result, TestResult::Acceptable, "{file:?} {}", test.tc_id);
                let hash = hash(file, &test.msg);
                vectors.push(Vector { file, id: test.tc_id, key, hash, r: half(0), s: half(32), is_valid });
            }
        }
        assert_eq!(vectors.len() + malformed - before, set.number_of_tests, "{file:?}");
    }
    (vectors, malformed)
}

fn assert_vectors(way: &str, recover: impl Fn(&Batch<'_>) -> Vec<Verdict>) {
    let (vectors, malformed) = vectors();
    assert!(vectors.len() > 900 && malformed < 80, "{} and {malformed} vectors", vectors.len());
    let items = vectors.iter().flat_map(|vector| {
        (0..4).map(|recovery_id| (vector.hash, Signature { r: vector.r, s: vector.s, recovery_id }))
    });
    let (hashes, signatures): (Vec<_>, Vec<_>) = items.unzip();
    let verdicts = recover(&Batch::new(Messages::Hashes(&hashes), &signatures).unwrap());
    for (vector, verdicts) in vectors.iter().zip(verdicts.chunks(4)) {
        let ids = verdicts.iter().filter(|v| v.is_ok_and(|signer| signer.public_key == vector.key)).count();
        let expected = usize::from(vector.is_valid);
        assert_eq!(ids, expected, "{way}: vector {} of {:?}: {verdicts:02x?}", vector.id, vector.file);
    }
}

#[test]
fn cpu_and_oracle_decide_every_wycheproof_vector() {
    assert_vectors("cpu", recover);
    assert_vectors("oracle", |batch| {
        (0..batch.len())
            .map(|i| match batch.messages {
                Messages::Hashes(hashes) => oracle(&hashes[i], &batch.signatures[i]),
                Messages::Payloads(_) => unreachable!("vectors are hashed here"),
            })
            .collect()
    });
}

#[test]
fn gpu_decides_every_wycheproof_vector_in_both_forms() {
    for form in IntegerForm::ALL {
        let Some(bench) = bench(form) else { return };
        assert_vectors(&form.to_string(), |batch| {
            bench.kernel.recover(&bench.device, None, batch).unwrap().verdicts
        });
    }
}
