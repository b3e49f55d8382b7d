//! Keccak-256 of payloads as transactions sign them.
//!
//! `keccak/WAY/SIZE` hashes SIZE payloads: `sha3` and `keccak-asm` are those crates on one thread,
//! `cpu-1` our CPU form on one thread and `cpu` on all, `gpu` the device, upload and readback
//! included. Before measuring, all ways have given the same digests.
//!
//! `cargo bench -p outrider-bench --bench keccak`

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use outrider_bench::{messages::payloads, one_thread, open_gpu, sizes};
use outrider_kernels::keccak::{Digest, Payloads, keccak256, keccak256_one};
use std::hint::black_box;

const SIZES: [usize; 4] = [256, 4_096, 16_384, 65_536];
const SEED: u64 = 20_260_102;

fn by_sha3(payloads: &Payloads<'_>) -> Vec<Digest> {
    use sha3::Digest as _;
    payloads.iter().map(|payload| sha3::Keccak256::digest(payload).into()).collect()
}

fn by_keccak_asm(payloads: &Payloads<'_>) -> Vec<Digest> {
    payloads.iter().map(|payload| keccak_asm::Keccak256::digest(payload).into()).collect()
}

fn keccak(c: &mut Criterion) {
    let (gpu, one) = (open_gpu(), one_thread());
    let mut group = c.benchmark_group("keccak");
    for &size in sizes(&SIZES) {
        let buffer = payloads(size, SEED);
        let payloads = buffer.as_payloads();
        let expected = by_sha3(&payloads);
        assert!(by_keccak_asm(&payloads) == expected, "keccak-asm and sha3 differ");
        assert!(keccak256(&payloads) == expected, "our CPU form and sha3 differ");
        if let Some(gpu) = &gpu {
            assert!(gpu.keccak256(&payloads) == expected, "the device and sha3 differ");
            assert!(!gpu.is_quarantined(), "the device failed");
        }
        let all: [u8; 32] = keccak256_one(expected.as_flattened());
        let bytes: usize = payloads.iter().map(<[u8]>::len).sum();
        eprintln!("{size} payloads of {bytes} bytes: digest of all digests {}", hex(&all));

        group.throughput(Throughput::Elements(size as u64));
        let id = |way| BenchmarkId::new(way, size);
        group.bench_function(id("sha3"), |b| b.iter(|| by_sha3(black_box(&payloads))));
        group.bench_function(id("keccak-asm"), |b| b.iter(|| by_keccak_asm(black_box(&payloads))));
        group.bench_function(id("cpu-1"), |b| b.iter(|| one.install(|| keccak256(black_box(&payloads)))));
        group.bench_function(id("cpu"), |b| b.iter(|| keccak256(black_box(&payloads))));
        if let Some(gpu) = &gpu {
            group.bench_function(id("gpu"), |b| b.iter(|| gpu.keccak256(black_box(&payloads))));
        }
    }
    group.finish();
}

fn hex(bytes: &[u8]) -> String {
    alloy_primitives::hex::encode(bytes)
}

criterion_group!(benches, keccak);
criterion_main!(benches);
