//! What today's crates make of the same blocks, put together as anyone would: alloy decodes, libsecp256k1 recovers senders on
//! all cores, sequential revm executes, alloy-trie hashes all four roots of the header.
//!
//! Of the state, the leaves are kept by their hashed keys. alloy-trie's [`HashBuilder`] takes hashes of branches for what did not change,
//! so leaves lie in 65,536 subtries, and the hashes of these and of the 4,096 groups above them are kept: a block costs the building of
//! the subtries and groups that it touches, on all cores, and of what lies above. Senders of the next block are recovered while a block
//! is executed and hashed.

use alloy_consensus::{Block, BlockHeader, EthereumTxEnvelope, Header, TxEip4844, proofs};
use alloy_eips::eip7702::RecoveredAuthority;
use alloy_primitives::{
    Address, B256, U256, keccak256,
    map::{B256Map, HashMap},
};
use alloy_rlp::Decodable;
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles, TrieAccount, root::storage_root_unhashed};
use outrider::{
    block::{BlockContext, Receipt, SignedTx},
    lanes::sequential,
    spec::ChainSpec,
    state::{Account, BlockHashes, ChangeSet, View, World},
};
use rayon::prelude::*;
use secp256k1::{
    Message,
    ecdsa::{RecoverableSignature, RecoveryId},
};
use std::collections::BTreeMap;

/// A chain as a plain node holds it: the state after its last block, and the trie of it.
#[derive(Debug)]
pub struct Plain {
    spec: ChainSpec,
    world: World,
    hashes: BlockHashes,
    trie: PlainTrie,
}

/// A block whose senders are recovered.
#[derive(Debug)]
pub struct Recovered {
    block: Block<SignedTx>,
    senders: Vec<Address>,
    authorities: HashMap<usize, Vec<RecoveredAuthority>>,
}

impl Plain {
    /// The state before a chain's first block.
    #[must_use]
    pub fn new(spec: ChainSpec, world: World) -> Self {
        Self { spec, trie: PlainTrie::new(&world), world, hashes: BlockHashes::new() }
    }

    /// Decodes a block and recovers its senders, but for those that `known` has (by transaction hash), which are recovered ones too.
    ///
    /// # Panics
    /// If the bytes are no block, or a signature has no signer.
    #[must_use]
    pub fn recover(mut rlp: &[u8], known: &B256Map<Address>) -> Recovered {
        let block = Block::<SignedTx>::decode(&mut rlp).expect("a block");
        let senders = block.body.transactions.par_iter().map(|tx| {
            let is_known = (!known.is_empty()).then(|| known.get(tx.hash())).flatten();
            is_known.copied().unwrap_or_else(|| sender(tx))
        });
        let senders = senders.collect();
        let authorities = block.body.transactions.iter().enumerate().filter_map(|(index, tx)| {
            let EthereumTxEnvelope::<TxEip4844>::Eip7702(tx) = tx else { return None };
            let of_tuple = |tuple: &alloy_eips::eip7702::SignedAuthorization| {
                tuple.recover_authority().map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid)
            };
            Some((index, tx.tx().authorization_list.iter().map(of_tuple).collect()))
        });
        let authorities = authorities.collect();
        Recovered { block, senders, authorities }
    }

    /// Executes a block and compares everything with its header; the chain then stands on it.
    ///
    /// # Panics
    /// If the block is not valid.
    pub fn execute(&mut self, recovered: &Recovered) {
        let Recovered { block, senders, authorities } = recovered;
        let header = &block.header;
        self.hashes.insert(header.number - 1, header.parent_hash);
        let context = BlockContext {
            spec: &self.spec,
            header,
            transactions: &block.body.transactions,
            senders,
            authorities,
            ommers: &block.body.ommers,
            withdrawals: block.body.withdrawals.as_ref().map(|withdrawals| withdrawals.as_slice()),
        };
        let view = View::from(&self.world).with_hashes(&self.hashes);
        let executed = sequential::execute(&context, view, None).expect("a valid block");
        assert_eq!(executed.gas_used, header.gas_used(), "gas used");
        let (world, trie) = (&mut self.world, &mut self.trie);
        world.apply(&executed.changes);
        let world = &*world;
        rayon::join(
            || check_lists(header, &block.body.transactions, &executed.receipts),
            || assert_eq!(trie.update(&executed.changes, world), header.state_root, "state root"),
        );
    }

    /// Runs blocks one after the other, as RLP, while the senders of the next are recovered. Returns the number of transactions.
    ///
    /// # Panics
    /// As [`Self::recover`] and [`Self::execute`].
    pub fn run<'a>(&mut self, blocks: impl IntoIterator<Item = &'a [u8]>) -> usize {
        let mut transactions = 0;
        let known = B256Map::default();
        let mut blocks = blocks.into_iter();
        let mut next = blocks.next().map(|rlp| Self::recover(rlp, &known));
        while let Some(block) = next {
            transactions += block.senders.len();
            let rlp = blocks.next();
            ((), next) = rayon::join(|| self.execute(&block), || rlp.map(|rlp| Self::recover(rlp, &known)));
        }
        transactions
    }
}

