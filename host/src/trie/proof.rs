//! The nodes of a trie by which others can look up and change some of its entries.

use super::{Entry, Key, Trie, hashing::encode_nodes, page::Page, spine::Jobs};

impl<V: Entry> Trie<V> {
    /// The encodings of nodes that a [partly known](super::Known) trie needs to look up these keys, be they there or not,
    /// and to set or remove what is there. Nodes embedded in others are left out, and each is given once. The trie
    /// must be up to date.
    ///
    /// They are those on the paths to the keys, and to the entries before and after them: when entries go and a branch is
    /// left with one child, that child must be known, and one of these is below it.
    pub fn nodes_for(&self, keys: &[Key], encode: &(impl Fn(&V, &mut Vec<u8>) + Sync)) -> Vec<Vec<u8>> {
        let mut nodes = Vec::new();
        let (pages, top) = (self.pages(), self.top());
        let mut is_on_path: Vec<Vec<bool>> = vec![Vec::new(); pages.len()];
        let mut mark = |page: usize, entry: usize| {
            let marks = &mut is_on_path[page];
            marks.resize(pages[page].len(), false);
            marks[entry] = true;
        };
        for key in keys {
            let home = self.home(key);
            let [before, at, after] = pages[home].around(key);
            at.into_iter().for_each(|entry| mark(home, entry));
            let last_of = |page: usize| pages[page].len().checked_sub(1).map(|entry| (page, entry));
            let before = before.map(|entry| (home, entry));
            let before = before.or_else(|| (0..home).rev().find_map(last_of));
            let first_of = |page: usize| (!pages[page].is_empty()).then_some((page, 0));
            let after = after.map(|entry| (home, entry));
            let after = after.or_else(|| (home + 1..pages.len()).find_map(first_of));
            before.into_iter().chain(after).for_each(|(page, entry)| mark(page, entry));
        }
        let filled = pages.iter().zip(&is_on_path).filter(|(page, _)| !page.is_empty());
        if top.len() > 1 {
            let is_on_path: Vec<bool> = filled.clone().map(|(_, marks)| !marks.is_empty()).collect();
            push_nodes(top, &is_on_path, &|_, _| {}, &mut nodes);
        }
        for (page, marks) in filled.filter(|(_, marks)| !marks.is_empty()) {
            push_nodes(page, marks, encode, &mut nodes);
        }
        nodes
    }
}

fn push_nodes<V: Entry>(
    page: &Page<V>,
    is_on_path: &[bool],
    encode: &impl Fn(&V, &mut Vec<u8>),
    nodes: &mut Vec<Vec<u8>>,
) {
    let mut jobs = Jobs::default();
    let on_path = (0..).zip(is_on_path).filter(|(_, is_on_path)| **is_on_path);
    page.note(0, on_path.map(|(entry, _)| entry), &mut jobs);
    encode_nodes(page, &jobs, encode, |node| {
        if node.len() >= 32 {
            nodes.push(node.to_vec());
        }
    });
}
