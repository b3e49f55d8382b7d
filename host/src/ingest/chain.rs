//! Chain files as `geth export` writes them: the RLP of one block after another.

use std::{
    fmt,
    io::{self, Read},
    path::{Path, PathBuf},
};

use alloy_primitives::Bytes;

use super::{
    block::{BLOCK_BYTES_MAX, peek_number},
    case::{BlockBytes, BlockInput, Expectation},
    error::{IngestError, IngestFault, RlpFault},
};

/// Longest prefix of an RLP list: a byte, and up to eight of length.
const PREFIX_BYTES_MAX: usize = 9;

/// Reads a chain file block by block, holding one block at a time.
pub(super) struct ChainReader {
    reader: Box<dyn Read + Send>,
    path: PathBuf,
    /// Where the next block starts, in bytes of the uncompressed file.
    offset: u64,
    /// Place of the next block in the file.
    index: u64,
    /// A block that was read ahead.
    ahead: Option<Bytes>,
    /// Set by the end of the file and by an error, after which nothing can be trusted.
    done: bool,
}

impl ChainReader {
    pub(super) fn new(path: &Path, reader: Box<dyn Read + Send>) -> Self {
        Self { reader, path: path.to_owned(), offset: 0, index: 0, ahead: None, done: false }
    }

    /// Takes the genesis block off the front, if the file starts with it (`geth export` from block
    /// 0 does, hive's chains do not).
    pub(super) fn take_genesis(&mut self) -> Result<Option<Bytes>, IngestError> {
        let Some(first) = self.next_block()? else { return Ok(None) };
        if peek_number(&first) == Some(0) {
            return Ok(Some(first));
        }
        self.ahead = Some(first);
        Ok(None)
    }

    fn next_block(&mut self) -> Result<Option<Bytes>, IngestError> {
        if let Some(block) = self.ahead.take() {
            return Ok(Some(block));
        }
        if self.done {
            return Ok(None);
        }
        match self.read_block() {
            Ok(Some(block)) => {
                self.offset += block.len() as u64;
                self.index += 1;
                Ok(Some(block.into()))
            }
            Ok(None) => {
                self.done = true;
                Ok(None)
            }
            Err(fault) => {
                self.done = true;
                Err(IngestError::new(&self.path, format!("block {} of the file", self.index), fault))
            }
        }
    }

    fn read_block(&mut self) -> Result<Option<Vec<u8>>, IngestFault> {
        let offset = self.offset;
        let fault = |fault| IngestFault::Chain { offset, fault };
        let mut block = Vec::with_capacity(PREFIX_BYTES_MAX);
        if !self.read_more(&mut block, 1)? {
            return Ok(None);
        }
        let payload_len = match block[0] {
            0x00..=0xbf => return Err(fault(RlpFault::UnexpectedString)),
            short @ 0xc0..=0xf7 => u64::from(short - 0xc0),
            long @ 0xf8..=0xff => {
                if !self.read_more(&mut block, usize::from(long - 0xf7))? {
                    return Err(fault(RlpFault::UnexpectedEnd));
                }
                block[1..].iter().fold(0, |len, byte| len << 8 | u64::from(*byte))
            }
        };
        let too_long = fault(RlpFault::TooLong { limit_bytes: BLOCK_BYTES_MAX });
        let payload_len = match usize::try_from(payload_len) {
            Ok(len) if len <= BLOCK_BYTES_MAX => len,
            _ => return Err(too_long),
        };
        if payload_len > 0 && !self.read_more(&mut block, payload_len)? {
            return Err(fault(RlpFault::UnexpectedEnd));
        }
        Ok(Some(block))
    }

    /// Appends `count` bytes of the file; false if it ends before. Memory grows with what the file
    /// really holds, not with what a length prefix claims.
    fn read_more(&mut self, block: &mut Vec<u8>, count: usize) -> io::Result<bool> {
        let read = (&mut self.reader).take(count as u64).read_to_end(block)?;
        Ok(read == count)
    }
}

impl Iterator for ChainReader {
    type Item = Result<BlockInput, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        let block = self.next_block().transpose()?;
        Some(block.map(|rlp| BlockInput {
            bytes: BlockBytes::Rlp(rlp),
            expectation: Expectation::Valid,
            stated_hash: None,
            stated_senders: None,
        }))
    }
}

impl fmt::Debug for ChainReader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ChainReader")
            .field("path", &self.path)
            .field("offset", &self.offset)
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}
