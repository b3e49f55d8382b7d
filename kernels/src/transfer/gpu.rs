//! The device form: the stages of [`scan`] as WGSL, with the sort before them on the CPU.
//!
//! Rows are uploaded as they are; nothing is packed. Accounts are updated in place on the device and
//! read back whole, with a summary that says how far each pass got.
//!
//! The sort that feeds a device, two passes over the ids, costs about as much as the serial table takes in
//! all, so a device hardly ever pays for this kernel alone: the accelerator measures it.

use bytemuck::{Pod, Zeroable};

use super::{
    Account, Reason, Settled, Terms, Transfer,
    scan::{self, BLOCK, Event, NO_FAILURE},
    serial,
};
use crate::gpu::{BATCH_LEN_MAX, Device, DeviceError, DeviceKernel, IntegerForm, Module, Pipeline, Shader};
use crate::simd::Backend;

/// Words of a block's sum (`Sum` in `lib/scan.wgsl`).
const SUM_WORDS: usize = 9;
/// Words of what an account had after an event (`Running` in `lib/transfer.wgsl`).
const RUNNING_WORDS: usize = 6;
/// Steps of the scan of a workgroup.
const LANE_STEPS: u32 = BLOCK.ilog2();
/// Blocks that an invocation of the one workgroup of pass 2 takes.
#[allow(clippy::cast_possible_truncation, reason = "3")]
const BLOCKS_PER_LANE: u32 = (3 * BATCH_LEN_MAX).div_ceil(BLOCK * BLOCK) as u32;

/// What every pass is told (`Params` in `lib/transfer.wgsl`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub(super) struct Params {
    pub(super) transfers_len: u32,
    pub(super) events_len: u32,
    pub(super) blocks_len: u32,
    pub(super) padding: u32,
    pub(super) gas_available: u64,
}

/// The compiled scan.
#[derive(Debug)]
pub struct TransferKernel {
    reduce: Pipeline,
    scan: Pipeline,
    apply: Pipeline,
    settle: Pipeline,
}

impl TransferKernel {
    /// Whether the batch is one for this kernel; wider ones take the serial form.
    #[must_use]
    pub fn takes(accounts: &[Account], transfers: &[Transfer]) -> bool {
        (1..=BATCH_LEN_MAX).contains(&transfers.len()) && scan::fits(accounts, transfers)
    }

    /// Executes `transfers` in order up to the first that fails, and updates `accounts`; on an error
    /// they stay as they were.
    ///
    /// # Errors
    /// Any [`DeviceError`].
    ///
    /// # Panics
    /// If the kernel does not [`take`](Self::takes) the batch or an id is out of range.
    pub fn run(
        &self,
        device: &Device,
        accounts: &mut [Account],
        transfers: &[Transfer],
        terms: Terms,
    ) -> Result<Settled, DeviceError> {
        assert!(Self::takes(accounts, transfers), "a batch that is not for the device");
        let events = scan::sorted_events(accounts.len(), transfers, terms.fee_recipient);
        let blocks = events.len().div_ceil(BLOCK);
        let params = Params {
            transfers_len: word(transfers.len()),
            events_len: word(events.len()),
            blocks_len: word(blocks),
            padding: 0,
            gas_available: terms.gas_available,
        };

        let mut job = device.job(Self::NAME, transfers.len());
        let site = job.site().clone();
        let params = job.upload(bytemuck::cast_slice(&[params]))?;
        let rows = job.upload_bytes(bytemuck::cast_slice(transfers))?;
        let order = job.upload_bytes(bytemuck::cast_slice::<Event, u8>(&events))?;
        let table = job.upload_bytes(bytemuck::cast_slice(accounts))?;
        let sums = job.buffer(blocks * SUM_WORDS)?;
        let after = job.buffer(events.len() * RUNNING_WORDS)?;
        let summary = job.upload(&[NO_FAILURE, 0, 0])?;
        let lanes = blocks * BLOCK;
        job.dispatch(&self.reduce, lanes, &[&params, &rows, &order, &sums]);
        job.dispatch(&self.scan, BLOCK, &[&params, &sums]);
        job.dispatch(&self.apply, lanes, &[&params, &rows, &order, &table, &sums, &after, &summary]);
        job.dispatch(&self.settle, lanes, &[&params, &order, &after, &table, &summary]);
        let table = job.read(&table);
        let summary = job.read(&summary);

        let mut outputs = job.run()?;
        let summary = outputs.take(summary);
        let table = outputs.take(table);
        let [first, applied, settled] = summary[..] else { unreachable!("three words were asked for") };
        for done in [applied, settled] {
            match done as usize {
                0 => return Err(DeviceError::Unanswered { site, item: 0 }),
                done if done == blocks => {}
                done => return Err(DeviceError::WrongAnswer { site, item: done.min(blocks) * BLOCK }),
            }
        }
        let is_known = match scan::decode_failure(first) {
            Some(failure) => failure.index < transfers.len(),
            None => first == NO_FAILURE,
        };
        if !is_known {
            return Err(DeviceError::WrongAnswer { site, item: first as usize / 8 });
        }
        bytemuck::cast_slice_mut::<Account, u64>(accounts)
            .iter_mut()
            .zip(table.chunks_exact(2))
            .for_each(|(word, halves)| *word = u64::from(halves[0]) | u64::from(halves[1]) << 32);
        Ok(scan::settled(transfers, first))
    }
}

