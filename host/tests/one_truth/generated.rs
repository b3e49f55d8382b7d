//! Chains made for the purpose: all kinds, and blocks whose shape real ones seldom have.

use crate::runner::{assert_all_match, on_the_adapter, on_the_cpu};
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Address, Bytes, TxKind, U256, bytes, map::HashMap};
use outrider::{
    block::{BlockContext, SignedTx},
    generate::{BlockDraft, ChainBuilder, GenerateOptions, Kind, Wallet, generate},
    plan::Plan,
    reconcile::{self, Reconciled},
    route::{Lane, route},
    spec::ChainSpec,
};
use revm::primitives::hardfork::SpecId;

#[test]
fn generated_chains_of_every_kind_match_on_every_way() {
    for (kind, seed) in [(Kind::Transfers, 11), (Kind::Hot, 12), (Kind::Mixed, 13), (Kind::Mixed, 14)] {
        let options = GenerateOptions { kind, txs_per_block: 700, blocks: 3, accounts: 60, seed };
        let folder = tempfile::tempdir().unwrap();
        generate(&options, folder.path(), &mut |_| {}).unwrap();
        for way in [on_the_cpu(), on_the_adapter()].concat() {
            let reports = assert_all_match(folder.path(), way);
            assert_eq!(reports.len(), 3);
            for report in reports {
                assert_eq!(report.transactions, 700);
                assert_eq!(report.checks.passed(), 6, "all but the senders, which a chain does not state");
                let plain = if kind == Kind::Mixed { 200..600 } else { 700..701 };
                assert!(plain.contains(&report.lanes.transfer), "{kind}: {:?}", report.lanes);
            }
        }
    }
}

/// `storage[0] += 1`.
const COUNTER: (Address, Bytes) = (Address::repeat_byte(0xc0), bytes!("60005460010160005500"));

/// Long runs of transfers between calls that all touch one slot: the lane works on many threads
/// while others speculate.
#[test]
fn long_runs_between_contended_calls_match_with_any_number_of_threads() {
    let wallets: Vec<Wallet> = (0..40).map(|index| Wallet::derive(21, index)).collect();
    let funds = GenesisAccount::default().with_balance(U256::from(1_u64 << 60));
    let contract = GenesisAccount::default().with_nonce(Some(1)).with_code(Some(COUNTER.1));
    let genesis = Genesis { gas_limit: 100_000_000, ..Genesis::default() }
        .extend_accounts(wallets.iter().map(|wallet| (wallet.address(), funds.clone())))
        .extend_accounts([(COUNTER.0, contract)]);
    let mut chain = ChainBuilder::with_spec(&genesis, ChainSpec::from_network("Cancun", 1, []).unwrap());
    let (transactions, senders) = long_runs(&wallets);
    let before = chain.world().clone();
    let draft = BlockDraft {
        transactions,
        senders,
        seconds: 12,
        beneficiary: wallets[3].address(),
        ..BlockDraft::default()
    };
    let sealed = chain.append(draft).unwrap();
    let context = BlockContext {
        spec: chain.spec(),
        header: &sealed.block.header,
        transactions: &sealed.block.body.transactions,
        senders: &sealed.senders,
        authorities: &HashMap::default(),
        ommers: &[],
        withdrawals: Some(&[]),
    };
    let has_code = |address: &Address| *address == COUNTER.0;
    let lanes: Vec<Lane> =
        context.transactions.iter().map(|tx| route(tx, SpecId::CANCUN, has_code)).collect();
    let plan = Plan::new(&lanes, context.senders);
    for way in [on_the_cpu(), on_the_adapter()].concat() {
        for _ in 0..5 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(way.threads).build().unwrap();
            let done =
                pool.install(|| reconcile::execute(&context, &before, &plan, way.accelerator)).unwrap();
            let Reconciled { executed, lanes, .. } = done;
            assert_eq!(
                executed.changes.first_difference(&sealed.executed.changes, &before),
                None,
                "{}",
                way.name
            );
            assert!(executed == sealed.executed, "{}", way.name);
            assert_eq!((lanes.transfer, lanes.evm), (4 * 600, 4 * 12), "{}", way.name);
        }
    }
}

fn long_runs(wallets: &[Wallet]) -> (Vec<SignedTx>, Vec<Address>) {
    let mut nonces = vec![0; wallets.len()];
    let mut signed = Vec::new();
    for index in 0..4 * (600 + 12) {
        let sender = (index * 7) % wallets.len();
        let call = index % 612 >= 600;
        let tx = TxEip1559 {
            chain_id: 1,
            nonce: nonces[sender],
            gas_limit: if call { 100_000 } else { 21_000 },
            max_fee_per_gas: 1_000_000_000,
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(if call { COUNTER.0 } else { wallets[index % 5].address() }),
            value: U256::from(if call { 0 } else { index }),
            ..TxEip1559::default()
        };
        nonces[sender] += 1;
        let signature = wallets[sender].sign(tx.signature_hash());
        signed.push((SignedTx::Eip1559(tx.into_signed(signature)), wallets[sender].address()));
    }
    signed.into_iter().unzip()
}
