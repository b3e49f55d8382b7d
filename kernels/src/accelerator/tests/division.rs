//! Batches that device and CPU share, and a device that is late.

use super::*;
use crate::keccak::{PAYLOAD_LEN_MAX, keccak256_one};
use crate::recover::{Batch, Messages, Signature};

/// Long enough for lavapipe on a busy machine.
const PATIENT: Patience = Patience { factor: 0.0, floor: Duration::from_secs(20), late_max: 2 };

/// Long enough for a few hashes on a busy machine, short enough to wait for.
const HASTY: Patience = Patience { factor: 0.0, floor: Duration::from_millis(500), late_max: 2 };

fn hasty() -> Options {
    Options { patience: HASTY, sample_seed: Some(1), ..Options::default() }
}

fn keccak_counts(accelerator: &Accelerator) -> KernelCounts {
    accelerator.counts()[0].1
}

/// Payloads, some too long for a device, with numbers for signatures: half of them have a signer.
fn signed(len: usize) -> (PayloadsBuf, Vec<Signature>) {
    let mut payloads = PayloadsBuf::default();
    let number = |count: usize| keccak256_one(&count.to_le_bytes());
    let signatures = (0..len).map(|item| {
        let payload_len = if item % 100 == 99 { PAYLOAD_LEN_MAX + item } else { 30 + item % 200 };
        payloads.push(&vec![item.to_le_bytes()[0]; payload_len]).unwrap();
        Signature { r: number(2 * item), s: number(2 * item + 1), recovery_id: u8::from(item % 3 == 0) }
    });
    let signatures = signatures.collect();
    (payloads, signatures)
}

#[test]
fn divided_batches_are_joined_in_order_and_counted_where_they_were_done() {
    let options = Options { patience: PATIENT, sample_seed: Some(1), ..Options::default() };
    let Some(accelerator) = halving(None, true, options) else { return };
    let (payloads, signatures) = signed(3000);
    let payloads = payloads.as_payloads();
    let (mut on_device, mut done, mut hashed) = (0, 0, 0);
    for len in [1, 63, 64, 65, 127, 128, 129, 500, 1000, 3000] {
        let payloads = payloads.slice(0..len);
        let batch = Batch::new(Messages::Payloads(payloads), &signatures[..len]).unwrap();
        assert!(accelerator.recover(&batch) == recover::recover(&batch), "recovery of {len}");
        let counts = accelerator.counts();
        let recovered = counts[1].1;
        done += len as u64;
        assert_eq!((recovered.gpu + recovered.cpu, recovered.redone), (done, 0), "{len}");
        // Half in whole workgroups: which of two equally good cuts is taken is not said.
        let given = recovered.gpu - on_device;
        assert!(
            given.abs_diff(len as u64 / 2) <= 64 && (given.is_multiple_of(64) || given == len as u64),
            "{given} of {len}"
        );
        on_device = recovered.gpu;

        let long = (0..given).filter(|item| item % 100 == 99).count() as u64;
        let hashes = counts[0].1;
        hashed += given - long;
        assert_eq!((hashes.gpu, hashes.gpu + hashes.cpu), (hashed, done), "{len}");
    }
    let before = keccak_counts(&accelerator);
    assert!(accelerator.keccak256(&payloads) == keccak::keccak256(&payloads));
    let after = keccak_counts(&accelerator);
    assert_eq!(after.gpu + after.cpu - before.gpu - before.cpu, 3000);
    assert!(after.gpu > before.gpu + 1000 && after.cpu > before.cpu + 1000, "{before:?} {after:?}");
    assert!(!accelerator.is_quarantined() && accelerator.late_batches() == 0);
    // Up to 64 nothing is gained by a cut.
    let audits = accelerator.audits();
    assert!(audits.batches == 8 && audits.mismatches == 0, "{audits:?}");
}

#[test]
fn what_is_late_is_done_by_the_cpu_and_the_device_serves_again() {
    let Some(accelerator) = halving(Some("slow=2500x1"), false, hasty()) else { return };
    let start = Instant::now();
    assert_right(&accelerator, &payloads(1000));
    assert!(start.elapsed() >= HASTY.floor && start.elapsed() < Duration::from_millis(2400));
    let late = keccak_counts(&accelerator);
    assert_eq!((late.gpu, late.cpu, accelerator.late_batches()), (0, 1001, 1));
    assert!(late.redone.abs_diff(500) <= 64, "{late:?}");
    assert!(!accelerator.is_quarantined());
    // It is still behind, and gets nothing.
    assert_right(&accelerator, &payloads(1000));
    assert_eq!(keccak_counts(&accelerator), KernelCounts { cpu: 2002, ..late });
    wait_for_device(&accelerator);
    assert_right(&accelerator, &payloads(1000));
    let again = keccak_counts(&accelerator);
    assert!(again.gpu.abs_diff(500) <= 64 && again.redone == late.redone, "{again:?}");
    assert_eq!(accelerator.late_batches(), 1);
}

