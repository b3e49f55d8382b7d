//! True batches pass, however odd; false ones do not.

use k256::elliptic_curve::PrimeField as _;
use k256::elliptic_curve::point::DecompressPoint as _;
use k256::elliptic_curve::sec1::{FromSec1Point as _, ToSec1Point as _};
use k256::elliptic_curve::subtle::Choice;
use k256::{AffinePoint, Sec1Point};

use super::super::cpu::{ORDER, plus_order};
use super::super::tests::{Numbers, edge_cases, random_batch, reduced, sign};
use super::super::{Messages, recover_on};
use super::field::Element;
use super::portable::coefficient;
use super::windows::COEFFICIENTS;
use super::*;
use crate::keccak::PayloadsBuf;

const SEED: Seed = Seed::new([0x5e; 32]);

/// A batch with the answers of a device.
#[derive(Clone)]
struct Answered {
    hashes: Vec<Word>,
    signatures: Vec<Signature>,
    verdicts: Vec<Verdict>,
    lifted_y: Vec<Word>,
}

impl Answered {
    /// With right answers.
    fn new((hashes, signatures): (Vec<Word>, Vec<Signature>)) -> Self {
        let verdicts =
            recover_on(Backend::Portable, &Batch::new(Messages::Hashes(&hashes), &signatures).unwrap());
        let lifted_y = signatures.iter().zip(&verdicts).map(|(signature, verdict)| match verdict {
            Ok(_) => lift(signature),
            Err(_) => [0xee; 32],
        });
        Self { lifted_y: lifted_y.collect(), hashes, signatures, verdicts }
    }

    fn random(seed: u64, len: usize) -> Self {
        Self::new(random_batch(seed, len))
    }

    fn batch(&self) -> Batch<'_> {
        Batch::new(Messages::Hashes(&self.hashes), &self.signatures).unwrap()
    }

    /// What every backend says.
    fn check_with(&self, seed: Seed) -> Result<(), Mismatch> {
        let answers: Vec<_> = Backend::available()
            .map(|backend| check(backend, &self.batch(), &self.verdicts, &self.lifted_y, seed))
            .collect();
        assert!(answers.windows(2).all(|both| both[0] == both[1]), "backends differ: {answers:?}");
        answers[0]
    }

    fn check(&self) -> Result<(), Mismatch> {
        self.check_with(SEED)
    }

    /// The batch with something changed.
    fn but(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }

    fn signer(&mut self, index: usize) -> &mut Signer {
        self.verdicts[index].as_mut().unwrap()
    }

    fn key(&self, index: usize) -> ProjectivePoint {
        let key = self.verdicts[index].unwrap().public_key;
        AffinePoint::from_sec1_point(&Sec1Point::from_untagged_bytes(&key.into())).unwrap().into()
    }
}

/// y of R.
fn lift(signature: &Signature) -> Word {
    let x = if signature.recovery_id & 2 == 0 { signature.r } else { plus_order(&signature.r) };
    let point = AffinePoint::decompress(&x.into(), Choice::from(signature.recovery_id & 1)).unwrap();
    point.to_sec1_point(false).as_bytes()[33..].try_into().unwrap()
}

fn signer_of(key: &ProjectivePoint) -> Signer {
    let public_key: [u8; 64] = key.to_affine().to_sec1_point(false).as_bytes()[1..].try_into().unwrap();
    Signer { public_key, address: address_of(&public_key) }
}

fn address_of(public_key: &[u8; 64]) -> [u8; 20] {
    keccak256_one(public_key)[12..].try_into().unwrap()
}

/// The signature of R = kG, that key and that hash, with s made from what u2 = s / r is to be.
fn with_ratio(nonce: &Scalar, ratio: &Scalar) -> Signature {
    let point = (ProjectivePoint::GENERATOR * nonce).to_affine().to_sec1_point(false);
    let x: Word = point.as_bytes()[1..33].try_into().unwrap();
    assert!(x < ORDER, "an x from n on is too rare to be met");
    let s = reduced(&x) * ratio;
    Signature { r: x, s: s.to_repr().into(), recovery_id: point.as_bytes()[64] & 1 }
}

#[test]
fn right_answers_pass_at_every_length() {
    for len in (0..20).chain([64, 255, 256, 257, 300, 600, 1500]) {
        let answered = Answered::random(70, len);
        assert_eq!(answered.check(), Ok(()), "seed 70, {len} items");
        assert_eq!(answered.check_with(Seed::random()), Ok(()), "seed 70, {len} items, any coefficients");
    }
}

