//! Keccak-256 of many payloads at once.
//!
//! [`Payloads`] is the input everywhere: all bytes in a row, and where each payload begins. The device takes
//! payloads of up to [`PAYLOAD_LEN_MAX`] bytes; what is longer would hold up its neighbours in the wave and
//! is hashed on the CPU meanwhile.

mod cpu;
mod gpu;
#[cfg(test)]
mod tests;
#[cfg(all(target_arch = "x86_64", not(outrider_portable)))]
#[allow(
    unsafe_code,
    reason = "enters functions with vector instructions, on proof that the processor has them"
)]
pub(crate) mod wide;

pub use cpu::{keccak256, keccak256_on, keccak256_one};
pub use gpu::{KeccakKernel, modules};

/// Bytes that one permutation absorbs.
pub const RATE_BYTES: usize = 136;

/// Most blocks of a payload that a device hashes. Of real signing payloads 99 in 100 have fewer than 14.
pub const BLOCKS_MAX: usize = 32;

/// Longest payload that a device hashes, in bytes: [`BLOCKS_MAX`] blocks, of which padding takes a byte.
pub const PAYLOAD_LEN_MAX: usize = BLOCKS_MAX * RATE_BYTES - 1;

/// A digest of Keccak-256.
pub type Digest = [u8; 32];

/// Many payloads: item i is `bytes[offsets[i]..offsets[i + 1]]`.
#[derive(Clone, Copy, Debug)]
pub struct Payloads<'a> {
    bytes: &'a [u8],
    offsets: &'a [u32],
}

/// Offsets that do not cut bytes into payloads, or payloads too many for 32-bit offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadsError {
    /// There is not even the offset at which nothing ends.
    #[error("no offsets: n payloads need n + 1")]
    NoOffsets,
    /// An offset is lower than the one before.
    #[error("offset {index} is lower than the one before")]
    Descending {
        /// Index of the offset.
        index: usize,
    },
    /// The last offset lies beyond the bytes.
    #[error("the last offset is {end}, beyond {bytes} bytes")]
    Beyond {
        /// The last offset.
        end: u32,
        /// Bytes there are.
        bytes: usize,
    },
    /// The bytes of all payloads together are 4 GiB or more.
    #[error("payloads of 4 GiB or more")]
    TooLong,
}

impl<'a> Payloads<'a> {
    /// `offsets` has one entry more than there are payloads, in ascending order.
    ///
    /// # Errors
    /// [`PayloadsError`] if it does not, or reaches beyond `bytes`.
    pub fn new(bytes: &'a [u8], offsets: &'a [u32]) -> Result<Self, PayloadsError> {
        let &end = offsets.last().ok_or(PayloadsError::NoOffsets)?;
        if let Some(index) = offsets.windows(2).position(|pair| pair[0] > pair[1]) {
            return Err(PayloadsError::Descending { index: index + 1 });
        }
        if end as usize > bytes.len() {
            return Err(PayloadsError::Beyond { end, bytes: bytes.len() });
        }
        Ok(Self { bytes, offsets })
    }

    /// Number of payloads.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all payloads together.
    #[must_use]
    pub const fn len_bytes(&self) -> usize {
        (self.offsets[self.len()] - self.offsets[0]) as usize
    }

    /// The payload of an index.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn get(&self, index: usize) -> &'a [u8] {
        &self.bytes[self.offsets[index] as usize..self.offsets[index + 1] as usize]
    }

    /// All payloads in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The payloads of a range of indices, without a copy.
    ///
    /// # Panics
    /// If the range is not one of payloads.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        Self { bytes: self.bytes, offsets: &self.offsets[range.start..=range.end] }
    }
}

/// Payloads that are being gathered.
#[derive(Clone, Debug)]
pub struct PayloadsBuf {
    bytes: Vec<u8>,
    offsets: Vec<u32>,
}

impl Default for PayloadsBuf {
    fn default() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0] }
    }
}

impl PayloadsBuf {
    /// Makes room for so many payloads with so many bytes in all.
    #[must_use]
    pub fn with_capacity(payloads: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(payloads + 1);
        offsets.push(0);
        Self { bytes: Vec::with_capacity(bytes), offsets }
    }

    /// Adds a payload.
    ///
    /// # Errors
    /// [`PayloadsError::TooLong`] from 4 GiB on; nothing is added then.
    pub fn push(&mut self, payload: &[u8]) -> Result<(), PayloadsError> {
        self.push_with(|bytes| bytes.extend_from_slice(payload))
    }

    /// Adds the payload that `write` appends to the bytes.
    ///
    /// # Errors
    /// [`PayloadsError::TooLong`] from 4 GiB on; nothing is added then.
    ///
    /// # Panics
    /// If `write` takes bytes away.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), PayloadsError> {
        let start = self.bytes.len();
        write(&mut self.bytes);
        assert!(self.bytes.len() >= start, "a payload was taken away");
        match u32::try_from(self.bytes.len()) {
            Ok(end) => {
                self.offsets.push(end);
                Ok(())
            }
            Err(_) => {
                self.bytes.truncate(start);
                Err(PayloadsError::TooLong)
            }
        }
    }

    /// Adds many payloads.
    ///
    /// # Errors
    /// [`PayloadsError::TooLong`] from 4 GiB on; nothing is added then.
    pub fn append(&mut self, payloads: &Payloads<'_>) -> Result<(), PayloadsError> {
        let end =
            u32::try_from(self.bytes.len() + payloads.len_bytes()).map_err(|_| PayloadsError::TooLong)?;
        let begin = payloads.offsets[0];
        let base = self.offsets[self.offsets.len() - 1];
        self.bytes.extend_from_slice(&payloads.bytes[begin as usize..][..(end - base) as usize]);
        self.offsets.extend(payloads.offsets[1..].iter().map(|offset| base + (offset - begin)));
        Ok(())
    }

    /// What was gathered.
    #[must_use]
    pub fn as_payloads(&self) -> Payloads<'_> {
        Payloads { bytes: &self.bytes, offsets: &self.offsets }
    }

    /// Forgets all payloads and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.offsets.truncate(1);
    }
}
