//! State roots: from nothing, and after a block.
//!
//! `state/WAY-build/SIZE` makes the trie of SIZE accounts and its root, from the accounts by address; `state/WAY-transfers/SIZE`
//! follows a block of SIZE transfers, uniform among 20 times as many accounts; `state/WAY-transfers/SIZE-of-1000000` one of few
//! transfers among a million accounts. `alloy-trie` keeps sorted leaves and builds the nodes above them anew for each root,
//! `eth_trie` is an incremental trie over its own database in memory; both use one core. `outrider` is [`StateTrie`], on all cores,
//! and on one where the id ends in `/1core`. Before measuring, all have given the same roots.
//!
//! `cargo bench -p outrider-bench --bench state`

use alloy_primitives::{Address, B256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles, TrieAccount};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use eth_trie::{EthTrie, MemoryDB, Trie};
use outrider::state::{Account, BlockState, ChangeSet, StateRead, StateTrie, World};
use outrider_bench::{
    is_measuring, one_thread, sizes,
    transfers::{Authorities, Parties, Transfers},
};
use std::{collections::BTreeMap, hint::black_box, sync::Arc};

const SIZES: [usize; 2] = [500, 50_000];
/// Accounts for each transfer.
const ACCOUNTS_PER_TRANSFER: usize = 20;
/// Transfers of short blocks, and accounts below them.
const SHORT_SIZES: [usize; 2] = [200, 1_000];
const SHORT_BLOCKS_ACCOUNTS: usize = 1_000_000;
const SEED: u64 = 20_260_103;

/// Leaves in the order of their keys, and alloy-trie above them.
#[derive(Clone, Default)]
struct SortedLeaves(BTreeMap<B256, TrieAccount>);

impl SortedLeaves {
    fn new(world: &World) -> Self {
        let leaf = |(address, account): (&_, &Account)| (keccak256(address), leaf(account));
        Self(world.accounts().iter().map(leaf).collect())
    }

    fn update(&mut self, changes: &ChangeSet) -> B256 {
        for (address, change) in &changes.accounts {
            match &change.account {
                Some(account) => self.0.insert(keccak256(address), leaf(account)),
                None => self.0.remove(&keccak256(address)),
            };
        }
        self.root()
    }

    fn root(&self) -> B256 {
        let mut builder = HashBuilder::default();
        let mut rlp = Vec::new();
        for (key, account) in &self.0 {
            rlp.clear();
            alloy_rlp::Encodable::encode(account, &mut rlp);
            builder.add_leaf(Nibbles::unpack(key), &rlp);
        }
        builder.root()
    }
}

/// The incremental trie of the crate `eth_trie`. Replaced nodes leave its database, as they do ours.
struct DatabaseTrie(EthTrie<MemoryDB>);

impl DatabaseTrie {
    fn new(world: &World) -> Self {
        let mut trie = Self(EthTrie::new(Arc::new(MemoryDB::new(true))));
        trie.insert(world.accounts().iter());
        trie.root();
        trie
    }

    fn insert<'a>(&mut self, accounts: impl Iterator<Item = (&'a Address, &'a Account)>) {
        let mut rlp = Vec::new();
        for (address, account) in accounts {
            rlp.clear();
            alloy_rlp::Encodable::encode(&leaf(account), &mut rlp);
            self.0.insert(keccak256(address).as_slice(), &rlp).expect("a database in memory");
        }
    }

    fn update(&mut self, changes: &ChangeSet) -> B256 {
        self.insert(changes.accounts.iter().map(|(address, change)| {
            (address, change.account.as_ref().expect("transfers remove no account"))
        }));
        self.root()
    }

    fn root(&mut self) -> B256 {
        B256::from(self.0.root_hash().expect("a database in memory").0)
    }
}

/// Of an account without storage, as all of a block of transfers are.
fn leaf(account: &Account) -> TrieAccount {
    TrieAccount {
        nonce: account.nonce,
        balance: account.balance,
        storage_root: EMPTY_ROOT_HASH,
        code_hash: account.code_hash,
    }
}

