//! Recovery on a device: pack, dispatch five stages, unpack.

use rayon::prelude::*;

use crate::gpu::{
    Buffer, Device, DeviceError, DeviceKernel, IntegerForm, Job, Module, Pending, Pipeline, Readback, Shader,
    Site, StageTime, Tuning,
};
use crate::keccak::{self, KeccakKernel, keccak256_one};
use crate::simd::Backend;

use super::audit::{self, Seed};
use super::curve::{self, Blinding, CombWindow};
use super::{
    Batch, HalfWindow, Messages, Rejection, Signature, Signer, Verdict, Word, cpu, limbs, recover, recover_on,
};

/// Words of an affine point.
const POINT_WORDS: usize = 16;

/// Words of a point in Jacobian coordinates.
const JACOBIAN_WORDS: u32 = 24;

/// Words of digits of u1.
const COMB_WORDS: u32 = 8;

/// Words of r, s and the recovery id.
const SIGNATURE_WORDS: usize = 17;

/// Set beside a recovery id if the device itself hashed the message.
const HASHED_HERE: u32 = 1 << 8;

/// Words of a public key and an address.
const SIGNER_WORDS: usize = 21;

/// What a status word says before a kernel has written it: to clear costs no upload.
const UNWRITTEN: u32 = 0;

/// What the status word of an item says. Codes differ in more than one bit from each other and from [`UNWRITTEN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    /// Not rejected by stage 1; the end of stage 5 makes it one of the next two.
    Pending = 0x10,
    Recovered = 0x23,
    /// An addition was exceptional, or the key is infinity: the CPU must say.
    Degenerate = 0x35,
    RecoveryIdOutOfRange = 0x46,
    ROutOfRange = 0x59,
    SOutOfRange = 0x6a,
    NotOnCurve = 0x7c,
}

impl Status {
    const ALL: [(&'static str, Self); 7] = [
        ("STATUS_PENDING", Self::Pending),
        ("STATUS_RECOVERED", Self::Recovered),
        ("STATUS_DEGENERATE", Self::Degenerate),
        ("STATUS_RECOVERY_ID_OUT_OF_RANGE", Self::RecoveryIdOutOfRange),
        ("STATUS_R_OUT_OF_RANGE", Self::ROutOfRange),
        ("STATUS_S_OUT_OF_RANGE", Self::SOutOfRange),
        ("STATUS_NOT_ON_CURVE", Self::NotOnCurve),
    ];

    fn of(word: u32) -> Option<Self> {
        Self::ALL.iter().map(|(_, status)| *status).find(|status| *status as u32 == word)
    }

    const fn rejection(self) -> Option<Rejection> {
        match self {
            Self::RecoveryIdOutOfRange => Some(Rejection::RecoveryIdOutOfRange),
            Self::ROutOfRange => Some(Rejection::ROutOfRange),
            Self::SOutOfRange => Some(Rejection::SOutOfRange),
            Self::NotOnCurve => Some(Rejection::NotOnCurve),
            Self::Pending | Self::Recovered | Self::Degenerate => None,
        }
    }
}

/// The kernel, compiled for a device, with its comb and its blinding there.
#[derive(Debug)]
pub struct RecoverKernel {
    stages: [Pipeline; 5],
    comb: Buffer,
    blinding: Buffer,
}

/// Verdicts, and how many of them the CPU had to find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// One for each item, in order.
    pub verdicts: Vec<Verdict>,
    /// Items that the device gave up: exceptional additions and keys at infinity.
    pub redone: usize,
    /// With [`Hints::LiftedY`], for each item the y-coordinate of R as the device lifted it; zero for an item that
    /// was rejected or redone. Empty without.
    ///
    /// The device says so and no more: whoever uses it checks y² = x³ + 7 and the parity.
    pub lifted_y: Vec<Word>,
}

/// What is to be read back beside the signers, for an audit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hints {
    /// Nothing.
    #[default]
    None,
    /// [`Answer::lifted_y`], which spares the auditor a square root an item: 32 bytes an item more to read back.
    LiftedY,
}

/// A batch for trials.
#[derive(Debug)]
pub struct Trial {
    hashes: Vec<Word>,
    signatures: Vec<Signature>,
}