/// A count as the device's word.
fn word(count: usize) -> u32 {
    u32::try_from(count).expect("a batch of the device has fewer than 2^32 events")
}

impl DeviceKernel for TransferKernel {
    const NAME: &'static str = "transfer";

    type Trial = (Vec<Account>, Vec<Transfer>);

    fn shaders(_: IntegerForm, _: crate::gpu::Tuning) -> Vec<Shader> {
        let text = |name, text: &'static str| Shader::new(name, text).modules(modules());
        let shaders = [
            text("transfer.reduce", include_str!("../../../shaders/transfer_reduce.wgsl")),
            text("transfer.scan", include_str!("../../../shaders/transfer_scan.wgsl")),
            text("transfer.apply", include_str!("../../../shaders/transfer_apply.wgsl")),
            text("transfer.settle", include_str!("../../../shaders/transfer_settle.wgsl")),
        ];
        shaders.into_iter().map(with_constants).collect()
    }

    fn new(_: &Device, pipelines: Vec<Pipeline>) -> Result<Self, DeviceError> {
        let [reduce, scan, apply, settle] =
            <[Pipeline; 4]>::try_from(pipelines).expect("as many pipelines as shaders");
        Ok(Self { reduce, scan, apply, settle })
    }

    fn self_test(&self, device: &Device) -> Result<(), DeviceError> {
        super::known::run(|accounts, transfers, terms| self.run(device, accounts, transfers, terms)).and_then(
            |wrong| match wrong {
                None => Ok(()),
                Some((batch_len, item)) => {
                    Err(DeviceError::WrongAnswer { site: device.site(Self::NAME, batch_len), item })
                }
            },
        )
    }
    fn trial(len: usize) -> Self::Trial {
        super::known::trial(len)
    }

    fn trial_on_device(
        &self,
        device: &Device,
        (accounts, transfers): &Self::Trial,
        _: bool,
    ) -> Result<(), DeviceError> {
        self.run(device, &mut accounts.clone(), transfers, TRIAL_TERMS).map(drop)
    }

    /// The serial table, which has no vector form.
    fn cpu_backends() -> Vec<Backend> {
        vec![Backend::Portable]
    }

    fn trial_on_cpu(_: Backend, (accounts, transfers): &Self::Trial) {
        std::hint::black_box(serial::run(&mut accounts.clone(), transfers, TRIAL_TERMS));
    }
}

/// No limit to gas, and fees to someone else.
const TRIAL_TERMS: Terms = Terms { fee_recipient: None, gas_available: u64::MAX };

fn modules() -> [Module; 4] {
    [
        Module::new("i160", include_str!("../../../shaders/lib/i160.wgsl")),
        Module::new("scan", include_str!("../../../shaders/lib/scan.wgsl")),
        Module::new("transfer", include_str!("../../../shaders/lib/transfer.wgsl")),
        Module::new("transfer_lane", include_str!("../../../shaders/lib/transfer_lane.wgsl")),
    ]
}

fn with_constants(shader: Shader) -> Shader {
    shader
        .constant("BLOCK", word(BLOCK))
        .constant("LANE_STEPS", LANE_STEPS)
        .constant("BLOCKS_PER_LANE", BLOCKS_PER_LANE)
        .constant("NO_FAILURE", NO_FAILURE)
        .constant("GAS_POOL", Reason::GasPool as u32)
        .constant("NONCE_TOO_LOW", Reason::NonceTooLow as u32)
        .constant("NONCE_TOO_HIGH", Reason::NonceTooHigh as u32)
        .constant("INSUFFICIENT_FUNDS", Reason::InsufficientFunds as u32)
}
