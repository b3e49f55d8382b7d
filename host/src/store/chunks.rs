//! Sorted rows in chunks: a table of the embedded store with far fewer entries than rows.
//!
//! A chunk holds neighbouring rows, one after the other, under the key of the first that it had when it was
//! written. Changes come sorted and in large numbers, so a step rewrites each chunk that it touches once.

use super::StoreFault;
use alloy_rlp::Header as Prefix;
use redb::{ReadableTable as _, Table};
use std::ops::{Bound, Range};

/// A table of chunks.
pub(super) type ChunkTable<'txn> = Table<'txn, &'static [u8], &'static [u8]>;

/// Longest chunk that a step writes, in bytes, unless a single row is longer. With its key it fits a page of 32 KiB.
const CHUNK_BYTES_MAX: usize = 32_000;
/// A chunk that is shorter when a step has touched it is joined with the next.
const CHUNK_BYTES_MIN: usize = 8_000;

/// How much a table holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// Changes of rows with keys of `N` bytes: of several for one key, the last counts.
#[derive(Debug)]
pub(super) struct Edits<const N: usize> {
    /// Key, order, and where in `rows` the row is; an empty range removes the row.
    edits: Vec<Edit<N>>,
    rows: Vec<u8>,
}

#[derive(Debug)]
struct Edit<const N: usize> {
    key: [u8; N],
    order: u64,
    row: Range<usize>,
}

impl<const N: usize> Default for Edits<N> {
    fn default() -> Self {
        Self { edits: Vec::new(), rows: Vec::new() }
    }
}

impl<const N: usize> Edits<N> {
    /// Sets the row of a key to what `encode` appends.
    pub(super) fn set(&mut self, key: [u8; N], order: u64, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.rows.len();
        encode(&mut self.rows);
        self.edits.push(Edit { key, order, row: start..self.rows.len() });
    }

    /// Removes the row of a key, if there is one.
    pub(super) fn remove(&mut self, key: [u8; N], order: u64) {
        self.edits.push(Edit { key, order, row: 0..0 });
    }

    /// Turns what is set into removals where `is_void` says so of key and order.
    pub(super) fn void(&mut self, is_void: impl Fn(&[u8; N], u64) -> bool) {
        for edit in &mut self.edits {
            if is_void(&edit.key, edit.order) {
                edit.row = 0..0;
            }
        }
    }

    /// Leaves the last edit of each key, by key.
    fn sort(&mut self) {
        // Of equal keys the last comes first, and stays.
        self.edits.sort_unstable_by(|a, b| (&a.key, b.order).cmp(&(&b.key, a.order)));
        self.edits.dedup_by(|earlier, last| earlier.key == last.key);
    }

    /// Applies all to a table, and to what is known of it.
    pub(super) fn apply(mut self, table: &mut ChunkTable<'_>, totals: &mut Totals) -> Result<(), StoreFault> {
        self.sort();
        let mut left = Changes { edits: &self.edits, rows: &self.rows };
        while let Some(first) = left.edits.first() {
            rewrite(table, first.key, &mut left, totals)?;
        }
        Ok(())
    }
}

/// Sorted edits that are not applied yet.
struct Changes<'a, const N: usize> {
    edits: &'a [Edit<N>],
    rows: &'a [u8],
}

impl<const N: usize> Changes<'_, N> {
    /// Appends the rows of a chunk, changed, and takes the edits of keys before `end`.
    /// Returns how many rows the chunk had.
    fn merge(&mut self, chunk: &[u8], end: Option<&[u8]>, out: &mut Vec<u8>) -> Result<u64, StoreFault> {
        let mut rows = 0;
        let is_before = |key: &[u8], end: Option<&[u8]>| end.is_none_or(|end| key < end);
        for row in Rows::<N>(chunk) {
            let (key, row) = row?;
            let earlier = self.edits.partition_point(|edit| edit.key < *key);
            self.put(earlier, out);
            match self.edits.first() {
                Some(edit) if edit.key == *key => self.put(1, out),
                _ => out.extend_from_slice(row),
            }
            rows += 1;
        }
        let rest = self.edits.partition_point(|edit| is_before(&edit.key, end));
        self.put(rest, out);
        Ok(rows)
    }

    fn put(&mut self, count: usize, out: &mut Vec<u8>) {
        let (done, left) = self.edits.split_at(count);
        for edit in done {
            out.extend_from_slice(&self.rows[edit.row.clone()]);
        }
        self.edits = left;
    }
}

/// Rewrites the chunk that `key` belongs to, and those after it as long as what comes of them is too short.
fn rewrite<const N: usize>(
    table: &mut ChunkTable<'_>,
    key: [u8; N],
    changes: &mut Changes<'_, N>,
    totals: &mut Totals,
) -> Result<(), StoreFault> {
    let own = table.range::<&[u8]>(..=&key[..])?.next_back().transpose()?;
    // Keys before the first chunk belong to it.
    let own = own.map_or_else(|| table.first(), |own| Ok(Some(own)))?;
    let mut current = own.map(|(key, _)| key.value().to_vec());
    let mut merged = Vec::new();
    loop {
        let after = match &current {
            None => None,
            Some(key) => {
                let next = table.range::<&[u8]>((Bound::Excluded(&key[..]), Bound::Unbounded))?.next();
                next.transpose()?.map(|(key, _)| key.value().to_vec())
            }
        };
        let chunk = current.map(|key| table.remove(&key[..])).transpose()?.flatten();
        let chunk = chunk.as_ref().map_or(&[][..], |chunk| chunk.value());
        totals.bytes -= chunk.len() as u64;
        totals.rows -= changes.merge(chunk, after.as_deref(), &mut merged)?;
        current = after;
        if merged.len() >= CHUNK_BYTES_MIN || current.is_none() {
            break;
        }
    }
    write::<N>(table, &merged, totals)
}

/// Writes rows as chunks of about the same length.
fn write<const N: usize>(
    table: &mut ChunkTable<'_>,
    rows: &[u8],
    totals: &mut Totals,
) -> Result<(), StoreFault> {
    let pieces = rows.len().div_ceil(CHUNK_BYTES_MAX);
    let (mut start, mut end, mut piece) = (0, 0, 1);
    let mut first_key = None;
    for row in Rows::<N>(rows) {
        let (key, row) = row?;
        // A chunk ends at the row that reaches its share of the whole.
        if end > start && end + row.len() > piece * rows.len() / pieces {
            let key = first_key.replace(*key).expect("the chunk has a first row");
            table.insert(&key[..], &rows[start..end])?;
            start = end;
            piece += 1;
        }
        first_key.get_or_insert(*key);
        end += row.len();
        totals.rows += 1;
    }
    if let Some(key) = first_key {
        table.insert(&key[..], &rows[start..])?;
    }
    totals.bytes += rows.len() as u64;
    Ok(())
}

/// The rows of a chunk with their keys; an error ends them.
#[derive(Debug)]
pub(super) struct Rows<'a, const N: usize>(pub(super) &'a [u8]);

impl<'a, const N: usize> Iterator for Rows<'a, N> {
    type Item = Result<(&'a [u8; N], &'a [u8]), StoreFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let all = std::mem::take(&mut self.0);
        let mut left = all;
        let row = Prefix::decode_bytes(&mut left, true)
            .and_then(|mut fields| Prefix::decode_bytes(&mut fields, false))
            .and_then(|key| key.as_array().ok_or(alloy_rlp::Error::UnexpectedLength));
        Some(match row {
            Ok(key) => {
                self.0 = left;
                Ok((key, &all[..all.len() - left.len()]))
            }
            Err(error) => Err(error.into()),
        })
    }
}