impl DeviceKernel for RecoverKernel {
    const NAME: &'static str = "recover";

    type Trial = Trial;

    fn shaders(form: IntegerForm, tuning: Tuning) -> Vec<Shader> {
        let (half, comb) = (half_window(tuning), comb_window(tuning));
        let stage = |name, text: &'static str| {
            let mut shader = Shader::new(name, text).modules(modules(form, half));
            shader = shader.workgroup_len(tuning.workgroup_len());
            let constants = [
                ("JACOBIAN_WORDS", JACOBIAN_WORDS),
                ("ENTRIES", half.entries()),
                ("HALF_WINDOW_BITS", half.bits),
                ("HALF_DIGITS", half.digits()),
                ("HALF_DIGITS_PER_WORD", half.digits_per_word()),
                ("HALF_WORDS", half.words()),
                ("COMB_WORDS", COMB_WORDS),
                ("COMB_ENTRIES", comb.entries()),
                ("COMB_WINDOW_BITS", comb.bits),
                ("COMB_DIGITS", comb.digits()),
                ("COMB_DIGITS_PER_WORD", comb.digits_per_word()),
                ("CHAIN_LEN", tuning.chain_len()),
                ("HASHED_HERE", HASHED_HERE),
            ];
            let statuses = Status::ALL.iter().map(|(name, status)| (*name, *status as u32));
            for (name, value) in constants.into_iter().chain(statuses) {
                shader = shader.constant(name, value);
            }
            shader
        };
        vec![
            stage("recover.lift", include_str!("../../../shaders/recover_lift.wgsl")),
            stage("recover.scalars", include_str!("../../../shaders/recover_scalars.wgsl")),
            stage("recover.table", include_str!("../../../shaders/recover_table.wgsl")),
            stage("recover.ladder", include_str!("../../../shaders/recover_ladder.wgsl")),
            stage("recover.finish", include_str!("../../../shaders/recover_finish.wgsl")),
        ]
    }

    fn new(device: &Device, pipelines: Vec<Pipeline>) -> Result<Self, DeviceError> {
        Self::with_blinding(device, pipelines, &Blinding::random())
    }

    /// Numbers without a pattern, of which half are no coordinates, and every kind of rejection, against the CPU.
    fn self_test(&self, device: &Device) -> Result<(), DeviceError> {
        let Trial { hashes, mut signatures } = made_up(67, false);
        for (signature, recovery_id) in signatures.iter_mut().zip([0, 1, 2, 3, 4, 255]) {
            signature.recovery_id = recovery_id;
        }
        for (signature, word) in signatures[8..].iter_mut().zip([[0; 32], [0xff; 32], cpu::ORDER]) {
            signature.r = word;
        }
        for (signature, word) in signatures[16..].iter_mut().zip([[0; 32], [0xff; 32], cpu::ORDER]) {
            signature.s = word;
        }
        let batch = Batch { messages: Messages::Hashes(&hashes), signatures: &signatures };
        let answer = self.recover(device, None, &batch)?;
        let expected = recover(&batch);
        match answer.verdicts.iter().zip(&expected).position(|(got, expected)| got != expected) {
            // The CPU is right even where the device did nothing: so it must have done something.
            None if answer.redone == 0 => Ok(()),
            wrong => {
                let site = device.site(Self::NAME, batch.len());
                Err(DeviceError::WrongAnswer { site, item: wrong.unwrap_or(0) })
            }
        }
    }

    fn trial(len: usize) -> Trial {
        made_up(len, true)
    }

    fn trial_on_device(&self, device: &Device, trial: &Trial, is_checked: bool) -> Result<(), DeviceError> {
        let batch = trial.batch();
        if !is_checked {
            return self.recover(device, None, &batch).map(drop);
        }
        let Answer { verdicts, lifted_y, .. } = self.recover_with(device, None, &batch, Hints::LiftedY)?;
        audit::check(Backend::selected(), &batch, &verdicts, &lifted_y, Seed::random())
            .map_err(|_| DeviceError::WrongAnswer { site: device.site(Self::NAME, batch.len()), item: 0 })
    }

    fn trial_on_cpu(backend: Backend, trial: &Trial) {
        std::hint::black_box(recover_on(backend, &trial.batch()));
    }
}

