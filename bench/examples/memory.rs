//! Memory of a state and its tries: `cargo run --release -p outrider-bench --example memory [ACCOUNTS]`
//!
//! Makes a state of so many accounts (10 million if none are named) without code and storage, and its tries, and says what the
//! process holds resident after each, and at most in between. Linux alone says so.

use alloy_primitives::{Address, Bytes, U256};
use outrider::state::{Completeness, StateTrie, World};
use outrider_bench::Random;

const SEED: u64 = 20_260_104;
const WEI_PER_ETHER: u64 = 1_000_000_000_000_000_000;

fn main() {
    let accounts =
        std::env::args().nth(1).map_or(10_000_000, |number| number.parse().expect("a number of accounts"));
    let begin = resident("VmRSS");
    let mut random = Random(SEED);
    let mut world = World::with_capacity(Completeness::Whole, accounts);
    for _ in 0..accounts {
        let mut address = [0; 20];
        for bytes in address.chunks_mut(8) {
            bytes.copy_from_slice(&random.next().to_le_bytes()[..bytes.len()]);
        }
        let balance = U256::from(random.below(100)) * U256::from(WEI_PER_ETHER) + U256::from(random.next());
        world.insert(Address::from(address), balance, random.below(1_000), Bytes::new(), []);
    }
    let with_world = resident("VmRSS");
    let trie = StateTrie::new(&world);
    let with_trie = resident("VmRSS");
    println!("{accounts} accounts, root {}", trie.root());
    let say = |what, bytes: u64| {
        println!("{what}: {} MB, {} bytes an account", bytes / 1_000_000, bytes / accounts as u64)
    };
    say("state", with_world - begin);
    say("tries", with_trie - with_world);
    say("both", with_trie - begin);
    say("most at once", resident("VmHWM") - begin);
}

/// A figure of `/proc/self/status`, in bytes.
fn resident(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with(name)).expect("a line of that name");
    let kibibytes = line.split_whitespace().nth(1).expect("a figure");
    kibibytes.parse::<u64>().expect("a number") << 10
}
