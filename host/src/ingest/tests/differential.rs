//! Our decoder against alloy's, on blocks whose RLP is whole but whose items are not what they
//! should be: both must accept the same blocks, and see the same in them.

use alloy_consensus::Block;
use alloy_rlp::Decodable;

use super::{hostile::SplitMix, sample};
use crate::ingest::{BlockBytes, Transaction, decode_block};

/// An RLP item.
#[derive(Clone)]
enum Tree {
    String(Vec<u8>),
    List(Vec<Self>),
}

impl Tree {
    fn parse(rlp: &mut &[u8]) -> Self {
        let header = alloy_rlp::Header::decode(rlp).unwrap();
        let (mut payload, rest) = rlp.split_at(header.payload_length);
        *rlp = rest;
        if !header.list {
            return Self::String(payload.to_vec());
        }
        let mut items = Vec::new();
        while !payload.is_empty() {
            items.push(Self::parse(&mut payload));
        }
        Self::List(items)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::String(bytes) => alloy_rlp::Encodable::encode(bytes.as_slice(), out),
            Self::List(items) => {
                let mut payload = Vec::new();
                items.iter().for_each(|item| item.encode(&mut payload));
                alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(out);
                out.extend(payload);
            }
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::String(_) => 1,
            Self::List(items) => 1 + items.iter().map(Self::count).sum::<usize>(),
        }
    }

    /// Changes the item at `place`, counted depth first.
    fn change(&mut self, place: usize, random: &mut SplitMix) {
        if place == 0 {
            return self.change_here(random);
        }
        if let Self::List(items) = self {
            let mut place = place - 1;
            for item in items {
                let count = item.count();
                if place < count {
                    return item.change(place, random);
                }
                place -= count;
            }
        }
    }

    fn change_here(&mut self, random: &mut SplitMix) {
        match (random.below(8), self) {
            (0, this) => *this = Self::List(Vec::new()),
            (1, this) => *this = Self::String(Vec::new()),
            (2, this) => *this = Self::String(vec![0xff; random.below(40)]),
            (3, this) => *this = Self::List(vec![this.clone()]),
            (4, Self::List(items)) => drop(items.pop()),
            (5, Self::List(items)) => items.extend(items.last().cloned()),
            (_, Self::List(items)) if !items.is_empty() => drop(items.remove(random.below(items.len()))),
            (4, Self::String(bytes)) => drop(bytes.pop()),
            (5, Self::String(bytes)) => bytes.insert(0, 0),
            (_, Self::String(bytes)) => {
                // Typed transactions are RLP in a string: change what is in it.
                if bytes.len() > 60 && bytes[0] < 5 {
                    let mut inner = &bytes[1..];
                    let mut tree = Self::parse(&mut inner);
                    let place = random.below(tree.count());
                    tree.change(place, random);
                    bytes.truncate(1);
                    tree.encode(bytes);
                } else {
                    bytes.push(1 + u8::try_from(random.below(255)).unwrap());
                }
            }
            (_, Self::List(items)) => items.push(Self::String(vec![1])),
        }
    }
}

#[test]
fn blocks_with_changed_items_are_judged_as_alloy_judges_them() {
    const SEED: u64 = 20_260_101;
    eprintln!("seed {SEED}");
    let mut random = SplitMix(SEED);
    let original = Tree::parse(&mut sample::block_rlp(1).as_slice());
    let mut accepted = 0;
    for round in 0..30_000 {
        let mut tree = original.clone();
        for _ in 0..=random.below(2) {
            let place = random.below(tree.count());
            tree.change(place, &mut random);
        }
        let mut rlp = Vec::new();
        tree.encode(&mut rlp);
        // alloy lets a typed transaction reach beyond the string that holds it, into what follows
        // it in the block. What it then makes of the block encodes to other bytes.
        let alloy = Block::<Transaction>::decode(&mut rlp.as_slice()).ok();
        let alloy = alloy.filter(|block| alloy_rlp::encode(block) == rlp);
        let ours = decode_block(&BlockBytes::Rlp(rlp.clone().into()));
        match (ours, alloy) {
            (Ok(ours), Some(alloy)) => {
                assert_eq!(*ours.header, alloy.header, "round {round}");
                assert_eq!(*ours.transactions, alloy.body.transactions, "round {round}");
                assert_eq!(ours.withdrawals, alloy.body.withdrawals, "round {round}");
                accepted += 1;
            }
            (Err(_), None) => {}
            (ours, alloy) => {
                let ours = ours.map(|block| block.header.hash());
                let alloy = alloy.map(|block| block.header.hash_slow());
                panic!(
                    "round {round}: {ours:?} here, {alloy:?} in alloy: {}",
                    alloy_primitives::hex::encode(rlp)
                );
            }
        }
    }
    assert!((1000..29_000).contains(&accepted), "{accepted} accepted: the changes are too tame or too wild");
}
