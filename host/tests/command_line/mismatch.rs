//! Blocks that do not come out as they say: exit 1, the field and both values.

use crate::{
    chains::{ChainBlock, reseal_transactions, tampered},
    program::{Outcome, arg, outrider},
};
use alloy_consensus::{EthereumTypedTransaction, TxEip4844};
use alloy_primitives::{B256, Bloom, BloomInput, Signature, U256};
use outrider::block::SignedTx;

fn run(folder: &std::path::Path, json: bool) -> Outcome {
    let mut args = vec!["run", "--device", "cpu", arg(folder)];
    if json {
        args.push("--json");
    }
    outrider(&args)
}

/// A field of the header that execution decides, as text before and after tampering.
struct Field {
    name: &'static str,
    tamper: fn(&mut ChainBlock),
    value: fn(&ChainBlock) -> String,
}

const FIELDS: [Field; 5] = [
    Field {
        name: "gas_used",
        tamper: |block| block.header.gas_used += 1,
        value: |block| block.header.gas_used.to_string(),
    },
    Field {
        name: "receipts_root",
        tamper: |block| block.header.receipts_root = B256::repeat_byte(1),
        value: |block| block.header.receipts_root.to_string(),
    },
    Field {
        name: "logs_bloom",
        tamper: |block| block.header.logs_bloom.accrue(BloomInput::Raw(b"never logged")),
        value: |block| block.header.logs_bloom.to_string(),
    },
    Field {
        name: "state_root",
        tamper: |block| block.header.state_root = B256::repeat_byte(2),
        value: |block| block.header.state_root.to_string(),
    },
    Field {
        name: "requests_hash",
        tamper: |block| block.header.requests_hash = Some(B256::repeat_byte(3)),
        value: |block| block.header.requests_hash.unwrap().to_string(),
    },
];

#[test]
fn a_wrong_header_field_is_named_with_both_values() {
    for Field { name, tamper, value } in FIELDS {
        let mut wrong = None;
        let (folder, truth) = tampered(|block| {
            tamper(block);
            wrong = Some(value(block));
        });
        let (wrong, right) = (wrong.unwrap(), value(&truth));
        let outcome = run(folder.path(), false).expect(1);
        let line = format!("{name}: expected {wrong}, found {right}");
        assert!(outcome.stdout.contains(&line), "{line} is missing: {outcome:#?}");
        assert!(outcome.stdout.contains("MISMATCH"), "{outcome:#?}");
        assert!(outcome.stdout.contains("1 of 2 blocks matched"), "{outcome:#?}");
        assert!(outcome.stdout.contains("stands on this block and is not run"), "{outcome:#?}");

        let outcome = run(folder.path(), true).expect(1);
        let lines = outcome.json();
        assert_eq!((&lines[0]["match"], &lines[1]["match"]), (&true.into(), &false.into()));
        let mismatches = lines[1]["mismatches"].as_array().unwrap();
        assert_eq!(mismatches.len(), 1, "{name}: {mismatches:?}");
        let mismatch = &mismatches[0];
        assert_eq!((&mismatch["field"], &mismatch["expected"]), (&name.into(), &wrong.into()));
        assert_eq!(mismatch["found"], right);
        assert_eq!(mismatch["between_lanes"], false);
        if let Some(check) = lines[1]["checks"].get(name) {
            assert_eq!(*check, false, "{name}");
        }
    }
}

#[test]
fn all_wrong_fields_are_named_at_once() {
    let (folder, _) = tampered(|block| {
        block.header.gas_used -= 1;
        block.header.logs_bloom = Bloom::ZERO;
        block.header.state_root = B256::ZERO;
    });
    let lines = run(folder.path(), true).expect(1).json();
    let named: Vec<&str> =
        lines[1]["mismatches"].as_array().unwrap().iter().map(|m| m["field"].as_str().unwrap()).collect();
    assert_eq!(named, ["gas_used", "state_root", "logs_bloom"]);
}

#[test]
fn header_rules_that_are_broken_are_a_mismatch_with_the_class_and_the_values() {
    type Fault = (&'static str, fn(&mut ChainBlock));
    let faults: [Fault; 6] = [
        ("INVALID_BASEFEE_PER_GAS", |block| block.header.base_fee_per_gas = Some(8)),
        ("UNKNOWN_PARENT", |block| block.header.parent_hash = B256::repeat_byte(9)),
        ("INVALID_BLOCK_NUMBER", |block| block.header.number += 1),
        ("INVALID_GASLIMIT", |block| block.header.gas_limit *= 2),
        ("INVALID_TRANSACTIONS_ROOT", |block| block.header.transactions_root = B256::ZERO),
        ("INVALID_WITHDRAWALS_ROOT", |block| block.header.withdrawals_root = Some(B256::ZERO)),
    ];
    for (class, fault) in faults {
        let (folder, _) = tampered(fault);
        let outcome = run(folder.path(), true).expect(1);
        let lines = outcome.json();
        let exception = lines[1]["exception"].as_str().unwrap();
        assert!(exception.contains(class), "{class}: {exception}");
        assert!(!lines[1]["mismatches"].as_array().unwrap().is_empty(), "{class}: {outcome:#?}");
    }
}

/// A copy whose signature is nobody's.
fn unsigned(tx: &SignedTx) -> SignedTx {
    let tx: EthereumTypedTransaction<TxEip4844> = tx.clone().into();
    tx.into_envelope(Signature::new(U256::ZERO, U256::ONE, false))
}

#[test]
fn a_transaction_that_is_invalid_where_it_stands_is_bad_input_with_its_index_and_the_reason() {
    type Fault = (usize, &'static str, fn(&mut Vec<SignedTx>));
    let faults: [Fault; 4] = [
        // The first once more: its nonce is past.
        (30, "NONCE", |transactions| transactions.push(transactions[0].clone())),
        (0, "NONCE", |transactions| {
            let last = transactions.last().unwrap().clone();
            transactions.insert(0, last);
        }),
        (3, "signature", |transactions| transactions[3] = unsigned(&transactions[3])),
        (29, "signature", |transactions| transactions[29] = unsigned(&transactions[29])),
    ];
    for (index, reason, fault) in faults {
        let (folder, _) = tampered(|block| {
            fault(&mut block.body.transactions);
            reseal_transactions(block);
        });
        let outcome = run(folder.path(), true).expect(2);
        let [complaint] = outcome.complaints()[..] else { panic!("{outcome:#?}") };
        assert!(complaint.starts_with(arg(folder.path())), "{complaint}");
        assert!(complaint.contains(&format!("transaction {index}")), "{complaint}");
        assert!(complaint.contains(reason), "{complaint}");
        assert_eq!(outcome.json()[1]["match"], false);
    }
}
