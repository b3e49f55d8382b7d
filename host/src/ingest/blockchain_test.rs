//! Blockchain tests of the execution-spec tests (and of the older ethereum/tests, which have the
//! same shape): several cases a file, each with its genesis, pre-state, blocks and expected end.
//!
//! A block that a test expects to be invalid may be undecodable, may sit on a side branch, and may
//! be followed by a block on the last valid one; its bytes are handed on as they are.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use alloy_consensus::{Header, Sealed};
use alloy_primitives::Address;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
};

use super::{
    block::{TRANSACTIONS_PER_BLOCK_MAX, decode_block, without_gaps},
    case::{
        BlockBytes, BlockInput, Blocks, Case, Completeness, Expectation, ExpectedEnd, GenesisHeader,
        PostState, Prestate,
    },
    error::{FieldFault, IngestError, IngestFault},
    json::{self, Row, Rows, Scalar},
    prestate::{Accounts, Key},
};
use crate::spec::{BlobLimits, ChainSpec};

/// Most blocks of a case.
const BLOCKS_PER_CASE_MAX: usize = 1 << 20;
/// Longest name of an exception class, in bytes.
const EXCEPTION_BYTES_MAX: usize = 4096;

/// Parses a file. A case that is wrong in itself (unknown network, say) is an error among the
/// cases; text that is not JSON of this shape fails as a whole.
pub(super) fn parse(path: &Path, json: &[u8]) -> Result<Vec<Result<Case, IngestError>>, IngestError> {
    let Cases(cases) =
        json::from_slice(json).map_err(|reason| IngestError::new(path, "", IngestFault::Json(reason)))?;
    if cases.is_empty() {
        return Err(IngestError::new(path, "", IngestFault::Missing { what: "a test case" }));
    }
    let named = |(name, case): (String, Result<CaseParts, IngestFault>)| match case {
        Ok(parts) => Ok(parts.into_case(path.to_owned(), name)),
        Err(fault) => Err(IngestError::new(path, name, fault)),
    };
    Ok(cases.into_iter().map(named).collect())
}

/// The cases of a file in file order, converted one by one as they are read.
struct Cases(Vec<(String, Result<CaseParts, IngestFault>)>);

impl<'de> Deserialize<'de> for Cases {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(CasesVisitor).map(Self)
    }
}

struct CasesVisitor;

impl<'de> Visitor<'de> for CasesVisitor {
    type Value = Vec<(String, Result<CaseParts, IngestFault>)>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object of test cases")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut cases = Vec::new();
        while let Some(Key(name)) = map.next_key::<Key<'de>>()? {
            let raw: RawCase<'de> =
                map.next_value().map_err(|error| A::Error::custom(format_args!("{name}: {error}")))?;
            cases.push((name.into_owned(), raw.convert()));
        }
        Ok(cases)
    }
}

/// A case but for its path and name.
struct CaseParts {
    spec: ChainSpec,
    genesis: Sealed<Header>,
    prestate: Prestate,
    blocks: Vec<BlockInput>,
    expected: ExpectedEnd,
}

