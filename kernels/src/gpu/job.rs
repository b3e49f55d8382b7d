//! Jobs: uploads, dispatches in order, and what is to be read back.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::buffer::{self, Buffer, Purpose};
use super::device::Device;
use super::error::{DeviceError, Site};
use super::fault::Fault;
use super::pending::{Outputs, Pending};
use super::pipeline::Pipeline;
use super::timing::{self, Stamps};

/// A list of dispatches over buffers, put together by one thread and submitted at once.
///
/// Buffers stay valid after the job, so that stages can hand them on without a readback.
#[derive(Debug)]
pub struct Job {
    pub(super) device: Device,
    pub(super) site: Site,
    steps: Vec<Step>,
    pub(super) reads: Vec<Read>,
    is_timed: bool,
}

#[derive(Debug)]
enum Step {
    Zero(Buffer),
    /// The read of an index: its words as earlier steps left them.
    Read(usize),
    Dispatch {
        pipeline: Pipeline,
        workgroups: u32,
        buffers: Vec<Buffer>,
    },
}

/// Words of a buffer that the CPU is to see.
#[derive(Debug)]
pub(super) struct Read {
    buffer: Buffer,
    pub(super) words: Range<usize>,
}

/// A claim to the words of a buffer, to be made good by [`Outputs::take`].
#[derive(Debug)]
pub struct Readback(pub(super) usize);

impl Job {
    pub(super) fn new(device: Device, kernel: &'static str, batch_len: usize) -> Self {
        let site = device.site(kernel, batch_len);
        Self { device, site, steps: Vec::new(), reads: Vec::new(), is_timed: false }
    }

    /// Where errors of this job are said to have happened.
    #[must_use]
    pub const fn site(&self) -> &Site {
        &self.site
    }

    /// The device it will run on.
    #[must_use]
    pub const fn device(&self) -> &Device {
        &self.device
    }

