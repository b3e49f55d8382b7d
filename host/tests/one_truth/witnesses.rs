//! The same blocks with the state supplied by witness alone: what they need is enough, and what is spoilt is never believed.

use crate::runner::{fixtures, shared};
use alloy_consensus::Sealed;
use alloy_primitives::Bytes;
use outrider::{
    ingest::{BlockBytes, BlockInput, Blocks, Case, Expectation, Witness},
    recover::SenderCache,
    run::{
        self, Event, LaneSet, Loaded, Options,
        report::{Answer, BlockReport, Checks, WitnessedBlock},
    },
};
use outrider_kernels::accelerator::Accelerator;
use std::{path::Path, sync::LazyLock};

static CPU: LazyLock<Accelerator> = LazyLock::new(Accelerator::cpu);

/// All blocks under a path that are executed on a whole state, each with its witness.
fn witnessed(path: &Path) -> Vec<(BlockReport, WitnessedBlock)> {
    let options = Options { lanes: LaneSet::All, check: false, witnesses: true };
    let mut blocks = Vec::new();
    run::run_path(path, &CPU, &SenderCache::default(), &options, &mut |event| {
        if let Event::Block(report) = event
            && let Some(made) = &report.witness
        {
            let made = made.as_ref().unwrap_or_else(|error| panic!("{error}: {report:#?}"));
            blocks.push((report.clone(), (**made).clone()));
        }
        Ok(())
    })
    .unwrap();
    blocks
}

/// Runs a block on nothing but a witness.
fn run_alone(block: &WitnessedBlock, witness: Witness, check: bool) -> BlockReport {
    let input = BlockInput {
        bytes: BlockBytes::Rlp(block.rlp.clone()),
        expectation: Expectation::Valid,
        stated_hash: None,
        stated_senders: None,
    };
    let case = Case {
        path: "witness".into(),
        name: None,
        spec: block.spec.clone(),
        genesis: None,
        prestate: None,
        witness: Some(witness),
        blocks: Blocks::from_memory(vec![input]),
        expected: None,
    };
    let mut reports = Vec::new();
    let options = Options { lanes: LaneSet::All, check, witnesses: false };
    let loaded = Loaded::new(case).unwrap();
    loaded
        .run(&CPU, &SenderCache::default(), &options, &mut |event| {
            if let Event::Block(report) = event {
                reports.push(report.clone());
            }
            Ok(())
        })
        .unwrap();
    let [report] = &reports[..] else { panic!("one block, one report") };
    report.clone()
}

/// Runs all blocks on their witnesses; the result must be that on the whole state.
fn assert_witnesses_suffice(path: &Path) -> Vec<(BlockReport, WitnessedBlock)> {
    let blocks = witnessed(path);
    for (whole, block) in &blocks {
        let alone = run_alone(block, block.witness.clone(), true);
        let place = format!("{} {:?} {:?}\n{alone:#?}", whole.path.display(), whole.case, whole.number);
        assert!(!alone.has_disagreement(), "{place}");
        assert_eq!(alone.exception, whole.exception, "{place}");
        assert_eq!(alone.gas_used, whole.gas_used, "{place}");
        // The test names senders, the block does not.
        assert_eq!(alone.checks, Checks { senders: None, ..whole.checks }, "{place}");
        assert_eq!(alone.needs, None, "{place}");
        if whole.verdict == Answer::Valid && alone.has_unchecked_ommers {
            assert_eq!((alone.verdict, &alone.unchecked[..]), (Answer::Computed, &["ommers"][..]), "{place}");
        } else {
            assert_eq!(alone.verdict, whole.verdict, "{place}");
        }
    }
    blocks
}

#[test]
fn fixtures_come_out_the_same_on_their_witnesses() {
    for folder in ["chains", "blockchain_tests"] {
        let blocks = assert_witnesses_suffice(&fixtures(folder));
        assert!(blocks.iter().any(|(report, _)| report.verdict == Answer::Valid));
    }
}

#[test]
fn execution_spec_tests_come_out_the_same_on_their_witnesses() {
    let Some(path) = shared("eest") else { return };
    let blocks = assert_witnesses_suffice(&path);
    let count = |answer| blocks.iter().filter(|(report, _)| report.verdict == answer).count();
    eprintln!("{} valid, {} invalid", count(Answer::Valid), count(Answer::Invalid));
    assert!(count(Answer::Valid) > 1000 && count(Answer::Invalid) > 10);
    for fork in ["Frontier", "Homestead", "Byzantium", "Istanbul", "London", "Cancun", "Prague", "Osaka"] {
        assert!(blocks.iter().any(|(report, _)| report.fork.as_deref() == Some(fork)), "{fork} is missing");
    }
}

