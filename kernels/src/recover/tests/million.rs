//! A million recoveries, by every way that this machine has, bit for bit.

use rayon::prelude::*;

use super::device::bench;
use super::*;
use crate::gpu::IntegerForm;
use crate::simd::Backend;

const LEN: usize = 1_000_000;
const SEED: u64 = 20_260_725;

/// Around lanes, chains, workgroups, workgroups of chains, dispatches; and beyond a dispatch.
const BATCH_LENS: [usize; 22] = [
    1, 2, 15, 16, 17, 63, 64, 65, 255, 256, 257, 1000, 4095, 4096, 4097, 16_383, 16_384, 16_385, 65_535,
    65_536, 65_537, 100_000,
];

/// Numbers without a pattern for r, s and hash: r is a coordinate, so that there is a signer though nobody signed. One
/// item in a hundred is spoilt, or an edge.
fn item(index: usize, edges: &[(Word, Signature)]) -> (Word, Signature) {
    let mut count = 0_u64;
    let mut number = || {
        count += 1;
        let mut input = [0; 24];
        for (bytes, word) in input.chunks_exact_mut(8).zip([SEED, index as u64, count]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        keccak256_one(&input)
    };
    if index.is_multiple_of(200) {
        return edges[index / 200 % edges.len()];
    }
    let (hash, s) = (number(), number());
    let recovery_id = hash[0] & 1;
    if index % 200 == 100 {
        // Half of these are on no curve point, and some are out of range.
        return (hash, Signature { r: number(), s, recovery_id: s[0] % 5 });
    }
    loop {
        let signature = Signature { r: number(), s, recovery_id };
        if cpu::check_liftable(&signature).is_ok() {
            return (hash, signature);
        }
    }
}

/// Fails with the first item that is not as expected.
fn assert_equal(what: &str, start: usize, got: &[Verdict], expected: &[Verdict]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let wrong = got.iter().zip(expected).position(|(got, expected)| got != expected);
    assert_eq!(wrong.map(|item| start + item), None, "{what}, seed {SEED}, items from {start}");
}

#[test]
#[ignore = "takes most of a minute on two cores"]
fn every_way_agrees_on_a_million_recoveries() {
    eprintln!("seed {SEED}");
    let edges = edge_cases();
    let (hashes, signatures): (Vec<_>, Vec<_>) =
        (0..LEN).into_par_iter().map(|index| item(index, &edges)).unzip();
    let all = Batch::new(Messages::Hashes(&hashes), &signatures).unwrap();
    let expected: Vec<Verdict> = (0..LEN).into_par_iter().map(|index| all.recover_one(index)).collect();
    let rejected = expected.iter().filter(|verdict| verdict.is_err()).count();
    assert!((2_500..20_000).contains(&rejected), "{rejected} rejected");
    assert!(expected.contains(&Err(Rejection::Infinity)));

    for backend in Backend::available() {
        // The portable backend may be the very library that the expectation comes from: a part will do.
        let len = if backend == Backend::Portable { LEN / 10 } else { LEN };
        let got = recover_on(backend, &all.slice(0..len));
        assert_equal(backend.name(), 0, &got, &expected[..len]);
        eprintln!("{}: {len} recoveries agree", backend.name());
    }
    for form in IntegerForm::ALL {
        let Some(bench) = bench(form) else { return };
        // All in the faster form, which goes through the list again and again; once in the other.
        let rounds = if form == IntegerForm::U64 { usize::MAX } else { 1 };
        let mut start = 0;
        for len in BATCH_LENS.iter().cycle().take(rounds.saturating_mul(BATCH_LENS.len())) {
            let end = LEN.min(start + len);
            let answer = bench.kernel.recover(&bench.device, None, &all.slice(start..end)).unwrap();
            let what = format!("{form}, batch of {}", end - start);
            assert_equal(&what, start, &answer.verdicts, &expected[start..end]);
            let infinities =
                expected[start..end].iter().filter(|&&verdict| verdict == Err(Rejection::Infinity)).count();
            assert_eq!(answer.redone, infinities, "{what}, seed {SEED}, items from {start}: given up");
            start = end;
            if start == LEN {
                break;
            }
        }
        eprintln!("{form}: {start} recoveries agree");
    }
}
