//! A kernel's place in the accelerator: whether it serves, from how many items on, and what it did.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::gpu::{Device, DeviceError, DeviceKernel};
use crate::registry;

/// Items of the two trials from which the device's fixed and running costs are derived.
const TRIAL_LENS: [usize; 2] = [256, 4096];

/// Share of the CPU's time in which the device must be done to be said to win.
const WIN: f64 = 0.9;

/// Items of a kernel, by where they were done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelCounts {
    /// Done by the device.
    pub gpu: u64,
    /// Done by the CPU.
    pub cpu: u64,
    /// Of those done by the CPU, how many because the device had failed on them.
    pub redone: u64,
}

/// A kernel that serves, or does not, and what it did.
#[derive(Debug)]
pub(super) struct Lane<K> {
    kernel: Option<K>,
    /// Items from which the device gets a batch.
    crossover: usize,
    gpu: AtomicU64,
    cpu: AtomicU64,
    redone: AtomicU64,
}

/// Items of a batch, by where they are done if the device takes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) on_device: usize,
    pub(super) on_cpu: usize,
}

impl Load {
    pub(super) const fn len(self) -> usize {
        self.on_device + self.on_cpu
    }
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// The device took it.
    Device,
    /// The CPU did it all.
    Cpu,
    /// The device took it and failed, and the CPU did it all.
    Redone,
}

impl<K> Default for Lane<K> {
    fn default() -> Self {
        Self {
            kernel: None,
            crossover: usize::MAX,
            gpu: AtomicU64::new(0),
            cpu: AtomicU64::new(0),
            redone: AtomicU64::new(0),
        }
    }
}

impl<K: DeviceKernel> Lane<K> {
    /// Compiles and proves the kernel; from then on it serves batches of any size.
    pub(super) fn ready(device: &Device) -> Self {
        match registry::ready::<K>(device) {
            Ok(kernel) => Self { kernel: Some(kernel), crossover: 1, ..Self::default() },
            Err(error) => {
                log::warn!("the CPU serves instead: {error}");
                Self::default()
            }
        }
    }

    /// Measures from how many items on the kernel is to serve. One that fails in this does not serve.
    pub(super) fn calibrate(&mut self, device: &Device) {
        let Some(kernel) = &self.kernel else { return };
        match crossover(kernel, device) {
            Ok(crossover) => {
                log::debug!("kernel {} pays from {crossover} items on", K::NAME);
                self.crossover = crossover;
            }
            Err(error) => {
                log::warn!("the CPU serves instead: {error}");
                self.kernel = None;
            }
        }
    }

    pub(super) fn kernel_for(&self, len: usize) -> Option<&K> {
        self.kernel.as_ref().filter(|_| len >= self.crossover)
    }

    pub(super) fn count(&self, load: Load, course: Course) {
        let [gpu, cpu, redone] = match course {
            Course::Device => [load.on_device, load.on_cpu, 0],
            Course::Cpu => [0, load.len(), 0],
            Course::Redone => [0, load.len(), load.len()],
        };
        for (counter, items) in [(&self.gpu, gpu), (&self.cpu, cpu), (&self.redone, redone)] {
            counter.fetch_add(items as u64, Ordering::Relaxed);
        }
    }

    /// Items that were counted as the device's, and that it gave up.
    pub(super) fn move_to_cpu(&self, items: usize) {
        self.gpu.fetch_sub(items as u64, Ordering::Relaxed);
        self.count(Load { on_device: items, on_cpu: 0 }, Course::Redone);
    }

    pub(super) fn crossover(&self) -> (&'static str, Option<usize>) {
        let serves = self.kernel.is_some() && self.crossover < usize::MAX;
        (K::NAME, serves.then_some(self.crossover))
    }

    pub(super) fn counts(&self) -> (&'static str, KernelCounts) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = KernelCounts { gpu: read(&self.gpu), cpu: read(&self.cpu), redone: read(&self.redone) };
        (K::NAME, counts)
    }
}

/// Measures from how many items on the device wins, see [`break_even`]: its time is taken for a fixed and a running part,
/// the CPU's for a running part alone.
fn crossover<K: DeviceKernel>(kernel: &K, device: &Device) -> Result<usize, DeviceError> {
    let [few, many] = TRIAL_LENS;
    let (few_trial, many_trial) = (K::trial(few), K::trial(many));
    let device_few = fastest(|| kernel.trial_on_device(device, &few_trial))?;
    let device_many = fastest(|| kernel.trial_on_device(device, &many_trial))?;
    let cpu_few = fastest(|| {
        K::trial_on_cpu(crate::simd::Backend::selected(), &few_trial);
        Ok(())
    })?;
    Ok(break_even([few, many], [device_few, device_many], cpu_few))
}

/// Where a line through two times of the device meets the CPU's line through `cpu_few` and the origin,
/// less a margin for noise; `usize::MAX` if it never does.
fn break_even([few, many]: [usize; 2], device: [Duration; 2], cpu_few: Duration) -> usize {
    let [device_few, device_many] = device.map(|time| time.as_secs_f64());
    let device_item = (device_many - device_few).max(0.0) / (many - few) as f64;
    let device_fixed = (device_few - device_item * few as f64).max(0.0);
    let cpu_item = WIN * cpu_few.as_secs_f64() / few as f64;
    if device_item >= cpu_item {
        return usize::MAX;
    }
    let items = (device_fixed / (cpu_item - device_item)).ceil();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and is not negative"
    )]
    let items = items as usize;
    items.max(1)
}

/// The best of three, after one that warms up.
fn fastest(mut run: impl FnMut() -> Result<(), DeviceError>) -> Result<Duration, DeviceError> {
    run()?;
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::DeviceOptions;
    use crate::keccak::KeccakKernel;

    #[test]
    fn trials_find_where_the_device_wins() {
        let us = Duration::from_micros;
        // 100 µs fixed, 0.1 µs an item, against 1 µs (0.9 with the margin).
        assert_eq!(break_even([100, 1100], [us(110), us(210)], us(100)), 125);
        // As slow as the CPU, or slower: never.
        assert_eq!(break_even([100, 1100], [us(10), us(1010)], us(100)), usize::MAX);
        // No fixed cost to be seen: at once.
        assert_eq!(break_even([100, 1100], [us(10), us(110)], us(100)), 1);
    }

    #[test]
    fn calibration_returns_on_any_adapter() {
        let Some(device) = crate::gpu::tests::device(DeviceOptions::default()) else { return };
        let mut lane = Lane::<KeccakKernel>::ready(&device);
        lane.calibrate(&device);
        assert!(lane.kernel.is_some() && lane.crossover > 0);
    }
}
