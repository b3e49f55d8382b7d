//! The program on an adapter, working and failing.

use crate::program::{Outcome, adapter, arg, command, finish, fixture, outrider};
use outrider_kernels::gpu;

fn run_on_gpu(fault: Option<&str>) -> Outcome {
    let chain = fixture("chains/hot");
    let mut command = command(&["run", "--device", "gpu", "--json", arg(&chain)]);
    if let Some(fault) = fault {
        command.env("OUTRIDER_FAULT", fault);
    }
    finish(&mut command)
}

/// Items of a kernel over all blocks: on the adapter, on the CPU, and of those how many again.
fn items(outcome: &Outcome, kernel: &str) -> [u64; 3] {
    let lines = outcome.json();
    let (_, blocks) = lines.split_last().unwrap();
    ["gpu", "cpu", "redone"]
        .map(|place| blocks.iter().map(|block| block["kernels"][kernel][place].as_u64().unwrap()).sum())
}

#[test]
fn device_gpu_does_its_items_on_the_adapter_and_says_so() {
    let Some(_alone) = adapter() else { return };
    let outcome = run_on_gpu(None).expect(0);
    assert!(outcome.complaints().is_empty(), "{outcome:#?}");
    for kernel in ["recover", "transfer"] {
        assert_eq!(items(&outcome, kernel), [1600, 0, 0], "{kernel}");
    }
    assert!(outcome.json().iter().rev().skip(1).all(|block| block["device"] != "cpu"));
}

#[test]
fn a_failing_device_is_said_once_and_the_run_goes_on() {
    let Some(_alone) = adapter() else { return };
    for fault in ["lost", "oom@1", "wrong", "hang@2"] {
        let outcome = run_on_gpu(Some(fault)).expect(0);
        let said = outcome.complaints();
        assert_eq!(said.len(), 1, "{fault}: {outcome:#?}");
        assert!(said[0].contains("out of service"), "{fault}: {said:?}");
        let [recover, transfer] = ["recover", "transfer"].map(|kernel| items(&outcome, kernel));
        assert!(recover[2] + transfer[2] > 0, "{fault}: {recover:?} {transfer:?}");
        assert_eq!((recover[0] + recover[1], transfer[0] + transfer[1]), (1600, 1600), "{fault}");
        assert_eq!(outcome.json().pop().unwrap()["total"]["matched"], 4, "{fault}");
    }
}

/// What a run says of its device last.
fn device_report(outcome: &Outcome) -> serde_json::Value {
    outcome.json().pop().unwrap()["device"].clone()
}

#[test]
fn audits_are_reported_and_one_wrong_key_is_found_and_kept() {
    let Some(_alone) = adapter() else { return };
    let chain = fixture("chains/hot");
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong");
    let run = |more: &[&str], fault: Option<&str>| {
        let mut command = command(&[&["run", "--device", "gpu", "--audit", "batch"], more].concat());
        command.arg("--keep-mismatches").arg(&wrong).arg(&chain);
        if let Some(fault) = fault {
            command.env("OUTRIDER_FAULT", fault);
        }
        finish(&mut command)
    };
    let outcome = run(&["--json"], None).expect(0);
    let report = device_report(&outcome);
    assert_eq!((&report["mismatches"], &report["late_batches"]), (&0.into(), &0.into()), "{report}");
    // Every sender, and one account of each batch of transfers.
    assert!(
        report["audited_items"].as_u64().unwrap() > 1600 && report["out_of_service"].is_null(),
        "{report}"
    );
    assert!(!wrong.exists());

    // A bit of a later block's first payload is flipped on its way: one wrong key.
    let outcome = run(&["--json"], Some("upload@2")).expect(0);
    let report = device_report(&outcome);
    assert_eq!(report["mismatches"], 1, "{report}");
    assert!(report["out_of_service"].as_str().unwrap().contains("wrong answer for item 0"), "{report}");
    assert_eq!(outcome.json().pop().unwrap()["total"]["matched"], 4);
    let kept: Vec<_> = std::fs::read_dir(&wrong).unwrap().collect();
    assert_eq!(kept.len(), 1);
    assert!(outcome.complaints().iter().any(|line| line.contains("is kept in")), "{outcome:#?}");

    let text = run(&[], None).expect(0).stdout;
    assert!(text.lines().last().unwrap().ends_with("0 batches wrong, 0 late"), "{text}");
}

#[test]
fn recover_says_what_was_checked_where_there_is_a_device() {
    let Some(_alone) = adapter() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("transactions.txt");
    let tx = "0xf86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a0\
              28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800cc\
              f555c9f3dc64214b297fb1966a3b6d83";
    std::fs::write(&file, tx).unwrap();
    let recover = |more: &[&str]| {
        outrider(&[&["recover", "--device", "gpu", "--audit", "sample=1/1", arg(&file)], more].concat())
            .expect(0)
    };
    let text = recover(&[]);
    assert!(text.stdout.trim().ends_with("0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"), "{text:#?}");
    let [said] = text.complaints()[..] else { panic!("{text:#?}") };
    assert!(said.contains("1 items of 1 batches checked"), "{said}");
    let json = recover(&["--json"]);
    assert!(json.complaints().is_empty(), "{json:#?}");
    assert_eq!((json.json().len(), &device_report(&json)["audited_items"]), (2, &1.into()));
}

#[test]
fn a_failed_self_test_keeps_the_device_out() {
    let Some(_alone) = adapter() else { return };
    let outcome = run_on_gpu(Some("selftest")).expect(0);
    assert!(!outcome.complaints().is_empty());
    for kernel in ["recover", "transfer"] {
        assert_eq!(items(&outcome, kernel), [0, 1600, 0], "{kernel}");
    }
    let outcome = finish(command(&["selftest"]).env("OUTRIDER_FAULT", "selftest")).expect(1);
    assert!(outcome.stdout.contains("FAILED"), "{outcome:#?}");
}

#[test]
fn a_fault_that_no_one_knows_is_bad_input() {
    let chain = fixture("chains/hot");
    let outcome =
        finish(command(&["run", "--device", "cpu", arg(&chain)]).env("OUTRIDER_FAULT", "gremlins")).expect(2);
    assert!(outcome.complaints()[0].contains("gremlins"), "{outcome:#?}");
}

#[test]
fn selftest_passes_on_every_adapter_and_devices_lists_them() {
    let alone = adapter();
    let listed = outrider(&["devices", "--json"]).expect(0).json();
    assert_eq!(listed.len(), gpu::adapters().len());
    let outcome = outrider(&["selftest"]).expect(0);
    assert!(outcome.stdout.lines().last().unwrap().ends_with(" 0 failed"), "{outcome:#?}");
    if alone.is_none() {
        return;
    }
    for adapter in listed {
        for field in ["name", "kind", "backend", "driver", "int64", "binding_bytes_max"] {
            assert!(!adapter[field].is_null(), "{field}: {adapter}");
        }
        let kernels = adapter["kernels"].as_array().unwrap();
        for name in ["keccak", "recover", "transfer"] {
            let kernel = kernels.iter().find(|kernel| kernel["name"] == name).unwrap();
            assert_eq!((&kernel["passed"], &kernel["error"]), (&true.into(), &serde_json::Value::Null));
        }
    }
    let text = outrider(&["devices"]).expect(0).stdout;
    assert!(text.contains("passed its known-answer test"), "{text}");
    outrider(&["selftest", "--device", "gpu"]).expect(0);
}
