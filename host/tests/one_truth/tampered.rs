//! Blocks that were changed so that only execution can find out: the lanes and sequential revm must
//! find out the same.

use crate::runner::{Way, assert_one_truth, on_the_adapter, on_the_cpu};
use alloy_consensus::{Block, Transaction, proofs::calculate_transaction_root};
use alloy_primitives::{Address, B256, U256};
use alloy_rlp::Encodable;
use outrider::{
    block::SignedTx,
    generate::{GenerateOptions, Generator, Kind},
};
use std::fs;

/// A linear congruential generator (Knuth's MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// Changes what no rule before execution objects to.
fn tamper(block: &mut Block<SignedTx>, parties: &[Address], random: &mut Random) {
    let transactions = &mut block.body.transactions;
    for _ in 0..=random.below(3) {
        let (at, other) = (random.below(transactions.len()), random.below(transactions.len()));
        match random.below(6) {
            // Whose fees they are changes who has what.
            0 => block.header.beneficiary = parties[random.below(parties.len())],
            1 => block.header.mix_hash = B256::with_last_byte(7),
            2 => transactions.swap(at, other),
            3 => drop(transactions.remove(at)),
            4 => transactions.insert(at, transactions[other].clone()),
            _ => block.header.gas_used = block.header.gas_used.saturating_sub(1),
        }
    }
    block.header.transactions_root = calculate_transaction_root(transactions);
}

#[test]
fn lanes_and_sequential_revm_find_the_same_fault_in_a_tampered_block() {
    let (mut valid, mut invalid, mut differing) = (0, 0, 0);
    for seed in 0..60 {
        let mut random = Random(seed);
        let options =
            GenerateOptions { kind: Kind::Mixed, txs_per_block: 60, blocks: 1, accounts: 10, seed: seed / 6 };
        let mut generator = Generator::new(&options).unwrap();
        let mut block = generator.next_block().unwrap().block;
        let parties: Vec<Address> = block.body.transactions.iter().filter_map(Transaction::to).collect();
        tamper(&mut block, &parties, &mut random);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("genesis.json"), serde_json::to_vec(generator.genesis()).unwrap())
            .unwrap();
        let mut encoded = Vec::new();
        block.encode(&mut encoded);
        fs::write(folder.path().join("chain.rlp"), encoded).unwrap();
        let ways: Vec<Way> =
            if seed % 8 == 0 { [on_the_cpu(), on_the_adapter()].concat() } else { on_the_cpu() };
        let mut verdict = None;
        for way in ways {
            let [report] = &assert_one_truth(folder.path(), way)[..] else { panic!("one block") };
            let found = (report.matched, report.reason.clone(), report.mismatches.clone());
            assert_eq!(*verdict.get_or_insert_with(|| found.clone()), found, "seed {seed}, {}", way.name);
        }
        let (matched, reason, _) = verdict.unwrap();
        match reason {
            None => valid += usize::from(matched),
            Some(reason) if reason.contains("transaction ") => invalid += 1,
            Some(_) => differing += 1,
        }
    }
    eprintln!("{valid} valid, {invalid} with an invalid transaction, {differing} that differ");
    assert!(invalid > 10 && differing > 10);
    assert_eq!(U256::from(valid), U256::ZERO, "every change shows");
}
