use super::{Blinded, Entry, Key, NodeRef, Trie, ordered_root};
use alloy_primitives::{B256, keccak256};
use alloy_trie::{HashBuilder, Nibbles};
use std::collections::BTreeMap;

/// Bytes as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Value(Vec<u8>);

impl Entry for Value {}

fn encode(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.0);
}

/// The root by alloy-trie, from scratch.
fn expected(entries: &BTreeMap<Key, Value>) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, value) in entries {
        builder.add_leaf(Nibbles::unpack(key), &value.0);
    }
    builder.root()
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn value(&mut self) -> Value {
        let len = if self.below(4) == 0 { self.below(120) + 1 } else { self.below(3) + 1 };
        Value((0..len).map(|_| self.next() as u8).collect())
    }

    /// Keys that share many nibbles at times, so that there are long extensions, deep branches and short leaves.
    fn key(&mut self, known: &BTreeMap<Key, Value>) -> Key {
        let mut key = keccak256(self.next().to_be_bytes()).0;
        if self.below(2) == 0
            && let Some((near, _)) = known.range(key..).next()
        {
            let len = self.below(33);
            key[..len].copy_from_slice(&near[..len]);
            if len < 32 && self.below(2) == 0 {
                key[len] = near[len] & 0xf0 | key[len] & 0x0f;
            }
        }
        key
    }
}

fn history(seed: u64, commits: usize, batch: usize, growth: usize) {
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut entries = BTreeMap::new();
    let mut trie = Trie::default();
    assert_eq!(trie.root(), expected(&entries));
    for commit in 0..commits {
        let mut changes = BTreeMap::new();
        // Phases of growth and of decay, down to nothing.
        let removals = if commit / 8 % 2 == 0 { 10 - growth.min(9) } else { 9 };
        for _ in 0..random.below(batch) + 1 {
            let key = random.key(&entries);
            let known = entries.range(key..).next().map(|(key, _)| *key);
            match known {
                Some(known) if random.below(10) < removals => changes.insert(known, None),
                Some(known) if random.below(3) == 0 => changes.insert(known, Some(random.value())),
                _ if random.below(20) == 0 => changes.insert(key, None),
                _ => changes.insert(key, Some(random.value())),
            };
        }
        for (key, value) in &changes {
            match value {
                Some(value) => entries.insert(*key, value.clone()),
                None => entries.remove(key),
            };
        }
        let root = trie.commit(changes.into_iter().collect(), &encode).unwrap();
        assert_eq!(root, expected(&entries), "seed {seed}, commit {commit}, {} entries", entries.len());
        assert_eq!((trie.root(), trie.len()), (root, entries.len()));
        assert!(trie.iter().eq(entries.iter()), "seed {seed}, commit {commit}");
    }
    // From scratch, and down to nothing at once.
    let mut again = Trie::from_entries(entries.clone().into_iter().collect());
    assert_eq!(again.commit(Vec::new(), &encode), Ok(trie.root()));
    let none = entries.keys().map(|key| (*key, None)).collect();
    assert_eq!(trie.commit(none, &encode), Ok(alloy_trie::EMPTY_ROOT_HASH));
}

#[test]
fn roots_are_those_of_alloy_trie_after_any_history() {
    for seed in 0..60 {
        history(seed, 40, 12, 5);
    }
    for seed in 100..104 {
        history(seed, 40, 400, 8);
    }
}

#[test]
fn tries_are_cut_finer_and_coarser_as_they_grow_and_shrink() {
    for seed in 0..3 {
        history(seed, 16, 5_000, 9);
    }
}

#[test]
fn lists_have_the_roots_of_alloy_trie() {
    let mut random = Random(1);
    for len in [0, 1, 2, 16, 127, 128, 129, 255, 256, 257, 300, 5_000] {
        let items: Vec<Vec<u8>> = (0..len).map(|_| random.value().0).collect();
        let expected = alloy_trie::root::ordered_trie_root_with_encoder(&items, |item, out| {
            out.extend_from_slice(item);
        });
        assert_eq!(ordered_root(items.iter().map(Vec::as_slice)), expected, "{len} items");
    }
}

/// A value, or a node that is not known.
#[derive(Clone, Debug)]
enum Partial {
    Value(Value),
    Blinded(Blinded),
}

impl Entry for Partial {
    fn blinded(&self) -> Option<&Blinded> {
        match self {
            Self::Value(_) => None,
            Self::Blinded(blinded) => Some(blinded),
        }
    }
}

fn encode_partial(value: &Partial, out: &mut Vec<u8>) {
    if let Partial::Value(value) = value {
        encode(value, out);
    }
}

#[test]
fn a_blinded_node_is_never_taken_for_absent() {
    // Below a branch at the root: one entry at 0, one at 1, and two at 2 which are blinded.
    let key = |bytes: &[u8]| {
        let mut key = [0; 32];
        key[..bytes.len()].copy_from_slice(bytes);
        key
    };
    let value = |byte| Value(vec![byte; 40]);
    let whole = [
        (key(&[0x01]), value(1)),
        (key(&[0x11]), value(2)),
        (key(&[0x21]), value(3)),
        (key(&[0x22]), value(4)),
    ];
    let root = expected(&whole.clone().into_iter().collect());
    // The branch under nibble 2 hangs at once: its encoding is what a trie of its two leaves, two nibbles shorter, has.
    let leaf = |key: &Key, value: &Value| {
        let mut out = Vec::new();
        super::node::push_leaf(key, [2, 64], &value.0, &mut out);
        NodeRef::hash(&keccak256(out).0)
    };
    let (three, four) = (leaf(&whole[2].0, &whole[2].1), leaf(&whole[3].0, &whole[3].1));
    let mut branch = Vec::new();
    super::node::push_branch([(1, &three), (2, &four)].into_iter(), &mut branch);
    let hash = keccak256(branch);
    let blinded =
        |is_branch| Partial::Blinded(Blinded { node: NodeRef::hash(&hash.0), path_len: 1, is_branch });
    let partial = |is_branch| {
        let known = whole[..2].iter().map(|(key, value)| (*key, Partial::Value(value.clone())));
        let mut trie = Trie::from_entries(known.chain([(key(&[0x20]), blinded(is_branch))]).collect());
        assert_eq!(trie.commit(Vec::new(), &encode_partial), Ok(root));
        trie
    };

    let mut trie = partial(false);
    let missing = super::Missing { key: key(&[0x20]), path_len: 1, hash };
    for below in [key(&[0x20]), key(&[0x21]), [0x2f; 32]] {
        assert_eq!(trie.get(&below).map(|_| ()), Err(missing));
        assert_eq!(partial(false).commit(vec![(below, None)], &encode_partial), Err(missing));
    }
    assert!(trie.get(&key(&[0x01])).is_ok_and(|value| value.is_some()));
    assert!(trie.get(&key(&[0x31])).is_ok_and(|value| value.is_none()));
    assert_eq!(missing.to_string(), format!("trie node {hash} at path 0x2 is not known"));

    // With one neighbour left it stays where it is; without any its path would become longer.
    let mut left = whole[1..].to_vec();
    let root = expected(&left.iter().cloned().collect());
    assert_eq!(trie.commit(vec![(whole[0].0, None)], &encode_partial), Ok(root));
    assert_eq!(trie.commit(vec![(whole[1].0, None)], &encode_partial), Err(missing));
    // Unless it is known to be a branch.
    left.remove(0);
    let mut trie = partial(true);
    let both = vec![(whole[0].0, None), (whole[1].0, None)];
    assert_eq!(trie.commit(both, &encode_partial), Ok(expected(&left.into_iter().collect())));
}
