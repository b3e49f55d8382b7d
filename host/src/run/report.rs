//! What is reported of a block: plain data, serialised as it stands by `--json`.

use super::Times;
use crate::{ingest::Witness, reconcile::LaneCounts, recover::SenderCacheCounts, spec::ChainSpec};
use alloy_consensus::Header;
use alloy_primitives::Bytes;
use outrider_kernels::accelerator::{Accelerator, AuditCounts, KernelCounts};
use serde::{Serialize, Serializer};
use std::{
    collections::BTreeMap,
    fmt,
    ops::AddAssign,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Outcomes of the checks of one block: true, false, or null where it cannot be checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checks {
    /// The header's own rules, its rules against the parent where that is known, and its hash.
    pub header: Option<bool>,
    /// Every sender against the known one, where the input names senders.
    pub senders: Option<bool>,
    /// Root of the transactions trie.
    pub transactions_root: Option<bool>,
    /// Gas used.
    pub gas_used: Option<bool>,
    /// Root of the receipts trie.
    pub receipts_root: Option<bool>,
    /// Bloom of all logs.
    pub logs_bloom: Option<bool>,
    /// Root of the state after the block.
    pub state_root: Option<bool>,
}

impl Checks {
    fn all(&self) -> [Option<bool>; 7] {
        [
            self.header,
            self.senders,
            self.transactions_root,
            self.gas_used,
            self.receipts_root,
            self.logs_bloom,
            self.state_root,
        ]
    }

    /// Whether no check failed.
    pub fn none_failed(&self) -> bool {
        !self.all().contains(&Some(false))
    }

    /// Names of the checks that were not made, but for that of senders, which only some inputs name.
    pub fn not_made(&self) -> Vec<&'static str> {
        let named = [
            ("header", self.header),
            ("transactions_root", self.transactions_root),
            ("gas_used", self.gas_used),
            ("receipts_root", self.receipts_root),
            ("logs_bloom", self.logs_bloom),
            ("state_root", self.state_root),
        ];
        named.into_iter().filter(|(_, check)| check.is_none()).map(|(name, _)| name).collect()
    }

    /// Number of checks that passed.
    pub fn passed(&self) -> usize {
        self.all().iter().filter(|check| **check == Some(true)).count()
    }

    /// Number of checks made.
    pub fn made(&self) -> usize {
        self.all().iter().flatten().count()
    }
}

/// What is answered about a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Answer {
    /// The root of the state after it was computed, and is the header's, as is all else.
    Valid,
    /// Nothing is wrong as far as it could be checked, or it could not be executed; [`Checks`] say what was checked.
    #[default]
    Computed,
    /// A rule is broken, or something is not as the header says, and sequential revm agrees.
    Invalid,
    /// State is needed that was not supplied.
    NeedsState,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Valid => "VALID",
            Self::Computed => "COMPUTED",
            Self::Invalid => "INVALID",
            Self::NeedsState => "NEEDS_STATE",
        })
    }
}

/// A block with all that is needed to execute it and to compute the root of the state after it.
#[derive(Clone, Debug)]
pub struct WitnessedBlock {
    /// The rules.
    pub spec: ChainSpec,
    /// The block's header.
    pub header: Header,
    /// RLP of the block.
    pub rlp: Bytes,
    /// What it needs of the state before it.
    pub witness: Witness,
}

/// Seconds of wall time, stage by stage. What one thread does adds up to the run; with several, stages of
/// neighbouring blocks overlap, a stage waits for what its threads have taken on besides, and only
/// [`Total::core_seconds`] says what was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct StageSeconds {
    /// Decoding, and hashing the transactions trie.
    pub ingest: f64,
    /// Signing hashes and senders.
    pub recover: f64,
    /// Routing and planning.
    pub plan: f64,
    /// Executing and settling in block order.
    pub execute: f64,
    /// Receipts root and bloom.
    pub reconcile: f64,
    /// Applying the changes and hashing the state.
    pub root: f64,
}

impl StageSeconds {
    /// The sum of all stages.
    pub fn sum(&self) -> f64 {
        self.ingest + self.recover + self.plan + self.execute + self.reconcile + self.root
    }
}

impl AddAssign for StageSeconds {
    fn add_assign(&mut self, other: Self) {
        self.ingest += other.ingest;
        self.recover += other.recover;
        self.plan += other.plan;
        self.execute += other.execute;
        self.reconcile += other.reconcile;
        self.root += other.root;
    }
}

