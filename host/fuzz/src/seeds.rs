//! Writes small well-formed inputs for each fuzz target: `seeds FOLDER` makes `FOLDER/TARGET/...`
//! from the fixtures and from generated chains.

use alloy_eips::Encodable2718;
use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use outrider::{
    generate::{GenerateOptions, Generator, Kind},
    ingest::fuzz::TARGETS,
};
use outrider_fuzz::{backends, witness};
use serde_json::{Map, Value};
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).context("usage: seeds FOLDER")?;
    let seeds = Seeds(PathBuf::from(folder));
    block_folders(&seeds)?;
    blockchain_tests(&seeds)?;
    chains(&seeds)?;
    backends(&seeds)?;
    witnesses(&seeds)?;
    for target in TARGETS.iter().chain(backends::TARGETS).chain(witness::TARGETS) {
        anyhow::ensure!(seeds.0.join(target.name).is_dir(), "no seeds for {}", target.name);
    }
    Ok(())
}

struct Seeds(PathBuf);

impl Seeds {
    fn write(&self, target: &str, name: &str, bytes: &[u8]) -> Result<()> {
        let folder = self.0.join(target);
        fs::create_dir_all(&folder)?;
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| path.display().to_string())
    }
}

fn fixture(path: &str) -> Result<(Vec<u8>, Vec<u8>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(path);
    let compressed = fs::read(&path).with_context(|| path.display().to_string())?;
    let mut plain = Vec::new();
    GzDecoder::new(&compressed[..]).read_to_end(&mut plain)?;
    Ok((compressed, plain))
}

fn block_folders(seeds: &Seeds) -> Result<()> {
    for name in ["homestead", "london", "prague"] {
        seeds.write("block_json", name, &fixture(&format!("blocks/{name}/block.json.gz"))?.1)?;
        seeds.write("prestate_json", name, &fixture(&format!("blocks/{name}/prestate.json.gz"))?.1)?;
        let (compressed, hashes) = fixture(&format!("blocks/{name}/block_hashes.json.gz"))?;
        seeds.write("block_hashes_json", name, &hashes)?;
        seeds.write("gzip", name, &compressed)?;
    }
    Ok(())
}

/// Each case of the fixtures as a file of its own.
fn blockchain_tests(seeds: &Seeds) -> Result<()> {
    for file in ["valid", "invalid"] {
        let (_, json) = fixture(&format!("blockchain_tests/{file}.json.gz"))?;
        let cases: Map<String, Value> = serde_json::from_slice(&json)?;
        for (index, (name, case)) in cases.into_iter().enumerate() {
            let alone = Map::from_iter([(name, case)]);
            seeds.write("blockchain_test", &format!("{file}-{index}"), &serde_json::to_vec(&alone)?)?;
        }
    }
    Ok(())
}

/// A small generated chain: as a whole, by block and by transaction.
fn chains(seeds: &Seeds) -> Result<()> {
    let options = GenerateOptions { kind: Kind::Mixed, txs_per_block: 24, blocks: 3, accounts: 8, seed: 7 };
    let mut generator = Generator::new(&options)?;
    seeds.write("genesis_json", "mixed", &serde_json::to_vec(generator.genesis())?)?;
    let (mut chain, mut lines) = (Vec::new(), String::new());
    for number in 0..options.blocks {
        let block = generator.next_block()?.block;
        let rlp = alloy_rlp::encode(&block);
        seeds.write("block_rlp", &number.to_string(), &rlp)?;
        chain.extend_from_slice(&rlp);
        for (index, tx) in block.body.transactions.iter().enumerate() {
            let raw = tx.encoded_2718();
            seeds.write("raw_transaction", &format!("{number}-{index}"), &raw)?;
            if index < 3 {
                lines.push_str("0x");
                lines.extend(raw.iter().map(|byte| format!("{byte:02x}")));
                lines.push('\n');
            }
        }
    }
    seeds.write("chain_rlp", "mixed", &chain)?;
    seeds.write("raw_lines", "mixed", lines.as_bytes())
}

/// A witness of a state without accounts, and commands that make nodes upon nodes.
fn witnesses(seeds: &Seeds) -> Result<()> {
    let json = r#"{"state":["0x80"],"codes":["0x6000"],"keys":[],"headers":[]}"#;
    seeds.write("witness_json", "empty", json.as_bytes())?;
    // A leaf of a slot, an account with that storage, and the account below a branch.
    let slot = [4, 1, 0, 9];
    let account = [3, 2, 0, 0];
    seeds.write("witness_state", "account", &[&slot[..], &account].concat())?;
    let branch = [1, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    seeds.write("witness_state", "branch", &[&slot[..], &[3, 1, 1, 0], &branch].concat())?;
    seeds.write("witness_state", "branches", &[&[3, 0, 64, 0][..], &branch.repeat(64)].concat())?;
    seeds.write("witness_state", "extension", &[&slot[..], &[2, 0x11, 3, 1, 2, 3, 0]].concat())
}

/// Batches of each kind of item, alone and mixed, and payloads around the block length.
fn backends(seeds: &Seeds) -> Result<()> {
    for kind in 0..backends::KINDS {
        let batch: Vec<u8> = (0..40).flat_map(|item| [kind, item, 3 * item, 7, 1 << (item % 8)]).collect();
        seeds.write("recover_backends", &kind.to_string(), &batch)?;
    }
    let mixed: Vec<u8> = (0..200).map(|i: u8| i.wrapping_mul(37) ^ 5).collect();
    seeds.write("recover_backends", "mixed", &mixed)?;
    for len in [0, 50, 135, 136, 200] {
        let payloads: Vec<u8> = [12, len].into_iter().chain((0..=u8::MAX).cycle().take(2000)).collect();
        seeds.write("keccak_backends", &len.to_string(), &payloads)?;
    }
    Ok(())
}
