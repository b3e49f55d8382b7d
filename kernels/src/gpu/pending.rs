//! Jobs on their way: a wait that ends, and what comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use super::buffer::Buffer;
use super::device::Device;
use super::error::{DeviceError, Site};
use super::fault::{Fault, Items};
use super::job::{Job, Readback};
use super::timing::{self, StageTime};

/// How long one look at the device lasts, so that another thread's verdict on it is seen soon.
const LOOK: Duration = Duration::from_millis(50);

/// How long a thread that waits asks again at once, for the sake of short jobs. After that it sleeps in between.
const EAGER: Duration = Duration::from_micros(200);

/// The longest sleep between two questions.
const PAUSE_MAX: Duration = Duration::from_micros(500);

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
    /// Set by the API, in whichever thread asks it for news.
    is_done: Arc<AtomicBool>,
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
        // Never by waiting inside the API: wgpu asserts, in a thread whose wait times out, that no other thread has seen the
        // queue run empty meanwhile, by a wait or a submission of its own (30.0, `Device::maintain`).
        let began_at = Instant::now();
        let mut pause = EAGER / 8;
        loop {
            let polled = device.guarded(site, |raw| raw.poll(wgpu::PollType::Poll))?;
            polled
                .map_err(|error| DeviceError::Internal { site: site.clone(), detail: error.to_string() })?;
            if self.is_done.load(Ordering::Acquire) {
                return Ok(true);
            }
            let waited = began_at.elapsed();
            if waited >= timeout {
                return Ok(false);
            }
            if self.submitted_at.elapsed() < EAGER {
                std::thread::yield_now();
            } else {
                std::thread::sleep(pause.min(timeout - waited));
                pause = (pause * 2).min(PAUSE_MAX);
            }
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
    /// A job that was just submitted.
    pub(super) fn begin(
        job: Job,
        staging: Option<Buffer>,
        is_done: Arc<AtomicBool>,
        fault: Option<Fault>,
    ) -> Result<Self, DeviceError> {
        let deadline = job.device.deadline();
        let submitted_at = Instant::now();
        let seen_from = match fault {
            Some(Fault::Hang) => None,
            Some(Fault::Slow { millis, .. }) => Some(submitted_at + Duration::from_millis(millis.into())),
            _ => Some(submitted_at),
        };
        let course = Course { is_done, submitted_at, deadline, seen_from };
        let mapping = Arc::new(AtomicU8::new(MAPPING));
        let pending = Self { job, staging, course, mapping, is_over: false, fault };
        pending.job.named_if_lost(pending.map())?;
        Ok(pending)
    }

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