/// Runs `work` and adds its wall time to `seconds`.
pub fn timed<T>(seconds: &mut f64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let out = work();
    *seconds += start.elapsed().as_secs_f64();
    out
}

/// A value of the block that came out otherwise than expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Which field.
    pub field: String,
    /// What the header, or the input, says.
    pub expected: String,
    /// What came out.
    pub found: String,
    /// Whether it is our lanes that differ from sequential revm, rather than the block from its
    /// header.
    pub between_lanes: bool,
}

/// One block, as `--json` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct BlockReport {
    /// File or folder the block came from; as text, what is not Unicode is replaced.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// Place in the case, from 1 on, which stands where the number cannot be known.
    #[serde(skip)]
    pub position: usize,
    /// Block number; null where the block cannot be decoded.
    pub number: Option<u64>,
    /// Name of the test case, where there is one.
    pub case: Option<String>,
    /// Name of the fork whose rules hold; null where the block cannot be decoded.
    pub fork: Option<String>,
    /// Number of transactions.
    pub transactions: usize,
    /// Transactions settled by each lane.
    pub lanes: LaneCounts,
    /// Speculative executions that had to be done again.
    pub reexecuted: usize,
    /// Gas used.
    pub gas_used: u64,
    /// What is answered.
    pub verdict: Answer,
    /// Outcomes of the checks.
    pub checks: Checks,
    /// Checks that were not made.
    pub unchecked: Vec<&'static str>,
    /// Whether everything that can be checked is as it should be.
    #[serde(rename = "match")]
    pub matched: bool,
    /// What is wrong with the block, by the tests' class names; null for a valid block.
    pub exception: Option<String>,
    /// What the test expects to be wrong with the block; null where it expects it to be valid.
    pub expected_exception: Option<String>,
    /// The same in full, with the transaction and the values at fault.
    pub reason: Option<String>,
    /// The state key that is needed and was not supplied; null where all were.
    pub needs: Option<String>,
    /// Whether the fault lies in the bytes or in a transaction, rather than in what the header says
    /// of them.
    #[serde(skip)]
    pub is_malformed: bool,
    /// Whether blocks behind it were left out, because they stand on it.
    #[serde(skip)]
    pub cuts_chain: bool,
    /// Fields that differ.
    pub mismatches: Vec<Mismatch>,
    /// Whether its ommers were checked neither against its ancestors nor against theirs, which are not known.
    #[serde(skip)]
    pub has_unchecked_ommers: bool,
    /// The block with its witness, where one was asked for and could be made; or why it could not.
    #[serde(skip)]
    pub witness: Option<Result<Box<WitnessedBlock>, String>>,
    /// The device: an adapter's name, or `cpu`.
    pub device: String,
    /// Items done by each kernel, and where.
    #[serde(serialize_with = "kernel_counts")]
    pub kernels: BTreeMap<&'static str, KernelCounts>,
    /// What the sender cache did for it.
    pub sender_cache: SenderCacheCounts,
    /// Time of each stage.
    pub seconds: StageSeconds,
}

impl BlockReport {
    /// A report that says nothing yet.
    pub fn new(path: &Path, case: Option<&str>, device: &str) -> Self {
        Self {
            path: path.to_owned(),
            position: 1,
            number: None,
            case: case.map(str::to_owned),
            fork: None,
            transactions: 0,
            lanes: LaneCounts::default(),
            reexecuted: 0,
            gas_used: 0,
            verdict: Answer::default(),
            checks: Checks::default(),
            unchecked: Vec::new(),
            matched: false,
            exception: None,
            expected_exception: None,
            reason: None,
            needs: None,
            is_malformed: false,
            cuts_chain: false,
            mismatches: Vec::new(),
            has_unchecked_ommers: false,
            witness: None,
            device: device.to_owned(),
            kernels: BTreeMap::new(),
            sender_cache: SenderCacheCounts::default(),
            seconds: StageSeconds::default(),
        }
    }

    /// Notes a value that is not as expected.
    pub fn differs(&mut self, field: &str, expected: impl ToString, found: impl ToString) {
        self.mismatches.push(Mismatch {
            field: field.to_owned(),
            expected: expected.to_string(),
            found: found.to_string(),
            between_lanes: false,
        });
    }

