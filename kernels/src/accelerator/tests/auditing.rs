//! Wrong answers of every kind, and what finds them.

use std::num::NonZeroU32;
use std::ops::Range;

use serde_json::Value;

use super::super::audit::Auditor;
use super::super::private_file::tests::Folder;
use super::super::work::{DeviceAnswer, Work};
use super::*;
use crate::gpu::DeviceError;
use crate::keccak::keccak256_one;
use crate::recover::{Batch, Hints, Messages, Signature};

fn options(audit: Audit) -> Options {
    let device = DeviceOptions { deadline: Duration::from_secs(20), ..DeviceOptions::default() };
    let patience = Patience { floor: Duration::from_secs(20), ..Patience::default() };
    Options { device, sample_seed: Some(1), audit, patience, ..Options::default() }
}

fn combination() -> Options {
    options(Audit::Combination)
}

/// An accelerator whose device gets everything.
fn whole(fault: &str, mut options: Options) -> Option<Accelerator> {
    crate::gpu::tests::device(DeviceOptions::default())?;
    options.device.fault = Some(fault.parse().unwrap());
    Some(Accelerator::open(&DeviceChoice::Gpu, &options).unwrap())
}

/// Payloads, all with a signer.
fn signed(len: usize) -> (PayloadsBuf, Vec<Signature>) {
    let mut payloads = PayloadsBuf::default();
    let mut signatures = Vec::new();
    let number = |count: usize| keccak256_one(&count.to_le_bytes());
    for count in 0.. {
        if signatures.len() == len {
            break;
        }
        let signature = Signature { r: number(2 * count), s: number(2 * count + 1), recovery_id: 0 };
        if recover::recover_one(&number(0), &signature).is_ok() {
            payloads.push(&number(count).repeat(1 + count % 9)).unwrap();
            signatures.push(signature);
        }
    }
    (payloads, signatures)
}

#[test]
fn canary_without_an_audit_wrong_items_get_out() {
    let (payloads, signatures) = signed(300);
    let batch = Batch::new(Messages::Payloads(payloads.as_payloads()), &signatures).unwrap();
    let expected = recover::recover(&batch);
    for (fault, wrong) in [("wrong-item=7", 7), ("wrong-last", 299), ("wrong-every=32", 32), ("upload", 0)] {
        let Some(accelerator) = whole(fault, options(Audit::Off)) else { return };
        let verdicts = accelerator.recover(&batch);
        assert!(verdicts[wrong] != expected[wrong] && verdicts[wrong].is_ok(), "{fault}");
        assert!(!accelerator.is_quarantined());
        assert_eq!(accelerator.audits(), AuditCounts::default());
    }
}

#[test]
fn the_combination_finds_every_wrong_item() {
    let (payloads, signatures) = signed(300);
    let batch = Batch::new(Messages::Payloads(payloads.as_payloads()), &signatures).unwrap();
    let expected = recover::recover(&batch);
    for (fault, wrong) in
        [("wrong-item=7", 7), ("wrong-item=0", 0), ("wrong-last", 299), ("wrong-every=32", 0), ("upload", 0)]
    {
        let Some(accelerator) = whole(fault, combination()) else { return };
        assert!(accelerator.recover(&batch) == expected, "{fault}");
        let reason = accelerator.quarantine_reason().unwrap();
        assert!(reason.contains(&format!("wrong answer for item {wrong}")), "{fault}: {reason}");
        assert_eq!(accelerator.audits(), AuditCounts { batches: 1, items: 300, mismatches: 1 });
        assert_eq!(accelerator.counts()[1].1, KernelCounts { gpu: 0, cpu: 300, redone: 300 });
    }
}

#[test]
fn one_wrong_item_in_65_536_is_found() {
    let trial = RecoverKernel::trial(65_536);
    let expected = recover::recover(&trial.batch());
    let Some(accelerator) = whole("wrong-item=40000@1", combination()) else { return };
    assert!(accelerator.recover(&trial.batch()) == expected);
    assert!(!accelerator.is_quarantined(), "a right batch: {:?}", accelerator.quarantine_reason());
    assert_eq!(accelerator.counts()[1].1.gpu, 65_536);
    assert!(accelerator.recover(&trial.batch()) == expected);
    let reason = accelerator.quarantine_reason().unwrap();
    assert!(reason.contains("wrong answer for item 40000"), "{reason}");
    assert_eq!(accelerator.audits(), AuditCounts { batches: 2, items: 131_072, mismatches: 1 });
}

#[test]
fn a_wrong_item_in_the_devices_part_costs_that_part() {
    let (payloads, signatures) = signed(1000);
    let batch = Batch::new(Messages::Payloads(payloads.as_payloads()), &signatures).unwrap();
    for fault in ["wrong-item=5", "wrong"] {
        let Some(accelerator) = halving(Some(fault), true, combination()) else { return };
        assert!(accelerator.recover(&batch) == recover::recover(&batch), "{fault}");
        assert!(accelerator.is_quarantined(), "{fault}");
        let counts = accelerator.counts()[1].1;
        assert_eq!((counts.gpu, counts.cpu), (0, 1000), "{fault}");
        assert!(counts.redone.abs_diff(500) <= 64, "{fault}: {counts:?}");
        assert_eq!(accelerator.audits().mismatches, 1, "{fault}");
    }
}

