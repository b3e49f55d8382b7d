//! What was recovered before: senders by transaction hash, for all users of the library together.
//!
//! # Why a hit is as good as a recovery
//!
//! The key is the Keccak-256 of a transaction's canonical bytes, worked out on the CPU from bytes that cannot be parted from
//! the transaction ([`Transactions`](crate::ingest::Transactions)); a hash that a caller states, or that a decoded transaction carries, is never used.
//! These bytes hold payload and signature, so a key has one sender: another signature of the same payload, the twin with
//! n − s, or one changed bit is another key. The only way in is [`SenderCache::recover`] (and
//! [`SenderCache::recover_each`]), which stores what the accelerator has just found for these very bytes.
//!
//! What a fork accepts is not stored but asked each time: a sender that Frontier's rules found under a high s is
//! refused under Homestead's.
//!
//! A device may be found wrong after some of its answers were stored. Entries that a device may have had a part in are
//! marked, and from the first call whose accelerator has quarantined its device on they are misses for good: they are
//! recovered anew and replaced. Confirming runs do not look here at all.
//!
//! Signatures without a signer are not stored. No honest transaction has one, and whoever sends such can send another for
//! every one that is remembered: they would take up room and save nothing.
//!
//! # Room
//!
//! Entries lie in sets of 15 and leave a set in the order in which they came: a transaction is looked up soon after it was
//! first seen, when its block comes, or never, so how often one is asked for says nothing of the future. Which set a
//! hash belongs to is secret to the cache (`SipHash`), so nobody can aim at the set of another's transaction: to push one
//! out takes about as many new transactions as there is room for, each of which must have a signer and costs its own
//! recovery. By the time that half as many new ones have come as there is room for, one in a hundred has been pushed out;
//! at a quarter, one in 100,000.
//!
//! A cache for all purposes does worse at this. `quick_cache` 0.7, as good as any, keeps what is old and was used (Clock-Pro):
//! of room for 2^20, a new entry was gone after 29,000 newer ones. It takes 117 bytes an entry where this takes 53, and
//! 68 and 271 ns to miss and to store out of cold memory where this takes 78 and 80.

use alloy_primitives::{Address, B256};
use rayon::prelude::*;
use serde::Serialize;
use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    ops::{AddAssign, Sub},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// Entries of a set: their tags and the place of the oldest fill 16 bytes.
const WAYS: usize = 15;
/// Locks, each of which guards equally many sets.
const SHARDS: u8 = 64;
/// Transactions that one task looks up or stores, fewer than 2^16.
const ENTRIES_PER_TASK: usize = 1024;
/// Bytes of a transaction hash and a sender.
const ENTRY_BYTES: usize = 52;

/// Senders of transactions that were recovered before. Shared freely between threads.
pub struct SenderCache {
    shards: Box<[Mutex<Shard>]>,
    sets_per_shard: u32,
    placing: RandomState,
    /// Whether a device that was used with this cache has failed.
    distrusts_devices: AtomicBool,
    counters: Counters,
}

/// Whether a device may have had a part in an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Cpu,
    Device,
}

impl SenderCache {
    /// Entries of a cache made by [`Default`]: some hours of mainnet's transactions.
    pub const DEFAULT_ENTRIES: usize = 1 << 20;

