//! Checking a whole batch of recovered keys, against recovering them, on one core and on all.
//!
//! The rule is that a check be the default where it costs less than a fifth of recovering with the same backend; the example
//! `audit_rate` of the kernels takes both in turns, which a noisy machine spoils less.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use k256::AffinePoint;
use k256::elliptic_curve::point::DecompressPoint as _;
use k256::elliptic_curve::sec1::ToSec1Point as _;
use k256::elliptic_curve::subtle::Choice;
use outrider_bench::{messages::signed_messages, one_thread, sizes};
use outrider_kernels::recover::audit::{Seed, check};
use outrider_kernels::recover::{Batch, Messages, Signature, Word, recover_on};
use outrider_kernels::simd::Backend;
use std::hint::black_box;

const SIZES: [usize; 4] = [256, 4_096, 16_384, 65_536];
const SEED: u64 = 20_261_122;

/// The y-coordinate of R, as a device hands it back.
fn lift(signature: &Signature) -> Word {
    let parity = Choice::from(signature.recovery_id & 1);
    let point = AffinePoint::decompress(&signature.r.into(), parity).expect("on the curve");
    point.to_sec1_point(false).as_bytes()[33..].try_into().expect("32 bytes")
}

fn audit(c: &mut Criterion) {
    let one = one_thread();
    let mut group = c.benchmark_group("audit");
    group.sample_size(10);
    for &size in sizes(&SIZES, 1) {
        let messages = signed_messages(size, SEED);
        let payloads = Messages::Payloads(messages.payloads.as_payloads());
        let batch = Batch::new(payloads, &messages.signatures).expect("a signature for each message");
        let lifted_y: Vec<_> = messages.signatures.iter().map(lift).collect();
        group.throughput(Throughput::Elements(size as u64));
        for backend in Backend::available() {
            let verdicts = recover_on(backend, &batch);
            let run = || check(backend, black_box(&batch), &verdicts, &lifted_y, Seed::random());
            assert_eq!(run(), Ok(()), "the signers are right");
            let mut wrong = verdicts.clone();
            wrong[size / 2] = wrong[size / 2 + 1];
            assert!(check(backend, &batch, &wrong, &lifted_y, Seed::random()).is_err(), "one is wrong");

            let id = |what: &str| BenchmarkId::new(format!("{what}-{}", backend.name()), size);
            group.bench_function(id("check"), |b| b.iter(run));
            group.bench_function(id("check-1core"), |b| b.iter(|| one.install(run)));
            group.bench_function(id("recover-1core"), |b| {
                b.iter(|| one.install(|| recover_on(backend, black_box(&batch))));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, audit);
criterion_main!(benches);
