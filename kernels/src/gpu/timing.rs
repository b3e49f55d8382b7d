//! How long each dispatch of a job took on the device, by its own clock.
//!
//! For measuring only: a job that is timed puts every dispatch into a pass of its own, and makes what it needs for it
//! anew each time.

use std::time::Duration;

use super::device::Device;

/// Bytes of a timestamp.
const STAMP_BYTES: usize = size_of::<u64>();

/// Time that a dispatch took on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageTime {
    /// Name of its shader: `KERNEL` or `KERNEL.STAGE`.
    pub stage: &'static str,
    /// From its begin to its end.
    pub time: Duration,
}

/// Where a job's timestamps are taken and gathered: two for each dispatch.
#[derive(Debug)]
pub(super) struct Stamps {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    count: u32,
}

impl Stamps {
    pub(super) fn new(raw: &wgpu::Device, dispatches: usize) -> Self {
        let count = 2 * u32::try_from(dispatches).expect("a few dispatches");
        let queries = raw.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("timing"),
            ty: wgpu::QueryType::Timestamp,
            count,
        });
        let resolved = raw.create_buffer(&wgpu::BufferDescriptor {
            label: Some("timing"),
            size: u64::from(count) * STAMP_BYTES as u64,
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        Self { queries, resolved, count }
    }

    /// What the pass of a dispatch writes.
    pub(super) fn of_dispatch(&self, dispatch: u32) -> wgpu::ComputePassTimestampWrites<'_> {
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(2 * dispatch),
            end_of_pass_write_index: Some(2 * dispatch + 1),
        }
    }

    /// Puts all of them into staging memory at an offset.
    pub(super) fn gather(&self, encoder: &mut wgpu::CommandEncoder, staging: &wgpu::Buffer, offset: u64) {
        encoder.resolve_query_set(&self.queries, 0..self.count, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(
            &self.resolved,
            0,
            staging,
            offset,
            u64::from(self.count) * STAMP_BYTES as u64,
        );
    }
}

/// Words of staging memory for so many dispatches.
pub(super) const fn staging_words(dispatches: usize) -> usize {
    dispatches * 2 * (STAMP_BYTES / 4)
}

/// Times from pairs of timestamps.
pub(super) fn stage_times(
    device: &Device,
    stages: impl Iterator<Item = &'static str>,
    bytes: &[u8],
) -> Vec<StageTime> {
    let period_ns = f64::from(device.queue().get_timestamp_period());
    let stamp = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |stamp, &byte| stamp << 8 | u64::from(byte));
    let pairs = bytes.chunks_exact(2 * STAMP_BYTES);
    stages
        .zip(pairs)
        .map(|(stage, pair)| {
            let (begin, end) = pair.split_at(STAMP_BYTES);
            // A clock that was reset in between tells nothing; it must not tell of centuries either.
            let ticks = stamp(end).saturating_sub(stamp(begin));
            StageTime { stage, time: Duration::from_secs_f64(ticks as f64 * period_ns * 1e-9) }
        })
        .collect()
}
