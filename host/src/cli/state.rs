//! `outrider state`: states on disk.

use super::{EXIT_BAD_INPUT, EXIT_DISK_FULL, EXIT_MATCH, EXIT_MISMATCH, Failure, written};
use clap::{Args, Subcommand};
use flate2::{Compression, write::GzEncoder};
use outrider::{
    ingest,
    run::Chain,
    state::{Completeness, StateTrie, World},
    store::{
        Identity, Info, KeptHeader, Limits, Origin, Progress, REORG_DEPTH_MAX, Store, read_headers,
        write_accounts, write_headers,
    },
};
use std::{
    fs::{self, File},
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
    time::Instant,
};

const EXAMPLES: &str = "\
A store lies in a folder, in one file. `outrider run --data DIR CHAIN_FOLDER` continues it block by block.

Examples:
  outrider state init /tmp/data fixtures/chains/mixed
  outrider run --data /tmp/data fixtures/chains/mixed
  outrider state info --json /tmp/data | jq .head_number
  outrider state verify /tmp/data
  outrider state export /tmp/data --out /tmp/state.json.gz --headers /tmp/headers.rlp
  outrider state import /tmp/copy /tmp/state.json.gz --genesis fixtures/chains/mixed --headers /tmp/headers.rlp

Exit codes: 0 done, 2 bad input, 4 damaged, 5 disk full, 6 missing, there already, in use or not
writable, 7 of another chain or layout.";

/// Arguments of `outrider state`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StateArgs {
    #[command(subcommand)]
    command: StateCommand,
}

#[derive(Debug, Subcommand)]
enum StateCommand {
    /// Make a store with the state of a genesis file
    Init {
        /// Folder of the store
        dir: PathBuf,
        /// A genesis file, a chain folder with one, or mainnet
        genesis: PathBuf,
        /// Blocks that a reorganisation can take back after a restart
        #[arg(long, default_value_t = Limits::default().reorg_depth, value_name = "N",
            value_parser = clap::value_parser!(u64).range(1..=REORG_DEPTH_MAX))]
        reorg_depth: u64,
    },
    /// Say what a store holds, and what bounds its size and the time to start
    Info {
        /// Folder of the store
        dir: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Check everything: checksums of all pages, hashes of headers and codes, the state root after every block
    Verify {
        /// Folder of the store
        dir: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Write the state of the head as the `alloc` object of a genesis file
    Export {
        /// Folder of the store
        dir: PathBuf,
        /// File to write, compressed if its name ends in .gz
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// File to write the last headers to, as RLP one after the other, the head's last
        #[arg(long, value_name = "FILE")]
        headers: Option<PathBuf>,
    },
    /// Make a store with a state from such a file, whose root must be the last header's
    Import {
        /// Folder of the store
        dir: PathBuf,
        /// The `alloc` object, plain or compressed
        file: PathBuf,
        /// The chain: a genesis file, a chain folder with one, or mainnet
        #[arg(long, value_name = "PATH")]
        genesis: PathBuf,
        /// The headers that lead to the state, the state's own last [default: the genesis block]
        #[arg(long, value_name = "FILE")]
        headers: Option<PathBuf>,
        /// Blocks that a reorganisation can take back after a restart
        #[arg(long, default_value_t = Limits::default().reorg_depth, value_name = "N",
            value_parser = clap::value_parser!(u64).range(1..=REORG_DEPTH_MAX))]
        reorg_depth: u64,
    },
}

/// Runs the command.
pub(crate) fn run(args: &StateArgs) -> Result<u8, Failure> {
    match &args.command {
        StateCommand::Init { dir, genesis, reorg_depth } => init(dir, genesis, *reorg_depth),
        StateCommand::Info { dir, json } => info(dir, *json),
        StateCommand::Verify { dir, json } => verify(dir, *json),
        StateCommand::Export { dir, out, headers } => export(dir, out, headers.as_deref()),
        StateCommand::Import { dir, file, genesis, headers, reorg_depth } => {
            import(dir, file, genesis, headers.as_deref(), *reorg_depth)
        }
    }?;
    Ok(EXIT_MATCH)
}

