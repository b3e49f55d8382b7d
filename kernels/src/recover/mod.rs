//! Recovery of the signer of an ECDSA signature on secp256k1, for many signatures at once.
//!
//! From a message hash z and a signature (r, s, recovery id) it finds the one public key
//! Q = (s·R − z·G)/r for which the signature is valid (SEC 1, section 4.1.6), where R is the curve point that r
//! and the recovery id name, and the Ethereum address of Q.
//!
//! What it promises:
//!
//! - **One answer for one input**, bit for bit, whichever way it was worked out and whatever else was in
//!   the batch.
//! - **The raw kernel knows no rules of a chain.** It takes recovery ids 0 to 3 and any s from 1 to n − 1. Who
//!   may sign what is said by [`policy`], which every caller shares.
//! - **A device never condemns.** Its rejections are confirmed here by range checks and one square root, and what
//!   it could not finish (an exceptional addition) is redone by [`recover_one`].
//! - All inputs are public, so nothing here is constant-time, and no signing key ever comes near it.

pub mod audit;
mod cpu;
mod curve;
mod gpu;
mod limbs;
pub mod policy;
#[cfg(test)]
mod tests;
#[cfg(all(target_arch = "x86_64", not(outrider_portable)))]
mod wide;

use crate::keccak::Payloads;

pub use cpu::{recover, recover_on, recover_one, warm_up};
pub use gpu::{Answer, Hints, RecoverKernel, Trial};

/// 32 bytes, big-endian: a number, or a hash to be read as one.
pub type Word = [u8; 32];

/// A signature with the two bits that single out its signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signature {
    /// x-coordinate of R, modulo n; big-endian.
    pub r: Word,
    /// The proof; big-endian.
    pub s: Word,
    /// Bit 0: whether the y-coordinate of R is odd. Bit 1: whether its x-coordinate is r + n rather than r.
    /// Ethereum's *y parity* is an id of 0 or 1; see [`policy`].
    pub recovery_id: u8,
}

/// Who signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signer {
    /// x, then y, each big-endian: an uncompressed SEC 1 key without its first byte.
    pub public_key: [u8; 64],
    /// The last 20 bytes of the Keccak-256 of `public_key` (Yellow Paper, appendix F).
    pub address: [u8; 20],
}

/// Why a signature has no signer. The first that applies, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Rejection {
    /// A recovery id over 3.
    #[error("recovery id is not 0 to 3")]
    RecoveryIdOutOfRange,
    /// r is 0, or n or more.
    #[error("r is not between 1 and n - 1")]
    ROutOfRange,
    /// s is 0, or n or more.
    #[error("s is not between 1 and n - 1")]
    SOutOfRange,
    /// No curve point has the x-coordinate that r and the recovery id name.
    #[error("r is not the x-coordinate of a curve point")]
    NotOnCurve,
    /// The key would be the point at infinity.
    #[error("the recovered key is the point at infinity")]
    Infinity,
}

/// What becomes of one signature.
pub type Verdict = Result<Signer, Rejection>;

/// What was signed, item by item.
#[derive(Clone, Copy, Debug)]
pub enum Messages<'a> {
    /// The hashes themselves.
    Hashes(&'a [Word]),
    /// Payloads, of which the Keccak-256 was signed.
    Payloads(Payloads<'a>),
}

impl<'a> Messages<'a> {
    /// Number of messages.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Hashes(hashes) => hashes.len(),
            Self::Payloads(payloads) => payloads.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn slice(&self, range: std::ops::Range<usize>) -> Self {
        match self {
            Self::Hashes(hashes) => Self::Hashes(&hashes[range]),
            Self::Payloads(payloads) => Self::Payloads(payloads.slice(range)),
        }
    }
}

/// Signatures and what they sign, equally many.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    messages: Messages<'a>,
    signatures: &'a [Signature],
}

/// Not as many messages as signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{messages} messages for {signatures} signatures")]
pub struct LengthMismatch {
    /// Number of messages.
    pub messages: usize,
    /// Number of signatures.
    pub signatures: usize,
}

impl<'a> Batch<'a> {
    /// Signature i signs message i.
    ///
    /// # Errors
    /// [`LengthMismatch`].
    pub const fn new(messages: Messages<'a>, signatures: &'a [Signature]) -> Result<Self, LengthMismatch> {
        if messages.len() != signatures.len() {
            return Err(LengthMismatch { messages: messages.len(), signatures: signatures.len() });
        }
        Ok(Self { messages, signatures })
    }

    /// Number of signatures.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.signatures.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.signatures.is_empty()
    }

    /// What must be hashed first; `None` where the hashes were given.
    pub(crate) const fn payloads(&self) -> Option<&Payloads<'a>> {
        match &self.messages {
            Messages::Hashes(_) => None,
            Messages::Payloads(payloads) => Some(payloads),
        }
    }

    /// The signature of an item.
    pub(crate) const fn signature(&self, index: usize) -> &'a Signature {
        &self.signatures[index]
    }

    /// The items of a range.
    ///
    /// # Panics
    /// If the range is not one of items.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        Self { messages: self.messages.slice(range.clone()), signatures: &self.signatures[range] }
    }
}

/// How the halves of u2 are cut into signed odd digits: ±1 to ±(2^bits − 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct HalfWindow {
    /// Bits of a digit.
    bits: u32,
}

impl HalfWindow {
    /// Digits of a half, which is below 2^130 (`limbs/scalar.rs`).
    const fn digits(self) -> u32 {
        130_u32.div_ceil(self.bits)
    }

    /// Digits that share a word; bit 31 of the last word is the sign's.
    const fn digits_per_word(self) -> u32 {
        31 / self.bits
    }

    /// Words of digits of a half.
    const fn words(self) -> u32 {
        self.digits().div_ceil(self.digits_per_word())
    }

    /// Doublings of a ladder.
    const fn doublings(self) -> u32 {
        self.bits * (self.digits() - 1)
    }

    /// Entries of an item's table: the odd multiples of R.
    const fn entries(self) -> u32 {
        1 << (self.bits - 1)
    }
}
