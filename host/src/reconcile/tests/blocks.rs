//! Random blocks among few accounts, so that nearly every transaction depends on another.

use super::contracts::{CONTRACTS, COUNTER, FACTORY, FACTORY2, INIT_CODES, MORTAL, RELAY};
use crate::{
    block::{BlockContext, SignedTx},
    generate::Wallet,
    lanes::{ExecutionError, sequential},
    spec::{ChainSpec, Fork},
    state::{AsDatabase, Completeness, World},
};
use alloy_consensus::{
    EthereumTypedTransaction, Header, SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702,
    TxLegacy, transaction::Recovered,
};
use alloy_eips::{
    eip4895::Withdrawal,
    eip7702::{Authorization, RecoveredAuthority},
};
use alloy_evm::{Evm, EvmFactory, block::BlockExecutor, eth::EthBlockExecutor, eth::EthEvmFactory};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256, map::HashMap};
use revm::{Database, database::State, database_interface::WrapDatabaseRef};
use std::sync::LazyLock;

/// `SplitMix64`.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()].clone()
    }
}

/// People who sign; the last ones have nothing at first.
static WALLETS: LazyLock<Vec<Wallet>> =
    LazyLock::new(|| (0..24).map(|index| Wallet::derive(9, index)).collect());
const FUNDED: usize = 20;
/// Bytes of the addresses of more contracts like [`MORTAL`].
const MORTALS: [u8; 6] = [0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5];
const BASE_FEE: u64 = 1_000;
const BLOCK_GAS_LIMIT: u64 = 30_000_000;

/// A block with the state before it.
pub(super) struct Case {
    pub(super) spec: ChainSpec,
    pub(super) header: Header,
    pub(super) world: World,
    pub(super) transactions: Vec<SignedTx>,
    pub(super) senders: Vec<Address>,
    pub(super) authorities: HashMap<usize, Vec<RecoveredAuthority>>,
    withdrawals: Option<Vec<Withdrawal>>,
    /// Where things happen: contracts, people, accounts to come, the fee recipient.
    places: Vec<Address>,
}

impl Case {
    /// A block of at most `count` valid transactions under the rules of `fork`.
    pub(super) fn random(fork: Fork, seed: u64, count: usize) -> Self {
        let mut random = Random(seed ^ ((fork as u64) << 32));
        let mut case = Self::empty(fork, &mut random);
        case.fill(&mut random, count);
        case
    }

    /// The same, with storage where contracts are to be made: neither code nor nonce protects it.
    pub(super) fn on_bare_storage(fork: Fork, seed: u64, count: usize) -> Self {
        let mut random = Random(seed);
        let mut case = Self::empty(fork, &mut random);
        for address in &children()[MORTALS.len()..] {
            let slots = [(U256::from(7), U256::from(8)), (U256::from(6), U256::from(1))];
            case.world.insert(*address, U256::from(random.below(2)), 0, Bytes::new(), slots);
        }
        case.fill(&mut random, count);
        case
    }

    /// The same over accounts at the ends of what numbers hold, and code that no one could deploy.
    pub(super) fn on_extremes(fork: Fork, seed: u64, count: usize) -> Self {
        let mut random = Random(seed);
        let mut case = Self::empty(fork, &mut random);
        for wallet in WALLETS.iter() {
            let balance =
                random.pick(&[U256::MAX, U256::MAX >> 1, U256::from(1) << 200, U256::from(1_u64 << 50)]);
            let nonce = random.pick(&[0, 5, u64::MAX - 2, u64::MAX - 1, u64::MAX]);
            case.world.insert(wallet.address(), balance, nonce, Bytes::new(), []);
        }
        let delegation = |to: Address| [&[0xef, 0x01, 0x00][..], to.as_slice()].concat();
        let codes: [Vec<u8>; 5] = [
            vec![0xef],
            vec![0xef, 0x01, 0x00],
            delegation(COUNTER.address()),
            delegation(Address::repeat_byte(MORTALS[3])),
            vec![0xef, 0x00, 0x01],
        ];
        for (id, code) in MORTALS.into_iter().zip(codes) {
            let balance = random.pick(&[U256::MAX, U256::from(3)]);
            let slots = [(U256::MAX, U256::MAX), (U256::from(5), U256::MAX)];
            case.world.insert(Address::repeat_byte(id), balance, u64::MAX - 1, code.into(), slots);
        }
        case.fill(&mut random, count);
        case
    }

