//! Blocks on top of each other, executed by sequential revm.

use super::genesis::{genesis_header, genesis_world};
use crate::{
    block::{BlockContext, SignedTx},
    lanes::{Executed, ExecutionError, sequential},
    reconcile::block_roots,
    spec::{ChainSpec, Fork, SpecError},
    state::{BlockHashes, StateTrie, Tries, View, World},
};
use alloy_consensus::{Block, BlockBody, Header, Transaction, proofs};
use alloy_eips::{
    eip1559::{BaseFeeParams, INITIAL_BASE_FEE},
    eip4895::Withdrawal,
};
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, Bytes, U256, map::HashMap};

/// A chain that grows by blocks whose headers say what sequential revm found.
#[derive(Debug)]
pub struct ChainBuilder {
    spec: ChainSpec,
    world: World,
    hashes: BlockHashes,
    trie: StateTrie,
    head: Header,
}

/// What a block holds that does not follow from executing it.
#[derive(Clone, Debug, Default)]
pub struct BlockDraft {
    /// Transactions in block order.
    pub transactions: Vec<SignedTx>,
    /// Their senders.
    pub senders: Vec<Address>,
    /// Withdrawals; before Shanghai there are none.
    pub withdrawals: Vec<Withdrawal>,
    /// Fee recipient.
    pub beneficiary: Address,
    /// Seconds after the parent.
    pub seconds: u64,
    /// Randomness of the beacon chain (EIP-4399); before the merge, the mix hash.
    pub prev_randao: B256,
    /// Root of the parent's beacon block, which counts from Cancun on (EIP-4788).
    pub parent_beacon_block_root: B256,
    /// Extra data of the header.
    pub extra_data: Bytes,
    /// Difficulty, before the merge.
    pub difficulty: U256,
}

/// A sealed block with what executing it gave.
#[derive(Clone, Debug)]
pub struct SealedBlock {
    /// The block.
    pub block: Block<SignedTx>,
    /// Its hash.
    pub hash: B256,
    /// Senders of its transactions.
    pub senders: Vec<Address>,
    /// Receipts, requests and changes.
    pub executed: Executed,
}

impl ChainBuilder {
    /// The chain of a genesis file, without any block after genesis.
    ///
    /// # Errors
    /// A fork schedule that is not valid.
    pub fn new(genesis: &Genesis) -> Result<Self, SpecError> {
        Ok(Self::with_spec(genesis, ChainSpec::from_genesis(genesis)?))
    }

    /// The same under rules that the genesis file does not say.
    pub fn with_spec(genesis: &Genesis, spec: ChainSpec) -> Self {
        let world = genesis_world(genesis);
        let trie = StateTrie::new(&world);
        let head = genesis_header(genesis, &spec, trie.root());
        let hashes = [(head.number, head.hash_slow())].into_iter().collect();
        Self { spec, world, hashes, trie, head }
    }

    /// The rules.
    pub const fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// The state after the last block.
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// The header of the last block.
    pub const fn head(&self) -> &Header {
        &self.head
    }

    /// Executes a draft on the last block and appends the block that comes of it.
    ///
    /// # Errors
    /// A transaction that is invalid where it stands; the chain stays as it was.
    pub fn append(&mut self, draft: BlockDraft) -> Result<SealedBlock, ExecutionError> {
        let mut header = self.header_before_execution(&draft);
        let withdrawals = header.withdrawals_root.is_some().then_some(draft.withdrawals);
        let authorities = HashMap::default();
        let context = BlockContext {
            spec: &self.spec,
            header: &header,
            transactions: &draft.transactions,
            senders: &draft.senders,
            authorities: &authorities,
            ommers: &[],
            withdrawals: withdrawals.as_deref(),
        };
        let view = View::from(&self.world).with_hashes(&self.hashes);
        let executed = sequential::execute(&context, view, Some(Tries::Whole(&self.trie)))?;
        self.world.apply(&executed.changes);
        let roots = block_roots(&executed.receipts);
        header.state_root = self.trie.update(&executed.changes);
        header.receipts_root = roots.receipts_root;
        header.logs_bloom = roots.logs_bloom;
        header.gas_used = executed.gas_used;
        let prague = self.spec.is_active(Fork::Prague, header.number, header.timestamp);
        header.requests_hash = prague.then(|| executed.requests.requests_hash());

        let hash = header.hash_slow();
        self.hashes.insert(header.number, hash);
        self.head = header.clone();
        let withdrawals = withdrawals.map(Into::into);
        let body = BlockBody { transactions: draft.transactions, ommers: Vec::new(), withdrawals };
        Ok(SealedBlock { block: Block::new(header, body), hash, senders: draft.senders, executed })
    }

    /// The header with all fields that are known before execution.
    fn header_before_execution(&self, draft: &BlockDraft) -> Header {
        let parent = &self.head;
        let number = parent.number + 1;
        let timestamp = parent.timestamp + draft.seconds;
        let active = |fork| self.spec.is_active(fork, number, timestamp);
        let base_fee = || parent.next_block_base_fee(BaseFeeParams::ethereum()).unwrap_or(INITIAL_BASE_FEE);
        let blob_gas = || draft.transactions.iter().filter_map(Transaction::blob_gas_used).sum();
        let excess_blob_gas = || {
            let params = self.spec.blob_params_at(timestamp)?;
            parent.next_block_excess_blob_gas(params)
        };
        // The fork to EIP-1559 doubles the limit, so that the target stays.
        let forks = active(Fork::London) && parent.base_fee_per_gas.is_none();
        let gas_limit = if forks { parent.gas_limit * 2 } else { parent.gas_limit };
        Header {
            parent_hash: parent.hash_slow(),
            beneficiary: draft.beneficiary,
            transactions_root: proofs::calculate_transaction_root(&draft.transactions),
            difficulty: if active(Fork::Paris) { U256::ZERO } else { draft.difficulty },
            number,
            gas_limit,
            timestamp,
            extra_data: draft.extra_data.clone(),
            mix_hash: draft.prev_randao,
            base_fee_per_gas: active(Fork::London).then(base_fee),
            withdrawals_root: active(Fork::Shanghai)
                .then(|| proofs::calculate_withdrawals_root(&draft.withdrawals)),
            blob_gas_used: active(Fork::Cancun).then(blob_gas),
            excess_blob_gas: active(Fork::Cancun).then(|| excess_blob_gas().unwrap_or_default()),
            parent_beacon_block_root: active(Fork::Cancun).then_some(draft.parent_beacon_block_root),
            ..Header::default()
        }
    }
}
