//! Files, plain or gzip, whole or as a stream, never more than a given number of bytes.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;

use super::error::IngestFault;

/// Most bytes of a JSON file after decompression. A genesis of twenty million accounts fits.
pub const JSON_FILE_BYTES_MAX: u64 = 2 << 30;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const READ_BUFFER_BYTES: usize = 1 << 18;

/// Opens a regular file; one that starts as gzip does is decompressed, whatever its name.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    // Before opening it: a named pipe would block until someone writes.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut file = BufReader::with_capacity(READ_BUFFER_BYTES, File::open(path)?);
    if file.fill_buf()?.starts_with(&GZIP_MAGIC) {
        return Ok(Box::new(BufReader::with_capacity(READ_BUFFER_BYTES, MultiGzDecoder::new(file))));
    }
    Ok(Box::new(file))
}

/// Reads a file whole, decompressed.
pub(super) fn read(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, IngestFault> {
    read_up_to(open(path)?, limit_bytes)
}

/// Decompresses gzip in memory.
pub(super) fn gunzip(compressed: &[u8], limit_bytes: u64) -> Result<Vec<u8>, IngestFault> {
    read_up_to(MultiGzDecoder::new(compressed), limit_bytes)
}

fn read_up_to(reader: impl Read, limit_bytes: u64) -> Result<Vec<u8>, IngestFault> {
    let mut bytes = Vec::new();
    reader.take(limit_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit_bytes {
        return Err(IngestFault::TooLong { limit_bytes });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_gzip_bomb_stops_at_the_limit() {
        let bomb = gzip(&vec![0; 8 << 20]);
        assert!(bomb.len() < 16 << 10);
        let fault = gunzip(&bomb, 1 << 20).unwrap_err();
        assert!(matches!(fault, IngestFault::TooLong { limit_bytes: 0x10_0000 }), "{fault}");
        assert_eq!(gunzip(&bomb, 8 << 20).unwrap().len(), 8 << 20);
    }

    #[test]
    fn damaged_gzip_is_an_error_at_every_length() {
        let whole = gzip(b"some text that is compressed");
        for len in 0..whole.len() {
            // No bytes at all are no members, which decompress to nothing.
            assert!(len == 0 || gunzip(&whole[..len], 1 << 20).is_err(), "cut to {len} bytes");
        }
        let mut surplus = whole.clone();
        surplus.extend(b"and more");
        assert!(gunzip(&surplus, 1 << 20).is_err());
        surplus.truncate(whole.len());
        surplus.extend(&whole);
        assert_eq!(gunzip(&surplus, 1 << 20).unwrap().len(), 56);
    }

    #[test]
    fn compression_is_seen_by_content_and_folders_are_no_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plain-name");
        std::fs::write(&path, gzip(b"text")).unwrap();
        assert_eq!(read(&path, 10).unwrap(), b"text");
        std::fs::write(&path, b"text").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"text");
        assert!(matches!(read(&path, 3), Err(IngestFault::TooLong { limit_bytes: 3 })));
        assert!(read(folder.path(), 3).is_err());
    }
}
