//! Changes to many tries at once, hashed in the same batches.

use super::{
    Entry, Missing, Trie,
    hashing::hash_pages,
    nibbles::order,
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

/// Changes tries, and returns their roots.
///
/// # Errors
/// As [`Trie::commit`], for all of the tries.
pub(super) fn commit<V: Entry>(
    mut tries: Vec<(&mut Trie<V>, Vec<Change<V>>)>,
    encode: &(impl Fn(&V, &mut Vec<u8>) + Sync),
) -> Result<Vec<B256>, Missing> {
    if let [(_, changes)] = &mut tries[..] {
        changes.par_sort_unstable_by(|(a, _), (b, _)| order(a, b));
    } else {
        tries.par_iter_mut().for_each(|(_, changes)| changes.sort_unstable_by(|(a, _), (b, _)| order(a, b)));
    }
    // Once, but for tries of which a page came or went or which are cut anew.
    loop {
        let mut work = Vec::new();
        for (trie, (tree, changes)) in tries.iter_mut().enumerate() {
            let shares = tree.shares(changes);
            work.extend(shares.map(|(index, page, changes)| Work { trie, index, page, changes }));
        }
        let mut touched: Vec<(usize, usize)> = work.iter().map(|work| (work.trie, work.index)).collect();
        work.par_chunks_mut(TASK_PAGES).try_for_each(|task| change_and_hash(task, encode))?;
        drop(work);
        let mut is_settled = true;
        for of_one in touched.chunk_by_mut(|a, b| a.0 == b.0) {
            let (tree, changes) = &mut tries[of_one[0].0];
            changes.clear();
            is_settled &= tree.join(of_one.iter().map(|(_, index)| *index))?;
        }
        if is_settled {
            break;
        }
    }
    let mut tops: Vec<&mut Page<Joint>> = tries.iter_mut().filter_map(|(tree, _)| tree.dirty_top()).collect();
    hash_pages(&mut tops, &mut Jobs::default(), &|_, _| {})?;
    Ok(tries.iter().map(|(tree, _)| tree.root()).collect())
}

/// While the pages are in the cache.
fn change_and_hash<V: Entry>(
    task: &mut [Work<'_, V>],
    encode: &(impl Fn(&V, &mut Vec<u8>) + Sync),
) -> Result<(), Missing> {
    for work in &mut *task {
        work.page.apply(work.changes)?;
    }
    let mut pages: Vec<&mut Page<V>> = task.iter_mut().map(|work| &mut *work.page).collect();
    hash_pages(&mut pages, &mut Jobs::default(), encode)
}
