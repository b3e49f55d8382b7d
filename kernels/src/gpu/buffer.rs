//! Device buffers, and the pool they come from and go back to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::device::Device;
use super::error::DeviceError;

/// Bytes of idle buffers that a device keeps; more are freed.
const IDLE_BYTES_MAX: u64 = 512 << 20;

/// A run of 32-bit words on a device. Clones share it; when the last is gone it goes back to the pool.
#[derive(Clone, Debug)]
pub struct Buffer {
    lease: Arc<Lease>,
    len_words: usize,
}

impl Buffer {
    /// Length in words. At least 1: devices cannot bind an empty buffer.
    #[must_use]
    pub const fn len_words(&self) -> usize {
        self.len_words
    }

    /// Length in bytes: what a binding covers, so that `arrayLength` is [`Self::len_words`].
    pub(super) const fn bytes(&self) -> u64 {
        self.len_words as u64 * 4
    }

    pub(super) fn raw(&self) -> &wgpu::Buffer {
        &self.lease.raw
    }
}

/// What a buffer is for, which decides where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    /// Read and written by kernels.
    Storage,
    /// Mapped by the CPU to read results.
    Staging,
}

/// A buffer on loan. Gives it back when dropped, unless it is told not to.
#[derive(Debug)]
struct Lease {
    raw: wgpu::Buffer,
    purpose: Purpose,
    device: Device,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.device.pool().give(self.purpose, self.raw.clone());
    }
}

/// Idle buffers by purpose and size. Sizes are powers of two, so that batches of like size meet.
#[derive(Debug, Default)]
pub(super) struct Pool {
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    bytes: u64,
    buffers: BTreeMap<(Purpose, u64), Vec<wgpu::Buffer>>,
}

impl Pool {
    fn take(&self, purpose: Purpose, size: u64) -> Option<wgpu::Buffer> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = idle.buffers.get_mut(&(purpose, size))?.pop()?;
        idle.bytes -= size;
        Some(buffer)
    }

    fn give(&self, purpose: Purpose, buffer: wgpu::Buffer) {
        let size = buffer.size();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.bytes + size <= IDLE_BYTES_MAX {
            idle.bytes += size;
            idle.buffers.entry((purpose, size)).or_default().push(buffer);
        }
    }

    /// Fills all idle buffers with zeros, and keeps them. Who holds a buffer that is in use is not waited for.
    pub(super) fn clear(&self, raw: &wgpu::Device, queue: &wgpu::Queue) {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut encoder =
            raw.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("clear") });
        for buffer in idle.buffers.values().flatten() {
            encoder.clear_buffer(buffer, 0, None);
        }
        queue.submit([encoder.finish()]);
    }

    #[cfg(test)]
    pub(super) fn idle_bytes(&self) -> u64 {
        self.idle.lock().unwrap().bytes
    }
}

/// Takes a buffer from the pool, or makes one. Its content is whatever it was.
pub(super) fn lease(
    device: &Device,
    kernel: &'static str,
    batch_len: usize,
    purpose: Purpose,
    len_words: usize,
) -> Result<Buffer, DeviceError> {
    let site = device.site(kernel, batch_len);
    device.check_in_service(&site)?;
    let len_words = len_words.max(1);
    let bytes = len_words as u64 * 4;
    let limit = device.buffer_bytes_max();
    if bytes > limit {
        let detail = format!("a buffer of {bytes} bytes, of {limit} that the adapter allows");
        return Err(DeviceError::OutOfMemory { site, detail });
    }
    let size = bytes.max(256).next_power_of_two().min(limit);
    let raw = match device.pool().take(purpose, size) {
        Some(raw) => raw,
        None => device.guarded(&site, |raw| {
            #[cfg(test)]
            device.events().count_buffer();
            raw.create_buffer(&wgpu::BufferDescriptor {
                label: Some(kernel),
                size,
                usage: match purpose {
                    Purpose::Storage => {
                        wgpu::BufferUsages::STORAGE
                            | wgpu::BufferUsages::COPY_DST
                            | wgpu::BufferUsages::COPY_SRC
                    }
                    Purpose::Staging => wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                },
                mapped_at_creation: false,
            })
        })?,
    };
    Ok(Buffer { lease: Arc::new(Lease { raw, purpose, device: device.clone() }), len_words })
}