    /// Whether all checks were made that a block can be put to, and none failed.
    pub fn is_checked_throughout(&self) -> bool {
        self.checks.none_failed() && self.checks.not_made().is_empty() && !self.has_unchecked_ommers
    }

    /// Whether our own lanes disagree about the block.
    pub fn has_disagreement(&self) -> bool {
        self.mismatches.iter().any(Mismatch::is_disagreement)
    }
}

impl Mismatch {
    /// A difference between the lanes and sequential revm: a fault of ours, whatever the block is.
    pub fn disagreement(field: &str, expected: String, found: String) -> Self {
        Self { field: field.to_owned(), expected, found, between_lanes: true }
    }

    /// Whether it is one between the lanes and sequential revm.
    pub const fn is_disagreement(&self) -> bool {
        self.between_lanes
    }
}

fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

fn kernel_counts<S: Serializer>(
    kernels: &BTreeMap<&'static str, KernelCounts>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Counts {
        gpu: u64,
        cpu: u64,
        redone: u64,
    }
    serializer.collect_map(kernels.iter().map(|(kernel, counts)| {
        let KernelCounts { gpu, cpu, redone } = *counts;
        (kernel, Counts { gpu, cpu, redone })
    }))
}

/// How a device served, over a whole run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceReport {
    /// Name of the adapter.
    pub name: String,
    /// Batches, or parts of batches, of whose answers something was checked.
    pub audited_batches: u64,
    /// Items that were checked.
    pub audited_items: u64,
    /// Batches in which something was wrong.
    pub mismatches: u64,
    /// Batches that the CPU took over, in part at least, because the device was late.
    pub late_batches: u64,
    /// Why the device does not serve any more; null while it does.
    pub out_of_service: Option<String>,
}

impl DeviceReport {
    /// Of an accelerator that has a device.
    pub fn of(accelerator: &Accelerator) -> Option<Self> {
        let AuditCounts { batches, items, mismatches } = accelerator.audits();
        accelerator.adapter().map(|adapter| Self {
            name: adapter.name.clone(),
            audited_batches: batches,
            audited_items: items,
            mismatches,
            late_batches: accelerator.late_batches(),
            out_of_service: accelerator.quarantine_reason().map(str::to_owned),
        })
    }
}

impl fmt::Display for DeviceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, audited_batches, audited_items, mismatches, late_batches, .. } = self;
        write!(
            f,
            "device {name}: {audited_items} items of {audited_batches} batches checked, {mismatches} batches wrong, \
             {late_batches} late"
        )?;
        match &self.out_of_service {
            Some(reason) => write!(f, "; out of service: {reason}"),
            None => Ok(()),
        }
    }
}

/// Totals over all blocks of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Total {
    /// Blocks run.
    pub blocks: usize,
    /// Their transactions, but for those of blocks that could not be executed for want of state.
    pub transactions: usize,
    /// Blocks that matched.
    pub matched: usize,
    /// Blocks that could not be executed for want of state.
    pub incomplete: usize,
    /// Files or cases that could not be read.
    pub unreadable: usize,
    /// What the sender cache did.
    pub sender_cache: SenderCacheCounts,
    /// Wall time from the first block's bytes to the last checked result, without loading.
    pub seconds: f64,
    /// Seconds that all cores together spent in that time; null where the system does not say.
    pub core_seconds: Option<f64>,
    /// Transactions by that time.
    pub transactions_per_second: f64,
    /// Opening the device, compiling and testing the kernels.
    pub startup_seconds: f64,
    /// Reading and building pre-states and genesis states.
    pub load_seconds: f64,
}

impl Total {
    /// Counts one block.
    pub fn add(&mut self, report: &BlockReport) {
        self.blocks += 1;
        if report.needs.is_none() {
            self.transactions += report.transactions;
        }
        self.matched += usize::from(report.matched);
        self.incomplete += usize::from(report.needs.is_some());
        self.sender_cache += report.sender_cache;
    }

    /// Sets the times.
    pub fn finish(&mut self, times: &Times, startup: Duration) {
        self.seconds = times.run.as_secs_f64();
        self.core_seconds = times.cores.map(|cores| cores.as_secs_f64());
        self.startup_seconds = startup.as_secs_f64();
        self.load_seconds = times.load.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people; counts stay far below 2^53")]
        let transactions = self.transactions as f64;
        self.transactions_per_second = if self.seconds > 0.0 { transactions / self.seconds } else { 0.0 };
    }
}