#[test]
fn slower_than_expected_is_not_late_within_the_floor() {
    let Some(accelerator) = halving(Some("slow=150"), false, hasty()) else { return };
    assert_right(&accelerator, &payloads(1000));
    assert!(keccak_counts(&accelerator).gpu > 0 && accelerator.late_batches() == 0);
}

#[test]
fn parts_that_are_back_before_the_rest_is_late_are_kept() {
    // Dispatches of 100: of the device's some five, the first two are on time.
    let device = DeviceOptions { batch_len_max: 100, ..DeviceOptions::default() };
    let options = Options { device, ..hasty() };
    let Some(accelerator) = halving(Some("slow=2000@2"), false, options) else { return };
    assert_right(&accelerator, &payloads(1000));
    let counts = keccak_counts(&accelerator);
    assert_eq!((counts.gpu, counts.gpu + counts.cpu), (200, 1001), "{counts:?}");
    assert!(counts.redone.abs_diff(300) <= 64, "{counts:?}");
    assert!(!accelerator.is_quarantined());
}

#[test]
fn a_device_lost_in_the_middle_keeps_what_it_has_done() {
    let device = DeviceOptions { batch_len_max: 100, ..DeviceOptions::default() };
    let options = Options { device, patience: PATIENT, ..hasty() };
    let Some(accelerator) = halving(Some("lost@2"), false, options) else { return };
    assert_right(&accelerator, &payloads(1000));
    let counts = keccak_counts(&accelerator);
    // Two are on their way at a time: the first is back when the third, with which the device goes, is submitted.
    assert_eq!((counts.gpu, counts.gpu + counts.cpu), (100, 1001), "{counts:?}");
    assert!(counts.redone.abs_diff(400) <= 64, "{counts:?}");
    let reason = accelerator.quarantine_reason().unwrap();
    assert!(reason.contains("device lost"), "{reason}");
    assert_right(&accelerator, &payloads(1000));
    assert_eq!(keccak_counts(&accelerator).gpu, 100);
}

#[test]
fn late_again_and_again_ends_in_quarantine() {
    let Some(accelerator) = halving(Some("slow=1000"), false, hasty()) else { return };
    assert_right(&accelerator, &payloads(300));
    assert!(!accelerator.is_quarantined());
    wait_for_device(&accelerator);
    assert_right(&accelerator, &payloads(300));
    let reason = accelerator.quarantine_reason().unwrap();
    assert!(reason.contains("no answer yet") && reason.ends_with("2 times in a row"), "{reason}");
    assert_eq!(accelerator.late_batches(), 2);
    assert_eq!(keccak_counts(&accelerator).gpu, 0);
}

#[test]
fn a_device_that_never_answers_is_given_up_at_its_deadline_without_a_wait() {
    let device = DeviceOptions { deadline: Duration::from_millis(1500), ..DeviceOptions::default() };
    let Some(accelerator) = halving(Some("hang"), false, Options { device, ..hasty() }) else { return };
    let start = Instant::now();
    let mut longest = Duration::ZERO;
    while !accelerator.is_quarantined() {
        let batch = Instant::now();
        assert_right(&accelerator, &payloads(300));
        longest = longest.max(batch.elapsed());
        assert!(start.elapsed() < Duration::from_secs(20), "still in service");
        std::thread::sleep(Duration::from_millis(20));
    }
    let reason = accelerator.quarantine_reason().unwrap();
    assert!(reason.contains("no answer within 1.5s"), "{reason}");
    assert!(longest < Duration::from_millis(1400), "a batch took {longest:?}");
    assert_eq!(accelerator.late_batches(), 1);
}

#[test]
fn threads_share_divided_batches_and_a_failure() {
    let options = Options { patience: PATIENT, ..hasty() };
    let Some(accelerator) = halving(Some("lost@9"), false, options) else { return };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let accelerator = &accelerator;
            scope.spawn(move || {
                (0..6).for_each(|i| assert_right(accelerator, &payloads(300 + 10 * i + thread)))
            });
        }
    });
    let reason = accelerator.quarantine_reason().unwrap();
    assert!(reason.contains("device lost"), "whichever job was in flight: {reason}");
    let counts = keccak_counts(&accelerator);
    let all: usize = (0..4).flat_map(|thread| (0..6).map(move |i| 301 + 10 * i + thread)).sum();
    assert_eq!(counts.gpu + counts.cpu, all as u64);
    assert!(counts.gpu > 0 && counts.redone > 0, "{counts:?}");
}