#[test]
fn a_sample_of_everything_finds_everything_where_there_is_no_combination() {
    let everything = Audit::Sample { one_in: NonZeroU32::MIN, at_most: usize::MAX };
    // Drawn with repetition, 1000 of 1000 miss 500 wrong ones with a probability of 2^-1000.
    let Some(accelerator) = whole("wrong-every=2", options(everything)) else { return };
    assert_right(&accelerator, &payloads(999));
    assert!(accelerator.is_quarantined());
    assert_eq!(accelerator.audits(), AuditCounts { batches: 1, items: 1000, mismatches: 1 });
}

#[test]
fn a_wrong_answer_is_kept_to_be_reported() {
    let folder = Folder::new("accelerator-reports");
    let reports = Some(Reports { bytes_max: 4000, ..Reports::in_folder(&folder.0) });
    let (payloads, signatures) = signed(200);
    let batch = Batch::new(Messages::Payloads(payloads.as_payloads()), &signatures).unwrap();
    let Some(accelerator) = whole("wrong-item=150", Options { reports, ..combination() }) else { return };
    assert!(accelerator.recover(&batch) == recover::recover(&batch));
    let [file] = folder.files().try_into().unwrap();
    let bytes = std::fs::read(folder.0.join(file)).unwrap();
    assert!(bytes.len() <= 4000);
    let report: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(report["kernel"], "recover");
    assert_eq!((&report["item"], &report["batch_len"]), (&150.into(), &200.into()));
    assert_eq!(report["identity"]["adapter"]["name"], accelerator.device_name());
    assert!(report["error"].as_str().unwrap().contains("wrong answer for item 150"));
    let rows = report["items"].as_array().unwrap();
    assert!(rows.len() >= 3 && rows.len() < 200, "{}", rows.len());
    for row in rows {
        let index = usize::try_from(row["index"].as_u64().unwrap()).unwrap();
        assert_eq!(row["device"] == row["cpu"], index != 150, "{row}");
        let payload = crate::accelerator::reports::hex(payloads.as_payloads().get(index));
        assert_eq!(row["input"]["payload"], payload);
    }
}

/// A batch of which a device got some items wrong: each item's answer is 0, or 1 where it is wrong.
struct Faulty {
    len: usize,
}

impl Work for Faulty {
    type Kernel = KeccakKernel;

    type Item = u8;

    fn len(&self) -> usize {
        self.len
    }

    fn load(&self, range: Range<usize>) -> Load {
        Load { on_device: range.len(), on_cpu: 0 }
    }

    fn on_device(
        &self,
        _: &KeccakKernel,
        _: &Device,
        len: usize,
        _: Hints,
        answer: &mut DeviceAnswer<u8>,
    ) -> Result<(), DeviceError> {
        answer.items = vec![0; len];
        Ok(())
    }

    fn on_cpu(&self, range: Range<usize>) -> Vec<u8> {
        vec![0; range.len()]
    }

    fn one(&self, _: usize) -> u8 {
        0
    }

    fn input(&self, item: usize) -> Value {
        item.into()
    }

    fn shown(answer: &u8) -> Value {
        (*answer).into()
    }
}

/// How many of 2,000 audits, each with its own seed, find something.
fn found(wrong: &[usize], len: usize) -> usize {
    let mut answer = DeviceAnswer::nothing();
    answer.items = vec![0; len];
    wrong.iter().for_each(|&item| answer.items[item] = 1);
    let finds = |&seed: &u64| {
        // Seeds in a row would draw from one sequence, shifted.
        let seed = u64::from_le_bytes(keccak256_one(&seed.to_le_bytes())[..8].try_into().unwrap());
        let auditor = Auditor::new(Audit::SAMPLE, Some(seed));
        auditor.check(&Faulty { len }, &answer).is_err_and(|item| wrong.contains(&item))
    };
    (0..2000).filter(finds).count()
}

#[test]
fn a_sample_finds_wrong_items_with_its_probability() {
    // 16 of 65,536 with every 32nd wrong: 1 - (31/32)^16 = 0.398. Three standard deviations of 2,000 are 66.
    let periodic: Vec<usize> = (0..65_536).step_by(32).collect();
    let times = found(&periodic, 65_536);
    assert!(times.abs_diff(797) <= 66, "{times} of 2000, expected 797");
    // A lane that is wrong is found wherever it lies.
    let last_lane: Vec<usize> = (31..65_536).step_by(32).collect();
    let times = found(&last_lane, 65_536);
    assert!(times.abs_diff(797) <= 66, "{times} of 2000, expected 797");
    // One wrong of 65,536: 16 / 65,536 of the time. That is what the combination is for.
    assert!(found(&[65_535], 65_536) <= 8);
    // One of 100 is drawn.
    let times = found(&[99], 100);
    assert!(times.abs_diff(20) <= 14, "{times} of 2000, expected 20");
    assert_eq!(found(&[0], 1), 2000);
    assert_eq!(found(&[], 1000), 0);
}
