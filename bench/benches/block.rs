//! Whole blocks, from decoded transactions with senders unknown to receipts root and post-state.
//!
//! `block/WAY/SIZE` runs SIZE transactions: `revm` recovers senders with libsecp256k1 on one
//! thread and executes with sequential revm; `cpu` is our way with no device, on all threads; `gpu`
//! our way with everything on the device that has a kernel; `auto` our way with the device where
//! it pays. These three look nothing up; `missed` is `cpu` with a sender cache that knows none of the transactions,
//! `cached` with one that knows all. `-mixed` is one generated block of everything, `-transfers` one of plain transfers,
//! `-mainnet` all blocks of ../shared/mainnet that have a pre-state (left out if they are absent),
//! one after the other. Before measuring, all ways have given the same results.
//!
//! `cargo bench -p outrider-bench --bench block`

use alloy_primitives::{Address, B256, keccak256, map::HashMap};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use outrider::{
    generate::Kind,
    ingest::Transactions,
    lanes::{Executed, ExecutionError, sequential},
    plan::Plan,
    reconcile::{self, block_roots},
    recover::{Recovered, SenderCache, recover},
    route::route,
    state::StateRead,
};
use outrider_bench::{
    blocks::{Block, generated, mainnet},
    is_measuring, open_gpu, sizes,
};
use outrider_kernels::{
    accelerator::{Accelerator, Options},
    gpu::DeviceChoice,
};
use revm::primitives::hardfork::SpecId;
use secp256k1::{
    Message,
    ecdsa::{RecoverableSignature, RecoveryId},
};

const SIZES: [usize; 3] = [100, 1_000, 10_000];
const SEED: u64 = 20_260_104;

/// What a block gave: its receipts root is part of the measured work.
type Outcome = (Executed, B256);

fn by_revm(block: &Block) -> Outcome {
    try_by_revm(block).expect("a valid block")
}

fn try_by_revm(block: &Block) -> Result<Outcome, ExecutionError> {
    let senders: Vec<Address> = block.transactions.iter().map(sender).collect();
    let authorities = HashMap::default();
    let context = block.context_of(&senders, &authorities);
    let executed = sequential::execute(&context, block.view(), None)?;
    let root = block_roots(&executed.receipts).receipts_root;
    Ok((executed, root))
}

/// The mainnet blocks that can be executed: one may ask for a block hash that came with none.
fn executable_mainnet() -> Vec<Block> {
    let mut blocks = mainnet();
    blocks.retain(|block| match try_by_revm(block) {
        Ok(_) => true,
        Err(ExecutionError::Unknown(unknown)) => {
            eprintln!("skipped: block {}: {unknown}", block.header.number);
            false
        }
        Err(error) => panic!("block {}: {error}", block.header.number),
    });
    blocks
}

fn sender(tx: &outrider::block::SignedTx) -> Address {
    let signature = tx.signature();
    let id = RecoveryId::from_u8_masked(u8::from(signature.v()));
    let compact = &signature.as_bytes()[..64];
    let message = Message::from_digest(tx.signature_hash().0);
    let signature = RecoverableSignature::from_compact(compact, id).expect("scalars in range");
    let key = signature.recover_ecdsa(message).expect("a signer");
    Address::from_raw_public_key(&key.serialize_uncompressed()[1..])
}

fn rules(block: &Block) -> SpecId {
    block.spec.spec_id_at(block.header.number, block.header.timestamp)
}

fn by_lanes(block: &Block, accelerator: &Accelerator) -> Outcome {
    let recovered = recover(accelerator, &block.transactions, rules(block)).expect("a signer for each");
    execute(block, accelerator, &recovered)
}

/// On the CPU, with what a cache knows. `transactions` are the block's, not hashed yet.
fn with_cache(
    block: &Block,
    accelerator: &Accelerator,
    cache: &SenderCache,
    transactions: &Transactions,
) -> Outcome {
    let recovered = cache.recover(accelerator, transactions, rules(block)).expect("a signer for each");
    execute(block, accelerator, &recovered)
}