    fn empty(fork: Fork, random: &mut Random) -> Self {
        let spec = ChainSpec::from_network(fork.name(), 1, []).unwrap();
        let mut world = World::with_capacity(Completeness::Whole, 64);
        for wallet in WALLETS.iter().take(FUNDED) {
            let balance = U256::from(10_u64.pow(15) + random.below(1 << 40));
            world.insert(wallet.address(), balance, random.below(3), Bytes::new(), []);
        }
        for contract in &CONTRACTS {
            let balance = U256::from(random.below(2) * 1_000_000);
            let slots = (0..4).map(|slot| (U256::from(slot), U256::from(random.below(3))));
            world.insert(contract.address(), balance, 1, Bytes::from_static(contract.code), slots);
        }
        for address in MORTALS.map(Address::repeat_byte) {
            let slots = [(U256::from(5), U256::from(5)), (U256::from(7), U256::from(1))];
            world.insert(address, U256::from(9), 1, Bytes::from_static(MORTAL.code), slots);
        }
        let empty = Address::repeat_byte(0xe0);
        if random.one_in(2) {
            world.insert(empty, U256::ZERO, 0, Bytes::new(), []);
        }
        let mut places: Vec<Address> = CONTRACTS.iter().map(super::contracts::Contract::address).collect();
        places.extend(children());
        places.extend(WALLETS.iter().map(Wallet::address));
        places.extend([
            empty,
            Address::repeat_byte(0xee),
            Address::with_last_byte(1),
            Address::with_last_byte(4),
        ]);
        let beneficiary = match random.below(4) {
            0 => Address::repeat_byte(0xfe),
            1 => WALLETS[0].address(),
            _ => random.pick(&places),
        };
        places.extend([beneficiary; 6]);
        let header = Self::header(&spec, fork, beneficiary);
        let withdrawals = (fork >= Fork::Shanghai).then(|| {
            let to = |index| Withdrawal {
                index,
                validator_index: 0,
                address: random.pick(&places),
                amount: index % 2,
            };
            (0..4).map(to).collect()
        });
        Self {
            spec,
            header,
            world,
            transactions: Vec::new(),
            senders: Vec::new(),
            authorities: HashMap::default(),
            withdrawals,
            places,
        }
    }

    fn header(spec: &ChainSpec, fork: Fork, beneficiary: Address) -> Header {
        let cancun = fork >= Fork::Cancun;
        let header = Header {
            number: 3,
            timestamp: 50_000,
            gas_limit: BLOCK_GAS_LIMIT,
            beneficiary,
            base_fee_per_gas: (fork >= Fork::London).then_some(BASE_FEE),
            parent_beacon_block_root: cancun.then_some(B256::ZERO),
            withdrawals_root: (fork >= Fork::Shanghai).then_some(B256::ZERO),
            excess_blob_gas: cancun.then_some(0),
            blob_gas_used: cancun.then_some(0),
            ..Header::default()
        };
        assert_eq!(spec.fork_of(&header), fork);
        header
    }

