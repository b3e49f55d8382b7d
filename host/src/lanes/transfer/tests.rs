//! The lane, with revm for what it leaves, against sequential revm through alloy-evm.

mod edges;

use super::*;
use crate::{
    lanes::{ExecutionError, sequential},
    spec::ChainSpec,
    state::{AsDatabase, ChangeSet, Completeness, World},
};
use alloy_consensus::{Header, Signed, Transaction, TxEip1559, TxEip2930, TxLegacy, transaction::Recovered};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_evm::{Evm, EvmEnv, EvmFactory, block::BlockExecutor, eth::EthBlockExecutor, eth::EthEvmFactory};
use alloy_primitives::{B256, Bytes, Signature, TxKind, map::HashMap};
use outrider_kernels::{
    accelerator::{Accelerator, Options},
    gpu::DeviceChoice,
    transfer::scan,
};
use revm::{
    DatabaseCommit,
    context::{TxEnv, result::InvalidTransaction},
    context_interface::Cfg,
    database::{State, states::bundle_state::BundleRetention},
    database_interface::WrapDatabaseRef,
};

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

/// What came of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// Included, with its gas and status.
    Included(u64, bool),
    /// Refused for a reason that the kernel knows.
    Refused(Reason),
    /// Refused for another.
    RefusedElse(String),
}

impl Verdict {
    fn refused(error: &ExecutionError) -> Self {
        match error {
            ExecutionError::GasPoolExceeded { .. } => Self::Refused(Reason::GasPool),
            ExecutionError::InvalidTransaction { error, .. } => match error {
                InvalidTransaction::NonceTooLow { .. } => Self::Refused(Reason::NonceTooLow),
                InvalidTransaction::NonceTooHigh { .. } => Self::Refused(Reason::NonceTooHigh),
                InvalidTransaction::LackOfFundForMaxFee { .. }
                | InvalidTransaction::OverflowPaymentInTransaction => {
                    Self::Refused(Reason::InsufficientFunds)
                }
                other => Self::RefusedElse(format!("{other:?}")),
            },
            other => panic!("{other}"),
        }
    }
}

/// A state, and transactions on it of which some are not valid.
struct Case {
    spec: ChainSpec,
    header: Header,
    world: World,
    transactions: Vec<SignedTx>,
    senders: Vec<Address>,
}

impl Case {
    fn new(fork: &str) -> Self {
        let spec = ChainSpec::from_network(fork, 1, []).unwrap();
        let mut header = Header {
            number: 3,
            timestamp: 50_000,
            gas_limit: 30_000_000,
            beneficiary: BENEFICIARY,
            parent_beacon_block_root: Some(B256::ZERO),
            withdrawals_root: Some(B256::ZERO),
            excess_blob_gas: Some(0),
            blob_gas_used: Some(0),
            ..Header::default()
        };
        if spec.fork_of(&header).spec_id() >= revm::primitives::hardfork::SpecId::LONDON {
            header.base_fee_per_gas = Some(BASE_FEE);
        }
        let world = World::with_capacity(Completeness::Whole, 0);
        Self { spec, header, world, transactions: Vec::new(), senders: Vec::new() }
    }

    fn env(&self) -> EvmEnv {
        self.spec.evm_env(&self.header)
    }

    fn fund(&mut self, address: Address, balance: U256, nonce: u64) {
        self.world.insert(address, balance, nonce, Bytes::new(), []);
    }

    fn code(&mut self, address: Address, code: &[u8]) {
        self.world.insert(address, U256::from(10).pow(U256::from(20)), 1, Bytes::copy_from_slice(code), []);
    }

    fn push(&mut self, sender: Address, tx: SignedTx) {
        self.senders.push(sender);
        self.transactions.push(tx);
    }

