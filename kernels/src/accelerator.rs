//! The door through which the host asks for work: on a device where that pays, else on the CPU.
//!
//! What it promises:
//!
//! - **The answer is the CPU's**, whatever the device does. A device that fails, is late, or gives a wrong
//!   answer where a random sample is recomputed, is put in quarantine, and the batch is redone on the CPU.
//! - **No kernel serves before its known-answer test** has passed on this very adapter.
//! - **Never slower than the CPU alone** under [`DeviceChoice::Auto`]: the device gets a batch only from the
//!   size on at which it won a trial, measured when it was opened.

mod lane;
mod sampler;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::gpu::{
    AdapterInfo, Device, DeviceChoice, DeviceError, DeviceKernel, DeviceOptions, NoSuchAdapter, OpenError,
};
use crate::keccak::{self, Digest, KeccakKernel, PAYLOAD_LEN_MAX, Payloads};
use crate::recover::{self, RecoverKernel, Verdict};
use crate::transfer::{Account, Settled, Terms, Transfer, gpu::TransferKernel, recheck, serial};

use lane::{Course, Lane, Load};
use sampler::Sampler;

pub use lane::KernelCounts;

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
    recover: Lane<RecoverKernel>,
    transfer: Lane<TransferKernel>,
}

impl Lanes {
    /// Proves all kernels side by side: while one compiles, another computes.
    fn ready(device: &Device) -> Self {
        std::thread::scope(|scope| {
            let keccak = scope.spawn(|| Lane::ready(device));
            let recover = scope.spawn(|| Lane::ready(device));
            let transfer = scope.spawn(|| Lane::ready(device));
            Self { keccak: join(keccak), recover: join(recover), transfer: join(transfer) }
        })
    }

    /// Measures one after the other: they would slow each other down.
    fn calibrate(&mut self, device: &Device) {
        self.keccak.calibrate(device);
        self.recover.calibrate(device);
        self.transfer.calibrate(device);
    }

    fn counts(&self) -> Vec<(&'static str, KernelCounts)> {
        vec![self.keccak.counts(), self.recover.counts(), self.transfer.counts()]
    }

