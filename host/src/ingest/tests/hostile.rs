//! Damaged input: cut anywhere, changed anywhere, nested without end. An error, never a panic.

use super::{
    sample::{self, Pooled},
    witness::witness_json,
};
use crate::ingest::{
    BlockBytes, DecodeError, RlpFault, TransactionFault, decode_block, decode_transaction, fuzz,
};

/// Small inputs of each target, all of them good.
fn seeds() -> Vec<(fuzz::Target, Vec<u8>)> {
    let chain = [sample::block_rlp(1), sample::block_rlp(2)].concat();
    let lines: String = sample::raw_transactions()
        .iter()
        .map(|raw| format!("{}\n", alloy_primitives::hex::encode(raw)))
        .collect();
    let mut seeds = vec![
        ("block_rlp", sample::block_rlp(1)),
        ("block_json", sample::block_json(1).to_string().into_bytes()),
        ("prestate_json", sample::prestate_json().to_string().into_bytes()),
        ("block_hashes_json", format!(r#"{{"1":"0x{}"}}"#, "ab".repeat(32)).into_bytes()),
        ("genesis_json", sample::genesis_json().to_string().into_bytes()),
        ("witness_json", witness_json().to_string().into_bytes()),
        ("chain_rlp", chain),
        ("blockchain_test", sample::test_json().to_string().into_bytes()),
        ("raw_lines", lines.into_bytes()),
        ("gzip", GZIP.to_vec()),
    ];
    seeds.extend(sample::raw_transactions().into_iter().map(|raw| ("raw_transaction", raw)));
    let target = |name: &str| {
        let found = fuzz::TARGETS.iter().find(|target| target.name == name);
        *found.unwrap_or_else(|| panic!("no target {name}"))
    };
    seeds.into_iter().map(|(name, bytes)| (target(name), bytes)).collect()
}

/// `printf outrider | gzip -n9`
const GZIP: [u8; 28] = alloy_primitives::hex!("1f8b0800000000000203cb2f2d29ca4c492d02000d3a696e08000000");

#[test]
fn every_target_has_a_seed() {
    let seeds = seeds();
    for target in fuzz::TARGETS {
        assert!(seeds.iter().any(|(seed, _)| seed.name == target.name), "{}", target.name);
    }
    assert_eq!(crate::ingest::files::gunzip(&GZIP, 100).unwrap(), b"outrider");
}

#[test]
fn input_cut_at_any_place_never_panics() {
    for (target, bytes) in seeds() {
        for len in 0..=bytes.len() {
            (target.run)(&bytes[..len]);
        }
    }
}

#[test]
fn input_with_any_byte_changed_never_panics() {
    for (target, bytes) in seeds() {
        let mut changed = bytes.clone();
        for place in 0..bytes.len() {
            for value in [0x00, 0x7f, 0x80, 0xb8, 0xbf, 0xc0, 0xf8, 0xff, bytes[place] ^ 1, b'"', b'}'] {
                changed[place] = value;
                (target.run)(&changed);
            }
            changed[place] = bytes[place];
        }
    }
}

/// Pieces of good input put together at random. `OUTRIDER_FUZZ_SECONDS` makes it go on for so
/// long, from a seed of its own that it prints; `OUTRIDER_FUZZ_SEED` repeats such a run.
#[test]
fn random_splices_never_panic() {
    let variable = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let seconds = variable("OUTRIDER_FUZZ_SECONDS");
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let fresh_seed = seconds.map(|_| clock.as_secs());
    let seed = variable("OUTRIDER_FUZZ_SEED").or(fresh_seed).unwrap_or(0x5eed_0001);
    eprintln!("OUTRIDER_FUZZ_SEED={seed}");

    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(seconds.unwrap_or(0));
    let mut random = SplitMix(seed);
    let seeds = seeds();
    let mut rounds = 0_u64;
    while rounds < 1000 || std::time::Instant::now() < deadline {
        for (target, bytes) in &seeds {
            (target.run)(&spliced(bytes, &mut random));
        }
        rounds += 1;
    }
    eprintln!("{rounds} rounds of {} inputs", seeds.len());
}

fn spliced(bytes: &[u8], random: &mut SplitMix) -> Vec<u8> {
    let mut spliced = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let to = random.below(spliced.len() + 1);
        let end = (to + random.below(40)).min(spliced.len());
        let piece = match random.below(3) {
            // Another piece of the same, a few random bytes, or one byte that means something.
            0 => {
                let from = random.below(bytes.len());
                bytes[from..(from + random.below(40)).min(bytes.len())].to_vec()
            }
            1 => random.next().to_le_bytes()[..random.below(8)].to_vec(),
            _ => {
                let telling = b"\x00\x7f\x80\x81\xb7\xb8\xbf\xc0\xf7\xf8\xff\"{}[]:,0x-.e";
                vec![telling[random.below(telling.len())]; 1 + random.below(3)]
            }
        };
        spliced.splice(to..end, piece);
    }
    spliced
}

/// splitmix64 (Steele, Lea and Flood, 2014).
pub(super) struct SplitMix(pub(super) u64);

impl SplitMix {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }
}

