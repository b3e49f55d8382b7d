//! The rules against revm, on random transactions with one fault and with several.

use alloy_consensus::{
    Signed, TxEip1559, TxEip2930, TxEip4844, TxEip4844Variant, TxEip7702, TxEnvelope, TxLegacy,
    transaction::Recovered,
};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_evm::{EthEvmFactory, Evm, EvmFactory, FromRecoveredTx};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use revm::{
    context::TxEnv,
    context_interface::result::{EVMError, InvalidTransaction},
    database::{CacheDB, EmptyDB},
    state::AccountInfo,
};

use super::*;

const SENDER: Address = Address::repeat_byte(0xaa);
const CHAIN_ID: u64 = 5;

/// A small generator (xorshift64*): equal seeds, equal transactions.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        let at = usize::try_from(self.next() >> 33).unwrap() % choices.len();
        choices[at].clone()
    }

    /// Mostly the first choice.
    fn rarely<T: Clone>(&mut self, choices: &[T]) -> T {
        if self.next() >> 60 < 12 { choices[0].clone() } else { self.of(choices) }
    }
}

fn transaction(random: &mut Random) -> TxEnvelope {
    let chain_id = random.rarely(&[CHAIN_ID, 1, 0]);
    let nonce = random.rarely(&[7, u64::MAX, u64::MAX - 1]);
    let gas_limit = random.of(&[
        0,
        20_999,
        21_000,
        21_016,
        24_900,
        53_000,
        60_000,
        1 << 24,
        (1 << 24) + 1,
        30_000_000,
        30_000_001,
    ]);
    let max_fee_per_gas = random.rarely(&[100, 99, 10, 9, 0]);
    let max_priority_fee_per_gas = random.rarely(&[1, 0, 99, 100, 101]);
    let to = random.of(&[TxKind::Call(Address::ZERO), TxKind::Create]);
    let length = random.of(&[0, 1, 31, 32, 33, 1_000, 49_152, 49_153, 65_537]);
    let input = Bytes::from(vec![random.of(&[0u8, 0x5b]); length]);
    let item = AccessListItem { address: SENDER, storage_keys: vec![B256::ZERO; 2] };
    let access_list = AccessList(vec![item; random.of(&[0, 0, 1, 10])]);
    let value = U256::from(random.of(&[0u8, 1]));
    let signature = Signature::new(U256::ONE, U256::ONE, false);
    match random.next() >> 32 & 7 {
        0 | 5 => {
            let chain_id = random.of(&[Some(chain_id), None]);
            let tx = TxLegacy { chain_id, nonce, gas_price: max_fee_per_gas, gas_limit, to, value, input };
            Signed::new_unhashed(tx, signature).into()
        }
        1 => {
            let gas_price = max_fee_per_gas;
            let tx = TxEip2930 { chain_id, nonce, gas_price, gas_limit, to, value, access_list, input };
            Signed::new_unhashed(tx, signature).into()
        }
        2 | 6 => {
            let tx = TxEip1559 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to,
                value,
                access_list,
                input,
            };
            Signed::new_unhashed(tx, signature).into()
        }
        3 | 7 => {
            let mut hash = B256::ZERO;
            hash[0] = random.rarely(&[1, 0, 2]);
            let tx = TxEip4844 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to: Address::ZERO,
                value,
                access_list,
                input,
                max_fee_per_blob_gas: random.rarely(&[9, 1, 0]),
                blob_versioned_hashes: vec![hash; random.rarely(&[1, 0, 6, 7, 9, 10])],
            };
            TxEnvelope::Eip4844(Signed::new_unhashed(TxEip4844Variant::TxEip4844(tx), signature))
        }
        _ => {
            let inner = Authorization { chain_id: U256::ZERO, address: Address::ZERO, nonce: 0 };
            let authorization = SignedAuthorization::new_unchecked(inner, 0, U256::ONE, U256::ONE);
            let tx = TxEip7702 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to: Address::ZERO,
                value,
                access_list,
                authorization_list: vec![authorization; random.of(&[0, 1, 2])],
                input,
            };
            Signed::new_unhashed(tx, signature).into()
        }
    }
}

fn header(spec: &ChainSpec) -> Header {
    let fork = spec.fork_at(1, 1);
    Header {
        number: 1,
        timestamp: 1,
        gas_limit: 30_000_000,
        base_fee_per_gas: (fork >= Fork::London).then_some(10),
        excess_blob_gas: (fork >= Fork::Cancun).then_some(5_000_000),
        blob_gas_used: (fork >= Fork::Cancun).then_some(0),
        ..Header::default()
    }
}

