//! Witness files in each of their forms, and folders that hold one.

use alloy_consensus::{Header, Sealed};
use alloy_primitives::{B256, Bytes, hex};
use serde_json::{Value, json};
use std::fs;

use super::sample;
use crate::ingest::{BlockBytes, Case, GenesisHeader, Witness, open};

fn header(number: u64) -> Header {
    sample::block(number).header
}

fn rlp_of(header: &Header) -> String {
    hex::encode_prefixed(alloy_rlp::encode(header))
}

/// A header as geth gives it: the same fields as a block.
fn object(number: u64) -> Value {
    let mut block = sample::block_json(number);
    for field in ["transactions", "withdrawals", "uncles", "size"] {
        block.as_object_mut().unwrap().remove(field);
    }
    block
}

/// Two nodes, a code, and the headers before block 3, one in each form.
pub(super) fn witness_json() -> Value {
    json!({
        "state": ["0xc0", "0xf8"],
        "codes": ["0x6000"],
        "keys": ["0x00", { "what": ["ever"] }],
        "headers": [rlp_of(&header(1)), object(2)],
    })
}

fn expected() -> Witness {
    Witness {
        state: vec![Bytes::from_static(&[0xc0]), Bytes::from_static(&[0xf8])],
        codes: vec![Bytes::from_static(&[0x60, 0x00])],
        headers: vec![Sealed::new(header(1)), Sealed::new(header(2))],
    }
}

fn parse(json: &Value) -> Result<Witness, String> {
    Witness::parse(json.to_string().as_bytes())
}

#[test]
fn witnesses_of_reth_and_of_geth_are_read_alone_and_as_an_answer() {
    let witness = parse(&witness_json()).unwrap();
    assert_eq!(witness, expected());
    assert_eq!(witness.header(&header(2).hash_slow()), Some(&header(2)));
    assert_eq!(witness.header(&B256::ZERO), None);
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": witness_json() });
    assert_eq!(parse(&answer), Ok(expected()));
    let error = json!({ "id": 1, "error": { "code": -32000, "message": "not\nfound" } });
    assert_eq!(parse(&error), Err("error: not found".to_owned()));
    let mut without_keys = witness_json();
    without_keys.as_object_mut().unwrap().remove("keys");
    assert_eq!(parse(&without_keys), Ok(expected()));
}

#[test]
fn what_is_written_is_read_again() {
    for witness in [expected(), Witness::default()] {
        let mut json = Vec::new();
        witness.write_json(&mut json).unwrap();
        assert_eq!(Witness::parse(&json), Ok(witness));
    }
}

#[test]
fn a_witness_names_the_faulty_field() {
    let fault = |edit: fn(&mut Value)| {
        let mut json = witness_json();
        edit(&mut json);
        parse(&json).unwrap_err()
    };
    for list in ["state", "codes", "headers"] {
        let mut json = witness_json();
        json.as_object_mut().unwrap().remove(list);
        assert_eq!(parse(&json), Err(format!("{list}: missing")));
    }
    let node = fault(|json| json["state"][1] = "0x1".into());
    assert!(node.starts_with("state[1].node: an odd number of hexadecimal digits at line"), "{node}");
    let code = fault(|json| json["codes"][0] = 5.into());
    assert!(code.starts_with("codes[0].code: a number where text belongs"), "{code}");
    let map = fault(|json| json["state"] = json!({ "0x00": "0x00" }));
    assert!(map.contains("expected the list state"), "{map}");
    let header = fault(|json| json["headers"][0] = "0xc0".into());
    assert!(header.starts_with("headers[0].header: header parentHash: missing"), "{header}");
    let field = fault(|json| json["headers"][1]["gasLimit"] = 5.into());
    assert!(field.starts_with("headers[1].gasLimit: a number where text belongs"), "{field}");
    let kind = fault(|json| json["headers"][1] = 5.into());
    assert!(kind.contains("headers[1]: invalid type: integer `5`, expected a header"), "{kind}");
    let many = fault(|json| json["headers"] = vec![Value::from("0x"); 257].into());
    assert!(many.starts_with("headers"), "{many}");
}

fn only_case(folder: &tempfile::TempDir) -> Result<Case, String> {
    let mut cases = open(folder.path()).unwrap();
    let case = cases.next().unwrap().map_err(|error| error.to_string());
    assert!(cases.next().is_none());
    case
}

#[test]
fn a_folder_with_block_and_witness_has_mainnet_s_rules_or_those_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, contents: &[u8]| fs::write(folder.path().join(name), contents).unwrap();
    write("block.json", sample::block_json(3).to_string().as_bytes());
    write("witness.json", witness_json().to_string().as_bytes());
    write("prestate.json", sample::prestate_json().to_string().as_bytes());
    let case = only_case(&folder).unwrap();
    assert_eq!((case.witness, case.prestate), (Some(expected()), None), "what is proven is worth more");
    assert_eq!(case.spec.chain_id(), 1);
    assert!(matches!(case.blocks.map(Result::unwrap).next().unwrap().bytes, BlockBytes::RpcJson(_)));

    // RLP holds the ommers.
    write("block.rlp", &sample::block_rlp(3));
    let rules = case.spec.to_genesis_json_for(3, 0);
    write("genesis.json", rules.to_string().replace("\"chainId\":1", "\"chainId\":77").as_bytes());
    let case = only_case(&folder).unwrap();
    assert_eq!(case.spec.chain_id(), 77);
    assert!(!matches!(case.genesis, Some(GenesisHeader::Unrooted { .. })));
    let bytes = case.blocks.map(Result::unwrap).next().unwrap().bytes;
    assert_eq!(bytes, BlockBytes::Rlp(sample::block_rlp(3).into()));

    write("genesis.json", b"{\"config\":{}}");
    let error = only_case(&folder).unwrap_err();
    assert!(error.contains("genesis.json: "), "{error}");
    write("witness.json", b"{");
    assert!(only_case(&folder).unwrap_err().contains("witness.json: "));
}