/// A chain with its first block alone.
struct Genesis {
    chain: Chain,
    identity: Identity,
    block: KeptHeader,
}

fn read_genesis(path: &Path) -> Result<Genesis, Failure> {
    let case = ingest::open_genesis(path).map_err(Failure::bad_input)?;
    let place = case.path.display().to_string();
    let chain = Chain::load(case.spec, case.genesis, case.prestate.unwrap_or_default())
        .map_err(|message| Failure::bad_input(format_args!("{place}: genesis: {message}")))?;
    let header = chain.head().and_then(|hash| Some((hash, chain.header(&hash)?.clone())));
    let (hash, header) =
        header.ok_or_else(|| Failure::bad_input(format_args!("{place}: no genesis block")))?;
    let total_difficulty = header.difficulty;
    let block = KeptHeader { hash, header, ommers: Vec::new(), total_difficulty };
    let identity = Identity { chain_id: chain.spec.chain_id(), genesis_hash: hash };
    Ok(Genesis { chain, identity, block })
}

fn init(dir: &Path, genesis: &Path, reorg_depth: u64) -> Result<(), Failure> {
    let Genesis { chain, identity, block } = read_genesis(genesis)?;
    let limits = Limits { reorg_depth };
    Store::create(dir, &Origin { identity, limits, block: &block, ancestors: &[], world: &chain.world() })?;
    say(format_args!("{}: {identity}, {} accounts", dir.display(), chain.world().accounts().len()))
}

fn info(dir: &Path, json: bool) -> Result<(), Failure> {
    let info = Store::open(dir)?.info()?;
    if json {
        return say_json(&info);
    }
    let Info { chain_id, genesis_hash, head_number, head_hash, state_root, .. } = &info;
    say(format_args!(
        "chain        {chain_id}, genesis {genesis_hash}\n\
         head         block {head_number} {head_hash}\n\
         state root   {state_root}\n\
         snapshot     block {}: {} accounts, {} slots, {} bytes\n\
         after it     {} blocks, {} bytes of changes; reorganisations reach {} blocks back\n\
         start        reads at most {} bytes, codes and headers apart\n\
         file         {} bytes, at most {} while the snapshot stays as long\n\
         layout       version {}",
        info.snapshot_number,
        info.accounts,
        info.slots,
        info.snapshot_bytes,
        info.blocks,
        info.records_bytes,
        info.reorg_depth,
        info.load_bytes_max,
        info.file_bytes,
        info.file_bytes_max,
        info.version,
    ))
}

fn verify(dir: &Path, json: bool) -> Result<(), Failure> {
    let start = Instant::now();
    let store = Store::open(dir)?;
    let aloud = !json && io::stderr().is_terminal();
    let verified = store.verify(&mut |progress| {
        if aloud {
            let _ = match progress {
                Progress::Snapshot { number, accounts } => {
                    write!(io::stderr(), "\r\x1b[Ksnapshot of block {number}, {accounts} accounts")
                }
                Progress::Block { number, done, blocks } => {
                    write!(io::stderr(), "\r\x1b[Kblock {number}, {done} of {blocks}")
                }
            };
        }
    });
    if aloud {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    let verified = verified?;
    if json {
        return say_json(&verified);
    }
    say(format_args!(
        "{}: in order up to block {} {}: {} state roots, {} headers, {} accounts, and the checksums of all pages in {:.1} s",
        dir.display(),
        verified.head_number,
        verified.head_hash,
        verified.state_roots,
        verified.headers,
        verified.accounts,
        start.elapsed().as_secs_f64()
    ))
}

fn export(dir: &Path, out: &Path, headers: Option<&Path>) -> Result<(), Failure> {
    let loaded = Store::open(dir)?.load_head()?;
    write_file(out, |writer| {
        if out.extension().is_some_and(|extension| extension == "gz") {
            let mut encoder = GzEncoder::new(writer, Compression::fast());
            write_accounts(&loaded.world, &mut encoder)?;
            encoder.finish().map(drop)
        } else {
            write_accounts(&loaded.world, writer)
        }
    })?;
    if let Some(path) = headers {
        write_file(path, |mut writer| write_headers(&loaded.ancestry, &mut writer))?;
    }
    let head = loaded.ancestry.last().map(|block| block.header.number).unwrap_or_default();
    say(format_args!(
        "{}: {} accounts after block {head}, state root {}",
        out.display(),
        loaded.world.accounts().len(),
        loaded.trie.root()
    ))
}

/// Writes a file under another name, and gives it its own when it is whole.
fn write_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), Failure> {
    let partial = path.with_added_extension("partial");
    let written = || {
        let mut writer = BufWriter::new(File::create(&partial)?);
        write(&mut writer)?;
        writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&partial, path)
    };
    written().map_err(|error| {
        let _ = fs::remove_file(&partial);
        let code = if error.kind() == io::ErrorKind::StorageFull { EXIT_DISK_FULL } else { EXIT_BAD_INPUT };
        Failure { code, message: format!("{}: {error}", path.display()) }
    })
}

