//! Blockchain tests of the execution-spec tests (and of the older ethereum/tests, which have the
//! same shape): several cases a file, each with its genesis, pre-state, blocks and expected end.
//!
//! A block that a test expects to be invalid may be undecodable, may sit on a side branch, and may
//! be followed by a block on the last valid one; its bytes are handed on as they are.

use std::{
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
    block::{TRANSACTIONS_PER_BLOCK_MAX, decode_block},
    case::{
        BlockBytes, BlockInput, Blocks, Case, Completeness, Expectation, ExpectedEnd, GenesisHeader,
        PostState, Prestate,
    },
    error::{FieldFault, IngestError, IngestFault},
    json::{self, Row, Rows, Scalar},
    prestate::{Accounts, Key},
    test_header::RawHeader,
};
use crate::spec::{BlobLimits, ChainSpec};

/// Most cases in a file.
const CASES_PER_FILE_MAX: usize = 1 << 18;
/// Most blocks of all cases in a file.
const BLOCKS_PER_FILE_MAX: usize = 1 << 20;
/// Most entries of a blob schedule. There are fewer forks than that.
const BLOB_SCHEDULE_ENTRIES_MAX: usize = 64;
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
    let named = |(name, case): NamedCase| match case {
        Ok(parts) => Ok(parts.into_case(path.to_owned(), name)),
        Err(fault) => Err(IngestError::new(path, name, fault)),
    };
    Ok(cases.into_iter().map(named).collect())
}

type NamedCase = (String, Result<Box<CaseParts>, IngestFault>);

/// The cases of a file in file order, converted one by one as they are read.
struct Cases(Vec<NamedCase>);

impl<'de> Deserialize<'de> for Cases {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(CasesVisitor).map(Self)
    }
}

struct CasesVisitor;

impl<'de> Visitor<'de> for CasesVisitor {
    type Value = Vec<NamedCase>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object of test cases")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut cases = Vec::new();
        let mut blocks = 0;
        while let Some(Key(name)) = map.next_key::<Key<'de>>()? {
            let raw: RawCase<'de> =
                map.next_value().map_err(|error| A::Error::custom(format_args!("{name}: {error}")))?;
            blocks += raw.blocks.as_ref().map_or(0, |rows| rows.0.len());
            if cases.len() == CASES_PER_FILE_MAX || blocks > BLOCKS_PER_FILE_MAX {
                return Err(A::Error::custom(format_args!(
                    "more than {CASES_PER_FILE_MAX} cases or {BLOCKS_PER_FILE_MAX} blocks"
                )));
            }
            cases.push((name.into_owned(), raw.convert().map(Box::new)));
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
            witness: None,
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
    #[serde(default)]
    blob_schedule: Option<BlobSchedule>,
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
        let mut blob_schedule: &[(String, BlobLimits)] = &[];
        if let Some(config) = &self.config {
            chain_id = config.chainid.optional("config.chainid", Scalar::number)?.unwrap_or(1);
            blob_schedule = config.blob_schedule.as_ref().map_or(&[], |schedule| &schedule.0);
        }
        let blob_schedule = blob_schedule.iter().map(|(fork, limits)| (fork.as_str(), *limits));
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

/// Blob limits by fork name.
struct BlobSchedule(Vec<(String, BlobLimits)>);

impl<'de> Deserialize<'de> for BlobSchedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(BlobScheduleVisitor).map(Self)
    }
}

struct BlobScheduleVisitor;

impl<'de> Visitor<'de> for BlobScheduleVisitor {
    type Value = Vec<(String, BlobLimits)>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object from fork to blob limits")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(Key(fork)) = map.next_key::<Key<'de>>()? {
            let place = format!("config.blobSchedule.{fork}");
            let raw: RawBlobLimits<'de> =
                map.next_value().map_err(|error| A::Error::custom(format_args!("{place}: {error}")))?;
            let limits = raw.convert().map_err(|fault| A::Error::custom(fault.within(&place)))?;
            if entries.len() == BLOB_SCHEDULE_ENTRIES_MAX {
                return Err(A::Error::custom(format_args!(
                    "config.blobSchedule: more than {BLOB_SCHEDULE_ENTRIES_MAX} entries"
                )));
            }
            entries.push((fork.into_owned(), limits));
        }
        Ok(entries)
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
    const COUNT_MAX: usize = BLOCKS_PER_FILE_MAX;

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
