//! The door through which the host asks for work: on a device where that pays, else on the CPU.
//!
//! What it promises:
//!
//! - **The answer is the CPU's**, whatever the device does. A device that fails, hangs or gives a wrong
//!   answer where that is checked ([`Audit`]) is put in quarantine, and what it had is redone on the CPU.
//! - **No kernel serves before its known-answer test** has passed on this very adapter.
//! - **Never slower than the CPU alone** under [`DeviceChoice::Auto`](crate::gpu::DeviceChoice::Auto): both are measured ([`Calibration`]), the device
//!   gets the part of a batch by which both are expected to end together, and nothing where that does not pay.
//! - **Late is not dead.** A device that keeps its part too long loses that part to the CPU and lives
//!   ([`Patience`]); only one that is late again and again, or past its deadline, is put in quarantine.

mod audit;
mod calibration;
mod curve;
mod lane;
mod measure;
mod open;
mod placement;
mod private_file;
mod reports;
mod sampler;
mod serve;
#[cfg(test)]
mod tests;
mod threads;
mod work;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::gpu::{AdapterInfo, Device, DeviceKernel, DeviceOptions};
use crate::keccak::{Digest, KeccakKernel, Payloads};
use crate::recover::{self, RecoverKernel, Verdict};
use crate::transfer::{Account, Settled, Terms, Transfer, gpu::TransferKernel, recheck, serial};

use audit::Auditor;
use lane::{Course, Lane, Load};
use placement::Placement;
use threads::DeviceThreads;
use work::{Hashing, Recovery, Work};

pub use audit::{Audit, AuditCounts};
pub use calibration::{Adapter, Calibration, Identity, KernelTimes, Machine};
pub use curve::{Curve, CurveError, Point};
pub use lane::KernelCounts;
pub use measure::{Effort, Measured};
pub use reports::Reports;

/// How an accelerator is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How its device is opened and watched.
    pub device: DeviceOptions,
    /// Seed of the sample that is recomputed; without it each process draws its own.
    pub sample_seed: Option<u64>,
    /// How much of what the device answers is checked.
    pub audit: Audit,
    /// Which batches the device gets.
    pub sharing: Sharing,
    /// How long a device that was measured is waited for.
    pub patience: Patience,
    /// Folder in which measurements are kept from one process to the next; without it they are made at each start.
    pub calibrations: Option<PathBuf>,
    /// Where wrong answers are kept, if anywhere.
    pub reports: Option<Reports>,
}

/// Which batches a device gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Under [`DeviceChoice::Auto`](crate::gpu::DeviceChoice::Auto) as [`Self::Measured`]; a device that was asked for
    /// gets everything.
    #[default]
    ByChoice,
    /// Parts of batches, by measurement, whichever device it is. A software adapter's times are misleading: it
    /// computes on the cores that the CPU's part needs.
    Measured,
}

/// When a device is late, and how often it may be. Only a device that was measured can be: of others nothing is
/// expected but an answer before the deadline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patience {
    /// It is waited for so many times as long as it was expected to take,
    pub factor: f64,
    /// and so much longer.
    pub floor: Duration,
    /// So many times late in a row, and it is put in quarantine.
    pub late_max: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { factor: 4.0, floor: Duration::from_millis(50), late_max: 3 }
    }
}

impl Patience {
    fn of(self, expected: Duration) -> Duration {
        expected.mul_f64(self.factor) + self.floor
    }
}

/// A device with its kernels, or the CPU alone. Shared freely between threads.
#[derive(Debug)]
pub struct Accelerator {
    device: Option<Device>,
    lanes: Lanes,
    auditor: Auditor,
    patience: Patience,
    reports: Option<Reports>,
    threads: DeviceThreads,
    /// Why the device does not serve any more.
    quarantine: OnceLock<String>,
    late: AtomicU64,
    late_in_a_row: AtomicU32,
}

/// The kernels, each in the state in which it serves. One field for each entry of the registry.
#[derive(Debug, Default)]
struct Lanes {
    keccak: Lane<KeccakKernel>,
    recover: Lane<RecoverKernel>,
    transfer: Lane<TransferKernel>,
}

