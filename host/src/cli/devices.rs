//! `outrider devices`.

use super::{EXIT_MATCH, Failure, written};
use clap::Args;
use outrider_kernels::{
    gpu::{self, AdapterInfo, Device, DeviceOptions},
    registry,
};
use serde::Serialize;
use std::io::{self, Write};

const EXAMPLES: &str = "\
Examples:
  outrider devices
  outrider devices --json | jq .name";

/// Arguments of `outrider devices`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DevicesArgs {
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// One adapter, as `--json` prints it.
#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    kind: String,
    backend: &'a str,
    driver: &'a str,
    driver_info: &'a str,
    vendor_id: u32,
    device_id: u32,
    int64: bool,
    subgroups: bool,
    timestamps: bool,
    binding_bytes_max: u64,
    kernels: Vec<Kernel>,
}

#[derive(Serialize)]
struct Kernel {
    name: &'static str,
    passed: bool,
    ready_seconds: Option<f64>,
    error: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &DevicesArgs) -> Result<u8, Failure> {
    let adapters = gpu::adapters();
    let mut out = io::stdout().lock();
    if adapters.is_empty() && !args.json {
        written(writeln!(out, "no GPU adapter was found; everything runs on the CPU"))?;
    }
    for (index, adapter) in adapters.iter().enumerate() {
        let kernels = kernels(index);
        written(print(&mut out, adapter, kernels, args.json))?;
    }
    Ok(EXIT_MATCH)
}

fn kernels(index: usize) -> Vec<Kernel> {
    let device = match Device::open_index(index, DeviceOptions::default()) {
        Ok(device) => device,
        Err(error) => {
            let error = Some(error.to_string());
            return vec![Kernel { name: "open", passed: false, ready_seconds: None, error }];
        }
    };
    let results = registry::selftest(&device).into_iter();
    results
        .map(|(name, result)| match result {
            Ok(took) => Kernel { name, passed: true, ready_seconds: Some(took.as_secs_f64()), error: None },
            Err(error) => Kernel { name, passed: false, ready_seconds: None, error: Some(error.to_string()) },
        })
        .collect()
}

fn print(out: &mut impl Write, adapter: &AdapterInfo, kernels: Vec<Kernel>, json: bool) -> io::Result<()> {
    let row = Row {
        name: &adapter.name,
        kind: format!("{:?}", adapter.kind).to_lowercase(),
        backend: &adapter.backend,
        driver: &adapter.driver,
        driver_info: &adapter.driver_info,
        vendor_id: adapter.vendor_id,
        device_id: adapter.device_id,
        int64: adapter.int64,
        subgroups: adapter.subgroups,
        timestamps: adapter.timestamps,
        binding_bytes_max: adapter.binding_bytes_max,
        kernels,
    };
    if json {
        serde_json::to_writer(&mut *out, &row)?;
        return writeln!(out);
    }
    let yes_no = |yes: bool| if yes { "yes" } else { "no" };
    writeln!(out, "{}", row.name)?;
    writeln!(out, "  kind       {} through {}", row.kind, row.backend)?;
    writeln!(out, "  driver     {} {}", row.driver, row.driver_info)?;
    writeln!(
        out,
        "  features   64-bit integers {}, subgroups {}, timestamps {}; bindings of up to {} MiB",
        yes_no(row.int64),
        yes_no(row.subgroups),
        yes_no(row.timestamps),
        row.binding_bytes_max >> 20
    )?;
    for kernel in &row.kernels {
        match (&kernel.error, kernel.ready_seconds) {
            (None, Some(seconds)) => {
                writeln!(
                    out,
                    "  kernel     {:<10} passed its known-answer test, ready in {seconds:.2} s",
                    kernel.name
                )?;
            }
            (error, _) => {
                let error = error.as_deref().unwrap_or_default();
                writeln!(out, "  kernel     {:<10} FAILED: {error}", kernel.name)?;
            }
        }
    }
    Ok(())
}
