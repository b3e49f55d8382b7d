//! `outrider run`.

use super::{
    DeviceArgs, EXIT_BAD_INPUT, EXIT_MATCH, EXIT_MISMATCH, Failure, audit::AuditArgs, complain,
    witness::WitnessFolder, written,
};
use clap::{Args, ValueEnum};
use outrider::{
    recover::SenderCache,
    run::{
        self, Event, LaneSet, Options, RunError, Times,
        report::{BlockReport, DeviceReport, StageSeconds, Total},
    },
    store::Store,
};
use outrider_kernels::accelerator::Accelerator;
use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    time::Instant,
};

const EXAMPLES: &str = "\
What PATH may be, by looking:
  a block folder       block.json[.gz], prestate.json[.gz], optional block_hashes.json; or
                       block.rlp[.gz] or block.json[.gz], witness.json[.gz] (debug_executionWitness),
                       genesis.json[.gz] with the rules unless they are mainnet's
  a chain folder       genesis.json[.gz] and chain.rlp[.gz], as `geth export` writes it
  a test file          an execution-spec blockchain test, .json[.gz]
  a folder             of block folders or of test files

Examples:
  outrider run fixtures/chains/mixed
  outrider run --device gpu --check fixtures/chains/hot
  outrider run --device gpu --audit batch --keep-mismatches /tmp/wrong fixtures/chains/hot
  outrider run --write-witness /tmp/witnesses fixtures/chains/mixed
  outrider run /tmp/witnesses
  outrider run --lanes evm --threads 1 --json BLOCK_FOLDER | jq .match
  outrider run --data /tmp/data CHAIN_FOLDER      (after `outrider state init /tmp/data CHAIN_FOLDER`)";

/// Arguments of `outrider run`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    /// Blocks to run
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    audit: AuditArgs,
    /// all = each transaction by the lane that fits it; evm = everything through sequential revm
    #[arg(long, value_enum, default_value_t = Lanes::All)]
    lanes: Lanes,
    /// Run sequential revm as well and compare complete post-state, receipts and logs
    #[arg(long)]
    check: bool,
    /// Write a folder with block and witness for each block that runs on a whole state
    #[arg(long, value_name = "DIR")]
    write_witness: Option<PathBuf>,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Continue the chain of one chain folder in the store in DIR: blocks that it holds are skipped, others are durable when
    /// they are printed
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print one JSON object a line instead of the table
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Lanes {
    All,
    Evm,
}

