//! What was measured on this machine, and the file that keeps it.
//!
//! One file an adapter, integer form and number of threads, in a folder of derived data. What it holds is valid for the
//! [`Identity`] it was measured under and for no other: a new driver, another processor or other kernels void it, and
//! so does whatever damages the file. Then it is measured again, and the file replaced.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::curve::Curve;
use super::placement::Placement;
use super::private_file;
use crate::gpu::Device;
use crate::registry;
use crate::simd::Backend;

/// Format of the file.
const FORMAT: u32 = 1;

/// Longest file that is read, in bytes; one has some kilobytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The CPU side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The processor's name where the system tells it, else its architecture.
    pub cpu: String,
    /// Cores that the process may use.
    pub cores: usize,
    /// Threads of rayon's pool, on which the CPU forms run.
    pub threads: usize,
    /// The form of the CPU kernels that serves ([`Backend::selected`]).
    pub simd: String,
}

/// The device side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adapter {
    /// Name of the adapter.
    pub name: String,
    /// API through which it is reached.
    pub backend: String,
    /// Name of the driver.
    pub driver: String,
    /// The driver's version.
    pub driver_version: String,
    /// PCI vendor id.
    pub vendor_id: u32,
    /// Device id of that vendor.
    pub device_id: u32,
    /// Which integers the kernels are written in: `u64` or `u32`.
    pub integer_form: String,
}

/// For what a measurement holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The CPU side.
    pub machine: Machine,
    /// The device side; `None` where the CPU alone was measured.
    pub adapter: Option<Adapter>,
    /// Version of this crate and a hash of all its shaders.
    pub kernels: String,
    /// Whether the device's times have the check of all recovered keys in them
    /// ([`Audit::Combination`](super::Audit::Combination)).
    pub is_checked: bool,
}

/// Times of one kernel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelTimes {
    /// On the device, transfers included.
    pub device: Option<Curve>,
    /// On the CPU, by the name of the backend.
    pub cpu: BTreeMap<String, Curve>,
    /// Cut in two, device and CPU (in the form that serves) side by side: at the sizes at which that should pay by the
    /// times above, if there are any.
    pub divided: Option<Curve>,
}

/// Times of all kernels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    format: u32,
    /// For what it holds.
    pub identity: Identity,
    /// When it was measured, in seconds since 1970 (UTC).
    pub measured_at: u64,
    /// Times by the name of the kernel.
    pub kernels: BTreeMap<String, KernelTimes>,
}

impl Identity {
    /// This machine with a device, or alone.
    #[must_use]
    pub fn of(device: Option<&Device>, is_checked: bool) -> Self {
        let adapter = device.map(|device| {
            let info = device.info();
            Adapter {
                name: info.name.clone(),
                backend: info.backend.clone(),
                driver: info.driver.clone(),
                driver_version: info.driver_info.clone(),
                vendor_id: info.vendor_id,
                device_id: info.device_id,
                integer_form: device.integer_form().to_string(),
            }
        });
        let kernels = registry::version(device.map(Device::tuning).unwrap_or_default());
        Self { machine: Machine::this(), adapter, kernels, is_checked }
    }

    /// Name of the file: what a machine may have several of.
    fn file_name(&self) -> String {
        let adapter = self.adapter.as_ref();
        let form = adapter.map_or("none", |adapter| &adapter.integer_form);
        let name = adapter.map_or("cpu", |adapter| &adapter.name);
        let slug: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let slug: String = slug.to_ascii_lowercase().chars().take(80).collect();
        let checked = if self.is_checked { "-checked" } else { "" };
        format!("calibration-{slug}-{form}-{}t{checked}.json", self.machine.threads)
    }

    /// What of it is not as in another: for people.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        let [ours, theirs] = [&self.adapter, &other.adapter].map(|adapter| {
            adapter.as_ref().map(|a| (&a.name, &a.backend, a.vendor_id, a.device_id, &a.integer_form))
        });
        if ours != theirs {
            return Some("adapter");
        }
        if self.adapter != other.adapter {
            return Some("driver");
        }
        if self.machine != other.machine {
            return Some("processor");
        }
        if self.kernels != other.kernels {
            return Some("version of the kernels");
        }
        (self != other).then_some("audit")
    }
}

impl Machine {
    fn this() -> Self {
        Self {
            cpu: cpu_name().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            threads: rayon::current_num_threads(),
            simd: Backend::selected().name().to_owned(),
        }
    }
}

/// The processor's name as Linux tells it.
fn cpu_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

impl Calibration {
    pub(super) fn new(identity: Identity, kernels: BTreeMap<String, KernelTimes>) -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        Self { format: FORMAT, identity, measured_at: since_1970.map_or(0, |time| time.as_secs()), kernels }
    }

    /// Where the calibration of an identity is kept in a folder.
    #[must_use]
    pub fn path(folder: &Path, identity: &Identity) -> PathBuf {
        folder.join(identity.file_name())
    }

    /// The calibration that a folder keeps for this identity. One that is damaged, of another format or measured under
    /// another identity is none, and logged.
    #[must_use]
    pub fn load(folder: &Path, identity: &Identity) -> Option<Self> {
        let path = Self::path(folder, identity);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                log::warn!("calibration {}: {error}", path.display());
                return None;
            }
        };
        match Self::read(file) {
            Ok(found) => match identity.difference(&found.identity) {
                None => Some(found),
                Some(what) => {
                    log::info!("calibration {}: measured with another {what}", path.display());
                    None
                }
            },
            Err(error) => {
                log::warn!("calibration {}: damaged, it will be measured again: {error}", path.display());
                None
            }
        }
    }

    fn read(file: File) -> Result<Self, serde_json::Error> {
        /// What every format has.
        #[derive(Deserialize)]
        struct Header {
            format: u32,
        }
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(serde_json::Error::io)?;
        let Header { format } = serde_json::from_slice(&bytes)?;
        if format != FORMAT {
            return Err(serde::de::Error::custom(format_args!("format {format}, not {FORMAT}")));
        }
        serde_json::from_slice(&bytes)
    }

    /// Keeps it in a folder, which is made if it is not there, in place of what was measured before; the file is
    /// replaced as a whole and has mode 0600.
    ///
    /// # Errors
    /// Any of the file system.
    pub fn save(&self, folder: &Path) -> io::Result<PathBuf> {
        private_file::write(folder, &self.identity.file_name(), &self.to_json())
    }

    /// As the file holds it.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("numbers, texts and lists have a JSON form");
        json.push(b'\n');
        json
    }
}

