//! Chains from block RLP to all four header roots, in turns in one run: `all` lanes, `evm` lanes, and the [`plain`](outrider_bench::plain)
//! pipeline of today's crates. Prints the median of the turns, the time that all cores together spent on a transaction, and where ours
//! spends it; with `--json` one object a line.
//!
//! `outrider generate transfers --txs 50000 --blocks 8 --accounts 1000000 --out DIR`, then
//! `cargo run --release -p outrider-bench --example flagship -- [--turns 5] [--json] DIR...`

use outrider::{
    ingest::Blocks,
    recover::SenderCache,
    run::{Event, LaneSet, Loaded, Options, core_time, report::StageSeconds},
};
use outrider_bench::chains;
use outrider_kernels::accelerator::Accelerator;
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

/// One way over one chain, once.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    transactions: usize,
    seconds: f64,
    core_seconds: f64,
    stages: StageSeconds,
}

const WAYS: [&str; 3] = ["all", "evm", "plain"];

fn main() {
    let (mut turns, mut json, mut folders) = (5, false, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--turns" => {
                turns =
                    arguments.next().and_then(|turns| turns.parse().ok()).expect("--turns takes a number");
            }
            "--json" => json = true,
            folder => folders.push(PathBuf::from(folder)),
        }
    }
    assert!(!folders.is_empty() && turns > 0, "flagship [--turns N] [--json] FOLDER...");
    if !json {
        println!(
            "{:<24} {:>6} {:>9} {:>9} {:>8}  {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}",
            "chain",
            "way",
            "tx/s",
            "best",
            "core-us",
            "ingest",
            "recover",
            "plan",
            "execute",
            "reconc.",
            "root"
        );
    }
    for folder in &folders {
        let mut of_way = [(); 3].map(|()| Vec::new());
        for _ in 0..turns {
            for (way, of_way) in WAYS.iter().zip(&mut of_way) {
                of_way.push(if *way == "plain" { plain(folder) } else { ours(folder, way) });
            }
        }
        for (way, mut turns) in WAYS.iter().zip(of_way) {
            turns.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
            print(folder, way, &turns, json);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "rates for people; counts stay far below 2^53")]
fn print(folder: &Path, way: &str, turns: &[Turn], json: bool) {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let (median, best) = (turns[turns.len() / 2], turns[0]);
    let count = median.transactions as f64;
    let cheapest = turns.iter().map(|turn| turn.core_seconds).fold(f64::INFINITY, f64::min);
    let each = |seconds: f64| seconds * 1e6 / count;
    let (rate, rate_best, core) = (count / median.seconds, count / best.seconds, each(cheapest));
    let StageSeconds { ingest, recover, plan, execute, reconcile, root } = median.stages;
    let stages = [ingest, recover, plan, execute, reconcile, root].map(each);
    if json {
        let line = serde_json::json!({
            "chain": name, "way": way, "turns": turns.len(), "threads": rayon::current_num_threads(),
            "transactions": median.transactions, "transactions_per_second": rate, "transactions_per_second_best": rate_best,
            "core_microseconds_least": core,
            "wall_microseconds": (way != "plain").then(|| ["ingest", "recover", "plan", "execute", "reconcile", "root"]
                .into_iter().zip(stages).collect::<std::collections::BTreeMap<_, _>>()),
        });
        println!("{line}");
        return;
    }
    print!("{name:<24} {way:>6} {rate:>9.0} {rate_best:>9.0} {core:>8.2} ");
    if way != "plain" {
        stages.iter().for_each(|stage| print!(" {stage:>7.2}"));
    }
    println!();
}

fn ours(folder: &Path, way: &str) -> Turn {
    let mut case = chains::open(folder);
    // In memory, as the plain pipeline has them.
    let blocks = case.blocks.by_ref().map(|block| block.expect("a readable block"));
    case.blocks = Blocks::from_memory(blocks.collect());
    let loaded = Loaded::new(case).expect("a genesis state");
    let options = Options {
        lanes: if way == "evm" { LaneSet::Evm } else { LaneSet::All },
        check: false,
        witnesses: false,
    };
    let (accelerator, senders) = (Accelerator::cpu(), SenderCache::default());
    let mut turn = Turn::default();
    let (start, cores) = (Instant::now(), core_time());
    let ran = loaded.run(&accelerator, &senders, &options, &mut |event| {
        if let Event::Block(report) = event {
            assert!(report.matched && report.checks.state_root == Some(true), "{report:?}");
            turn.transactions += report.transactions;
            turn.stages += report.seconds;
        }
        Ok(())
    });
    ran.expect("a chain to its end");
    (turn.seconds, turn.core_seconds) = (start.elapsed().as_secs_f64(), since(cores));
    turn
}

fn plain(folder: &Path) -> Turn {
    let (mut plain, blocks) = chains::plain(folder);
    let (start, cores) = (Instant::now(), core_time());
    let transactions = plain.run(blocks.iter().map(|block| &block[..]));
    let (seconds, core_seconds) = (start.elapsed().as_secs_f64(), since(cores));
    Turn { transactions, seconds, core_seconds, ..Turn::default() }
}

fn since(cores: Option<std::time::Duration>) -> f64 {
    core_time().zip(cores).map_or(f64::NAN, |(now, then)| (now - then).as_secs_f64())
}