/// Runs the command.
pub(crate) fn run(args: &RunArgs) -> Result<u8, Failure> {
    let startup = Instant::now();
    if args.data.is_some() && args.paths.len() > 1 {
        return Err(Failure::bad_input("--data takes one chain folder"));
    }
    let store = args.data.as_deref().map(Store::open).transpose()?;
    let threads = args.threads.map_or(0, usize::from);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(Failure::bad_input)?;
    let accelerator = Accelerator::open(&args.device.choice(), &super::accelerator_options(&args.audit)?)?;
    let startup = startup.elapsed();
    let options = Options {
        lanes: match args.lanes {
            Lanes::All => LaneSet::All,
            Lanes::Evm => LaneSet::Evm,
        },
        check: args.check,
        witnesses: args.write_witness.is_some(),
    };
    let senders = SenderCache::default();
    let mut printer = Printer::new(args.json);
    let mut witnesses = args.write_witness.as_deref().map(WitnessFolder::new);
    let mut unwritable = None;
    let mut total = Total::default();
    let mut has_mismatch = false;
    let mut all = Times::default();
    for path in &args.paths {
        let sink = &mut |event: Event<'_>| {
            match &event {
                Event::Block(report) => {
                    total.add(report);
                    match (&report.witness, &mut witnesses) {
                        (Some(Ok(block)), Some(folder)) => {
                            if let Err(error) = folder.write(block) {
                                unwritable = Some(folder.complaint(&error));
                                return Err(error);
                            }
                        }
                        (Some(Err(error)), _) => {
                            complain(format_args!("{}: no witness: {error}", report.path.display()));
                            has_mismatch = true;
                        }
                        _ => {}
                    }
                    has_mismatch |= !report.matched && !report.is_malformed && report.needs.is_none();
                }
                Event::Unreadable(_) => total.unreadable += 1,
                Event::Loading(_) | Event::Continuing { .. } => {}
            }
            printer.event(&event)
        };
        let times = match &store {
            None => run::run_path(path, &accelerator, &senders, &options, sink),
            Some(store) => run::run_on_store(store, path, &accelerator, &senders, &options, sink),
        };
        let times = match times {
            Err(RunError::Output(_)) if unwritable.is_some() => {
                return Err(Failure::bad_input(unwritable.unwrap_or_default()));
            }
            Err(RunError::Output(error)) => return written(Err(error)).map(|()| EXIT_MATCH),
            times => times?,
        };
        all += times;
    }
    total.finish(&all, startup);
    printer.total(&total, DeviceReport::of(&accelerator).as_ref())?;
    if let Some(WitnessFolder { written, .. }) = witnesses.filter(|_| !args.json) {
        complain(format_args!("{written} witnesses written"));
    }
    Ok(if has_mismatch {
        EXIT_MISMATCH
    } else if total.matched < total.blocks || total.unreadable > 0 {
        EXIT_BAD_INPUT
    } else {
        EXIT_MATCH
    })
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Store(error) => (*error).into(),
            error => Self::bad_input(error),
        }
    }
}

/// What is wrong with a block that cannot be executed to its end, in one line.
fn fault_line(report: &BlockReport) -> Option<String> {
    if report.matched {
        return None;
    }
    let path = report.path.display();
    let number = report.number.map_or_else(
        || format!("block {} in order: ", report.position),
        |number| format!("block {number}: "),
    );
    if let Some(key) = &report.needs {
        return Some(format!("{path}: {number}state is needed that was not supplied: {key}"));
    }
    let reason = report.reason.as_ref().filter(|_| report.is_malformed)?;
    Some(format!("{path}: {number}{reason}"))
}

/// Prints blocks as they come.
struct Printer {
    json: bool,
    progress: bool,
    rows: usize,
    stages: StageSeconds,
    out: io::BufWriter<io::Stdout>,
}

const HEADING: &str = "     block fork                txs  transf   evm  redo         gas checks   ingest  recover     plan  execute  reconc.     root        tx/s  verdict";