#[test]
fn right_answers_to_every_edge_pass() {
    let answered = Answered::new(edge_cases().into_iter().unzip());
    assert!(answered.signatures.iter().zip(&answered.verdicts).any(|(s, v)| s.recovery_id > 1 && v.is_ok()));
    assert_eq!(answered.check(), Ok(()));
}

#[test]
fn payloads_are_hashed_first() {
    let mut payloads = PayloadsBuf::default();
    let mut numbers = Numbers::new(71);
    let (hashes, signatures) = (0..300)
        .map(|len| {
            let payload = numbers.word().repeat(len % 40);
            payloads.push(&payload).unwrap();
            let hash = keccak256_one(&payload);
            let mut signature = sign(&numbers.scalar(), &numbers.scalar(), &hash).unwrap();
            // A rejection here and there, so that items are not neighbours.
            signature.recovery_id |= u8::from(len % 7 == 3) << 2;
            (hash, signature)
        })
        .unzip();
    let answered = Answered::new((hashes, signatures));
    for backend in Backend::available() {
        let check = |payloads: &PayloadsBuf| {
            let batch = Batch::new(Messages::Payloads(payloads.as_payloads()), &answered.signatures).unwrap();
            check(backend, &batch, &answered.verdicts, &answered.lifted_y, SEED)
        };
        assert_eq!(check(&payloads), Ok(()));
        let mut others = PayloadsBuf::default();
        for (i, payload) in payloads.as_payloads().iter().enumerate() {
            others.push(if i == 299 { b"another" } else { payload }).unwrap();
        }
        assert_eq!(check(&others), Err(Mismatch::Combination));
    }
}

/// A batch of 300 with signers at 100 to 103 and at the last.
fn honest() -> Answered {
    let mut numbers = Numbers::new(72);
    let item = |_| {
        let hash = numbers.word();
        (hash, sign(&numbers.scalar(), &numbers.scalar(), &hash).unwrap())
    };
    let answered = Answered::new((0..300).map(item).unzip());
    assert_eq!(answered.check(), Ok(()));
    answered
}

#[test]
fn wrong_keys_on_the_curve_fail() {
    let honest = honest();
    let wrong = Err(Mismatch::Combination);
    let generator = ProjectivePoint::GENERATOR;
    for index in [0, 7, 8, 255, 256, 299] {
        let other = honest.key(index) + generator;
        assert_eq!(
            honest.but(|a| *a.signer(index) = signer_of(&other)).check(),
            wrong,
            "one wrong key, {index}"
        );
        let negative = -honest.key(index);
        assert_eq!(honest.but(|a| *a.signer(index) = signer_of(&negative)).check(), wrong, "−Q, {index}");
    }
    // Errors that sum to nothing, if all coefficients were alike.
    let both = |first: ProjectivePoint, second: ProjectivePoint| {
        honest.but(|a| {
            *a.signer(100) = signer_of(&first);
            *a.signer(103) = signer_of(&second);
        })
    };
    let (p, q) = (honest.key(100), honest.key(103));
    assert_eq!(both(p + generator, q - generator).check(), wrong, "opposite errors");
    assert_eq!(both(q, p).check(), wrong, "two answers in each other's place");
    assert_eq!(both(-p, -q).check(), wrong, "both negative");
    assert_eq!(both(-q, -p).check(), wrong, "both in each other's place and negative");
    assert_eq!(both(p, q).check(), Ok(()));
    let rotated = honest.but(|a| a.verdicts.rotate_left(1));
    assert_eq!(rotated.check(), wrong, "answers one place off");
    let repeated = honest.but(|a| {
        let first = a.verdicts[0];
        a.verdicts.fill(first);
    });
    assert_eq!(repeated.check(), wrong, "one answer for all");
}

#[test]
fn every_part_of_a_long_batch_is_checked() {
    let honest = honest();
    let long = Answered {
        hashes: honest.hashes.iter().copied().cycle().take(PART_LEN_MAX + 300).collect(),
        signatures: honest.signatures.iter().copied().cycle().take(PART_LEN_MAX + 300).collect(),
        verdicts: honest.verdicts.iter().copied().cycle().take(PART_LEN_MAX + 300).collect(),
        lifted_y: honest.lifted_y.iter().copied().cycle().take(PART_LEN_MAX + 300).collect(),
    };
    assert_eq!(long.check(), Ok(()));
    for index in [0, PART_LEN_MAX - 1, PART_LEN_MAX, PART_LEN_MAX + 299] {
        let wrong = long.but(|a| *a.signer(index) = signer_of(&-a.key(index)));
        assert_eq!(wrong.check(), Err(Mismatch::Combination), "item {index}");
    }
}

