//! `outrider selftest`.

use super::{EXIT_MATCH, EXIT_MISMATCH, Failure, written};
use clap::Args;
use outrider_kernels::{
    gpu::{self, AdapterInfo, Device, DeviceOptions, IntegerForm},
    registry,
};
use std::io::{self, Write};

const EXAMPLES: &str = "\
Examples:
  outrider selftest
  outrider selftest --device llvmpipe";

/// Arguments of `outrider selftest`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SelftestArgs {
    /// Only adapters whose name has this part; gpu means any, and demands one
    #[arg(long, value_name = "gpu|NAME")]
    device: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &SelftestArgs) -> Result<u8, Failure> {
    let wanted = args.device.as_deref();
    let is_wanted = |adapter: &AdapterInfo| {
        wanted.is_none_or(|name| name == "gpu" || adapter.name.to_lowercase().contains(&name.to_lowercase()))
    };
    let adapters: Vec<(usize, AdapterInfo)> =
        gpu::adapters().into_iter().enumerate().filter(|(_, adapter)| is_wanted(adapter)).collect();
    let mut out = io::stdout().lock();
    if adapters.is_empty() {
        if let Some(name) = wanted {
            return Err(Failure::no_device(format_args!("no adapter answers to {name:?}")));
        }
        written(writeln!(out, "no GPU adapter was found; there is nothing to test"))?;
    }
    let device_options = super::device_options()?;
    // The portable form runs everywhere; the other needs 64-bit integers in shaders.
    let devices: Vec<(usize, &AdapterInfo, DeviceOptions)> = adapters
        .iter()
        .flat_map(|(index, adapter)| {
            let forms =
                IntegerForm::ALL.into_iter().filter(|form| *form == IntegerForm::U32 || adapter.int64);
            let options = |form| DeviceOptions { integer_form: Some(form), ..device_options.clone() };
            forms.map(|form| (*index, adapter, options(form))).collect::<Vec<_>>()
        })
        .collect();
    // Drivers compile for one device at a time, so all devices are tested side by side.
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let tests: Vec<_> = devices
            .iter()
            .map(|(index, adapter, options)| scope.spawn(|| Outcome::of(*index, adapter, options)))
            .collect();
        tests.into_iter().map(|test| test.join().expect("a self-test does not panic")).collect()
    });
    let (mut passed, mut failed) = (0, 0);
    for outcome in outcomes {
        passed += outcome.passed;
        failed += outcome.failed;
        for line in outcome.lines {
            written(writeln!(out, "{line}"))?;
        }
    }
    written(writeln!(out, "{passed} passed, {failed} failed"))?;
    Ok(if failed == 0 { EXIT_MATCH } else { EXIT_MISMATCH })
}

/// What the tests of one adapter in one integer form gave.
#[derive(Default)]
struct Outcome {
    lines: Vec<String>,
    passed: usize,
    failed: usize,
}

impl Outcome {
    fn of(index: usize, adapter: &AdapterInfo, options: &DeviceOptions) -> Self {
        let form = options.integer_form.unwrap_or(IntegerForm::U32);
        let name = &adapter.name;
        let mut outcome = Self::default();
        let device = match Device::open_index(index, options.clone()) {
            Ok(device) => device,
            Err(error) => {
                outcome.failed += 1;
                outcome.lines.push(format!("{name} {form}: FAILED to open: {error}"));
                return outcome;
            }
        };
        for (kernel, result) in registry::selftest(&device) {
            let line = match result {
                Ok(took) => {
                    outcome.passed += 1;
                    format!("ok, ready in {:.2} s", took.as_secs_f64())
                }
                Err(error) => {
                    outcome.failed += 1;
                    format!("FAILED: {error}")
                }
            };
            outcome.lines.push(format!("{name} {form} {kernel}: {line}"));
        }
        outcome
    }
}
