//! Adapters: which are there, what they offer, which one is meant.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use super::shader::IntegerForm;

/// An adapter as its driver describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterInfo {
    /// Name of the adapter.
    pub name: String,
    /// Name of the driver.
    pub driver: String,
    /// The driver's version and further words.
    pub driver_info: String,
    /// API through which it is reached: `vulkan`, `metal` or `dx12`.
    pub backend: String,
    /// What kind of device it is.
    pub kind: AdapterKind,
    /// PCI vendor id, or the API's substitute.
    pub vendor_id: u32,
    /// Device id of that vendor.
    pub device_id: u32,
    /// Whether shaders may use 64-bit integers.
    pub int64: bool,
    /// Whether shaders may use subgroup operations.
    pub subgroups: bool,
    /// Whether passes can be timed on the device.
    pub timestamps: bool,
    /// Largest binding of a storage buffer, in bytes.
    pub binding_bytes_max: u64,
}

impl AdapterInfo {
    /// Whether the adapter is a program that runs on the CPU's own cores.
    #[must_use]
    pub fn is_software(&self) -> bool {
        self.kind == AdapterKind::Software
    }

    fn of(adapter: &wgpu::Adapter) -> Self {
        let info = adapter.get_info();
        let features = adapter.features();
        Self {
            name: info.name,
            driver: info.driver,
            driver_info: info.driver_info,
            backend: info.backend.to_str().to_owned(),
            kind: AdapterKind::of(info.device_type),
            vendor_id: info.vendor,
            device_id: info.device,
            int64: features.contains(wgpu::Features::SHADER_INT64),
            subgroups: features.contains(wgpu::Features::SUBGROUP),
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            binding_bytes_max: adapter.limits().max_storage_buffer_binding_size,
        }
    }
}

/// What kind of device an adapter is, best for this work first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdapterKind {
    /// A card with memory of its own.
    Discrete,
    /// Part of the processor's package.
    Integrated,
    /// A card lent to a virtual machine.
    Virtual,
    /// The driver does not say.
    Unknown,
    /// A program on the CPU's own cores, such as lavapipe.
    Software,
}

impl AdapterKind {
    const fn of(kind: wgpu::DeviceType) -> Self {
        match kind {
            wgpu::DeviceType::DiscreteGpu => Self::Discrete,
            wgpu::DeviceType::IntegratedGpu => Self::Integrated,
            wgpu::DeviceType::VirtualGpu => Self::Virtual,
            wgpu::DeviceType::Other => Self::Unknown,
            wgpu::DeviceType::Cpu => Self::Software,
        }
    }
}

impl fmt::Display for AdapterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discrete => "discrete",
            Self::Integrated => "integrated",
            Self::Virtual => "virtual",
            Self::Unknown => "unknown",
            Self::Software => "software",
        })
    }
}

/// Which device the user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// What pays by measurement: the best hardware adapter from each kernel's crossover on, else the CPU.
    Auto,
    /// No adapter.
    Cpu,
    /// The best adapter, a software one too, for every batch.
    Gpu,
    /// The best adapter whose name contains this, whatever the case, for every batch.
    Name(String),
}

impl FromStr for DeviceChoice {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            "gpu" => Self::Gpu,
            name => Self::Name(name.to_owned()),
        })
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
            Self::Name(name) => name,
        })
    }
}

/// All adapters of this machine, best first.
#[must_use]
pub fn adapters() -> Vec<AdapterInfo> {
    found().into_iter().map(|(info, _)| info).collect()
}

/// The adapter that is meant: `None` where the choice is the CPU, or `auto` without hardware.
///
/// # Errors
/// [`NoSuchAdapter`] when one was asked for by `gpu` or by name and none is there.
pub(super) fn select(choice: &DeviceChoice) -> Result<Option<(AdapterInfo, wgpu::Adapter)>, NoSuchAdapter> {
    let matches = |info: &AdapterInfo| match choice {
        DeviceChoice::Auto => !info.is_software(),
        DeviceChoice::Cpu => false,
        DeviceChoice::Gpu => true,
        DeviceChoice::Name(part) => info.name.to_lowercase().contains(&part.to_lowercase()),
    };
    if *choice == DeviceChoice::Cpu {
        return Ok(None);
    }
    let mut all = found();
    match all.iter().position(|(info, _)| matches(info)) {
        Some(index) => Ok(Some(all.swap_remove(index))),
        None if *choice == DeviceChoice::Auto => Ok(None),
        None => Err(NoSuchAdapter {
            choice: choice.clone(),
            present: all.into_iter().map(|(info, _)| info.name).collect(),
        }),
    }
}

/// The adapter at an index of [`adapters`], if it is still there.
pub(super) fn select_index(index: usize) -> Result<(AdapterInfo, wgpu::Adapter), NoSuchAdapter> {
    let mut all = found();
    if index < all.len() {
        return Ok(all.swap_remove(index));
    }
    Err(NoSuchAdapter {
        choice: DeviceChoice::Name(format!("number {index}")),
        present: all.into_iter().map(|(info, _)| info.name).collect(),
    })
}

/// There is no adapter such as was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSuchAdapter {
    /// What was asked for.
    pub choice: DeviceChoice,
    /// Names of those that are there.
    pub present: Vec<String>,
}

impl fmt::Display for NoSuchAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no adapter for device \"{}\": ", self.choice)?;
        match self.present.as_slice() {
            [] => f.write_str("this machine has none"),
            present => write!(f, "this machine has {}", present.join(", ")),
        }
    }
}

impl std::error::Error for NoSuchAdapter {}

/// The integer form that suits an adapter.
pub(super) const fn integer_form(info: &AdapterInfo) -> IntegerForm {
    if info.int64 { IntegerForm::U64 } else { IntegerForm::U32 }
}

/// The process's one door to the drivers. Never closed: unloading a driver under a leaked device is
/// not survivable.
fn instance() -> &'static wgpu::Instance {
    static INSTANCE: OnceLock<wgpu::Instance> = OnceLock::new();
    INSTANCE.get_or_init(|| {
        wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: wgpu::Backends::PRIMARY,
            // Software drivers often lack the conformance mark; here trust comes from self-tests.
            flags: wgpu::InstanceFlags::ALLOW_UNDERLYING_NONCOMPLIANT_ADAPTER,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        })
    })
}

fn found() -> Vec<(AdapterInfo, wgpu::Adapter)> {
    let mut all: Vec<_> = pollster::block_on(instance().enumerate_adapters(wgpu::Backends::PRIMARY))
        .into_iter()
        .filter(|adapter| {
            adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
        })
        .map(|adapter| (AdapterInfo::of(&adapter), adapter))
        .collect();
    all.sort_by(|(a, _), (b, _)| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    all
}