    /// A cache with room for at least so many entries.
    ///
    /// # Panics
    /// For four million million entries.
    #[must_use]
    pub fn with_capacity(entries: usize) -> Self {
        let sets_per_shard = entries.div_ceil(WAYS * usize::from(SHARDS)).max(1);
        let sets_per_shard = u32::try_from(sets_per_shard).expect("fewer than 2^32 sets in a shard");
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(sets_per_shard))).collect(),
            sets_per_shard,
            placing: RandomState::new(),
            distrusts_devices: AtomicBool::new(false),
            counters: Counters::default(),
        }
    }

    /// Entries that there is room for.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        SHARDS as usize * self.sets_per_shard as usize * WAYS
    }

    /// Bytes of memory of all entries: 53.1 for each. The system takes them up as they are filled.
    #[must_use]
    pub const fn memory_bytes(&self) -> usize {
        SHARDS as usize * self.sets_per_shard as usize * (WAYS * ENTRY_BYTES + size_of::<Tags>())
    }

    /// What was done so far.
    #[must_use]
    pub fn counts(&self) -> SenderCacheCounts {
        self.counters.read()
    }

    /// Forgets all entries. What was counted stays.
    pub fn clear(&self) {
        for shard in &self.shards {
            lock(shard).tags.fill([0; WAYS + 1]);
        }
    }

    /// From now on no entry that a device had a part in is a hit.
    pub(super) fn distrust_devices(&self) {
        self.distrusts_devices.store(true, Ordering::Release);
    }

    /// The sender of each transaction hash, where it is known and to be trusted.
    pub(super) fn look_up(&self, hashes: &[B256]) -> Vec<Option<Address>> {
        let trusts_devices = !self.distrusts_devices.load(Ordering::Acquire);
        let mut senders = vec![None; hashes.len()];
        let tasks = hashes.par_chunks(ENTRIES_PER_TASK).zip(senders.par_chunks_mut(ENTRIES_PER_TASK));
        tasks.for_each(|(hashes, senders)| {
            self.for_each_place(hashes, |shard, place| {
                senders[place.item()] = shard
                    .get(place, &hashes[place.item()])
                    .and_then(|(sender, origin)| (origin == Origin::Cpu || trusts_devices).then_some(sender));
            });
        });
        let hits = senders.iter().flatten().count();
        self.counters.hits.fetch_add(hits as u64, Ordering::Relaxed);
        self.counters.misses.fetch_add((hashes.len() - hits) as u64, Ordering::Relaxed);
        senders
    }

    /// Stores senders that were just recovered, of as many transaction hashes.
    pub(super) fn store(&self, origin: Origin, hashes: &[B256], senders: &[Address]) {
        let tasks = hashes.par_chunks(ENTRIES_PER_TASK).zip(senders.par_chunks(ENTRIES_PER_TASK));
        tasks.for_each(|(hashes, senders)| {
            let (mut insertions, mut evictions) = (0, 0);
            self.for_each_place(hashes, |shard, place| {
                match shard.put(place, &hashes[place.item()], &senders[place.item()], origin) {
                    Put::Inserted => insertions += 1,
                    Put::InPlaceOfOldest => (insertions, evictions) = (insertions + 1, evictions + 1),
                    Put::Again => {}
                }
            });
            self.counters.insertions.fetch_add(insertions, Ordering::Relaxed);
            self.counters.evictions.fetch_add(evictions, Ordering::Relaxed);
        });
    }

    /// Does something at the place of each hash, shard by shard: so each lock is taken once, and what the sets of one shard
    /// wait for memory they wait together.
    fn for_each_place(&self, hashes: &[B256], mut act: impl FnMut(&mut Shard, Place)) {
        let mut places: Vec<Place> =
            hashes.iter().zip(0..).map(|(hash, item)| self.place(hash, item)).collect();
        places.sort_unstable_by_key(|place| place.shard);
        for places in places.chunk_by(|a, b| a.shard == b.shard) {
            let mut shard = lock(&self.shards[usize::from(places[0].shard)]);
            places.iter().for_each(|place| act(&mut shard, *place));
        }
    }

    fn place(&self, hash: &B256, item: u16) -> Place {
        let (prefix, _) = hash.split_first_chunk::<8>().expect("32 bytes");
        let [shard, tag, _, _, set @ ..] = self.placing.hash_one(u64::from_le_bytes(*prefix)).to_le_bytes();
        // 32 bits choose the set, evenly for any number of sets.
        let set = (u64::from(u32::from_le_bytes(set)) * u64::from(self.sets_per_shard)) >> 32;
        Place {
            shard: shard % SHARDS,
            tag: tag % 127 + 1,
            item,
            set: u32::try_from(set).expect("below the number of sets"),
        }
    }
}

/// Where an entry belongs.
#[derive(Clone, Copy, Debug)]
struct Place {
    shard: u8,
    /// 1 to 127.
    tag: u8,
    /// Which of a task's items this is the place of.
    item: u16,
    /// In the shard.
    set: u32,
}

impl Place {
    fn item(self) -> usize {
        usize::from(self.item)
    }

    /// Where the entry of a way begins, in bytes.
    const fn start(self, way: usize) -> usize {
        (self.set as usize * WAYS + way) * ENTRY_BYTES
    }
}

impl Default for SenderCache {
    fn default() -> Self {
        Self::with_capacity(Self::DEFAULT_ENTRIES)
    }
}

