//! Rates of recovery and hashing on one core, each backend against the others in one run.
//!
//! `cargo run --release -p outrider-kernels --example recover_rate`
//!
//! Backends take turns on the same batch, so that what else the machine does meets all alike; medians are printed, and
//! how many times as fast as the portable backend each is.

use std::time::{Duration, Instant};

use k256::ecdsa::SigningKey;
use outrider_kernels::keccak::{PayloadsBuf, keccak256_on, keccak256_one};
use outrider_kernels::recover::{Batch, Messages, Signature, recover_on};
use outrider_kernels::simd::Backend;

/// Turns that each backend has.
const TURNS: usize = 15;

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    pool.install(|| {
        recover_rates();
        keccak_rates();
    });
}

fn recover_rates() {
    let (payloads, signatures) = signed(4096);
    let all = Batch::new(Messages::Payloads(payloads.as_payloads()), &signatures).expect("as many");
    for len in [1, 2, 4, 8, 16, 32, 64, 256, 1024, 4096] {
        let batch = all.slice(0..len);
        let repeats = (512 / len).max(1);
        report("recover", len, len * repeats, |backend| {
            for _ in 0..repeats {
                let verdicts = recover_on(backend, &batch);
                assert!(verdicts.iter().all(Result::is_ok), "all are valid");
            }
        });
    }
}

fn keccak_rates() {
    for (payload_len, len) in [(50, 4), (50, 8), (50, 64), (50, 8192), (135, 8192), (500, 8192), (20_000, 64)]
    {
        let mut payloads = PayloadsBuf::default();
        let mut state = 1_u64;
        for _ in 0..len {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            payloads.push(&state.to_le_bytes().repeat(payload_len / 8 + 1)[..payload_len]).expect("short");
        }
        let payloads = payloads.as_payloads();
        let repeats = (8192 / len).max(1);
        report(&format!("keccak of {payload_len} bytes"), len, len * repeats, |backend| {
            for _ in 0..repeats {
                assert_eq!(std::hint::black_box(keccak256_on(backend, &payloads)).len(), len);
            }
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
fn report(what: &str, len: usize, items: usize, run: impl Fn(Backend)) {
    let mut turns: Vec<(Backend, Vec<Duration>)> =
        Backend::available().map(|backend| (backend, vec![])).collect();
    for turn in 0..=TURNS {
        for (backend, times) in &mut turns {
            let start = Instant::now();
            run(*backend);
            // The first turn warms up.
            if turn > 0 {
                times.push(start.elapsed());
            }
        }
    }
    let medians: Vec<_> = turns
        .into_iter()
        .map(|(backend, mut times)| {
            times.sort_unstable();
            (backend, times[TURNS / 2].as_secs_f64() * 1e9 / items as f64)
        })
        .collect();
    let portable =
        medians.iter().find(|(backend, _)| *backend == Backend::Portable).map_or(0.0, |median| median.1);
    for (backend, nanoseconds) in medians {
        let (name, ratio) = (backend.name(), portable / nanoseconds);
        println!("{what}, batch of {len}: {name} {nanoseconds:.0} ns an item, {ratio:.2} times portable");
    }
}