impl Printer {
    fn new(json: bool) -> Self {
        let progress = !json && io::stderr().is_terminal();
        Self {
            json,
            progress,
            rows: 0,
            stages: StageSeconds::default(),
            out: io::BufWriter::new(io::stdout()),
        }
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Loading(path) if self.progress => {
                write!(io::stderr(), "\r\x1b[Kloading {}", path.display()).or(Ok(()))
            }
            Event::Loading(_) => Ok(()),
            Event::Continuing { head_number, skipped } => {
                if self.progress {
                    let _ = write!(io::stderr(), "\r\x1b[K");
                }
                complain(format_args!(
                    "continuing after block {head_number}; {skipped} blocks of the file are in the store"
                ));
                Ok(())
            }
            Event::Unreadable(error) => {
                eprintln!("{}outrider: {error}", if self.progress { "\r\x1b[K" } else { "" });
                Ok(())
            }
            Event::Block(report) => {
                if self.progress {
                    let _ = write!(io::stderr(), "\r\x1b[K");
                }
                if let Some(fault) = fault_line(report) {
                    complain(fault);
                }
                self.stages += report.seconds;
                if self.json { self.json_line(report) } else { self.row(report) }
            }
        }
    }

    fn json_line(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }

    fn row(&mut self, report: &BlockReport) -> io::Result<()> {
        if self.rows == 0 {
            writeln!(self.out, "device {}; times in milliseconds", report.device)?;
            writeln!(self.out, "{HEADING}")?;
        }
        self.rows += 1;
        let number = report.number.map_or_else(|| "?".to_owned(), |number| number.to_string());
        let share = |count: usize| match report.transactions {
            0 => "-".to_owned(),
            all => format!("{}%", (count * 100 + all / 2) / all),
        };
        let seconds = report.seconds;
        let ms = |seconds: f64| format!("{:8.2}", seconds * 1e3);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = report.transactions as f64 / seconds.sum().max(1e-9);
        let verdict = match (&report.exception, report.matched) {
            (None, true) if report.unchecked.is_empty() => report.verdict.to_string(),
            (None, true) => format!("{}, unchecked: {}", report.verdict, report.unchecked.join(", ")),
            (Some(exception), true) => format!("{} as expected: {exception}", report.verdict),
            (_, false) => match &report.needs {
                Some(key) => format!("{} {key}", report.verdict),
                None if report.is_malformed => report.verdict.to_string(),
                None => "MISMATCH".to_owned(),
            },
        };
        writeln!(
            self.out,
            "{number:>10} {:<18} {:>5} {:>7} {:>5} {:>5} {:>11} {:>4}/{:<1} {} {} {} {} {} {} {rate:>11.0}  {verdict}",
            report.fork.as_deref().unwrap_or("?"),
            report.transactions,
            share(report.lanes.transfer),
            share(report.lanes.evm),
            report.reexecuted,
            report.gas_used,
            report.checks.passed(),
            report.checks.made(),
            ms(seconds.ingest),
            ms(seconds.recover),
            ms(seconds.plan),
            ms(seconds.execute),
            ms(seconds.reconcile),
            ms(seconds.root),
        )?;
        if !report.matched && report.needs.is_none() && !report.is_malformed {
            let case = report.case.as_deref().map(|case| format!(" {case}")).unwrap_or_default();
            writeln!(self.out, "           in {}{case}", report.path.display())?;
            for mismatch in &report.mismatches {
                writeln!(
                    self.out,
                    "           {}: expected {}, found {}",
                    mismatch.field, mismatch.expected, mismatch.found
                )?;
            }
        }
        if report.cuts_chain {
            writeln!(self.out, "           the rest of the chain stands on this block and is not run")?;
        }
        self.out.flush()
    }

    fn total(&mut self, total: &Total, device: Option<&DeviceReport>) -> Result<(), Failure> {
        let result = if self.json {
            #[derive(serde::Serialize)]
            struct Line<'a> {
                total: &'a Total,
                device: Option<&'a DeviceReport>,
            }
            self.json_line(&Line { total, device })
        } else {
            let stages = self.stages;
            let spent = total
                .core_seconds
                .map_or_else(String::new, |seconds| format!(" ({seconds:.3} s of all cores together)"));
            writeln!(
                self.out,
                "{} of {} blocks matched, {} transactions in {:.3} s{spent}: {:.0} transactions a second\n\
                 stages in seconds, summed over blocks (stages of neighbouring blocks overlap): \
                 ingest {:.3}, recover {:.3}, plan {:.3}, execute {:.3}, reconcile {:.3}, root {:.3}; \
                 before that start {:.3}, load {:.3}\n\
                 sender cache: {} hits, {} misses, {} insertions, {} evictions",
                total.matched,
                total.blocks,
                total.transactions,
                total.seconds,
                total.transactions_per_second,
                stages.ingest,
                stages.recover,
                stages.plan,
                stages.execute,
                stages.reconcile,
                stages.root,
                total.startup_seconds,
                total.load_seconds,
                total.sender_cache.hits,
                total.sender_cache.misses,
                total.sender_cache.insertions,
                total.sender_cache.evictions,
            )
            .and_then(|()| device.map_or(Ok(()), |device| writeln!(self.out, "{device}")))
            .and_then(|()| self.out.flush())
        };
        written(result)
    }
}
