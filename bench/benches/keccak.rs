//! Keccak-256 of payloads as transactions sign them.
//!
//! `keccak/WAY/SIZE` hashes SIZE payloads on all cores, `keccak/WAY/SIZE/1core` on one: `avx512` and `portable` are
//! our CPU backends, those that this machine can run; `gpu` is the device, upload and readback included; `sha3` and
//! `keccak-asm` are those crates. Before measuring, all ways have given the same digests.
//!
//! `cargo bench -p outrider-bench --bench keccak`

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use outrider_bench::{messages::payloads, one_thread, open_gpu, sizes};
use outrider_kernels::{
    keccak::{Digest, Payloads, keccak256_on, keccak256_one},
    simd::Backend,
};
use std::hint::black_box;

const SIZES: [usize; 3] = [256, 4_096, 65_536];
const SEED: u64 = 20_260_102;

fn by_sha3(payloads: &Payloads<'_>) -> Vec<Digest> {
    use sha3::Digest as _;
    payloads.iter().map(|payload| sha3::Keccak256::digest(payload).into()).collect()
}

fn by_keccak_asm(payloads: &Payloads<'_>) -> Vec<Digest> {
    payloads.iter().map(|payload| keccak_asm::Keccak256::digest(payload).into()).collect()
}

/// What the ids call a backend: its hashing needs no IFMA.
fn way(backend: Backend) -> &'static str {
    match backend {
        Backend::Avx512Ifma => "avx512",
        backend => backend.name(),
    }
}

fn keccak(c: &mut Criterion) {
    let (gpu, one) = (open_gpu(), one_thread());
    let mut group = c.benchmark_group("keccak");
    for &size in sizes(&SIZES, 1) {
        let buffer = payloads(size, SEED);
        let payloads = buffer.as_payloads();
        let expected = by_sha3(&payloads);
        assert!(by_keccak_asm(&payloads) == expected, "keccak-asm and sha3 differ");
        for backend in Backend::available() {
            assert!(keccak256_on(backend, &payloads) == expected, "{} and sha3 differ", backend.name());
        }
        if let Some(gpu) = &gpu {
            assert!(gpu.keccak256(&payloads) == expected, "the device and sha3 differ");
            assert!(!gpu.is_quarantined(), "the device failed");
        }
        let all: [u8; 32] = keccak256_one(expected.as_flattened());
        let bytes: usize = payloads.iter().map(<[u8]>::len).sum();
        eprintln!("{size} payloads of {bytes} bytes: digest of all digests {}", hex(&all));

        group.throughput(Throughput::Elements(size as u64));
        let on_one = |way| BenchmarkId::new(way, format_args!("{size}/1core"));
        let on_all = |way| BenchmarkId::new(way, size);
        group.bench_function(on_one("sha3"), |b| b.iter(|| by_sha3(black_box(&payloads))));
        group.bench_function(on_one("keccak-asm"), |b| b.iter(|| by_keccak_asm(black_box(&payloads))));
        for backend in Backend::available() {
            let hash = || keccak256_on(backend, black_box(&payloads));
            group.bench_function(on_one(way(backend)), |b| one.install(|| b.iter(hash)));
            group.bench_function(on_all(way(backend)), |b| b.iter(hash));
        }
        if let Some(gpu) = &gpu {
            group.bench_function(on_all("gpu"), |b| b.iter(|| gpu.keccak256(black_box(&payloads))));
        }
    }
    group.finish();
}

fn hex(bytes: &[u8]) -> String {
    alloy_primitives::hex::encode(bytes)
}

criterion_group!(benches, keccak);
criterion_main!(benches);
