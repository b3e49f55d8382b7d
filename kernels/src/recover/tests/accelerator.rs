//! Recovery through the accelerator: counts, and faults of the device.

use std::time::Duration;

use super::*;
use crate::accelerator::{Accelerator, KernelCounts, Options};
use crate::gpu::{DeviceChoice, DeviceOptions, Fault, FaultPlan};

/// An accelerator on the best adapter; `None` says that there is none.
fn accelerator(fault: Option<FaultPlan>) -> Option<Accelerator> {
    crate::gpu::tests::device(DeviceOptions::default())?;
    let device = DeviceOptions { deadline: Duration::from_secs(5), fault, ..DeviceOptions::default() };
    let options = Options { device, sample_seed: Some(1) };
    Some(Accelerator::open(&DeviceChoice::Gpu, &options).unwrap())
}

fn counts(accelerator: &Accelerator) -> KernelCounts {
    let counts = accelerator.counts();
    counts.into_iter().find(|(name, _)| *name == "recover").unwrap().1
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
