//! Fuzz targets beside those of `outrider::ingest::fuzz::TARGETS`: backends of the kernels against each other, states that
//! witnesses tell of, and the canary, a
//! planted fault that the fuzzer must find.

pub mod backends;
pub mod witness;

/// Panics on inputs that begin with a word nobody would try: found in a second if coverage and
/// comparisons guide the search, and never if they do not.
pub fn canary(bytes: &[u8]) {
    if let Some(word) = bytes.first_chunk::<8>() {
        assert!(u64::from_be_bytes(*word) != 0x6f75_7472_6964_6572, "the canary was found");
    }
}
