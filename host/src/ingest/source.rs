//! Where cases come from: the kind of a path, found by looking, and its cases one after another.

use std::{
    cmp::Ordering,
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
    vec,
};

use alloy_primitives::B256;

use super::{
    block::{BLOCK_BYTES_MAX, decode_block},
    blockchain_test,
    case::{BlockBytes, BlockInput, Blocks, Case, Completeness, Expectation, GenesisHeader, Prestate},
    chain::ChainReader,
    error::{IngestError, IngestFault},
    files::{self, JSON_FILE_BYTES_MAX},
    genesis::{self, Genesis, mainnet_genesis, read_genesis},
    prestate,
    witness::{WITNESS_FILE_BYTES_MAX, Witness},
};
use crate::spec::ChainSpec;

/// Deepest nesting of folders that is searched.
const FOLDER_DEPTH_MAX: usize = 32;
/// Most files and folders that a search looks at.
const ENTRIES_MAX: usize = 1_000_000;

/// Says what `path` holds, by looking at it: a block folder, a chain folder, a blockchain test, or
/// a folder of those, searched to any reasonable depth in natural order (9 before 10). Hidden files
/// and folders are passed over. A single `block.json`, `chain.rlp` and so on stands for the folder
/// that it is in.
///
/// Nothing is read yet but names, so that hundreds of files need not fit into memory.
///
/// # Errors
/// A path that does not exist, or holds nothing of a known kind.
pub fn open(path: &Path) -> Result<Source, IngestError> {
    let metadata = fs::metadata(path).map_err(|error| IngestError::new(path, "", error))?;
    let mut search = Search::default();
    if metadata.is_dir() {
        search.folder(path, 0)?;
    } else {
        search.units.push(unit_of_file(path)?);
    }
    if search.units.is_empty() {
        let kinds = "neither blocks (block.json or block.rlp) nor a chain (genesis.json and chain.rlp) nor tests (*.json)";
        return Err(IngestError::new(path, "", IngestFault::NotRecognised(kinds.to_owned())));
    }
    Ok(Source { units: search.units.into_iter(), ready: VecDeque::new() })
}

/// The cases of a path, each read when the iterator reaches it. An error concerns one file or
/// case; those after it can still be had.
#[derive(Debug)]
pub struct Source {
    units: vec::IntoIter<Unit>,
    /// Cases of a file that holds several.
    ready: VecDeque<Result<Case, IngestError>>,
}

impl Iterator for Source {
    type Item = Result<Case, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(case) = self.ready.pop_front() {
                return Some(case);
            }
            match self.units.next()? {
                Unit::Block(folder) => return Some(read_block_folder(&folder)),
                Unit::Chain(folder) => return Some(read_chain_folder(&folder)),
                Unit::Tests(file) => match read_tests(&file) {
                    Ok(cases) => self.ready.extend(cases),
                    Err(error) => return Some(Err(error)),
                },
            }
        }
    }
}

/// Something that cases can be read from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Unit {
    Block(PathBuf),
    Chain(PathBuf),
    Tests(PathBuf),
}

const BLOCK: &str = "block.json";
const BLOCK_RLP: &str = "block.rlp";
const WITNESS: &str = "witness.json";
const PRESTATE: &str = "prestate.json";
const BLOCK_HASHES: &str = "block_hashes.json";
const GENESIS: &str = "genesis.json";
const CHAIN: &str = "chain.rlp";

fn unit_of_file(path: &Path) -> Result<Unit, IngestError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    match plain {
        BLOCK | BLOCK_RLP | WITNESS | PRESTATE | BLOCK_HASHES => Ok(Unit::Block(folder.to_owned())),
        GENESIS | CHAIN => Ok(Unit::Chain(folder.to_owned())),
        _ if plain.ends_with(".json") => Ok(Unit::Tests(path.to_owned())),
        _ => Err(IngestError::new(
            path,
            "",
            IngestFault::NotRecognised("its name ends neither in .json nor in .json.gz".to_owned()),
        )),
    }
}

#[derive(Default)]
struct Search {
    units: Vec<Unit>,
    entries: usize,
}

