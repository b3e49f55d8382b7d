//! Who signed: every sender of every real block, by every way of recovering it.

use crate::runner::{device, fixtures, shared};
use outrider::{
    ingest::{self, DecodedBlock, decode_block},
    recover::{SenderCache, is_high_s, recover, recover_scalar},
};
use outrider_kernels::{
    accelerator::Accelerator,
    gpu::{DeviceOptions, Fault, FaultPlan},
};
use revm::primitives::hardfork::SpecId;
use std::path::Path;

/// The blocks under a path with their rules and the senders they state.
fn blocks(path: &Path) -> Vec<(DecodedBlock, SpecId)> {
    let mut blocks = Vec::new();
    for case in ingest::open(path).unwrap() {
        let case = case.unwrap();
        for input in case.blocks {
            let block = decode_block(&input.unwrap().bytes).unwrap();
            let spec = case.spec.spec_id_at(block.header.number, block.header.timestamp);
            blocks.push((block, spec));
        }
    }
    blocks
}

fn assert_senders(blocks: &[(DecodedBlock, SpecId)], accelerator: &Accelerator) -> u64 {
    let mut count = 0;
    for (block, spec) in blocks {
        let stated = block.stated.senders.as_ref().unwrap();
        let recovered = recover(accelerator, &block.transactions, *spec).unwrap();
        assert_eq!(recovered.senders, *stated, "block {}", block.header.number);
        count += stated.len() as u64;
    }
    count
}

fn real_blocks() -> Vec<(DecodedBlock, SpecId)> {
    let mut real = blocks(&fixtures("mainnet/12964999"));
    if let Some(path) = shared("mainnet") {
        real.extend(blocks(&path));
    }
    real
}

#[test]
fn every_sender_of_every_real_block_is_the_known_one_on_the_cpu() {
    let blocks = real_blocks();
    let count = assert_senders(&blocks, &Accelerator::cpu());
    assert!(count >= 145);
    let with_authorities = blocks.iter().filter(|(block, _)| block.transactions.len() < 100);
    for (block, spec) in with_authorities {
        let scalar = recover_scalar(&block.transactions, *spec).unwrap();
        assert_eq!(scalar, recover(&Accelerator::cpu(), &block.transactions, *spec).unwrap());
    }
}

#[test]
fn every_sender_of_every_real_block_is_the_known_one_on_the_adapter() {
    let Some(accelerator) = device(DeviceOptions::default()) else { return };
    let count = assert_senders(&real_blocks(), &accelerator);
    let (_, counts) = accelerator.counts().into_iter().find(|(kernel, _)| *kernel == "recover").unwrap();
    assert_eq!((counts.gpu, counts.cpu, counts.redone), (count, 0, 0));
}

#[test]
fn a_cache_serves_nothing_that_a_failed_device_found() {
    // Its first answer is right, and its next is not.
    let fault = Some(FaultPlan { fault: Fault::WrongAnswer, after_jobs: 1 });
    let Some(accelerator) = device(DeviceOptions { fault, ..DeviceOptions::default() }) else { return };
    let cache = SenderCache::default();
    let (block, spec) = blocks(&fixtures("mainnet/12964999")).pop().unwrap();
    let stated = block.stated.senders.as_ref().unwrap();
    let len = stated.len() as u64;
    let hits_of_next = || {
        let before = cache.counts();
        let recovered = cache.recover(&accelerator, &block.transactions, spec).unwrap();
        assert_eq!(recovered.senders, *stated);
        (cache.counts() - before).hits
    };
    assert_eq!((hits_of_next(), hits_of_next()), (0, len));
    assert!(!accelerator.is_quarantined());
    recover(&accelerator, &block.transactions, spec).unwrap();
    assert!(accelerator.is_quarantined());
    assert_eq!((hits_of_next(), hits_of_next()), (0, len), "recovered anew on the CPU, and trusted then");
}

#[test]
fn signatures_of_real_blocks_since_homestead_have_a_low_s() {
    for (block, spec) in real_blocks() {
        let has_high_s = block.transactions.iter().any(is_high_s);
        assert!(!has_high_s || !spec.is_enabled_in(SpecId::HOMESTEAD), "block {}", block.header.number);
    }
}
