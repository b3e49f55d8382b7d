//! What a validator waits for: from a block's bytes to its verdict, block by block on one chain, with the senders of its transactions
//! unknown (`cold`) or known from the pool (`cached`): ours, and the [`plain`](outrider_bench::plain) pipeline of today's crates, in
//! turns in one run. Prints the latencies that half, 99 in 100 and 999 in 1,000 blocks keep within; with `--json` one object a line.
//!
//! `outrider generate mixed --txs 200 --blocks 2000 --accounts 1000000 --out DIR`, then
//! `cargo run --release -p outrider-bench --example latency -- [--json] DIR...`

use outrider::{
    ingest::decode_block,
    recover::SenderCache,
    run::{LaneSet, Loaded, Options},
};
use outrider_bench::{
    chains,
    plain::{Plain, known_senders},
};
use outrider_kernels::accelerator::Accelerator;
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Blocks at the start of a chain that are not counted.
const WARM_UP_BLOCKS: usize = 20;

fn main() {
    let (mut json, mut folders) = (false, Vec::new());
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--json" => json = true,
            folder => folders.push(PathBuf::from(folder)),
        }
    }
    assert!(!folders.is_empty(), "latency [--json] FOLDER...");
    if !json {
        println!(
            "{:<20} {:>8} {:>7} {:>14} {:>9} {:>9} {:>9} {:>9}   ms",
            "chain", "txs", "blocks", "way", "p50", "p99", "p99.9", "most"
        );
    }
    for folder in &folders {
        measure(folder, json);
    }
}

fn measure(folder: &Path, json: bool) {
    let accelerator = Accelerator::cpu();
    let options = Options { lanes: LaneSet::All, check: false, witnesses: false };
    let loaded = || Loaded::new(chains::open(folder)).expect("a genesis state");
    let mut ours = [("ours, cold", loaded()), ("ours, cached", loaded())];
    let (first, blocks) = chains::plain(folder);
    let mut plain = [("plain, cold", first), ("plain, cached", chains::plain(folder).0)];
    let mut latencies: [Vec<Duration>; 4] = Default::default();
    let mut transactions = 0;
    for (index, rlp) in blocks.iter().enumerate() {
        let mut times = [Duration::ZERO; 4];
        for (way, (name, chain)) in ours.iter_mut().enumerate() {
            let senders = SenderCache::with_capacity(1 << 16);
            if name.ends_with("cached") {
                let block = decode_block(&chains::input(rlp.clone()).bytes).expect("a block");
                let rules = chain.rules_of(block.header.inner());
                senders.recover(&accelerator, &block.transactions, rules).expect("a signer for each");
            }
            let start = Instant::now();
            let report = chain.take(chains::input(rlp.clone()), &accelerator, &senders, &options);
            times[way] = start.elapsed();
            assert!(report.matched && report.checks.state_root == Some(true), "{report:?}");
            transactions = report.transactions;
        }
        for (way, (name, chain)) in plain.iter_mut().enumerate() {
            let known = if name.ends_with("cached") {
                known_senders(&Plain::recover(rlp, &Default::default()))
            } else {
                Default::default()
            };
            let start = Instant::now();
            chain.execute(&Plain::recover(rlp, &known));
            times[2 + way] = start.elapsed();
        }
        if index >= WARM_UP_BLOCKS.min(blocks.len() - 1) {
            latencies.iter_mut().zip(times).for_each(|(all, time)| all.push(time));
        }
    }
    let names = ours.iter().map(|(name, _)| *name).chain(plain.iter().map(|(name, _)| *name));
    for (name, mut all) in names.zip(latencies) {
        all.sort_unstable();
        let within = |share: usize| all[(all.len() * share).div_ceil(1_000).max(1) - 1].as_secs_f64() * 1e3;
        let [p50, p99, p999, most] = [500, 990, 999, 1_000].map(within);
        let chain = folder.file_name().unwrap_or_default().to_string_lossy();
        let count = all.len();
        if json {
            let line = serde_json::json!({
                "chain": chain, "way": name, "transactions": transactions, "blocks": count, "threads": rayon::current_num_threads(),
                "milliseconds": {"p50": p50, "p99": p99, "p99.9": p999, "most": most},
            });
            println!("{line}");
        } else {
            println!(
                "{chain:<20} {transactions:>8} {count:>7} {name:>14} {p50:>9.3} {p99:>9.3} {p999:>9.3} {most:>9.3}"
            );
        }
    }
}