    fn block<'a>(
        &'a self,
        authorities: &'a HashMap<usize, Vec<alloy_eips::eip7702::RecoveredAuthority>>,
    ) -> crate::block::BlockContext<'a> {
        crate::block::BlockContext {
            spec: &self.spec,
            header: &self.header,
            transactions: &self.transactions,
            senders: &self.senders,
            authorities,
            ommers: &[],
            withdrawals: None,
        }
    }

    /// Every transaction through alloy-evm; what is refused is left out.
    fn by_revm(&self) -> (Vec<Verdict>, ChangeSet) {
        let none = HashMap::default();
        let block = self.block(&none);
        let state = State::builder()
            .with_database(WrapDatabaseRef(AsDatabase::new(&self.world)))
            .with_bundle_update()
            .build();
        let evm = EthEvmFactory::default().create_evm(state, self.env());
        let mut executor = EthBlockExecutor::new(
            evm,
            sequential::execution_context(&block),
            &self.spec,
            sequential::Receipts,
        );
        let mut verdicts = Vec::new();
        for (index, (tx, sender)) in self.transactions.iter().zip(&self.senders).enumerate() {
            let before = executor.cumulative_tx_gas_used;
            verdicts.push(match executor.execute_transaction(Recovered::new_unchecked(tx, *sender)) {
                Ok(_) => {
                    let status = executor.receipts.last().unwrap().status.coerce_status();
                    Verdict::Included(executor.cumulative_tx_gas_used - before, status)
                }
                Err(error) => Verdict::refused(&ExecutionError::from_alloy(index, error)),
            });
        }
        let state = executor.evm_mut().db_mut();
        state.merge_transitions(BundleRetention::PlainState);
        (verdicts, ChangeSet::from_bundle(&state.bundle_state, &self.world))
    }

    /// By the lane as far as it goes, and through revm where it ends. Also the number that the lane did.
    fn by_lane(
        &self,
        engine: impl Fn(&mut [kernel::Account], &[Transfer], Terms) -> Settled,
    ) -> (Vec<Verdict>, ChangeSet, usize) {
        let env = self.env();
        let rules = TransferRules::new(&env).unwrap();
        let mut state = BlockState::new(&self.world);
        let mut lane = TransferLane::new(true);
        let (mut verdicts, mut gas_used, mut done) = (Vec::new(), 0, 0);
        while verdicts.len() < self.transactions.len() {
            let at = verdicts.len();
            let (rest, senders) = (&self.transactions[at..], &self.senders[at..]);
            let run = lane.run(&rules, &mut state, rest, senders, gas_used, &engine);
            gas_used += run.gas_used.iter().sum::<u64>();
            done += run.gas_used.len();
            verdicts.extend(run.gas_used.iter().map(|gas| Verdict::Included(*gas, true)));
            let at = verdicts.len();
            if run.end == End::All {
                assert_eq!(at, self.transactions.len(), "the lane says that it did all");
                break;
            }
            let verdict = self.one(&env, &mut state, at, gas_used);
            if let (End::Fails(reason), Verdict::Refused(by_revm)) = (run.end, &verdict) {
                assert_eq!(reason, *by_revm, "transaction {at}");
            }
            let halts =
                matches!(run.end, End::Fails(Reason::RecipientOverflow | Reason::FeeRecipientOverflow));
            let fails = matches!(run.end, End::Fails(_)) && !halts;
            assert!(
                !fails || matches!(verdict, Verdict::Refused(_)),
                "transaction {at}: {:?}, {verdict:?}",
                run.end
            );
            if let Verdict::Included(gas, _) = verdict {
                gas_used += gas;
            }
            verdicts.push(verdict);
        }
        (verdicts, state.into_changes(), done)
    }

    fn one(&self, env: &EvmEnv, state: &mut BlockState<'_>, index: usize, gas_used: u64) -> Verdict {
        let tx = &self.transactions[index];
        // As alloy-evm counts it.
        let counted = tx.gas_limit().min(env.cfg_env.tx_gas_limit_cap());
        if counted > env.block_env.gas_limit - gas_used {
            return Verdict::Refused(Reason::GasPool);
        }
        let tx_env = <TxEnv as alloy_evm::FromRecoveredTx<_>>::from_recovered_tx(tx, self.senders[index]);
        let mut evm = EthEvmFactory::default().create_evm(&mut *state, env.clone());
        let result = evm.transact(tx_env);
        drop(evm);
        match result {
            Ok(outcome) => {
                state.commit(outcome.state);
                Verdict::Included(outcome.result.tx_gas_used(), outcome.result.is_success())
            }
            Err(error) => Verdict::refused(&ExecutionError::from_evm(index, error)),
        }
    }

    /// Asserts that lane and revm agree, with both CPU engines; returns how many the lane did.
    fn assert_equal(&self, what: &str) -> usize {
        let (verdicts, changes) = self.by_revm();
        let scan = |accounts: &mut [kernel::Account], transfers: &[Transfer], terms: Terms| {
            scan::run(accounts, transfers, terms).unwrap_or_else(|| serial::run(accounts, transfers, terms))
        };
        let mut done = 0;
        for (name, (ours, our_changes, by_lane)) in
            [("serial", self.by_lane(serial::run)), ("scan", self.by_lane(scan))]
        {
            for (index, (ours, theirs)) in ours.iter().zip(&verdicts).enumerate() {
                assert_eq!(
                    ours, theirs,
                    "{what}, {name}: transaction {index}: {:?}",
                    self.transactions[index]
                );
            }
            assert_eq!(our_changes.first_difference(&changes, &self.world), None, "{what}, {name}");
            assert_eq!(our_changes, changes, "{what}, {name}");
            done = by_lane;
        }
        done
    }
}

