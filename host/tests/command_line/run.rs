//! `outrider run` on good input.

use crate::program::{arg, command, finish, fixture, outrider};
use serde_json::{Value, json};

/// The names of a JSON object's fields, sorted.
fn fields(value: &Value) -> Vec<&str> {
    let mut fields: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    fields
}

fn contains(value: &Value, wanted: &[&str]) {
    let fields = fields(value);
    for name in wanted {
        assert!(fields.contains(name), "{name} is missing in {value}");
    }
}

#[test]
fn everything_in_the_fixtures_matches_and_exits_0() {
    let paths = ["chains", "blocks", "blockchain_tests"].map(fixture);
    let args: Vec<&str> =
        ["run", "--device", "cpu", "--check"].into_iter().chain(paths.iter().map(|p| arg(p))).collect();
    let outcome = outrider(&args).expect(0);
    assert!(outcome.complaints().is_empty(), "{outcome:#?}");
    let mut lines = outcome.stdout.lines();
    assert!(lines.next().unwrap().starts_with("device cpu"));
    assert!(lines.next().unwrap().contains("block fork"));
    assert!(outcome.stdout.contains("INVALID as expected: "));
    let total = outcome.stdout.lines().find(|line| line.contains(" blocks matched, ")).unwrap();
    let words: Vec<&str> = total.split(' ').collect();
    assert_eq!(words[0], words[2], "{total}");
}

#[test]
fn json_has_one_object_a_block_and_a_total_with_every_field() {
    let path = fixture("chains/mixed");
    let outcome = outrider(&["run", "--device", "cpu", "--json", arg(&path)]).expect(0);
    let lines = outcome.json();
    let (total, blocks) = lines.split_last().unwrap();
    assert_eq!(blocks.len(), 6);
    for (index, block) in blocks.iter().enumerate() {
        contains(
            block,
            &[
                "path",
                "number",
                "case",
                "fork",
                "transactions",
                "lanes",
                "reexecuted",
                "gas_used",
                "verdict",
                "checks",
                "unchecked",
                "match",
                "device",
                "kernels",
                "sender_cache",
                "seconds",
            ],
        );
        assert_eq!(block["number"], index + 1);
        assert_eq!((&block["fork"], &block["transactions"]), (&"Prague".into(), &200.into()));
        assert_eq!(block["path"], arg(&path));
        assert_eq!(
            (&block["match"], &block["device"], &block["case"]),
            (&true.into(), &"cpu".into(), &Value::Null)
        );
        assert_eq!((&block["verdict"], &block["unchecked"]), (&"VALID".into(), &json!([])));
        assert_eq!(fields(&block["lanes"]), ["evm", "path", "transfer"]);
        let lanes = &block["lanes"];
        assert_eq!(lanes["transfer"].as_u64().unwrap() + lanes["evm"].as_u64().unwrap(), 200);
        let checks = &block["checks"];
        assert_eq!(
            fields(checks),
            [
                "gas_used",
                "header",
                "logs_bloom",
                "receipts_root",
                "senders",
                "state_root",
                "transactions_root"
            ]
        );
        // A chain does not state its senders.
        for (check, value) in checks.as_object().unwrap() {
            assert_eq!(*value, if check == "senders" { Value::Null } else { true.into() }, "{check}");
        }
        let stages = ["execute", "ingest", "plan", "reconcile", "recover", "root"];
        assert_eq!(fields(&block["seconds"]), stages);
        assert!(block["seconds"].as_object().unwrap().values().all(Value::is_number));
        for kernel in ["keccak", "recover", "transfer"] {
            assert_eq!(fields(&block["kernels"][kernel]), ["cpu", "gpu", "redone"], "{kernel}");
        }
        let counts = json!({ "hits": 0, "misses": 200, "insertions": 200, "evictions": 0 });
        assert_eq!(block["sender_cache"], counts, "no transaction comes twice");
        // Senders, and the authorities of delegations.
        assert!(block["kernels"]["recover"]["cpu"].as_u64().unwrap() >= 200);
        assert_eq!(block["kernels"]["transfer"]["gpu"], 0);
    }
    assert_eq!(fields(total), ["device", "total"]);
    assert!(total["device"].is_null());
    let total = &total["total"];
    contains(
        total,
        &[
            "blocks",
            "transactions",
            "matched",
            "seconds",
            "transactions_per_second",
            "startup_seconds",
            "load_seconds",
            "sender_cache",
        ],
    );
    assert_eq!(
        (&total["blocks"], &total["transactions"], &total["matched"]),
        (&6.into(), &1200.into(), &6.into())
    );
    let number = |field: &str| total[field].as_f64().unwrap();
    assert!((number("transactions_per_second") * number("seconds") - 1200.0).abs() < 1.0);
}

