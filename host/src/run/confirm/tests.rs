//! The comparison must see every field: a difference that it does not see is one that no test sees.

use super::*;
use crate::{
    block::{Eip658Value, Receipt},
    ingest::Prestate,
    spec::ChainSpec,
    state::{Account, BlockState, ChangeSet},
};
use alloy_consensus::TxType;
use alloy_primitives::{Address, B256, Bytes, Log, U256};

fn executed() -> Executed {
    let log = Log::new_unchecked(Address::ZERO, vec![B256::ZERO], Bytes::from_static(&[1]));
    let receipt = Receipt {
        tx_type: TxType::Legacy,
        status: Eip658Value::Eip658(true),
        cumulative_gas_used: 21_000,
        logs: vec![log],
    };
    let changed = Account { balance: U256::from(5), nonce: 1, ..Account::default() };
    Executed {
        receipts: vec![receipt.clone(), Receipt { cumulative_gas_used: 42_000, ..receipt }],
        gas_used: 42_000,
        requests: Default::default(),
        block_access_list_hash: None,
        changes: changes(changed),
    }
}

fn changes(account: Account) -> ChangeSet {
    let world = crate::state::World::from_prestate(Prestate::default());
    let mut state = BlockState::new(&world);
    state.set_account(Address::repeat_byte(1), Some(account));
    state.into_changes()
}

#[test]
fn every_field_of_an_outcome_is_compared() {
    let chain = Chain::load(ChainSpec::mainnet(), None, Prestate::default()).unwrap();
    let truth = executed();
    assert_eq!(first_difference(&truth, &truth, &chain), None);
    let account = truth.changes.accounts[&Address::repeat_byte(1)].account.unwrap();
    type Fault = (&'static str, Box<dyn Fn(&mut Executed)>);
    let slot = (U256::from(1), U256::from(2));
    let faults: Vec<Fault> = vec![
        ("receipt", Box::new(|e| e.receipts[1].status = Eip658Value::Eip658(false))),
        ("receipt", Box::new(|e| e.receipts[0].cumulative_gas_used += 1)),
        ("receipt", Box::new(|e| e.receipts[1].tx_type = TxType::Eip1559)),
        ("receipt", Box::new(|e| e.receipts[1].logs.clear())),
        ("receipt", Box::new(|e| e.receipts[0].logs[0].data = Default::default())),
        ("receipts", Box::new(|e| e.receipts.truncate(1))),
        ("gas_used", Box::new(|e| e.gas_used += 1)),
        ("requests", Box::new(|e| e.requests.push_request(vec![0, 1].into()))),
        ("post-state", Box::new(move |e| e.changes = changes(Account { balance: U256::from(6), ..account }))),
        ("post-state", Box::new(move |e| e.changes = changes(Account { nonce: 2, ..account }))),
        ("post-state", Box::new(move |e| e.changes = changes(Account { code_hash: B256::ZERO, ..account }))),
        ("post-state", Box::new(|e| e.changes = ChangeSet::default())),
        (
            "post-state",
            Box::new(move |e| {
                e.changes.accounts.get_mut(&Address::repeat_byte(1)).unwrap().storage.extend([slot]);
            }),
        ),
    ];
    for (index, (field, fault)) in faults.iter().enumerate() {
        let mut ours = executed();
        fault(&mut ours);
        let difference = first_difference(&ours, &truth, &chain).map(|(field, ..)| field);
        assert_eq!(difference, Some(*field), "fault {index}");
        let difference = first_difference(&truth, &ours, &chain).map(|(field, ..)| field);
        assert_eq!(difference, Some(*field), "fault {index}, the other way round");
    }
}
