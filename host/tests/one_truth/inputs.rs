//! Everything there is to run, on every way.

use crate::runner::{assert_all_match, assert_one_truth, fixtures, on_the_adapter, on_the_cpu, shared};
use outrider::run::report::BlockReport;

/// Blocks of the shared data that cannot be executed: they ask for hashes of earlier blocks that
/// were not supplied with them.
const NEEDY: [u64; 2] = [8_889_776, 9_069_000];

#[test]
fn fixtures_match_on_every_way() {
    for way in [on_the_cpu(), on_the_adapter()].concat() {
        for folder in ["chains", "blocks", "blockchain_tests", "mainnet/12964999"] {
            assert_all_match(&fixtures(folder), way);
        }
    }
}

#[test]
fn fixtures_use_every_lane_and_every_check() {
    let way = on_the_cpu()[1];
    let reports: Vec<BlockReport> = ["chains", "blocks", "blockchain_tests"]
        .iter()
        .flat_map(|f| assert_all_match(&fixtures(f), way))
        .collect();
    assert!(reports.iter().any(|report| report.lanes.transfer > 0 && report.lanes.evm > 0));
    assert!(reports.iter().any(|report| report.checks.made() == 7));
    assert!(reports.iter().any(|report| report.exception.is_some()), "invalid blocks are among them");
    for fork in
        ["Frontier", "Homestead", "Byzantium", "Berlin", "London", "Paris", "Cancun", "Prague", "Osaka"]
    {
        assert!(reports.iter().any(|report| report.fork.as_deref() == Some(fork)), "{fork} is missing");
    }
}

fn assert_mainnet(reports: &[BlockReport], name: &str) {
    for report in reports {
        let number = report.number.unwrap();
        assert_ne!(report.checks.senders, Some(false), "{name}: {number}");
        if NEEDY.contains(&number) {
            assert!(report.needs.as_ref().is_some_and(|key| key.starts_with("hash of block")), "{report:#?}");
        } else {
            assert!(report.matched, "{name}: {report:#?}");
        }
    }
}

#[test]
fn mainnet_blocks_match_on_the_cpu_with_any_number_of_threads() {
    let Some(path) = shared("mainnet") else { return };
    for way in on_the_cpu() {
        assert_mainnet(&assert_one_truth(&path, way), way.name);
    }
}

#[test]
fn mainnet_blocks_match_on_the_adapter() {
    let Some(path) = shared("mainnet") else { return };
    for way in on_the_adapter() {
        assert_mainnet(&assert_one_truth(&path, way), way.name);
    }
}

#[test]
fn execution_spec_tests_match_on_the_cpu_with_any_number_of_threads() {
    let Some(path) = shared("eest") else { return };
    for way in on_the_cpu() {
        assert_all_match(&path, way);
    }
}

#[test]
fn execution_spec_tests_match_on_the_adapter() {
    let Some(path) = shared("eest") else { return };
    for way in on_the_adapter() {
        assert_all_match(&path, way);
    }
}

/// revm implements a later draft of Amsterdam's gas than these tests have, so most do not match; no
/// lane but revm may touch them, and every one must come to an end.
#[test]
fn amsterdam_tests_end_and_stay_out_of_the_lanes() {
    let Some(path) = shared("eest-amsterdam") else { return };
    let reports = assert_one_truth(&path, on_the_cpu()[1]);
    assert!(!reports.is_empty());
    let amsterdam = reports.iter().filter(|report| report.fork.as_deref() == Some("Amsterdam"));
    for report in amsterdam {
        assert_eq!((report.lanes.transfer, report.lanes.path), (0, 0), "{report:#?}");
    }
    assert!(reports.iter().any(|report| report.matched));
}