impl Accelerator {
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
        self.quarantine.get().is_some()
    }

    /// Why the device is in quarantine, in words, if it is. It stays there while this accelerator lives.
    #[must_use]
    pub fn quarantine_reason(&self) -> Option<&str> {
        self.quarantine.get().map(String::as_str)
    }

    /// For each kernel, how many items were done where, since this was opened. Keccak's are the payloads hashed, on
    /// their own or to recover their signers; messages that came as hashes are none.
    #[must_use]
    pub fn counts(&self) -> Vec<(&'static str, KernelCounts)> {
        let Lanes { keccak, recover, transfer } = &self.lanes;
        vec![keccak.counts(), recover.counts(), transfer.counts()]
    }

    /// What was checked of the device's answers since this was opened.
    #[must_use]
    pub fn audits(&self) -> AuditCounts {
        self.auditor.counts()
    }

    /// How many batches the device was late with.
    #[must_use]
    pub fn late_batches(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// For each kernel, from how many items on the device gets a batch or a part of it; `None` where it never does.
    #[must_use]
    pub fn crossovers(&self) -> Vec<(&'static str, Option<usize>)> {
        let Lanes { keccak, recover, transfer } = &self.lanes;
        vec![
            keccak.crossover(Placement::divide),
            recover.crossover(Placement::divide),
            transfer.crossover(Placement::whole),
        ]
    }

    /// Keccak-256 of each payload.
    #[must_use]
    pub fn keccak256(&self, payloads: &Payloads<'_>) -> Vec<Digest> {
        self.serve(&self.lanes.keccak, &Hashing(payloads)).0
    }

    /// The signer of each signature, or why it has none: with messages as payloads, hashed where it is recovered.
    ///
    /// A device's rejections are confirmed on the CPU, and items that it gives up (exceptional additions, keys at
    /// infinity) are redone there and counted so. The hashing of payloads is counted as Keccak's, by where they
    /// were hashed: hashing one again, for an item given up or checked, is part of redoing or checking that item.
    #[must_use]
    pub fn recover(&self, batch: &recover::Batch<'_>) -> Vec<Verdict> {
        // The digests stay on the device: so it hashes batches of any size, if it recovers them.
        let hasher = self.lanes.keccak.kernel();
        let (verdicts, parts) = self.serve(&self.lanes.recover, &Recovery { batch, hasher });
        if let Some(payloads) = batch.payloads() {
            let hashing = Hashing(payloads);
            for (range, course) in parts {
                let course = if hasher.is_some() { course } else { Course::Cpu };
                self.lanes.keccak.count(hashing.load(range), course);
            }
        }
        verdicts
    }

    /// Executes ordered transfers up to the first that fails, and updates `accounts`.
    ///
    /// Order forbids to cut the batch: one side does all of it. Of a device's answer one account is followed through the
    /// whole batch, a random transfer's sender: following more would soon cost as much as the serial table.
    #[must_use]
    pub fn transfer_scan(&self, accounts: &mut [Account], transfers: &[Transfer], terms: Terms) -> Settled {
        let lane = &self.lanes.transfer;
        let len = transfers.len();
        // Looking at every width costs a good part of what the serial table does: only where it matters.
        let served = self.device_for(lane, |placement| placement.whole(len));
        let Some((device, kernel, _)) = served.filter(|_| TransferKernel::takes(accounts, transfers)) else {
            lane.count(Load { on_device: 0, on_cpu: len }, Course::Cpu);
            return serial::run(accounts, transfers, terms);
        };
        // The device works on a copy: if it fails, nothing has happened.
        let mut after = accounts.to_vec();
        let result = kernel.run(&device, &mut after, transfers, terms).map_err(serve::Fault::of_device);
        let result = result.and_then(|settled| {
            let followed = self.auditor.sample_one(len);
            let is_right = |item: usize| {
                let sender = transfers[item].sender;
                recheck::account_is_right(sender, (accounts, &after), transfers, terms, &settled)
            };
            match followed.filter(|&item| !is_right(item)) {
                None => Ok(settled),
                Some(item) => Err(serve::Fault::wrong(&device, TransferKernel::NAME, len, item)),
            }
        });
        let load = Load { on_device: len, on_cpu: 0 };
        match result {
            Ok(settled) => {
                self.is_in_time();
                lane.count(load, Course::Device);
                accounts.copy_from_slice(&after);
                settled
            }
            Err(fault) => {
                self.failed(&fault.error);
                lane.count(load, Course::Redone);
                serial::run(accounts, transfers, terms)
            }
        }
    }
}
