//! The door through which the host asks for work: on a device where that pays, else on the CPU.
//!
//! What it promises:
//!
//! - **The answer is the CPU's**, whatever the device does. A device that fails, is late, or gives a wrong
//!   answer where a random sample is recomputed, is put in quarantine, and the batch is redone on the CPU.
//! - **No kernel serves before its known-answer test** has passed on this very adapter.
//! - **Never slower than the CPU alone** under [`DeviceChoice::Auto`]: the device gets a batch only from the
//!   size on at which it won a trial, measured when it was opened.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::gpu::{
    AdapterInfo, Device, DeviceChoice, DeviceError, DeviceKernel, DeviceOptions, NoSuchAdapter, OpenError,
};
use crate::keccak::{self, Digest, KeccakKernel, PAYLOAD_LEN_MAX, Payloads};
use crate::registry;
use crate::transfer::{Account, Settled, Terms, Transfer, gpu::TransferKernel, recheck, serial};

/// Most results of a batch that are recomputed on the CPU.
const SAMPLE_LEN_MAX: usize = 16;

/// One result in so many is recomputed, up to [`SAMPLE_LEN_MAX`] and at least one.
const SAMPLE_ONE_IN: usize = 256;

/// Items of the two trials from which the device's fixed and running costs are derived.
const TRIAL_LENS: [usize; 2] = [256, 4096];

/// Share of the CPU's time in which the device must be done to be said to win.
const WIN: f64 = 0.9;

/// How an accelerator is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How its device is opened and watched.
    pub device: DeviceOptions,
    /// Seed of the sample that is recomputed; without it each process draws its own.
    pub sample_seed: Option<u64>,
}

/// A device with its kernels, or the CPU alone. Shared freely between threads.
#[derive(Debug)]
pub struct Accelerator {
    device: Option<Device>,
    is_quarantined: AtomicBool,
    sampler: Sampler,
    lanes: Lanes,
}

/// The kernels, each in the state in which it serves. One field for each entry of the registry.
#[derive(Debug, Default)]
struct Lanes {
    keccak: Lane<KeccakKernel>,
    transfer: Lane<TransferKernel>,
}

impl Lanes {
    /// Proves all kernels side by side: while one compiles, another computes.
    fn ready(device: &Device, is_auto: bool) -> Self {
        std::thread::scope(|scope| {
            let keccak = scope.spawn(|| Lane::ready(device, is_auto));
            let transfer = scope.spawn(|| Lane::ready(device, is_auto));
            Self { keccak: join(keccak), transfer: join(transfer) }
        })
    }

    fn counts(&self) -> Vec<(&'static str, KernelCounts)> {
        vec![self.keccak.counts(), self.transfer.counts()]
    }
}

impl Accelerator {
    /// The CPU alone.
    #[must_use]
    pub fn cpu() -> Self {
        Self::with(None, Lanes::default(), None)
    }

    /// Opens what the choice means, compiles and proves the kernels, and under [`DeviceChoice::Auto`]
    /// measures from which batch size on each pays. A device that fails in this leaves the CPU to serve.
    ///
    /// # Errors
    /// [`NoSuchAdapter`] when one was asked for by `gpu` or by name and none is there.
    pub fn open(choice: &DeviceChoice, options: &Options) -> Result<Self, NoSuchAdapter> {
        let device = match Device::open(choice, options.device.clone()) {
            Ok(device) => device,
            Err(OpenError::NoSuchAdapter(error)) => return Err(error),
            Err(error) => {
                log::warn!("the CPU serves instead: {error}");
                None
            }
        };
        let Some(device) = device else { return Ok(Self::with(None, Lanes::default(), options.sample_seed)) };
        let lanes = Lanes::ready(&device, *choice == DeviceChoice::Auto);
        device.begin_service();
        Ok(Self::with(Some(device), lanes, options.sample_seed))
    }

    fn with(device: Option<Device>, lanes: Lanes, sample_seed: Option<u64>) -> Self {
        Self { device, is_quarantined: AtomicBool::new(false), sampler: Sampler::new(sample_seed), lanes }
    }

    /// Name of the adapter, or `cpu`.
    #[must_use]
    pub fn device_name(&self) -> &str {
        self.adapter().map_or("cpu", |info| info.name.as_str())
    }

