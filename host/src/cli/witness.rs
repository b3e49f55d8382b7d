//! `outrider run --write-witness`: a folder for each block, which `outrider run` takes in turn.

use outrider::{run::report::WitnessedBlock, spec::ChainSpec};
use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// Where witnesses go, and how many went there.
#[derive(Debug)]
pub(super) struct WitnessFolder {
    path: PathBuf,
    pub(super) written: usize,
}

impl WitnessFolder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), written: 0 }
    }

    /// Writes `block.rlp`, `witness.json` and, for chains other than mainnet, `genesis.json` with the rules alone, into a
    /// folder that the block's number and hash name.
    pub(super) fn write(&mut self, block: &WitnessedBlock) -> io::Result<()> {
        let WitnessedBlock { spec, header, rlp, witness } = block;
        let hash = header.hash_slow();
        let folder = self.path.join(format!("{}-{}", header.number, &hash.to_string()[2..10]));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("block.rlp"), rlp)?;
        if *spec != ChainSpec::mainnet() {
            let rules = spec.to_genesis_json_for(header.number, header.timestamp);
            fs::write(folder.join("genesis.json"), format!("{rules:#}\n"))?;
        }
        let mut out = BufWriter::new(File::create(folder.join("witness.json"))?);
        witness.write_json(&mut out)?;
        out.flush()?;
        self.written += 1;
        Ok(())
    }

    /// An error of [`Self::write`] in words.
    pub(super) fn complaint(&self, error: &io::Error) -> String {
        format!("{}: {error}", self.path.display())
    }
}