impl Search {
    fn folder(&mut self, folder: &Path, depth: usize) -> Result<(), IngestError> {
        if find(folder, BLOCK).is_some() || find(folder, BLOCK_RLP).is_some() {
            self.units.push(Unit::Block(folder.to_owned()));
            return Ok(());
        }
        if find(folder, CHAIN).is_some() || find(folder, GENESIS).is_some() {
            self.units.push(Unit::Chain(folder.to_owned()));
            return Ok(());
        }
        if depth == FOLDER_DEPTH_MAX {
            let fault = IngestFault::TooMany { what: "nested folders", limit: FOLDER_DEPTH_MAX };
            return Err(IngestError::new(folder, "", fault));
        }
        for path in self.entries_in_order(folder)? {
            if path.is_dir() {
                self.folder(&path, depth + 1)?;
            } else if let Ok(unit) = unit_of_file(&path) {
                self.units.push(unit);
            }
        }
        Ok(())
    }

    fn entries_in_order(&mut self, folder: &Path) -> Result<Vec<PathBuf>, IngestError> {
        let failed = |error: io::Error| IngestError::new(folder, "", error);
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                let fault = IngestFault::TooMany { what: "files and folders", limit: ENTRIES_MAX };
                return Err(IngestError::new(folder, "", fault));
            }
            paths.push(entry.path());
        }
        paths.sort_by(|a, b| {
            let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            natural_order(&name(a), &name(b))
        });
        Ok(paths)
    }
}

/// Compares as people do: runs of digits by their value, all else by character.
fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    loop {
        let (Some(a_char), Some(b_char)) = (a_rest.chars().next(), b_rest.chars().next()) else {
            return a_rest.len().cmp(&b_rest.len()).then_with(|| a.cmp(b));
        };
        if a_char.is_ascii_digit() && b_char.is_ascii_digit() {
            let (a_number, a_after) = split_number(a_rest);
            let (b_number, b_after) = split_number(b_rest);
            let order = a_number.len().cmp(&b_number.len()).then_with(|| a_number.cmp(b_number));
            if order != Ordering::Equal {
                return order;
            }
            (a_rest, b_rest) = (a_after, b_after);
        } else if a_char == b_char {
            (a_rest, b_rest) = (&a_rest[a_char.len_utf8()..], &b_rest[b_char.len_utf8()..]);
        } else {
            return a_char.cmp(&b_char);
        }
    }
}

/// Splits the digits off the front, without their leading zeros.
fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (digits, after) = text.split_at(end);
    (digits.trim_start_matches('0'), after)
}

/// The file of that name in the folder, plain or compressed.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    [folder.join(name), folder.join(format!("{name}.gz"))].into_iter().find(|path| path.is_file())
}

fn find_or_missing(folder: &Path, name: &'static str) -> Result<PathBuf, IngestError> {
    find(folder, name).ok_or_else(|| IngestError::new(folder, "", IngestFault::Missing { what: name }))
}

/// Reads a file and makes something of its bytes; an error names the file.
fn read_as<T>(path: &Path, parse: impl FnOnce(&[u8]) -> Result<T, String>) -> Result<T, IngestError> {
    files::read(path, JSON_FILE_BYTES_MAX)
        .and_then(|bytes| parse(&bytes).map_err(IngestFault::Json))
        .map_err(|fault| IngestError::new(path, "", fault))
}

