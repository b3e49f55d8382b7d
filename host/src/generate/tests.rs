use super::*;
use alloy_consensus::{Transaction, TxReceipt, TxType};
use alloy_primitives::keccak256;
use std::{collections::BTreeSet, fs, path::Path};

fn options(kind: Kind, txs_per_block: usize, blocks: usize, accounts: usize) -> GenerateOptions {
    GenerateOptions { kind, txs_per_block, blocks, accounts, seed: 42 }
}

fn files(folder: &Path) -> [Vec<u8>; 2] {
    ["genesis.json", "chain.rlp"].map(|name| fs::read(folder.join(name)).unwrap())
}

#[test]
fn a_seed_gives_the_same_bytes_on_any_number_of_threads() {
    for kind in Kind::ALL {
        let options = options(kind, 60, 3, 20);
        let folders = [1, 3].map(|threads| {
            let folder = tempfile::tempdir().unwrap();
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| generate(&options, folder.path(), &mut |_| {})).unwrap();
            files(folder.path())
        });
        assert!(folders[0] == folders[1], "{kind}");
        let other = tempfile::tempdir().unwrap();
        generate(&GenerateOptions { seed: 43, ..options }, other.path(), &mut |_| {}).unwrap();
        assert!(files(other.path())[1] != folders[0][1], "{kind}: the seed counts");
    }
}

#[test]
fn every_signature_recovers_to_its_sender() {
    let mut generator = Generator::new(&options(Kind::Mixed, 200, 1, 16)).unwrap();
    let sealed = generator.next_block().unwrap();
    for (tx, sender) in sealed.block.body.transactions.iter().zip(&sealed.senders) {
        let recovered = tx.signature().recover_address_from_prehash(&tx.signature_hash()).unwrap();
        assert_eq!(recovered, *sender);
    }
}

#[test]
fn headers_follow_from_their_parents() {
    let mut generator = Generator::new(&options(Kind::Mixed, 40, 4, 16)).unwrap();
    for number in 1..=4 {
        let parent = generator.chain().head().clone();
        let sealed = generator.next_block().unwrap();
        let header = &sealed.block.header;
        assert_eq!(header.number, number);
        assert_eq!(header.parent_hash, parent.hash_slow());
        assert_eq!(sealed.hash, header.hash_slow());
        assert_eq!(header.gas_limit, parent.gas_limit);
        assert!(header.base_fee_per_gas <= parent.base_fee_per_gas);
        assert!(header.gas_used <= header.gas_limit / 2, "{} of {}", header.gas_used, header.gas_limit);
        assert_eq!(header.state_root, crate::state::StateTrie::new(generator.world()).root());
        let transactions = &sealed.block.body.transactions;
        assert_eq!(
            header.transactions_root,
            alloy_consensus::proofs::calculate_transaction_root(transactions)
        );
        assert_eq!(sealed.executed.receipts.len(), 40);
    }
}

#[test]
fn a_mixed_chain_holds_all_types_and_both_outcomes() {
    let mut generator = Generator::new(&options(Kind::Mixed, 300, 2, 32)).unwrap();
    let mut types = BTreeSet::new();
    let (mut failed, mut logs, mut creations, mut requests) = (0, 0, 0, 0);
    for _ in 0..2 {
        let sealed = generator.next_block().unwrap();
        types.extend(sealed.block.body.transactions.iter().map(|tx| u8::from(tx.tx_type())));
        creations += sealed.block.body.transactions.iter().filter(|&tx| tx.is_create()).count();
        failed += sealed.executed.receipts.iter().filter(|receipt| !receipt.status()).count();
        logs += sealed.executed.receipts.iter().map(|receipt| receipt.logs.len()).sum::<usize>();
        requests += sealed.executed.requests.len();
        assert!(sealed.block.header.withdrawals_root.is_some());
    }
    assert_eq!(types.len(), 5, "{types:?}");
    assert!(failed > 20 && failed < 200, "{failed} failed");
    assert!(logs > 50, "{logs} logs");
    assert!(creations > 5 && requests > 0, "{creations} creations, {requests} requests");
    let delegated = generator.world().accounts().values().filter(|account| account.has_code()).count();
    assert!(delegated > contracts::CONTRACTS.len() + 4, "{delegated} accounts with code");
}