impl RecoverKernel {
    /// Recovers each signature of a batch, in as many dispatches as it takes; two are on their way at a time.
    /// Payloads are hashed by `keccak` on the same device, or on the CPU without it.
    ///
    /// Rejections are confirmed on the CPU, and what the device gives up is redone there.
    ///
    /// # Errors
    /// Any [`DeviceError`]; no verdict is given then.
    pub fn recover(
        &self,
        device: &Device,
        keccak: Option<&KeccakKernel>,
        batch: &Batch<'_>,
    ) -> Result<Answer, DeviceError> {
        self.recover_with(device, keccak, batch, Hints::None)
    }

    /// [`Self::recover`], with hints for an audit.
    ///
    /// # Errors
    /// As [`Self::recover`].
    pub fn recover_with(
        &self,
        device: &Device,
        keccak: Option<&KeccakKernel>,
        batch: &Batch<'_>,
        hints: Hints,
    ) -> Result<Answer, DeviceError> {
        let mut answer = Answer { verdicts: Vec::with_capacity(batch.len()), ..Answer::default() };
        self.recover_into(device, keccak, batch, hints, &mut answer)?;
        Ok(answer)
    }

    /// [`Self::recover_with`] that adds to an answer as dispatches come back: with an error, those of the first items
    /// may have come.
    pub(crate) fn recover_into(
        &self,
        device: &Device,
        keccak: Option<&KeccakKernel>,
        batch: &Batch<'_>,
        hints: Hints,
        answer: &mut Answer,
    ) -> Result<(), DeviceError> {
        let mut before: Option<Part<'_>> = None;
        let mut start = 0;
        while start < batch.len() {
            let end = Self::part_end(device, keccak, batch, start);
            let next = self.submit(device, keccak, batch.slice(start..end), hints)?;
            if let Some(part) = before.replace(next) {
                part.finish(answer)?;
            }
            start = end;
        }
        if let Some(part) = before {
            part.finish(answer)?;
        }
        Ok(())
    }

    /// Recovers as many items of a batch as one job takes, and says how long each stage took on the device; nothing
    /// where the adapter has no timestamps.
    ///
    /// # Errors
    /// As [`Self::recover`].
    pub fn stage_times(
        &self,
        device: &Device,
        keccak: Option<&KeccakKernel>,
        batch: &Batch<'_>,
    ) -> Result<Vec<StageTime>, DeviceError> {
        let end = Self::part_end(device, keccak, batch, 0);
        let (mut job, _) = self.encode(device, keccak, &batch.slice(0..end), Hints::None)?;
        job.time_stages();
        Ok(job.run()?.stage_times().to_vec())
    }

    /// As [`DeviceKernel::new`], with a blinding of the caller's.
    pub(super) fn with_blinding(
        device: &Device,
        pipelines: Vec<Pipeline>,
        blinding: &Blinding,
    ) -> Result<Self, DeviceError> {
        let stages = <[Pipeline; 5]>::try_from(pipelines).expect("five shaders, five pipelines");
        let comb = device.upload(Self::NAME, &curve::comb(comb_window(device.tuning())))?;
        let blinding = device.upload(Self::NAME, &blinding.words(half_window(device.tuning())))?;
        Ok(Self { stages, comb, blinding })
    }

    /// Where the job ends that begins at an item.
    fn part_end(device: &Device, keccak: Option<&KeccakKernel>, batch: &Batch<'_>, start: usize) -> usize {
        let end = batch
            .len()
            .min(start + device.batch_len_max(4 * table_words(half_window(device.tuning())) as u64));
        match (&batch.messages, keccak) {
            (Messages::Payloads(payloads), Some(_)) => {
                end.min(KeccakKernel::next_batch(device, payloads, start).end)
            }
            _ => end,
        }
    }

