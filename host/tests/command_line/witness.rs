//! Witnesses: written from whole states, and enough to run their blocks again.

use crate::program::{arg, fixture, outrider};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

/// Witnesses of the mixed chain's blocks, in order.
fn witnesses(folder: &tempfile::TempDir) -> Vec<PathBuf> {
    let (chain, out) = (fixture("chains/mixed"), folder.path().join("witnesses"));
    outrider(&["run", "--device", "cpu", "--write-witness", arg(&out), arg(&chain)]).expect(0);
    let mut folders: Vec<PathBuf> = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert_eq!(folders.len(), 6);
    folders
}

fn edit(path: &std::path::Path, change: impl FnOnce(&mut Value)) {
    let mut json: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut json);
    fs::write(path, json.to_string()).unwrap();
}

#[test]
fn what_is_written_is_enough_to_find_the_same_blocks_valid() {
    let folder = tempfile::tempdir().unwrap();
    let witnesses = witnesses(&folder);
    let chain =
        outrider(&["run", "--device", "cpu", "--json", arg(&fixture("chains/mixed"))]).expect(0).json();
    let all = folder.path().join("witnesses");
    let alone = outrider(&["run", "--device", "cpu", "--check", "--json", arg(&all)]).expect(0).json();
    assert_eq!(alone.len(), chain.len());
    for (ours, theirs) in alone[..6].iter().zip(&chain) {
        assert_eq!(ours["verdict"], "VALID");
        for field in ["number", "fork", "gas_used", "lanes", "checks", "unchecked"] {
            assert_eq!(ours[field], theirs[field], "{field}");
        }
    }
    // The answer of a node is as good, and so is a single file.
    let witness = witnesses[0].join("witness.json");
    edit(&witness, |json| *json = json!({ "jsonrpc": "2.0", "id": 1, "result": json.take() }));
    outrider(&["run", "--device", "cpu", arg(&witness)]).expect(0);
}

#[test]
fn what_a_witness_lacks_is_named_and_nothing_is_taken_for_granted() {
    let folder = tempfile::tempdir().unwrap();
    let witness = witnesses(&folder)[1].join("witness.json");
    let original = fs::read(&witness).unwrap();
    let run = || outrider(&["run", "--device", "cpu", "--json", arg(&witness)]);
    for list in ["state", "codes", "headers"] {
        edit(&witness, |json| json[list].as_array_mut().unwrap().truncate(0));
        let outcome = run().expect(2);
        let block = &outcome.json()[0];
        assert_eq!((&block["verdict"], &block["match"]), (&"NEEDS_STATE".into(), &false.into()), "{list}");
        let needs = block["needs"].as_str().unwrap();
        let named = match list {
            "state" => "trie node 0x",
            "codes" => "code with hash 0x",
            _ => "header of the parent 0x",
        };
        assert!(needs.contains(named), "{list}: {needs}");
        assert!(outcome.complaints()[0].contains(needs), "{outcome:#?}");
        fs::write(&witness, &original).unwrap();
    }
    for (list, fault) in [("state", "state: missing"), ("headers", "headers: missing")] {
        edit(&witness, |json| drop(json.as_object_mut().unwrap().remove(list)));
        assert!(run().expect(2).complaints()[0].contains(fault));
        fs::write(&witness, &original).unwrap();
    }
    edit(&witness, |json| json["state"][3] = "0xzz".into());
    let complaint = run().expect(2).stderr;
    assert!(
        complaint.contains("witness.json") && complaint.contains("state[3].node: not hexadecimal digits")
    );
    // Under other rules the same state and block are not valid.
    fs::write(&witness, &original).unwrap();
    fs::remove_file(witness.with_file_name("genesis.json")).unwrap();
    assert_ne!(run().json()[0]["verdict"], "VALID");
}

#[test]
fn a_witness_folder_that_cannot_be_written_is_said_and_exits_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let chain = fixture("chains/hot");
    let outcome = outrider(&["run", "--device", "cpu", "--write-witness", arg(&file), arg(&chain)]).expect(2);
    assert!(outcome.complaints()[0].contains(arg(&file)), "{outcome:#?}");
}