fn execute(block: &Block, accelerator: &Accelerator, recovered: &Recovered) -> Outcome {
    let rules = rules(block);
    let context = block.context(recovered);
    let has_code = |address: &Address| {
        block.world.account(address).is_ok_and(|account| account.is_some_and(|account| account.has_code()))
    };
    let lanes: Vec<_> = block.transactions.iter().map(|tx| route(tx, rules, has_code)).collect();
    let plan = Plan::new(&lanes, context.senders);
    let done = reconcile::execute(&context, block.view(), &plan, accelerator).expect("a valid block");
    let root = block_roots(&done.executed.receipts).receipts_root;
    (done.executed, root)
}

/// Asserts that all ways agree, and says on what.
fn check(blocks: &[Block], accelerators: &[(&str, Accelerator)], name: &str) {
    let mut roots = Vec::new();
    for block in blocks {
        let expected = by_revm(block);
        for (way, accelerator) in accelerators {
            assert!(
                by_lanes(block, accelerator) == expected,
                "{name}: {way} differs in {}",
                block.header.number
            );
            assert!(!accelerator.is_quarantined(), "the device failed");
        }
        let (cpu, cache) = (Accelerator::cpu(), SenderCache::default());
        for knows in ["none", "all"] {
            let outcome = with_cache(block, &cpu, &cache, &block.transactions.clone());
            assert!(
                outcome == expected,
                "{name}: a cache that knows {knows} differs in {}",
                block.header.number
            );
        }
        roots.extend_from_slice(expected.1.as_slice());
    }
    eprintln!("{name}: digest of all receipts roots {}", keccak256(roots));
}

fn block(c: &mut Criterion) {
    let mut accelerators = vec![("cpu", Accelerator::cpu())];
    if let Some(gpu) = open_gpu() {
        accelerators.push(("gpu", gpu));
        let auto =
            Accelerator::open(&DeviceChoice::Auto, &Options::default()).expect("auto needs no adapter");
        eprintln!("crossovers: {:?}", auto.crossovers());
        accelerators.push(("auto", auto));
    }
    let mut workloads = Vec::new();
    for &size in sizes(&SIZES, 1) {
        workloads.push(("-mixed", vec![generated(Kind::Mixed, size, SEED)]));
        workloads.push(("-transfers", vec![generated(Kind::Transfers, size, SEED)]));
    }
    if is_measuring() {
        workloads.push(("-mainnet", executable_mainnet()));
    }
    let mut group = c.benchmark_group("block");
    group.sample_size(10);
    for (suffix, blocks) in workloads.iter().filter(|(_, blocks)| !blocks.is_empty()) {
        let size: usize = blocks.iter().map(|block| block.transactions.len()).sum();
        check(blocks, &accelerators, &format!("{size}{suffix}"));
        group.throughput(Throughput::Elements(size as u64));
        let id = |way: &str| BenchmarkId::new(format!("{way}{suffix}"), size);
        group.bench_function(id("revm"), |b| b.iter(|| blocks.iter().map(by_revm).collect::<Vec<_>>()));
        for (way, accelerator) in &accelerators {
            group.bench_function(id(way), |b| {
                b.iter(|| blocks.iter().map(|block| by_lanes(block, accelerator)).collect::<Vec<_>>());
            });
        }
        let cpu = Accelerator::cpu();
        for (way, forgets) in [("missed", true), ("cached", false)] {
            let cache = SenderCache::default();
            // Not hashed yet, and what a cache knows is not forgotten within the measured time.
            let setup = || {
                if forgets {
                    cache.clear();
                }
                blocks.iter().map(|block| block.transactions.clone()).collect::<Vec<_>>()
            };
            let run = |transactions: &mut Vec<Transactions>| {
                let all = blocks.iter().zip(transactions);
                all.map(|(block, txs)| with_cache(block, &cpu, &cache, txs)).collect::<Vec<_>>()
            };
            run(&mut setup());
            group.bench_function(id(way), |b| b.iter_batched_ref(setup, run, BatchSize::PerIteration));
        }
    }
    group.finish();
}

criterion_group!(benches, block);
criterion_main!(benches);
