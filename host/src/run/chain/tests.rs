//! Steps over siblings: whatever was tried, the state is that after the block one stands on.

use super::*;
use crate::{
    ingest,
    state::{Account, BlockState},
};
use alloy_primitives::{Address, keccak256};

fn person(id: u64) -> Address {
    Address::from_word(keccak256(id.to_be_bytes()))
}

fn chain() -> Chain {
    let prestate = Prestate {
        accounts: (0..4)
            .map(|id| {
                let storage = vec![(U256::from(1), U256::from(id + 1))];
                let balance = U256::from(100 + id);
                (person(id), ingest::PrestateAccount { balance, storage, ..Default::default() })
            })
            .collect(),
        ..Prestate::default()
    };
    let header = GenesisHeader::Unrooted { header: Box::default(), exported_hash: None };
    Chain::load(ChainSpec::mainnet(), Some(header), prestate).unwrap()
}

/// Changes that follow from `seed`: some account is set, another may go.
fn changes(chain: &Chain, seed: u64) -> ChangeSet {
    let snapshot = chain.snapshot();
    let mut state = BlockState::new(snapshot.view());
    let account = Account { balance: U256::from(seed), nonce: seed, ..Account::default() };
    state.set_account(person(seed % 6), Some(account));
    if seed.is_multiple_of(3) {
        state.set_account(person((seed + 1) % 6), None);
    }
    state.into_changes()
}

/// Puts a block on the head; returns its hash.
fn append(chain: &mut Chain, seed: u64) -> B256 {
    let parent_hash = chain.head().unwrap();
    let number = chain.header(&parent_hash).unwrap().number + 1;
    let header = Header { parent_hash, number, nonce: seed.to_be_bytes().into(), ..Header::default() };
    let hash = header.hash_slow();
    let changes = changes(chain, seed);
    let (_, tried) = chain.try_changes(hash, number, changes).unwrap();
    chain.accept(tried, header, Ommers::Headers(Vec::new()));
    hash
}

#[test]
fn any_accepted_block_can_be_stood_on_again() {
    let mut chain = chain();
    let mut snapshots = vec![(chain.head().unwrap(), World::clone(&chain.world()))];
    let mut state = 7_u64;
    for seed in 1..80_u64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(state >> 33).unwrap() % snapshots.len();
        let (parent, world) = &snapshots[at];
        assert!(chain.rewind_to(*parent), "block {at}");
        assert_eq!(chain.head(), Some(*parent));
        assert_eq!(chain.world().first_difference(world), None, "block {at}");
        assert_eq!(chain.trie().unwrap().root(), StateTrie::new(world).root(), "block {at}");
        // Hashes of the ancestors are those of this branch.
        let mut hash = *parent;
        while let Some(header) = chain.header(&hash) {
            assert_eq!(
                crate::state::StateRead::block_hash(&chain.snapshot().view(), header.number),
                Ok(hash)
            );
            hash = header.parent_hash;
        }
        // A block that is tried and rejected leaves nothing behind.
        let rejected = changes(&chain, seed + 1000);
        let (_, tried) = chain.try_changes(B256::repeat_byte(0xee), 1, rejected).unwrap();
        chain.reject(&tried);
        assert_eq!(chain.world().first_difference(world), None, "block {at} after a rejected one");
        let hash = append(&mut chain, seed);
        snapshots.push((hash, World::clone(&chain.world())));
    }
}

#[test]
fn a_block_that_comes_twice_is_one_block() {
    let mut chain = chain();
    let genesis = chain.head().unwrap();
    let first = append(&mut chain, 3);
    assert!(chain.rewind_to(genesis));
    assert_eq!(append(&mut chain, 3), first);
    assert_eq!(chain.versions().len(), 2, "genesis and the block");
}

#[test]
fn states_that_are_not_held_cannot_be_stood_on() {
    let mut chain = chain();
    let head = append(&mut chain, 1);
    assert!(!chain.rewind_to(B256::repeat_byte(9)));
    assert_eq!(chain.head(), Some(head));
    let mut single = Chain::load(ChainSpec::mainnet(), None, Prestate::default()).unwrap();
    assert!(!single.rewind_to(head) && !single.has_genesis());
}

#[test]
fn a_genesis_that_is_not_its_states_is_refused() {
    let sealed = Sealed::new(Header { state_root: B256::repeat_byte(1), ..Header::default() });
    let header = GenesisHeader::Sealed(Box::new(sealed));
    let error = Chain::load(ChainSpec::mainnet(), Some(header), Prestate::default()).unwrap_err();
    assert!(error.starts_with("state root: expected 0x0101"), "{error}");
    let exported_hash = Some(B256::repeat_byte(2));
    let header = GenesisHeader::Unrooted { header: Box::default(), exported_hash };
    let error = Chain::load(ChainSpec::mainnet(), Some(header), Prestate::default()).unwrap_err();
    assert!(error.starts_with("hash: expected 0x0202"), "{error}");
}

/// Appends a block that changes nothing.
fn append_empty(chain: &mut Chain, nonce: u64) -> B256 {
    let parent_hash = chain.head().unwrap();
    let number = chain.header(&parent_hash).unwrap().number + 1;
    let header = Header { parent_hash, number, nonce: nonce.to_be_bytes().into(), ..Header::default() };
    let hash = header.hash_slow();
    let (_, tried) = chain.try_changes(hash, number, ChangeSet::default()).unwrap();
    chain.accept(tried, header, Ommers::Headers(Vec::new()));
    hash
}

#[test]
fn headers_are_kept_as_far_back_as_blocks_reach_and_no_further() {
    use crate::state::StateRead;
    let mut chain = chain();
    let mut hashes = vec![chain.head().unwrap()];
    let held = VersionLimits::default().versions_max;
    let blocks = 3 * held;
    for _ in 0..blocks {
        hashes.push(append_empty(&mut chain, 0));
        assert!(chain.headers.len() <= 2 * (held + 1 + BLOCK_HASH_HISTORY) + 1);
    }
    assert_eq!(chain.versions().len(), held + 1);
    // The lowest block that can be stood on, and one block further down.
    let lowest = blocks - held;
    assert!(!chain.rewind_to(hashes[lowest - 1]));
    for (at, with_sibling) in [(lowest, false), (blocks - 1, true), (lowest + 7, true)] {
        assert!(chain.rewind_to(hashes[at]), "block {at}");
        for back in 0..BLOCK_HASH_HISTORY {
            let number = (at - back) as u64;
            assert_eq!(chain.snapshot().view().block_hash(number), Ok(hashes[at - back]), "from block {at}");
        }
        assert!(chain.snapshot().view().block_hash((at - BLOCK_HASH_HISTORY) as u64).is_err());
        if with_sibling {
            // Its hash takes the place of the block's that was there before.
            let sibling = append_empty(&mut chain, 9);
            assert_eq!(chain.snapshot().view().block_hash(at as u64 + 1), Ok(sibling));
        }
    }
}
