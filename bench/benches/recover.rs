//! Recovery of who signed a payload, from the payload's bytes to the address.
//!
//! `recover/WAY/SIZE` takes SIZE signed payloads: `k256` and `libsecp256k1` are those libraries on
//! one thread (hashing with sha3), `cpu-1` our CPU form on one thread and `cpu` on all, `gpu` the
//! device, upload and readback included. Before measuring, all ways have given the signers.
//!
//! `cargo bench -p outrider-bench --bench recover`

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use outrider_bench::{
    messages::{SignedMessages, signed_messages},
    one_thread, open_gpu, sizes,
};
use outrider_kernels::{
    keccak::keccak256_one,
    recover::{Batch, Messages, Verdict, recover as recover_batch},
};
use sha3::{Digest, Keccak256};
use std::hint::black_box;

const SIZES: [usize; 4] = [64, 1_024, 8_192, 32_768];
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

fn recover(c: &mut Criterion) {
    let (gpu, one) = (open_gpu(), one_thread());
    let mut group = c.benchmark_group("recover");
    group.sample_size(10);
    for &size in sizes(&SIZES) {
        let messages = signed_messages(size, SEED);
        let payloads = Messages::Payloads(messages.payloads.as_payloads());
        let batch = Batch::new(payloads, &messages.signatures).expect("a signature for each message");
        assert!(by_k256(&messages) == messages.addresses, "k256 finds other signers");
        assert!(by_libsecp256k1(&messages) == messages.addresses, "libsecp256k1 finds other signers");
        assert!(addresses(&recover_batch(&batch)) == messages.addresses, "our CPU form finds other signers");
        if let Some(gpu) = &gpu {
            assert!(addresses(&gpu.recover(&batch)) == messages.addresses, "the device finds other signers");
            assert!(!gpu.is_quarantined(), "the device failed");
        }
        let all = keccak256_one(messages.addresses.as_flattened());
        eprintln!("{size} signatures: digest of all signers {}", alloy_primitives::hex::encode(all));

        group.throughput(Throughput::Elements(size as u64));
        let id = |way| BenchmarkId::new(way, size);
        group.bench_function(id("k256"), |b| b.iter(|| by_k256(black_box(&messages))));
        group.bench_function(id("libsecp256k1"), |b| b.iter(|| by_libsecp256k1(black_box(&messages))));
        group.bench_function(id("cpu-1"), |b| b.iter(|| one.install(|| recover_batch(black_box(&batch)))));
        group.bench_function(id("cpu"), |b| b.iter(|| recover_batch(black_box(&batch))));
        if let Some(gpu) = &gpu {
            group.bench_function(id("gpu"), |b| b.iter(|| gpu.recover(black_box(&batch))));
        }
    }
    group.finish();
}

criterion_group!(benches, recover);
criterion_main!(benches);
