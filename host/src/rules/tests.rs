//! The rules against real chains: the execution-spec tests, and blocks of mainnet.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use alloy_consensus::{Block, Header, TxEnvelope, proofs::calculate_transaction_root};
use alloy_primitives::{B256, Bytes, hex, map::HashMap};
use alloy_rlp::Decodable;
use flate2::read::GzDecoder;
use serde_json::Value;

use super::*;
use crate::spec::{BlobLimits, ChainSpec, Fork};

/// What lies beside the repository, if it does.
fn shared(folder: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")).join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {} is absent", path.display());
    None
}

fn files_below(folder: &Path, name_end: &str, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files_below(&path, name_end, found);
        } else if path.to_string_lossy().ends_with(name_end) {
            found.push(path);
        }
    }
}

fn read_json(path: &Path) -> Value {
    serde_json::from_reader(GzDecoder::new(File::open(path).unwrap())).unwrap()
}

fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

fn spec_of(case: &Value) -> ChainSpec {
    let config = &case["config"];
    let schedule = config["blobSchedule"].as_object();
    let limits = schedule.into_iter().flatten().map(|(name, entry)| {
        let limits = BlobLimits {
            target: number(&entry["target"]),
            max: number(&entry["max"]),
            update_fraction: number(&entry["baseFeeUpdateFraction"]).into(),
        };
        (name.as_str(), limits)
    });
    let network = case["network"].as_str().unwrap();
    ChainSpec::from_network(network, number(&config["chainid"]), limits).unwrap()
}

/// The blocks of a case that were found valid, by hash.
#[derive(Default)]
struct Chain(HashMap<B256, (Header, Vec<Header>)>);

impl Ancestry for Chain {
    fn block(&self, hash: &B256) -> Option<(&Header, &[Header])> {
        self.0.get(hash).map(|(header, ommers)| (header, ommers.as_slice()))
    }
}

/// What the rules say of a block without executing it.
fn judge(spec: &ChainSpec, chain: &Chain, rlp: &[u8]) -> Result<Block<TxEnvelope>, InvalidBlock> {
    let Some(block) = decode(rlp) else { return Err(explain_undecodable_block(spec, rlp)) };
    let parts = BlockParts {
        header: &block.header,
        body: Body::from(&block.body),
        transactions_root: calculate_transaction_root(&block.body.transactions),
        rlp_bytes: rlp.len(),
    };
    check_block(spec, &parts, chain)?;
    TransactionRules::new(spec, &block.header).check_all(&block.body.transactions)?;
    Ok(block)
}

fn decode(mut rlp: &[u8]) -> Option<Block<TxEnvelope>> {
    let block = Block::<TxEnvelope>::decode(&mut rlp).ok()?;
    // A transaction that carries its blobs decodes, but has no place in a block.
    let has_blobs = block
        .body
        .transactions
        .iter()
        .any(|tx| tx.as_eip4844().is_some_and(|tx| tx.tx().sidecar().is_some()));
    (rlp.is_empty() && !has_blobs).then_some(block)
}

/// Faults that only execution finds; a block expected to have one may pass all rules before it.
const FOUND_BY_EXECUTION: [&str; 8] = [
    "INSUFFICIENT_ACCOUNT_FUNDS",
    "NONCE_MISMATCH",
    "SENDER_NOT_EOA",
    "INVALID_REQUESTS",
    "INVALID_DEPOSIT_EVENT_LAYOUT",
    "SYSTEM_CONTRACT",
    "INVALID_BAL_HASH",
    "INVALID_BLOCK_ACCESS_LIST",
];

#[derive(Default, Debug)]
struct Tally {
    cases: usize,
    valid: usize,
    found: usize,
    left_to_execution: usize,
}

fn check_case(name: &str, case: &Value, tally: &mut Tally) {
    let mut spec = spec_of(case);
    let mut chain = Chain::default();
    let genesis_rlp: Bytes = case["genesisRLP"].as_str().unwrap().parse().unwrap();
    let genesis = Block::<TxEnvelope>::decode(&mut genesis_rlp.as_ref()).unwrap().header;
    spec.resolve_merge(genesis.number + 1, genesis.difficulty);
    chain.0.insert(genesis.hash_slow(), (genesis, vec![]));
    for block in case["blocks"].as_array().unwrap() {
        let rlp = hex::decode(block["rlp"].as_str().unwrap()).unwrap();
        let verdict = judge(&spec, &chain, &rlp);
        match (block["expectException"].as_str(), verdict) {
            (None, Ok(block)) => {
                tally.valid += 1;
                chain.0.insert(block.header.hash_slow(), (block.header, block.body.ommers));
            }
            (None, Err(verdict)) => panic!("{name}: a valid block: {verdict}"),
            (Some(expected), Err(verdict)) => {
                assert!(Exception::unknown_names(expected).is_empty(), "{name}: {expected}");
                assert!(verdict.exception.is_expected_by(expected), "{name}: {verdict}, expected {expected}");
                tally.found += 1;
            }
            (Some(expected), Ok(block)) => {
                // From Amsterdam on, so are intrinsic gas and the floor.
                let is_gas =
                    expected.contains("INTRINSIC_GAS") && spec.fork_of(&block.header) >= Fork::Amsterdam;
                assert!(
                    is_gas || FOUND_BY_EXECUTION.iter().any(|class| expected.contains(class)),
                    "{name}: nothing found, expected {expected}"
                );
                tally.left_to_execution += 1;
            }
        }
    }
    tally.cases += 1;
}