    /// A buffer of so many words (at least 1). **Its content is whatever an earlier job left.**
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`] or a dead device; so for all that makes buffers.
    pub fn buffer(&self, len_words: usize) -> Result<Buffer, DeviceError> {
        buffer::lease(&self.device, self.site.kernel, self.site.batch_len, Purpose::Storage, len_words)
    }

    /// A buffer of so many words (at least 1), all zero from this step of the job on. Costs no upload.
    ///
    /// # Errors
    /// As [`Self::buffer`].
    pub fn buffer_zeroed(&mut self, len_words: usize) -> Result<Buffer, DeviceError> {
        let buffer = self.buffer(len_words)?;
        self.steps.push(Step::Zero(buffer.clone()));
        Ok(buffer)
    }

    /// A buffer that holds these words.
    ///
    /// # Errors
    /// As [`Self::buffer`].
    pub fn upload(&self, words: &[u32]) -> Result<Buffer, DeviceError> {
        let buffer = self.buffer(words.len())?;
        self.device.write(&self.site, &buffer, bytemuck::cast_slice(words))?;
        Ok(buffer)
    }

    /// A buffer that holds these bytes, first byte lowest in its word; the last word is filled up with zeros.
    ///
    /// # Errors
    /// As [`Self::buffer`].
    pub fn upload_bytes(&self, bytes: &[u8]) -> Result<Buffer, DeviceError> {
        let buffer = self.buffer(bytes.len().div_ceil(4))?;
        self.device.write_bytes(&self.site, &buffer, bytes)?;
        Ok(buffer)
    }

    /// Adds a dispatch of at least `invocations` invocations (rounded up to whole workgroups: the
    /// shader compares its index with a length). `buffers` are in order of their binding numbers; one
    /// that a shader writes must not be bound twice in a dispatch. Later dispatches see what earlier ones wrote.
    ///
    /// # Panics
    /// If the number of buffers is not the shader's, or the workgroups are more than a dispatch can have:
    /// both are mistakes of the kernel's author.
    pub fn dispatch(&mut self, pipeline: &Pipeline, invocations: usize, buffers: &[&Buffer]) {
        assert_eq!(buffers.len(), pipeline.bindings.len(), "buffers of {}", pipeline.name);
        let workgroups = invocations.div_ceil(pipeline.workgroup_len as usize);
        let workgroups = u32::try_from(workgroups).ok().filter(|&n| n <= self.device.workgroups_max());
        let workgroups =
            workgroups.unwrap_or_else(|| panic!("{invocations} invocations of {}", pipeline.name));
        if workgroups == 0 {
            return;
        }
        let buffers = buffers.iter().map(|&buffer| buffer.clone()).collect();
        self.steps.push(Step::Dispatch { pipeline: pipeline.clone(), workgroups, buffers });
    }

    /// Asks for the words of a buffer as they are after the dispatches so far.
    pub fn read(&mut self, buffer: &Buffer) -> Readback {
        self.read_words(buffer, 0..buffer.len_words())
    }

    /// [`Self::read`] of a range of words.
    ///
    /// # Panics
    /// If the buffer does not have them: a mistake of the kernel's author.
    pub fn read_words(&mut self, buffer: &Buffer, words: Range<usize>) -> Readback {
        assert!(words.start <= words.end && words.end <= buffer.len_words(), "{words:?} of a buffer");
        let index = self.reads.len();
        self.reads.push(Read { buffer: buffer.clone(), words });
        self.steps.push(Step::Read(index));
        Readback(index)
    }

    /// Asks for the time that each dispatch takes on the device, see [`Outputs::stage_times`]; without a word where the
    /// adapter has no timestamps. The job is slower for it.
    pub fn time_stages(&mut self) {
        self.is_timed = self.device.info().timestamps;
    }

    /// Hands the job to the device and returns at once.
    ///
    /// # Errors
    /// Whatever the device answers at once; what it answers later comes from [`Pending::wait`].
    pub fn submit(self) -> Result<Pending, DeviceError> {
        self.device.check_in_service(&self.site)?;
        let fault = self.device.strike();
        match fault {
            Some(Fault::Lost) => self.device.raw().destroy(),
            Some(Fault::OutOfMemory) => {
                let error = wgpu::Error::OutOfMemory { source: "fault injection".into() };
                return Err(DeviceError::from_api(self.site, error));
            }
            _ => {}
        }
        let staging = self.named_if_lost(self.staging())?;
        let is_done = Arc::new(AtomicBool::new(false));
        let submitted =
            self.device.guarded(&self.site, |raw| self.encode_and_submit(raw, staging.as_ref(), &is_done));
        self.named_if_lost(submitted)?;
        #[cfg(test)]
        self.device.events().push(super::events::Event::Submitted(self.site.batch_len));
        Pending::begin(self, staging, is_done, fault)
    }

    /// [`Self::submit`] and [`Pending::wait`].
    ///
    /// # Errors
    /// Any [`DeviceError`].
    pub fn run(self) -> Result<Outputs, DeviceError> {
        self.submit()?.wait()
    }

    /// In service when the job began: so a loss seen on the way is this job's own news.
    pub(super) fn named_if_lost<T>(&self, result: Result<T, DeviceError>) -> Result<T, DeviceError> {
        result.map_err(|error| match error {
            DeviceError::OutOfService { site, reason } => {
                DeviceError::Lost { site, reason: reason.to_string() }
            }
            other => other,
        })
    }

    /// Where the CPU will read all that is to be read, if anything is.
    fn staging(&self) -> Result<Option<Buffer>, DeviceError> {
        let words: usize = self.reads.iter().map(|read| read.words.len()).sum();
        let words = words + timing::staging_words(self.timed_stages().count());
        if words == 0 {
            return Ok(None);
        }
        let Site { kernel, batch_len, .. } = self.site;
        buffer::lease(&self.device, kernel, batch_len, Purpose::Staging, words).map(Some)
    }

    /// Names of the dispatches whose time is asked for.
    pub(super) fn timed_stages(&self) -> impl Iterator<Item = &'static str> {
        self.steps.iter().filter(|_| self.is_timed).filter_map(|step| match step {
            Step::Dispatch { pipeline, .. } => Some(pipeline.name),
            _ => None,
        })
    }

    fn encode_and_submit(&self, raw: &wgpu::Device, staging: Option<&Buffer>, is_done: &Arc<AtomicBool>) {
        let label = Some(self.site.kernel);
        let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor { label });
        let stamps = self.is_timed.then(|| Stamps::new(raw, self.timed_stages().count()));
        let mut stamped = 0;
        // Reads stand in staging memory in their order.
        let mut offset = 0;
        // Dispatches that follow each other share a pass, unless each is timed.
        for steps in self.steps.chunk_by(|a, b| !self.is_timed && a.is_dispatch() && b.is_dispatch()) {
            match (steps, staging) {
                ([Step::Zero(buffer)], _) => {
                    encoder.clear_buffer(buffer.raw(), 0, Some(buffer.bytes()));
                    continue;
                }
                ([Step::Read(index)], Some(staging)) => {
                    let Read { buffer, words } = &self.reads[*index];
                    let (start, bytes) = (words.start as u64 * 4, words.len() as u64 * 4);
                    encoder.copy_buffer_to_buffer(buffer.raw(), start, staging.raw(), offset, bytes);
                    offset += bytes;
                    continue;
                }
                _ => {}
            }
            let timestamp_writes = stamps.as_ref().map(|stamps| stamps.of_dispatch(stamped));
            stamped += 1;
            let descriptor = wgpu::ComputePassDescriptor { label, timestamp_writes };
            let mut pass = encoder.begin_compute_pass(&descriptor);
            for step in steps {
                step.encode(raw, &mut pass);
            }
        }
        if let (Some(stamps), Some(staging)) = (stamps, staging) {
            stamps.gather(&mut encoder, staging.raw(), offset);
        }
        let is_done = Arc::clone(is_done);
        encoder.on_submitted_work_done(move || is_done.store(true, Ordering::Release));
        self.device.queue().submit([encoder.finish()]);
    }
}

impl Step {
    const fn is_dispatch(&self) -> bool {
        matches!(self, Self::Dispatch { .. })
    }

    fn encode(&self, raw: &wgpu::Device, pass: &mut wgpu::ComputePass<'_>) {
        let Self::Dispatch { pipeline, workgroups, buffers } = self else { return };
        let entries: Vec<_> = (0..)
            .zip(buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                // Just the words asked for, so that `arrayLength` is right in a larger buffer of the pool.
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: buffer.raw(),
                    offset: 0,
                    size: std::num::NonZeroU64::new(buffer.bytes()),
                }),
            })
            .collect();
        let group = raw.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(pipeline.name),
            layout: &pipeline.layout,
            entries: &entries,
        });
        pass.set_pipeline(&pipeline.raw);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(*workgroups, 1, 1);
    }
}
