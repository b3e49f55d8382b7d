//! Input that is broken in every way that files can be: one line, exit 2, never a panic.

use crate::{
    chains::tampered,
    program::{arg, fixture, outrider},
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::{Value, json};
use std::{
    fs,
    io::{Read, Write},
    path::Path,
};

/// Runs `path` and returns the one line that says what is wrong.
fn complaint(path: &Path) -> String {
    let outcome = outrider(&["run", "--device", "cpu", "--json", arg(path)]).expect(2);
    let [complaint] = outcome.complaints()[..] else { panic!("{}: {outcome:#?}", path.display()) };
    assert!(complaint.starts_with(arg(path)), "{complaint}");
    assert!(complaint.len() < 1000, "{complaint}");
    complaint.to_owned()
}

fn decompressed(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A block folder with one of its files replaced.
fn block_folder(file: &str, contents: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["block.json", "prestate.json", "block_hashes.json"] {
        let original = decompressed(&fixture("blocks/london").join(format!("{name}.gz")));
        fs::write(folder.path().join(name), original).unwrap();
    }
    let replaced = file.trim_end_matches(".gz");
    fs::remove_file(folder.path().join(replaced)).unwrap();
    fs::write(folder.path().join(file), contents).unwrap();
    folder
}

#[test]
fn paths_that_hold_nothing() {
    let folder = tempfile::tempdir().unwrap();
    complaint(&folder.path().join("absent"));
    complaint(&folder.path().join("absent.json"));
    assert!(complaint(folder.path()).contains("neither blocks"));
    let text = folder.path().join("notes.txt");
    fs::write(&text, "dear diary").unwrap();
    assert!(complaint(&text).contains(".json"));
}

#[test]
fn block_folders_with_a_broken_file() {
    let block = decompressed(&fixture("blocks/london/block.json.gz"));
    let deep = "[".repeat(200_000);
    let twice = [&block[..], b"{}"].concat();
    let whole = compressed(&block);
    let contents: [(&str, &[u8]); 11] = [
        ("block.json", b""),
        ("block.json", b"\xff\xfe\x00"),
        ("block.json", &block[..block.len() / 2]),
        ("block.json", &twice),
        ("block.json", deep.as_bytes()),
        ("block.json", br#"{"number": -1}"#),
        ("block.json.gz", b"no gzip at all"),
        ("block.json.gz", &whole[..whole.len() / 2]),
        ("block.json.gz", &whole[..whole.len() - 4]),
        ("prestate.json", br#"{"0x00": {}}"#),
        ("block_hashes.json", br#"{"7": "0x12"}"#),
    ];
    for (file, contents) in contents {
        let folder = block_folder(file, contents);
        let outcome = outrider(&["run", "--device", "cpu", arg(folder.path())]).expect(2);
        let [complaint] = outcome.complaints()[..] else { panic!("{file}: {outcome:#?}") };
        assert!(complaint.starts_with(arg(folder.path())), "{file}: {complaint}");
    }
}

#[test]
fn block_fields_that_make_no_sense_are_named() {
    let block: Value =
        serde_json::from_slice(&decompressed(&fixture("blocks/london/block.json.gz"))).unwrap();
    let faults = [
        ("gasLimit", json!("0xzz")),
        ("gasLimit", json!("0x1ffffffffffffffff")),
        ("stateRoot", json!("0x12")),
        ("logsBloom", json!(7)),
        ("miner", Value::Null),
        ("transactions", json!("0x")),
        ("transactions", json!([{"type": "0x7f"}])),
    ];
    for (field, value) in faults {
        let mut block = block.clone();
        assert!(block.get(field).is_some(), "{field} is a field");
        block[field] = value;
        let folder = block_folder("block.json", &serde_json::to_vec(&block).unwrap());
        let complaint = complaint(folder.path());
        assert!(complaint.contains(field.trim_end_matches('s')), "{field}: {complaint}");
    }
}

#[test]
fn chain_folders_with_a_broken_file() {
    let (folder, _) = tampered(|_| {});
    let (genesis, chain) = (folder.path().join("genesis.json"), folder.path().join("chain.rlp"));
    let (genesis_bytes, chain_bytes) = (fs::read(&genesis).unwrap(), fs::read(&chain).unwrap());
    outrider(&["run", "--device", "cpu", arg(folder.path())]).expect(0);
    // A list that says it has 2^64 - 1 bytes, and one of lists in lists.
    let huge = [&[0xff; 9][..], &[0; 64]].concat();
    let deep = vec![0xc1; 100_000];
    let broken: [&[u8]; 6] =
        [&chain_bytes[..chain_bytes.len() - 1], &chain_bytes[..5], &huge, &deep, &[0x80], b"\x1f\x8b"];
    for bytes in broken {
        fs::write(&chain, bytes).unwrap();
        complaint(folder.path());
    }
    fs::write(&chain, &chain_bytes).unwrap();
    let mut json: Value = serde_json::from_slice(&genesis_bytes).unwrap();
    fs::write(&genesis, &genesis_bytes[..genesis_bytes.len() / 3]).unwrap();
    assert!(complaint(folder.path()).contains("genesis"));
    // Another state than the chain was built on: the first block's parent is then unknown.
    json["alloc"]["0x00000000000000000000000000000000000000aa"] = json!({"balance": "0x1"});
    fs::write(&genesis, serde_json::to_vec(&json).unwrap()).unwrap();
    outrider(&["run", "--device", "cpu", arg(folder.path())]).expect(1);
    fs::remove_file(&genesis).unwrap();
    assert!(complaint(folder.path()).contains("genesis"));
}

#[test]
fn an_empty_chain_is_no_blocks_and_no_fault() {
    let (folder, _) = tampered(|_| {});
    fs::write(folder.path().join("chain.rlp"), b"").unwrap();
    let outcome = outrider(&["run", "--device", "cpu", "--json", arg(folder.path())]);
    assert!(matches!(outcome.code, 0 | 2), "{outcome:#?}");
}

#[test]
fn tests_with_a_fault_in_a_case_name_the_case() {
    let tests: Value =
        serde_json::from_slice(&decompressed(&fixture("blockchain_tests/valid.json.gz"))).unwrap();
    let (name, case) = tests.as_object().unwrap().iter().next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.json");
    type Fault = (&'static str, fn(&mut Value));
    let faults: [Fault; 8] = [
        ("Pectra", |case| case["network"] = json!("Pectra")),
        ("network", |case| case["network"] = json!(5)),
        ("blocks", |case| case["blocks"] = json!("none")),
        ("account", |case| case["pre"] = json!([])),
        ("account", |case| case["pre"]["0x12"] = json!({})),
        ("genesis", |case| {
            case["genesisBlockHeader"] = Value::Null;
            case["genesisRLP"] = Value::Null;
        }),
        ("lastblockhash", |case| case["lastblockhash"] = json!("0x1")),
        ("genesis", |case| case["pre"] = json!({})),
    ];
    for (wanted, fault) in faults {
        let mut case = case.clone();
        fault(&mut case);
        fs::write(&file, json!({ name.as_str(): case }).to_string()).unwrap();
        let complaint = complaint(&file);
        assert!(complaint.contains(wanted), "{wanted}: {complaint}");
    }
    for (contents, wanted) in [("{}", "test case"), ("[]", ""), ("{\"a\":", ""), ("", "")] {
        fs::write(&file, contents).unwrap();
        assert!(complaint(&file).contains(wanted), "{contents}");
    }
}

#[test]
fn a_block_whose_bytes_are_no_block_is_reported_and_the_rest_goes_on() {
    let tests: Value =
        serde_json::from_slice(&decompressed(&fixture("blockchain_tests/valid.json.gz"))).unwrap();
    let (name, case) = tests.as_object().unwrap().iter().next().unwrap();
    let mut case = case.clone();
    case["blocks"][1]["rlp"] = json!("0xc3010203");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.json");
    fs::write(&file, json!({ name.as_str(): case }).to_string()).unwrap();
    let outcome = outrider(&["run", "--device", "cpu", "--json", arg(&file)]);
    assert!(matches!(outcome.code, 1 | 2), "{outcome:#?}");
    let lines = outcome.json();
    assert_eq!((&lines[0]["match"], &lines[1]["match"]), (&true.into(), &false.into()), "{outcome:#?}");
    assert!(lines[1]["exception"].is_string());
}

/// Cuts and flips at many places of every format: it may match or not, but it comes to an end.
#[test]
fn damaged_files_never_make_it_panic() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = 1_u64;
    let mut random = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    let files = ["blocks/prague", "chains/hot"].map(fixture);
    for (place, names) in files.iter().zip([["block.json", "prestate.json"], ["genesis.json", "chain.rlp"]]) {
        for round in 0..10 {
            let here = folder.path().join(format!("{}-{round}", names[0]));
            fs::create_dir(&here).unwrap();
            let hurt = random(2);
            for (index, name) in names.iter().enumerate() {
                let mut bytes = decompressed(&place.join(format!("{name}.gz")));
                if index == hurt {
                    for _ in 0..=random(3) {
                        let at = random(bytes.len());
                        bytes[at] ^= 1 << random(8);
                    }
                    if random(3) == 0 {
                        bytes.truncate(random(bytes.len()));
                    }
                }
                fs::write(here.join(name), bytes).unwrap();
            }
            outrider(&["run", "--device", "cpu", "--json", arg(&here)]);
        }
    }
}
