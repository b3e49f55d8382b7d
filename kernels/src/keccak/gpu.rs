//! Keccak-256 on a device: pack, dispatch, unpack.

use std::ops::Range;

use rayon::prelude::*;

use crate::gpu::{
    Buffer, Device, DeviceError, DeviceKernel, IntegerForm, Job, Module, Outputs, Pending, Pipeline,
    Readback, Shader, Tuning,
};
use crate::simd::Backend;

use super::{
    BLOCKS_MAX, Digest, PAYLOAD_LEN_MAX, Payloads, PayloadsBuf, RATE_BYTES, keccak256_on, keccak256_one,
};

/// Words of a digest.
const DIGEST_WORDS: usize = 8;

/// Bytes of payloads in one dispatch, where the adapter would allow more.
const DISPATCH_BYTES_MAX: u64 = 64 << 20;

/// What other kernels import: `lib/lane` and `lib/keccak_f` (the permutation), and `lib/keccak_sponge`
/// (digests, and the hash of a public key).
#[must_use]
pub fn modules(form: IntegerForm) -> Vec<Module> {
    let lane = match form {
        IntegerForm::U64 => include_str!("../../../shaders/lib/lane_u64.wgsl"),
        IntegerForm::U32 => include_str!("../../../shaders/lib/lane_u32.wgsl"),
    };
    vec![
        Module::new("lib/lane", lane),
        Module::new("lib/keccak_f", include_str!("../../../shaders/lib/keccak_f.wgsl")),
        Module::new("lib/keccak_sponge", include_str!("../../../shaders/lib/keccak_sponge.wgsl")),
    ]
}

/// The kernel, compiled for a device.
#[derive(Debug)]
pub struct KeccakKernel {
    pipeline: Pipeline,
}

impl DeviceKernel for KeccakKernel {
    const NAME: &'static str = "keccak";

    type Trial = PayloadsBuf;

    fn shaders(form: IntegerForm, tuning: Tuning) -> Vec<Shader> {
        let blocks_max = u32::try_from(BLOCKS_MAX).expect("a small constant");
        let text = include_str!("../../../shaders/keccak.wgsl");
        let shader = Shader::new(Self::NAME, text).workgroup_len(tuning.workgroup_len());
        vec![shader.modules(modules(form)).constant("BLOCKS_MAX", blocks_max)]
    }

    fn new(_: &Device, pipelines: Vec<Pipeline>) -> Result<Self, DeviceError> {
        let [pipeline] = <[Pipeline; 1]>::try_from(pipelines).expect("one shader, one pipeline");
        Ok(Self { pipeline })
    }

    /// Every padding: lengths around block ends, at every alignment of the first byte.
    fn self_test(&self, device: &Device) -> Result<(), DeviceError> {
        let lens =
            [0, 1, 3, 55, RATE_BYTES - 1, RATE_BYTES, RATE_BYTES + 1, 2 * RATE_BYTES - 1, PAYLOAD_LEN_MAX];
        let payloads = made_up(lens.into_iter().cycle().take(4 * lens.len()));
        let payloads = payloads.as_payloads();
        let digests = self.hash(device, &payloads)?;
        let wrong = payloads.iter().zip(digests).position(|(payload, got)| keccak256_one(payload) != got);
        match wrong {
            None => Ok(()),
            Some(item) => {
                Err(DeviceError::WrongAnswer { site: device.site(Self::NAME, payloads.len()), item })
            }
        }
    }

    /// Payloads of one block, as most are.
    fn trial(len: usize) -> PayloadsBuf {
        made_up((0..len).map(|item| 40 + item % 90))
    }

    fn trial_on_device(&self, device: &Device, trial: &PayloadsBuf, _: bool) -> Result<(), DeviceError> {
        self.hash(device, &trial.as_payloads()).map(drop)
    }

    fn trial_on_cpu(backend: Backend, trial: &PayloadsBuf) {
        std::hint::black_box(keccak256_on(backend, &trial.as_payloads()));
    }
}

impl KeccakKernel {
    /// Hashes each payload, in as many dispatches as it takes; two are on their way at a time.
    ///
    /// # Errors
    /// Any [`DeviceError`]; no digest is given then.
    pub fn hash(&self, device: &Device, payloads: &Payloads<'_>) -> Result<Vec<Digest>, DeviceError> {
        let mut digests = Vec::with_capacity(payloads.len());
        self.hash_into(device, payloads, &mut digests)?;
        Ok(digests)
    }

    /// [`Self::hash`] that puts digests behind others as they come: with an error, those of the first items may have
    /// come.
    pub(crate) fn hash_into(
        &self,
        device: &Device,
        payloads: &Payloads<'_>,
        digests: &mut Vec<Digest>,
    ) -> Result<(), DeviceError> {
        let mut before: Option<Batch> = None;
        let mut start = 0;
        while start < payloads.len() {
            let range = next_batch(device, payloads, start);
            start = range.end;
            let next = self.submit(device, &payloads.slice(range))?;
            if let Some(batch) = before.replace(next) {
                batch.finish(digests)?;
            }
        }
        if let Some(batch) = before {
            batch.finish(digests)?;
        }
        Ok(())
    }

