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
    let (mut passed, mut failed) = (0, 0);
    for (index, adapter) in &adapters {
        // The portable form runs everywhere; the other needs 64-bit integers in shaders.
        let forms = IntegerForm::ALL.into_iter().filter(|form| *form == IntegerForm::U32 || adapter.int64);
        for form in forms {
            let (ok, bad) = test(&mut out, *index, adapter, form)?;
            passed += ok;
            failed += bad;
        }
    }
    written(writeln!(out, "{passed} passed, {failed} failed"))?;
    Ok(if failed == 0 { EXIT_MATCH } else { EXIT_MISMATCH })
}

fn test(
    out: &mut impl Write,
    index: usize,
    adapter: &AdapterInfo,
    form: IntegerForm,
) -> Result<(usize, usize), Failure> {
    let options = DeviceOptions { integer_form: Some(form), ..super::device_options()? };
    let device = match Device::open_index(index, options) {
        Ok(device) => device,
        Err(error) => {
            written(writeln!(out, "{} {form}: FAILED to open: {error}", adapter.name))?;
            return Ok((0, 1));
        }
    };
    let (mut passed, mut failed) = (0, 0);
    for (kernel, result) in registry::selftest(&device) {
        let line = match result {
            Ok(took) => {
                passed += 1;
                format!("ok, ready in {:.2} s", took.as_secs_f64())
            }
            Err(error) => {
                failed += 1;
                format!("FAILED: {error}")
            }
        };
        written(writeln!(out, "{} {form} {kernel}: {line}", adapter.name))?;
    }
    Ok((passed, failed))
}
