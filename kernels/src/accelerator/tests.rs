//! Whatever the device does, the answer is right, and the counts say where it was made.

mod auditing;
mod calibrated;
mod division;

use std::time::{Duration, Instant};

use super::*;
use crate::gpu::{DeviceChoice, Fault, FaultPlan};
use crate::keccak::{self, PayloadsBuf};

fn payloads(len: usize) -> PayloadsBuf {
    let mut out = PayloadsBuf::default();
    for item in 0..len {
        out.push(&item.to_le_bytes()).unwrap();
    }
    out.push(&[7; 5000]).unwrap();
    out
}

/// An accelerator on the best adapter, with a fault to come; `None` says that there is no adapter.
fn accelerator(fault: Option<FaultPlan>) -> Option<Accelerator> {
    let device = DeviceOptions { deadline: Duration::from_secs(2), fault, ..DeviceOptions::default() };
    // Says that the test is skipped, or fails, if there is no adapter.
    crate::gpu::tests::device(DeviceOptions::default())?;
    let options = Options { device, sample_seed: Some(1), ..Options::default() };
    Some(Accelerator::open(&DeviceChoice::Gpu, &options).unwrap())
}

/// What becomes of options when the device's kernels are to halve batches with the CPU; `None` says that there is no
/// adapter. Keccak alone is much sooner ready than all kernels.
fn halving(fault: Option<&str>, are_all_kernels_wanted: bool, options: Options) -> Option<Accelerator> {
    let fault = fault.map(|fault| fault.parse().unwrap());
    let device = crate::gpu::tests::device(DeviceOptions { fault, ..options.device.clone() })?;
    let mut lanes = if are_all_kernels_wanted {
        Lanes::ready(&device)
    } else {
        Lanes { keccak: Lane::ready(&device), ..Lanes::default() }
    };
    lanes.keccak.halve();
    lanes.recover.halve();
    device.begin_service();
    Some(Accelerator::with(Some(device), lanes, &options))
}

/// Waits until the device has done what it was late with.
fn wait_for_device(accelerator: &Accelerator) {
    while accelerator.device.as_ref().unwrap().has_caught_up() == Ok(false) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn assert_right(accelerator: &Accelerator, payloads: &PayloadsBuf) {
    let payloads = payloads.as_payloads();
    assert!(accelerator.keccak256(&payloads) == keccak::keccak256(&payloads), "wrong digests");
}

#[test]
fn the_cpu_alone_serves_and_counts() {
    let accelerator = Accelerator::cpu();
    assert_right(&accelerator, &payloads(10));
    let counts = KernelCounts { gpu: 0, cpu: 11, redone: 0 };
    assert_eq!(accelerator.counts()[0], ("keccak", counts));
    assert_eq!((accelerator.device_name(), accelerator.is_quarantined()), ("cpu", false));
    assert_eq!(accelerator.crossovers()[0], ("keccak", None));
}

#[test]
fn a_chosen_device_really_does_its_items() {
    let Some(accelerator) = accelerator(None) else { return };
    assert_right(&accelerator, &payloads(1000));
    let counts = KernelCounts { gpu: 1000, cpu: 1, redone: 0 };
    assert_eq!(accelerator.counts()[0], ("keccak", counts));
    assert_eq!(accelerator.device_name(), accelerator.adapter().unwrap().name);
    assert_eq!(accelerator.crossovers()[0], ("keccak", Some(1)));
}

#[test]
fn an_empty_batch_is_no_work() {
    let Some(accelerator) = accelerator(None) else { return };
    assert_eq!(accelerator.keccak256(&PayloadsBuf::default().as_payloads()), [[0; 32]; 0]);
    assert_eq!(accelerator.counts()[0].1, KernelCounts::default());
}

#[test]
fn every_fault_in_service_ends_in_right_results_from_the_cpu() {
    for fault in [Fault::Lost, Fault::Hang, Fault::OutOfMemory, Fault::WrongAnswer] {
        let plan = FaultPlan { fault, after_jobs: 1 };
        let Some(accelerator) = accelerator(Some(plan)) else { return };
        assert_right(&accelerator, &payloads(100));
        assert!(!accelerator.is_quarantined(), "{fault:?} came early");
        let start = Instant::now();
        assert_right(&accelerator, &payloads(100));
        assert!(accelerator.is_quarantined(), "{fault:?}");
        assert_right(&accelerator, &payloads(100));
        let counts = KernelCounts { gpu: 100, cpu: 1 + 101 + 101, redone: 101 };
        assert_eq!(accelerator.counts()[0], ("keccak", counts), "{fault:?}");
        drop(accelerator);
        assert!(start.elapsed() < Duration::from_secs(20), "{fault:?} blocked for {:?}", start.elapsed());
    }
}

#[test]
fn a_kernel_that_fails_its_self_test_never_serves() {
    let Some(accelerator) = accelerator(Some(Fault::WrongSelfTest.into())) else { return };
    assert_right(&accelerator, &payloads(100));
    assert_eq!(accelerator.counts()[0].1, KernelCounts { gpu: 0, cpu: 101, redone: 0 });
}

#[test]
fn many_threads_share_a_device_and_its_failure() {
    let Some(accelerator) = accelerator(Some("hang@8".parse().unwrap())) else { return };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let accelerator = &accelerator;
            scope.spawn(move || {
                (0..6).for_each(|i| assert_right(accelerator, &payloads(50 + 10 * i + thread)))
            });
        }
    });
    assert!(accelerator.is_quarantined());
    let counts = accelerator.counts()[0].1;
    assert!(counts.gpu > 0 && counts.redone > 0, "{counts:?}");
}

#[test]
fn a_missing_adapter_is_told_apart_and_auto_does_without() {
    let none = DeviceChoice::Name("no such adapter".to_owned());
    assert_eq!(Accelerator::open(&none, &Options::default()).unwrap_err().choice, none);
    let accelerator = Accelerator::open(&DeviceChoice::Auto, &Options::default()).unwrap();
    assert!(accelerator.adapter().is_none_or(|info| !info.is_software()), "{accelerator:?}");
    assert_right(&accelerator, &payloads(300));
}
