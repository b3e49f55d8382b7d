//! The room that knows wgpu. All else speaks of devices, shaders, buffers and jobs.
//!
//! What it promises:
//!
//! - **Every failure is a value** that names kernel, batch and adapter ([`DeviceError`]); no call
//!   panics because of a driver.
//! - **Every wait ends** at a deadline. The device is then dead: it is leaked, never dropped, and no later
//!   call waits for it. A caller who has something better to do than wait that long gives a handle less patience
//!   ([`Device::with_patience`]): its jobs are then left behind, and the device lives.
//! - **No silence is taken for an answer**: shaders compile inside error scopes, status words start as a
//!   [`SENTINEL`], and the runtime checks of shaders stay on.
//! - **Every shader keeps the house rules** ([`lint`]) before a driver sees it.
//! - **Failures can be had on demand** ([`Fault`]), by the same paths that real ones take.
//!
//! ```text
//! adapter ──open──▶ Device ──compile(&[Shader])──▶ Pipeline
//!                     │ job(kernel, batch_len)
//!                     ▼
//!                    Job: upload, buffer, dispatch.., read ──submit──▶ Pending ──wait──▶ Outputs
//! ```

mod adapter;
mod buffer;
mod device;
mod error;
#[cfg(test)]
pub(crate) mod events;
mod fault;
mod job;
pub mod lint;
mod pipeline;
#[allow(
    unsafe_code,
    reason = "gives a driver back the pipelines that it compiled: the API asks for a promise"
)]
mod pipeline_cache;
mod shader;
#[cfg(test)]
pub(crate) mod tests;
mod timing;
mod tuning;

pub use adapter::{AdapterInfo, AdapterKind, DeviceChoice, NoSuchAdapter, adapters};
pub use buffer::Buffer;
pub use device::{BATCH_LEN_MAX, Device, DeviceOptions, OpenError};
pub use error::{DeviceError, ShaderError, Site};
pub use fault::{Fault, FaultPlan, Items, ParseFaultError};
pub use job::{Job, Outputs, Pending, Readback};
pub use pipeline::Pipeline;
pub use shader::{BindingAccess, CheckedShader, IntegerForm, Module, SENTINEL, Shader, WORKGROUP_LEN};
pub use timing::StageTime;
pub use tuning::{Tuning, TuningError};

use crate::simd::Backend;

/// The contract of a kernel on a device: what the registry and the accelerator need of each.
pub trait DeviceKernel: Sized + Send + Sync {
    /// Name, as in `shaders/NAME.wgsl` and `kernels/src/NAME/`.
    const NAME: &'static str;

    /// A made-up batch, by which the accelerator measures from how many items on the device pays.
    type Trial: Sync;

    /// All its shaders, in the order in which [`Self::new`] gets the pipelines.
    fn shaders(form: IntegerForm, tuning: Tuning) -> Vec<Shader>;

    /// Takes the compiled [`Self::shaders`] and puts tables on the device.
    ///
    /// # Errors
    /// Any [`DeviceError`].
    fn new(device: &Device, pipelines: Vec<Pipeline>) -> Result<Self, DeviceError>;

    /// Known-answer test that dispatches every pipeline at least once. When it has returned, the kernel is ready.
    ///
    /// # Errors
    /// [`DeviceError::WrongAnswer`] above all.
    fn self_test(&self, device: &Device) -> Result<(), DeviceError>;

    /// Makes up a batch of so many items, all different, like real ones.
    fn trial(len: usize) -> Self::Trial;

    /// Does a trial on the device, uploads and readback included; with the check of all answers at once where there is
    /// one and it `is_checked`.
    ///
    /// # Errors
    /// Any [`DeviceError`].
    fn trial_on_device(
        &self,
        device: &Device,
        trial: &Self::Trial,
        is_checked: bool,
    ) -> Result<(), DeviceError>;

    /// CPU forms that it has: by default all that this machine can run.
    #[must_use]
    fn cpu_backends() -> Vec<Backend> {
        Backend::available().collect()
    }

    /// Does a trial on the CPU as the fallback would, in a given way; a kernel with one CPU form takes no notice of it.
    fn trial_on_cpu(backend: Backend, trial: &Self::Trial);
}
