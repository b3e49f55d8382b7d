//! An open device: its life, its death, and the seam where both are watched.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::adapter::{self, AdapterInfo, DeviceChoice, NoSuchAdapter};
use super::buffer::{self, Buffer, Pool, Purpose};
use super::error::{DeviceError, Site};
#[cfg(test)]
use super::events::Events;
use super::fault::{Fault, FaultPlan, Injector};
use super::job::{Course, Job};
use super::pipeline::{self, Pipeline};
use super::pipeline_cache::{Identity, PipelineCache};
use super::shader::{IntegerForm, Shader};
use super::tuning::Tuning;

/// Most items of one dispatch.
pub const BATCH_LEN_MAX: usize = 65_536;

/// How often a device that refuses a call is asked whether it is lost, and the time between.
const LOSS_POLLS: usize = 10;
const LOSS_PAUSE: Duration = Duration::from_millis(5);

/// Jobs left behind that are remembered.
const LEFT_BEHIND_MAX: usize = 16;

/// How a device is opened and watched.
#[derive(Clone, Debug)]
pub struct DeviceOptions {
    /// Longest wait for a job in service.
    pub deadline: Duration,
    /// Longest wait for a job before service, when the driver may still be compiling.
    pub self_test_deadline: Duration,
    /// Forces an integer form; without it the adapter decides.
    pub integer_form: Option<IntegerForm>,
    /// Items of one dispatch, at most [`BATCH_LEN_MAX`].
    pub batch_len_max: usize,
    /// Sizes with which kernels are compiled.
    pub tuning: Tuning,
    /// Folder in which compiled pipelines are kept between processes, where the API can: made if need be, private to
    /// the user. `None` keeps none.
    pub cache_folder: Option<PathBuf>,
    /// A fault to play.
    pub fault: Option<FaultPlan>,
}

impl Default for DeviceOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            self_test_deadline: Duration::from_secs(30),
            integer_form: None,
            batch_len_max: BATCH_LEN_MAX,
            tuning: Tuning::default(),
            cache_folder: None,
            fault: None,
        }
    }
}

