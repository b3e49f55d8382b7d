//! The one list of kernels.

use std::time::{Duration, Instant};

use crate::gpu::{Device, DeviceError, DeviceKernel, IntegerForm, Shader, Tuning};
use crate::keccak::{KeccakKernel, keccak256_one};
use crate::recover::RecoverKernel;
use crate::transfer::gpu::TransferKernel;

/// All kernels. What is not in this list is not tested, not shown and not served.
pub const KERNELS: &[KernelEntry] = &[
    KernelEntry::of::<KeccakKernel>(),
    KernelEntry::of::<RecoverKernel>(),
    KernelEntry::of::<TransferKernel>(),
];

/// A kernel as the registry knows it.
#[derive(Clone, Copy, Debug)]
pub struct KernelEntry {
    /// Its name, as in `shaders/NAME.wgsl`.
    pub name: &'static str,
    /// Its shaders, in a form of integers and of given sizes.
    pub shaders: fn(IntegerForm, Tuning) -> Vec<Shader>,
    /// Compiles it and runs its known-answer test.
    prove: fn(&Device) -> Result<(), DeviceError>,
}

impl KernelEntry {
    const fn of<K: DeviceKernel>() -> Self {
        Self { name: K::NAME, shaders: K::shaders, prove: |device| ready::<K>(device).map(drop) }
    }

    /// Compiles the kernel, runs its known-answer test and says how long both took.
    ///
    /// # Errors
    /// Any [`DeviceError`]; [`DeviceError::WrongAnswer`] if the device computes something else.
    pub fn self_test(&self, device: &Device) -> Result<Duration, DeviceError> {
        let start = Instant::now();
        (self.prove)(device).map(|()| start.elapsed())
    }
}

/// Version of the kernels: of this crate, and a hash of all shaders in both integer forms, with given sizes. What is measured or compiled
/// holds for one version.
#[must_use]
pub fn version(tuning: Tuning) -> String {
    let mut text = String::new();
    for kernel in KERNELS {
        for shader in IntegerForm::ALL.into_iter().flat_map(|form| (kernel.shaders)(form, tuning)) {
            // A text that cannot be put together is no version of anything: the kernel fails its self-test.
            text.push_str(&shader.source().unwrap_or_default());
        }
    }
    let digest = keccak256_one(text.as_bytes());
    let hash: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{hash}", env!("CARGO_PKG_VERSION"))
}

/// Runs the known-answer test of every kernel on a device.
#[must_use]
pub fn selftest(device: &Device) -> Vec<(&'static str, Result<Duration, DeviceError>)> {
    KERNELS.iter().map(|kernel| (kernel.name, kernel.self_test(device))).collect()
}

/// A kernel that may serve: it is compiled, and its known-answer dispatch has returned.
///
/// # Errors
/// Any [`DeviceError`].
pub fn ready<K: DeviceKernel>(device: &Device) -> Result<K, DeviceError> {
    let pipelines = device.compile(&K::shaders(device.integer_form(), device.tuning()))?;
    let kernel = K::new(device, pipelines)?;
    kernel.self_test(device)?;
    Ok(kernel)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::tests::{device, device_in_form};
    use crate::gpu::{DeviceOptions, Fault};

    #[test]
    fn every_shader_of_every_kernel_keeps_the_house_rules_in_both_forms() {
        for kernel in KERNELS {
            for form in IntegerForm::ALL {
                let default = Tuning::default();
                for tuning in default.challengers().map(|(_, tuning)| tuning).chain([default]) {
                    for shader in (kernel.shaders)(form, tuning) {
                        if let Err(error) = shader.check() {
                            panic!("{} in {form}, {tuning}: {error}", kernel.name);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_kernel_passes_its_self_test_in_both_forms() {
        for form in IntegerForm::ALL {
            let Some(device) = device_in_form(form) else { return };
            for (name, result) in selftest(&device) {
                match result {
                    Ok(took) => eprintln!("{name} in {form}: ready after {took:?}"),
                    Err(error) => panic!("{name} in {form}: {error}"),
                }
            }
        }
    }

    #[test]
    fn canary_a_device_that_computes_wrongly_fails_every_self_test() {
        let options = DeviceOptions { fault: Some(Fault::WrongSelfTest.into()), ..DeviceOptions::default() };
        let Some(device) = device(options) else { return };
        for (name, result) in selftest(&device) {
            assert!(matches!(result, Err(DeviceError::WrongAnswer { .. })), "{name}: {result:?}");
        }
    }
}
