//! Serving a batch: cutting it, waiting for the device's part and not for ever, checking it, redoing what is missing.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::json;

use super::Accelerator;
use super::calibration::Identity;
use super::lane::{Course, Lane};
use super::placement::{Placement, Share};
use super::reports::Place;
use super::work::{DeviceAnswer, Work};
use crate::gpu::{Device, DeviceError, DeviceKernel};

/// Parts of a batch and what became of them.
pub(super) type Parts = [(Range<usize>, Course); 3];

impl Accelerator {
    /// Does a batch, its first items on the device if that pays, and counts what was done where.
    pub(super) fn serve<W: Work>(&self, lane: &Lane<W::Kernel>, work: &W) -> (Vec<W::Item>, Parts) {
        let len = work.len();
        let is_any_for_device = work.load(0..len).on_device > 0;
        let served = self.device_for(lane, |placement| placement.divide(len)).filter(|_| is_any_for_device);
        let Some((device, kernel, given)) = served else {
            let parts = [(0..0, Course::Device), (0..0, Course::Redone), (0..len, Course::Cpu)];
            lane.count(work.load(0..len), Course::Cpu);
            return (work.on_cpu(0..len), parts);
        };
        let ask = || self.ask(work, kernel, &device, given);
        let (answer, rest) = if given == len {
            (ask(), Vec::new())
        } else {
            let (answer, rest) = self.threads.side_by_side(ask, || work.on_cpu(given..len));
            (answer.unwrap_or_else(DeviceAnswer::nothing), rest)
        };
        let kept = answer.items.len();
        let mut items = answer.items;
        if kept < given {
            items.extend(work.on_cpu(kept..given));
        }
        items.extend(rest);
        let parts = [(0..kept, Course::Device), (kept..given, Course::Redone), (given..len, Course::Cpu)];
        for (range, course) in &parts {
            lane.count(work.load(range.clone()), *course);
        }
        lane.move_to_cpu(answer.redone);
        (items, parts)
    }

    /// The device, the kernel and how many items they get, if they get any.
    pub(super) fn device_for<'a, K: DeviceKernel>(
        &self,
        lane: &'a Lane<K>,
        share: impl FnOnce(&Placement) -> Share,
    ) -> Option<(Device, &'a K, usize)> {
        let device = self.device.as_ref().filter(|_| !self.is_quarantined())?;
        let (kernel, Share { items, expected }) = lane.serving(share)?;
        match device.has_caught_up() {
            Ok(true) => {}
            // It still works on what it was late with; more would be late too.
            Ok(false) => return None,
            Err(error) => {
                self.quarantine(error.to_string());
                return None;
            }
        }
        let device = match expected {
            None => device.clone(),
            Some(expected) => device.with_patience(Instant::now() + self.patience.of(expected)),
        };
        Some((device, kernel, items))
    }

    /// Asks the device for the first items and checks what it says. What came back before it was late or failed is
    /// kept, unless something about it is wrong.
    fn ask<W: Work>(
        &self,
        work: &W,
        kernel: &W::Kernel,
        device: &Device,
        given: usize,
    ) -> DeviceAnswer<W::Item> {
        let mut answer = DeviceAnswer::nothing();
        let result =
            work.on_device(kernel, device, given, self.auditor.hints(), &mut answer).map_err(|error| Fault {
                // Parts come back in order, and the item is counted within its own.
                item: wrong_item(&error).map(|item| (answer.items.len() + item).min(given - 1)),
                error,
            });
        let checked = match &result {
            Err(Fault { item: Some(_), .. }) => Ok(()),
            _ => self.auditor.check(work, &answer),
        };
        let name = <W::Kernel as DeviceKernel>::NAME;
        match checked.map_err(|item| Fault::wrong(device, name, given, item)).and(result) {
            Ok(()) => self.is_in_time(),
            Err(fault) => {
                if let Some(item) = fault.item {
                    let place =
                        Place { kernel: name, error: &fault.error.to_string(), batch_len: given, item };
                    self.report(work, device, place, &answer);
                    answer = DeviceAnswer::nothing();
                }
                self.failed(&fault.error);
            }
        }
        answer
    }

    /// Keeps a wrong answer where that is wanted.
    fn report<W: Work>(&self, work: &W, device: &Device, place: Place<'_>, answer: &DeviceAnswer<W::Item>) {
        let Some(reports) = &self.reports else { return };
        let row = |index: usize| {
            json!({
                "index": index,
                "input": work.input(index),
                "device": answer.items.get(index).map(W::shown),
                "cpu": W::shown(&work.one(index)),
            })
        };
        match reports.keep(&Identity::of(Some(device), self.auditor.checks_all()), place, row) {
            Ok(path) => log::warn!("the wrong answer is kept in {}", path.display()),
            Err(error) => {
                log::warn!("the wrong answer cannot be kept in {}: {error}", reports.folder.display())
            }
        }
    }

    /// The device has answered as it should.
    pub(super) fn is_in_time(&self) {
        self.late_in_a_row.store(0, Ordering::Relaxed);
    }

    /// The device has failed with something: what that costs it.
    pub(super) fn failed(&self, error: &DeviceError) {
        if wrong_item(error).is_some() {
            self.auditor.count_mismatch();
        }
        if !matches!(error, DeviceError::Late { .. }) {
            return self.quarantine(error.to_string());
        }
        self.late.fetch_add(1, Ordering::Relaxed);
        let in_a_row = self.late_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        log::info!("the CPU takes over what is late: {error}");
        if in_a_row >= self.patience.late_max {
            self.quarantine(format!("{error}, {in_a_row} times in a row"));
        }
    }

    /// The device does not serve any more. Said once, and the first reason stands.
    fn quarantine(&self, reason: String) {
        let mut is_news = false;
        let reason = self.quarantine.get_or_init(|| {
            is_news = true;
            reason
        });
        if is_news {
            log::warn!("device out of service, the CPU takes over what it had: {reason}");
        }
    }
}

/// What a device did not do as it should.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: DeviceError,
    /// The item of the batch that it answered wrongly, if that is what it did.
    item: Option<usize>,
}

impl Fault {
    /// A failure of the device's own.
    pub(super) const fn of_device(error: DeviceError) -> Self {
        Self { error, item: None }
    }

    /// A wrong answer.
    pub(super) fn wrong(device: &Device, kernel: &'static str, batch_len: usize, item: usize) -> Self {
        let site = device.site(kernel, batch_len);
        Self { error: DeviceError::WrongAnswer { site, item }, item: Some(item) }
    }
}

/// The item that a kernel found to be answered wrongly, or not at all.
const fn wrong_item(error: &DeviceError) -> Option<usize> {
    match error {
        DeviceError::WrongAnswer { item, .. } | DeviceError::Unanswered { item, .. } => Some(*item),
        _ => None,
    }
}