    /// The adapter that was opened, even if it has failed since.
    #[must_use]
    pub fn adapter(&self) -> Option<&AdapterInfo> {
        self.device.as_ref().map(Device::info)
    }

    /// Whether there was a device and it has failed.
    #[must_use]
    pub fn is_quarantined(&self) -> bool {
        self.is_quarantined.load(Ordering::Acquire)
    }

    /// For each kernel, how many items were done where, since this was opened.
    #[must_use]
    pub fn counts(&self) -> Vec<(&'static str, KernelCounts)> {
        self.lanes.counts()
    }

    /// Keccak-256 of each payload.
    #[must_use]
    pub fn keccak256(&self, payloads: &Payloads<'_>) -> Vec<Digest> {
        let long = payloads.iter().filter(|payload| payload.len() > PAYLOAD_LEN_MAX).count();
        self.serve(
            &self.lanes.keccak,
            Load { on_device: payloads.len() - long, on_cpu: long },
            |kernel, device| kernel.hash(device, payloads),
            |digests, item| digests[item] == keccak::keccak256_one(payloads.get(item)),
            || keccak::keccak256(payloads),
        )
    }

    /// Executes ordered transfers up to the first that fails, and updates `accounts`.
    ///
    /// Of a device's answer one account is followed through the whole batch, a random transfer's sender:
    /// following more would soon cost as much as the serial table.
    #[must_use]
    pub fn transfer_scan(&self, accounts: &mut [Account], transfers: &[Transfer], terms: Terms) -> Settled {
        let fits = TransferKernel::takes(accounts, transfers);
        let [on_device, on_cpu] = if fits { [transfers.len(), 0] } else { [0, transfers.len()] };
        // The device works on a copy, and the CPU in place: never both, but the borrow is shared.
        let table = RefCell::new(accounts);
        let mut is_checked = false;
        let (after, settled) = self.serve(
            &self.lanes.transfer,
            Load { on_device, on_cpu },
            |kernel, device| {
                let mut after = table.borrow().to_vec();
                let settled = kernel.run(device, &mut after, transfers, terms)?;
                Ok((Some(after), settled))
            },
            |(after, settled), item| {
                let Some(after) = after else { return true };
                std::mem::replace(&mut is_checked, true)
                    || recheck::account_is_right(
                        transfers[item].sender,
                        (&table.borrow(), after),
                        transfers,
                        terms,
                        settled,
                    )
            },
            || (None, serial::run(&mut table.borrow_mut(), transfers, terms)),
        );
        if let Some(after) = after {
            table.borrow_mut().copy_from_slice(&after);
        }
        settled
    }

    /// Does a batch where it pays. `is_right` recomputes one item on the CPU and compares.
    fn serve<K: DeviceKernel, T>(
        &self,
        lane: &Lane<K>,
        load: Load,
        on_device: impl FnOnce(&K, &Device) -> Result<T, DeviceError>,
        mut is_right: impl FnMut(&T, usize) -> bool,
        on_cpu: impl FnOnce() -> T,
    ) -> T {
        let batch_len = load.on_device + load.on_cpu;
        let served =
            self.device.as_ref().filter(|_| !self.is_quarantined()).zip(lane.kernel_for(load.on_device));
        let Some((device, kernel)) = served else {
            lane.count(&lane.cpu, batch_len);
            return on_cpu();
        };
        let result = on_device(kernel, device).and_then(|answer| {
            match self.sampler.draw(batch_len).into_iter().find(|&item| !is_right(&answer, item)) {
                None => Ok(answer),
                Some(item) => Err(DeviceError::WrongAnswer { site: device.site(K::NAME, batch_len), item }),
            }
        });
        match result {
            Ok(answer) => {
                lane.count(&lane.gpu, load.on_device);
                lane.count(&lane.cpu, load.on_cpu);
                answer
            }
            Err(error) => {
                self.quarantine(&error);
                lane.count(&lane.redone, batch_len);
                lane.count(&lane.cpu, batch_len);
                on_cpu()
            }
        }
    }