#[test]
fn whoever_knows_the_coefficients_can_cheat_and_nobody_else() {
    let honest = honest();
    let windows = Windows::for_items(honest.hashes.len());
    let inverse = |index: usize| {
        let chunk = index / CHUNK_LEN * CHUNK_LEN;
        let digest = keccak256_one(&SEED.message(chunk + index % CHUNK_LEN / COEFFICIENTS));
        let x = windows.coefficient(&digest, index % CHUNK_LEN % COEFFICIENTS);
        coefficient(&x, windows).invert().unwrap()
    };
    for [first, second] in [[0, 1], [5, 290], [255, 256]] {
        let cheat = honest.but(|a| {
            let error = ProjectivePoint::GENERATOR * reduced(&[0x77; 32]);
            *a.signer(first) = signer_of(&(a.key(first) + error * inverse(first)));
            *a.signer(second) = signer_of(&(a.key(second) - error * inverse(second)));
        });
        assert_eq!(cheat.check(), Ok(()), "{first} and {second} cancel");
        assert_eq!(cheat.check_with(Seed::new([0x5f; 32])), Err(Mismatch::Combination));
        assert_eq!(cheat.check_with(Seed::random()), Err(Mismatch::Combination));
    }
}

#[test]
fn faults_of_single_items_are_named() {
    let honest = honest();
    let is = |what: &str, index: usize, fault: Fault, change: &dyn Fn(&mut Answered)| {
        let changed = honest.but(change);
        assert_eq!(changed.check(), Err(Mismatch::Item { index, fault }), "{what}");
    };
    let prime = super::super::tests::word(super::super::tests::P);
    for i in [0, 1, 9, 255, 256, 299] {
        is("y a little off, of the same parity", i, Fault::LiftedPoint, &|a| a.lifted_y[i][31] ^= 2);
        is("y of −R", i, Fault::LiftedPoint, &|a| {
            let negative = Element::from_canonical(words_of(&a.lifted_y[i])).unwrap().negated_if(true);
            a.lifted_y[i] = word_of(&negative.canonical());
        });
        is("parity of −R", i, Fault::LiftedPoint, &|a| a.signatures[i].recovery_id ^= 1);
        is("y of another", i, Fault::LiftedPoint, &|a| a.lifted_y[i] = a.lifted_y[(i + 1) % 300]);
        is("y of p", i, Fault::LiftedPoint, &|a| a.lifted_y[i] = prime);
        is("y beyond p", i, Fault::LiftedPoint, &|a| a.lifted_y[i] = [0xff; 32]);
        is("x of the key off", i, Fault::Key, &|a| a.signer(i).public_key[31] ^= 1);
        is("y of the key off", i, Fault::Key, &|a| a.signer(i).public_key[63] ^= 1);
        is("key of zeros", i, Fault::Key, &|a| a.signer(i).public_key = [0; 64]);
        is("key beyond p", i, Fault::Key, &|a| a.signer(i).public_key = [0xff; 64]);
        is("off the curve with the address of that", i, Fault::Key, &|a| {
            a.signer(i).public_key[5] ^= 1;
            a.signer(i).address = address_of(&a.verdicts[i].unwrap().public_key);
        });
        is("first byte of the address", i, Fault::Address, &|a| a.signer(i).address[0] ^= 0x80);
        is("last byte of the address", i, Fault::Address, &|a| a.signer(i).address[19] ^= 1);
        for (rejection, change) in [
            (Rejection::ROutOfRange, (|s| s.r = ORDER) as fn(&mut Signature)),
            (Rejection::SOutOfRange, |s| s.s = [0; 32]),
            (Rejection::RecoveryIdOutOfRange, |s| s.recovery_id = 4),
            (Rejection::NotOnCurve, |s| s.recovery_id |= 2),
        ] {
            is("no signature", i, Fault::Signature(rejection), &|a| change(&mut a.signatures[i]));
        }
    }
    // The first of several.
    is("two", 3, Fault::Address, &|a| {
        a.signer(9).public_key[0] ^= 1;
        a.signer(3).address[0] ^= 1;
    });
}

#[test]
fn coordinates_must_be_below_the_prime() {
    // A point with y + p below 2^256 would need a y below 2^32 + 977; one with such an x is (1, y).
    let key =
        AffinePoint::decompress(&super::super::tests::near([0; 32], 1).into(), Choice::from(0)).unwrap();
    let mut signer = signer_of(&key.into());
    let one_more_than_the_prime =
        super::super::tests::near(super::super::tests::word(super::super::tests::P), 1);
    signer.public_key[..32].copy_from_slice(&one_more_than_the_prime);
    signer.address = address_of(&signer.public_key);
    let changed = honest().but(|a| *a.signer(8) = signer);
    assert_eq!(changed.check(), Err(Mismatch::Item { index: 8, fault: Fault::Key }));
}