/// What revm says of the transaction, from a sender who has the nonce and can pay.
fn revm_verdict(spec: &ChainSpec, header: &Header, tx: &TxEnvelope) -> Option<InvalidTransaction> {
    let mut db = CacheDB::new(EmptyDB::default());
    let rich = AccountInfo { balance: U256::from(u128::MAX), nonce: tx.nonce(), ..AccountInfo::default() };
    db.insert_account_info(SENDER, rich);
    let mut evm = EthEvmFactory::default().create_evm(db, spec.evm_env(header));
    let recovered = Recovered::new_unchecked(tx, SENDER);
    let env = TxEnv::from_recovered_tx(recovered.inner(), recovered.signer());
    match evm.transact_raw(env) {
        Ok(_) => None,
        Err(EVMError::Transaction(reason)) => Some(reason),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_rules_refuse_what_revm_refuses_and_for_its_reason() {
    let seed = 0x0b10_c5ed;
    let mut random = Random(seed);
    for fork in Fork::ALL {
        if matches!(fork, Fork::Bpo3 | Fork::Bpo4 | Fork::Bpo5) {
            continue;
        }
        let spec = ChainSpec::from_network(fork.name(), CHAIN_ID, []).unwrap();
        let header = header(&spec);
        let rules = TransactionRules::new(&spec, &header);
        let mut accepted = 0;
        for round in 0..400 {
            let tx = transaction(&mut random);
            let context = || format!("seed {seed:#x}, {fork}, round {round}: {tx:?}");
            let ours = rules.check(&tx).err();
            let theirs = revm_verdict(&spec, &header, &tx);
            accepted += usize::from(ours.is_none());
            match (ours, theirs.as_ref().map(Exception::of_invalid_transaction)) {
                (None, None) => {}
                // revm has no notion of a chain id that comes too early.
                (Some(Exception::InvalidLegacyV), _) => assert!(fork < Fork::SpuriousDragon),
                // Type before chain id and gas limit: revm asks the other way round.
                (
                    Some(
                        Exception::AccessListTxPreFork
                        | Exception::DynamicFeeTxPreFork
                        | Exception::BlobTxPreFork
                        | Exception::BlobTxZeroBlobsPreFork
                        | Exception::SetCodeTxPreFork,
                    ),
                    Some(Some(_)),
                ) => {}
                // Intrinsic gas is execution's from Amsterdam on.
                (None, Some(Some(Exception::IntrinsicGasTooLow | Exception::IntrinsicGasBelowFloor)))
                    if fork == Fork::Amsterdam => {}
                (ours, theirs) => assert_eq!(ours, theirs.flatten(), "{}", context()),
            }
        }
        assert!(accepted > 10, "{fork}: {accepted} accepted");
    }
}

fn legacy(chain_id: Option<u64>) -> TxEnvelope {
    let tx = TxLegacy { chain_id, gas_limit: 21_000, to: TxKind::Call(SENDER), ..TxLegacy::default() };
    Signed::new_unhashed(tx, Signature::new(U256::ONE, U256::ONE, false)).into()
}

#[test]
fn legacy_transactions_get_a_chain_id_with_spurious_dragon() {
    for (network, with_id) in
        [("EIP150", Some(Exception::InvalidLegacyV)), ("EIP158", None), ("Berlin", None)]
    {
        let spec = ChainSpec::from_network(network, CHAIN_ID, []).unwrap();
        let rules = TransactionRules::new(&spec, &header(&spec));
        assert_eq!(rules.check(&legacy(None)), Ok(()));
        assert_eq!(rules.check(&legacy(Some(CHAIN_ID))).err(), with_id, "{network}");
    }
    let spec = ChainSpec::from_network("EIP158", CHAIN_ID, []).unwrap();
    let rules = TransactionRules::new(&spec, &header(&spec));
    assert_eq!(rules.check(&legacy(Some(6))), Err(Exception::InvalidChainId));
}

#[test]
fn the_first_transaction_at_fault_is_named() {
    let spec = ChainSpec::from_network("Berlin", CHAIN_ID, []).unwrap();
    let rules = TransactionRules::new(&spec, &header(&spec));
    let transactions = [legacy(None), legacy(Some(6)), legacy(Some(7))];
    let verdict = rules.check_all(&transactions).unwrap_err();
    assert_eq!(verdict.transaction, Some(1));
    assert_eq!(rules.check_all(&transactions[..1]), Ok(()));
}
