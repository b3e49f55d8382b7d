//! Changes to many tries at once, hashed in the same batches.

use super::{
    Entry, Missing, Trie,
    hashing::hash_pages,
    nibbles::first_word,
    page::{Change, Page},
    spine::Jobs,
    tree::Joint,
};
use alloy_primitives::B256;
use rayon::prelude::*;

/// Pages that one task has in hand: what they remember of accounts fits the second cache.
const TASK_PAGES: usize = 32;

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
        work.par_chunks_mut(TASK_PAGES)
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

/// Changes in the order of their keys. What is sorted is their first words: values are moved but once.
fn sorted<V: Entry>(mut changes: Vec<Change<V>>) -> Vec<Change<V>> {
    let mut order_of: Vec<(u64, usize)> =
        changes.iter().enumerate().map(|(index, (key, _))| (first_word(key), index)).collect();
    order_of.par_sort_unstable_by(|(a, a_index), (b, b_index)| {
        a.cmp(b).then_with(|| changes[*a_index].0.cmp(&changes[*b_index].0))
    });
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
    for work in &mut *task {
        work.page.apply(work.changes)?;
    }
    let mut pages: Vec<&mut Page<V>> = task.iter_mut().map(|work| &mut *work.page).collect();
    hash_pages(&mut pages, jobs, encode)
}
