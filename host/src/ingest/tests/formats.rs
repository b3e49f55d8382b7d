//! Every format, from files to cases.

use std::{fs, io::Write, path::Path};

use alloy_consensus::transaction::SignableTransaction;
use alloy_primitives::{Address, B256, U256, hex};
use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

use super::sample::{self, Pooled};
use crate::{
    ingest::{
        Case, Completeness, Expectation, GenesisHeader, IngestError, LineFault, PostState, RECOVERY_ID_NONE,
        RawLines, SenderColumns, Sidecar, authorizations_of, decode_block, decode_raw_transaction, open,
    },
    spec::Fork,
};

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn write_json(path: &Path, json: &Value) {
    write(path, serde_json::to_vec(json).unwrap());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn only_case(path: &Path) -> Case {
    let mut cases: Vec<_> = open(path).unwrap().collect();
    assert_eq!(cases.len(), 1);
    cases.remove(0).unwrap_or_else(|error| panic!("{error}"))
}

fn only_error(path: &Path) -> IngestError {
    match open(path) {
        Err(error) => error,
        Ok(source) => source.map(|case| case.map(|_| ())).find_map(Result::err).expect("an error"),
    }
}

#[test]
fn a_block_folder_gives_block_prestate_and_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(&path.join("block.json.gz"), gzip(sample::block_json(20_000_000).to_string().as_bytes()));
    let case = only_case(path);
    assert!(case.prestate.is_none());

    write_json(&path.join("prestate.json"), &sample::prestate_json());
    let hash = B256::repeat_byte(9);
    write(&path.join("block_hashes.json"), format!(r#"{{"19999999":"{hash}","0x10":"{hash}"}}"#));
    let case = only_case(&path.join("block.json.gz"));
    let prestate = case.prestate.unwrap();
    assert_eq!(prestate.completeness, Completeness::TouchedOnly);
    assert_eq!(prestate.block_hashes, [(16, hash), (19_999_999, hash)].into());
    let (address, account) = &prestate.accounts[0];
    assert_eq!(*address, Address::with_last_byte(0x0a));
    assert_eq!((account.nonce, account.balance), (3, U256::from(1000)));
    assert_eq!(account.code.as_ref(), hex!("6000"));
    assert_eq!(account.storage, [(U256::from(1), U256::from(0xfff)), (U256::from(2), U256::from(1))]);
    assert_eq!(case.spec.chain_id(), 1);

    let input = case.blocks.map(Result::unwrap).next().unwrap();
    let block = decode_block(&input.bytes).unwrap();
    assert_eq!(*block.header, sample::block(20_000_000).header);
    assert_eq!(*block.transactions, sample::transactions());
    assert_eq!(block.stated.hash, Some(block.header.hash()));
    assert_eq!(block.stated.senders, Some(vec![Address::repeat_byte(0xf0); 6]));
    assert_eq!(block.rlp_len_bytes, sample::block_rlp(20_000_000).len());
}

#[test]
fn a_whole_answer_of_a_node_is_taken_and_its_error_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("block.json");
    let decode = |json: String| {
        write(&path, json);
        let input = only_case(&path).blocks.map(Result::unwrap).next().unwrap();
        decode_block(&input.bytes).map_err(|error| error.to_string())
    };
    let answer = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}}}"#, sample::block_json(5));
    assert_eq!(decode(answer).unwrap().header.number, 5);
    let error =
        decode(r#"{"id":1,"error":{"code":-32000,"message":"header\nnot found"}}"#.to_owned()).unwrap_err();
    assert_eq!(error, "error: header not found");
    let error = decode(r#"{"id":1,"result":null}"#.to_owned()).unwrap_err();
    assert_eq!(error, "parentHash: missing");
}

#[test]
fn a_json_block_names_the_faulty_field() {
    let decode = |edit: fn(&mut Value)| {
        let mut json = sample::block_json(1);
        edit(&mut json);
        let bytes = crate::ingest::BlockBytes::RpcJson(json.to_string().into_bytes().into());
        decode_block(&bytes).unwrap_err().to_string()
    };
    let gas_price = decode(|json| json["transactions"][0]["gasPrice"] = Value::from("12"));
    assert!(gas_price.starts_with("transactions[0].gasPrice: not a hexadecimal number"), "{gas_price}");
    let hash_only = decode(|json| json["transactions"][1] = Value::from("0x01"));
    assert!(hash_only.contains("transactions[1]: invalid type: string"), "{hash_only}");
    assert!(hash_only.contains("expected a full transaction object"), "{hash_only}");
    let key = decode(|json| json["transactions"][2]["accessList"][0]["storageKeys"][1] = Value::from(5));
    assert!(key.contains("accessList[0]") && key.contains("storageKeys[1].key: a number"), "{key}");
    let parity = decode(|json| json["transactions"][3]["yParity"] = Value::from("0x2"));
    assert!(parity.starts_with("transactions[3].yParity: yParity is neither 0 nor 1"), "{parity}");
    let create = decode(|json| json["transactions"][4]["to"] = Value::Null);
    assert!(create.contains("transactions[4].to: a type 3 transaction cannot create"), "{create}");
    let v = decode(|json| json["transactions"][0]["v"] = Value::from("0x1d"));
    assert!(v.starts_with("transactions[0].v: "), "{v}");
    let ty = decode(|json| json["transactions"][5]["type"] = Value::from("0x5"));
    assert!(ty.starts_with("transactions[5].type: unknown transaction type 0x05"), "{ty}");
    let base_fee = decode(|json| json["baseFeePerGas"] = Value::from("0x10000000000000000"));
    assert_eq!(base_fee, "baseFeePerGas: more than 64 bits");
    let gap = decode(|json| json["excessBlobGas"] = Value::Null);
    assert_eq!(gap, "excessBlobGas: missing, though there is parentBeaconBlockRoot");
}

#[test]
fn parity_may_stand_in_v_alone() {
    let mut json = sample::block_json(1);
    for transaction in json["transactions"].as_array_mut().unwrap().iter_mut().skip(2) {
        let fields = transaction.as_object_mut().unwrap();
        let parity = fields.remove("yParity").unwrap();
        fields.insert("v".to_owned(), parity);
    }
    let fields = json["transactions"][0].as_object_mut().unwrap();
    fields.remove("type");
    fields.insert("chainId".to_owned(), Value::Null);
    let bytes = crate::ingest::BlockBytes::RpcJson(json.to_string().into_bytes().into());
    assert_eq!(*decode_block(&bytes).unwrap().transactions, sample::transactions());
}

#[test]
fn a_chain_folder_gives_genesis_state_and_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write_json(&path.join("genesis.json"), &sample::genesis_json());
    let blocks = [sample::block_rlp(1), sample::block_rlp(2)].concat();
    write(&path.join("chain.rlp.gz"), gzip(&blocks));
    let case = only_case(path);
    assert_eq!(case.spec.chain_id(), 1337);
    assert_eq!(case.spec.fork_at(1, 1_700_000_000), Fork::Cancun);
    let prestate = case.prestate.unwrap();
    assert_eq!((prestate.completeness, prestate.accounts.len()), (Completeness::Whole, 2));
    let Some(GenesisHeader::Unrooted { header, exported_hash: None }) = case.genesis else { panic!() };
    assert_eq!((header.gas_limit, header.timestamp), (30_000_000, 1_700_000_000));
    assert_eq!(header.base_fee_per_gas, Some(1_000_000_000));
    assert_eq!((header.blob_gas_used, header.requests_hash), (Some(0), None));
    let numbers: Vec<u64> =
        case.blocks.map(|block| decode_block(&block.unwrap().bytes).unwrap().header.number).collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn an_exported_genesis_block_is_told_apart_from_the_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write_json(&path.join("genesis.json"), &sample::genesis_json());
    write(&path.join("chain.rlp"), [sample::block_rlp(0), sample::block_rlp(1)].concat());
    let case = only_case(path);
    let Some(GenesisHeader::Unrooted { exported_hash, .. }) = case.genesis else { panic!() };
    assert_eq!(exported_hash, Some(sample::block(0).header.hash_slow()));
    assert_eq!(case.blocks.count(), 1);
}