impl fmt::Debug for SenderCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (capacity, counts) = (self.capacity(), self.counts());
        f.debug_struct("SenderCache")
            .field("capacity", &capacity)
            .field("counts", &counts)
            .finish_non_exhaustive()
    }
}

/// What a cache did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SenderCacheCounts {
    /// Transactions whose sender was known.
    pub hits: u64,
    /// Transactions whose sender was not known, or not to be trusted.
    pub misses: u64,
    /// Entries made.
    pub insertions: u64,
    /// Entries that gave way to others.
    pub evictions: u64,
}

impl AddAssign for SenderCacheCounts {
    fn add_assign(&mut self, other: Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.insertions += other.insertions;
        self.evictions += other.evictions;
    }
}

impl Sub for SenderCacheCounts {
    type Output = Self;

    /// What was done since `earlier`.
    fn sub(self, earlier: Self) -> Self {
        Self {
            hits: self.hits - earlier.hits,
            misses: self.misses - earlier.misses,
            insertions: self.insertions - earlier.insertions,
            evictions: self.evictions - earlier.evictions,
        }
    }
}

#[derive(Debug, Default)]
struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    insertions: AtomicU64,
    evictions: AtomicU64,
}

impl Counters {
    fn read(&self) -> SenderCacheCounts {
        SenderCacheCounts {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            insertions: self.insertions.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
        }
    }
}

/// A thread that panics does not do so between the two writes of an entry, so what it leaves is whole.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bit of a tag that says [`Origin::Device`]. The other bits are those of the hash's tag, and 0 in an empty place.
const BY_DEVICE: u8 = 0x80;

/// Tags of the entries of a set, and the place of the oldest entry.
type Tags = [u8; WAYS + 1];
/// Where [`Tags`] has the place of the oldest.
const OLDEST: usize = WAYS;

/// Sets under one lock. Plain bytes, which the system hands out as zeros without touching them.
struct Shard {
    tags: Vec<Tags>,
    /// [`WAYS`] of [`ENTRY_BYTES`] for each set: hash, then sender.
    entries: Vec<u8>,
}

/// What became of an entry that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Put {
    /// It has a place that was empty.
    Inserted,
    /// It has the place of the oldest of its set.
    InPlaceOfOldest,
    /// It was there already, and has the new origin.
    Again,
}

impl Shard {
    fn new(sets: u32) -> Self {
        let sets = sets as usize;
        Self { tags: vec![[0; WAYS + 1]; sets], entries: vec![0; sets * WAYS * ENTRY_BYTES] }
    }

    fn tags(&mut self, place: Place) -> &mut Tags {
        &mut self.tags[place.set as usize]
    }

    /// The way of a hash in its set.
    fn find(&self, place: Place, hash: &B256) -> Option<usize> {
        let tags = &self.tags[place.set as usize];
        (0..WAYS).find(|way| {
            tags[*way] & !BY_DEVICE == place.tag
                && self.entries[place.start(*way)..].starts_with(hash.as_slice())
        })
    }

    fn get(&self, place: Place, hash: &B256) -> Option<(Address, Origin)> {
        let way = self.find(place, hash)?;
        let by_device = self.tags[place.set as usize][way] & BY_DEVICE != 0;
        let sender = &self.entries[place.start(way)..][32..ENTRY_BYTES];
        Some((Address::from_slice(sender), if by_device { Origin::Device } else { Origin::Cpu }))
    }

    fn put(&mut self, place: Place, hash: &B256, sender: &Address, origin: Origin) -> Put {
        let found = self.find(place, hash);
        let tags = self.tags(place);
        let (way, put) = match found {
            Some(way) => (way, Put::Again),
            None => {
                let oldest = tags[OLDEST];
                tags[OLDEST] = if usize::from(oldest) + 1 == WAYS { 0 } else { oldest + 1 };
                let oldest = usize::from(oldest);
                (oldest, if tags[oldest] == 0 { Put::Inserted } else { Put::InPlaceOfOldest })
            }
        };
        tags[way] = if origin == Origin::Device { place.tag | BY_DEVICE } else { place.tag };
        let entry = &mut self.entries[place.start(way)..][..ENTRY_BYTES];
        entry[..32].copy_from_slice(hash.as_slice());
        entry[32..].copy_from_slice(sender.as_slice());
        put
    }
}

#[cfg(test)]
mod tests;
