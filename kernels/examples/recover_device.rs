//! A curve of recovery over batch sizes: the CPU's backends and the device, with latency and rate.
//!
//! `cargo run --release -p outrider-kernels --example recover_device -- [--json] [--sizes 1,4096] [--form u64|u32]
//! [--sweep] [--tuning KEY=VALUE]...`
//!
//! For each size the ways take turns, so that what else the machine does meets all alike; given is the median of the turns.
//! *End to end* is from hashes and signatures in the host's memory to verdicts there, checks included. *Kernels* is the
//! device's own time for the stages of one dispatch, by its timestamps; without those it is not given. With `--sweep` the
//! largest size is measured once more under every setting that differs from the tuning in one parameter.

use std::time::{Duration, Instant};

use outrider_kernels::gpu::{Device, DeviceChoice, DeviceKernel as _, DeviceOptions, IntegerForm, Tuning};
use outrider_kernels::recover::{Batch, RecoverKernel, Trial, recover_on};
use outrider_kernels::registry;
use outrider_kernels::simd::Backend;

/// Turns of each way: more for small batches.
const fn turns(len: usize) -> usize {
    match len {
        0..=1024 => 51,
        1025..=65_536 => 11,
        _ => 3,
    }
}

/// How it was called.
struct Arguments {
    sizes: Vec<usize>,
    form: Option<IntegerForm>,
    tuning: Tuning,
    is_json: bool,
    is_sweep: bool,
}

impl Arguments {
    fn parse() -> Result<Self, String> {
        let sizes = (0..=10).map(|power| 4_usize.pow(power)).collect();
        let mut all = Self { sizes, form: None, tuning: Tuning::default(), is_json: false, is_sweep: false };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--json" => all.is_json = true,
                "--sweep" => all.is_sweep = true,
                "--tuning" => all.tuning = all.tuning.with(&value()?).map_err(|error| error.to_string())?,
                "--form" => {
                    let name = value()?;
                    let form = IntegerForm::ALL.into_iter().find(|form| form.to_string() == name);
                    all.form = Some(form.ok_or_else(|| format!("no integer form {name:?}"))?);
                }
                "--sizes" => {
                    let sizes: Result<_, _> = value()?.split(',').map(str::parse).collect();
                    all.sizes = sizes.map_err(|error| format!("sizes: {error}"))?;
                }
                _ => return Err(format!("unknown argument {word:?}")),
            }
        }
        Ok(all)
    }
}

/// A device with the kernel, ready.
struct Ready {
    device: Device,
    kernel: RecoverKernel,
    took: Duration,
}

impl Ready {
    fn new(form: Option<IntegerForm>, tuning: Tuning) -> Result<Option<Self>, String> {
        let options = DeviceOptions { integer_form: form, tuning, ..DeviceOptions::default() };
        let start = Instant::now();
        let Some(device) = Device::open(&DeviceChoice::Gpu, options).ok().flatten() else { return Ok(None) };
        let kernel = registry::ready(&device).map_err(|error| error.to_string())?;
        device.begin_service();
        Ok(Some(Self { device, kernel, took: start.elapsed() }))
    }

    fn recover(&self, batch: &Batch<'_>) -> Result<(), String> {
        self.kernel.recover(&self.device, None, batch).map(drop).map_err(|error| error.to_string())
    }

    /// The device's own time for a batch of one dispatch, with its stages; `None` without timestamps.
    fn kernels(&self, batch: &Batch<'_>) -> Result<Vec<(&'static str, Duration)>, String> {
        let times = self.kernel.stage_times(&self.device, None, batch).map_err(|error| error.to_string())?;
        Ok(times.into_iter().map(|stage| (stage.stage, stage.time)).collect())
    }
}

/// One line of the table.
struct Line {
    way: String,
    len: usize,
    latency: Duration,
}

