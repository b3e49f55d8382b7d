//! What it costs to check a batch of recovered keys, as a share of recovering them, on one core.
//!
//! `cargo run --release -p outrider-kernels --example audit_rate`
//!
//! Each backend recovers and checks in turns, so that what else the machine does meets both; the figures are the
//! least of all turns, as a long one is seldom left alone.

use std::time::Instant;

use k256::AffinePoint;
use k256::ecdsa::SigningKey;
use k256::elliptic_curve::point::DecompressPoint as _;
use k256::elliptic_curve::sec1::ToSec1Point as _;
use k256::elliptic_curve::subtle::Choice;
use outrider_kernels::keccak::{PayloadsBuf, keccak256_one};
use outrider_kernels::recover::audit::{Seed, check};
use outrider_kernels::recover::{Batch, Messages, Signature, Word, recover_on};
use outrider_kernels::simd::Backend;
use rayon::prelude::*;

/// Items that each backend takes in all turns together, for each size: 65,536 come up eleven times.
const ITEMS: usize = 11 * 65_536;
/// Turns at most.
const TURNS_MAX: usize = 101;

fn main() {
    let (payloads, signatures, lifted_y) = signed(65_536);
    let all = Batch::new(Messages::Payloads(payloads.as_payloads()), &signatures).expect("as many");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    for backend in Backend::available() {
        for len in [64, 256, 1024, 4096, 16_384, 65_536] {
            let batch = all.slice(0..len);
            let items = if backend == Backend::Portable { ITEMS / 8 } else { ITEMS };
            let (mut recovering, mut checking) = (Vec::new(), Vec::new());
            pool.install(|| {
                for _ in 0..(items / len).clamp(3, TURNS_MAX) {
                    let start = Instant::now();
                    let verdicts = recover_on(backend, &batch);
                    recovering.push(start.elapsed());
                    let start = Instant::now();
                    check(backend, &batch, &verdicts, &lifted_y[..len], Seed::random())
                        .expect("all are right");
                    checking.push(start.elapsed());
                }
            });
            let [recovering, checking] = [recovering, checking].map(|turns| {
                let least = turns.into_iter().min().expect("three turns");
                least.as_secs_f64() * 1e9 / len as f64
            });
            let share = 100.0 * checking / recovering;
            println!(
                "{}, batch of {len}: recovering {recovering:.0} ns an item, checking {checking:.0} ns, {share:.1}%",
                backend.name()
            );
        }
    }
}

/// Payloads of 50 bytes, all different, their signatures, and the y-coordinate of each R.
fn signed(len: u64) -> (PayloadsBuf, Vec<Signature>, Vec<Word>) {
    let payload = |i: u64| [keccak256_one(&i.to_le_bytes()).as_slice(), &[7; 18]].concat();
    let mut payloads = PayloadsBuf::default();
    (0..len).for_each(|i| payloads.push(&payload(i)).expect("short"));
    let (signatures, lifted_y) = (0..len)
        .into_par_iter()
        .map(|i| {
            let hash = keccak256_one(&payload(i));
            let key = SigningKey::from_slice(&keccak256_one(&hash)).expect("a hash is a key");
            let (signature, id) = key.sign_prehash_recoverable(&hash);
            let (r, s) = signature.split_bytes();
            let point = AffinePoint::decompress(&r, Choice::from(id.to_byte() & 1)).expect("on the curve");
            let y: Word = point.to_sec1_point(false).as_bytes()[33..].try_into().expect("32 bytes");
            (Signature { r: r.into(), s: s.into(), recovery_id: id.to_byte() }, y)
        })
        .unzip();
    (payloads, signatures, lifted_y)
}