    fn submit<'a>(
        &self,
        device: &Device,
        keccak: Option<&KeccakKernel>,
        batch: Batch<'a>,
        hints: Hints,
    ) -> Result<Part<'a>, DeviceError> {
        let (job, reads) = self.encode(device, keccak, &batch, hints)?;
        Ok(Part { batch, site: job.site().clone(), reads, pending: job.submit()? })
    }

    fn encode(
        &self,
        device: &Device,
        keccak: Option<&KeccakKernel>,
        batch: &Batch<'_>,
        hints: Hints,
    ) -> Result<(Job, Reads), DeviceError> {
        let len = batch.len();
        let mut job = device.job(Self::NAME, len);
        let (digests, are_hashed_here) = match (&batch.messages, keccak) {
            (Messages::Payloads(payloads), Some(keccak)) => (keccak.encode(&mut job, payloads)?, true),
            (Messages::Payloads(payloads), None) => {
                (upload_digests(&job, &keccak::keccak256(payloads))?, false)
            }
            (Messages::Hashes(hashes), _) => (upload_digests(&job, hashes)?, false),
        };
        let signatures = job.upload(&pack_signatures(batch.signatures, are_hashed_here))?;
        let status = job.buffer_zeroed(len)?;
        let points = job.buffer(JACOBIAN_WORDS as usize * len)?;
        let half = half_window(device.tuning());
        // Both halves of u2, u1, and the sign of u1.
        let digits = job.buffer((2 * half.words() + COMB_WORDS + 1) as usize * len)?;
        let table = job.buffer(table_words(half) * len)?;
        let scratch = job.buffer(table_words(half) / 2 * len)?;
        let signers = job.buffer(SIGNER_WORDS * len)?;
        let chains = len.div_ceil(device.tuning().chain_len() as usize);
        let [lift, scalars, tables, ladder, finish] = &self.stages;
        job.dispatch(lift, len, &[&digests, &signatures, &status, &points]);
        // The table stage puts another point where R is.
        let y_words = POINT_WORDS / 2 * len..POINT_WORDS * len;
        let lifted_y = (hints == Hints::LiftedY).then(|| job.read_words(&points, y_words));
        job.dispatch(scalars, chains, &[&digests, &signatures, &status, &self.blinding, &digits, &scratch]);
        job.dispatch(tables, len, &[&points, &self.blinding, &table, &scratch]);
        job.dispatch(ladder, len, &[&points, &digits, &table, &self.comb]);
        job.dispatch(finish, chains, &[&points, &status, &scratch, &signers]);
        let reads = Reads { status: job.read(&status), signers: job.read(&signers), lifted_y };
        Ok((job, reads))
    }
}

const fn half_window(tuning: Tuning) -> HalfWindow {
    HalfWindow { bits: tuning.ladder_window_bits() }
}

const fn comb_window(tuning: Tuning) -> CombWindow {
    CombWindow { bits: tuning.comb_window_bits() }
}

/// Words of an item's table.
const fn table_words(window: HalfWindow) -> usize {
    window.entries() as usize * POINT_WORDS
}

/// What the stages import.
fn modules(form: IntegerForm, window: HalfWindow) -> Vec<Module> {
    let mut modules = limbs::modules(form, window);
    modules.extend(keccak::modules(form));
    modules.extend([
        Module::new("curve", curve::module_text()),
        Module::new("lib/words", include_str!("../../../shaders/lib/words.wgsl")),
        Module::new("lib/field_power", include_str!("../../../shaders/lib/field_power.wgsl")),
        Module::new("lib/scalar_inverse", include_str!("../../../shaders/lib/scalar_inverse.wgsl")),
        Module::new("lib/point", include_str!("../../../shaders/lib/point.wgsl")),
    ]);
    modules
}

/// Digests as the Keccak kernel leaves them: limb-major, first byte lowest.
fn upload_digests(job: &Job, digests: &[Word]) -> Result<Buffer, DeviceError> {
    let mut words = vec![0; 8 * digests.len()];
    for (item, digest) in digests.iter().enumerate() {
        for (w, bytes) in digest.chunks_exact(4).enumerate() {
            words[w * digests.len() + item] = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
    }
    job.upload(&words)
}

/// r, s (lowest word first) and the recovery id, limb-major. With the id a flag: only a digest from the device can have
/// been left unwritten; one that is given may be anything, even the sentinel.
fn pack_signatures(signatures: &[Signature], are_hashed_here: bool) -> Vec<u32> {
    let flag = if are_hashed_here { HASHED_HERE } else { 0 };
    let len = signatures.len();
    let mut words = vec![0; SIGNATURE_WORDS * len];
    for (item, signature) in signatures.iter().enumerate() {
        for (start, number) in [(0, &signature.r), (8, &signature.s)] {
            for (w, word) in curve::words(number).into_iter().enumerate() {
                words[(start + w) * len + item] = word;
            }
        }
        words[16 * len + item] = u32::from(signature.recovery_id) | flag;
    }
    words
}

/// What comes back from a job.
struct Reads {
    status: Readback,
    signers: Readback,
    lifted_y: Option<Readback>,
}

/// Items of one job on their way.
struct Part<'a> {
    batch: Batch<'a>,
    site: Site,
    reads: Reads,
    pending: Pending,
}

