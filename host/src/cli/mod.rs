//! Commands, their arguments and exit codes.
//!
//! Exit codes are part of the interface: 0 all matched, 1 a mismatch or a failed self-test, 2 bad
//! input or bad arguments, 3 no such device, 4 a damaged store, 5 a full disk, 6 a store that cannot be
//! opened, 7 a store of another chain or layout.

mod audit;
mod cache_dir;
mod calibrate;
mod devices;
mod generate;
mod recover;
mod run;
mod selftest;
mod state;
mod witness;

use audit::AuditArgs;
use cache_dir::cache_dir;
use clap::{Args, Parser, Subcommand};
use outrider::store::{StoreError, StoreFault};
use outrider_kernels::{
    accelerator,
    gpu::{DeviceChoice, DeviceOptions, FaultPlan, NoSuchAdapter},
};
use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
    process::ExitCode,
};

/// Everything matched.
pub(crate) const EXIT_MATCH: u8 = 0;
/// A mismatch, or a kernel that failed its self-test.
pub(crate) const EXIT_MISMATCH: u8 = 1;
/// Bad input or bad arguments.
pub(crate) const EXIT_BAD_INPUT: u8 = 2;
/// No device answers to the name that was asked for.
pub(crate) const EXIT_NO_DEVICE: u8 = 3;
/// A store is damaged.
pub(crate) const EXIT_STORE_DAMAGED: u8 = 4;
/// The disk is full.
pub(crate) const EXIT_DISK_FULL: u8 = 5;
/// A store is not there, there already, in use, or cannot be read or written.
pub(crate) const EXIT_STORE_UNUSABLE: u8 = 6;
/// A store holds another chain, or has another layout.
pub(crate) const EXIT_STORE_FOREIGN: u8 = 7;

const EXAMPLES: &str = "\
Examples:
  outrider run fixtures/chains/mixed              execute a chain and check every root
  outrider run --device cpu --json BLOCK_FOLDER   one block, machine-readable
  outrider run --check --lanes all TESTS/         lanes against sequential revm
  outrider recover transactions.txt               hashes and senders of raw transactions
  outrider generate hot --txs 50000 --out /tmp/hot
  outrider devices                                what there is to compute on
  outrider calibrate                              measure it, so that --device auto knows
  outrider state init /tmp/data CHAIN_FOLDER      a durable state, which `run --data` continues

Exit codes: 0 all matched, 1 a mismatch, 2 bad input or arguments, 3 no such device; stores: 4 damaged,
5 disk full, 6 missing, in use or not writable, 7 of another chain or layout.
Log messages go to standard error; OUTRIDER_LOG=debug shows more of them.";

/// A GPU-accelerated transaction execution coprocessor for Ethereum-compatible validators.
#[derive(Debug, Parser)]
#[command(name = "outrider", version, about, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Execute blocks and check them against their headers
    Run(run::RunArgs),
    /// Recover hash and sender of raw signed transactions
    Recover(recover::RecoverArgs),
    /// Generate a chain of signed transactions with all header roots
    Generate(generate::GenerateArgs),
    /// Make, show, verify, export and import a state on disk
    State(state::StateArgs),
    /// List adapters, their drivers and features, and which kernels work on them
    Devices(devices::DevicesArgs),
    /// Measure every kernel on the device and on the CPU over batch sizes, and keep that for --device auto
    Calibrate(calibrate::CalibrateArgs),
    /// Run the known-answer tests of every kernel on every adapter
    Selftest(selftest::SelftestArgs),
}

/// Where to compute, shared by the commands that do.
#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    /// auto (what pays by measurement), cpu, gpu (any adapter), or part of an adapter's name
    #[arg(
        long,
        default_value = "auto",
        value_name = "auto|cpu|gpu|NAME",
        value_parser = clap::builder::NonEmptyStringValueParser::new()
    )]
    device: String,
}

impl DeviceArgs {
    pub(crate) fn choice(&self) -> DeviceChoice {
        let Ok(choice) = self.device.parse();
        choice
    }
}

/// A command that cannot go on: what to say, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// No such device.
    pub(crate) fn no_device(message: impl Display) -> Self {
        Self { code: EXIT_NO_DEVICE, message: message.to_string() }
    }

    /// A device that does not do its work.
    pub(crate) fn of_device(message: impl Display) -> Self {
        Self { code: EXIT_MISMATCH, message: message.to_string() }
    }

    /// Bad input or bad arguments.
    pub(crate) fn bad_input(message: impl Display) -> Self {
        Self { code: EXIT_BAD_INPUT, message: message.to_string() }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let code = match error.fault {
            StoreFault::Damaged(_) => EXIT_STORE_DAMAGED,
            StoreFault::Full => EXIT_DISK_FULL,
            StoreFault::OtherChain { .. } | StoreFault::Version { .. } => EXIT_STORE_FOREIGN,
            _ => EXIT_STORE_UNUSABLE,
        };
        Self { code, message: error.to_string() }
    }
}

impl From<NoSuchAdapter> for Failure {
    fn from(error: NoSuchAdapter) -> Self {
        Self::no_device(error)
    }
}

/// How devices are opened. `OUTRIDER_FAULT` plays a fault (`lost`, `hang`, `slow=MS`, `oom`, `selftest`, `wrong`
/// and more, see [`FaultPlan`]), for tests of what happens then.
pub(crate) fn device_options() -> Result<DeviceOptions, Failure> {
    let fault = match std::env::var("OUTRIDER_FAULT") {
        Ok(fault) => Some(fault.parse::<FaultPlan>().map_err(Failure::bad_input)?),
        Err(_) => None,
    };
    Ok(DeviceOptions { fault, cache_folder: cache_dir(), ..DeviceOptions::default() })
}

/// How the accelerator is opened.
pub(crate) fn accelerator_options(audit: &AuditArgs) -> Result<accelerator::Options, Failure> {
    let mut options = accelerator::Options {
        device: device_options()?,
        calibrations: cache_dir(),
        ..accelerator::Options::default()
    };
    audit.apply(&mut options);
    Ok(options)
}

/// Parses the command line, runs the command, and turns its outcome into an exit code.
pub(crate) fn main() -> ExitCode {
    log_to_stderr();
    let outcome = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Recover(args) => recover::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::State(args) => state::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Selftest(args) => selftest::run(&args),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            complain(failure.message);
            ExitCode::from(failure.code)
        }
    }
}

/// Writes a line to standard error. Nobody may be reading there, which is no reason to stop.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(io::stderr(), "outrider: {line}");
}

/// The outcome of writing to standard output: a reader that has gone away (`| head`) ends the
/// program quietly.
pub(crate) fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(i32::from(EXIT_MATCH)),
        Err(error) => Err(Failure::bad_input(format_args!("standard output: {error}"))),
    }
}

/// Sends log messages of level `OUTRIDER_LOG` (default `warn`) and above to standard error.
fn log_to_stderr() {
    let level = std::env::var("OUTRIDER_LOG").ok().and_then(|level| level.parse().ok());
    log::set_max_level(level.unwrap_or(log::LevelFilter::Warn));
    // Fails only if a logger is set already, and none is.
    let _ = log::set_logger(&StderrLog);
}

struct StderrLog;

impl log::Log for StderrLog {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        // wgpu's and naga's own chatter is for those who ask for everything.
        metadata.target().starts_with("outrider") || log::max_level() >= log::LevelFilter::Debug
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            complain(format_args!("{}: {}", record.level().as_str().to_lowercase(), record.args()));
        }
    }

    fn flush(&self) {}
}