impl KernelTimes {
    /// The CPU's times in the form that serves: that of a backend, or the only one that the kernel has.
    #[must_use]
    pub fn cpu_serving(&self, backend: Backend) -> Option<&Curve> {
        self.cpu.get(backend.name()).or_else(|| self.cpu.get(Backend::Portable.name()))
    }

    /// From how many items on the device gets a batch or a part of it, where the CPU serves in the form of `backend`.
    #[must_use]
    pub fn crossover(&self, backend: Backend) -> Option<usize> {
        let (device, cpu) = self.device.clone().zip(self.cpu_serving(backend).cloned())?;
        let placement = Placement::Measured { device, cpu, divided: self.divided.clone() };
        placement.crossover(Placement::divide)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::curve::tests::curve;
    use super::super::private_file::tests::Folder;
    use super::*;

    fn calibration() -> Calibration {
        let adapter = Adapter {
            name: "Card (of 7) /x".to_owned(),
            backend: "vulkan".to_owned(),
            driver: "driver".to_owned(),
            driver_version: "1.2".to_owned(),
            vendor_id: 1,
            device_id: 2,
            integer_form: "u64".to_owned(),
        };
        let identity = Identity { adapter: Some(adapter), ..Identity::of(None, false) };
        let cpu = BTreeMap::from([("portable".to_owned(), curve(&[(1, 0.5), (10, 0.75)]))]);
        let times = KernelTimes { device: Some(curve(&[(1, 1e-4), (10, 1e-3)])), cpu, divided: None };
        Calibration::new(identity, BTreeMap::from([("keccak".to_owned(), times)]))
    }

    #[test]
    fn a_calibration_is_kept_and_found_again() {
        let folder = Folder::new("calibration-kept");
        let calibration = calibration();
        assert_eq!(Calibration::load(&folder.0, &calibration.identity), None);
        let path = calibration.save(&folder.0).unwrap();
        assert_eq!(path, Calibration::path(&folder.0, &calibration.identity));
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("calibration-card--of-7---x-u64-"), "{name}");
        assert_eq!(Calibration::load(&folder.0, &calibration.identity), Some(calibration));
    }

    #[test]
    fn a_damaged_file_is_no_calibration() {
        let folder = Folder::new("calibration-damaged");
        let calibration = calibration();
        let path = calibration.save(&folder.0).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        let damaged = [
            String::new(),
            "[]".to_owned(),
            whole[..whole.len() / 2].to_owned(),
            whole.replace("\"format\": 1", "\"format\": 0"),
            whole.replace("\"measured_at\"", "\"measured\""),
            whole.replace("\"items\": 10", "\"items\": 1"),
            whole.replace("0.75", "-0.75"),
            whole.replace("0.75", "1e999"),
        ];
        for text in damaged {
            assert_ne!(text, whole);
            fs::write(&path, &text).unwrap();
            assert_eq!(Calibration::load(&folder.0, &calibration.identity), None, "{text}");
        }
        fs::write(&path, &whole).unwrap();
        assert!(Calibration::load(&folder.0, &calibration.identity).is_some());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(Calibration::load(&folder.0, &calibration.identity), None, "a folder");
    }

    #[test]
    fn what_was_measured_under_another_identity_does_not_count() {
        let folder = Folder::new("calibration-foreign");
        let calibration = calibration();
        calibration.save(&folder.0).unwrap();
        type Change = fn(&mut Identity);
        let changes: [(Change, &str); 6] = [
            (|identity| identity.adapter.as_mut().unwrap().driver_version.push('0'), "driver"),
            (|identity| identity.adapter.as_mut().unwrap().device_id += 1, "adapter"),
            (|identity| identity.machine.cpu.push('X'), "processor"),
            (|identity| identity.machine.simd.push('X'), "processor"),
            (|identity| identity.kernels.push('0'), "version of the kernels"),
            // Has a file of its own.
            (|identity| identity.is_checked = true, "audit"),
        ];
        for (change, what) in changes {
            let mut identity = calibration.identity.clone();
            change(&mut identity);
            assert_eq!(identity.difference(&calibration.identity), Some(what));
            assert_eq!(Calibration::load(&folder.0, &identity), None, "{what}");
        }
        assert!(Calibration::load(&folder.0, &calibration.identity).is_some());
    }

    #[test]
    fn the_form_that_serves_is_the_backends_or_the_only_one() {
        let times = calibration().kernels.remove("keccak").unwrap();
        for backend in Backend::available() {
            assert_eq!(times.cpu_serving(backend), times.cpu.get("portable"));
        }
    }
}