const BENEFICIARY: Address = Address::repeat_byte(0xbe);
const BASE_FEE: u64 = 1_000;
const FORKS: [&str; 9] = [
    "Frontier",
    "Homestead",
    "TangerineWhistle",
    "SpuriousDragon",
    "Berlin",
    "London",
    "Cancun",
    "Prague",
    "Osaka",
];

fn legacy(nonce: u64, to: Address, value: U256, gas_price: u128) -> TxLegacy {
    TxLegacy {
        chain_id: None,
        nonce,
        gas_price,
        gas_limit: 21_000,
        to: TxKind::Call(to),
        value,
        input: Bytes::new(),
    }
}

fn signed<T>(tx: T) -> SignedTx
where
    Signed<T>: Into<SignedTx>,
{
    Signed::new_unchecked(tx, Signature::test_signature(), B256::ZERO).into()
}

fn eoa(id: u8) -> Address {
    Address::repeat_byte(id)
}

/// A random batch among a few accounts of every sort.
fn random_case(fork: &str, seed: u64, beneficiary_is_party: bool, faulty: bool) -> Case {
    let mut random = Random(seed);
    let mut case = Case::new(fork);
    let london = case.header.base_fee_per_gas.is_some();
    let berlin = case.env().cfg_env.spec.is_enabled_in(revm::primitives::hardfork::SpecId::BERLIN);
    let prague = case.env().cfg_env.spec.is_enabled_in(revm::primitives::hardfork::SpecId::PRAGUE);
    let mut people: Vec<Address> = (1..=9).map(eoa).collect();
    for (index, person) in people.clone().into_iter().enumerate() {
        // The last ones do not exist.
        if index < 7 {
            let balance = U256::from(random.next()) << random.pick(&[0, 10, 20]);
            case.fund(person, balance, random.below(3));
        }
    }
    if beneficiary_is_party {
        case.fund(BENEFICIARY, U256::from(1_u64 << 50), 0);
        people.push(BENEFICIARY);
    }
    let contract = eoa(0xc0);
    case.code(contract, &[0x60, 0, 0x50]);
    let empty = eoa(0xe0);
    case.fund(empty, U256::ZERO, 0);
    let delegated = eoa(0xd0);
    if prague {
        case.code(delegated, &[&[0xef, 0x01, 0x00][..], contract.as_slice()].concat());
    }
    let mut nonces: HashMap<Address, u64> = HashMap::default();
    for _ in 0..120 {
        let mut sender = if random.one_in(3) { people[0] } else { random.pick(&people) };
        if prague && random.one_in(12) {
            sender = delegated;
        }
        if faulty && random.one_in(30) {
            sender = contract;
        }
        let to = match random.below(24) {
            0 => sender,
            1 => contract,
            2 if prague => delegated,
            3 => Address::with_last_byte(u8::try_from(1 + random.below(4)).unwrap()),
            4 => empty,
            5 => eoa(u8::try_from(0x20 + random.below(60)).unwrap()),
            6..12 => people[1],
            _ => random.pick(&people),
        };
        let start = case.world.accounts().get(&sender).map_or(0, |account| account.nonce);
        let nonce = nonces.entry(sender).or_insert(start);
        let price = match random.below(5) {
            0 if london => u128::from(BASE_FEE),
            0 => 0,
            _ => u128::from(BASE_FEE + random.below(1 << 20)),
        };
        let mut tx = legacy(*nonce, to, U256::from(random.next() >> random.below(64)), price);
        tx.gas_limit = 21_000 + random.pick(&[0, 0, 0, 1, 500, 60_000]);
        let mut valid = true;
        if random.one_in(5) {
            tx.value = U256::ZERO;
        }
        if random.one_in(8) {
            tx.input = Bytes::from(vec![
                u8::try_from(random.below(2)).unwrap();
                1 + usize::try_from(random.below(90)).unwrap()
            ]);
            tx.gas_limit += 4_000;
        }
        if faulty && random.one_in(9) {
            valid = false;
            match random.below(9) {
                0 => tx.nonce += 1,
                1 => tx.nonce = tx.nonce.wrapping_sub(1),
                2 => tx.value = U256::from(1) << 120,
                3 => tx.value = U256::MAX,
                4 => tx.gas_limit = 20_999,
                5 => tx.gas_limit = 29_900_000,
                6 => tx.gas_price = if london { u128::from(BASE_FEE) - 1 } else { u128::MAX },
                7 => tx.chain_id = Some(2),
                _ => tx.gas_price = u128::MAX >> 20,
            }
        }
        let access_list = if random.one_in(3) { Vec::new() } else { vec![AccessListItem::default()] };
        let access_list = AccessList(access_list);
        let input = tx.input.clone();
        let TxLegacy { nonce: at, gas_limit, gas_price, value, to: kind, .. } = tx;
        let signed = match random.below(3) {
            0 if berlin => {
                let gas_limit = gas_limit + 2_400;
                signed(TxEip2930 {
                    chain_id: 1,
                    nonce: at,
                    gas_price,
                    gas_limit,
                    to: kind,
                    value,
                    access_list,
                    input,
                })
            }
            1 if london => {
                let max_priority_fee_per_gas = match random.below(4) {
                    0 => 0,
                    1 if faulty => gas_price.saturating_add(1),
                    _ => gas_price / 3,
                };
                signed(TxEip1559 {
                    chain_id: 1,
                    nonce: at,
                    gas_limit: gas_limit + 2_400,
                    max_fee_per_gas: gas_price,
                    max_priority_fee_per_gas,
                    to: kind,
                    value,
                    access_list,
                    input,
                })
            }
            _ => signed(tx),
        };
        *nonce += u64::from(valid);
        case.push(sender, signed);
    }
    case
}