fn import(
    dir: &Path,
    file: &Path,
    genesis: &Path,
    headers: Option<&Path>,
    reorg_depth: u64,
) -> Result<(), Failure> {
    let Genesis { chain, identity, block: first } = read_genesis(genesis)?;
    let mut ancestors = match headers {
        None => vec![first.clone()],
        Some(path) => {
            let place = |error: &dyn std::fmt::Display| {
                Failure::bad_input(format_args!("{}: {error}", path.display()))
            };
            read_headers(&fs::read(path).map_err(|error| place(&error))?).map_err(|error| place(&error))?
        }
    };
    let mut block = ancestors.pop().ok_or_else(|| Failure::bad_input("there are no headers"))?;
    if block.header.number == first.header.number && block.hash != first.hash {
        return Err(Failure::bad_input(format_args!(
            "the header is that of {}, not of {}",
            block.hash, first.hash
        )));
    }
    if block.header.number > first.header.number
        && !block.header.difficulty.is_zero()
        && chain.spec.unresolved_merge().is_some()
    {
        return Err(Failure::bad_input("the total difficulty before the merge is not known from headers"));
    }
    if block.header.number > first.header.number {
        // A block after the merge has what the merge took behind it.
        block.total_difficulty = chain.spec.unresolved_merge().unwrap_or_default();
    }
    drop(chain);
    let mut world = World::with_capacity(Completeness::Whole, 0);
    let mut accounts = 0;
    let progress = io::stderr().is_terminal();
    ingest::read_accounts(file, &mut |address, account| {
        if world.accounts().contains_key(&address) {
            return Err("twice".to_owned());
        }
        world.insert(address, account.balance, account.nonce, account.code, account.storage);
        accounts += 1;
        if progress && accounts % 100_000 == 0 {
            let _ = write!(io::stderr(), "\r\x1b[K{accounts} accounts");
        }
        Ok(())
    })
    .map_err(Failure::bad_input)?;
    if progress {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    let root = StateTrie::new(&world).root();
    if root != block.header.state_root {
        let expected = block.header.state_root;
        return Err(Failure {
            code: EXIT_MISMATCH,
            message: format!("{}: state root {root}, the header says {expected}", file.display()),
        });
    }
    let limits = Limits { reorg_depth };
    let number = block.header.number;
    Store::create(dir, &Origin { identity, limits, block: &block, ancestors: &ancestors, world: &world })?;
    say(format_args!("{}: {accounts} accounts after block {number}, state root {root}", dir.display()))
}

fn say(line: impl std::fmt::Display) -> Result<(), Failure> {
    written(writeln!(io::stdout(), "{line}"))
}

fn say_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    say(serde_json::to_string(value).map_err(Failure::bad_input)?)
}
