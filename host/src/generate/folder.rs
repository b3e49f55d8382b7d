//! A generated chain as a folder.

use super::{GenerateError, GenerateOptions, Generator};
use alloy_primitives::B256;
use alloy_rlp::Encodable;
use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

const GENESIS_FILE: &str = "genesis.json";
const CHAIN_FILE: &str = "chain.rlp";
/// Ending of a file that is not finished.
const PARTIAL: &str = ".partial";

/// How far a chain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Blocks written.
    pub blocks: usize,
    /// Blocks to be written.
    pub blocks_total: usize,
    /// Transactions written.
    pub transactions: usize,
}

/// What was generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generated {
    /// Hash of the genesis block.
    pub genesis_hash: B256,
    /// Hash of the last block.
    pub head_hash: B256,
    /// Number of blocks, genesis not counted.
    pub blocks: usize,
    /// Number of transactions.
    pub transactions: usize,
    /// Gas used by all blocks.
    pub gas_used: u64,
    /// Length of `chain.rlp`.
    pub chain_bytes: u64,
}

/// Generates a chain into a folder, which is made if it does not exist and may hold an earlier
/// generated chain, which is replaced. `progress` is called after each block.
///
/// Both files are written under another name and take their own only at the end, so that an
/// interrupted run leaves no half of a chain.
///
/// # Errors
/// Options out of bounds, a folder with other files in it, and failures to write.
pub fn generate(
    options: &GenerateOptions,
    folder: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Generated, GenerateError> {
    options.check()?;
    claim(folder)?;
    let mut generator = Generator::new(options)?;
    let genesis_file = Partial::create(folder, GENESIS_FILE)?;
    let genesis_file = genesis_file.write_with(|writer, path| {
        serde_json::to_writer_pretty(writer, generator.genesis())
            .map_err(|error| GenerateError::Json { path: path.to_owned(), error })
    })?;
    let genesis_hash = generator.chain().head().hash_slow();
    let mut generated = Generated {
        genesis_hash,
        head_hash: genesis_hash,
        blocks: 0,
        transactions: 0,
        gas_used: 0,
        chain_bytes: 0,
    };
    let chain_file = Partial::create(folder, CHAIN_FILE)?;
    let chain_file = chain_file.write_with(|writer, path| {
        let mut encoded = Vec::new();
        for _ in 0..options.blocks {
            let sealed = generator.next_block()?;
            encoded.clear();
            sealed.block.encode(&mut encoded);
            writer.write_all(&encoded).map_err(io_error(path))?;
            generated.head_hash = sealed.hash;
            generated.blocks += 1;
            generated.transactions += sealed.block.body.transactions.len();
            generated.gas_used += sealed.executed.gas_used;
            generated.chain_bytes += encoded.len() as u64;
            let Generated { blocks, transactions, .. } = generated;
            progress(Progress { blocks, blocks_total: options.blocks, transactions });
        }
        Ok(())
    })?;
    genesis_file.finish()?;
    chain_file.finish()?;
    Ok(generated)
}

/// Makes the folder, unless it holds what is not ours.
fn claim(folder: &Path) -> Result<(), GenerateError> {
    fs::create_dir_all(folder).map_err(io_error(folder))?;
    for entry in fs::read_dir(folder).map_err(io_error(folder))? {
        let name = entry.map_err(io_error(folder))?.file_name();
        let name = name.to_string_lossy();
        let whole = name.strip_suffix(PARTIAL).unwrap_or(&name);
        if whole != GENESIS_FILE && whole != CHAIN_FILE {
            let found = name.into_owned();
            return Err(GenerateError::FolderInUse { path: folder.to_owned(), found });
        }
    }
    Ok(())
}

/// A file that is being written beside the place where it will be.
#[derive(Debug)]
struct Partial {
    path: PathBuf,
    finished: PathBuf,
    writer: BufWriter<File>,
}

impl Partial {
    fn create(folder: &Path, name: &str) -> Result<Self, GenerateError> {
        let (path, finished) = (folder.join(format!("{name}{PARTIAL}")), folder.join(name));
        let writer = BufWriter::new(File::create(&path).map_err(io_error(&path))?);
        Ok(Self { path, finished, writer })
    }

    fn write_with(
        mut self,
        write: impl FnOnce(&mut BufWriter<File>, &Path) -> Result<(), GenerateError>,
    ) -> Result<Self, GenerateError> {
        write(&mut self.writer, &self.path)?;
        self.writer.flush().map_err(io_error(&self.path))?;
        Ok(self)
    }

    fn finish(self) -> Result<(), GenerateError> {
        fs::rename(&self.path, &self.finished).map_err(io_error(&self.finished))
    }
}

fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> GenerateError {
    let path = path.to_owned();
    move |error| GenerateError::Io { path, error }
}
