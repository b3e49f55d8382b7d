//! Opening: proving the kernels, and measuring them or reading what was measured.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64};

use super::audit::{Audit, Auditor};
use super::calibration::{Calibration, Identity, KernelTimes};
use super::lane::Lane;
use super::measure::{self, Effort, How, Measured};
use super::threads::DeviceThreads;
use super::{Accelerator, Lanes, Options, Sharing};
use crate::gpu::{Device, DeviceChoice, DeviceError, DeviceKernel, NoSuchAdapter, OpenError};
use crate::simd::Backend;

impl Lanes {
    /// Proves all kernels side by side: while one compiles, another computes.
    pub(super) fn ready(device: &Device) -> Self {
        std::thread::scope(|scope| {
            let keccak = scope.spawn(|| Lane::ready(device));
            let recover = scope.spawn(|| Lane::ready(device));
            let transfer = scope.spawn(|| Lane::ready(device));
            Self { keccak: join(keccak), recover: join(recover), transfer: join(transfer) }
        })
    }

    /// Measures one kernel after the other: they would slow each other down. Those that do not serve on the device are
    /// measured on the CPU alone.
    fn measure(
        &self,
        device: Option<&Device>,
        how: How<'_>,
        watch: &mut dyn FnMut(Measured),
    ) -> Result<BTreeMap<String, KernelTimes>, DeviceError> {
        let keccak = times(&self.keccak, device, how, watch)?;
        let recover = times(&self.recover, device, how, watch)?;
        // Their order forbids to cut batches of transfers.
        let transfer = times(&self.transfer, device, How { is_divisible: false, ..how }, watch)?;
        Ok([keccak, recover, transfer].into())
    }

    fn place(&mut self, calibration: &Calibration) {
        let of = |kernel: &str| calibration.kernels.get(kernel);
        self.keccak.place(of("keccak"));
        self.recover.place(of("recover"));
        self.transfer.place(of("transfer"));
    }
}

fn times<K: DeviceKernel>(
    lane: &Lane<K>,
    device: Option<&Device>,
    how: How<'_>,
    watch: &mut dyn FnMut(Measured),
) -> Result<(String, KernelTimes), DeviceError> {
    let times = measure::measure(lane.kernel().zip(device), how, watch)?;
    Ok((K::NAME.to_owned(), times))
}

/// The result of a thread; its panic goes on in this one.
fn join<T>(handle: std::thread::ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Opens what a choice means; a device that fails in this is none.
fn open_device(choice: &DeviceChoice, options: &Options) -> Result<Option<Device>, NoSuchAdapter> {
    match Device::open(choice, options.device.clone()) {
        Ok(device) => Ok(device),
        Err(OpenError::NoSuchAdapter(error)) => Err(error),
        Err(error) => {
            log::warn!("the CPU serves instead: {error}");
            Ok(None)
        }
    }
}

impl Accelerator {
    /// The CPU alone.
    #[must_use]
    pub fn cpu() -> Self {
        Self::with(None, Lanes::default(), &Options::default())
    }

    /// Opens what the choice means, and compiles and proves the kernels. Under [`DeviceChoice::Auto`] their times decide
    /// what the device gets: those kept in [`Options::calibrations`] if they hold, else they are measured, in about a
    /// second, and kept. A device that fails in this leaves the CPU to serve.
    ///
    /// # Errors
    /// [`NoSuchAdapter`] when one was asked for by `gpu` or by name and none is there.
    pub fn open(choice: &DeviceChoice, options: &Options) -> Result<Self, NoSuchAdapter> {
        crate::recover::warm_up();
        let Some(device) = open_device(choice, options)? else {
            return Ok(Self::with(None, Lanes::default(), options));
        };
        let mut lanes = Lanes::ready(&device);
        if options.sharing == Sharing::Measured || *choice == DeviceChoice::Auto {
            match calibration(&lanes, &device, options) {
                Ok(calibration) => lanes.place(&calibration),
                Err(error) => {
                    log::warn!("the CPU serves instead: {error}");
                    lanes = Lanes::default();
                }
            }
        }
        device.begin_service();
        let accelerator = Self::with(Some(device), lanes, options);
        for (kernel, crossover) in accelerator.crossovers() {
            match crossover {
                Some(items) => log::debug!("kernel {kernel} pays from {items} items on"),
                None => log::debug!("kernel {kernel} does not pay"),
            }
        }
        Ok(accelerator)
    }

    pub(super) fn with(device: Option<Device>, lanes: Lanes, options: &Options) -> Self {
        Self {
            device,
            lanes,
            auditor: Auditor::new(options.audit, options.sample_seed),
            patience: options.patience,
            reports: options.reports.clone(),
            threads: DeviceThreads::default(),
            quarantine: OnceLock::new(),
            late: AtomicU64::new(0),
            late_in_a_row: AtomicU32::new(0),
        }
    }
}

/// What was measured before and holds, or what is measured now.
fn calibration(lanes: &Lanes, device: &Device, options: &Options) -> Result<Calibration, DeviceError> {
    let is_checked = options.audit == Audit::Combination;
    let identity = Identity::of(Some(device), is_checked);
    let folder = options.calibrations.as_deref();
    if let Some(kept) = folder.and_then(|folder| Calibration::load(folder, &identity)) {
        return Ok(kept);
    }
    let backends = &[Backend::selected()];
    let how = How { effort: Effort::Quick, backends, is_checked, is_divisible: true };
    let kernels = lanes.measure(Some(device), how, &mut |_| {})?;
    let calibration = Calibration::new(identity, kernels);
    if let Some(Err(error)) = folder.map(|folder| calibration.save(folder)) {
        log::warn!("the calibration cannot be kept: {error}");
    }
    Ok(calibration)
}

impl Calibration {
    /// Measures every kernel in all CPU forms that this machine has and on the device that is meant, if there is one;
    /// `watch` sees each batch. Nothing is kept: see [`Self::save`].
    ///
    /// # Errors
    /// [`OpenError`] if the device that was asked for is not there, or fails.
    pub fn measure(
        choice: &DeviceChoice,
        options: &Options,
        effort: Effort,
        watch: &mut dyn FnMut(Measured),
    ) -> Result<Self, OpenError> {
        let device = Device::open(choice, options.device.clone())?;
        let lanes = device.as_ref().map_or_else(Lanes::default, Lanes::ready);
        let backends: Vec<_> = Backend::available().collect();
        let is_checked = options.audit == Audit::Combination;
        let how = How { effort, backends: &backends, is_checked, is_divisible: true };
        let kernels = lanes.measure(device.as_ref(), how, watch)?;
        Ok(Self::new(Identity::of(device.as_ref(), is_checked), kernels))
    }
}