/// That a witness lacks something is said, whatever it is.
fn assert_lacks(block: &WitnessedBlock, witness: Witness, what: &str) {
    let report = run_alone(block, witness, false);
    assert_eq!(report.verdict, Answer::NeedsState, "{what}: {report:#?}");
    assert!(report.needs.is_some() && report.mismatches.is_empty(), "{what}: {report:#?}");
}

#[test]
fn each_node_code_and_header_of_a_witness_is_needed() {
    for folder in ["chains/hot", "blockchain_tests/valid.json.gz"] {
        let blocks = witnessed(&fixtures(folder));
        // The first and the last of each kind: later ones delete what earlier ones made.
        for (_, block) in blocks.iter().step_by(blocks.len().div_ceil(12)) {
            for dropped in 0..block.witness.state.len() {
                let mut witness = block.witness.clone();
                let node = witness.state.remove(dropped);
                let report = run_alone(block, witness, false);
                let hash = alloy_primitives::keccak256(&node).to_string();
                assert_eq!(report.verdict, Answer::NeedsState, "{report:#?}");
                assert!(report.needs.as_ref().is_some_and(|needs| needs.contains(&hash)), "{report:#?}");
            }
            for dropped in 0..block.witness.codes.len() {
                let mut witness = block.witness.clone();
                witness.codes.remove(dropped);
                assert_lacks(block, witness, "a code");
            }
            for dropped in 0..block.witness.headers.len() {
                let mut witness = block.witness.clone();
                witness.headers.remove(dropped);
                assert_lacks(block, witness, "a header");
            }
        }
    }
}

/// A linear congruential generator (Knuth's MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// Spoils something that a witness needs.
fn tamper(witness: &mut Witness, others: &[Bytes], random: &mut Random) {
    let flip = |bytes: &mut Bytes, random: &mut Random| {
        let mut spoilt = bytes.to_vec();
        let bit = random.below(8 * spoilt.len());
        spoilt[bit / 8] ^= 1 << (bit % 8);
        *bytes = spoilt.into();
    };
    let node = random.below(witness.state.len());
    match random.below(7) {
        0 => drop(witness.state.remove(node)),
        1 if !witness.codes.is_empty() => {
            let code = random.below(witness.codes.len());
            flip(&mut witness.codes[code], random);
        }
        2 => {
            let at = witness.headers.len() - 1;
            let mut parent = witness.headers[at].inner().clone();
            match random.below(3) {
                0 => parent.state_root.0[random.below(32)] ^= 1,
                1 => parent.gas_limit += 1,
                _ => parent.parent_hash.0[random.below(32)] ^= 1,
            }
            witness.headers[at] = Sealed::new(parent);
        }
        3 => witness.state[node] = others[random.below(others.len())].clone(),
        4 => witness.state[node] = witness.state[random.below(witness.state.len())].slice(1..),
        5 => witness.state[node] = Bytes::new(),
        _ => flip(&mut witness.state[node], random),
    }
}

#[test]
fn a_spoilt_witness_lacks_something_and_never_changes_a_verdict() {
    let blocks: Vec<_> = ["chains/mixed", "chains/hot", "blockchain_tests/valid.json.gz"]
        .iter()
        .flat_map(|folder| witnessed(&fixtures(folder)))
        .filter(|(report, block)| report.verdict == Answer::Valid && !block.witness.state.is_empty())
        .collect();
    let others: Vec<Bytes> =
        blocks.iter().flat_map(|(_, block)| block.witness.state.iter().take(4).cloned()).collect();
    for seed in 0..400_usize {
        let random = &mut Random(seed as u64);
        let (_, block) = &blocks[seed % blocks.len()];
        let mut witness = block.witness.clone();
        tamper(&mut witness, &others, random);
        // A node may have been replaced by itself.
        if witness != block.witness && !witness.state.iter().eq(&block.witness.state) {
            assert_lacks(block, witness, &format!("seed {seed}"));
        } else {
            let answer = run_alone(block, witness, false).verdict;
            assert!(matches!(answer, Answer::Valid | Answer::NeedsState), "seed {seed}: {answer}");
        }
    }
}

#[test]
fn what_a_witness_has_too_much_of_changes_nothing() {
    let blocks = witnessed(&fixtures("chains/mixed"));
    let (_, first) = &blocks[0];
    for (_, block) in &blocks {
        let mut witness = block.witness.clone();
        witness.state.extend(first.witness.state.iter().rev().cloned());
        witness.state.extend([Bytes::new(), Bytes::from_static(&[0xc0]), Bytes::from(vec![0xff; 2000])]);
        witness.codes.extend([Bytes::new(), Bytes::from_static(&[0xef])]);
        witness.headers.reverse();
        witness.headers.extend(first.witness.headers.iter().cloned());
        let mut stranger = first.witness.headers[0].inner().clone();
        stranger.number = block.header.number - 1;
        witness.headers.push(Sealed::new(stranger));
        assert_eq!(run_alone(block, witness, true).verdict, Answer::Valid);
    }
}
