//! Paths: keys as sequences of nibbles, most significant first.

use super::Key;
use std::{cmp::Ordering, fmt};

/// Nibbles of a key.
pub(super) const KEY_NIBBLES: usize = 64;

/// The nibble at an index below [`KEY_NIBBLES`].
pub(super) const fn nibble(key: &Key, index: usize) -> u8 {
    let byte = key[index / 2];
    if index.is_multiple_of(2) { byte >> 4 } else { byte & 15 }
}

/// Sets the nibble at an index below [`KEY_NIBBLES`] to one below 16.
pub(super) const fn set_nibble(key: &mut Key, index: usize, nibble: u8) {
    let byte = &mut key[index / 2];
    *byte = if index.is_multiple_of(2) { *byte & 0x0f | nibble << 4 } else { *byte & 0xf0 | nibble };
}

/// How many nibbles two keys have in common from the start.
#[expect(clippy::cast_possible_truncation, reason = "a word has 16 nibbles")]
pub(super) fn shared(a: &Key, b: &Key) -> u8 {
    let words = a.chunks_exact(8).zip(b.chunks_exact(8));
    let mut nibbles = 0;
    for (a, b) in words {
        let differing = word(a) ^ word(b);
        if differing != 0 {
            return nibbles + (differing.leading_zeros() / 4) as u8;
        }
        nibbles += 16;
    }
    nibbles
}

/// The order of keys. Hashes nearly always differ in their first word, which spares a call.
pub(super) fn order(a: &Key, b: &Key) -> Ordering {
    first_word(a).cmp(&first_word(b)).then_with(|| a.cmp(b))
}

/// The first bits of what follows so many nibbles of a key, as a part of 2^64; with less precision the more they are.
pub(super) fn after(key: &Key, nibbles: u8) -> u64 {
    first_word(key).checked_shl(4 * u32::from(nibbles)).unwrap_or(0)
}

/// What [`order`] compares first.
pub(super) fn first_word(key: &Key) -> u64 {
    word(&key[..8])
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("eight bytes"))
}

/// The first `nibbles` (at most 4) of a key, as a number.
pub(super) const fn prefix(key: &Key, nibbles: u32) -> usize {
    let first = u16::from_be_bytes([key[0], key[1]]) as usize;
    first >> (16 - 4 * nibbles)
}

/// Length of the compact encoding (Yellow Paper, appendix C) of so many nibbles.
pub(super) const fn compact_len(nibbles: usize) -> usize {
    1 + nibbles / 2
}

/// Appends the compact encoding of the nibbles from `start` to `end`, which are not the last of a key.
pub(super) fn push_compact(key: &Key, start: usize, end: usize, out: &mut Vec<u8>) {
    let odd = (end - start) % 2;
    out.push(if odd == 1 { 0x10 | nibble(key, start) } else { 0 });
    out.extend((start + odd..end).step_by(2).map(|index| nibble(key, index) << 4 | nibble(key, index + 1)));
}

/// The first nibbles of a key, as hexadecimal digits.
pub(super) struct Hex<'a>(pub(super) &'a Key, pub(super) u8);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        (0..usize::from(self.1)).try_for_each(|index| write!(f, "{:x}", nibble(self.0, index)))
    }
}
