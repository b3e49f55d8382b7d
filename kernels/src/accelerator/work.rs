//! Batches of independent items, as the accelerator sees them: what can be cut, given away in part and checked.

use std::ops::Range;

use serde_json::{Value, json};

use super::lane::Load;
use super::reports::hex;
use crate::gpu::{Device, DeviceError, DeviceKernel};
use crate::keccak::{self, Digest, KeccakKernel, PAYLOAD_LEN_MAX, Payloads};
use crate::recover::audit::{self, Mismatch, Seed};
use crate::recover::{self, Batch, Hints, RecoverKernel, Verdict, Word};
use crate::simd::Backend;

/// A batch whose items have nothing to do with each other.
pub(super) trait Work: Sync {
    type Kernel: DeviceKernel;

    /// The answer for an item.
    type Item: PartialEq + Send + Sync;

    fn len(&self) -> usize;

    /// Where the items of a range are done if the device gets them.
    fn load(&self, range: Range<usize>) -> Load;

    /// Has the device do the first `len` items, and say what [`Self::check_all`] needs if that is wanted. With an error,
    /// the answers that came before it are there.
    fn on_device(
        &self,
        kernel: &Self::Kernel,
        device: &Device,
        len: usize,
        hints: Hints,
        answer: &mut DeviceAnswer<Self::Item>,
    ) -> Result<(), DeviceError>;

    /// Does a range on the CPU, as fast as it can.
    fn on_cpu(&self, range: Range<usize>) -> Vec<Self::Item>;

    /// Does one item on the CPU, with code that shares nothing with the device's.
    fn one(&self, item: usize) -> Self::Item;

    /// Checks all answers for less than doing them again, with the item at fault if it is known; `None` if there is no
    /// way to do that.
    fn check_all(&self, _: &DeviceAnswer<Self::Item>) -> Option<Result<(), Option<usize>>> {
        None
    }

    /// An item's input, for a report.
    fn input(&self, item: usize) -> Value;

    /// An answer, for a report.
    fn shown(answer: &Self::Item) -> Value;
}

/// What a device answered for the first items of a batch.
#[derive(Debug)]
pub(super) struct DeviceAnswer<I> {
    pub(super) items: Vec<I>,
    /// For each of them the y-coordinate of R, if that was asked for.
    pub(super) lifted_y: Vec<Word>,
    /// How many of them it gave up, so that the CPU did them.
    pub(super) redone: usize,
}

impl<I> DeviceAnswer<I> {
    pub(super) const fn nothing() -> Self {
        Self { items: Vec::new(), lifted_y: Vec::new(), redone: 0 }
    }
}

/// Payloads to be hashed.
pub(super) struct Hashing<'a>(pub(super) &'a Payloads<'a>);

impl Work for Hashing<'_> {
    type Kernel = KeccakKernel;

    type Item = Digest;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn load(&self, range: Range<usize>) -> Load {
        hashing_load(&self.0.slice(range))
    }

    fn on_device(
        &self,
        kernel: &KeccakKernel,
        device: &Device,
        len: usize,
        _: Hints,
        answer: &mut DeviceAnswer<Digest>,
    ) -> Result<(), DeviceError> {
        kernel.hash_into(device, &self.0.slice(0..len), &mut answer.items)
    }

    fn on_cpu(&self, range: Range<usize>) -> Vec<Digest> {
        keccak::keccak256(&self.0.slice(range))
    }

    fn one(&self, item: usize) -> Digest {
        keccak::keccak256_one(self.0.get(item))
    }

    fn input(&self, item: usize) -> Value {
        json!({ "payload": hex(self.0.get(item)) })
    }

    fn shown(digest: &Digest) -> Value {
        json!(hex(digest))
    }
}

/// Of payloads, those short enough for the device and those that are not.
pub(super) fn hashing_load(payloads: &Payloads<'_>) -> Load {
    let long = payloads.iter().filter(|payload| payload.len() > PAYLOAD_LEN_MAX).count();
    Load { on_device: payloads.len() - long, on_cpu: long }
}

/// Signatures whose signers are to be recovered, with the kernel that hashes what they sign, if it is to be hashed and
/// the device can.
pub(super) struct Recovery<'a> {
    pub(super) batch: &'a Batch<'a>,
    pub(super) hasher: Option<&'a KeccakKernel>,
}

impl Work for Recovery<'_> {
    type Kernel = RecoverKernel;

    type Item = Verdict;

    fn len(&self) -> usize {
        self.batch.len()
    }

    fn load(&self, range: Range<usize>) -> Load {
        Load { on_device: range.len(), on_cpu: 0 }
    }

    fn on_device(
        &self,
        kernel: &RecoverKernel,
        device: &Device,
        len: usize,
        hints: Hints,
        answer: &mut DeviceAnswer<Verdict>,
    ) -> Result<(), DeviceError> {
        let mut recovered = recover::Answer::default();
        let batch = self.batch.slice(0..len);
        let result = kernel.recover_into(device, self.hasher, &batch, hints, &mut recovered);
        let recover::Answer { verdicts, redone, lifted_y } = recovered;
        *answer = DeviceAnswer { items: verdicts, lifted_y, redone };
        result
    }

    fn check_all(&self, answer: &DeviceAnswer<Verdict>) -> Option<Result<(), Option<usize>>> {
        let batch = self.batch.slice(0..answer.items.len());
        let checked =
            audit::check(Backend::selected(), &batch, &answer.items, &answer.lifted_y, Seed::random());
        Some(checked.map_err(|mismatch| match mismatch {
            Mismatch::Item { index, .. } => Some(index),
            Mismatch::Combination => None,
        }))
    }

    fn on_cpu(&self, range: Range<usize>) -> Vec<Verdict> {
        recover::recover(&self.batch.slice(range))
    }

    fn one(&self, item: usize) -> Verdict {
        self.batch.recover_one(item)
    }

    fn input(&self, item: usize) -> Value {
        let signature = self.batch.signature(item);
        let message = match self.batch.payloads() {
            Some(payloads) => ("payload", hex(payloads.get(item))),
            None => ("hash", hex(&self.batch.hash(item))),
        };
        json!({
            message.0: message.1,
            "r": hex(&signature.r),
            "s": hex(&signature.s),
            "recovery_id": signature.recovery_id,
        })
    }

    fn shown(verdict: &Verdict) -> Value {
        match verdict {
            Ok(signer) => json!({ "public_key": hex(&signer.public_key), "address": hex(&signer.address) }),
            Err(rejection) => json!({ "rejected": rejection.to_string() }),
        }
    }
}