    pub(super) fn block(&self) -> BlockContext<'_> {
        BlockContext {
            spec: &self.spec,
            header: &self.header,
            transactions: &self.transactions,
            senders: &self.senders,
            authorities: &self.authorities,
            ommers: &[],
            withdrawals: self.withdrawals.as_deref(),
        }
    }

    pub(super) fn fork(&self) -> Fork {
        self.spec.fork_of(&self.header)
    }

    /// Draws transactions and keeps those that sequential revm includes.
    fn fill(&mut self, random: &mut Random, count: usize) {
        let (mut transactions, mut senders) = (Vec::new(), Vec::new());
        let mut authorities = HashMap::default();
        {
            let block = self.block();
            let state = State::builder().with_database(WrapDatabaseRef(AsDatabase::new(&self.world))).build();
            let evm = EthEvmFactory::default().create_evm(state, self.spec.evm_env(&self.header));
            let context = sequential::execution_context(&block);
            let mut executor = EthBlockExecutor::new(evm, context, &self.spec, sequential::Receipts);
            executor.apply_pre_execution_changes().unwrap();
            for _ in 0..count {
                let sender = random.pick(&WALLETS).address();
                let db = executor.evm_mut().db_mut();
                let mut nonce_of = |address| db.basic(address).unwrap().map_or(0, |account| account.nonce);
                let (tx, tuples) = self.draw(random, sender, &mut nonce_of);
                if executor.execute_transaction(Recovered::new_unchecked(&tx, sender)).is_ok() {
                    if !tuples.is_empty() {
                        authorities.insert(transactions.len(), tuples);
                    }
                    transactions.push(tx);
                    senders.push(sender);
                }
            }
        }
        (self.transactions, self.senders, self.authorities) = (transactions, senders, authorities);
    }

    /// A transaction, which need not be valid, and the authorities of its tuples.
    fn draw(
        &self,
        random: &mut Random,
        sender: Address,
        nonce_of: &mut impl FnMut(Address) -> u64,
    ) -> (SignedTx, Vec<RecoveredAuthority>) {
        let fork = self.fork();
        let gas_price = match random.below(4) {
            0 if fork >= Fork::London => u128::from(BASE_FEE),
            0 => 0,
            _ => u128::from(BASE_FEE + random.below(1 << 20)),
        };
        let (to, input) = self.errand(random);
        let value = if random.one_in(2) { U256::ZERO } else { U256::from(random.below(100_000)) };
        let gas_limit = random.pick(&[21_000, 60_000, 200_000, 200_000, 400_000]);
        let nonce = nonce_of(sender);
        if let (true, TxKind::Call(to)) = (fork >= Fork::Prague && random.one_in(5), to) {
            let (list, tuples) = self.authorize(random, nonce_of);
            let tx = TxEip7702 {
                chain_id: 1,
                nonce,
                gas_limit: gas_limit + 100_000,
                max_fee_per_gas: gas_price,
                max_priority_fee_per_gas: gas_price,
                to,
                value,
                access_list: Default::default(),
                authorization_list: list,
                input,
            };
            return (sealed(tx), tuples);
        }
        let legacy = TxLegacy { chain_id: None, nonce, gas_price, gas_limit, to, value, input };
        let tx = match random.below(3) {
            0 if fork >= Fork::London => dynamic_fee(legacy, random.pick(&[0, gas_price])),
            1 if fork >= Fork::Berlin => access_list(legacy),
            _ => sealed(legacy),
        };
        (tx, Vec::new())
    }

    /// Where to, and with what.
    fn errand(&self, random: &mut Random) -> (TxKind, Bytes) {
        let place = random.pick(&self.places);
        let target = match random.below(12) {
            0 => return (TxKind::Create, Bytes::from_static(random.pick(&INIT_CODES))),
            1 | 2 => FACTORY2.address(),
            3 => FACTORY.address(),
            4..8 => random.pick(&CONTRACTS.map(|contract| contract.address())),
            8..10 => random.pick(&children()),
            10 => MORTAL.address(),
            _ => place,
        };
        let input = if target == FACTORY.address() {
            random.pick(&INIT_CODES).to_vec()
        } else if target == FACTORY2.address() {
            let salt = B256::with_last_byte(u8::try_from(random.below(2)).unwrap());
            [salt.as_slice(), random.pick(&INIT_CODES)].concat()
        } else if target == RELAY.address() {
            let behind = if random.one_in(2) { Vec::new() } else { self.words(random) };
            [place.into_word().as_slice(), &behind].concat()
        } else if random.one_in(4) || (target == MORTAL.address() && random.one_in(2)) {
            Vec::new()
        } else {
            self.words(random)
        };
        (TxKind::Call(target), input.into())
    }

    /// Three words, each a slot or an address.
    fn words(&self, random: &mut Random) -> Vec<u8> {
        let mut word = || match random.below(2) {
            0 => B256::with_last_byte(u8::try_from(random.below(3)).unwrap()),
            _ => random.pick(&self.places).into_word(),
        };
        [word(), word(), word()].concat()
    }

    /// Delegations that mostly take effect.
    fn authorize(
        &self,
        random: &mut Random,
        nonce_of: &mut impl FnMut(Address) -> u64,
    ) -> (Vec<alloy_eips::eip7702::SignedAuthorization>, Vec<RecoveredAuthority>) {
        let tuples = 1 + random.below(2);
        (0..tuples)
            .map(|_| {
                let wallet = &WALLETS[usize::try_from(random.below(WALLETS.len() as u64)).unwrap()];
                let address = if random.one_in(4) { Address::ZERO } else { random.pick(&self.places) };
                // One too few where the authority is the sender itself, and so in vain.
                let nonce = nonce_of(wallet.address()).wrapping_add(u64::from(random.one_in(8)));
                let authorization = Authorization { chain_id: U256::from(random.below(2)), address, nonce };
                let signature = wallet.sign(authorization.signature_hash());
                (authorization.into_signed(signature), RecoveredAuthority::Valid(wallet.address()))
            })
            .unzip()
    }

    /// Puts a transaction before the one at `index`.
    pub(super) fn insert(&mut self, index: usize, sender: Address, tx: SignedTx) {
        self.transactions.insert(index, tx);
        self.senders.insert(index, sender);
        let shifted = self.authorities.drain().map(|(at, tuples)| (at + usize::from(at >= index), tuples));
        self.authorities = shifted.collect();
    }

    /// A transaction that is invalid wherever it stands, in one of several ways.
    pub(super) fn insert_invalid(&mut self, random: &mut Random) -> usize {
        let index = usize::try_from(random.below(self.transactions.len() as u64 + 1)).unwrap();
        let sender = WALLETS[usize::try_from(random.below(FUNDED as u64)).unwrap()].address();
        let london = self.fork() >= Fork::London;
        let mut tx = TxLegacy {
            chain_id: None,
            // Of the sender's next transaction, or of one before it.
            nonce: self.world.accounts()[&sender].nonce,
            gas_price: u128::from(BASE_FEE),
            gas_limit: 100_000,
            to: TxKind::Call(random.pick(&self.places)),
            value: U256::ZERO,
            input: Bytes::new(),
        };
        match random.below(6) {
            0 => tx.nonce += 40,
            1 => tx.gas_limit = BLOCK_GAS_LIMIT - 1,
            2 => tx.gas_limit = 20_000,
            3 => tx.value = U256::MAX >> 1,
            4 if london => tx.gas_price = u128::from(BASE_FEE) - 1,
            _ => tx.gas_price = u128::MAX >> 1,
        }
        self.insert(index, sender, sealed(tx));
        index
    }

    /// What sequential revm makes of it.
    pub(super) fn sequentially(&self) -> Result<crate::lanes::Executed, ExecutionError> {
        sequential::execute(&self.block(), &self.world, None)
    }
}