fn read_block_folder(folder: &Path) -> Result<Case, IngestError> {
    let bytes = read_block(folder)?;
    let witness = match find(folder, WITNESS) {
        Some(path) => Some(
            files::read(&path, WITNESS_FILE_BYTES_MAX)
                .and_then(|json| Witness::parse(&json).map_err(IngestFault::Json))
                .map_err(|fault| IngestError::new(&path, "", fault))?,
        ),
        None => None,
    };
    let mut prestate = match find(folder, PRESTATE) {
        Some(path) => Some(read_as(&path, prestate::parse_touched_prestate)?),
        None => None,
    };
    if let Some(path) = find(folder, BLOCK_HASHES) {
        let block_hashes = read_as(&path, prestate::parse_block_hashes)?;
        if let Some(prestate) = &mut prestate {
            prestate.block_hashes = block_hashes;
        }
    }
    let spec = match find(folder, GENESIS) {
        Some(path) => files::read(&path, JSON_FILE_BYTES_MAX)
            .and_then(|json| genesis::parse_rules(&json))
            .map_err(|fault| IngestError::new(&path, "", fault))?,
        None => ChainSpec::mainnet(),
    };
    let input =
        BlockInput { bytes, expectation: Expectation::Valid, stated_hash: None, stated_senders: None };
    Ok(Case {
        path: folder.to_owned(),
        name: None,
        spec,
        genesis: None,
        // What is proven is worth more than what is said.
        prestate: prestate.filter(|_| witness.is_none()),
        witness,
        blocks: Blocks::from_memory(vec![input]),
        expected: None,
    })
}

/// Reads a genesis file, or that of a chain folder, or takes Ethereum's where the path is `mainnet` and nothing of that name is
/// there: a case without blocks.
///
/// # Errors
/// What cannot be read, or is no genesis file.
pub fn open_genesis(path: &Path) -> Result<Case, IngestError> {
    let genesis = if path.is_dir() {
        read_genesis(&find_or_missing(path, GENESIS)?)?
    } else if path == Path::new("mainnet") && !path.exists() {
        mainnet_genesis()
    } else {
        read_genesis(path)?
    };
    Ok(chain_case(path, genesis, None, Blocks::from_memory(Vec::new())))
}

fn chain_case(path: &Path, genesis: Genesis, exported_hash: Option<B256>, blocks: Blocks) -> Case {
    let completeness = Completeness::Whole;
    let prestate = Prestate { accounts: genesis.accounts, completeness, ..Prestate::default() };
    Case {
        path: path.to_owned(),
        name: None,
        spec: genesis.spec,
        genesis: Some(GenesisHeader::Unrooted { header: Box::new(genesis.header), exported_hash }),
        prestate: Some(prestate),
        witness: None,
        blocks,
        expected: None,
    }
}

/// The block of a block folder; as RLP if there are both forms, because that holds the ommers.
fn read_block(folder: &Path) -> Result<BlockBytes, IngestError> {
    if let Some(path) = find(folder, BLOCK_RLP) {
        let rlp = files::read(&path, BLOCK_BYTES_MAX as u64);
        let rlp = rlp.map_err(|fault| IngestError::new(&path, "", fault))?;
        return Ok(BlockBytes::Rlp(rlp.into()));
    }
    let path = find_or_missing(folder, BLOCK)?;
    let json = files::read(&path, JSON_FILE_BYTES_MAX);
    Ok(BlockBytes::RpcJson(json.map_err(|fault| IngestError::new(&path, "", fault))?.into()))
}

fn read_chain_folder(folder: &Path) -> Result<Case, IngestError> {
    let genesis_path = find_or_missing(folder, GENESIS)?;
    let chain_path = find_or_missing(folder, CHAIN)?;
    let genesis = read_genesis(&genesis_path)?;

    let reader = files::open(&chain_path).map_err(|error| IngestError::new(&chain_path, "", error))?;
    let mut chain = ChainReader::new(&chain_path, reader);
    let exported_hash = match chain.take_genesis()? {
        Some(rlp) => {
            let block = decode_block(&BlockBytes::Rlp(rlp))
                .map_err(|error| IngestError::new(&chain_path, "block 0", error))?;
            Some(block.header.hash())
        }
        None => None,
    };
    Ok(chain_case(folder, genesis, exported_hash, Blocks::from_chain(chain)))
}

fn read_tests(path: &Path) -> Result<Vec<Result<Case, IngestError>>, IngestError> {
    let json = files::read(path, JSON_FILE_BYTES_MAX).map_err(|fault| IngestError::new(path, "", fault))?;
    blockchain_test::parse(path, &json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_as_people_order_them() {
        let mut names = ["10", "9", "b", "a10", "a9", "010", "a", "", "a9b"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["", "9", "010", "10", "a", "a9", "a9b", "a10", "b"]);
    }
}
