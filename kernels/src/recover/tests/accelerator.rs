//! Recovery through the accelerator: counts, and faults of the device.

use std::time::Duration;

use super::*;
use crate::accelerator::{Accelerator, KernelCounts, Options};
use crate::gpu::{DeviceChoice, DeviceOptions, Fault, FaultPlan};
use crate::keccak::{PAYLOAD_LEN_MAX, PayloadsBuf, keccak256_one};

/// An accelerator on the best adapter; `None` says that there is none.
fn accelerator(fault: Option<FaultPlan>) -> Option<Accelerator> {
    crate::gpu::tests::device(DeviceOptions::default())?;
    let device = DeviceOptions { deadline: Duration::from_secs(5), fault, ..DeviceOptions::default() };
    let options = Options { device, sample_seed: Some(1), ..Options::default() };
    Some(Accelerator::open(&DeviceChoice::Gpu, &options).unwrap())
}

fn counts(accelerator: &Accelerator) -> KernelCounts {
    counts_of("recover", accelerator)
}

fn counts_of(kernel: &str, accelerator: &Accelerator) -> KernelCounts {
    let counts = accelerator.counts();
    counts.into_iter().find(|(name, _)| *name == kernel).unwrap().1
}

/// Signed payloads, the last too long for a device.
fn signed_payloads(seed: u64, len: usize) -> (PayloadsBuf, Vec<Word>, Vec<Signature>) {
    let mut numbers = Numbers::new(seed);
    let mut payloads = PayloadsBuf::default();
    for item in 0..len {
        let len = if item + 1 == len { PAYLOAD_LEN_MAX + 1 } else { 40 + item };
        payloads.push(&vec![item.to_le_bytes()[0]; len]).unwrap();
    }
    let hashes: Vec<Word> = payloads.as_payloads().iter().map(keccak256_one).collect();
    let sign = |hash| sign(&numbers.scalar(), &numbers.scalar(), hash).unwrap();
    let signatures = hashes.iter().map(sign).collect();
    (payloads, hashes, signatures)
}

#[test]
fn the_device_does_its_items_and_the_cpu_what_it_gives_up() {
    let (mut hashes, mut signatures) = random_batch(71, 200);
    // One more whose key is infinity.
    let (hash, nonce) = (hashes[0], Scalar::from(3_u64));
    let mut signature = sign(&Scalar::from(5_u64), &nonce, &hash).unwrap();
    signature.s = (nonce.invert().unwrap() * reduced(&hash)).to_repr().into();
    hashes.push(hash);
    signatures.push(signature);
    assert_eq!(oracle(&hash, &signature), Err(Rejection::Infinity));
    let batch = Batch::new(Messages::Hashes(&hashes), &signatures).unwrap();

    let cpu = Accelerator::cpu();
    assert_oracle("seed 71 on the CPU", &hashes, &signatures, &cpu.recover(&batch));
    assert_eq!(counts(&cpu), KernelCounts { gpu: 0, cpu: 201, redone: 0 });

    let Some(accelerator) = accelerator(None) else { return };
    assert_oracle("seed 71", &hashes, &signatures, &accelerator.recover(&batch));
    assert_eq!(counts(&accelerator), KernelCounts { gpu: 200, cpu: 1, redone: 1 });
    for accelerator in [&cpu, &accelerator] {
        assert_eq!(counts_of("keccak", accelerator), KernelCounts::default(), "nothing was hashed");
    }
    assert!(accelerator.recover(&batch.slice(0..0)).is_empty());
}

#[test]
fn a_device_that_answers_wrongly_is_found_out_and_the_batch_redone() {
    let (hashes, signatures) = random_batch(72, 100);
    let batch = Batch::new(Messages::Hashes(&hashes), &signatures).unwrap();
    let Some(accelerator) = accelerator(Some(Fault::WrongAnswer.into())) else { return };
    assert_oracle("seed 72", &hashes, &signatures, &accelerator.recover(&batch));
    assert!(accelerator.is_quarantined());
    assert_eq!(counts(&accelerator), KernelCounts { gpu: 0, cpu: 100, redone: 100 });
}

#[test]
fn the_hashing_of_payloads_is_counted_where_it_was_done() {
    let (payloads, hashes, signatures) = signed_payloads(73, 60);
    let batch = Batch::new(Messages::Payloads(payloads.as_payloads()), &signatures).unwrap();
    let cpu = Accelerator::cpu();
    assert_oracle("seed 73 on the CPU", &hashes, &signatures, &cpu.recover(&batch));
    assert_eq!(counts_of("keccak", &cpu), KernelCounts { gpu: 0, cpu: 60, redone: 0 });

    // The first batch goes well but for the long payload, the second not at all; the third never gets to the device.
    let plan = FaultPlan { fault: Fault::OutOfMemory, after_jobs: 1 };
    let Some(accelerator) = accelerator(Some(plan)) else { return };
    for (round, keccak, recover) in [
        (1, KernelCounts { gpu: 59, cpu: 1, redone: 0 }, KernelCounts { gpu: 60, cpu: 0, redone: 0 }),
        (2, KernelCounts { gpu: 59, cpu: 61, redone: 60 }, KernelCounts { gpu: 60, cpu: 60, redone: 60 }),
        (3, KernelCounts { gpu: 59, cpu: 121, redone: 60 }, KernelCounts { gpu: 60, cpu: 120, redone: 60 }),
    ] {
        assert_oracle("seed 73", &hashes, &signatures, &accelerator.recover(&batch));
        assert_eq!(counts_of("keccak", &accelerator), keccak, "batch {round}");
        assert_eq!(counts(&accelerator), recover, "batch {round}");
    }
}