#[test]
fn a_chain_file_cut_anywhere_gives_its_whole_blocks_and_one_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write_json(&path.join("genesis.json"), &sample::genesis_json());
    let block = sample::block_rlp(1);
    let whole = [block.as_slice(), &block].concat();
    for len in 1..whole.len() {
        write(&path.join("chain.rlp"), &whole[..len]);
        let results: Vec<_> = match open(path).unwrap().next().unwrap() {
            Ok(case) => case.blocks.collect(),
            Err(error) => vec![Err(error)],
        };
        let errors: Vec<String> =
            results.iter().flat_map(|block| block.as_ref().err()).map(ToString::to_string).collect();
        assert_eq!(results.len() - errors.len(), len / block.len(), "cut to {len}");
        let cut_within = !len.is_multiple_of(block.len());
        assert_eq!(errors.len(), usize::from(cut_within), "cut to {len}");
        assert!(errors.iter().all(|error| error.contains("the bytes end within it")), "{errors:?}");
    }
}

#[test]
fn chain_folders_and_genesis_files_say_what_is_missing_or_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let genesis = path.join("genesis.json");
    write_json(&genesis, &sample::genesis_json());
    assert!(only_error(path).to_string().ends_with("chain.rlp is missing"));
    write(&path.join("chain.rlp"), [0x80]);
    let error = only_error(path).to_string();
    assert!(
        error.ends_with("chain.rlp: block 0 of the file: at byte 0: a string where a list belongs"),
        "{error}"
    );

    let fault = |edit: fn(&mut Value)| {
        let mut json = sample::genesis_json();
        edit(&mut json);
        write_json(&genesis, &json);
        only_error(path).to_string().split_once("genesis.json: ").unwrap().1.to_owned()
    };
    assert_eq!(
        fault(|json| json["gasLimit"] = Value::from("lots")),
        "gasLimit: neither a decimal nor a hexadecimal number"
    );
    assert_eq!(fault(|json| drop(json.as_object_mut().unwrap().remove("config"))), "config: missing");
    assert_eq!(fault(|json| drop(json.as_object_mut().unwrap().remove("difficulty"))), "difficulty: missing");
    let account =
        fault(|json| json["alloc"]["000000000000000000000000000000000000000a"]["balance"] = Value::Null);
    assert!(
        account.contains("account 0x000000000000000000000000000000000000000A.balance: null"),
        "{account}"
    );
    let twice = fault(|json| {
        json["alloc"]["0x000000000000000000000000000000000000000a"] = serde_json::json!({"balance": "0"});
    });
    assert!(twice.contains("twice"), "{twice}");
    let slot = fault(|json| {
        json["alloc"]["000000000000000000000000000000000000000a"]["storage"]["2"] = Value::from("1")
    });
    assert!(slot.contains("slot 0x2 twice"), "{slot}");
    let clique = fault(|json| json["config"]["clique"] = serde_json::json!({"period": 0, "epoch": 8}));
    assert_eq!(clique, "consensus engine clique is not supported");
    let time = fault(|json| json["config"]["shanghaiTime"] = Value::from("soon"));
    assert!(time.starts_with("config.shanghaiTime: "), "{time}");
    let bomb = fault(|json| json["config"]["extra"] = Value::from(vec![0; 20_000]));
    assert!(bomb.starts_with("more than 10000 values in it"), "{bomb}");
    assert_eq!(fault(|json| json["config"] = Value::from(1)), "config: not an object");
}

