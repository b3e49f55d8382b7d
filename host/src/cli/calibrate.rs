//! `outrider calibrate`.

use super::{
    DeviceArgs, EXIT_MATCH, Failure, accelerator_options, audit::AuditArgs, cache_dir::cache_dir, complain,
    written,
};
use clap::Args;
use outrider_kernels::{
    accelerator::{Calibration, Curve, Effort, KernelTimes, Measured, Point},
    gpu::{DeviceChoice, OpenError},
    simd::Backend,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs,
    io::{self, IsTerminal, Write},
    path::PathBuf,
};

const EXAMPLES: &str = "\
Measures every kernel in every form that this machine has, over batch sizes: the device with its transfers, the CPU's
backends on all cores, and both side by side (divided). Under --device auto the other commands use what is kept of it
until the adapter, its driver, the processor or the kernels change; without it they measure for a second at start.

Examples:
  outrider calibrate
  outrider calibrate --device gpu --quick
  outrider calibrate --json | jq .crossovers

It is kept in $XDG_CACHE_HOME/outrider or ~/.cache/outrider; OUTRIDER_CACHE_DIR names another folder, or none if empty.";

/// Arguments of `outrider calibrate`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CalibrateArgs {
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    audit: AuditArgs,
    /// A second instead of a minute: fewer sizes, fewer repeats
    #[arg(long)]
    quick: bool,
    /// Print what was measured as a JSON object
    #[arg(long)]
    json: bool,
    /// Write it to this file as well
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What `--json` prints: the calibration as it is kept, and what follows from it.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    calibration: &'a Calibration,
    /// For each kernel the items from which on the device gets a batch or a part of it.
    crossovers: BTreeMap<&'a str, Option<usize>>,
    /// The file that keeps it.
    kept: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &CalibrateArgs) -> Result<u8, Failure> {
    let choice = args.device.choice();
    let options = accelerator_options(&args.audit)?;
    let effort = if args.quick { Effort::Quick } else { Effort::Thorough };
    let has_watcher = io::stderr().is_terminal();
    let calibration = Calibration::measure(&choice, &options, effort, &mut |measured| {
        if has_watcher {
            let Measured { kernel, way, point } = measured;
            let _ = write!(io::stderr(), "\r\x1b[K{kernel} {way}: {} items", point.items);
        }
    });
    if has_watcher {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    let calibration = calibration.map_err(|error| match error {
        OpenError::NoSuchAdapter(error) => error.into(),
        error => Failure::of_device(error),
    })?;
    if let Some(path) = &args.out {
        fs::write(path, calibration.to_json())
            .map_err(|error| Failure::bad_input(format_args!("{}: {error}", path.display())))?;
    }
    // Without an adapter there is nothing to decide by it.
    let folder = cache_dir().filter(|_| calibration.identity.adapter.is_some());
    let kept = folder.and_then(|folder| {
        let saved = calibration.save(&folder);
        saved.inspect_err(|error| complain(format_args!("{}: {error}", folder.display()))).ok()
    });
    let kernels = calibration.kernels.iter();
    let crossovers = kernels.map(|(name, times)| (name.as_str(), times.crossover(Backend::selected())));
    let printed = Printed { calibration: &calibration, crossovers: crossovers.collect(), kept };
    let mut out = io::BufWriter::new(io::stdout());
    let result = if args.json {
        serde_json::to_writer(&mut out, &printed).map_err(io::Error::from).and_then(|()| writeln!(out))
    } else {
        print(&mut out, &printed, &choice)
    };
    written(result.and_then(|()| out.flush()))?;
    Ok(EXIT_MATCH)
}

fn print(out: &mut impl Write, printed: &Printed<'_>, choice: &DeviceChoice) -> io::Result<()> {
    let identity = &printed.calibration.identity;
    let machine = &identity.machine;
    match &identity.adapter {
        Some(adapter) => writeln!(
            out,
            "device   {} through {}, driver {} {}, {} integers",
            adapter.name, adapter.backend, adapter.driver, adapter.driver_version, adapter.integer_form
        )?,
        None if *choice == DeviceChoice::Auto => {
            writeln!(out, "device   no hardware adapter; --device gpu would take a software one")?;
        }
        None => writeln!(out, "device   none")?,
    }
    writeln!(
        out,
        "cpu      {}, {} of {} cores, {} serves\nkernels  {}",
        machine.cpu, machine.threads, machine.cores, machine.simd, identity.kernels
    )?;
    for (name, times) in &printed.calibration.kernels {
        writeln!(out, "\n{name:<10}{}", verdict(times, printed.crossovers[name.as_str()]))?;
        writeln!(
            out,
            "{:>10} {:>12} {:>12} {:>12} {:>12}",
            "items", "way", "latency ms", "µs an item", "items/s"
        )?;
        for (items, way, seconds) in rows(times) {
            #[expect(clippy::cast_precision_loss, reason = "batches are far below 2^52 items")]
            let count = items as f64;
            writeln!(
                out,
                "{items:>10} {way:>12} {:>12.3} {:>12.3} {:>12.0}",
                seconds * 1e3,
                seconds * 1e6 / count,
                count / seconds
            )?;
        }
    }
    match &printed.kept {
        Some(path) => writeln!(out, "\nkept in {}", path.display()),
        None => Ok(()),
    }
}

/// What the device gets, in words.
fn verdict(times: &KernelTimes, crossover: Option<usize>) -> String {
    match (&times.device, crossover) {
        (None, _) => "the CPU alone".to_owned(),
        (Some(_), None) => "the device does not pay".to_owned(),
        (Some(_), Some(items)) => format!("the device pays from {items} items on"),
    }
}

/// Size, way and seconds, by size.
fn rows(times: &KernelTimes) -> Vec<(usize, &str, f64)> {
    let device = times.device.iter().map(|curve| ("device", curve));
    let cpu = times.cpu.iter().map(|(backend, curve)| (backend.as_str(), curve));
    let divided = times.divided.iter().map(|curve| ("divided", curve));
    let points = |(way, curve): (_, &Curve)| -> Vec<_> {
        curve.points().iter().map(|&Point { items, seconds }| (items, way, seconds)).collect()
    };
    let mut rows: Vec<_> = device.chain(cpu).chain(divided).flat_map(points).collect();
    rows.sort_by_key(|(items, _, _)| *items);
    rows
}
