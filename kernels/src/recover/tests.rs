//! Every way of recovering against an oracle that shares no code with any: the textbook formula over k256.

mod accelerator;
mod device;
mod floors;
mod million;
mod timing;
mod wycheproof;

use k256::elliptic_curve::bigint::U256;
use k256::elliptic_curve::ops::Reduce;
use k256::elliptic_curve::point::DecompressPoint as _;
use k256::elliptic_curve::sec1::ToSec1Point as _;
use k256::elliptic_curve::subtle::Choice;
use k256::elliptic_curve::{Group as _, PrimeField as _};
use k256::{AffinePoint, ProjectivePoint, Scalar};

use super::*;
use crate::keccak::{PayloadsBuf, keccak256_one};

/// The curve's numbers, big-endian.
pub(super) const N: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
pub(super) const P: &str = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f";

pub(super) fn word(hex: &str) -> Word {
    let mut word = [0; 32];
    for (i, byte) in word.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap();
    }
    word
}

/// A number near another: `base + offset`.
pub(super) fn near(base: Word, offset: i64) -> Word {
    let base = U256::from_be_slice(&base);
    let by = U256::from_u64(offset.unsigned_abs());
    let sum = if offset < 0 { base.wrapping_sub(&by) } else { base.wrapping_add(&by) };
    sum.to_be_bytes().into()
}

fn small(value: u64) -> Word {
    near([0; 32], i64::try_from(value).unwrap())
}

/// Q = (sR − zG) / r, straight from SEC 1.
pub(super) fn oracle(hash: &Word, signature: &Signature) -> Verdict {
    if signature.recovery_id > 3 {
        return Err(Rejection::RecoveryIdOutOfRange);
    }
    let scalar = |word: &Word| {
        Option::<Scalar>::from(Scalar::from_repr((*word).into()))
            .filter(|scalar| !bool::from(scalar.is_zero()))
    };
    let r = scalar(&signature.r).ok_or(Rejection::ROutOfRange)?;
    let s = scalar(&signature.s).ok_or(Rejection::SOutOfRange)?;
    let z = <Scalar as Reduce<k256::FieldBytes>>::reduce(&(*hash).into());
    let mut x = U256::from_be_slice(&signature.r);
    if signature.recovery_id & 2 != 0 {
        let (sum, carry) =
            x.carrying_add(&U256::from_be_slice(&word(N)), k256::elliptic_curve::bigint::Limb::ZERO);
        if carry.0 != 0 || sum >= U256::from_be_slice(&word(P)) {
            return Err(Rejection::NotOnCurve);
        }
        x = sum;
    }
    let is_odd = Choice::from(signature.recovery_id & 1);
    let point = Option::<AffinePoint>::from(AffinePoint::decompress(&x.to_be_bytes().into(), is_odd));
    let point = ProjectivePoint::from(point.ok_or(Rejection::NotOnCurve)?);
    let inverse = r.invert().unwrap();
    let key = point * (s * inverse) - ProjectivePoint::GENERATOR * (z * inverse);
    if bool::from(key.is_identity()) {
        return Err(Rejection::Infinity);
    }
    let mut public_key = [0; 64];
    public_key.copy_from_slice(&key.to_affine().to_sec1_point(false).as_bytes()[1..]);
    let mut address = [0; 20];
    address.copy_from_slice(&keccak256_one(&public_key)[12..]);
    Ok(Signer { public_key, address })
}

/// Numbers from a seed: Keccak in counter mode.
pub(super) struct Numbers {
    seed: u64,
    count: u64,
}

impl Numbers {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    pub(super) fn word(&mut self) -> Word {
        self.count += 1;
        let mut input = [0; 16];
        input[..8].copy_from_slice(&self.seed.to_le_bytes());
        input[8..].copy_from_slice(&self.count.to_le_bytes());
        keccak256_one(&input)
    }

    pub(super) fn scalar(&mut self) -> Scalar {
        reduced(&self.word())
    }
}

pub(super) fn reduced(word: &Word) -> Scalar {
    <Scalar as Reduce<k256::FieldBytes>>::reduce(&(*word).into())
}

/// Signs a hash with a key and a nonce, all given; s is not made low. `None` if r or s is 0.
pub(super) fn sign(key: &Scalar, nonce: &Scalar, hash: &Word) -> Option<Signature> {
    let point = (ProjectivePoint::GENERATOR * nonce).to_affine().to_sec1_point(false);
    let x: Word = point.as_bytes()[1..33].try_into().unwrap();
    let r = reduced(&x);
    let s = nonce.invert().unwrap() * (reduced(hash) + r * key);
    let is_reduced = x >= word(N);
    let recovery_id = (point.as_bytes()[64] & 1) | (u8::from(is_reduced) << 1);
    let is_zero = bool::from(r.is_zero()) || bool::from(s.is_zero());
    (!is_zero).then(|| Signature { r: r.to_repr().into(), s: s.to_repr().into(), recovery_id })
}

/// Signatures of random keys, of which every eighth is spoilt in some way.
pub(super) fn random_batch(seed: u64, len: usize) -> (Vec<Word>, Vec<Signature>) {
    let mut numbers = Numbers::new(seed);
    let mut items = (0_u64..).map(|i| {
        let hash = numbers.word();
        let mut signature = sign(&numbers.scalar(), &numbers.scalar(), &hash).unwrap();
        match i % 64 {
            7 => signature.r = numbers.word(),
            15 => signature.s = numbers.word(),
            23 => signature.recovery_id ^= 1,
            31 => signature.recovery_id |= 2,
            39 => signature.s = word(N),
            47 => signature.r = small(i % 5),
            55 => signature.recovery_id = 4,
            _ => {}
        }
        (hash, signature)
    });
    items.by_ref().take(len).unzip()
}