/// What a block of transfers changes, fees left out.
fn changes(transfers: &Transfers) -> ChangeSet {
    use alloy_consensus::Transaction;
    let authorities = Authorities::default();
    let block = transfers.block(&authorities);
    let mut state = BlockState::new(&transfers.world);
    for (tx, sender) in block.transactions.iter().zip(block.senders) {
        let read = |state: &BlockState<'_>, address| {
            state.account(address).expect("nothing is unknown").expect("all accounts exist")
        };
        let before = read(&state, sender);
        let after = Account { nonce: before.nonce + 1, balance: before.balance - tx.value(), ..before };
        state.set_account(*sender, Some(after));
        let recipient = tx.to().expect("a transfer");
        let before = read(&state, &recipient);
        state.set_account(recipient, Some(Account { balance: before.balance + tx.value(), ..before }));
    }
    state.into_changes()
}

fn state(c: &mut Criterion) {
    let one = one_thread();
    let mut group = c.benchmark_group("state");
    group.sample_size(10);
    for &size in sizes(&SIZES, 1) {
        let accounts = ACCOUNTS_PER_TRANSFER * size;
        let transfers = Transfers::new(Parties::Uniform, size, accounts, SEED);
        let world = &transfers.world;
        let changes = changes(&transfers);
        let both_ways = [&changes, &world.undo(&changes)];
        let (mut trie, mut leaves) = (StateTrie::new(world), SortedLeaves::new(world));
        let mut database = DatabaseTrie::new(world);
        assert_eq!(trie.root(), leaves.root(), "{accounts} accounts");
        for changes in both_ways {
            let root = trie.update(changes);
            assert_eq!(root, leaves.update(changes), "{size} transfers, alloy-trie");
            assert_eq!(root, database.update(changes), "{size} transfers, eth_trie");
        }
        eprintln!("{accounts} accounts: state root {}", trie.root());

        let id = |way| BenchmarkId::new(way, accounts);
        let on_one = |way, size| BenchmarkId::new(way, format_args!("{size}/1core"));
        group.throughput(Throughput::Elements(accounts as u64));
        let by_alloy_trie = || SortedLeaves::new(black_box(world)).root();
        group.bench_function(on_one("alloy-trie-build", accounts), |b| b.iter(by_alloy_trie));
        let build = || StateTrie::new(black_box(world));
        group.bench_function(on_one("outrider-build", accounts), |b| {
            one.install(|| b.iter_with_large_drop(build));
        });
        group.bench_function(id("outrider-build"), |b| b.iter_with_large_drop(build));

        group.throughput(Throughput::Elements(size as u64));
        // Forth and back in turns: as much is changed either way.
        let mut turns = both_ways.into_iter().cycle();
        let mut next = || turns.next().expect("a cycle has no end");
        group.bench_function(on_one("alloy-trie-transfers", size), |b| {
            b.iter_batched(&mut next, |changes| leaves.update(changes), BatchSize::PerIteration);
        });
        group.bench_function(on_one("eth_trie-transfers", size), |b| {
            b.iter_batched(&mut next, |changes| database.update(changes), BatchSize::PerIteration);
        });
        group.bench_function(on_one("outrider-transfers", size), |b| {
            one.install(|| {
                b.iter_batched(&mut next, |changes| trie.update(changes), BatchSize::PerIteration)
            });
        });
        group.bench_function(BenchmarkId::new("outrider-transfers", size), |b| {
            b.iter_batched(&mut next, |changes| trie.update(changes), BatchSize::PerIteration);
        });
    }
    group.finish();
}

/// Blocks as short as those of today, on a state as large as that of the longest.
fn short_blocks(c: &mut Criterion) {
    let one = one_thread();
    let accounts = if is_measuring() { SHORT_BLOCKS_ACCOUNTS } else { 1_000 };
    let mut group = c.benchmark_group("state");
    for &size in sizes(&SHORT_SIZES, 1) {
        let transfers = Transfers::new(Parties::Uniform, size, accounts, SEED);
        let changes = changes(&transfers);
        let both_ways = [&changes, &transfers.world.undo(&changes)];
        let mut trie = StateTrie::new(&transfers.world);
        let mut turns = both_ways.into_iter().cycle();
        let mut next = || turns.next().expect("a cycle has no end");
        group.throughput(Throughput::Elements(size as u64));
        let size = format!("{size}-of-{accounts}");
        group.bench_function(BenchmarkId::new("outrider-transfers", format_args!("{size}/1core")), |b| {
            one.install(|| {
                b.iter_batched(&mut next, |changes| trie.update(changes), BatchSize::PerIteration)
            });
        });
        group.bench_function(BenchmarkId::new("outrider-transfers", size), |b| {
            b.iter_batched(&mut next, |changes| trie.update(changes), BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, state, short_blocks);
criterion_main!(benches);
