//! Execution witnesses: what a block needs of the state before it, as `debug_executionWitness` gives it.
//!
//! A witness is lists of bytes: trie nodes, codes, and headers of ancestors (RLP as reth has it, objects as geth has them). Nothing in
//! them is believed for where it stands: each counts for what it hashes to, and only if that was asked for.

use std::{fmt, io};

use alloy_consensus::{Header, Sealed};
use alloy_primitives::{B256, Bytes, hex, keccak256};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{
    block::header_from_rlp,
    error::FieldFault,
    json::{self, Row, Rows, Scalar},
    rpc_block::{RawBlock, header_of},
};

/// Most bytes of a witness file after decompression. The worst blocks of mainnet's gas limit need some 300 MB.
pub const WITNESS_FILE_BYTES_MAX: u64 = 1 << 30;
/// Most trie nodes in a witness.
pub const WITNESS_NODES_MAX: usize = 1 << 23;
/// Most codes in a witness.
pub const WITNESS_CODES_MAX: usize = 1 << 20;
/// Most headers in a witness: `BLOCKHASH` reaches 256 blocks back.
pub const WITNESS_HEADERS_MAX: usize = 256;
/// Longest header in a witness, in bytes of its RLP.
const HEADER_BYTES_MAX: usize = 1 << 16;

/// What a block needs of the state before it, and of the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Witness {
    /// Encoded trie nodes, of accounts and storages alike.
    pub state: Vec<Bytes>,
    /// Codes.
    pub codes: Vec<Bytes>,
    /// Headers of ancestors with their hashes, which were computed from what stands here.
    pub headers: Vec<Sealed<Header>>,
}

impl Witness {
    /// Parses a witness, or a node's answer that holds one. `keys` are passed over: what they say, the nodes prove.
    ///
    /// # Errors
    /// What is wrong, with field, index, line and column, in one line.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let raw: RawWitness<'_> = json::from_slice(json)?;
        if let Some(error) = &raw.error {
            let message = error.message.text("message").unwrap_or("no message");
            return Err(FieldFault::new("error", message).to_string());
        }
        let raw = match raw.result {
            Some(result) => *result,
            None => raw,
        };
        let list = |name: &str| FieldFault::new(name, "missing").to_string();
        let Rows(nodes) = raw.state.ok_or_else(|| list("state"))?;
        let Rows(codes) = raw.codes.ok_or_else(|| list("codes"))?;
        let Rows(headers) = raw.headers.ok_or_else(|| list("headers"))?;
        Ok(Self {
            state: nodes.into_iter().map(|NodeRow(bytes)| bytes).collect(),
            codes: codes.into_iter().map(|CodeRow(bytes)| bytes).collect(),
            headers: headers.into_iter().map(|HeaderRow(header)| header).collect(),
        })
    }

    /// Writes the witness as [`Self::parse`] reads it, and as reth gives it but for `keys`, which are left out.
    ///
    /// # Errors
    /// The writer's.
    pub fn write_json(&self, out: &mut impl io::Write) -> io::Result<()> {
        let list = |out: &mut dyn io::Write, items: &mut dyn Iterator<Item = Bytes>| -> io::Result<()> {
            for (index, bytes) in items.enumerate() {
                let comma = if index == 0 { "" } else { "," };
                write!(out, "{comma}\n\"{}\"", hex::encode_prefixed(bytes))?;
            }
            Ok(())
        };
        out.write_all(b"{\"state\":[")?;
        list(out, &mut self.state.iter().cloned())?;
        out.write_all(b"],\n\"codes\":[")?;
        list(out, &mut self.codes.iter().cloned())?;
        out.write_all(b"],\n\"keys\":[],\n\"headers\":[")?;
        list(out, &mut self.headers.iter().map(|header| alloy_rlp::encode(header.inner()).into()))?;
        out.write_all(b"]}\n")
    }

    /// The header with a hash.
    pub fn header(&self, hash: &B256) -> Option<&Header> {
        self.headers.iter().find(|header| header.hash() == *hash).map(Sealed::inner)
    }
}

#[derive(Deserialize)]
#[serde(expecting = "a witness object")]
struct RawWitness<'a> {
    /// The witness, where the file is the whole answer of the node.
    #[serde(borrow, default)]
    result: Option<Box<Self>>,
    #[serde(borrow, default)]
    error: Option<RawError<'a>>,
    #[serde(default)]
    state: Option<Rows<NodeRow>>,
    #[serde(default)]
    codes: Option<Rows<CodeRow>>,
    #[serde(default, rename = "keys")]
    _keys: IgnoredAny,
    #[serde(default)]
    headers: Option<Rows<HeaderRow>>,
}

#[derive(Deserialize)]
struct RawError<'a> {
    #[serde(borrow, default)]
    message: Scalar<'a>,
}

struct NodeRow(Bytes);

impl Row for NodeRow {
    type Raw<'de> = Scalar<'de>;
    const LIST: &'static str = "state";
    const COUNT_MAX: usize = WITNESS_NODES_MAX;

    fn from_raw(raw: Scalar<'_>) -> Result<Self, FieldFault> {
        raw.bytes("node").map(Self)
    }
}

struct CodeRow(Bytes);

impl Row for CodeRow {
    type Raw<'de> = Scalar<'de>;
    const LIST: &'static str = "codes";
    const COUNT_MAX: usize = WITNESS_CODES_MAX;

    fn from_raw(raw: Scalar<'_>) -> Result<Self, FieldFault> {
        raw.bytes("code").map(Self)
    }
}

struct HeaderRow(Sealed<Header>);

impl Row for HeaderRow {
    type Raw<'de> = RawHeader<'de>;
    const LIST: &'static str = "headers";
    const COUNT_MAX: usize = WITNESS_HEADERS_MAX;

    fn from_raw(raw: RawHeader<'_>) -> Result<Self, FieldFault> {
        match raw {
            RawHeader::Rlp(scalar) => {
                let rlp = scalar.bytes("header")?;
                if rlp.len() > HEADER_BYTES_MAX {
                    return Err(FieldFault::new("header", format!("longer than {HEADER_BYTES_MAX} bytes")));
                }
                let header = header_from_rlp(&rlp).map_err(|error| FieldFault::new("header", error))?;
                Ok(Self(Sealed::new_unchecked(header, keccak256(&rlp))))
            }
            RawHeader::Object(object) => header_of(&object).map(|header| Self(Sealed::new(header))),
        }
    }
}

/// A header in one of its two forms.
enum RawHeader<'a> {
    Rlp(Scalar<'a>),
    Object(Box<RawBlock<'a>>),
}

impl<'a, 'de: 'a> Deserialize<'de> for RawHeader<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawHeaderVisitor)
    }
}

struct RawHeaderVisitor;

impl<'de> Visitor<'de> for RawHeaderVisitor {
    type Value = RawHeader<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a header, as hexadecimal RLP or as an object")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(RawHeader::Rlp(Scalar::Text(text.into())))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(RawHeader::Rlp(Scalar::Text(text.to_owned().into())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        RawBlock::deserialize(MapAccessDeserializer::new(map)).map(|raw| RawHeader::Object(Box::new(raw)))
    }
}
