//! Recovery of who signed a payload, from the payload's bytes to the address.
//!
//! `recover/WAY/SIZE` takes SIZE signed payloads on all cores, `recover/WAY/SIZE/1core` on one: `ifma` and `portable`
//! are our CPU backends, those that this machine can run; `gpu` is the device, upload and readback included;
//! `libsecp256k1` and `k256` are those libraries (hashing with sha3). Before measuring, all ways have given the signers.
//!
//! `cargo bench -p outrider-bench --bench recover`

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use outrider_bench::{
    messages::{SignedMessages, signed_messages},
    one_thread, open_gpu, sizes,
};
use outrider_kernels::{
    keccak::keccak256_one,
    recover::{Batch, Messages, Verdict, recover_on},
    simd::Backend,
};
use sha3::{Digest, Keccak256};
use std::hint::black_box;

const SIZES: [usize; 5] = [1, 64, 1_024, 8_192, 65_536];
const SEED: u64 = 20_260_103;

type Address = [u8; 20];

/// Address of a key's x and y.
fn address(key: &[u8]) -> Address {
    let digest: [u8; 32] = Keccak256::digest(key).into();
    digest[12..].try_into().expect("twenty bytes")
}

fn by_k256(messages: &SignedMessages) -> Vec<Address> {
    use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
    let payloads = messages.payloads.as_payloads();
    let one = |(payload, signature): (&[u8], &outrider_kernels::recover::Signature)| {
        let hash = Keccak256::digest(payload);
        let id = RecoveryId::from_byte(signature.recovery_id).expect("0 or 1");
        let signature = Signature::from_scalars(signature.r, signature.s).expect("scalars in range");
        let key = VerifyingKey::recover_from_prehash(&hash, &signature, id).expect("a signer");
        address(&key.to_sec1_point(false).as_bytes()[1..])
    };
    payloads.iter().zip(&messages.signatures).map(one).collect()
}

fn by_libsecp256k1(messages: &SignedMessages) -> Vec<Address> {
    use secp256k1::{
        Message,
        ecdsa::{RecoverableSignature, RecoveryId},
    };
    let payloads = messages.payloads.as_payloads();
    let one = |(payload, signature): (&[u8], &outrider_kernels::recover::Signature)| {
        let hash: [u8; 32] = Keccak256::digest(payload).into();
        let compact = [signature.r, signature.s].concat();
        let id = RecoveryId::from_u8_masked(signature.recovery_id);
        let signature = RecoverableSignature::from_compact(&compact, id).expect("scalars in range");
        let key = signature.recover_ecdsa(Message::from_digest(hash)).expect("a signer");
        address(&key.serialize_uncompressed()[1..])
    };
    payloads.iter().zip(&messages.signatures).map(one).collect()
}

fn addresses(verdicts: &[Verdict]) -> Vec<Address> {
    verdicts.iter().map(|verdict| verdict.expect("a signer").address).collect()
}

/// What the ids call a backend.
fn way(backend: Backend) -> &'static str {
    match backend {
        Backend::Avx512Ifma => "ifma",
        backend => backend.name(),
    }
}

fn recover(c: &mut Criterion) {
    let (gpu, one) = (open_gpu(), one_thread());
    let mut group = c.benchmark_group("recover");
    group.sample_size(10);
    for &size in sizes(&SIZES, 2) {
        let messages = signed_messages(size, SEED);
        let payloads = Messages::Payloads(messages.payloads.as_payloads());
        let batch = Batch::new(payloads, &messages.signatures).expect("a signature for each message");
        assert!(by_k256(&messages) == messages.addresses, "k256 finds other signers");
        assert!(by_libsecp256k1(&messages) == messages.addresses, "libsecp256k1 finds other signers");
        for backend in Backend::available() {
            let found = addresses(&recover_on(backend, &batch));
            assert!(found == messages.addresses, "{} finds other signers", backend.name());
        }
        if let Some(gpu) = &gpu {
            assert!(addresses(&gpu.recover(&batch)) == messages.addresses, "the device finds other signers");
            assert!(!gpu.is_quarantined(), "the device failed");
        }
        let all = keccak256_one(messages.addresses.as_flattened());
        eprintln!("{size} signatures: digest of all signers {}", alloy_primitives::hex::encode(all));

        group.throughput(Throughput::Elements(size as u64));
        let on_one = |way| BenchmarkId::new(way, format_args!("{size}/1core"));
        let on_all = |way| BenchmarkId::new(way, size);
        group.bench_function(on_one("k256"), |b| b.iter(|| by_k256(black_box(&messages))));
        group.bench_function(on_one("libsecp256k1"), |b| b.iter(|| by_libsecp256k1(black_box(&messages))));
        for backend in Backend::available() {
            let recover = || recover_on(backend, black_box(&batch));
            group.bench_function(on_one(way(backend)), |b| one.install(|| b.iter(recover)));
            group.bench_function(on_all(way(backend)), |b| b.iter(recover));
        }
        if let Some(gpu) = &gpu {
            group.bench_function(on_all("gpu"), |b| b.iter(|| gpu.recover(black_box(&batch))));
        }
    }
    group.finish();
}

criterion_group!(benches, recover);
criterion_main!(benches);