#[test]
fn a_blockchain_test_gives_its_cases() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some_test.json");
    write_json(&path, &sample::test_json());
    let case = only_case(&path);
    assert_eq!(case.name.as_deref(), Some("sample"));
    let Some(GenesisHeader::Sealed(genesis)) = case.genesis else { panic!() };
    assert_eq!(genesis.hash(), sample::block(0).header.hash_slow());
    let expected = case.expected.unwrap();
    assert_eq!(expected.last_block_hash, sample::block(1).header.hash_slow());
    assert_eq!(expected.post_state, Some(PostState::Root(B256::repeat_byte(5))));
    let blocks: Vec<_> = case.blocks.map(Result::unwrap).collect();
    assert_eq!(blocks[0].expectation, Expectation::Valid);
    assert_eq!(blocks[0].stated_senders, Some(vec![Address::repeat_byte(0xf0); 6]));
    assert_eq!(*decode_block(&blocks[0].bytes).unwrap().transactions, sample::transactions());
    let classes = vec!["BlockException.A".to_owned(), "TransactionException.B".to_owned()];
    assert_eq!(blocks[1].expectation, Expectation::Invalid { classes });
    assert!(decode_block(&blocks[1].bytes).is_err());
}

#[test]
fn one_bad_case_leaves_the_others_readable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some_test.json");
    let mut json = sample::test_json();
    json["unknown"] = json["sample"].clone();
    json["unknown"]["network"] = Value::from("Atlantis");
    write_json(&path, &json);
    let cases: Vec<_> = open(&path).unwrap().collect();
    assert!(cases[0].is_ok());
    let error = cases[1].as_ref().unwrap_err().to_string();
    assert!(
        error.ends_with(r#"unknown: unknown network "Atlantis": no fork is called "Atlantis""#),
        "{error}"
    );
}