impl CaseParts {
    fn into_case(self, path: PathBuf, name: String) -> Case {
        Case {
            path,
            name: Some(name),
            spec: self.spec,
            genesis: Some(GenesisHeader::Sealed(Box::new(self.genesis))),
            prestate: Some(self.prestate),
            blocks: Blocks::from_memory(self.blocks),
            expected: Some(self.expected),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a test case")]
struct RawCase<'a> {
    #[serde(borrow, default)]
    network: Scalar<'a>,
    #[serde(borrow, default)]
    config: Option<RawConfig<'a>>,
    #[serde(default)]
    pre: Option<Accounts>,
    #[serde(default)]
    post_state: Option<Accounts>,
    #[serde(borrow, default)]
    post_state_hash: Scalar<'a>,
    #[serde(borrow, default)]
    genesis_block_header: Option<RawHeader<'a>>,
    #[serde(borrow, default, rename = "genesisRLP")]
    genesis_rlp: Scalar<'a>,
    #[serde(default)]
    blocks: Option<Rows<TestBlock>>,
    #[serde(borrow, default)]
    lastblockhash: Scalar<'a>,
    // What other kinds of tests have instead of blocks.
    #[serde(default)]
    engine_new_payloads: Option<IgnoredAny>,
    #[serde(default)]
    post: Option<IgnoredAny>,
    #[serde(default)]
    txbytes: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "the object config")]
struct RawConfig<'a> {
    #[serde(borrow, default)]
    chainid: Scalar<'a>,
    #[serde(borrow, default)]
    blob_schedule: Option<BTreeMap<Cow<'a, str>, RawBlobLimits<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object of blob limits")]
struct RawBlobLimits<'a> {
    #[serde(borrow, default)]
    target: Scalar<'a>,
    #[serde(borrow, default)]
    max: Scalar<'a>,
    #[serde(borrow, default)]
    base_fee_update_fraction: Scalar<'a>,
}

impl RawCase<'_> {
    fn convert(self) -> Result<CaseParts, IngestFault> {
        let spec = self.spec()?;
        let genesis = self.genesis()?;
        let last_block_hash = self.lastblockhash.hash("lastblockhash")?;
        let post_state_hash = self.post_state_hash.optional("postStateHash", Scalar::hash)?;
        let Some(Rows(blocks)) = self.blocks else {
            return Err(FieldFault::new("blocks", "missing").into());
        };
        let Some(Accounts(accounts)) = self.pre else {
            return Err(FieldFault::new("pre", "missing").into());
        };
        let post_state = self
            .post_state
            .map(|accounts| PostState::Accounts(accounts.0))
            .or(post_state_hash.map(PostState::Root));
        Ok(CaseParts {
            spec,
            genesis,
            prestate: Prestate { accounts, completeness: Completeness::Whole, block_hashes: BTreeMap::new() },
            blocks: blocks.into_iter().map(|block| block.0).collect(),
            expected: ExpectedEnd { last_block_hash, post_state },
        })
    }

    fn spec(&self) -> Result<ChainSpec, IngestFault> {
        if self.blocks.is_none() {
            let kind = match self {
                Self { engine_new_payloads: Some(_), .. } => "an engine test, not a blockchain test",
                Self { post: Some(_), .. } => "a state test, not a blockchain test",
                Self { txbytes: Some(_), .. } => "a transaction test, not a blockchain test",
                _ => "no blockchain test: it has no blocks",
            };
            return Err(IngestFault::NotRecognised(kind.to_owned()));
        }
        let network = self.network.text("network")?;
        let mut chain_id = 1;
        let mut blob_schedule = Vec::new();
        if let Some(config) = &self.config {
            chain_id = config.chainid.optional("config.chainid", Scalar::number)?.unwrap_or(1);
            for (fork, limits) in config.blob_schedule.iter().flatten() {
                let limits = limits
                    .convert()
                    .map_err(|fault| fault.within(format_args!("config.blobSchedule.{fork}")))?;
                blob_schedule.push((fork.as_ref(), limits));
            }
        }
        Ok(ChainSpec::from_network(network, chain_id, blob_schedule)?)
    }

    /// Genesis from its RLP, or from the header's fields where a test has no RLP. Its hash must be
    /// the stated one, or no block of the case could ever fit.
    fn genesis(&self) -> Result<Sealed<Header>, IngestFault> {
        let genesis = match (&self.genesis_rlp, &self.genesis_block_header) {
            (Scalar::Absent | Scalar::Null, Some(raw)) => {
                Sealed::new(raw.header().map_err(|fault| fault.within("genesisBlockHeader"))?)
            }
            (rlp, _) => {
                let rlp = BlockBytes::Rlp(rlp.bytes("genesisRLP")?);
                decode_block(&rlp).map_err(|error| FieldFault::new("genesisRLP", error))?.header
            }
        };
        if let Some(raw) = &self.genesis_block_header {
            let stated = raw.hash.optional("genesisBlockHeader.hash", Scalar::hash)?;
            if let Some(stated) = stated.filter(|stated| *stated != genesis.hash()) {
                let reason = format!("{stated}, but the genesis block hashes to {}", genesis.hash());
                return Err(FieldFault::new("genesisBlockHeader.hash", reason).into());
            }
        }
        Ok(genesis)
    }
}