/// Why no device could be opened.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The adapter that was asked for is not there.
    #[error(transparent)]
    NoSuchAdapter(#[from] NoSuchAdapter),
    /// It is there and does not work.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// A handle to an open device. Clones share it.
///
/// A device starts in its proving phase (long deadlines, self-test faults) and is put in service by
/// [`Self::begin_service`]. A device that is lost or misses a deadline is dead: nothing is asked of it
/// again, and what the driver holds for it is leaked, because giving it back would wait for the
/// kernel that hangs.
#[derive(Clone)]
pub struct Device {
    inner: Arc<Inner>,
    /// Until when this handle's jobs are waited for.
    patience: Option<Instant>,
}

struct Inner {
    raw: wgpu::Device,
    queue: wgpu::Queue,
    info: AdapterInfo,
    name: Arc<str>,
    limits: wgpu::Limits,
    form: IntegerForm,
    options: DeviceOptions,
    in_service: AtomicBool,
    death: Arc<Death>,
    injector: Injector,
    pool: Pool,
    /// Jobs that nobody waits for and that have not been seen to end.
    left_behind: Mutex<Vec<(Site, Course)>>,
    polling: Mutex<()>,
    pipeline_cache: Option<PipelineCache>,
    #[cfg(test)]
    events: Events,
}

/// Set once, by whoever first sees that the device is gone.
#[derive(Debug, Default)]
struct Death {
    is_dead: AtomicBool,
    reason: Mutex<Option<Arc<str>>>,
}

impl Death {
    /// The first reason stands.
    fn declare(&self, reason: &str) {
        let mut slot = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert_with(|| reason.into());
        self.is_dead.store(true, Ordering::Release);
    }

    fn reason(&self) -> Option<Arc<str>> {
        if !self.is_dead.load(Ordering::Acquire) {
            return None;
        }
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Inner {
    /// What jobs left in buffers may be transactions that nobody has published yet: a device that is closed clears
    /// them, one that is dead cannot.
    fn drop(&mut self) {
        if self.death.reason().is_none() {
            self.pool.clear(&self.raw, &self.queue);
        } else {
            // Dropping the last handle waits for all that was submitted; a kernel that hangs never ends.
            std::mem::forget(self.raw.clone());
            std::mem::forget(self.queue.clone());
        }
    }
}

impl Device {
    /// Opens the adapter that is meant; `None` where the choice comes to the CPU.
    ///
    /// # Errors
    /// [`OpenError::NoSuchAdapter`], or [`OpenError::Device`] if its driver fails.
    pub fn open(choice: &DeviceChoice, options: DeviceOptions) -> Result<Option<Self>, OpenError> {
        match adapter::select(choice)? {
            Some((info, adapter)) => Ok(Some(Self::request(info, &adapter, options)?)),
            None => Ok(None),
        }
    }

    /// Opens the adapter at an index of [`adapters`](super::adapters). Unlike names, indices tell equal cards apart.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_index(index: usize, options: DeviceOptions) -> Result<Self, OpenError> {
        let (info, adapter) = adapter::select_index(index)?;
        Ok(Self::request(info, &adapter, options)?)
    }

    fn request(
        info: AdapterInfo,
        adapter: &wgpu::Adapter,
        options: DeviceOptions,
    ) -> Result<Self, DeviceError> {
        let form = options.integer_form.unwrap_or_else(|| adapter::integer_form(&info));
        let site = Site { kernel: "open", batch_len: 0, adapter: info.name.as_str().into() };
        let mut features = wgpu::Features::empty();
        if form == IntegerForm::U64 {
            features |= wgpu::Features::SHADER_INT64;
        }
        if info.timestamps {
            features |= wgpu::Features::TIMESTAMP_QUERY;
        }
        if options.cache_folder.is_some() {
            features |= adapter.features() & wgpu::Features::PIPELINE_CACHE;
        }
        let limits = adapter.limits();
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("outrider"),
            required_features: features,
            required_limits: limits.clone(),
            ..Default::default()
        };
        let (raw, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|error| DeviceError::Lost { site: site.clone(), reason: error.to_string() })?;

        let death = Arc::new(Death::default());
        let on_loss = Arc::clone(&death);
        raw.set_device_lost_callback(move |reason, message| {
            on_loss.declare(&format!("{reason:?}: {message}"));
        });
        // Every call is made inside an error scope; what escapes is a bug worth a line, not a panic.
        raw.on_uncaptured_error(Arc::new(|error| log::error!("device error outside of any scope: {error}")));
        let identity = Identity { info: &info, form, tuning: options.tuning };
        let pipeline_cache = options
            .cache_folder
            .as_deref()
            .and_then(|folder| PipelineCache::open(&raw, adapter, folder, &identity));
        let injector = Injector::new(options.fault);
        Ok(Self {
            inner: Arc::new(Inner {
                raw,
                queue,
                info,
                name: site.adapter,
                limits,
                form,
                options,
                in_service: AtomicBool::new(false),
                death,
                injector,
                pool: Pool::default(),
                left_behind: Mutex::default(),
                polling: Mutex::default(),
                pipeline_cache,
                #[cfg(test)]
                events: Events::default(),
            }),
            patience: None,
        })
    }

    /// The adapter it runs on.
    #[must_use]
    pub fn info(&self) -> &AdapterInfo {
        &self.inner.info
    }

    /// Which integers its kernels are written in.
    #[must_use]
    pub fn integer_form(&self) -> IntegerForm {
        self.inner.form
    }

    /// Sizes with which its kernels are compiled.
    #[must_use]
    pub fn tuning(&self) -> Tuning {
        self.inner.options.tuning
    }

    /// Ends the proving phase: from here on jobs have the deadline of the service. What was compiled is kept
    /// ([`DeviceOptions::cache_folder`]).
    pub fn begin_service(&self) {
        if let Some(cache) = self.pipeline_cache().filter(|_| self.is_alive()) {
            cache.store();
        }
        self.inner.in_service.store(true, Ordering::Release);
    }

    /// A handle to the same device whose jobs are waited for until `until` at most: then [`DeviceError::Late`] comes
    /// for an answer, and the job is left behind. The device lives on; its next jobs come after that one.
    #[must_use]
    pub fn with_patience(&self, until: Instant) -> Self {
        Self { inner: Arc::clone(&self.inner), patience: Some(until) }
    }

    /// Whether all jobs that were left behind have ended. Does not wait.
    ///
    /// # Errors
    /// [`DeviceError::Deadline`] if one of them is past the deadline: the device is dead then. Or it was before.
    pub fn has_caught_up(&self) -> Result<bool, DeviceError> {
        let mut jobs = self.inner.left_behind.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((site, course)) = jobs.last() {
            self.check_in_service(site)?;
            if !course.look(self, site, Duration::ZERO)? {
                course.check_deadline(self, site)?;
                return Ok(false);
            }
            jobs.pop();
        }
        Ok(true)
    }

    /// Whether it can still be used.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.inner.death.reason().is_none()
    }

    /// Most items of one dispatch, if the largest buffer takes `bytes_per_item`. At least 1.
    #[must_use]
    pub fn batch_len_max(&self, bytes_per_item: u64) -> usize {
        let limits = &self.inner.limits;
        let bytes = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        let by_bytes = usize::try_from(bytes / bytes_per_item.max(1)).unwrap_or(usize::MAX);
        let by_workgroups = limits.max_compute_workgroups_per_dimension as usize;
        by_bytes.min(by_workgroups).min(self.inner.options.batch_len_max).clamp(1, BATCH_LEN_MAX)
    }

    /// Largest buffer that can be bound, in bytes.
    #[must_use]
    pub fn buffer_bytes_max(&self) -> u64 {
        self.inner.limits.max_storage_buffer_binding_size.min(self.inner.limits.max_buffer_size)
    }

    /// Compiles shaders, on two threads; the answer is in the order of the question.
    ///
    /// # Errors
    /// The first that cannot be used, as [`DeviceError::Shader`] or the driver's refusal.
    pub fn compile(&self, shaders: &[Shader]) -> Result<Vec<Pipeline>, DeviceError> {
        pipeline::compile_all(self, shaders)
    }

    /// Begins a job of a kernel for a batch of so many items.
    #[must_use]
    pub fn job(&self, kernel: &'static str, batch_len: usize) -> Job {
        Job::new(self.clone(), kernel, batch_len)
    }

    /// Puts words on the device to stay for many jobs: tables.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`] or a dead device.
    pub fn upload(&self, kernel: &'static str, words: &[u32]) -> Result<Buffer, DeviceError> {
        let buffer = buffer::lease(self, kernel, 0, Purpose::Storage, words.len())?;
        self.write(&self.site(kernel, 0), &buffer, bytemuck::cast_slice(words))?;
        Ok(buffer)
    }

    /// Names a place for errors.
    #[must_use]
    pub fn site(&self, kernel: &'static str, batch_len: usize) -> Site {
        Site { kernel, batch_len, adapter: Arc::clone(&self.inner.name) }
    }

    /// Writes bytes, a multiple of 4, to the start of a buffer, before anything that is submitted later.
    pub(super) fn write(&self, site: &Site, buffer: &Buffer, bytes: &[u8]) -> Result<(), DeviceError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.guarded(site, |_| self.inner.queue.write_buffer(buffer.raw(), 0, bytes))
    }

    /// Writes any number of bytes to the start of a buffer; the last word is filled up with zeros.
    pub(super) fn write_bytes(&self, site: &Site, buffer: &Buffer, bytes: &[u8]) -> Result<(), DeviceError> {
        if self.inner.injector.corrupts_upload(self.inner.in_service.load(Ordering::Acquire)) {
            let mut corrupt = bytes.to_vec();
            corrupt.iter_mut().take(1).for_each(|byte| *byte ^= 1);
            return self.write_all_bytes(site, buffer, &corrupt);
        }
        self.write_all_bytes(site, buffer, bytes)
    }

    fn write_all_bytes(&self, site: &Site, buffer: &Buffer, bytes: &[u8]) -> Result<(), DeviceError> {
        let (whole, rest) = bytes.split_at(bytes.len() & !3);
        self.write(site, buffer, whole)?;
        if rest.is_empty() {
            return Ok(());
        }
        let mut last = [0_u8; 4];
        last[..rest.len()].copy_from_slice(rest);
        self.guarded(site, |_| self.inner.queue.write_buffer(buffer.raw(), whole.len() as u64, &last))
    }

    /// Most workgroups of one dispatch.
    pub(super) fn workgroups_max(&self) -> u32 {
        self.inner.limits.max_compute_workgroups_per_dimension
    }

    /// Calls the API inside error scopes. Every call goes through here.
    pub(super) fn guarded<T>(
        &self,
        site: &Site,
        call: impl FnOnce(&wgpu::Device) -> T,
    ) -> Result<T, DeviceError> {
        self.check_in_service(site)?;
        let raw = &self.inner.raw;
        let filters =
            [wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::Validation];
        let scopes = filters.map(|filter| raw.push_error_scope(filter));
        let value = call(raw);
        let mut first = None;
        for scope in scopes.into_iter().rev() {
            if let Some(error) = pollster::block_on(scope.pop()) {
                first.get_or_insert(error);
            }
        }
        match first {
            None => Ok(value),
            // A lost device answers everything with a validation error, and tells of the loss itself no sooner
            // than at the next poll, perhaps another thread's: say what is really the matter. A real validation
            // error is a mistake of ours, and can wait.
            Some(error) => {
                for _ in 0..LOSS_POLLS {
                    let _ = raw.poll(wgpu::PollType::Poll);
                    self.check_alive(site)?;
                    if !matches!(error, wgpu::Error::Validation { .. }) {
                        break;
                    }
                    std::thread::sleep(LOSS_PAUSE);
                }
                Err(DeviceError::from_api(site.clone(), error))
            }
        }
    }

    /// [`DeviceError::Lost`] if the device is gone.
    pub(super) fn check_alive(&self, site: &Site) -> Result<(), DeviceError> {
        match self.inner.death.reason() {
            None => Ok(()),
            Some(reason) => Err(DeviceError::Lost { site: site.clone(), reason: reason.to_string() }),
        }
    }

    /// [`DeviceError::OutOfService`] if the device was gone before.
    pub(super) fn check_in_service(&self, site: &Site) -> Result<(), DeviceError> {
        match self.inner.death.reason() {
            None => Ok(()),
            Some(reason) => Err(DeviceError::OutOfService { site: site.clone(), reason }),
        }
    }

    /// Declares the device dead, unless it is already.
    pub(super) fn bury(&self, reason: &str) {
        self.inner.death.declare(reason);
    }

    /// How long this handle's jobs are still waited for; `None` is as long as the deadline allows.
    pub(super) fn patience_left(&self) -> Option<Duration> {
        self.patience.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// Notes a job that nobody waits for any more.
    pub(super) fn leave_behind(&self, site: Site, course: Course) {
        if self.is_alive() {
            let mut jobs = self.inner.left_behind.lock().unwrap_or_else(PoisonError::into_inner);
            // The queue is in order: where so many are left behind, the oldest says nothing that others do not.
            if jobs.len() == LEFT_BEHIND_MAX {
                jobs.remove(0);
            }
            jobs.push((site, course));
        }
    }

    pub(super) fn deadline(&self) -> Duration {
        if self.inner.in_service.load(Ordering::Acquire) {
            self.inner.options.deadline
        } else {
            self.inner.options.self_test_deadline
        }
    }

    pub(super) fn strike(&self) -> Option<Fault> {
        self.inner.injector.strike(self.inner.in_service.load(Ordering::Acquire))
    }

    pub(super) fn raw(&self) -> &wgpu::Device {
        &self.inner.raw
    }

    #[cfg(test)]
    pub(crate) fn events(&self) -> &Events {
        &self.inner.events
    }

    /// Compiled pipelines that are kept on disk.
    pub(super) fn pipeline_cache(&self) -> Option<&PipelineCache> {
        self.inner.pipeline_cache.as_ref()
    }

    /// The turn to wait for the device inside the API; `None` while another thread has it.
    pub(super) fn turn_to_poll(&self) -> Option<MutexGuard<'_, ()>> {
        match self.inner.polling.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    pub(super) fn queue(&self) -> &wgpu::Queue {
        &self.inner.queue
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.inner.pool
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("adapter", &self.inner.info.name)
            .field("integer_form", &self.inner.form)
            .field("death", &self.inner.death.reason())
            .finish_non_exhaustive()
    }
}
