//! Rates of recovery and hashing on one core, each backend against the others in one run.
//!
//! `cargo run --release -p outrider-kernels --example recover_rate`
//!
//! Backends take turns, each short enough to fit between two interruptions, so that what else the machine does meets all
//! alike and medians leave it out. The portable backend, to which the length of a batch is nothing, takes no more than 32
//! items at a turn.

use std::time::{Duration, Instant};

use k256::ecdsa::SigningKey;
use k256::elliptic_curve::PrimeField as _;
use k256::elliptic_curve::ops::Reduce;
use k256::elliptic_curve::sec1::ToSec1Point as _;
use k256::{FieldBytes, ProjectivePoint, Scalar};
use outrider_kernels::keccak::{PayloadsBuf, keccak256_on, keccak256_one};
use outrider_kernels::recover::{Batch, Messages, Signature, recover_on};
use outrider_kernels::simd::Backend;

/// Turns that each backend has.
const TURNS: usize = 201;
/// Least time of a turn.
const TURN: Duration = Duration::from_micros(500);
/// Most items of a turn of the portable backend.
const PORTABLE_LEN_MAX: usize = 32;

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    pool.install(|| {
        recover_rates();
        adversarial_rates();
        keccak_rates();
    });
}

fn recover_rates() {
    let (payloads, signatures) = signed(4096);
    let all = Batch::new(Messages::Payloads(payloads.as_payloads()), &signatures).expect("as many");
    for len in [1, 2, 3, 4, 8, 16, 32, 64, 256, 1024, 4096] {
        report("recover", len, |backend, len| {
            let verdicts = recover_on(backend, &all.slice(0..len));
            assert!(verdicts.iter().all(Result::is_ok), "all are valid");
        });
    }
}

/// Batches that try to be slow, each against an honest one in the same turns.
fn adversarial_rates() {
    let (payloads, honest) = signed(1024);
    let mut opposite = Vec::new();
    let mut hashes = Vec::new();
    for (i, payload) in payloads.as_payloads().iter().enumerate() {
        let hash = keccak256_one(payload);
        let scalar = |bytes: [u8; 32]| <Scalar as Reduce<FieldBytes>>::reduce(&bytes.into());
        let nonce = scalar(keccak256_one(&hash));
        let point = (ProjectivePoint::GENERATOR * nonce).to_affine().to_sec1_point(false);
        let ratio = scalar(hash) * nonce.invert().expect("a hash is not 0");
        // R = kG with s = z/k gives the point at infinity, and with s = −z/k twice the same point.
        let s = if i % 2 == 0 { ratio } else { -ratio };
        let r = point.as_bytes()[1..33].try_into().expect("32 bytes");
        opposite.push(Signature { r, s: s.to_repr().into(), recovery_id: point.as_bytes()[64] & 1 });
        hashes.push(hash);
    }
    // About half of all r are on no curve point, and some signatures are out of their ranges.
    let garbage: Vec<_> = hashes
        .iter()
        .map(|hash| Signature { r: keccak256_one(&keccak256_one(hash)), s: *hash, recovery_id: hash[0] % 3 })
        .collect();
    for (what, signatures) in [("honest", honest), ("s = ±z/k", opposite), ("garbage", garbage)] {
        let batch = Batch::new(Messages::Payloads(payloads.as_payloads()), &signatures).expect("as many");
        report(&format!("recover {what}"), signatures.len(), |backend, len| {
            assert_eq!(std::hint::black_box(recover_on(backend, &batch.slice(0..len))).len(), len);
        });
    }
}

fn keccak_rates() {
    for (payload_len, len) in
        [(50, 2), (50, 3), (50, 4), (50, 8), (50, 64), (50, 8192), (135, 8192), (500, 8192), (20_000, 64)]
    {
        let mut payloads = PayloadsBuf::default();
        let mut state = 1_u64;
        for _ in 0..len {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            payloads.push(&state.to_le_bytes().repeat(payload_len / 8 + 1)[..payload_len]).expect("short");
        }
        report(&format!("keccak of {payload_len} bytes"), len, |backend, len| {
            let payloads = payloads.as_payloads().slice(0..len);
            assert_eq!(std::hint::black_box(keccak256_on(backend, &payloads)).len(), len);
        });
    }
}

/// Payloads of 50 bytes and their signatures, all different.
fn signed(len: u64) -> (PayloadsBuf, Vec<Signature>) {
    let mut payloads = PayloadsBuf::default();
    let signatures = (0..len)
        .map(|i| {
            let payload = [keccak256_one(&i.to_le_bytes()).as_slice(), &[7; 18]].concat();
            payloads.push(&payload).expect("short");
            let key = SigningKey::from_slice(&keccak256_one(&payload)).expect("a hash is a key");
            let (signature, id) = key.sign_prehash_recoverable(&keccak256_one(&payload));
            let (r, s) = signature.split_bytes();
            Signature { r: r.into(), s: s.into(), recovery_id: id.to_byte() }
        })
        .collect();
    (payloads, signatures)
}

/// Prints the median time for an item in each backend.
fn report(what: &str, len: usize, run: impl Fn(Backend, usize)) {
    let mut portable = f64::NAN;
    let mut ways: Vec<Way> = Backend::available().map(|backend| Way::new(backend, len, &run)).collect();
    for _ in 0..TURNS {
        ways.iter_mut().for_each(|way| way.turn(&run));
    }
    // The portable one is the last.
    for way in ways.into_iter().rev() {
        let (backend, nanoseconds) = (way.backend, way.median_ns());
        if backend == Backend::Portable {
            portable = nanoseconds;
        }
        let (name, ratio) = (backend.name(), portable / nanoseconds);
        println!("{what}, batch of {len}: {name} {nanoseconds:.0} ns an item, {ratio:.2} times portable");
    }
}

/// A backend and its turns.
struct Way {
    backend: Backend,
    len: usize,
    /// Runs of each turn.
    runs: u32,
    turns: Vec<Duration>,
}

impl Way {
    /// Finds out how often to run in a turn.
    fn new(backend: Backend, len: usize, run: impl Fn(Backend, usize)) -> Self {
        let len = if backend == Backend::Portable { len.min(PORTABLE_LEN_MAX) } else { len };
        run(backend, len);
        let start = Instant::now();
        run(backend, len);
        let runs = TURN.as_nanos().div_ceil(start.elapsed().as_nanos().max(1));
        Self { backend, len, runs: u32::try_from(runs).unwrap_or(u32::MAX), turns: Vec::new() }
    }

    fn turn(&mut self, run: impl Fn(Backend, usize)) {
        let start = Instant::now();
        (0..self.runs).for_each(|_| run(self.backend, self.len));
        self.turns.push(start.elapsed() / self.runs);
    }

    fn median_ns(mut self) -> f64 {
        self.turns.sort_unstable();
        self.turns[TURNS / 2].as_secs_f64() * 1e9 / self.len as f64
    }
}
