//! Every backend of the CPU kernels that the machine has, against one item at a time.
//!
//! Random bytes are hardly ever signatures, so that an input is a list of commands, each of which makes an item that is
//! interesting to recovery: valid, at the edge of a range, or made to be exceptional.

use k256::elliptic_curve::{PrimeField, bigint::U256, ops::Reduce, sec1::ToSec1Point};
use k256::{FieldBytes, ProjectivePoint, Scalar};
use outrider::ingest::fuzz::Target;
use outrider_kernels::keccak::{PayloadsBuf, keccak256_on, keccak256_one};
use outrider_kernels::recover::{Batch, Messages, Signature, Word, recover_on, recover_one};
use outrider_kernels::simd::Backend;

/// The targets of this module.
pub const TARGETS: &[Target] = &[
    Target { name: "recover_backends", run: recover_backends },
    Target { name: "keccak_backends", run: keccak_backends },
];

/// Kinds of commands.
pub const KINDS: u8 = 5;

/// Most items of an input: each is recovered alone as well.
const ITEMS_MAX: usize = 48;
/// Items of a batch at least, so that all backends use their lanes.
const BATCH_LEN_MIN: usize = 17;

const ORDER: &str = "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141";
const PRIME: &str = "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F";
const GENERATOR_X: &str = "79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798";

/// Reads commands.
struct Commands<'a>(&'a [u8]);

impl Commands<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    /// 32 bytes as they are; 0 beyond the end.
    fn word(&mut self) -> Word {
        let mut word = [0; 32];
        let (front, rest) = self.0.split_at(self.0.len().min(32));
        word[..front.len()].copy_from_slice(front);
        self.0 = rest;
        word
    }

    /// A number at an edge: 0, n, p, 2^255, n / 2 or the like, or next to one.
    fn edge(&mut self) -> Option<Word> {
        let choice = self.byte()?;
        let [order, prime, x] = [ORDER, PRIME, GENERATOR_X].map(U256::from_be_hex);
        let bases = [
            U256::ZERO,
            order,
            prime,
            prime.wrapping_sub(&order),
            x,
            order.shr_vartime(1),
            U256::ONE.shl_vartime(255),
            U256::ONE.shl_vartime(128),
        ];
        let offset = U256::from_u8(choice >> 3);
        Some(
            bases[usize::from(choice % 8)]
                .wrapping_add(&offset)
                .wrapping_sub(&U256::from_u8(16))
                .to_be_bytes()
                .into(),
        )
    }

    /// A number that looks random, and is the same for the same byte.
    fn hash(&mut self, domain: u8) -> Option<Word> {
        Some(keccak256_one(&[domain, self.byte()?]))
    }

    fn item(&mut self, before: Option<&(Word, Signature)>) -> Option<(Word, Signature)> {
        match self.byte()? % KINDS {
            // Anything.
            0 => {
                let (hash, r, s) = (self.word(), self.word(), self.word());
                Some((hash, Signature { r, s, recovery_id: self.byte()? }))
            }
            // The edges of all ranges.
            1 => {
                let (hash, r, s) = (self.edge()?, self.edge()?, self.edge()?);
                Some((hash, Signature { r, s, recovery_id: self.byte()? % 6 }))
            }
            // A valid signature: s = (z + r · key) / k.
            2 => {
                let (hash, nonce, key) = (self.hash(0)?, scalar(&self.hash(1)?), scalar(&self.hash(2)?));
                Some((hash, signature(&nonce, |r| scalar(&hash) + r * key)))
            }
            // One whose key is at infinity, s = z / k, or whose two terms are equal, s = −z / k; or, with R = G or 2G, whose
            // table holds what the comb holds.
            3 => {
                let (hash, choice) = (self.hash(0)?, self.byte()?);
                let nonce = if choice & 6 == 0 {
                    Scalar::from(1 + u64::from(choice >> 3))
                } else {
                    scalar(&self.hash(1)?)
                };
                let z = scalar(&hash);
                Some((hash, signature(&nonce, |_| if choice & 1 == 0 { z } else { -z })))
            }
            // The one before, with a bit changed.
            _ => {
                let (place, bit) = (usize::from(self.byte()?), self.byte()? % 8);
                let (mut hash, mut signature) = *before?;
                match place / 32 % 4 {
                    0 => hash[place % 32] ^= 1 << bit,
                    1 => signature.r[place % 32] ^= 1 << bit,
                    2 => signature.s[place % 32] ^= 1 << bit,
                    _ => signature.recovery_id ^= 1 << (bit % 3),
                }
                Some((hash, signature))
            }
        }
    }
}

fn scalar(word: &Word) -> Scalar {
    <Scalar as Reduce<FieldBytes>>::reduce(&(*word).into())
}

/// The signature with R = kG and s = numerator(r) / k.
fn signature(nonce: &Scalar, numerator: impl FnOnce(Scalar) -> Scalar) -> Signature {
    let point = (ProjectivePoint::GENERATOR * nonce).to_affine().to_sec1_point(false);
    let mut x = [0; 32];
    x.copy_from_slice(&point.as_bytes()[1..33]);
    let r = scalar(&x);
    let inverse = Option::<Scalar>::from(nonce.invert()).unwrap_or(Scalar::ONE);
    let s = inverse * numerator(r);
    let is_odd = point.as_bytes()[64] & 1;
    let is_reduced = u8::from(r.to_repr()[..] != x[..]);
    Signature { r: r.to_repr().into(), s: s.to_repr().into(), recovery_id: is_odd | is_reduced << 1 }
}

/// Panics if a backend recovers another signer, or another reason why there is none, than [`recover_one`].
fn recover_backends(bytes: &[u8]) {
    let mut commands = Commands(bytes);
    let mut items: Vec<(Word, Signature)> = Vec::new();
    while items.len() < ITEMS_MAX
        && let Some(item) = commands.item(items.last())
    {
        items.push(item);
    }
    if items.is_empty() {
        return;
    }
    let verdicts: Vec<_> = items.iter().map(|(hash, signature)| recover_one(hash, signature)).collect();
    let len = items.len().max(BATCH_LEN_MIN);
    let (hashes, signatures): (Vec<_>, Vec<_>) = items.iter().copied().cycle().take(len).unzip();
    let batch = Batch::new(Messages::Hashes(&hashes), &signatures).expect("as many of both");
    for backend in Backend::available() {
        for (index, verdict) in recover_on(backend, &batch).iter().enumerate() {
            let item = index % items.len();
            assert!(*verdict == verdicts[item], "{}: item {index}, {:02x?}", backend.name(), items[item]);
        }
    }
}

/// Panics if a backend hashes otherwise than [`keccak256_one`]. The first byte says how many payloads there are at most, and each
/// begins with its length.
fn keccak_backends(bytes: &[u8]) {
    let mut payloads = PayloadsBuf::default();
    let mut commands = Commands(bytes);
    for _ in 0..commands.byte().unwrap_or(0) {
        let Some(len) = commands.byte() else { break };
        // Up to eight blocks, where long payloads begin, and a little more.
        let (payload, rest) = commands.0.split_at(commands.0.len().min(usize::from(len) * 5));
        payloads.push(payload).expect("short");
        commands.0 = rest;
    }
    let payloads = payloads.as_payloads();
    let digests: Vec<_> = payloads.iter().map(keccak256_one).collect();
    for backend in Backend::available() {
        assert!(keccak256_on(backend, &payloads) == digests, "{} hashes otherwise", backend.name());
    }
}
