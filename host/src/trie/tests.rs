use super::{
    Blinded, Change, Entry, Key, Known, MalformedTrie, NodeRef, Trie, Unreadable, encode_known, lookup,
    ordered_root,
};
use alloy_primitives::{B256, keccak256};
use alloy_trie::{HashBuilder, Nibbles};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
};

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

/// `SplitMix64` (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn value(&mut self) -> Value {
        let len = if self.below(4) == 0 { self.below(120) + 1 } else { self.below(3) + 1 };
        Value((0..len).map(|_| self.next().to_le_bytes()[0]).collect())
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
    for len in [0, 1, 2, 16, 127, 128, 129, 255, 256, 257, 300, 5_000, 65_537] {
        let items: Vec<Vec<u8>> = (0..len).map(|_| random.value().0).collect();
        let expected = alloy_trie::root::ordered_trie_root_with_encoder(&items, |item, out| {
            out.extend_from_slice(item);
        });
        assert_eq!(
            ordered_root(items.len(), &|index, out| out.extend_from_slice(&items[index])),
            expected,
            "{len} items"
        );
    }
}

/// The trie below a root as far as some changes have to do with it, of which some nodes are known.
fn open(
    root: B256,
    changes: &[Change<Known<Value>>],
    nodes: &HashMap<B256, Vec<u8>>,
) -> Result<Trie<Known<Value>>, Unreadable> {
    let node = |hash: &B256| nodes.get(hash).map(Vec::as_slice);
    Trie::open_for(root, changes, &node, &|bytes| Ok(Value(bytes.to_vec())), &encode)
}

fn by_hash(nodes: Vec<Vec<u8>>) -> HashMap<B256, Vec<u8>> {
    nodes.into_iter().map(|node| (keccak256(&node), node)).collect()
}

/// Some changes to a trie of `len` entries, to a partly known one with the nodes for the keys that they are about.
fn witnessed(seed: u64, len: usize, changes_len: usize) {
    let mut random = Random(seed);
    let mut entries = BTreeMap::new();
    while entries.len() < len {
        entries.insert(random.key(&entries), random.value());
    }
    let mut whole = Trie::from_entries(entries.clone().into_iter().collect());
    let root = whole.commit(Vec::new(), &encode).unwrap();
    let keys: Vec<Key> = entries.keys().copied().collect();
    let mut changes = BTreeMap::new();
    for _ in 0..changes_len {
        // Neighbours at times, so that whole subtries go.
        let at = if random.below(2) == 0 { random.below(len) } else { changes.len() % len };
        match random.below(4) {
            0 => changes.insert(random.key(&entries), Some(random.value())),
            1 => changes.insert(keys[at], Some(random.value())),
            _ => changes.insert(keys[at], None),
        };
    }
    let touched: Vec<Key> = changes.keys().copied().collect();
    let nodes = by_hash(whole.nodes_for(&touched, &encode));
    let node = |hash: &B256| nodes.get(hash).map(Vec::as_slice);
    for key in &touched {
        let known = lookup(root, key, &node).unwrap();
        assert_eq!(known, entries.get(key).map(|value| value.0.as_slice()), "seed {seed}");
    }
    let known = |(key, value): (&Key, &Option<Value>)| (*key, value.clone().map(Known::Value));
    let known: Vec<Change<Known<Value>>> = changes.iter().map(known).collect();
    let after = whole.commit(changes.clone().into_iter().collect(), &encode);
    let asked = Mutex::new(Vec::new());
    let noted = |hash: &B256| {
        asked.lock().unwrap().push(*hash);
        node(hash)
    };
    let mut partial =
        Trie::open_for(root, &known, &noted, &|bytes| Ok(Value(bytes.to_vec())), &encode).unwrap();
    assert_eq!(partial.commit(known.clone(), &encode_known(&encode)), after, "seed {seed}");

    // Without a node that was looked at it says which; it needs no other.
    let asked = asked.into_inner().unwrap();
    let needed: HashMap<B256, Vec<u8>> = asked.iter().map(|hash| (*hash, nodes[hash].clone())).collect();
    let mut partial = open(root, &known, &needed).unwrap();
    assert_eq!(partial.commit(known.clone(), &encode_known(&encode)), after, "seed {seed}");
    for hash in asked.iter().take(20) {
        let mut fewer = needed.clone();
        fewer.remove(hash);
        let Err(Unreadable::Missing(missing)) = open(root, &known, &fewer) else { panic!("seed {seed}") };
        assert_eq!(missing.hash, *hash, "seed {seed}");
    }
    for key in &touched {
        let node = |hash: &B256| needed.get(hash).map(Vec::as_slice);
        let known = lookup(root, key, &node).unwrap();
        assert_eq!(known, entries.get(key).map(|value| value.0.as_slice()), "seed {seed}");
    }
}