fn check_folder(folder: &str) -> Option<Tally> {
    let mut files = Vec::new();
    files_below(&shared(folder)?, ".json.gz", &mut files);
    let mut tally = Tally::default();
    for path in &files {
        for (name, case) in read_json(path).as_object().unwrap() {
            check_case(name, case, &mut tally);
        }
    }
    eprintln!("{folder}: {tally:?}");
    Some(tally)
}

#[test]
fn spec_tests_are_judged_as_they_expect() {
    if let Some(tally) = check_folder("eest") {
        assert!(tally.cases > 1_000 && tally.valid > 1_000 && tally.found > 50, "{tally:?}");
    }
}

#[test]
fn spec_tests_of_the_next_fork_are_judged_as_they_expect() {
    if let Some(tally) = check_folder("eest-amsterdam") {
        assert!(tally.cases > 100 && tally.valid > 100, "{tally:?}");
    }
}

/// A change to any field of a header is found, by the class of that field.
#[test]
fn a_spoilt_header_is_found_by_the_field_that_is_spoilt() {
    let Some(folder) = shared("eest") else { return };
    let mut files = Vec::new();
    files_below(&folder.join("osaka"), ".json.gz", &mut files);
    let json = read_json(&files[0]);
    let case = json.as_object().unwrap().values().next().unwrap();
    let spec = spec_of(case);
    let genesis_rlp = hex::decode(case["genesisRLP"].as_str().unwrap()).unwrap();
    let genesis = Block::<TxEnvelope>::decode(&mut genesis_rlp.as_slice()).unwrap().header;
    let rlp = hex::decode(case["blocks"][0]["rlp"].as_str().unwrap()).unwrap();
    let good = decode(&rlp).unwrap().header;
    let parent_hash = genesis.hash_slow();
    assert_eq!(check_header(&spec, &good, parent_hash, &genesis), Ok(()));

    type Spoil = fn(&mut Header);
    let cases: [(Spoil, Exception); 17] = [
        (|h| h.parent_hash = B256::ZERO, Exception::UnknownParentZero),
        (|h| h.parent_hash = B256::repeat_byte(1), Exception::UnknownParent),
        (|h| h.number += 1, Exception::InvalidBlockNumber),
        (|h| h.timestamp = 0, Exception::InvalidTimestamp),
        (|h| h.extra_data = vec![0; 33].into(), Exception::ExtraDataTooBig),
        (|h| h.gas_limit = 4_999, Exception::InvalidGasLimit),
        (|h| h.gas_limit = 1 << 63, Exception::GasLimitTooBig),
        (|h| h.gas_used = h.gas_limit + 1, Exception::GasUsedAboveLimit),
        (|h| h.difficulty = alloy_primitives::U256::ONE, Exception::DifficultyOverParis),
        (|h| h.nonce.0[7] = 1, Exception::NonceOverParis),
        (|h| h.ommers_hash = B256::ZERO, Exception::UnclesOverParis),
        (|h| *h.base_fee_per_gas.as_mut().unwrap() += 1, Exception::InvalidBaseFeePerGas),
        (|h| *h.excess_blob_gas.as_mut().unwrap() += 1, Exception::IncorrectExcessBlobGas),
        (|h| *h.blob_gas_used.as_mut().unwrap() += 1, Exception::IncorrectBlobGasUsed),
        (|h| h.withdrawals_root = None, Exception::ParisHeaderOverShanghai),
        (|h| h.requests_hash = None, Exception::IncorrectBlockFormat),
        (|h| h.slot_number = Some(1), Exception::IncorrectBlockFormat),
    ];
    for (spoil, expected) in cases {
        let mut header = good.clone();
        spoil(&mut header);
        let verdict = check_header(&spec, &header, parent_hash, &genesis).unwrap_err();
        assert_eq!(verdict.exception, expected, "{verdict}");
    }
}

/// Headers and transactions of mainnet obey the rules that need no parent.
#[test]
fn mainnet_blocks_obey_the_rules_of_their_fork() {
    let Some(folder) = shared("mainnet") else { return };
    let spec = ChainSpec::mainnet();
    let mut files = Vec::new();
    files_below(&folder, "block.json.gz", &mut files);
    for path in &files {
        let json = read_json(path);
        let header: Header = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(header.hash_slow().to_string(), json["hash"].as_str().unwrap());
        assert_eq!(check_header_alone(&spec, &header), Ok(()), "{}", path.display());
        let transactions: Vec<TxEnvelope> = serde_json::from_value(json["transactions"].clone()).unwrap();
        let root = calculate_transaction_root(&transactions);
        assert_eq!(check_transactions_root(&header, root), Ok(()), "{}", path.display());
        let rules = TransactionRules::new(&spec, &header);
        assert_eq!(rules.check_all(&transactions), Ok(()), "{}", path.display());
    }
    assert!(files.len() >= 37, "{} blocks", files.len());
}