#[test]
fn a_hot_block_is_half_payouts_and_half_deposits() {
    let mut generator = Generator::new(&options(Kind::Hot, 101, 1, 10)).unwrap();
    let sealed = generator.next_block().unwrap();
    let (payouts, deposits) = sealed.block.body.transactions.split_at(50);
    assert!(sealed.senders[..50].iter().all(|sender| *sender == sealed.senders[0]));
    let nonces: Vec<u64> = payouts.iter().map(Transaction::nonce).collect();
    assert_eq!(nonces, (0..50).collect::<Vec<_>>());
    assert!(deposits.iter().all(|tx| tx.to() == deposits[0].to()));
    assert!(payouts.iter().all(|tx| tx.to() != deposits[0].to()));
    assert!(sealed.executed.receipts.iter().all(TxReceipt::status));
    assert_eq!(sealed.executed.gas_used, 101 * 21_000);
}

#[test]
fn a_transfer_chain_keeps_its_base_fee() {
    let mut generator = Generator::new(&options(Kind::Transfers, 2_000, 2, 50)).unwrap();
    for _ in 0..2 {
        let sealed = generator.next_block().unwrap();
        // One eighth under genesis, whose block is empty.
        assert_eq!(sealed.block.header.base_fee_per_gas, Some(875_000_000));
        assert!(sealed.block.body.transactions.iter().all(|tx| tx.tx_type() != TxType::Eip4844));
    }
}

#[test]
fn options_that_make_no_chain_are_refused() {
    let good = options(Kind::Hot, 10, 1, 3);
    for (bad, words) in [
        (GenerateOptions { accounts: 2, ..good }, "cannot have 2 accounts: it takes 3"),
        (GenerateOptions { txs_per_block: 0, ..good }, "cannot have 0 transactions in a block"),
        (GenerateOptions { blocks: 0, ..good }, "cannot have 0 blocks"),
        (GenerateOptions { blocks: usize::MAX, ..good }, "blocks: it takes 1 to 1000000"),
        (GenerateOptions { txs_per_block: 1_000_000, blocks: 1_000_000, ..good }, "transactions: it takes"),
    ] {
        let error = Generator::new(&bad).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert_eq!("hot".parse(), Ok(Kind::Hot));
    let error = "cold".parse::<Kind>().unwrap_err().to_string();
    assert_eq!(error, "unknown kind of chain \"cold\": there are transfers, hot, mixed");
}

#[test]
fn only_an_earlier_chain_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(Kind::Transfers, 5, 1, 2);
    let mut seen = Vec::new();
    let first = generate(&options, folder.path(), &mut |progress| seen.push(progress)).unwrap();
    assert_eq!(seen, [Progress { blocks: 1, blocks_total: 1, transactions: 5 }]);
    assert_eq!(first.chain_bytes, fs::metadata(folder.path().join("chain.rlp")).unwrap().len());
    let second = generate(&GenerateOptions { seed: 1, ..options }, folder.path(), &mut |_| {}).unwrap();
    assert_ne!(first.head_hash, second.head_hash);

    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let before = files(folder.path());
    let error = generate(&options, folder.path(), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("notes.txt"), "{error}");
    assert!(before == files(folder.path()));
}

#[test]
fn the_files_are_what_geth_reads() {
    let folder = tempfile::tempdir().unwrap();
    let generated = generate(&options(Kind::Mixed, 10, 2, 8), folder.path(), &mut |_| {}).unwrap();
    let [genesis, chain] = files(folder.path());
    let genesis: Genesis = serde_json::from_slice(&genesis).unwrap();
    let rebuilt = ChainBuilder::new(&genesis).unwrap();
    assert_eq!(rebuilt.head().hash_slow(), generated.genesis_hash);
    let mut rest = &chain[..];
    let mut parent = generated.genesis_hash;
    while !rest.is_empty() {
        let block: alloy_consensus::Block<crate::block::SignedTx> =
            alloy_rlp::Decodable::decode(&mut rest).unwrap();
        assert_eq!(block.header.parent_hash, parent);
        parent = keccak256(alloy_rlp::encode(&block.header));
    }
    assert_eq!(parent, generated.head_hash);
}
