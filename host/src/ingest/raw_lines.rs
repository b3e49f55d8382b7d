//! Raw signed transactions as text: hexadecimal, one a line.

use std::io::{self, BufRead, Read};

use alloy_primitives::hex;

use super::{
    error::TransactionFault,
    transaction::{RawTransaction, decode_raw_transaction},
};

/// Longest line, in bytes. A transaction with 21 blobs and their cell proofs has 5.8 million.
pub const RAW_LINE_BYTES_MAX: usize = 16 << 20;

/// A line of input that holds something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawLine {
    /// Number of the line, from 1.
    pub number: u64,
    /// The transaction on it, or why there is none.
    pub transaction: Result<RawTransaction, LineFault>,
}

/// Why a line holds no transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineFault {
    /// Longer than [`RAW_LINE_BYTES_MAX`].
    #[error("longer than {RAW_LINE_BYTES_MAX} bytes")]
    TooLong,
    /// An odd number of hexadecimal digits.
    #[error("an odd number of hexadecimal digits")]
    OddDigits,
    /// Characters that are no hexadecimal digits.
    #[error("not hexadecimal")]
    NotHex,
    /// The bytes are no signed transaction.
    #[error(transparent)]
    Transaction(#[from] TransactionFault),
}

/// The lines of a reader, in order; empty lines and those that start with `#` are passed over.
/// What a line holds never stops the iteration, only a failing reader does.
#[derive(Debug)]
pub struct RawLines<R> {
    reader: R,
    number: u64,
    buffer: Vec<u8>,
    failed: bool,
}

impl<R: BufRead> RawLines<R> {
    /// Lines of `reader`.
    pub const fn new(reader: R) -> Self {
        Self { reader, number: 0, buffer: Vec::new(), failed: false }
    }

    fn next_line(&mut self) -> io::Result<Option<RawLine>> {
        loop {
            self.buffer.clear();
            let limit = RAW_LINE_BYTES_MAX as u64 + 1;
            if (&mut self.reader).take(limit).read_until(b'\n', &mut self.buffer)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            let whole = self.buffer.ends_with(b"\n") || self.buffer.len() <= RAW_LINE_BYTES_MAX;
            if !whole {
                self.reader.skip_until(b'\n')?;
                return Ok(Some(RawLine { number: self.number, transaction: Err(LineFault::TooLong) }));
            }
            let text = self.buffer.trim_ascii();
            if !text.is_empty() && !text.starts_with(b"#") {
                return Ok(Some(RawLine { number: self.number, transaction: decode_line(text) }));
            }
        }
    }
}

impl<R: BufRead> Iterator for RawLines<R> {
    type Item = io::Result<RawLine>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let line = self.next_line().transpose();
        self.failed = matches!(line, Some(Err(_)));
        line
    }
}

/// Decodes one line without its end: hexadecimal, with or without `0x`.
pub fn decode_line(text: &[u8]) -> Result<RawTransaction, LineFault> {
    let digits = text.strip_prefix(b"0x").unwrap_or(text);
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(LineFault::NotHex);
    }
    if !digits.len().is_multiple_of(2) {
        return Err(LineFault::OddDigits);
    }
    let bytes = hex::decode(digits).map_err(|_| LineFault::NotHex)?;
    Ok(decode_raw_transaction(&bytes)?)
}
