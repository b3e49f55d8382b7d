//! A kernel's place in the accelerator: whether it serves, which batches it gets, and what it did.

use std::sync::atomic::{AtomicU64, Ordering};

use super::calibration::KernelTimes;
use super::placement::{Placement, Share};
use crate::gpu::{Device, DeviceKernel};
use crate::registry;
use crate::simd::Backend;

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
    placement: Placement,
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
            placement: Placement::Whole,
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
            Ok(kernel) => Self { kernel: Some(kernel), ..Self::default() },
            Err(error) => {
                log::warn!("the CPU serves instead: {error}");
                Self::default()
            }
        }
    }

    /// Places batches by what was measured. A kernel that was not measured on the device, because it failed, does not
    /// serve.
    pub(super) fn place(&mut self, times: Option<&KernelTimes>) {
        let cpu = times.and_then(|times| times.cpu_serving(Backend::selected()).cloned());
        let device = times.and_then(|times| times.device.clone());
        match device.zip(cpu) {
            Some((device, cpu)) => {
                let divided = times.and_then(|times| times.divided.clone());
                self.placement = Placement::Measured { device, cpu, divided };
            }
            None => self.kernel = None,
        }
    }

    /// Has every batch that is long enough cut in two equal parts, each expected to take a microsecond an item.
    #[cfg(test)]
    pub(super) fn halve(&mut self) {
        let pace = super::curve::tests::curve(&[(1, 1e-6), (1_000_001, 1.0)]);
        let divided = Some(super::curve::tests::curve(&[(1, 1e-9), (1_000_001, 1e-8)]));
        self.placement = Placement::Measured { device: pace.clone(), cpu: pace, divided };
    }

    /// The kernel, if it serves, whatever the batch.
    pub(super) const fn kernel(&self) -> Option<&K> {
        self.kernel.as_ref()
    }

    /// The kernel and what it gets by `share`, if that is something.
    pub(super) fn serving(&self, share: impl FnOnce(&Placement) -> Share) -> Option<(&K, Share)> {
        let kernel = self.kernel.as_ref()?;
        Some((kernel, share(&self.placement))).filter(|(_, share)| share.items > 0)
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

    /// From how many items on the device gets something of a batch.
    pub(super) fn crossover(
        &self,
        share: impl Fn(&Placement, usize) -> Share,
    ) -> (&'static str, Option<usize>) {
        (K::NAME, self.kernel.as_ref().and_then(|_| self.placement.crossover(share)))
    }

    pub(super) fn counts(&self) -> (&'static str, KernelCounts) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = KernelCounts { gpu: read(&self.gpu), cpu: read(&self.cpu), redone: read(&self.redone) };
        (K::NAME, counts)
    }
}
