//! What a device was asked, in order, and what it cost: for tests of overlap and reuse.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A step of a job that the order of matters for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A job of so many items is in the device's queue, uploads included.
    Submitted(usize),
    /// The results of a job of so many items were read.
    Collected(usize),
}

/// Events since the device was opened, and buffers made for want of an idle one.
#[derive(Debug, Default)]
pub(crate) struct Events {
    events: Mutex<Vec<Event>>,
    buffers_made: AtomicU64,
}

impl Events {
    pub(crate) fn push(&self, event: Event) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    pub(crate) fn count_buffer(&self) {
        self.buffers_made.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn buffers_made(&self) -> u64 {
        self.buffers_made.load(Ordering::Relaxed)
    }

    /// All events so far, which are forgotten.
    pub(crate) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