impl Part<'_> {
    fn finish(self, answer: &mut Answer) -> Result<(), DeviceError> {
        let Self { batch, site, reads: Reads { status, signers, lifted_y }, pending } = self;
        let mut outputs = pending.wait()?;
        let (status, signers) = (outputs.take(status), outputs.take(signers));
        if let Some(lifted_y) = lifted_y {
            let lifted_y = outputs.take(lifted_y);
            answer.lifted_y.extend((0..batch.len()).map(|item| match Status::of(status[item]) {
                Some(Status::Recovered) => unpack_word(&lifted_y, batch.len(), item),
                _ => [0; 32],
            }));
        }
        let settled: Result<Vec<_>, _> = (0..batch.len())
            .into_par_iter()
            .map(|item| match Status::of(status[item]) {
                Some(Status::Recovered) => Ok((Ok(unpack_signer(&signers, batch.len(), item)), false)),
                Some(Status::Degenerate) => Ok((batch.recover_one(item), true)),
                Some(rejected) => {
                    match (rejected.rejection(), cpu::check_liftable(&batch.signatures[item])) {
                        (Some(rejection), Err(confirmed)) if rejection == confirmed => {
                            Ok((Err(rejection), false))
                        }
                        _ => Err(DeviceError::WrongAnswer { site: site.clone(), item }),
                    }
                }
                None if status[item] == UNWRITTEN => {
                    Err(DeviceError::Unanswered { site: site.clone(), item })
                }
                None => Err(DeviceError::WrongAnswer { site: site.clone(), item }),
            })
            .collect();
        for (verdict, is_redone) in settled? {
            answer.verdicts.push(verdict);
            answer.redone += usize::from(is_redone);
        }
        Ok(())
    }
}

fn unpack_signer(words: &[u32], len: usize, item: usize) -> Signer {
    let mut bytes = [0; 4 * SIGNER_WORDS];
    for (w, four) in bytes.chunks_exact_mut(4).enumerate() {
        four.copy_from_slice(&words[w * len + item].to_le_bytes());
    }
    let mut signer = Signer { public_key: [0; 64], address: [0; 20] };
    signer.public_key.copy_from_slice(&bytes[..64]);
    signer.address.copy_from_slice(&bytes[64..]);
    signer
}

/// A number from eight limb-major words, lowest first.
fn unpack_word(words: &[u32], len: usize, item: usize) -> Word {
    let mut number = [0; 32];
    for (w, four) in number.rchunks_exact_mut(4).enumerate() {
        four.copy_from_slice(&words[w * len + item].to_be_bytes());
    }
    number
}

/// Numbers without a pattern for r, s and hash: half of the r are coordinates, or all if it must be so. Those have a
/// signer, though nobody signed.
fn made_up(len: usize, must_be_liftable: bool) -> Trial {
    let mut count = 0_u64;
    let mut number = || {
        count += 1;
        keccak256_one(&count.to_le_bytes())
    };
    let mut trial = Trial { hashes: Vec::with_capacity(len), signatures: Vec::with_capacity(len) };
    while trial.hashes.len() < len {
        let signature =
            Signature { r: number(), s: number(), recovery_id: u8::from(trial.hashes.len() % 2 == 1) };
        if !must_be_liftable || cpu::check_liftable(&signature).is_ok() {
            trial.hashes.push(number());
            trial.signatures.push(signature);
        }
    }
    trial
}

impl Trial {
    /// It, as [`RecoverKernel::recover`] takes it.
    #[must_use]
    pub fn batch(&self) -> Batch<'_> {
        Batch { messages: Messages::Hashes(&self.hashes), signatures: &self.signatures }
    }
}
