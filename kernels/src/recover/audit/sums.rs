//! One multi-scalar multiplication for all items: Pippenger's buckets.
//!
//! Everything is sums of *segments*: lists of points, each perhaps negated. The points of a window are sorted by the
//! magnitude of their digits; a bucket is one segment, or several if it is much longer than others (digits are random, but
//! their scalars are an adversary's: with u2 = 1 all high digits are equal), which are then added in turn. Segments are
//! independent, so a block of them advances by one point each, and all denominators of a step share one inversion.
//!
//! The sum of bucket b of a window counts 2 b + 1 times. With b in two halves, high and low, their sums along either are
//! two additions a bucket; of those, the sums over all b with bit k are the points for the bits of the result.

use std::borrow::Cow;

use k256::elliptic_curve::sec1::FromSec1Point as _;
use k256::{AffinePoint, ProjectivePoint, Sec1Point};
use rayon::prelude::*;

use super::windows::{Code, Windows};
use super::{Arithmetic, Words, word_of};

/// Items whose codes lie together.
pub(in crate::recover) const CHUNK_LEN: usize = 256;
/// Points of an item: R, λR and −Q.
pub(in crate::recover) const KINDS: usize = 3;

/// Segments that share inversions at most, and at least if there are so many.
const BLOCK_LEN_MAX: usize = 1024;
const BLOCK_LEN_MIN: usize = 512;
/// Segments that make full use of the registers of any form.
pub(in crate::recover) const BLOCK_LEN_STEP: usize = 32;
/// A bucket with so many points at least may be cut into segments.
const SEGMENT_LEN_MIN: usize = 16;

/// The words of x, then those of y, below p; zeros stand for the point at infinity, as no point has such coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub(in crate::recover) struct Row(pub(in crate::recover) [u64; 8]);

impl Row {
    pub(in crate::recover) const INFINITY: Self = Self([0; 8]);

    #[inline(always)]
    pub(in crate::recover) const fn new(x: &Words, y: &Words) -> Self {
        Self([x[0], x[1], x[2], x[3], y[0], y[1], y[2], y[3]])
    }

    /// x and y.
    #[inline(always)]
    pub(in crate::recover) const fn coordinates(&self) -> [Words; 2] {
        let [a, b, c, d, e, f, g, h] = self.0;
        [[a, b, c, d], [e, f, g, h]]
    }

    /// No point of the curve has a y of 0, as its order is odd.
    #[inline(always)]
    const fn is_infinity(&self) -> bool {
        let [.., a, b, c, d] = self.0;
        a | b | c | d == 0
    }

    fn to_point(self) -> ProjectivePoint {
        if self.is_infinity() {
            return ProjectivePoint::IDENTITY;
        }
        let [x, y] = self.coordinates().map(|words| word_of(&words).into());
        let point = AffinePoint::from_sec1_point(&Sec1Point::from_affine_coordinates(&x, &y, false));
        point.into_option().expect("sums of points are on the curve").into()
    }
}

/// A point to be added: its index, and whether it is negated.
#[derive(Clone, Copy, Debug)]
pub(in crate::recover) struct Entry(u32);

impl Entry {
    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "indices are below 2^31: a part has far fewer points"
    )]
    pub(in crate::recover) const fn new(index: usize, is_negative: bool) -> Self {
        Self((index as u32) << 1 | is_negative as u32)
    }

    #[inline(always)]
    pub(in crate::recover) const fn index(self) -> usize {
        (self.0 >> 1) as usize
    }

    #[inline(always)]
    pub(in crate::recover) const fn is_negative(self) -> bool {
        self.0 & 1 != 0
    }
}

/// Neighbouring entries, of which the sum is wanted.
#[derive(Clone, Copy, Debug)]
pub(in crate::recover) struct Segment {
    pub(in crate::recover) start: u32,
    pub(in crate::recover) len: u32,
}

impl Segment {
    #[expect(clippy::cast_possible_truncation, reason = "a part has far fewer points than 2^32")]
    const fn new(start: usize, len: usize) -> Self {
        Self { start: start as u32, len: len as u32 }
    }
}

/// Points and the codes of their digits, chunk by chunk.
pub(in crate::recover) struct Terms {
    windows: Windows,
    len: usize,
    /// [`KINDS`] for each item.
    points: Vec<Row>,
    /// For each chunk, and each slot of [`Windows::slots`], [`CHUNK_LEN`] codes.
    codes: Vec<Code>,
}

impl Terms {
    pub(in crate::recover) fn new(len: usize) -> Self {
        let windows = Windows::for_items(len);
        let codes = len.div_ceil(CHUNK_LEN) * CHUNK_LEN * windows.slots();
        Self { windows, len, points: vec![Row::INFINITY; KINDS * len], codes: vec![0; codes] }
    }