fn sender(tx: &SignedTx) -> Address {
    let signature = tx.signature();
    let id = RecoveryId::from_u8_masked(u8::from(signature.v()));
    let compact = &signature.as_bytes()[..64];
    let message = Message::from_digest(tx.signature_hash().0);
    let signature = RecoverableSignature::from_compact(compact, id).expect("scalars in range");
    let key = signature.recover_ecdsa(message).expect("a signer");
    Address::from_raw_public_key(&key.serialize_uncompressed()[1..])
}

fn check_lists(header: &Header, transactions: &[SignedTx], receipts: &[Receipt]) {
    let transactions_root = || proofs::calculate_transaction_root(transactions);
    let receipts_root = || {
        let rows: Vec<_> = receipts.par_iter().map(|receipt| (receipt, receipt.logs_bloom())).collect();
        let bloom = rows.iter().fold(alloy_primitives::Bloom::ZERO, |all, (_, bloom)| all | *bloom);
        let encode =
            |(receipt, bloom): &(&Receipt, _), out: &mut Vec<u8>| receipt.encode_for_trie(bloom, out);
        (alloy_trie::root::ordered_trie_root_with_encoder(&rows, encode), bloom)
    };
    let (transactions_root, (receipts_root, bloom)) = rayon::join(transactions_root, receipts_root);
    assert_eq!(transactions_root, header.transactions_root, "transactions root");
    assert_eq!((receipts_root, bloom), (header.receipts_root, header.logs_bloom), "receipts root and bloom");
}

/// Nibbles of the path to a subtrie whose hash is kept.
const SUBTRIE_NIBBLES: usize = 4;
/// Subtries of a group.
const GROUP: usize = 16;

/// The leaves of a state, and the hashes of its subtries.
#[derive(Debug)]
struct PlainTrie {
    /// Accounts by hashed address, in subtries by the first nibbles.
    subtries: Vec<Subtrie>,
    /// What stands at the head of each group of subtries.
    groups: Vec<Option<B256>>,
    root: B256,
}

#[derive(Clone, Debug, Default)]
struct Subtrie {
    leaves: BTreeMap<B256, TrieAccount>,
    /// The hash of the branch at its head; `None` where there is no branch.
    branch: Option<B256>,
}

impl PlainTrie {
    fn new(world: &World) -> Self {
        let mut subtries = vec![Subtrie::default(); 1 << (4 * SUBTRIE_NIBBLES)];
        for (address, account) in world.accounts() {
            let key = keccak256(address);
            subtries[place(&key)].leaves.insert(key, leaf(account, storage_root(world, address)));
        }
        let mut trie = Self { groups: vec![None; subtries.len() / GROUP], subtries, root: B256::ZERO };
        let all = (0..trie.subtries.len()).collect();
        trie.rebuild(all);
        trie
    }

    fn update(&mut self, changes: &ChangeSet, world: &World) -> B256 {
        let leaves: Vec<_> = changes
            .accounts
            .iter()
            .collect::<Vec<_>>()
            .into_par_iter()
            .map(|(address, change)| {
                let leaf = change.account.as_ref().map(|account| leaf(account, storage_root(world, address)));
                (keccak256(address), leaf)
            })
            .collect();
        let mut touched: Vec<usize> = leaves.iter().map(|(key, _)| place(key)).collect();
        for (key, leaf) in leaves {
            let leaves = &mut self.subtries[place(&key)].leaves;
            match leaf {
                Some(leaf) => leaves.insert(key, leaf),
                None => leaves.remove(&key),
            };
        }
        touched.sort_unstable();
        touched.dedup();
        self.rebuild(touched);
        self.root
    }

    /// Builds some subtries and what lies above them.
    fn rebuild(&mut self, touched: Vec<usize>) {
        let built: Vec<_> = touched.par_iter().map(|place| self.subtries[*place].build()).collect();
        let mut groups: Vec<usize> = touched.iter().map(|place| place / GROUP).collect();
        for (place, branch) in touched.into_iter().zip(built) {
            self.subtries[place].branch = branch;
        }
        groups.dedup();
        let built: Vec<_> = groups.par_iter().map(|group| self.build_group(*group)).collect();
        for (group, branch) in groups.into_iter().zip(built) {
            self.groups[group] = branch;
        }
        let mut builder = HashBuilder::default();
        for (group, branch) in self.groups.iter().enumerate() {
            match branch {
                Some(hash) => builder.add_branch(path(group * GROUP, SUBTRIE_NIBBLES - 1), *hash, false),
                None => self.add_group(group, 0, &mut builder),
            }
        }
        self.root = builder.root();
    }