    fn quarantine(&self, error: &DeviceError) {
        if !self.is_quarantined.swap(true, Ordering::AcqRel) {
            log::warn!("device out of service, the CPU takes over and redoes the batch: {error}");
        }
    }
}

/// Items of a batch, by where they would be done if the device took it.
#[derive(Clone, Copy, Debug)]
struct Load {
    on_device: usize,
    on_cpu: usize,
}

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
struct Lane<K> {
    kernel: Option<K>,
    /// Items from which the device gets a batch.
    crossover: usize,
    gpu: AtomicU64,
    cpu: AtomicU64,
    redone: AtomicU64,
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
    fn ready(device: &Device, is_auto: bool) -> Self {
        let proved = registry::ready::<K>(device).and_then(|kernel| {
            let crossover = if is_auto { crossover(&kernel, device)? } else { 1 };
            log::debug!("kernel {} pays from {crossover} items on", K::NAME);
            Ok((kernel, crossover))
        });
        match proved {
            Ok((kernel, crossover)) => Self { kernel: Some(kernel), crossover, ..Self::default() },
            Err(error) => {
                log::warn!("the CPU serves instead: {error}");
                Self::default()
            }
        }
    }

    fn kernel_for(&self, len: usize) -> Option<&K> {
        self.kernel.as_ref().filter(|_| len >= self.crossover)
    }

    fn count(&self, counter: &AtomicU64, items: usize) {
        counter.fetch_add(items as u64, Ordering::Relaxed);
    }