#[test]
fn other_kinds_of_tests_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some_test.json");
    let error = |json: &str| {
        write(&path, json);
        only_error(&path).to_string()
    };
    assert!(
        error(r#"{"a":{"env":{},"pre":{},"transaction":{},"post":{}}}"#)
            .ends_with("a: a state test, not a blockchain test")
    );
    assert!(error(r#"{"a":{"engineNewPayloads":[]}}"#).ends_with("a: an engine test, not a blockchain test"));
    assert!(error(r#"{"a":{"txbytes":"0x"}}"#).ends_with("a: a transaction test, not a blockchain test"));
    assert!(error(r#"{"a":{}}"#).ends_with("a: no blockchain test: it has no blocks"));
    assert!(error("{}").ends_with("a test case is missing"));
    assert!(error("[]").contains("expected an object of test cases"));
    assert!(error(r#"{"number":"0x1"}"#).contains("number: invalid type: string"));
    let wrong = error(r#"{"a":{"blocks":[{"rlp":"0xc0","blockHeader":{"hash":"0x12"}}]}}"#);
    assert!(wrong.contains("a: blocks[0].blockHeader.hash: 2 hexadecimal digits instead of 64"), "{wrong}");
}

#[test]
fn a_genesis_that_hashes_to_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some_test.json");
    let mut json = sample::test_json();
    json["sample"]["genesisBlockHeader"]["hash"] = serde_json::json!(B256::ZERO);
    write_json(&path, &json);
    assert!(only_error(&path).to_string().contains("genesisBlockHeader.hash: 0x000"));
}

#[test]
fn folders_of_all_kinds_are_searched_in_natural_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for number in [10, 9, 100] {
        write_json(&path.join(format!("blocks/{number}/block.json")), &sample::block_json(number));
    }
    write_json(&path.join("chain/genesis.json"), &sample::genesis_json());
    write(&path.join("chain/chain.rlp"), sample::block_rlp(1));
    write_json(&path.join("tests/deep/er/a.json"), &sample::test_json());
    write(&path.join(".meta/index.json"), "[]");
    write(&path.join("README.txt"), "not looked at");
    let paths: Vec<String> = open(path)
        .unwrap()
        .map(|case| case.unwrap().path.strip_prefix(path).unwrap().display().to_string())
        .collect();
    assert_eq!(paths, ["blocks/9", "blocks/10", "blocks/100", "chain", "tests/deep/er/a.json"]);
}

#[test]
fn paths_without_input_say_so() {
    let folder = tempfile::tempdir().unwrap();
    assert!(
        only_error(folder.path())
            .to_string()
            .contains("neither blocks (block.json or block.rlp) nor a chain")
    );
    assert!(only_error(&folder.path().join("absent")).to_string().contains("No such file"));
    let text = folder.path().join("notes\n.txt");
    write(&text, "text");
    let error = only_error(&text).to_string();
    assert!(error.ends_with("its name ends neither in .json nor in .json.gz"), "{error}");
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn raw_transactions_of_all_types_keep_their_order() {
    let mut text = String::from("# comment\n\n");
    for (place, raw) in sample::raw_transactions().iter().enumerate() {
        let prefix = if place % 2 == 0 { "0x" } else { "" };
        text.push_str(&format!("  {prefix}{}\r\n", hex::encode(raw)));
    }
    text.push_str("0x123\nzz\n0x05\n0x");
    let lines: Vec<_> = RawLines::new(text.as_bytes()).map(Result::unwrap).collect();
    let numbers: Vec<u64> = lines.iter().map(|line| line.number).collect();
    assert_eq!(numbers, (3..13).collect::<Vec<_>>());
    let (good, bad) = lines.split_at(6);
    for (line, transaction) in good.iter().zip(sample::transactions()) {
        assert_eq!(line.transaction.as_ref().unwrap().transaction, transaction);
    }
    let reasons: Vec<String> =
        bad.iter().map(|line| line.transaction.as_ref().unwrap_err().to_string()).collect();
    assert_eq!(
        reasons,
        ["an odd number of hexadecimal digits", "not hexadecimal", "unknown transaction type 0x05", "empty"]
    );
}

#[test]
fn an_overlong_line_is_passed_over_whole() {
    let mut text = vec![b'0'; super::super::RAW_LINE_BYTES_MAX + 1];
    text.extend(b"00\n0x\n");
    let lines: Vec<_> = RawLines::new(text.as_slice()).map(Result::unwrap).collect();
    assert_eq!(lines[0].transaction, Err(LineFault::TooLong));
    assert_eq!((lines[1].number, lines.len()), (2, 2));
}

#[test]
fn pooled_blob_transactions_hash_as_in_a_block() {
    let in_block = &sample::transactions()[4];
    for (version, sidecar) in [(0, Sidecar::BlobProofs), (1, Sidecar::CellProofs)] {
        let raw = decode_raw_transaction(&Pooled::fitting(version).encode()).unwrap();
        assert_eq!(raw.sidecar, Some(sidecar));
        assert_eq!(raw.transaction, *in_block);
        assert_eq!(raw.transaction.tx_hash(), in_block.tx_hash());
    }
}

#[test]
fn sidecars_that_do_not_fit_are_refused() {
    let reason = |pooled: Pooled| decode_raw_transaction(&pooled.encode()).unwrap_err().to_string();
    let fitting = || Pooled::fitting(0);
    assert_eq!(
        reason(Pooled { blobs: 1, ..fitting() }),
        "blob sidecar: 1 blobs where the transaction needs 2"
    );
    assert_eq!(
        reason(Pooled { commitments: 3, ..fitting() }),
        "blob sidecar: 3 commitments where the transaction needs 2"
    );
    assert_eq!(
        reason(Pooled { proofs: 2, ..Pooled::fitting(1) }),
        "blob sidecar: 2 proofs where the transaction needs 256"
    );
    assert_eq!(reason(Pooled { version: 2, ..fitting() }), "blob sidecar: unknown wrapper version");
    assert_eq!(reason(Pooled { blob_len: 131_071, ..fitting() }), "blobs: 131071 bytes instead of 131072");
    let mut flipped = fitting().encode();
    let commitment = flipped.iter().position(|byte| *byte == 0xa1).unwrap();
    assert_eq!(flipped[commitment..][..48], [0xa1; 48]);
    flipped[commitment] = 0;
    assert_eq!(
        decode_raw_transaction(&flipped).unwrap_err().to_string(),
        "blob sidecar: commitment 1 does not hash to the transaction's versioned hash"
    );
}

#[test]
fn columns_hold_what_was_signed() {
    let transactions: Vec<_> = sample::transactions().into_iter().cycle().take(5000).collect();
    let columns = SenderColumns::of_transactions(&transactions);
    assert_eq!(columns.len(), 5000);
    let payloads = columns.payloads.as_payloads();
    assert_eq!(payloads.len(), 5000);
    for (row, transaction) in transactions.iter().enumerate() {
        let signed_hash = alloy_primitives::keccak256(payloads.get(row));
        assert_eq!(signed_hash, transaction.signature_hash(), "row {row}");
        assert_eq!(U256::from_be_bytes(columns.r[row]), transaction.signature().r(), "row {row}");
        assert_eq!(columns.recovery_ids[row], u8::from(transaction.signature().v()), "row {row}");
    }
    let first = SenderColumns::of_transactions(&transactions[..6]);
    let first = first.payloads.as_payloads();
    assert!(first.iter().eq(payloads.slice(0..6).iter()));
    let legacy = transactions[0].as_legacy().unwrap();
    assert_eq!(first.get(0), legacy.tx().encoded_for_signing());
}

#[test]
fn authorizations_with_impossible_parity_have_no_recovery_id() {
    let transactions = sample::transactions();
    let (places, entries): (Vec<_>, Vec<_>) = authorizations_of(&transactions).into_iter().unzip();
    assert_eq!(places, [5, 5]);
    let columns = SenderColumns::of_authorizations(&entries);
    assert_eq!(columns.recovery_ids, [1, RECOVERY_ID_NONE]);
    assert_eq!(
        alloy_primitives::keccak256(columns.payloads.as_payloads().get(0)),
        entries[0].signature_hash()
    );
}