/// The edges: extreme r, s and z with every id, results at infinity, and sums whose last addition is exceptional.
pub(super) fn edge_cases() -> Vec<(Word, Signature)> {
    let (n, p, zero) = (word(N), word(P), [0; 32]);
    let mut cases = Vec::new();
    let extremes = [
        zero,
        small(1),
        small(2),
        near(n, -1),
        n,
        near(n, 1),
        near(p, -1),
        p,
        [0xff; 32],
        near(p, 1),
        small(5),
    ];
    let x = word("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
    let hashes = [zero, small(1), near(n, -1), n, near(n, 1), [0xff; 32], x];
    for (i, &r) in extremes.iter().enumerate() {
        for (j, &s) in extremes.iter().enumerate() {
            for recovery_id in 0..=4 {
                cases.push((hashes[(i + j) % hashes.len()], Signature { r, s, recovery_id }));
            }
        }
    }
    for hash in hashes {
        for recovery_id in [0, 1, 2, 3, 4, 255] {
            cases.push((hash, Signature { r: x, s: x, recovery_id }));
        }
    }
    // r + n below p, which is where ids 2 and 3 mean something.
    for r in
        (1..12).map(small).chain([near(near(p, 0), 0), prime_minus_order(), near(prime_minus_order(), -1)])
    {
        for recovery_id in 0..4 {
            cases.push((small(77), Signature { r, s: small(3), recovery_id }));
        }
    }
    // R = kG. With s = z/k, u2 R = u1 G and the result is infinity; with s = -z/k it is twice that.
    let mut numbers = Numbers::new(11);
    for _ in 0..8 {
        let (nonce, hash) = (numbers.scalar(), numbers.word());
        let point = (ProjectivePoint::GENERATOR * nonce).to_affine().to_sec1_point(false);
        let r: Word = point.as_bytes()[1..33].try_into().unwrap();
        let odd = point.as_bytes()[64] & 1;
        let s = nonce.invert().unwrap() * reduced(&hash);
        for s in [s, -s] {
            for recovery_id in [odd, odd ^ 1] {
                cases.push((hash, Signature { r, s: s.to_repr().into(), recovery_id }));
            }
        }
    }
    cases
}

fn prime_minus_order() -> Word {
    U256::from_be_slice(&word(P)).wrapping_sub(&U256::from_be_slice(&word(N))).to_be_bytes().into()
}

/// Fails with the first item that differs from the oracle.
pub(super) fn assert_oracle(what: &str, hashes: &[Word], signatures: &[Signature], verdicts: &[Verdict]) {
    assert_eq!(verdicts.len(), signatures.len(), "{what}");
    for (i, ((hash, signature), verdict)) in hashes.iter().zip(signatures).zip(verdicts).enumerate() {
        assert_eq!(*verdict, oracle(hash, signature), "{what}: item {i}, {hash:02x?}, {signature:02x?}");
    }
}

#[test]
fn cpu_matches_oracle_on_random_and_spoilt_signatures() {
    for len in [0, 1, 7, 8, 9, 300] {
        let (hashes, signatures) = random_batch(1, len);
        let batch = Batch::new(Messages::Hashes(&hashes), &signatures).unwrap();
        assert_oracle("seed 1", &hashes, &signatures, &recover(&batch));
    }
}

#[test]
fn cpu_matches_oracle_on_every_edge() {
    let (hashes, signatures): (Vec<_>, Vec<_>) = edge_cases().into_iter().unzip();
    let batch = Batch::new(Messages::Hashes(&hashes), &signatures).unwrap();
    let verdicts = recover(&batch);
    assert_oracle("edges", &hashes, &signatures, &verdicts);
    for rejection in [
        Rejection::RecoveryIdOutOfRange,
        Rejection::ROutOfRange,
        Rejection::SOutOfRange,
        Rejection::NotOnCurve,
        Rejection::Infinity,
    ] {
        assert!(verdicts.contains(&Err(rejection)), "no edge is rejected as {rejection:?}");
    }
    // All four ids of some r below p - n have signers: the crate underneath takes them, and s over n / 2.
    assert!(signatures.iter().zip(&verdicts).any(|(s, verdict)| s.recovery_id == 3 && verdict.is_ok()));
    assert!(signatures.iter().zip(&verdicts).any(|(s, v)| !policy::is_low_s(&s.s) && v.is_ok()));
}

#[test]
fn confirmation_finds_every_rejection_but_infinity() {
    for (hash, signature) in edge_cases() {
        let expected = match oracle(&hash, &signature) {
            Err(rejection) if rejection != Rejection::Infinity => Err(rejection),
            _ => Ok(()),
        };
        assert_eq!(cpu::check_liftable(&signature), expected, "{signature:02x?}");
    }
}

#[test]
fn payloads_are_hashed_first() {
    let mut payloads = PayloadsBuf::default();
    let mut numbers = Numbers::new(3);
    let signatures: Vec<_> = (0..20)
        .map(|len| {
            let payload = numbers.word().repeat(len);
            payloads.push(&payload).unwrap();
            sign(&numbers.scalar(), &numbers.scalar(), &keccak256_one(&payload)).unwrap()
        })
        .collect();
    let hashes: Vec<_> = payloads.as_payloads().iter().map(keccak256_one).collect();
    let batch = Batch::new(Messages::Payloads(payloads.as_payloads()), &signatures).unwrap();
    assert_oracle("payloads", &hashes, &signatures, &recover(&batch));
}

#[test]
fn a_batch_needs_as_many_messages_as_signatures() {
    let error = Batch::new(Messages::Hashes(&[[0; 32]]), &[]).unwrap_err();
    assert_eq!(error, LengthMismatch { messages: 1, signatures: 0 });
}
