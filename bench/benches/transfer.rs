//! Blocks of plain transfers: sequential revm, the transfer lane on the CPU, and on a device.
//!
//! `transfer/WAY/SIZE` executes a block from the state before it to the state after it in memory,
//! receipts and the block's bloom included: `revm` is alloy-evm's executor over revm's block state,
//! `cpu` the lane over the serial table, `gpu` the lane over the device's scan, uploads and readback
//! included. `-hot` ways have one payout wallet and one sweep address. `kernel-cpu` and `kernel-gpu` are the batch
//! alone. Before measuring, all ways have given the same receipts and changes.
//!
//! `cargo bench -p outrider-bench --bench transfer`

use std::hint::black_box;

use alloy_consensus::{TxReceipt, transaction::Recovered};
use alloy_evm::{Evm, EvmFactory, block::BlockExecutor, eth::EthBlockExecutor, eth::EthEvmFactory};
use alloy_primitives::Bloom;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use outrider::{
    block::{BlockContext, Eip658Value, Receipt},
    lanes::{
        sequential::{Receipts, execution_context},
        transfer::{End, TransferLane, TransferRules},
    },
    state::{AsDatabase, BlockState, ChangeSet, StateTrie, World},
};
use outrider_bench::{
    open_gpu, sizes,
    transfers::{Authorities, Parties, Transfers},
};
use outrider_kernels::{
    accelerator::Accelerator,
    transfer::{Account, Settled, Terms, Transfer, serial},
};
use revm::{
    database::{State, states::bundle_state::BundleRetention},
    database_interface::WrapDatabaseRef,
};

const SIZES: [usize; 3] = [500, 5_000, 50_000];
const SEED: u64 = 20_260_101;

/// Receipts and their bloom.
type Outcome = (Vec<Receipt>, Bloom);

fn bloom(receipts: &[Receipt]) -> Bloom {
    receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom())
}

/// Sequential revm; `end` takes its block state.
fn by_revm<T>(
    block: &BlockContext<'_>,
    world: &World,
    end: impl FnOnce(&mut State<WrapDatabaseRef<AsDatabase<'_, World>>>) -> T,
) -> (Outcome, T) {
    let state =
        State::builder().with_database(WrapDatabaseRef(AsDatabase::new(world))).with_bundle_update().build();
    let evm = EthEvmFactory::default().create_evm(state, block.spec.evm_env(block.header));
    let mut executor = EthBlockExecutor::new(evm, execution_context(block), block.spec, Receipts);
    for (tx, sender) in block.transactions.iter().zip(block.senders) {
        executor.execute_transaction(Recovered::new_unchecked(tx, *sender)).expect("all transfers are valid");
    }
    let receipts = std::mem::take(&mut executor.receipts);
    let bloom = bloom(&receipts);
    ((receipts, bloom), end(executor.evm_mut().db_mut()))
}

/// The transfer lane; leaves the state to the caller.
fn by_lane<'w>(
    block: &BlockContext<'_>,
    world: &'w World,
    engine: impl FnMut(&mut [Account], &[Transfer], Terms) -> Settled,
) -> (Outcome, BlockState<'w>) {
    let env = block.spec.evm_env(block.header);
    let rules = TransferRules::new(&env).expect("Cancun has plain transfers");
    let mut state = BlockState::new(world);
    let mut lane = TransferLane::new(true);
    let run = lane.run(&rules, &mut state, block.transactions, block.senders, 0, engine);
    assert_eq!(run.end, End::All);
    let mut cumulative_gas_used = 0;
    let receipts = block.transactions.iter().zip(run.gas_used).map(|(tx, gas_used)| {
        cumulative_gas_used += gas_used;
        Receipt {
            tx_type: tx.tx_type(),
            status: Eip658Value::Eip658(true),
            cumulative_gas_used,
            logs: Vec::new(),
        }
    });
    let receipts: Vec<Receipt> = receipts.collect();
    let bloom = bloom(&receipts);
    ((receipts, bloom), state)
}

/// Asserts that all ways agree, and says on what.
fn check(block: &BlockContext<'_>, world: &World, gpu: Option<&Accelerator>, name: &str) {
    let (expected, changes) = by_revm(block, world, |state| {
        state.merge_transitions(BundleRetention::PlainState);
        ChangeSet::from_bundle(&state.bundle_state, world)
    });
    let assert_same = |(outcome, state): (Outcome, BlockState<'_>)| {
        assert!(outcome == expected, "{name}: receipts differ");
        assert_eq!(state.into_changes().first_difference(&changes, world), None, "{name}");
    };
    assert_same(by_lane(block, world, serial::run));
    if let Some(gpu) = gpu {
        assert_same(by_lane(block, world, |a, t, terms| gpu.transfer_scan(a, t, terms)));
        assert!(!gpu.is_quarantined(), "the device failed");
    }
    let mut after = world.clone();
    after.apply(&changes);
    eprintln!("{name}: state root {}", StateTrie::new(&after).root());
}

/// The batch that the lane hands to its engine.
fn batch(block: &BlockContext<'_>, world: &World) -> (Vec<Account>, Vec<Transfer>, Terms) {
    let mut taken = None;
    by_lane(block, world, |accounts, transfers, terms| {
        taken = Some((accounts.to_vec(), transfers.to_vec(), terms));
        serial::run(accounts, transfers, terms)
    });
    taken.expect("the lane has an engine do the batch")
}

fn transfer(c: &mut Criterion) {
    let gpu = open_gpu();
    let mut group = c.benchmark_group("transfer");
    group.sample_size(20);
    let authorities = Authorities::default();
    for (parties, suffix) in [(Parties::Uniform, ""), (Parties::Hot, "-hot")] {
        for &size in sizes(&SIZES, 1) {
            let transfers = Transfers::new(parties, size, size, SEED);
            let (block, world) = (transfers.block(&authorities), &transfers.world);
            check(&block, world, gpu.as_ref(), &format!("{size}{suffix}"));
            group.throughput(Throughput::Elements(size as u64));
            let id = |way: &str| BenchmarkId::new(format!("{way}{suffix}"), size);
            group.bench_function(id("revm"), |b| b.iter(|| by_revm(&block, world, |_| ())));
            group.bench_function(id("cpu"), |b| b.iter(|| by_lane(&block, world, serial::run)));
            let (accounts, rows, terms) = batch(&block, world);
            group.bench_function(id("kernel-cpu"), |b| {
                b.iter(|| serial::run(black_box(&mut accounts.clone()), &rows, terms));
            });
            let Some(gpu) = &gpu else { continue };
            group.bench_function(id("gpu"), |b| {
                b.iter(|| by_lane(&block, world, |a, t, terms| gpu.transfer_scan(a, t, terms)));
            });
            group.bench_function(id("kernel-gpu"), |b| {
                b.iter(|| gpu.transfer_scan(black_box(&mut accounts.clone()), &rows, terms));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, transfer);
criterion_main!(benches);
