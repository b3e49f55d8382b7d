//! Run: cases through the whole flow, block by block, with every check that can be made.
//!
//! While one block executes and its roots are hashed, the next is decoded and its senders are recovered, so that two
//! blocks are in memory at most. A block that does
//! not come out as its header says, or that a lane calls invalid, is executed once more by
//! sequential revm, with senders recovered anew by scalar code: that run alone condemns.

mod chain;
mod clock;
mod confirm;
mod durable;
mod execute;
mod prepare;
mod process;
pub mod report;
mod stateless;
mod verdict;

pub use chain::{Chain, Tried};
pub use clock::core_time;
pub use durable::run_on_store;

use crate::{
    ingest::{self, BlockInput, Case, IngestError},
    recover::SenderCache,
    spec::ChainSpec,
    store::StoreError,
};
use alloy_consensus::Header;
use durable::Journal;
use outrider_kernels::accelerator::Accelerator;
use prepare::prepare;
use process::process;
use report::BlockReport;
use revm::primitives::hardfork::SpecId;
use std::{
    io,
    ops::AddAssign,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Which lanes execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneSet {
    /// Each transaction by the lane that fits it.
    All,
    /// Everything through sequential revm, the reference.
    Evm,
}

/// How blocks are run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The lanes in use.
    pub lanes: LaneSet,
    /// Whether sequential revm runs as well and everything is compared.
    pub check: bool,
    /// Whether a [witness](report::BlockReport::witness) is made of each block that is executed on a whole state.
    pub witnesses: bool,
}

/// What a run tells while it goes on.
#[derive(Debug)]
pub enum Event<'a> {
    /// A file or folder is being read.
    Loading(&'a Path),
    /// A store has been loaded, and the run goes on where it ends.
    Continuing {
        /// Number of the last block in the store.
        head_number: u64,
        /// Blocks at the front of the input that the store holds.
        skipped: usize,
    },
    /// A block is done; with a store, it is durable.
    Block(&'a BlockReport),
    /// A file or case, or the rest of one, cannot be read; what comes after it goes on.
    Unreadable(&'a RunError),
}

/// Takes events; an error ends the run.
pub type Sink<'a> = dyn FnMut(Event<'_>) -> io::Result<()> + 'a;

/// Times of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Wall time from the first block's bytes to the last checked result.
    pub run: Duration,
    /// Time that all cores together spent on that; absent where the system does not say.
    pub cores: Option<Duration>,
    /// Wall time of reading files and building the states before the first blocks.
    pub load: Duration,
}

impl AddAssign for Times {
    fn add_assign(&mut self, other: Self) {
        self.run += other.run;
        self.cores = other.cores.map(|cores| cores + self.cores.unwrap_or_default());
        self.load += other.load;
    }
}

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The input cannot be read.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// The genesis state is not that of the genesis header.
    #[error("{}: genesis: {message}", path.display())]
    Genesis {
        /// The file or folder.
        path: PathBuf,
        /// What differs.
        message: String,
    },
    /// There are no blocks to run.
    #[error("{}: holds no blocks", path.display())]
    NoBlocks {
        /// The file or folder.
        path: PathBuf,
    },
    /// Something that cannot be continued in a store: only a chain folder can.
    #[error("{}: not a chain folder (genesis.json and chain.rlp)", path.display())]
    NotAChain {
        /// The file or folder.
        path: PathBuf,
    },
    /// The store fails; blocks that were reported are safe.
    #[error(transparent)]
    Store(Box<StoreError>),
    /// Events cannot be delivered.
    #[error("output: {0}")]
    Output(#[from] io::Error),
}

impl From<StoreError> for RunError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

/// Runs everything that `path` holds. What `senders` knows is not recovered again: one cache may serve many paths.
///
/// # Errors
/// A path that holds nothing of a known kind, and a sink that fails. A file that cannot be read, or a
/// block that fails, ends nothing but its own case: events say so.
pub fn run_path(
    path: &Path,
    accelerator: &Accelerator,
    senders: &SenderCache,
    options: &Options,
    sink: &mut Sink<'_>,
) -> Result<Times, RunError> {
    let mut times = Times::default();
    sink(Event::Loading(path))?;
    let start = Instant::now();
    let mut source = ingest::open(path)?;
    times.load += start.elapsed();
    loop {
        let start = Instant::now();
        let Some(case) = source.next() else { break };
        if let Ok(case) = &case {
            sink(Event::Loading(&case.path))?;
        }
        let loaded = case.map_err(RunError::from).and_then(Loaded::new);
        times.load += start.elapsed();
        let (start, cores) = (Instant::now(), core_time());
        match loaded.and_then(|case| case.run(accelerator, senders, options, sink)) {
            Err(RunError::Output(error)) => return Err(RunError::Output(error)),
            Err(error) => sink(Event::Unreadable(&error))?,
            Ok(()) => {}
        }
        times.run += start.elapsed();
        let spent = core_time().zip(cores).map(|(now, then)| now - then);
        times.cores = spent.map(|spent| spent + times.cores.unwrap_or_default());
    }
    Ok(times)
}

/// Processes a block, and hands it over to be written if the chain then stands on it.
fn process_journaled(
    job: &Job<'_>,
    chain: &mut Chain,
    prepared: prepare::Prepared,
    journal: &mut Option<Journal<'_>>,
) -> BlockReport {
    let report = process(job, chain, prepared);
    if let Some(journal) = journal {
        journal.follow(chain);
    }
    report
}

