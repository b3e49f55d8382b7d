//! How a device's answers are checked before anyone sees them.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::sampler::Sampler;
use super::work::{DeviceAnswer, Work};
use crate::recover::Hints;
use crate::simd::Backend;

/// How much of what a device answers is checked. What fails costs the device its place.
///
/// Whatever the policy, a device must have passed its known-answer tests, silence is no answer, and a signature that
/// it rejects is looked at by the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audit {
    /// Nothing.
    Off,
    /// Some items of each batch, drawn with a secret seed, are recomputed on the CPU, at least one. It finds a device
    /// that is broken; a single wrong answer in a large batch most likely not.
    Sample {
        /// One item in so many.
        one_in: NonZeroU32,
        /// But no more than this of a batch.
        at_most: usize,
    },
    /// Recovered keys are checked all at once, by a random linear combination ([`recover::audit`](crate::recover::audit)):
    /// no wrong sender gets out but with a probability of 2^-64 a batch. Kernels that know no such check are sampled.
    Combination,
}

impl Audit {
    /// What it comes to where there is no check of a whole batch.
    const fn of_items(self) -> Self {
        if let Self::Combination = self { Self::SAMPLE } else { self }
    }

    /// One item in 256, and at most 16 of a batch.
    pub const SAMPLE: Self = Self::Sample { one_in: NonZeroU32::new(256).expect("not 0"), at_most: 16 };
}

impl Audit {
    /// What suits a form of the CPU kernels: to check whole batches where that costs less than a fifth of recovering them
    /// there, so that a device saves most of the CPU's work even so. By batches of 4,096 and 16,384 on a core it is 15% to
    /// 17% of libsecp256k1, and over 25% of recovering eight at a time.
    #[must_use]
    pub const fn suited_to(backend: Backend) -> Self {
        match backend {
            Backend::Portable => Self::Combination,
            _ => Self::SAMPLE,
        }
    }
}

impl Default for Audit {
    /// What suits the form that serves.
    fn default() -> Self {
        Self::suited_to(Backend::selected())
    }
}

/// What was checked of a device's answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditCounts {
    /// Batches, or parts of batches, of which something was checked.
    pub batches: u64,
    /// Items that were checked.
    pub items: u64,
    /// Batches in which something was wrong: by these checks, or because an item was not answered at all, or a
    /// signature rejected that is none to reject.
    pub mismatches: u64,
}

/// Checks answers and counts.
#[derive(Debug)]
pub(super) struct Auditor {
    policy: Audit,
    sampler: Sampler,
    batches: AtomicU64,
    items: AtomicU64,
    mismatches: AtomicU64,
}

impl Auditor {
    pub(super) fn new(policy: Audit, seed: Option<u64>) -> Self {
        let zero = || AtomicU64::new(0);
        Self { policy, sampler: Sampler::new(seed), batches: zero(), items: zero(), mismatches: zero() }
    }

    /// What a device must say for its answers to be checked.
    pub(super) fn hints(&self) -> Hints {
        if self.checks_all() { Hints::LiftedY } else { Hints::None }
    }

    /// Whether all recovered keys are checked.
    pub(super) fn checks_all(&self) -> bool {
        self.policy == Audit::Combination
    }

    /// Checks what a device answered for the first items of a batch.
    ///
    /// # Errors
    /// The first item that was found to be wrong.
    pub(super) fn check<W: Work>(&self, work: &W, answer: &DeviceAnswer<W::Item>) -> Result<(), usize> {
        let len = answer.items.len();
        if self.checks_all()
            && let Some(checked) = work.check_all(answer)
        {
            self.count(len);
            return checked.map_err(|known| known.unwrap_or_else(|| first_wrong(work, answer)));
        }
        let sample = self.sample(answer.items.len());
        let wrong = sample.into_par_iter().filter(|&item| work.one(item) != answer.items[item]).min();
        wrong.map_or(Ok(()), Err)
    }

    /// Items to be checked of a batch of so many, counted as checked.
    pub(super) fn sample(&self, len: usize) -> Vec<usize> {
        let Audit::Sample { one_in, at_most } = self.policy.of_items() else { return Vec::new() };
        let count = (len / one_in.get() as usize).min(at_most).max(1);
        let sample = self.sampler.draw(count, len);
        self.count(sample.len());
        sample
    }

    /// The same where one item is as much as a batch can have checked.
    pub(super) fn sample_one(&self, len: usize) -> Option<usize> {
        let item = (self.policy != Audit::Off).then(|| self.sampler.draw(1, len).pop()).flatten();
        self.count(usize::from(item.is_some()));
        item
    }

    fn count(&self, items: usize) {
        self.batches.fetch_add(u64::from(items > 0), Ordering::Relaxed);
        self.items.fetch_add(items as u64, Ordering::Relaxed);
    }

    pub(super) fn count_mismatch(&self) {
        self.mismatches.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> AuditCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        AuditCounts {
            batches: read(&self.batches),
            items: read(&self.items),
            mismatches: read(&self.mismatches),
        }
    }
}

/// The first item of an answer that is known to be wrong somewhere.
fn first_wrong<W: Work>(work: &W, answer: &DeviceAnswer<W::Item>) -> usize {
    let right = work.on_cpu(0..answer.items.len());
    right.iter().zip(&answer.items).position(|(right, found)| right != found).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(one_in: u32, at_most: usize, len: usize) -> usize {
        let policy = Audit::Sample { one_in: NonZeroU32::new(one_in).unwrap(), at_most };
        Auditor::new(policy, Some(1)).sample(len).len()
    }

    #[test]
    fn every_form_has_an_audit_that_finds_a_broken_device() {
        assert_eq!(Audit::suited_to(Backend::Portable), Audit::Combination);
        assert!(Backend::available().all(|backend| Audit::suited_to(backend) != Audit::Off));
        assert_eq!(Audit::default(), Audit::suited_to(Backend::selected()));
    }

    #[test]
    fn samples_have_their_share_and_their_bounds() {
        assert_eq!(sampled(256, 16, 1024), 4);
        assert_eq!(sampled(256, 16, 65_536), 16);
        assert_eq!(sampled(256, usize::MAX, 65_536), 256);
        assert_eq!(sampled(256, 16, 3), 1, "at least one");
        assert_eq!(sampled(1, usize::MAX, 100), 100);
        assert_eq!(sampled(256, 16, 0), 0);
        let off = Auditor::new(Audit::Off, Some(1));
        assert!(off.sample(1000).is_empty());
        assert_eq!(off.counts(), AuditCounts::default());
    }
}