impl RawBlobLimits<'_> {
    fn convert(&self) -> Result<BlobLimits, FieldFault> {
        Ok(BlobLimits {
            target: self.target.number("target")?,
            max: self.max.number("max")?,
            update_fraction: self.base_fee_update_fraction.number("baseFeeUpdateFraction")?,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a block of a test")]
struct RawTestBlock<'a> {
    #[serde(borrow, default)]
    rlp: Scalar<'a>,
    #[serde(borrow, default)]
    block_header: Option<RawStatedHeader<'a>>,
    #[serde(default)]
    transactions: Option<Rows<StatedSender>>,
    #[serde(borrow, default)]
    expect_exception: Scalar<'a>,
    /// What retesteth writes instead.
    #[serde(borrow, default, rename = "expectExceptionALL")]
    expect_exception_all: Scalar<'a>,
}

/// Of a block's header, just what is compared.
#[derive(Deserialize)]
#[serde(expecting = "a block header")]
struct RawStatedHeader<'a> {
    #[serde(borrow, default)]
    hash: Scalar<'a>,
}

struct TestBlock(BlockInput);

impl Row for TestBlock {
    type Raw<'de> = RawTestBlock<'de>;
    const LIST: &'static str = "blocks";
    const COUNT_MAX: usize = BLOCKS_PER_CASE_MAX;

    fn from_raw(raw: RawTestBlock<'_>) -> Result<Self, FieldFault> {
        let stated_hash = match &raw.block_header {
            Some(header) => header.hash.optional("blockHeader.hash", Scalar::hash)?,
            None => None,
        };
        let stated_senders =
            raw.transactions.as_ref().and_then(|rows| rows.0.iter().map(|row| row.0).collect());
        let exception = match raw.expect_exception.is_none() {
            true => &raw.expect_exception_all,
            false => &raw.expect_exception,
        };
        let expectation = match exception.optional("expectException", Scalar::text)? {
            Some(classes) if classes.len() > EXCEPTION_BYTES_MAX => {
                return Err(FieldFault::new("expectException", "too long"));
            }
            Some(classes) => {
                let classes = classes.split('|').map(|class| class.trim().to_owned());
                Expectation::Invalid { classes: classes.filter(|class| !class.is_empty()).collect() }
            }
            // The oldest tests mark a block as invalid by giving nothing but its bytes.
            None if raw.block_header.is_none() => Expectation::Invalid { classes: Vec::new() },
            None => Expectation::Valid,
        };
        let bytes = BlockBytes::Rlp(raw.rlp.bytes("rlp")?);
        Ok(Self(BlockInput { bytes, expectation, stated_hash, stated_senders }))
    }
}

/// The sender of a transaction, if the test says it.
struct StatedSender(Option<Address>);

#[derive(Deserialize)]
#[serde(expecting = "a transaction object")]
struct RawStatedSender<'a> {
    #[serde(borrow, default)]
    sender: Scalar<'a>,
}

impl Row for StatedSender {
    type Raw<'de> = RawStatedSender<'de>;
    const LIST: &'static str = "transactions";
    const COUNT_MAX: usize = TRANSACTIONS_PER_BLOCK_MAX;

    fn from_raw(raw: RawStatedSender<'_>) -> Result<Self, FieldFault> {
        raw.sender.optional("sender", Scalar::address).map(Self)
    }
}