    /// Adds the hashing of a batch to a job and returns the digests' buffer on the device, limb-major: word w
    /// of item i at `w * payloads.len() + i`, first byte lowest. Payloads too long for the device are
    /// hashed here and now. A digest that was not written is zero, which no payload is known to hash to.
    ///
    /// The batch must be one that [`next_batch`](Self::next_batch) gave.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`] or a dead device.
    pub fn encode(&self, job: &mut Job, payloads: &Payloads<'_>) -> Result<Buffer, DeviceError> {
        let batch_len = payloads.len();
        let order = order(payloads);
        let digests = if order.len() == batch_len {
            job.buffer_zeroed(DIGEST_WORDS * batch_len)?
        } else {
            job.upload(&digests_of_long(payloads))?
        };
        if !order.is_empty() {
            let first = payloads.offsets[0];
            let bytes = &payloads.bytes[first as usize..payloads.offsets[batch_len] as usize];
            let offsets: Vec<u32> = payloads.offsets.iter().map(|offset| offset - first).collect();
            let invocations = order.len();
            let order = job.upload(&order)?;
            let offsets = job.upload(&offsets)?;
            let bytes = job.upload_bytes(bytes)?;
            job.dispatch(&self.pipeline, invocations, &[&order, &offsets, &bytes, &digests]);
        }
        Ok(digests)
    }

    /// The longest batch from `start` on that one dispatch can take. Not empty unless `start` is the end.
    #[must_use]
    pub fn next_batch(device: &Device, payloads: &Payloads<'_>, start: usize) -> Range<usize> {
        next_batch(device, payloads, start)
    }

    fn submit(&self, device: &Device, payloads: &Payloads<'_>) -> Result<Batch, DeviceError> {
        let mut job = device.job(Self::NAME, payloads.len());
        let digests = self.encode(&mut job, payloads)?;
        let read = job.read(&digests);
        Ok(Batch { device: device.clone(), len: payloads.len(), read, pending: job.submit()? })
    }
}

/// A batch on its way.
struct Batch {
    device: Device,
    len: usize,
    read: Readback,
    pending: Pending,
}

impl Batch {
    fn finish(self, digests: &mut Vec<Digest>) -> Result<(), DeviceError> {
        let mut outputs: Outputs = self.pending.wait()?;
        let words = outputs.take(self.read);
        for item in 0..self.len {
            let mut digest = [0; 32];
            let mut is_silent = true;
            for (w, bytes) in digest.chunks_exact_mut(4).enumerate() {
                let word = words[w * self.len + item];
                is_silent &= word == 0;
                bytes.copy_from_slice(&word.to_le_bytes());
            }
            if is_silent {
                let site = self.device.site(KeccakKernel::NAME, self.len);
                return Err(DeviceError::Unanswered { site, item });
            }
            digests.push(digest);
        }
        Ok(())
    }
}

/// Payloads of these lengths, all different.
fn made_up(lens: impl Iterator<Item = usize>) -> PayloadsBuf {
    let mut payloads = PayloadsBuf::default();
    for (item, len) in lens.enumerate() {
        let bytes = (0..len).map(|i| (i * 31 + item * 7 + (item >> 8) + 1).to_le_bytes()[0]);
        payloads.push_with(|all| all.extend(bytes)).expect("some megabytes");
    }
    payloads
}

/// The digests' buffer as the device gets it: those of payloads too long for it, and zeros.
fn digests_of_long(payloads: &Payloads<'_>) -> Vec<u32> {
    let batch_len = payloads.len();
    let mut words = vec![0; DIGEST_WORDS * batch_len];
    let is_long = |item: &usize| payloads.get(*item).len() > PAYLOAD_LEN_MAX;
    let long: Vec<usize> = (0..batch_len).filter(is_long).collect();
    let digests: Vec<Digest> = long.par_iter().map(|&item| keccak256_one(payloads.get(item))).collect();
    for (item, digest) in long.into_iter().zip(digests) {
        for (w, bytes) in digest.chunks_exact(4).enumerate() {
            words[w * batch_len + item] = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
    }
    words
}

/// Items short enough for the device, those with equally many blocks side by side, else in order.
fn order(payloads: &Payloads<'_>) -> Vec<u32> {
    let block_count = |payload: &[u8]| payload.len() / RATE_BYTES + 1;
    // A counting sort: `starts[b]` becomes the place of the next item with b blocks.
    let mut starts = [0_usize; BLOCKS_MAX + 2];
    let short = || payloads.iter().zip(0_u32..).filter(|(payload, _)| payload.len() <= PAYLOAD_LEN_MAX);
    for (payload, _) in short() {
        starts[block_count(payload) + 1] += 1;
    }
    for blocks in 1..starts.len() {
        starts[blocks] += starts[blocks - 1];
    }
    let mut order = vec![0; starts[BLOCKS_MAX + 1]];
    for (payload, item) in short() {
        let place = &mut starts[block_count(payload)];
        order[*place] = item;
        *place += 1;
    }
    order
}

fn next_batch(device: &Device, payloads: &Payloads<'_>, start: usize) -> Range<usize> {
    let len_max = device.batch_len_max(4 * DIGEST_WORDS as u64).min(payloads.len() - start);
    let bytes_max = DISPATCH_BYTES_MAX.min(device.buffer_bytes_max() - 4);
    let offsets = &payloads.offsets[start..=start + len_max];
    let fitting = offsets.partition_point(|&offset| u64::from(offset - offsets[0]) <= bytes_max) - 1;
    // One payload too long for a dispatch makes a batch of its own, which is hashed on the CPU.
    start..start + fitting.max(1).min(len_max)
}