    fn counts(&self) -> (&'static str, KernelCounts) {
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
        K::trial_on_cpu(&few_trial);
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

/// Draws the positions that are recomputed. Never a fixed stride: faults of lanes are periodic.
#[derive(Debug)]
struct Sampler {
    seed: u64,
    draws: AtomicU64,
}

impl Sampler {
    fn new(seed: Option<u64>) -> Self {
        // The standard library's hash keys are the one random source that needs no dependency.
        let seed = seed.unwrap_or_else(|| std::hash::RandomState::new().build_hasher().finish());
        Self { seed, draws: AtomicU64::new(0) }
    }

    /// Positions below `len`, perhaps some of them twice; none if there are none.
    fn draw(&self, len: usize) -> Vec<usize> {
        if len == 0 {
            return Vec::new();
        }
        let count = (len / SAMPLE_ONE_IN).clamp(1, SAMPLE_LEN_MAX);
        let next = || {
            // SplitMix64 (Steele, Lea, Flood 2014).
            let step = self.draws.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let z = self.seed.wrapping_add(step);
            let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        };
        let below_len = |random: u64| usize::try_from((u128::from(random) * len as u128) >> 64);
        (0..count).map(|_| below_len(next()).expect("below a usize")).collect()
    }
}

/// The result of a thread; its panic goes on in this one.
fn join<T>(handle: std::thread::ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{Fault, FaultPlan};
    use crate::keccak::PayloadsBuf;

    fn payloads(len: usize) -> PayloadsBuf {
        let mut out = PayloadsBuf::default();
        for item in 0..len {
            out.push(&item.to_le_bytes()).unwrap();
        }
        out.push(&[7; 5000]).unwrap();
        out
    }

    /// An accelerator on the best adapter, with a fault to come; `None` says that there is no adapter.
    fn accelerator(fault: Option<FaultPlan>) -> Option<Accelerator> {
        let device =
            DeviceOptions { deadline: Duration::from_millis(200), fault, ..DeviceOptions::default() };
        // Says that the test is skipped, or fails, if there is no adapter.
        crate::gpu::tests::device(DeviceOptions::default())?;
        let options = Options { device, sample_seed: Some(1) };
        Some(Accelerator::open(&DeviceChoice::Gpu, &options).unwrap())
    }

    fn assert_right(accelerator: &Accelerator, payloads: &PayloadsBuf) {
        let payloads = payloads.as_payloads();
        assert!(accelerator.keccak256(&payloads) == keccak::keccak256(&payloads), "wrong digests");
    }

    #[test]
    fn the_cpu_alone_serves_and_counts() {
        let accelerator = Accelerator::cpu();
        assert_right(&accelerator, &payloads(10));
        let counts = KernelCounts { gpu: 0, cpu: 11, redone: 0 };
        assert_eq!(accelerator.counts()[0], ("keccak", counts));
        assert_eq!((accelerator.device_name(), accelerator.is_quarantined()), ("cpu", false));
    }

    #[test]
    fn a_chosen_device_really_does_its_items() {
        let Some(accelerator) = accelerator(None) else { return };
        assert_right(&accelerator, &payloads(1000));
        let counts = KernelCounts { gpu: 1000, cpu: 1, redone: 0 };
        assert_eq!(accelerator.counts()[0], ("keccak", counts));
        assert_eq!(accelerator.device_name(), accelerator.adapter().unwrap().name);
    }

    #[test]
    fn an_empty_batch_is_no_work() {
        let Some(accelerator) = accelerator(None) else { return };
        assert_eq!(accelerator.keccak256(&PayloadsBuf::default().as_payloads()), [[0; 32]; 0]);
        assert_eq!(accelerator.counts()[0].1, KernelCounts::default());
    }

    #[test]
    fn every_fault_in_service_ends_in_right_results_from_the_cpu() {
        for fault in [Fault::Lost, Fault::Hang, Fault::OutOfMemory, Fault::WrongAnswer] {
            let plan = FaultPlan { fault, after_jobs: 1 };
            let Some(accelerator) = accelerator(Some(plan)) else { return };
            assert_right(&accelerator, &payloads(100));
            assert!(!accelerator.is_quarantined(), "{fault:?} came early");
            let start = Instant::now();
            assert_right(&accelerator, &payloads(100));
            assert!(accelerator.is_quarantined(), "{fault:?}");
            assert_right(&accelerator, &payloads(100));
            let counts = KernelCounts { gpu: 100, cpu: 1 + 101 + 101, redone: 101 };
            assert_eq!(accelerator.counts()[0], ("keccak", counts), "{fault:?}");
            drop(accelerator);
            assert!(
                start.elapsed() < Duration::from_millis(1000),
                "{fault:?} blocked for {:?}",
                start.elapsed()
            );
        }
    }

    #[test]
    fn a_kernel_that_fails_its_self_test_never_serves() {
        let Some(accelerator) = accelerator(Some(Fault::WrongSelfTest.into())) else { return };
        assert_right(&accelerator, &payloads(100));
        assert_eq!(accelerator.counts()[0].1, KernelCounts { gpu: 0, cpu: 101, redone: 0 });
    }

    #[test]
    fn many_threads_share_a_device_and_its_failure() {
        let Some(accelerator) = accelerator(Some("hang@8".parse().unwrap())) else { return };
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let accelerator = &accelerator;
                scope.spawn(move || {
                    (0..6).for_each(|i| assert_right(accelerator, &payloads(50 + 10 * i + thread)))
                });
            }
        });
        assert!(accelerator.is_quarantined());
        let counts = accelerator.counts()[0].1;
        assert!(counts.gpu > 0 && counts.redone > 0, "{counts:?}");
    }

    #[test]
    fn a_missing_adapter_is_told_apart_and_auto_does_without() {
        let none = DeviceChoice::Name("no such adapter".to_owned());
        assert_eq!(Accelerator::open(&none, &Options::default()).unwrap_err().choice, none);
        let accelerator = Accelerator::open(&DeviceChoice::Auto, &Options::default()).unwrap();
        assert!(accelerator.adapter().is_none_or(|info| !info.is_software()), "{accelerator:?}");
        assert_right(&accelerator, &payloads(300));
    }

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
    fn a_sample_is_within_the_batch_and_differs_from_draw_to_draw() {
        let sampler = Sampler::new(Some(3));
        assert!(sampler.draw(0).is_empty());
        assert_eq!(sampler.draw(1), [0]);
        let draws = [sampler.draw(65_536), sampler.draw(65_536)];
        assert_ne!(draws[0], draws[1]);
        assert!(draws.iter().all(|draw| draw.len() == 16 && draw.iter().all(|&item| item < 65_536)));
    }

    #[test]
    fn calibration_returns_on_any_adapter() {
        let Some(device) = crate::gpu::tests::device(DeviceOptions::default()) else { return };
        let lane = Lane::<KeccakKernel>::ready(&device, true);
        assert!(lane.kernel.is_some() && lane.crossover > 0);
    }
}
