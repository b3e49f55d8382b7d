//! `kill -9` and full disks while the program commits blocks.

use crate::program::{arg, command, outrider};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// Blocks of the chain.
const BLOCKS: u64 = 200;

/// `SplitMix64`.
fn draw(seed: &mut u64, bound: u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % bound
}

fn generate(chain: &Path, txs: &str, accounts: &str) {
    let blocks = BLOCKS.to_string();
    let args =
        ["generate", "mixed", "--txs", txs, "--accounts", accounts, "--blocks", &blocks, "--out", arg(chain)];
    outrider(&args).expect(0);
}

/// A snapshot that advances often: behind every block there are 16 at most.
fn begin(store: &Path, chain: &Path) {
    outrider(&["state", "init", "--reorg-depth", "1", arg(store), arg(chain)]).expect(0);
}

fn start(store: &Path, chain: &Path) -> Child {
    let mut run = command(&["run", "--device", "cpu", "--json", "--data", arg(store), arg(chain)]);
    run.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// The number in a line that acknowledges a block.
fn acknowledged(line: &str) -> Option<u64> {
    let line: Value = serde_json::from_str(line).ok()?;
    assert!(line.get("match").is_none_or(|matched| matched == true), "{line}");
    line.get("number")?.as_u64()
}

/// Kills the program so many times, at any moment, and looks at the store after each.
fn kill(times: u64, seed: u64) {
    println!("seed {seed}");
    let (mut random, folder) = (seed, tempfile::tempdir().unwrap());
    let (chain, store) = (folder.path().join("chain"), folder.path().join("store"));
    generate(&chain, "10", "30");
    begin(&store, &chain);
    let (mut head, mut amid) = (0, 0);
    for round in 0..times {
        let mut run = start(&store, &chain);
        let mut lines = BufReader::new(run.stdout.take().unwrap()).lines().map_while(Result::ok);
        // After some blocks, within the work on the next; or while it starts.
        let blocks = draw(&mut random, 24);
        let mut last = lines
            .by_ref()
            .filter_map(|line| acknowledged(&line))
            .take(usize::try_from(blocks).unwrap())
            .last();
        let within = if blocks == 0 { 120_000 } else { 4_000 };
        thread::sleep(Duration::from_micros(draw(&mut random, within)));
        run.kill().unwrap();
        run.wait().unwrap();
        // What it said before it died counts.
        last = lines.filter_map(|line| acknowledged(&line)).last().or(last);
        let verified = outrider(&["state", "verify", "--json", arg(&store)]).expect(0).json().remove(0);
        let found = verified["head_number"].as_u64().unwrap();
        let least = last.unwrap_or(head).max(head);
        assert!(found >= least, "seed {seed}, round {round}: block {found}, acknowledged {least}");
        amid += u64::from(found > head && found < BLOCKS);
        head = found;
        if head == BLOCKS {
            fs::remove_dir_all(&store).unwrap();
            begin(&store, &chain);
            head = 0;
        }
    }
    assert!(2 * amid > times, "{amid} of {times} kills hit the program while it committed");
    // What is left is the whole chain.
    outrider(&["run", "--device", "cpu", "--json", "--data", arg(&store), arg(&chain)]).expect(0);
    let verified = outrider(&["state", "verify", "--json", arg(&store)]).expect(0).json().remove(0);
    assert_eq!(verified["head_number"], BLOCKS);
}

#[test]
fn kills_leave_a_whole_block_and_all_that_was_acknowledged() {
    kill(10, 1);
}

#[test]
#[ignore = "takes a minute"]
fn two_hundred_kills_leave_a_whole_block_and_all_that_was_acknowledged() {
    kill(200, 2);
}

/// Mounted until dropped.
struct Tmpfs<'p>(&'p Path);

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "mounts a file system, which takes root"]
fn a_full_disk_exits_5_and_the_run_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, disk) = (folder.path().join("chain"), folder.path().join("disk"));
    fs::create_dir(&disk).unwrap();
    generate(&chain, "100", "60");
    let mount = |options: &str| {
        Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&disk).output()
    };
    if !mount("size=600k").is_ok_and(|mounted| mounted.status.success()) {
        eprintln!("skipped: no file system can be mounted");
        return;
    }
    let _mounted = Tmpfs(&disk);
    let store = disk.join("store");
    begin(&store, &chain);
    let full = outrider(&["run", "--device", "cpu", "--json", "--data", arg(&store), arg(&chain)]).expect(5);
    assert!(full.complaints().iter().any(|line| line.contains("the disk is full")), "{full:#?}");
    let last = full.stdout.lines().filter_map(acknowledged).next_back().unwrap_or(0);
    assert!(last > 0 && last < BLOCKS, "{last}");
    assert!(mount("remount,size=64m").unwrap().status.success());
    let verified = outrider(&["state", "verify", "--json", arg(&store)]).expect(0).json().remove(0);
    assert!(verified["head_number"].as_u64().unwrap() >= last);
    outrider(&["run", "--device", "cpu", "--json", "--data", arg(&store), arg(&chain)]).expect(0);
    let verified = outrider(&["state", "verify", "--json", arg(&store)]).expect(0).json().remove(0);
    assert_eq!(verified["head_number"], BLOCKS);
}