    pub(in crate::recover) const fn windows(&self) -> Windows {
        self.windows
    }

    /// For each chunk, its points and its codes.
    pub(in crate::recover) fn chunks_mut(
        &mut self,
    ) -> impl IndexedParallelIterator<Item = (&mut [Row], &mut [Code])> + '_ {
        let codes = self.codes.par_chunks_mut(CHUNK_LEN * self.windows.slots());
        self.points.par_chunks_mut(KINDS * CHUNK_LEN).zip(codes)
    }

    /// The sum of all points, each times its scalar.
    pub(in crate::recover) fn sum(&self, arithmetic: impl Arithmetic) -> ProjectivePoint {
        let buckets = self.bucket_sums(arithmetic);
        let bits = sums_for_bits(arithmetic, self.windows, &buckets);
        bits.iter().rev().fold(ProjectivePoint::IDENTITY, |sum, row| sum.double() + row.to_point())
    }

    /// The sum of the points of each bucket, window by window.
    fn bucket_sums(&self, arithmetic: impl Arithmetic) -> Sums {
        let (mut entries, mut ends) = self.sorted();
        let len_max = (2 * entries.len() / ends.len()).max(SEGMENT_LEN_MIN);
        let mut points = Cow::Borrowed(&self.points);
        // Every bucket's points, then every bucket's sums of segments, until each has no more than one.
        loop {
            let mut segments = Vec::with_capacity(ends.len());
            let (mut start, mut is_last) = (0, true);
            for end in &mut ends {
                // A bucket without points has a segment without any.
                let (len, pieces) = (*end - start, (*end - start).div_ceil(len_max).max(1));
                segments.extend((0..pieces).map(|i| {
                    let (from, to) = (len * i / pieces, len * (i + 1) / pieces);
                    Segment::new(start + from, to - from)
                }));
                is_last &= pieces == 1;
                start = std::mem::replace(end, segments.len());
            }
            let sums = sum_segments(arithmetic, &points, &entries, &segments);
            if is_last {
                return sums;
            }
            entries = sums.places.iter().map(|&place| Entry::new(place, false)).collect();
            points = Cow::Owned(sums.rows);
        }
    }

    /// All points, once for each window, by bucket, and where each bucket ends.
    fn sorted(&self) -> (Vec<Entry>, Vec<usize>) {
        let windows = self.windows;
        let mut entries = vec![Entry(0); self.len * windows.slots()];
        let mut ends = vec![0; windows.halves() * windows.buckets()];
        let mut rest = &mut *entries;
        let mut tasks = Vec::with_capacity(windows.halves());
        let mut start = 0;
        for (window, ends) in ends.chunks_exact_mut(windows.buckets()).enumerate() {
            let len = self.len * (KINDS - usize::from(window >= windows.coefficients()));
            let entries = rest.split_off_mut(..len).expect("a slot for each point");
            tasks.push((window, start, entries, ends));
            start += len;
        }
        tasks.into_par_iter().for_each(|(window, start, entries, ends)| {
            self.sort(window, entries, ends);
            for end in ends {
                *end += start;
            }
        });
        (entries, ends)
    }

    /// Sorts the points of a window by bucket.
    fn sort(&self, window: usize, entries: &mut [Entry], ends: &mut [usize]) {
        for (_, codes) in self.codes_of(window) {
            for &code in codes {
                ends[self.windows.bucket(code).0 as usize] += 1;
            }
        }
        let mut total = 0;
        for end in &mut *ends {
            total += std::mem::replace(end, total);
        }
        // What are starts so far become ends as the entries go in.
        for (first, codes) in self.codes_of(window) {
            for (item, &code) in codes.iter().enumerate() {
                let (bucket, is_negative) = self.windows.bucket(code);
                let end = &mut ends[bucket as usize];
                entries[*end] = Entry::new(first + KINDS * item, is_negative);
                *end += 1;
            }
        }
    }

    /// The codes of a window, by their place: each slice with the index of its first point.
    fn codes_of(&self, window: usize) -> impl Iterator<Item = (usize, &[Code])> {
        let windows = self.windows;
        let slots = std::array::from_fn::<_, KINDS, _>(|kind| windows.slots_of(kind).nth(window));
        self.codes.chunks_exact(CHUNK_LEN * windows.slots()).enumerate().flat_map(move |(chunk, codes)| {
            let len = CHUNK_LEN.min(self.len - chunk * CHUNK_LEN);
            slots.into_iter().enumerate().filter_map(move |(kind, slot)| {
                let start = slot? * CHUNK_LEN;
                Some((KINDS * chunk * CHUNK_LEN + kind, &codes[start..start + len]))
            })
        })
    }
}

