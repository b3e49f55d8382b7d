//! Changes to many tries at once, hashed in the same batches.

use super::{
    Entry, Missing, Trie,
    hashing::{hash_noted, hash_pages},
    nibbles::{first_word, order},
    page::{Change, Page},
    spine::Jobs,
    tree::Joint,
};
use alloy_primitives::B256;
use rayon::prelude::*;

/// Entries that one task changes or hashes: some 100 µs of work, and what is read for it fits the second cache.
const TASK_LEN: usize = 384;

/// So many pages ahead a task asks for what it will read.
const PAGES_AHEAD: usize = 4;

/// A page of one of the tries, and what is to be changed there.
struct Work<'a, V> {
    trie: usize,
    index: usize,
    page: &'a mut Page<V>,
    changes: &'a mut [Change<V>],
}

/// Changes tries as [`Trie::commit`] does, all in one, and returns their roots.
///
/// # Errors
/// As [`Trie::commit`], for all of the tries.
pub fn commit_all<V: Entry>(
    mut tries: Vec<(&mut Trie<V>, Vec<Change<V>>)>,
    encode: &(impl Fn(&V, &mut Vec<u8>) + Sync),
) -> Result<Vec<B256>, Missing> {
    tries.par_iter_mut().for_each(|(_, changes)| *changes = sorted(std::mem::take(changes)));
    // Once, but for tries of which a page came or went or which are cut anew.
    loop {
        let mut work = Vec::new();
        for (trie, (tree, changes)) in tries.iter_mut().enumerate() {
            let shares = tree.shares(changes);
            work.extend(shares.map(|(index, page, changes)| Work { trie, index, page, changes }));
        }
        let touched: Vec<Touched> = work
            .iter()
            .map(|work| Touched { trie: work.trie, index: work.index, len_before: work.page.len() })
            .collect();
        let len: usize = work.iter().map(|work| work.changes.len() + work.page.dirty_len()).sum();
        let task_pages = (TASK_LEN * work.len()).checked_div(len).unwrap_or(0).max(1);
        work.par_chunks_mut(task_pages)
            .try_for_each_init(Jobs::default, |jobs, task| change_and_hash(task, jobs, encode))?;
        drop(work);
        let mut is_settled = true;
        for of_one in touched.chunk_by(|a, b| a.trie == b.trie) {
            let (tree, changes) = &mut tries[of_one[0].trie];
            changes.clear();
            is_settled &= tree.join(of_one.iter().map(|page| (page.index, page.len_before)))?;
        }
        if is_settled {
            break;
        }
    }
    let mut tops: Vec<&mut Page<Joint>> = tries.iter_mut().filter_map(|(tree, _)| tree.dirty_top()).collect();
    hash_pages(&mut tops, &mut Jobs::default(), &|_, _| {})?;
    Ok(tries.iter().map(|(tree, _)| tree.root()).collect())
}

/// A page that was changed or hashed.
struct Touched {
    trie: usize,
    index: usize,
    len_before: usize,
}

/// Changes in the order of their keys. What is sorted is their first words, dealt out by their first bits: values are moved
/// but once.
fn sorted<V: Entry>(mut changes: Vec<Change<V>>) -> Vec<Change<V>> {
    if changes.is_sorted_by(|(a, _), (b, _)| order(a, b).is_lt()) {
        return changes;
    }
    let bits = changes.len().ilog2().clamp(1, 16);
    #[expect(clippy::cast_possible_truncation, reason = "at most 16 bits")]
    let bucket = |word: u64| (word >> (u64::BITS - bits)) as usize;
    // Where each bucket begins, and as it is filled, where its next word goes.
    let mut next = vec![0; (1 << bits) + 1];
    changes.iter().for_each(|(key, _)| next[bucket(first_word(key)) + 1] += 1);
    (0..1 << bits).for_each(|at| next[at + 1] += next[at]);
    let mut order_of = vec![(0, 0); changes.len()];
    for (index, (key, _)) in changes.iter().enumerate() {
        let word = first_word(key);
        let at = &mut next[bucket(word)];
        order_of[*at] = (word, index);
        *at += 1;
    }
    for of_bucket in order_of.chunk_by_mut(|(a, _), (b, _)| bucket(*a) == bucket(*b)) {
        of_bucket.sort_unstable_by(|(a, a_index), (b, b_index)| {
            a.cmp(b).then_with(|| changes[*a_index].0.cmp(&changes[*b_index].0))
        });
    }
    let take = |(_, index): (u64, usize)| {
        let (key, value) = &mut changes[index];
        (*key, value.take())
    };
    order_of.into_iter().map(take).collect()
}

/// While the pages are in the cache.
fn change_and_hash<V: Entry>(
    task: &mut [Work<'_, V>],
    jobs: &mut Jobs,
    encode: &(impl Fn(&V, &mut Vec<u8>) + Sync),
) -> Result<(), Missing> {
    jobs.clear();
    task.iter().take(PAGES_AHEAD).for_each(|work| work.page.prefetch(work.changes));
    for index in 0..task.len() {
        if let Some(ahead) = task.get(index + PAGES_AHEAD) {
            ahead.page.prefetch(ahead.changes);
        }
        let Work { page, changes, .. } = &mut task[index];
        page.apply(changes)?;
        page.note_dirty(u32::try_from(index).expect("a task has few pages"), jobs);
    }
    let mut pages: Vec<&mut Page<V>> = task.iter_mut().map(|work| &mut *work.page).collect();
    hash_noted(&mut pages, jobs, encode)
}