#[test]
fn nodes_for_some_keys_are_enough_to_change_them() {
    for seed in 0..200_usize {
        println!("seed {seed}");
        witnessed(seed as u64, 1 + seed / 4, 1 + seed % 7);
    }
    for seed in 200..210 {
        witnessed(seed, 3_000, 40);
    }
}

#[test]
fn nodes_of_no_trie_are_refused() {
    let node = |items: &[&[u8]]| {
        let mut out = Vec::new();
        super::node::push_header(0xc0, items.iter().map(|item| item.len()).sum(), &mut out);
        items.iter().for_each(|item| out.extend_from_slice(item));
        out
    };
    let refused = |encoding: Vec<u8>| {
        let root = keccak256(&encoding);
        let nodes = by_hash(vec![encoding]);
        let error = open(root, &[([0x51; 32], None)], &nodes).map(|_| ()).unwrap_err();
        if let Unreadable::Malformed(MalformedTrie::Node { .. }) = error {
            let node = |hash: &B256| nodes.get(hash).map(Vec::as_slice);
            assert_eq!(lookup(root, &[0x51; 32], &node), Err(error.clone()));
        }
        error.to_string()
    };
    let long = [&[0xb8, 60][..], &[7; 60]].concat();
    assert!(refused(node(&[&[0x82, 0x20, 0x11], &long])).ends_with("a key of other than 64 nibbles"));
    let no_path = node(&[&[0x00], &[&[0xa0][..], &[1; 32]].concat()]);
    assert!(refused(no_path).ends_with("an extension by no nibble, or beyond a key's length"));
    let mut child_is_text = vec![&[0x80][..]; 17];
    child_is_text[3] = &[0x83, 1, 2, 3];
    assert!(refused(node(&child_is_text)).ends_with("a child that is no node"));
    let mut trailing = node(&[[0x80].as_slice(); 17]);
    trailing.push(0);
    assert!(refused(trailing).ends_with("bytes after its end"));
    // A branch with one child is well formed, and of no trie.
    let hash = [&[0xa0][..], &[1; 32]].concat();
    let mut lonely = vec![&[0x80][..]; 17];
    lonely[5] = &hash;
    assert!(refused(node(&lonely)).ends_with("at path 0x5 is not known"));
    lonely[5] = &[0x80];
    lonely[6] = &hash;
    assert!(
        refused(node(&lonely)).ends_with("at path 0x6 is not known"),
        "what is left would take its place"
    );
    lonely[7] = &hash;
    let (root, changes) = (keccak256(node(&lonely)), [([0x51; 32], None)]);
    assert!(
        open(root, &changes, &by_hash(vec![node(&lonely)])).is_ok(),
        "nothing is there, and nothing goes"
    );
    assert!(open(B256::repeat_byte(1), &changes, &HashMap::new()).is_err());
    assert!(open(B256::repeat_byte(1), &[], &HashMap::new()).is_ok_and(|trie| trie.get(&[0; 32]).is_err()));
}