#[test]
fn random_hot_batches_equal_sequential_revm_in_every_fork() {
    for fork in FORKS {
        let (mut done, mut all) = (0, 0);
        for seed in 0..30 {
            let case = random_case(fork, seed, seed % 2 == 0, seed % 3 != 0);
            done += case.assert_equal(&format!("{fork}, seed {seed}"));
            all += case.transactions.len();
        }
        eprintln!("{fork}: {done} of {all} by the lane");
        assert!(3 * done > all, "{fork}: only {done} of {all} by the lane");
    }
}

#[test]
fn random_hot_batches_equal_sequential_revm_with_a_device_behind_the_lane() {
    let Some(device) = device() else { return };
    for (seed, fork) in FORKS.into_iter().enumerate() {
        let case = random_case(fork, 100 + seed as u64, true, seed % 2 == 0);
        let (verdicts, changes) = case.by_revm();
        let (ours, our_changes, _) =
            case.by_lane(|accounts, transfers, terms| device.transfer_scan(accounts, transfers, terms));
        assert_eq!(ours, verdicts, "{fork}");
        assert_eq!(our_changes, changes, "{fork}");
    }
    let transfers = device.counts().into_iter().find(|(name, _)| *name == "transfer").unwrap().1;
    assert!(transfers.gpu > 300 && transfers.redone == 0, "{transfers:?}");
}

/// An accelerator with a device, or `None` and a word about it.
fn device() -> Option<Accelerator> {
    match Accelerator::open(&DeviceChoice::Gpu, &Options::default()) {
        Ok(device) => Some(device),
        Err(error) => {
            let is_required = std::env::var_os("OUTRIDER_REQUIRE_GPU").is_some_and(|value| value == "1");
            assert!(!is_required, "OUTRIDER_REQUIRE_GPU=1, but {error}");
            eprintln!("skipped: {error}");
            None
        }
    }
}

#[test]
fn many_failures_cost_few_scans() {
    let mut case = Case::new("Prague");
    case.header.gas_limit = 1 << 40;
    case.fund(eoa(1), U256::from(1_u64 << 60), 0);
    for index in 0..600 {
        // Every third comes with a nonce too high.
        let nonce = 2 * (index / 3) + index % 3 + if index % 3 == 2 { 9 } else { 0 };
        case.push(eoa(1), signed(legacy(nonce, eoa(2), U256::from(index), 2_000)));
    }
    let scans = std::cell::Cell::new(0);
    let (verdicts, changes, done) = case.by_lane(|accounts, transfers, terms| {
        scans.set(scans.get() + 1);
        serial::run(accounts, transfers, terms)
    });
    assert_eq!((verdicts, changes), case.by_revm());
    assert_eq!(done, 400);
    assert_eq!(scans.get(), 3, "one scan and two rescans");
}
