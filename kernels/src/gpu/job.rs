//! Jobs: uploads, dispatches in order, readback, and a wait that ends.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use super::buffer::{self, Buffer, Purpose};
use super::device::Device;
use super::error::{DeviceError, Site};
use super::fault::{Fault, Items};
use super::pipeline::Pipeline;
use super::timing::{self, StageTime, Stamps};

/// How long one look at the device lasts, so that another thread's verdict on it is seen soon.
const LOOK: Duration = Duration::from_millis(50);

/// How long a thread stands back while another one looks.
const SHORT_LOOK: Duration = Duration::from_micros(200);

/// A list of dispatches over buffers, put together by one thread and submitted at once.
///
/// Buffers stay valid after the job, so that stages can hand them on without a readback.
#[derive(Debug)]
pub struct Job {
    device: Device,
    site: Site,
    steps: Vec<Step>,
    reads: Vec<Read>,
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
struct Read {
    buffer: Buffer,
    words: Range<usize>,
}

/// A claim to the words of a buffer, to be made good by [`Outputs::take`].
#[derive(Debug)]
pub struct Readback(usize);

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

    /// A buffer of so many words (at least 1), each holding `word`, for instance [`super::SENTINEL`].
    ///
    /// # Errors
    /// As [`Self::buffer`].
    pub fn buffer_filled(&self, len_words: usize, word: u32) -> Result<Buffer, DeviceError> {
        self.upload(&vec![word; len_words.max(1)])
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
        let submitted = self.device.guarded(&self.site, |raw| self.encode_and_submit(raw, staging.as_ref()));
        let submission = self.named_if_lost(submitted)?;
        #[cfg(test)]
        self.device.events().push(super::events::Event::Submitted(self.site.batch_len));
        let deadline = self.device.deadline();
        let submitted_at = Instant::now();
        let mapping = Arc::new(AtomicU8::new(MAPPING));
        let seen_from = match fault {
            Some(Fault::Hang) => None,
            Some(Fault::Slow { millis, .. }) => Some(submitted_at + Duration::from_millis(millis.into())),
            _ => Some(submitted_at),
        };
        let course = Course { submission, submitted_at, deadline, seen_from };
        let pending = Pending { job: self, staging, course, mapping, is_over: false, fault };
        pending.job.named_if_lost(pending.map())?;
        Ok(pending)
    }

    /// [`Self::submit`] and [`Pending::wait`].
    ///
    /// # Errors
    /// Any [`DeviceError`].
    pub fn run(self) -> Result<Outputs, DeviceError> {
        self.submit()?.wait()
    }

    /// In service when the job began: so a loss seen on the way is this job's own news.
    fn named_if_lost<T>(&self, result: Result<T, DeviceError>) -> Result<T, DeviceError> {
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
    fn timed_stages(&self) -> impl Iterator<Item = &'static str> {
        self.steps.iter().filter(|_| self.is_timed).filter_map(|step| match step {
            Step::Dispatch { pipeline, .. } => Some(pipeline.name),
            _ => None,
        })
    }