    /// The hash of the branch at the head of a group, if it is sure that there is one.
    fn build_group(&self, group: usize) -> Option<B256> {
        let filled =
            self.subtries[group * GROUP..][..GROUP].iter().filter(|subtrie| !subtrie.leaves.is_empty());
        if filled.count() < 2 {
            return None;
        }
        let mut builder = HashBuilder::default();
        self.add_group(group, SUBTRIE_NIBBLES - 1, &mut builder);
        Some(builder.root())
    }

    /// Adds the subtries of a group below a path of so many nibbles.
    fn add_group(&self, group: usize, above: usize, builder: &mut HashBuilder) {
        for place in group * GROUP..(group + 1) * GROUP {
            match &self.subtries[place] {
                Subtrie { branch: Some(hash), .. } => {
                    builder.add_branch(path(place, SUBTRIE_NIBBLES).slice(above..), *hash, false);
                }
                subtrie => subtrie.add_leaves(above, builder),
            }
        }
    }
}

impl Subtrie {
    fn build(&self) -> Option<B256> {
        let nibble = |key: &B256| Nibbles::unpack(key).get(SUBTRIE_NIBBLES);
        let (first, last) = self.leaves.keys().next().zip(self.leaves.keys().next_back())?;
        if nibble(first) == nibble(last) {
            return None;
        }
        let mut builder = HashBuilder::default();
        self.add_leaves(SUBTRIE_NIBBLES, &mut builder);
        Some(builder.root())
    }

    fn add_leaves(&self, above: usize, builder: &mut HashBuilder) {
        let mut rlp = Vec::with_capacity(128);
        for (key, account) in &self.leaves {
            rlp.clear();
            alloy_rlp::Encodable::encode(account, &mut rlp);
            builder.add_leaf(Nibbles::unpack(key).slice(above..), &rlp);
        }
    }
}

/// The subtrie of a key.
fn place(key: &B256) -> usize {
    usize::from(u16::from_be_bytes([key[0], key[1]]))
}

/// The first nibbles of the path to a subtrie.
fn path(place: usize, nibbles: usize) -> Nibbles {
    let place = u16::try_from(place).expect("there are 65,536 subtries");
    Nibbles::unpack(place.to_be_bytes()).slice(..nibbles)
}

fn storage_root(world: &World, address: &Address) -> B256 {
    let word = |slot: &U256| B256::from(*slot);
    world.slots(address).map_or(EMPTY_ROOT_HASH, |slots| {
        storage_root_unhashed(slots.iter().map(|(slot, value)| (word(slot), *value)))
    })
}

fn leaf(account: &Account, storage_root: B256) -> TrieAccount {
    let Account { balance, nonce, code_hash } = *account;
    TrieAccount { nonce, balance, storage_root, code_hash }
}

/// What a plain node's pool knows of a block: the sender of each of its transactions, by hash.
#[must_use]
pub fn known_senders(block: &Recovered) -> B256Map<Address> {
    let hashes = block.block.body.transactions.iter().map(|tx| *tx.hash());
    hashes.zip(block.senders.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrider::{
        generate::{GenerateOptions, Generator, Kind},
        state::StateTrie,
    };

    #[test]
    fn the_plain_pipeline_finds_the_roots_of_generated_chains() {
        for (kind, accounts) in [(Kind::Mixed, 40), (Kind::Mixed, 3_000), (Kind::Transfers, 60_000)] {
            let options = GenerateOptions { kind, txs_per_block: 300, blocks: 3, accounts, seed: 9 };
            let mut generator = Generator::new(&options).unwrap();
            let spec = generator.chain().spec().clone();
            let world = generator.world().clone();
            let mut plain = Plain::new(spec, world);
            assert_eq!(plain.trie.root, StateTrie::new(&plain.world).root(), "{kind} {accounts}");
            let blocks: Vec<_> =
                (0..3).map(|_| alloy_rlp::encode(&generator.next_block().unwrap().block)).collect();
            assert_eq!(plain.run(blocks.iter().map(Vec::as_slice)), 900);
            assert_eq!(plain.world.first_difference(generator.world()), None, "{kind} {accounts}");
        }
    }
}