#[test]
fn items_without_a_hint_are_recovered_here() {
    let honest = honest();
    let bare = honest.but(|a| {
        a.lifted_y[4] = [0; 32];
        a.lifted_y[200] = [0; 32];
    });
    assert_eq!(bare.check(), Ok(()));
    assert_eq!(honest.but(|a| a.lifted_y.fill([0; 32])).check(), Ok(()));
    let wrong = bare.but(|a| *a.signer(200) = signer_of(&(a.key(200) + ProjectivePoint::GENERATOR)));
    assert_eq!(wrong.check(), Err(Mismatch::Item { index: 200, fault: Fault::Recomputed }));
}

/// A batch passes, and does not with any one of its keys replaced.
fn assert_told_apart(what: &str, answered: &Answered) {
    assert!(answered.verdicts.iter().all(Result::is_ok), "{what}: all have signers");
    assert_eq!(answered.check(), Ok(()), "{what}");
    assert_eq!(answered.check_with(Seed::random()), Ok(()), "{what}");
    for index in [0, answered.hashes.len() / 2, answered.hashes.len() - 1] {
        for key in [-answered.key(index), answered.key(index).double()] {
            let wrong = answered.but(|a| *a.signer(index) = signer_of(&key));
            assert_eq!(wrong.check(), Err(Mismatch::Combination), "{what}, item {index}");
        }
    }
}

#[test]
fn equal_and_related_points_are_added_rightly() {
    const LEN: usize = 700;
    let mut numbers = Numbers::new(73);
    let (key, nonce, hash) = (numbers.scalar(), numbers.scalar(), numbers.word());
    let lambda = reduced(&super::super::tests::word(
        "5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72",
    ));
    let signed = |key: &Scalar, nonce: &Scalar, hash: Word| (hash, sign(key, nonce, &hash).unwrap());
    let all = |item: &mut dyn FnMut(usize) -> (Word, Signature)| Answered::new((0..LEN).map(item).unzip());
    assert_told_apart("one item", &all(&mut |_| signed(&key, &nonce, hash)));
    assert_told_apart("one R", &all(&mut |_| signed(&numbers.scalar(), &nonce, numbers.word())));
    assert_told_apart(
        "R and −R",
        &all(&mut |i| signed(&numbers.scalar(), &if i % 2 == 0 { nonce } else { -nonce }, numbers.word())),
    );
    assert_told_apart("one key", &all(&mut |_| signed(&key, &numbers.scalar(), numbers.word())));
    assert_told_apart(
        "Q and −Q",
        &all(&mut |i| signed(&if i % 2 == 0 { key } else { -key }, &numbers.scalar(), numbers.word())),
    );
    assert_told_apart("Q = R", &all(&mut |_| signed(&nonce, &nonce, numbers.word())));
    assert_told_apart("Q = −R", &all(&mut |_| signed(&-nonce, &nonce, numbers.word())));
    assert_told_apart("Q = λR", &all(&mut |_| signed(&(nonce * lambda), &nonce, numbers.word())));
    assert_told_apart(
        "Q = R, each another",
        &all(&mut |_| {
            let nonce = numbers.scalar();
            signed(&nonce, &nonce, numbers.word())
        }),
    );
    assert_told_apart("G everywhere", &all(&mut |_| signed(&Scalar::ONE, &Scalar::ONE, numbers.word())));
}

#[test]
fn scalars_with_lopsided_digits_are_right() {
    const LEN: usize = 700;
    let mut numbers = Numbers::new(74);
    let lambda = reduced(&super::super::tests::word(
        "5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72",
    ));
    let two = Scalar::from(2_u64);
    let half = two.invert().unwrap();
    let powers = [64, 100, 128, 192].map(|bits| (0..bits).fold(Scalar::ONE, |power, _| power + power));
    for ratio in [Scalar::ONE, -Scalar::ONE, two, half, lambda, lambda.square(), lambda * powers[0]]
        .iter()
        .chain(&powers)
    {
        let item = |_| (numbers.word(), with_ratio(&numbers.scalar(), ratio));
        assert_told_apart(&format!("u2 = {ratio:?}"), &Answered::new((0..LEN).map(item).unzip()));
    }
}
