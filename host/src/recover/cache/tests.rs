//! The table behind the cache: what it holds is right, bounded, and leaves in the order in which it came.

use super::*;
use alloy_primitives::keccak256;
use std::collections::HashMap;

const SEED: u64 = 20_261_122;

fn entry(number: u64) -> (B256, Address) {
    let hash = keccak256((SEED + number).to_be_bytes());
    (hash, Address::from_word(keccak256(hash)))
}

fn entries(numbers: std::ops::Range<u64>) -> Vec<(B256, Address)> {
    numbers.map(entry).collect()
}

fn store(cache: &SenderCache, origin: Origin, entries: &[(B256, Address)]) {
    let (hashes, senders): (Vec<B256>, Vec<Address>) = entries.iter().copied().unzip();
    cache.store(origin, &hashes, &senders);
}

fn hashes(entries: &[(B256, Address)]) -> Vec<B256> {
    entries.iter().map(|(hash, _)| *hash).collect()
}

/// How many of the entries are known; each that is, is right.
fn known(cache: &SenderCache, entries: &[(B256, Address)]) -> usize {
    let found = cache.look_up(&hashes(entries));
    for ((hash, sender), found) in entries.iter().zip(&found) {
        assert!(found.is_none_or(|found| found == *sender), "{hash} has another sender");
    }
    found.iter().flatten().count()
}

#[test]
fn there_is_room_for_as_many_as_were_asked_for_and_no_more() {
    for wanted in [0, 1, 960, 961, 5_000] {
        let cache = SenderCache::with_capacity(wanted);
        assert!((wanted..=wanted + 960).contains(&cache.capacity()), "{wanted}");
        let capacity = cache.capacity() as u64;
        let flood = entries(0..10 * capacity);
        store(&cache, Origin::Cpu, &flood);
        let (resident, counts) = (known(&cache, &flood) as u64, cache.counts());
        assert!(resident <= capacity && resident > capacity * 99 / 100, "{resident} of {capacity}");
        assert_eq!((counts.insertions, counts.evictions), (10 * capacity, 10 * capacity - resident));
        assert_eq!((counts.hits, counts.misses), (resident, 10 * capacity - resident));
    }
    let default = SenderCache::default();
    assert!(default.capacity() >= 1 << 20 && default.memory_bytes() < 54 * default.capacity());
}

#[test]
fn what_came_first_leaves_first_and_hardly_before_there_is_need() {
    // For each share of the room that new entries fill: how many of ten thousand old ones are gone. Which they are is
    // up to the cache's secret; the bounds are five standard deviations away from what is expected, or more.
    for (share, expected) in [(4, 0..=6), (2, 50..=170), (1, 5_000..=5_700)] {
        let cache = SenderCache::with_capacity(960_000);
        let old = entries(0..10_000);
        let flood = entries(10_000..10_000 + cache.capacity() as u64 / share);
        store(&cache, Origin::Cpu, &old);
        store(&cache, Origin::Cpu, &flood);
        let gone = old.len() - known(&cache, &old);
        assert!(expected.contains(&gone), "1/{share} of the room: {gone} of {} gone", old.len());
    }
    let cache = SenderCache::with_capacity(96_000);
    // In parts, since what is stored at once comes in no order.
    entries(0..500_000).chunks(5_000).for_each(|part| store(&cache, Origin::Cpu, part));
    let newest = entries(499_000..500_000);
    assert!(known(&cache, &newest) >= 999 && known(&cache, &entries(0..100_000)) == 0);
}

#[test]
fn nobody_can_tell_which_entries_share_a_set() {
    // The same flood pushes other entries out of each cache.
    let gone = || -> Vec<usize> {
        let cache = SenderCache::with_capacity(9_600);
        store(&cache, Origin::Cpu, &entries(0..9_600));
        let found = cache.look_up(&hashes(&entries(0..9_600)));
        (0..9_600).filter(|index| found[*index].is_none()).collect()
    };
    let [first, second] = [gone(), gone()];
    assert!(!first.is_empty() && !second.is_empty() && first != second);
}

#[test]
fn it_knows_what_a_map_knows_or_nothing() {
    let cache = SenderCache::with_capacity(2_000);
    let mut map = HashMap::new();
    let mut state = SEED;
    for _ in 0..20_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (hash, sender) = entry(state >> 33 & 0xfff);
        let found = cache.look_up(&[hash])[0];
        assert!(found.is_none() || found.as_ref() == map.get(&hash), "seed {SEED}: {hash}");
        if state >> 62 == 0 {
            store(&cache, Origin::Cpu, &[(hash, sender)]);
            map.insert(hash, sender);
            assert_eq!(cache.look_up(&[hash]), [Some(sender)]);
        }
    }
    let counts = cache.counts();
    assert!(counts.hits > 1_000 && counts.misses > 1_000 && counts.insertions > 1_000);
}

#[test]
fn what_is_stored_again_takes_no_second_place() {
    let cache = SenderCache::with_capacity(960);
    let few = entries(0..100);
    (0..50).for_each(|_| store(&cache, Origin::Cpu, &few));
    assert_eq!((cache.counts().insertions, cache.counts().evictions), (100, 0));
    assert_eq!(known(&cache, &few), 100);
    cache.clear();
    assert_eq!(known(&cache, &few), 0);
}

#[test]
fn entries_of_a_device_are_void_once_devices_are_distrusted() {
    let cache = SenderCache::with_capacity(960);
    let (by_cpu, by_device) = (entries(0..50), entries(50..100));
    store(&cache, Origin::Cpu, &by_cpu);
    store(&cache, Origin::Device, &by_device);
    assert_eq!((known(&cache, &by_cpu), known(&cache, &by_device)), (50, 50));
    cache.distrust_devices();
    assert_eq!((known(&cache, &by_cpu), known(&cache, &by_device)), (50, 0));
    // A batch that was under way when the device failed ends now.
    let late = entries(100..110);
    store(&cache, Origin::Device, &late);
    assert_eq!(known(&cache, &late), 0);
    // Recovered anew, they are as good as any.
    store(&cache, Origin::Cpu, &by_device);
    assert_eq!((known(&cache, &by_device), cache.counts().insertions), (50, 110));
}

#[test]
fn threads_may_look_up_and_store_at_once() {
    let cache = SenderCache::with_capacity(4_800);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let cache = &cache;
            scope.spawn(move || {
                for round in 0..20 {
                    let some = entries(200 * (round + thread)..200 * (round + thread + 3));
                    known(cache, &some);
                    store(cache, Origin::Cpu, &some);
                    known(cache, &some);
                }
            });
        }
    });
    let counts = cache.counts();
    assert_eq!(counts.hits + counts.misses, 4 * 20 * 2 * 600);
    assert!(counts.insertions >= 4_000);
}