/// A header in the tests' own spelling.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a block header")]
struct RawHeader<'a> {
    #[serde(borrow, default)]
    hash: Scalar<'a>,
    #[serde(borrow, default)]
    parent_hash: Scalar<'a>,
    #[serde(borrow, default)]
    uncle_hash: Scalar<'a>,
    #[serde(borrow, default)]
    coinbase: Scalar<'a>,
    #[serde(borrow, default)]
    state_root: Scalar<'a>,
    #[serde(borrow, default)]
    transactions_trie: Scalar<'a>,
    #[serde(borrow, default)]
    receipt_trie: Scalar<'a>,
    #[serde(borrow, default)]
    bloom: Scalar<'a>,
    #[serde(borrow, default)]
    difficulty: Scalar<'a>,
    #[serde(borrow, default)]
    number: Scalar<'a>,
    #[serde(borrow, default)]
    gas_limit: Scalar<'a>,
    #[serde(borrow, default)]
    gas_used: Scalar<'a>,
    #[serde(borrow, default)]
    timestamp: Scalar<'a>,
    #[serde(borrow, default)]
    extra_data: Scalar<'a>,
    #[serde(borrow, default)]
    mix_hash: Scalar<'a>,
    #[serde(borrow, default)]
    nonce: Scalar<'a>,
    #[serde(borrow, default)]
    base_fee_per_gas: Scalar<'a>,
    #[serde(borrow, default)]
    withdrawals_root: Scalar<'a>,
    #[serde(borrow, default)]
    blob_gas_used: Scalar<'a>,
    #[serde(borrow, default)]
    excess_blob_gas: Scalar<'a>,
    #[serde(borrow, default)]
    parent_beacon_block_root: Scalar<'a>,
    #[serde(borrow, default)]
    requests_hash: Scalar<'a>,
    #[serde(borrow, default)]
    block_access_list_hash: Scalar<'a>,
    #[serde(borrow, default)]
    slot_number: Scalar<'a>,
}

impl RawHeader<'_> {
    fn header(&self) -> Result<Header, FieldFault> {
        without_gaps(Header {
            parent_hash: self.parent_hash.hash("parentHash")?,
            ommers_hash: self.uncle_hash.hash("uncleHash")?,
            beneficiary: self.coinbase.address("coinbase")?,
            state_root: self.state_root.hash("stateRoot")?,
            transactions_root: self.transactions_trie.hash("transactionsTrie")?,
            receipts_root: self.receipt_trie.hash("receiptTrie")?,
            logs_bloom: self.bloom.fixed("bloom")?.into(),
            difficulty: self.difficulty.quantity("difficulty")?,
            number: self.number.quantity("number")?,
            gas_limit: self.gas_limit.quantity("gasLimit")?,
            gas_used: self.gas_used.quantity("gasUsed")?,
            timestamp: self.timestamp.quantity("timestamp")?,
            extra_data: self.extra_data.bytes("extraData")?,
            mix_hash: self.mix_hash.hash("mixHash")?,
            nonce: self.nonce.fixed("nonce")?,
            base_fee_per_gas: self.base_fee_per_gas.optional("baseFeePerGas", Scalar::quantity)?,
            withdrawals_root: self.withdrawals_root.optional("withdrawalsRoot", Scalar::hash)?,
            blob_gas_used: self.blob_gas_used.optional("blobGasUsed", Scalar::quantity)?,
            excess_blob_gas: self.excess_blob_gas.optional("excessBlobGas", Scalar::quantity)?,
            parent_beacon_block_root: self
                .parent_beacon_block_root
                .optional("parentBeaconBlockRoot", Scalar::hash)?,
            requests_hash: self.requests_hash.optional("requestsHash", Scalar::hash)?,
            block_access_list_hash: self
                .block_access_list_hash
                .optional("blockAccessListHash", Scalar::hash)?,
            slot_number: self.slot_number.optional("slotNumber", Scalar::quantity)?,
        })
    }
}