#[test]
fn blocks_that_come_again_are_not_recovered_again() {
    let path = fixture("chains/hot");
    let outcome = outrider(&["run", "--device", "cpu", "--json", arg(&path), arg(&path)]).expect(0);
    let lines = outcome.json();
    let (total, blocks) = lines.split_last().unwrap();
    let counts = json!({ "hits": 1600, "misses": 1600, "insertions": 1600, "evictions": 0 });
    assert_eq!(total["total"]["sender_cache"], counts);
    let (first, again) = blocks.split_at(4);
    assert!(first.iter().all(|block| block["sender_cache"]["hits"] == 0));
    assert!(again.iter().all(|block| block["kernels"]["recover"]["cpu"] == 0 && block["match"] == true));
}

#[test]
fn json_names_case_and_expected_exception_of_tests() {
    let path = fixture("blockchain_tests/invalid.json.gz");
    let outcome = outrider(&["run", "--device", "cpu", "--json", arg(&path)]).expect(0);
    let lines = outcome.json();
    let (_, blocks) = lines.split_last().unwrap();
    assert!(blocks.iter().all(|block| block["case"].is_string() && block["match"] == true));
    let invalid: Vec<&Value> = blocks.iter().filter(|block| block["exception"].is_string()).collect();
    assert!(!invalid.is_empty());
    assert!(
        invalid.iter().all(|block| block["reason"].is_string() && block["expected_exception"].is_string())
    );
}

/// A block's line without what differs from run to run.
fn settled(mut block: Value) -> Value {
    let block_fields = block.as_object_mut().unwrap();
    block_fields.remove("seconds");
    block_fields.remove("reexecuted");
    block
}

#[test]
fn threads_change_nothing_but_the_time() {
    let path = fixture("chains/mixed");
    let run = |threads: &str| {
        let outcome =
            outrider(&["run", "--device", "cpu", "--json", "--threads", threads, arg(&path)]).expect(0);
        let mut lines = outcome.json();
        lines.pop();
        lines.into_iter().map(settled).collect::<Vec<_>>()
    };
    let alone = run("1");
    assert_eq!(run("2"), alone);
    assert_eq!(run("5"), alone);
}

#[test]
fn the_evm_lane_alone_does_everything_and_comes_to_the_same() {
    let path = fixture("chains/mixed");
    let run = |lanes: &str| {
        let outcome = outrider(&["run", "--device", "cpu", "--json", "--lanes", lanes, arg(&path)]).expect(0);
        outcome.json()
    };
    let (all, evm) = (run("all"), run("evm"));
    for (all, evm) in all[..6].iter().zip(&evm) {
        assert_eq!((&evm["lanes"]["evm"], &evm["lanes"]["transfer"]), (&200.into(), &0.into()));
        assert!(all["lanes"]["transfer"].as_u64().unwrap() > 0);
        assert_eq!((&all["gas_used"], &all["checks"]), (&evm["gas_used"], &evm["checks"]));
    }
}

#[test]
fn a_single_file_stands_for_its_folder_and_paths_add_up() {
    let (chain, block) = (fixture("chains/hot/chain.rlp.gz"), fixture("blocks/london/block.json.gz"));
    let outcome = outrider(&["run", "--device", "cpu", "--json", arg(&chain), arg(&block)]).expect(0);
    let lines = outcome.json();
    assert_eq!(lines.len(), 4 + 1 + 1);
    let block = &lines[4];
    assert_eq!((&block["checks"]["senders"], &block["checks"]["state_root"]), (&true.into(), &Value::Null));
    assert_eq!((&block["verdict"], &block["unchecked"]), (&"COMPUTED".into(), &json!(["state_root"])));
}