#[test]
fn block_rlp_cut_at_any_place_is_an_error() {
    let rlp = sample::block_rlp(1);
    for len in 0..rlp.len() {
        assert!(decode_block(&BlockBytes::Rlp(rlp[..len].to_vec().into())).is_err(), "cut to {len}");
    }
    let mut longer = rlp;
    longer.push(0x80);
    let error = decode_block(&BlockBytes::Rlp(longer.into())).unwrap_err();
    assert_eq!(error, DecodeError::Body { field: "rlp", fault: RlpFault::TrailingBytes });
}

#[test]
fn json_cut_at_any_place_is_an_error() {
    let json = sample::block_json(1).to_string().into_bytes();
    for len in 0..json.len() {
        assert!(decode_block(&BlockBytes::RpcJson(json[..len].to_vec().into())).is_err(), "cut to {len}");
    }
}

#[test]
fn nesting_without_end_is_an_error() {
    let deep = 1 << 20;
    let open_lists = vec![b'['; deep];
    let objects = b"{\"result\":".repeat(deep);
    let accounts = b"{\"0x00000000000000000000000000000000000000ff\":".repeat(1000);
    let ignored = [b"{\"x\":".as_slice(), &open_lists].concat();
    for target in fuzz::TARGETS {
        for json in [&open_lists, &objects, &accounts, &ignored] {
            (target.run)(json);
        }
    }
    // Lists in lists, as RLP has them: each holds the next.
    let mut rlp = vec![0xc0];
    for _ in 0..3000 {
        let mut outer = Vec::new();
        alloy_rlp::Header { list: true, payload_length: rlp.len() }.encode(&mut outer);
        outer.extend(&rlp);
        rlp = outer;
    }
    fuzz::block_rlp(&rlp);
    fuzz::chain_rlp(&rlp);
    fuzz::raw_transaction(&[[3].as_slice(), &rlp].concat());
}

#[test]
fn a_length_prefix_alone_costs_no_memory() {
    // A chain file that claims a block of 127 MiB and ends.
    fuzz::chain_rlp(&[0xfb, 0x07, 0xf0, 0x00, 0x00, 0x01]);
    fuzz::chain_rlp(&[0xff; 9]);
}

#[test]
fn faults_name_transaction_and_field() {
    use alloy_eips::Encodable2718;
    let mut transactions = sample::transactions();
    let legacy = transactions.remove(0).encoded_2718();
    // The first byte is the list's prefix, the second the nonce, 0x80.
    let mut leading_zero = legacy.clone();
    leading_zero[2] = 0x00;
    let field = |field, fault| Err(TransactionFault::Field { field, fault });
    assert_eq!(decode_transaction(&leading_zero), field("nonce", RlpFault::LeadingZeros));
    let mut longer = legacy;
    longer.push(0);
    assert_eq!(decode_transaction(&longer), field("rlp", RlpFault::TrailingBytes));
    assert_eq!(decode_transaction(&[0x02, 0xc0]), field("chainId", RlpFault::TooFewItems));
    assert_eq!(decode_transaction(&[0x00, 0xc0]), Err(TransactionFault::UnknownType(0)));
    assert_eq!(decode_transaction(&[0x7f]), Err(TransactionFault::UnknownType(0x7f)));
    assert_eq!(decode_transaction(&[]), Err(TransactionFault::Empty));
}

#[test]
fn pooled_transactions_cut_at_any_place_are_errors() {
    let raw = Pooled::fitting(0).encode();
    for len in (0..raw.len()).step_by(997).chain(raw.len() - 100..raw.len()) {
        assert!(crate::ingest::decode_raw_transaction(&raw[..len]).is_err(), "cut to {len}");
    }
}