/// Addresses of what a block may create, and of what it may destroy.
fn children() -> Vec<Address> {
    let mut children = MORTALS.map(Address::repeat_byte).to_vec();
    for (salt, init_code) in [(0, INIT_CODES[0]), (1, INIT_CODES[0]), (0, INIT_CODES[1]), (0, INIT_CODES[2])]
    {
        children.push(FACTORY2.address().create2(B256::with_last_byte(salt), keccak256(init_code)));
    }
    children.extend((1..4).map(|nonce| FACTORY.address().create(nonce)));
    children.extend((0..3).map(|nonce| WALLETS[1].address().create(nonce)));
    children
}

/// A transaction with a signature that nobody looks at.
fn sealed(tx: impl Into<EthereumTypedTransaction<TxEip4844>>) -> SignedTx {
    let tx = tx.into();
    let _: B256 = tx.signature_hash();
    tx.into_envelope(Signature::test_signature())
}

fn dynamic_fee(tx: TxLegacy, max_priority_fee_per_gas: u128) -> SignedTx {
    let TxLegacy { nonce, gas_price, gas_limit, to, value, input, .. } = tx;
    sealed(TxEip1559 {
        chain_id: 1,
        nonce,
        gas_limit,
        max_fee_per_gas: gas_price,
        max_priority_fee_per_gas,
        to,
        value,
        access_list: Default::default(),
        input,
    })
}

fn access_list(tx: TxLegacy) -> SignedTx {
    let TxLegacy { nonce, gas_price, gas_limit, to, value, input, .. } = tx;
    sealed(TxEip2930 {
        chain_id: 1,
        nonce,
        gas_price,
        gas_limit,
        to,
        value,
        access_list: Default::default(),
        input,
    })
}