#[test]
fn generated_chains_run_and_are_the_same_for_a_seed() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["transfers", "hot", "mixed"] {
        let [first, second] = ["a", "b"].map(|name| folder.path().join(format!("{kind}-{name}")));
        for out in [&first, &second] {
            let args =
                ["generate", kind, "--txs", "40", "--blocks", "2", "--accounts", "9", "--seed", "3", "--out"];
            outrider(&[&args[..], &[arg(out)]].concat()).expect(0);
        }
        for file in ["genesis.json", "chain.rlp"] {
            assert_eq!(std::fs::read(first.join(file)).unwrap(), std::fs::read(second.join(file)).unwrap());
        }
        let outcome = outrider(&["run", "--device", "cpu", "--check", "--json", arg(&first)]).expect(0);
        assert_eq!(outcome.json().pop().unwrap()["total"]["matched"], 2);
    }
}

#[test]
fn generating_refuses_what_it_cannot_make_and_foreign_folders() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.tex"), "precious").unwrap();
    let out = arg(folder.path());
    let outcome = outrider(&["generate", "hot", "--txs", "4", "--out", out]).expect(2);
    assert!(outcome.complaints()[0].contains("thesis.tex"), "{outcome:#?}");
    let outcome = outrider(&["generate", "hot", "--accounts", "1", "--out", out]).expect(2);
    assert!(outcome.complaints()[0].contains("accounts"), "{outcome:#?}");
    outrider(&["generate", "lukewarm", "--out", out]).expect(2);
    outrider(&["generate", "hot", "--txs", "many", "--out", out]).expect(2);
}

#[test]
fn by_default_the_device_is_what_pays_and_software_never_does() {
    let path = fixture("chains/hot");
    let outcome = outrider(&["run", "--json", arg(&path)]).expect(0);
    let lines = outcome.json();
    let software =
        outrider_kernels::gpu::adapters().iter().all(outrider_kernels::gpu::AdapterInfo::is_software);
    assert!(!software || lines[0]["device"] == "cpu", "{}", lines[0]);
}

#[test]
fn log_level_is_set_by_the_environment() {
    let path = fixture("blocks/london");
    let outcome = finish(command(&["run", "--device", "cpu", arg(&path)]).env("OUTRIDER_LOG", "nonsense"));
    outcome.expect(0);
    finish(command(&["run", "--device", "cpu", arg(&path)]).env("OUTRIDER_LOG", "debug")).expect(0);
}

/// Real blocks state who sent each transaction. Which instructions recover them is decided once in a process.
#[test]
fn every_form_of_the_cpu_kernels_finds_the_senders_of_real_blocks() {
    let shared = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/mainnet");
    let mut paths = vec![fixture("mainnet/12964999")];
    paths.extend(shared.is_dir().then_some(shared));
    let args: Vec<&str> =
        ["run", "--device", "cpu", "--json"].into_iter().chain(paths.iter().map(|path| arg(path))).collect();
    for backend in outrider_kernels::simd::Backend::available() {
        let outcome = finish(command(&args).env(outrider_kernels::simd::VARIABLE, backend.name()));
        // Blocks whose state is not whole say so, and are recovered all the same.
        assert!([0, 2].contains(&outcome.code), "{backend:?}: {}", outcome.stderr);
        let reports = outcome.json();
        let checked: Vec<_> =
            reports.iter().filter(|report| report["checks"]["senders"].is_boolean()).collect();
        assert!(!checked.is_empty(), "{backend:?}");
        for report in checked {
            assert_eq!(report["checks"]["senders"], true, "{backend:?}, block {}", report["number"]);
            assert_eq!(report["kernels"]["recover"]["gpu"], 0, "{backend:?}");
        }
    }
}