    fn crossovers(&self) -> Vec<(&'static str, Option<usize>)> {
        vec![self.keccak.crossover(), self.recover.crossover(), self.transfer.crossover()]
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
        recover::warm_up();
        let device = match Device::open(choice, options.device.clone()) {
            Ok(device) => device,
            Err(OpenError::NoSuchAdapter(error)) => return Err(error),
            Err(error) => {
                log::warn!("the CPU serves instead: {error}");
                None
            }
        };
        let Some(device) = device else { return Ok(Self::with(None, Lanes::default(), options.sample_seed)) };
        let mut lanes = Lanes::ready(&device);
        if *choice == DeviceChoice::Auto {
            lanes.calibrate(&device);
        }
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

    /// For each kernel, how many items were done where, since this was opened. Keccak's are the payloads hashed, on
    /// their own or to recover their signers; messages that came as hashes are none.
    #[must_use]
    pub fn counts(&self) -> Vec<(&'static str, KernelCounts)> {
        self.lanes.counts()
    }

    /// For each kernel, from how many items on the device gets a batch; `None` where it never does.
    #[must_use]
    pub fn crossovers(&self) -> Vec<(&'static str, Option<usize>)> {
        self.lanes.crossovers()
    }

    /// Keccak-256 of each payload.
    #[must_use]
    pub fn keccak256(&self, payloads: &Payloads<'_>) -> Vec<Digest> {
        let (digests, _) = self.serve(
            &self.lanes.keccak,
            hashing_load(payloads),
            |kernel, device| kernel.hash(device, payloads),
            |digests, item| digests[item] == keccak::keccak256_one(payloads.get(item)),
            || keccak::keccak256(payloads),
        );
        digests
    }

    /// The signer of each signature, or why it has none: with messages as payloads, hashed where it is recovered.
    ///
    /// A device's rejections are confirmed on the CPU, and items that it gives up (exceptional additions, keys at
    /// infinity) are redone there and counted so. The hashing of payloads is counted as Keccak's, by where the whole
    /// batch was hashed: hashing one again, for an item given up or a sample, is part of redoing or checking that item.
    #[must_use]
    pub fn recover(&self, batch: &recover::Batch<'_>) -> Vec<Verdict> {
        let lane = &self.lanes.recover;
        // The digests stay on the device: so it hashes batches of any size, if it recovers them.
        let hasher = self.lanes.keccak.kernel_for(usize::MAX);
        let (answer, course) = self.serve(
            lane,
            Load { on_device: batch.len(), on_cpu: 0 },
            |kernel, device| kernel.recover(device, hasher, batch),
            |answer, item| answer.verdicts[item] == batch.recover_one(item),
            || recover::Answer { verdicts: recover::recover(batch), ..recover::Answer::default() },
        );
        lane.move_to_cpu(answer.redone);
        if let Some(payloads) = batch.payloads() {
            let course = if hasher.is_some() { course } else { Course::Cpu };
            self.lanes.keccak.count(hashing_load(payloads), course);
        }
        answer.verdicts
    }

    /// Executes ordered transfers up to the first that fails, and updates `accounts`.
    ///
    /// Of a device's answer one account is followed through the whole batch, a random transfer's sender:
    /// following more would soon cost as much as the serial table.
    #[must_use]
    pub fn transfer_scan(&self, accounts: &mut [Account], transfers: &[Transfer], terms: Terms) -> Settled {
        // Looking at every width costs a good part of what the serial table does: only where it matters.
        let is_served = self.device.is_some() && self.lanes.transfer.kernel_for(transfers.len()).is_some();
        let fits = is_served && TransferKernel::takes(accounts, transfers);
        let [on_device, on_cpu] = if fits { [transfers.len(), 0] } else { [0, transfers.len()] };
        // The device works on a copy, and the CPU in place: never both, but the borrow is shared.
        let table = RefCell::new(accounts);
        let mut is_checked = false;
        let ((after, settled), _) = self.serve(
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

    /// Does a batch where it pays, and counts it. `is_right` recomputes one item on the CPU and compares.
    fn serve<K: DeviceKernel, T>(
        &self,
        lane: &Lane<K>,
        load: Load,
        on_device: impl FnOnce(&K, &Device) -> Result<T, DeviceError>,
        mut is_right: impl FnMut(&T, usize) -> bool,
        on_cpu: impl FnOnce() -> T,
    ) -> (T, Course) {
        let batch_len = load.len();
        let served =
            self.device.as_ref().filter(|_| !self.is_quarantined()).zip(lane.kernel_for(load.on_device));
        let Some((device, kernel)) = served else {
            lane.count(load, Course::Cpu);
            return (on_cpu(), Course::Cpu);
        };
        let result = on_device(kernel, device).and_then(|answer| {
            match self.sampler.draw(batch_len).into_iter().find(|&item| !is_right(&answer, item)) {
                None => Ok(answer),
                Some(item) => Err(DeviceError::WrongAnswer { site: device.site(K::NAME, batch_len), item }),
            }
        });
        let (answer, course) = match result {
            Ok(answer) => (answer, Course::Device),
            Err(error) => {
                self.quarantine(&error);
                (on_cpu(), Course::Redone)
            }
        };
        lane.count(load, course);
        (answer, course)
    }

    fn quarantine(&self, error: &DeviceError) {
        if !self.is_quarantined.swap(true, Ordering::AcqRel) {
            log::warn!("device out of service, the CPU takes over and redoes the batch: {error}");
        }
    }
}

/// Of payloads, those short enough for the device and those that are not.
fn hashing_load(payloads: &Payloads<'_>) -> Load {
    let long = payloads.iter().filter(|payload| payload.len() > PAYLOAD_LEN_MAX).count();
    Load { on_device: payloads.len() - long, on_cpu: long }
}

/// The result of a thread; its panic goes on in this one.
fn join<T>(handle: std::thread::ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
