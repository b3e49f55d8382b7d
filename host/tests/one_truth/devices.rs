//! What an adapter does, and what becomes of a run when it fails.

use crate::runner::{device, fixtures, run};
use outrider_kernels::{
    accelerator::{Accelerator, KernelCounts},
    gpu::{DeviceOptions, Fault, FaultPlan},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Kernels that the run of a chain uses.
const IN_USE: [&str; 2] = ["recover", "transfer"];

fn counts(accelerator: &Accelerator) -> BTreeMap<&'static str, KernelCounts> {
    accelerator.counts().into_iter().collect()
}

#[test]
fn a_chosen_adapter_really_does_all_items() {
    let Some(accelerator) = device(DeviceOptions::default()) else { return };
    let reports = run(&fixtures("chains/hot"), &accelerator, 2);
    let transactions: usize = reports.iter().map(|report| report.transactions).sum();
    assert_eq!(transactions, 1600);
    for kernel in IN_USE {
        let KernelCounts { gpu, cpu, redone } = counts(&accelerator)[kernel];
        assert_eq!((gpu, cpu, redone), (1600, 0, 0), "{kernel}");
        // The blocks' reports say the same.
        let reported: u64 = reports.iter().map(|report| report.kernels[kernel].gpu).sum();
        assert_eq!(reported, 1600, "{kernel}");
    }
    for report in reports {
        assert_eq!(report.device, accelerator.adapter().unwrap().name);
        assert!(report.matched, "{report:#?}");
    }
}

#[test]
fn a_device_that_fails_in_service_changes_nothing_and_blocks_nothing() {
    for fault in [Fault::Lost, Fault::Hang, Fault::OutOfMemory, Fault::WrongAnswer] {
        // At the first job, and between others.
        for after_jobs in [0, 5] {
            let what = format!("{fault:?} after {after_jobs}");
            let deadline = Duration::from_secs(2);
            let fault = Some(FaultPlan { fault, after_jobs });
            let Some(accelerator) = device(DeviceOptions { deadline, fault, ..DeviceOptions::default() })
            else {
                return;
            };
            let start = Instant::now();
            let reports = run(&fixtures("chains/hot"), &accelerator, 2);
            assert!(reports.iter().all(|report| report.matched), "{what}: {reports:#?}");
            assert!(accelerator.is_quarantined(), "{what}");
            let counts = counts(&accelerator);
            let redone: u64 = IN_USE.iter().map(|kernel| counts[kernel].redone).sum();
            assert!(redone > 0, "{what}: {counts:?}");
            for kernel in IN_USE {
                let KernelCounts { gpu, cpu, redone } = counts[kernel];
                assert_eq!(gpu + cpu, 1600, "{what}: {kernel}: every item is done once");
                assert!(redone <= cpu, "{what}: {kernel}: {counts:?}");
            }
            drop(accelerator);
            assert!(start.elapsed() < Duration::from_secs(20), "{what}: {:?}", start.elapsed());
        }
    }
}

#[test]
fn a_kernel_that_fails_its_self_test_leaves_the_work_to_the_cpu() {
    let fault = Some(Fault::WrongSelfTest.into());
    let Some(accelerator) = device(DeviceOptions { fault, ..DeviceOptions::default() }) else { return };
    let reports = run(&fixtures("chains/hot"), &accelerator, 2);
    assert!(reports.iter().all(|report| report.matched), "{reports:#?}");
    for (kernel, counts) in counts(&accelerator) {
        assert_eq!((counts.gpu, counts.redone), (0, 0), "{kernel}");
    }
}