    fn encode_and_submit(&self, raw: &wgpu::Device, staging: Option<&Buffer>) -> wgpu::SubmissionIndex {
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
        self.device.queue().submit([encoder.finish()])
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

const MAPPING: u8 = 0;
const MAPPED: u8 = 1;
const MAP_FAILED: u8 = 2;

/// A job on its way.
#[derive(Debug)]
pub struct Pending {
    job: Job,
    staging: Option<Buffer>,
    course: Course,
    mapping: Arc<AtomicU8>,
    /// Whether the device was seen to have done it.
    is_over: bool,
    fault: Option<Fault>,
}

/// What is known of a submission without its results.
#[derive(Clone, Debug)]
pub(super) struct Course {
    submission: wgpu::SubmissionIndex,
    submitted_at: Instant,
    deadline: Duration,
    /// When a fault lets its end be seen, if ever.
    seen_from: Option<Instant>,
}

impl Course {
    fn is_hidden(&self) -> bool {
        self.seen_from.is_none_or(|time| Instant::now() < time)
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_sub(self.submitted_at.elapsed())
    }

    /// Lets the API notice what the device has done, for at most `timeout`; true if the submission has ended.
    pub(super) fn look(&self, device: &Device, site: &Site, timeout: Duration) -> Result<bool, DeviceError> {
        if self.is_hidden() {
            std::thread::sleep(timeout);
            return Ok(false);
        }
        // wgpu asserts, in the thread whose wait times out, that no other thread has meanwhile seen the queue run empty
        // (30.0, `Device::maintain`): so one thread polls, which makes the callbacks of all, and others look again soon.
        let Some(_turn) = device.turn_to_poll() else {
            std::thread::sleep(timeout.min(SHORT_LOOK));
            return Ok(false);
        };
        let submission_index = Some(self.submission.clone());
        let poll = wgpu::PollType::Wait { submission_index, timeout: Some(timeout) };
        match device.guarded(site, |raw| raw.poll(poll))? {
            Ok(_) => Ok(true),
            Err(wgpu::PollError::Timeout) => Ok(false),
            Err(error) => Err(DeviceError::Internal { site: site.clone(), detail: error.to_string() }),
        }
    }

    /// [`DeviceError::Deadline`], and the device dead, if the submission is past its deadline.
    pub(super) fn check_deadline(&self, device: &Device, site: &Site) -> Result<(), DeviceError> {
        if !self.left().is_zero() {
            return Ok(());
        }
        device.bury(&format!("no answer within {:?} in kernel {}", self.deadline, site.kernel));
        Err(DeviceError::Deadline { site: site.clone(), deadline: self.deadline })
    }
}

impl Pending {
    /// Waits for the job's end, but no longer than the device's deadline, counted from the submission, and no
    /// longer than the handle's patience ([`Device::with_patience`]).
    ///
    /// # Errors
    /// Any [`DeviceError`]. After [`DeviceError::Deadline`] the device is dead. After [`DeviceError::Late`] it
    /// lives, and works on: [`Device::has_caught_up`] says whether it still does.
    pub fn wait(mut self) -> Result<Outputs, DeviceError> {
        let mut is_over = false;
        loop {
            let Job { device, site, .. } = &self.job;
            device.check_alive(site)?;
            match self.mapping.load(Ordering::Acquire) {
                _ if self.course.is_hidden() => {}
                MAP_FAILED => {
                    // The API answers calls to a lost device with silence, and mapping with a failure. It tells
                    // of the loss itself at the next poll.
                    let _ = device.raw().poll(wgpu::PollType::Poll);
                    device.bury("results could not be mapped");
                    device.check_alive(site)?;
                }
                MAPPED => break,
                // Without results to map, the end of the submission is all there is to see.
                _ if is_over && self.staging.is_none() => break,
                _ => {}
            }
            self.course.check_deadline(device, site)?;
            let patience = device.patience_left();
            if patience.is_some_and(|left| left.is_zero()) {
                let waited = self.course.submitted_at.elapsed();
                return Err(DeviceError::Late { site: site.clone(), waited });
            }
            let timeout = self.course.left().min(LOOK).min(patience.unwrap_or(LOOK));
            is_over = self.course.look(device, site, timeout)?;
        }
        self.is_over = true;
        self.staging.as_ref().map_or(Ok(Outputs::default()), |staging| self.collect(staging))
    }

    /// Asks for the results to be mapped once the submission has ended.
    fn map(&self) -> Result<(), DeviceError> {
        let Some(staging) = &self.staging else { return Ok(()) };
        let seen = Arc::clone(&self.mapping);
        self.job.device.guarded(&self.job.site, |_| {
            staging.raw().slice(..staging.bytes()).map_async(wgpu::MapMode::Read, move |result| {
                seen.store(if result.is_ok() { MAPPED } else { MAP_FAILED }, Ordering::Release);
            });
        })
    }

    fn collect(&self, staging: &Buffer) -> Result<Outputs, DeviceError> {
        let Job { device, site, reads, .. } = &self.job;
        let view = device
            .guarded(site, |_| staging.raw().get_mapped_range(..staging.bytes()))?
            .map_err(|error| DeviceError::Internal { site: site.clone(), detail: error.to_string() })?;
        let mut rest: &[u8] = &view;
        let mut words = Vec::with_capacity(reads.len());
        for read in reads {
            let (bytes, after) = rest.split_at(read.words.len() * 4);
            words.push(Some(self.received(bytes)));
            rest = after;
        }
        if let Some(Fault::WrongItems(items)) = self.fault {
            give_neighbours_answers(&mut words, items, site.batch_len);
        }
        #[cfg(test)]
        device.events().push(super::events::Event::Collected(site.batch_len));
        let stage_times = timing::stage_times(device, self.job.timed_stages(), rest);
        Ok(Outputs { words, stage_times })
    }

    fn received(&self, bytes: &[u8]) -> Vec<u32> {
        let mut words: Vec<u32> = bytemuck::pod_collect_to_vec(bytes);
        if matches!(self.fault, Some(Fault::WrongSelfTest | Fault::WrongAnswer)) {
            words.iter_mut().for_each(|word| *word ^= 1);
        }
        words
    }
}

impl Drop for Pending {
    /// Staging memory goes back to the pool unmapped, however the job ended. A dead device is not spoken to.
    ///
    /// That holds for a job which the device still works on, too. Unmapping takes back a claim to be mapped, so no
    /// memory is handed out that is mapped or about to be. And its buffers may be handed out: all that a later job
    /// does with them, uploads included, goes to the same queue, which orders what touches a buffer after what
    /// touched it before; and the later job's claim to be mapped is made good only after its own submission.
    fn drop(&mut self) {
        if let Some(staging) = &self.staging {
            let _ = self.job.device.guarded(&self.job.site, |_| staging.raw().unmap());
        }
        if !self.is_over {
            self.job.device.leave_behind(self.job.site.clone(), self.course.clone());
        }
    }
}

/// Gives items the answer of the one before (the first the last's): of what was read back, that of most words an item. The
/// only item of a job has a bit of it flipped.
fn give_neighbours_answers(words: &mut [Option<Vec<u32>>], items: Items, len: usize) {
    let is_answer = |words: &&mut Vec<u32>| words.len() > len && words.len().is_multiple_of(len);
    let Some(answer) = words.iter_mut().flatten().filter(is_answer).max_by_key(|words| words.len()) else {
        return;
    };
    let right = answer.clone();
    for item in items.of(len) {
        let neighbour = item.checked_sub(1).unwrap_or(len - 1);
        // Limb-major, as all streams.
        for limb in 0..right.len() / len {
            answer[limb * len + item] = right[limb * len + neighbour] ^ u32::from(len == 1);
        }
    }
}

/// What a job read back.
#[derive(Debug, Default)]
pub struct Outputs {
    words: Vec<Option<Vec<u32>>>,
    stage_times: Vec<StageTime>,
}

impl Outputs {
    /// The time of each dispatch, in order; empty unless [`Job::time_stages`] asked and the adapter has timestamps.
    #[must_use]
    pub fn stage_times(&self) -> &[StageTime] {
        &self.stage_times
    }

    /// The words asked for by [`Job::read`] of the same job.
    ///
    /// # Panics
    /// If the claim is of another job with more reads.
    #[must_use]
    pub fn take(&mut self, readback: Readback) -> Vec<u32> {
        self.words[readback.0].take().expect("a claim is made good once: it is not Clone")
    }
}