impl Line {
    fn print(&self, is_json: bool) {
        let Self { way, len, latency } = self;
        let (microseconds, rate) = (latency.as_secs_f64() * 1e6, *len as f64 / latency.as_secs_f64());
        if is_json {
            println!(
                r#"{{"way":"{way}","batch":{len},"latency_us":{microseconds:.2},"per_second":{rate:.0}}}"#
            );
        } else {
            println!("{way:<28} {len:>9} {microseconds:>14.1} us {rate:>14.0} /s");
        }
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Measures all ways on a batch, in turns.
fn measure(ready: Option<&Ready>, batch: &Batch<'_>) -> Result<Vec<Line>, String> {
    let len = batch.len();
    let backends: Vec<Backend> = Backend::available().collect();
    let mut times = vec![Vec::new(); backends.len()];
    let (mut end_to_end, mut kernels) = (Vec::new(), Vec::new());
    for turn in 0..=turns(len) {
        for (backend, times) in backends.iter().zip(&mut times) {
            let start = Instant::now();
            std::hint::black_box(recover_on(*backend, batch));
            times.push(start.elapsed());
        }
        if let Some(ready) = ready {
            let start = Instant::now();
            ready.recover(batch)?;
            end_to_end.push(start.elapsed());
            let stages = ready.kernels(batch)?;
            // More than a dispatch is not measured by one.
            if !stages.is_empty() && len <= ready.device.batch_len_max(1024) {
                kernels.push(stages.iter().map(|(_, time)| *time).sum());
            }
        }
        if turn == 0 {
            // That one warmed up.
            times.iter_mut().chain([&mut end_to_end, &mut kernels]).for_each(Vec::clear);
        }
    }
    let ways = backends.iter().map(|backend| format!("cpu {}", backend.name())).zip(times);
    let device = [("device, end to end".to_owned(), end_to_end), ("device, kernels".to_owned(), kernels)];
    let lines = ways.chain(device).filter(|(_, times)| !times.is_empty());
    Ok(lines.map(|(way, times)| Line { way, len, latency: median(times) }).collect())
}

fn main() -> Result<(), String> {
    let arguments = Arguments::parse()?;
    let ready = Ready::new(arguments.form, arguments.tuning)?;
    match &ready {
        Some(Ready { device, took, .. }) => eprintln!(
            "{}, {}, in {}, {}; ready after {took:.1?}",
            device.info().name,
            device.info().driver_info,
            device.integer_form(),
            device.tuning()
        ),
        None => eprintln!("no adapter: the CPU alone"),
    }
    let longest = arguments.sizes.iter().copied().max().unwrap_or(1);
    let trial: Trial = RecoverKernel::trial(longest);
    for &len in &arguments.sizes {
        for line in measure(ready.as_ref(), &trial.batch().slice(0..len))? {
            line.print(arguments.is_json);
        }
    }
    let Some(ready) = ready else { return Ok(()) };
    let stages = ready.kernels(&trial.batch())?;
    let items = longest.min(ready.device.batch_len_max(1024)) as f64;
    for (stage, time) in stages {
        eprintln!("{stage}: {:.0} ns an item", time.as_secs_f64() * 1e9 / items);
    }
    if arguments.is_sweep {
        for (setting, tuning) in arguments.tuning.challengers() {
            let Some(challenger) = Ready::new(arguments.form, tuning)? else { continue };
            // Each against the setting that it challenges, in turns.
            let (mut ours, mut its) = (Vec::new(), Vec::new());
            for _ in 0..turns(longest) {
                for (ready, times) in [(&ready, &mut ours), (&challenger, &mut its)] {
                    let start = Instant::now();
                    ready.recover(&trial.batch())?;
                    times.push(start.elapsed());
                }
            }
            for (way, times) in [("as given".to_owned(), ours), (setting, its)] {
                Line { way, len: longest, latency: median(times) }.print(arguments.is_json);
            }
        }
    }
    Ok(())
}