#[test]
fn nodes_that_a_trie_would_have_otherwise_are_refused() {
    // A leaf that hangs below a branch as if it had a neighbour there: well formed, and of no trie.
    let [far, near, other] = [[0x11; 32], [0x51; 32], [0x52; 32]];
    let value = Value(vec![7; 40]);
    let mut leaf = Vec::new();
    super::node::push_leaf(&near, [2, 64], &value.0, &mut leaf);
    let mut lonely = Vec::new();
    super::node::push_branch(0b10, &[NodeRef::to(&leaf)], &mut lonely);
    let mut root = Vec::new();
    let closed = NodeRef::hash(&[1; 32]);
    super::node::push_branch(0b10_0010, &[closed, NodeRef::to(&lonely)], &mut root);
    let hash = keccak256(&root);
    let nodes = by_hash(vec![leaf, lonely, root]);
    for key in [near, other] {
        let changes = [(key, Some(Known::Value(value.clone())))];
        let error = open(hash, &changes, &nodes).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("are not those of a trie"), "{error}");
    }
    let error = open(hash, &[(far, None)], &nodes).map(|_| ()).unwrap_err();
    assert!(error.to_string().ends_with("at path 0x1 is not known"), "{error}");
}

#[test]
fn opening_costs_what_the_changes_ask_for_whatever_the_nodes_say() {
    // Each branch has sixteen times the same branch for a child: 16^60 entries, if one would look at them all.
    let mut nodes = Vec::new();
    let mut leaf = Vec::new();
    super::node::push_leaf(&[0x77; 32], [60, 64], &[7; 40], &mut leaf);
    let mut child = NodeRef::to(&leaf);
    nodes.push(leaf);
    for _ in 0..60 {
        let mut branch = Vec::new();
        super::node::push_branch(u16::MAX, &[child; 16], &mut branch);
        child = NodeRef::to(&branch);
        nodes.push(branch);
    }
    let nodes = by_hash(nodes);
    let root = child.root();
    let key = |byte: u8| [byte; 32];
    let changes: Vec<Change<Known<Value>>> =
        (0..50).map(|byte| (key(byte), Some(Known::Value(Value(vec![byte; 40]))))).collect();
    let trie = open(root, &changes, &nodes).unwrap();
    assert!(trie.len() < 50 * 64 * 16);
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
    super::node::push_branch(0b110, &[three, four], &mut branch);
    let hash = keccak256(branch);
    let blinded =
        |is_branch| Known::Blinded(Blinded { node: NodeRef::hash(&hash.0), path_len: 1, is_branch });
    let partial = |is_branch| {
        let known = whole[..2].iter().map(|(key, value)| (*key, Known::Value(value.clone())));
        let mut trie = Trie::from_entries(known.chain([(key(&[0x20]), blinded(is_branch))]).collect());
        assert_eq!(trie.commit(Vec::new(), &encode_known(&encode)), Ok(root));
        trie
    };

    let mut trie = partial(false);
    let missing = super::Missing { key: key(&[0x20]), path_len: 1, hash };
    for below in [key(&[0x20]), key(&[0x21]), [0x2f; 32]] {
        assert_eq!(trie.get(&below).map(|_| ()), Err(missing));
        assert_eq!(partial(false).commit(vec![(below, None)], &encode_known(&encode)), Err(missing));
    }
    assert!(trie.get(&key(&[0x01])).is_ok_and(|value| value.is_some()));
    assert!(trie.get(&key(&[0x31])).is_ok_and(|value| value.is_none()));
    assert_eq!(missing.to_string(), format!("trie node {hash} at path 0x2 is not known"));

    // With one neighbour left it stays where it is; without any its path would become longer.
    let mut left = whole[1..].to_vec();
    let root = expected(&left.iter().cloned().collect());
    assert_eq!(trie.commit(vec![(whole[0].0, None)], &encode_known(&encode)), Ok(root));
    assert_eq!(trie.commit(vec![(whole[1].0, None)], &encode_known(&encode)), Err(missing));
    // Unless it is known to be a branch.
    left.remove(0);
    let mut trie = partial(true);
    let both = vec![(whole[0].0, None), (whole[1].0, None)];
    assert_eq!(trie.commit(both, &encode_known(&encode)), Ok(expected(&left.into_iter().collect())));
}