/// For each window w, and in it for bits 0 to w − 1: the points that count 2^bit times, given the buckets of all.
fn sums_for_bits(arithmetic: impl Arithmetic, windows: Windows, buckets: &Sums) -> Vec<Row> {
    let index_bits = windows.bits - 1;
    let low_bits = index_bits.div_ceil(2);
    let (lows, highs) = (1 << low_bits, 1 << (index_bits - low_bits));
    let mut gather = Gather::new(buckets);
    for window in 0..windows.halves() {
        let bucket = |high: usize, low: usize| window * windows.buckets() + (high << low_bits) + low;
        for high in 0..highs {
            gather.segment((0..lows).map(|low| bucket(high, low)));
        }
        for low in 0..lows {
            gather.segment((0..highs).map(|high| bucket(high, low)));
        }
    }
    let sides = gather.sums(arithmetic);
    let mut gather = Gather::new(&sides);
    for window in 0..windows.halves() {
        let first_high = window * (highs + lows);
        let first_low = first_high + highs;
        let with_bit = |len: usize, bit: usize| (0..len).filter(move |index| index >> bit & 1 != 0);
        // 2 b + 1 is 1 for every bucket, and 2^(k + 1) for those with bit k.
        gather.segment(first_high..first_low);
        for bit in 0..low_bits {
            gather.segment(with_bit(lows, bit).map(|low| first_low + low));
        }
        for bit in 0..index_bits - low_bits {
            gather.segment(with_bit(highs, bit).map(|high| first_high + high));
        }
    }
    let bits = gather.sums(arithmetic);
    bits.places.iter().map(|&place| bits.rows[place]).collect()
}

/// Sums of segments.
struct Sums {
    /// In the order in which they were taken.
    rows: Vec<Row>,
    /// Where the sum of each segment is.
    places: Vec<usize>,
}

/// Segments of sums that are being listed.
struct Gather<'a> {
    points: &'a Sums,
    entries: Vec<Entry>,
    segments: Vec<Segment>,
}

impl<'a> Gather<'a> {
    const fn new(points: &'a Sums) -> Self {
        Self { points, entries: Vec::new(), segments: Vec::new() }
    }

    /// The sum of the sums of some segments.
    fn segment(&mut self, segments: impl Iterator<Item = usize>) {
        let start = self.entries.len();
        let Sums { rows, places } = self.points;
        let finite = segments.map(|segment| places[segment]).filter(|&place| !rows[place].is_infinity());
        self.entries.extend(finite.map(|place| Entry::new(place, false)));
        self.segments.push(Segment::new(start, self.entries.len() - start));
    }

    fn sums(self, arithmetic: impl Arithmetic) -> Sums {
        sum_segments(arithmetic, &self.points.rows, &self.entries, &self.segments)
    }
}

/// The sum of each segment.
fn sum_segments(
    arithmetic: impl Arithmetic,
    points: &[Row],
    entries: &[Entry],
    segments: &[Segment],
) -> Sums {
    let places = longest_first(segments);
    let mut ordered = vec![Segment::new(0, 0); segments.len()];
    for (&place, segment) in places.iter().zip(segments) {
        ordered[place] = *segment;
    }
    let mut rows = vec![Row::INFINITY; segments.len()];
    let block_len = segments.len().div_ceil(rayon::current_num_threads());
    let block_len = block_len.next_multiple_of(BLOCK_LEN_STEP).clamp(BLOCK_LEN_MIN, BLOCK_LEN_MAX);
    ordered
        .par_chunks(block_len)
        .zip(rows.par_chunks_mut(block_len))
        .for_each(|(segments, sums)| arithmetic.sum(points, entries, segments, sums));
    Sums { rows, places }
}

/// The place of each segment if the longest come first: so those of a block are of a length, and those still at work are
/// neighbours.
fn longest_first(segments: &[Segment]) -> Vec<usize> {
    let len_max = segments.iter().map(|segment| segment.len as usize).max().unwrap_or(0);
    let class = |segment: &Segment| len_max - segment.len as usize;
    let mut starts = vec![0; len_max + 1];
    for segment in segments {
        starts[class(segment)] += 1;
    }
    let mut total = 0;
    for start in &mut starts {
        total += std::mem::replace(start, total);
    }
    let mut next = |segment| {
        let start = &mut starts[class(segment)];
        *start += 1;
        *start - 1
    };
    segments.iter().map(&mut next).collect()
}