/// What processing a block needs besides the block and the chain.
#[derive(Clone, Copy, Debug)]
struct Job<'a> {
    path: &'a Path,
    name: Option<&'a str>,
    /// Whether there is a state to execute on.
    executable: bool,
    /// What proves the state to execute on, where that is all that is known of it.
    witness: Option<&'a ingest::Witness>,
    /// How the chain must end, if this is its last block.
    expected: Option<&'a ingest::ExpectedEnd>,
    accelerator: &'a Accelerator,
    options: &'a Options,
}

/// A case with its state built, ready to run.
#[derive(Debug)]
pub struct Loaded {
    path: PathBuf,
    name: Option<String>,
    chain: Chain,
    blocks: ingest::Blocks,
    expected: Option<ingest::ExpectedEnd>,
    /// False for a block folder without a pre-state: only hashes and senders can be checked.
    executable: bool,
    witness: Option<ingest::Witness>,
}

impl Loaded {
    /// Builds the state before the first block.
    ///
    /// # Errors
    /// [`RunError::Genesis`].
    pub fn new(case: Case) -> Result<Self, RunError> {
        let Case { path, name, spec, genesis, prestate, witness, blocks, expected } = case;
        let executable = prestate.is_some() || witness.is_some();
        let chain = Chain::load(spec, genesis, prestate.unwrap_or_default())
            .map_err(|message| RunError::Genesis { path: path.clone(), message })?;
        Ok(Self { path, name, chain, blocks, expected, executable, witness })
    }

    /// The rules under which the block of a header is executed.
    pub fn rules_of(&self, header: &Header) -> SpecId {
        self.chain.spec.spec_id_at(header.number, header.timestamp)
    }

    /// Runs one block by itself, from its bytes to its verdict: what a validator waits for.
    pub fn take(
        &mut self,
        input: BlockInput,
        accelerator: &Accelerator,
        senders: &SenderCache,
        options: &Options,
    ) -> BlockReport {
        let Self { path, name, chain, executable, witness, .. } = self;
        let prepared = prepare(input, &chain.spec, accelerator, senders);
        let (name, executable, witness) = (name.as_deref(), *executable, witness.as_ref());
        let job = Job { path, name, executable, witness, expected: None, accelerator, options };
        process(&job, chain, prepared)
    }

    /// Runs all blocks; while one is processed, the next is prepared.
    ///
    /// # Errors
    /// As [`run_path`] gives them to its sink, and a sink that fails.
    pub fn run(
        self,
        accelerator: &Accelerator,
        senders: &SenderCache,
        options: &Options,
        sink: &mut Sink<'_>,
    ) -> Result<(), RunError> {
        self.run_journaled(accelerator, senders, options, None, sink)
    }

    /// The same, with what writes accepted blocks down.
    fn run_journaled(
        mut self,
        accelerator: &Accelerator,
        senders: &SenderCache,
        options: &Options,
        mut journal: Option<Journal<'_>>,
        sink: &mut Sink<'_>,
    ) -> Result<(), RunError> {
        let spec: ChainSpec = self.chain.spec.clone();
        // Blocks of a test may be siblings; those of a chain stand on each other.
        let is_chain = self.chain.has_genesis() && self.expected.is_none();
        let prepare = |input| prepare(input, &spec, accelerator, senders);
        let mut next = self.blocks.next().transpose()?.map(prepare);
        let is_empty = next.is_none();
        let mut unreadable = None;
        for position in 1.. {
            let Some(prepared) = next else { break };
            let input = self.blocks.next().transpose().unwrap_or_else(|error| {
                // First the block before it.
                unreadable = Some(error);
                None
            });
            let (path, name) = (self.path.as_path(), self.name.as_deref());
            let chain = &mut self.chain;
            let head = chain.head();
            let last = input.is_none() && unreadable.is_none();
            let expected = self.expected.as_ref().filter(|_| last);
            let witness = self.witness.as_ref();
            let job =
                Job { path, name, executable: self.executable, witness, expected, accelerator, options };
            let (mut report, prepared) = match input {
                None => (process_journaled(&job, chain, prepared, &mut journal), None),
                Some(input) => {
                    let (report, prepared) = rayon::join(
                        || process_journaled(&job, chain, prepared, &mut journal),
                        || prepare(input),
                    );
                    (report, Some(prepared))
                }
            };
            report.position = position;
            next = prepared;
            if is_chain && self.chain.head() == head {
                report.cuts_chain = next.take().is_some();
            }
            match &mut journal {
                None => sink(Event::Block(&report))?,
                Some(journal) => journal.report(report, sink)?,
            }
        }
        if let Some(journal) = &mut journal {
            journal.finish(sink)?;
        }
        match unreadable {
            Some(error) => Err(error.into()),
            None if is_empty && journal.is_none() => self.without_blocks(accelerator, sink),
            None => Ok(()),
        }
    }

    /// A case without blocks says something of its genesis state, or nothing at all.
    fn without_blocks(&self, accelerator: &Accelerator, sink: &mut Sink<'_>) -> Result<(), RunError> {
        let Some(expected) = &self.expected else {
            return Err(RunError::NoBlocks { path: self.path.clone() });
        };
        let mut report = BlockReport::new(&self.path, self.name.as_deref(), accelerator.device_name());
        report.matched = true;
        verdict::check_end(&self.chain, expected, &mut report);
        if report.matched { Ok(()) } else { Ok(sink(Event::Block(&report))?) }
    }
}
